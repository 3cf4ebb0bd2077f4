"""The model-writer's parts: modules, their parameters, losses, initial values, and the same as
functions.

Read `parameter`, then `modules.module`, then any layer: each is a few lines over the ops of the
core.
"""

from ingot.nn import functional, init, modules, utils
from ingot.nn.modules import *
from ingot.nn.parameter import Parameter

__all__ = ["Parameter", "functional", "init", "modules", "utils"]
__all__ += modules.__all__
