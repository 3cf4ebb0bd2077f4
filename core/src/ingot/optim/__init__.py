"""Optimizers and learning-rate schedules. Read `optimizer` and `fused`, then a rule: `sgd`, `adam`, `nadam`, `rates`;
`lbfgs` is made of ordinary ops.
"""

from ingot.optim import lr_scheduler, swa_utils
from ingot.optim.adam import Adam, AdamW
from ingot.optim.lbfgs import LBFGS
from ingot.optim.nadam import Adamax, NAdam, RAdam
from ingot.optim.optimizer import Optimizer
from ingot.optim.rates import Adadelta, Adagrad, RMSprop, Rprop
from ingot.optim.sgd import ASGD, SGD

__all__ = [
    "ASGD",
    "LBFGS",
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
    "swa_utils",
]
