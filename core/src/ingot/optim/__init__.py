"""Optimizers and learning-rate schedules. Read `optimizer` and `fused`, then a rule: `sgd`, `adam`, `nadam`, `rates`."""

from ingot.optim import lr_scheduler
from ingot.optim.adam import Adam, AdamW
from ingot.optim.nadam import Adamax, NAdam, RAdam
from ingot.optim.optimizer import Optimizer
from ingot.optim.rates import Adadelta, Adagrad, RMSprop, Rprop
from ingot.optim.sgd import ASGD, SGD

__all__ = [
    "ASGD",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
]
