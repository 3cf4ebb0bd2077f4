"""The kernels: each makes a function of operands and outputs, in the form in which the device passes them."""

import numpy as np
from ingot_devices import dtypes as dt
from ingot_devices.registry import Kernel

DEVICE = "@device@"


def silu(request):
    """x / (1 + exp(-x)). On this device an operand is a NumPy array with the operand's shape and strides."""

    def run(x, out):
        np.negative(x, out=out)
        np.exp(out, out=out)
        np.add(out, 1, out=out)
        np.divide(x, out, out=out)

    return None if request.aliased else run  # it reads x after it has written out


KERNELS = [Kernel("silu", DEVICE, silu, dtypes=(dt.float32, dt.float64), priority=10)]
