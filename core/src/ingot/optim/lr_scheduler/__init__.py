"""Learning-rate schedules: each sets ``group["lr"]`` of its optimizer, once per `step`. Read `scheduler`, then a kind of them.

A schedule computes the next rate from the present one wherever that is possible, so that two of
them can act on one optimizer; the closed form is used when a schedule starts over (`SequentialLR`).
Formulas are PyTorch's.
"""

from ingot.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from ingot.optim.lr_scheduler.cycles import CyclicLR, OneCycleLR
from ingot.optim.lr_scheduler.factors import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from ingot.optim.lr_scheduler.joined import ChainedScheduler, SequentialLR
from ingot.optim.lr_scheduler.plateau import ReduceLROnPlateau
from ingot.optim.lr_scheduler.scheduler import LRScheduler

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
