"""Ingot: define-by-run automatic differentiation that finds its hardware through plugins.

``import ingot as torch`` is enough for programs that use what is here: the names, defaults and errors are PyTorch's.
The eager flow, file by file: `tensor` → `ops` → `dispatch` → `ingot_devices.resolve` → a launch, recorded by
`autograd`. The functions are tables of the modules of `ops`; `nn`, `optim`, `utils` and files are imported when they
are first used.
"""

from __future__ import annotations

from math import e, inf, nan, pi
from typing import TYPE_CHECKING, Any

from ingot_devices.dtypes import (
    DType,
    bfloat16,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from ingot_devices.dtypes import bool_ as bool
from ingot_devices.dtypes import promote as promote_types
from ingot_devices.errors import (
    DeviceLost,
    DeviceUnavailable,
    FallbackError,
    IngotError,
    OutOfMemoryError,
)
from ingot_devices.fallback import fallback, ledger
from ingot_devices.opset.op import Defaults as _Defaults

from . import accelerator, autograd, backends, cpu, cuda, ops
from .autograd import (
    Function,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .backends import get_float32_matmul_precision, set_float32_matmul_precision
from .devices import device, get_default_device, set_default_device
from .generator import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from .layouts import Size
from .ops import catalog, creation, index, neural, pointwise
from .ops.creation import tensor
from .ops.named import named as _named
from .ops.named import public as _public
from .printing import set_printoptions
from .tensor import Tensor

if TYPE_CHECKING:
    from . import amp, compiler, func, library, linalg, nn, optim, profiler, streams, utils, vision
    from .amp import autocast, get_autocast_dtype, is_autocast_enabled
    from .compiler import compile
    from .func import vmap
    from .library import use_kernel, without_kernels
    from .nn.functional import cosine_similarity, pairwise_distance
    from .serialization import load, save
    from .streams import Event, Stream
    from .typeinfo import finfo, iinfo

dtype = DType
float = float32
half = float16
double = float64
int = int32
long = int64
short = int16
strided = "strided"
contiguous_format = "contiguous_format"
preserve_format = "preserve_format"

__all__ = [
    "DType",
    "DeviceLost",
    "DeviceUnavailable",
    "Event",
    "FallbackError",
    "Function",
    "Generator",
    "IngotError",
    "OutOfMemoryError",
    "Size",
    "Stream",
    "Tensor",
    "accelerator",
    "amp",
    "autocast",
    "autograd",
    "backends",
    "bfloat16",
    "bool",
    "compile",
    "compiler",
    "complex64",
    "complex128",
    "contiguous_format",
    "cosine_similarity",
    "cpu",
    "cuda",
    "default_generator",
    "device",
    "double",
    "dtype",
    "e",
    "embedding",
    "enable_grad",
    "fallback",
    "finfo",
    "float",
    "float16",
    "float32",
    "float64",
    "from_dlpack",
    "func",
    "get_autocast_dtype",
    "get_default_device",
    "get_default_dtype",
    "get_float32_matmul_precision",
    "get_rng_state",
    "half",
    "iinfo",
    "inf",
    "inference_mode",
    "initial_seed",
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_autocast_enabled",
    "is_floating_point",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "is_tensor",
    "ledger",
    "library",
    "linalg",
    "load",
    "long",
    "manual_seed",
    "nan",
    "nn",
    "no_grad",
    "numel",
    "one_hot",
    "ops",
    "optim",
    "pairwise_distance",
    "pi",
    "preserve_format",
    "profiler",
    "promote_types",
    "save",
    "seed",
    "set_default_device",
    "set_default_dtype",
    "set_float32_matmul_precision",
    "set_grad_enabled",
    "set_printoptions",
    "set_rng_state",
    "short",
    "streams",
    "strided",
    "tensor",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "use_kernel",
    "utils",
    "vision",
    "vmap",
    "without_kernels",
]
for _module in catalog.MODULES:
    globals().update(_public(_module.FUNCTIONS, pointwise.CHECKED))
    __all__.extend(_module.FUNCTIONS)
__all__.sort()
embedding, one_hot = _named(index.embedding), _named(index.one_hot)
for _name in ("adam_step_", "adamw_step_", "sgd_step_"):
    setattr(ops, _name, getattr(neural, _name))


def get_default_dtype() -> DType:
    """The dtype of Python floats and of factories without ``dtype=``."""
    return _Defaults.float


def set_default_dtype(d: DType) -> None:
    """Change it; a floating point dtype."""
    if not isinstance(d, DType) or d.kind != "f":
        raise TypeError(f"only floating-point types are supported as the default type, not {d!r}")
    from .dispatch import forget_plans

    _Defaults.float = d
    forget_plans()


def is_tensor(obj: Any) -> Any:
    """True for tensors."""
    return isinstance(obj, Tensor)


@_named
def is_floating_point(input: Tensor) -> Any:
    """True for tensors of a float dtype."""
    return input.dtype.is_floating_point


@_named
def numel(input: Tensor) -> Any:
    """The number of elements."""
    return input.numel()


def from_dlpack(source: Any) -> Tensor:
    """A tensor of another library's memory, shared where a backend knows that memory or it lies on the host."""
    if source.__dlpack_device__()[0] != 1:
        from .interchange import adopt

        shared: Tensor = adopt(source)
        return shared
    import numpy

    made: Tensor = creation.from_numpy(numpy.from_dlpack(source))
    return made


_LAZY = {
    "amp": "amp", "autocast": "amp", "get_autocast_dtype": "amp", "is_autocast_enabled": "amp",
    "nn": "nn", "optim": "optim", "utils": "utils", "save": "serialization", "load": "serialization", "compile": "compiler",
    "compiler": "compiler", "func": "func", "vmap": "func", "library": "library", "linalg": "linalg", "profiler": "profiler",
    "vision": "vision",
    "finfo": "typeinfo", "iinfo": "typeinfo",
    "use_kernel": "library", "without_kernels": "library", "Stream": "streams", "Event": "streams", "streams": "streams",
    "cosine_similarity": "nn.functional", "pairwise_distance": "nn.functional",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    home = _LAZY.get(name)
    if home is None:
        raise AttributeError(f"module 'ingot' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f".{home}", __name__)
    value = module if home == name else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
