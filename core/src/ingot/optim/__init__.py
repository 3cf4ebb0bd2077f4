"""Optimizers and learning-rate schedules. Read `optimizer`, then `sgd` or `adam`."""

from ingot.optim import lr_scheduler
from ingot.optim.adam import Adam, AdamW
from ingot.optim.optimizer import Optimizer
from ingot.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
