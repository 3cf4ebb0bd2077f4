"""Functions of functions, under the names of ``torch.func``: derivatives, and a function run on many values at once.

    vmap (batching.py)                  ──▶ crossing.py: into the lanes and out of them
                                        ──▶ lanes.py: a device that computes on all lanes and takes them for one value
                                        ──▶ running.py ──▶ rules.py (images.py, positions.py): an op there, beneath
    grad, vjp, jvp (gradients.py)       ──▶ the tape, as it is
    jacrev, jacfwd, hessian (jacobians.py) ──▶ vmap of these
    functional_call … (modules.py)      ──▶ a module as a function of its parameters
"""

from __future__ import annotations

from .batching import vmap
from .gradients import grad, grad_and_value, jvp, linearize, vjp
from .jacobians import hessian, jacfwd, jacrev
from .modules import functional_call, replace_all_batch_norm_modules_, stack_module_state

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "replace_all_batch_norm_modules_", "stack_module_state", "vjp", "vmap",
]  # fmt: skip
