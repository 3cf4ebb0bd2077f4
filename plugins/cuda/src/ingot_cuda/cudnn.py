"""cuDNN through ctypes: a convolution, or a gradient of one, described once and run again and again.

The library is not required (`libraries`). It is called by the functions of cuDNN 9's `cudnn_cnn.h`, which take an algorithm by
number: the first that the library's own heuristics rank, of those that multiply (implicit matrix products; Winograd's and
Fourier's transforms round more), fit `WORKSPACE` and, unless allowed otherwise, give the same bits each time.
"""

from __future__ import annotations

import ctypes as c
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ingot_devices.errors import LaunchError

from . import libraries

WORKSPACE = 1 << 30
"""Bytes that an algorithm may use; they come from the pool, for one call."""

# cudnnDataType_t, cudnnMathType_t, cudnnConvolutionMode_t, cudnnTensorFormat_t
TYPES = {"float32": 0, "float16": 2, "bfloat16": 9}
DEFAULT_MATH, TENSOR_MATH, EXACT_MATH = 0, 1, 3
_FLOAT, _CROSS_CORRELATION, _NCHW = 0, 1, 0
_ASKED = 10  # algorithms that the heuristics may rank


class _Ranked(c.Structure):
    """cudnnConvolution…AlgoPerf_t, the same for all three."""

    _fields_ = [
        ("algorithm", c.c_int), ("status", c.c_int), ("time", c.c_float), ("memory", c.c_size_t),
        ("deterministic", c.c_int), ("math", c.c_int), ("reserved", c.c_int * 3),
    ]  # fmt: skip


@dataclass(frozen=True)
class Way:
    """One of the three: its name in functions, which of x, w and y it reads and makes, and the algorithms that multiply."""

    name: str
    order: str
    algorithms: frozenset[int]


FORWARD = Way("Forward", "xwy", frozenset({0, 1, 2}))
TO_INPUT = Way("BackwardData", "wyx", frozenset({0, 1}))
TO_WEIGHT = Way("BackwardFilter", "xyw", frozenset({0, 1, 3}))

_VOID: Any = c.c_void_p
_SIZE, _INT, _INTS = c.c_size_t, c.c_int, c.POINTER(c.c_int)
_SIGNATURES: dict[str, list[Any]] = {
    "cudnnCreate": [c.POINTER(_VOID)],
    "cudnnSetStream": [_VOID, _VOID],
    "cudnnCreateTensorDescriptor": [c.POINTER(_VOID)],
    "cudnnSetTensorNdDescriptor": [_VOID, _INT, _INT, _INTS, _INTS],
    "cudnnDestroyTensorDescriptor": [_VOID],
    "cudnnCreateFilterDescriptor": [c.POINTER(_VOID)],
    "cudnnSetFilterNdDescriptor": [_VOID, _INT, _INT, _INT, _INTS],
    "cudnnDestroyFilterDescriptor": [_VOID],
    "cudnnCreateConvolutionDescriptor": [c.POINTER(_VOID)],
    "cudnnSetConvolutionNdDescriptor": [_VOID, _INT, _INTS, _INTS, _INTS, _INT, _INT],
    "cudnnSetConvolutionGroupCount": [_VOID, _INT],
    "cudnnSetConvolutionMathType": [_VOID, _INT],
    "cudnnDestroyConvolutionDescriptor": [_VOID],
    "cudnnAddTensor": [_VOID, _VOID, _VOID, _VOID, _VOID, _VOID, _VOID],
}
for _way in (FORWARD, TO_INPUT, TO_WEIGHT):
    _SIGNATURES[f"cudnnGetConvolution{_way.name}Algorithm_v7"] = [
        _VOID, _VOID, _VOID, _VOID, _VOID, _INT, _INTS, c.POINTER(_Ranked)]  # fmt: skip
    _SIGNATURES[f"cudnnGetConvolution{_way.name}WorkspaceSize"] = [_VOID, _VOID, _VOID, _VOID, _VOID, _INT, c.POINTER(_SIZE)]
    _SIGNATURES[f"cudnnConvolution{_way.name}"] = [
        _VOID, _VOID, _VOID, _VOID, _VOID, _VOID, _VOID, _INT, _VOID, _SIZE, _VOID, _VOID, _VOID]  # fmt: skip


class Library(libraries.Library):
    """The loaded library. A handle has one stream at a time, so calls take turns."""

    name, finding, create, versions = "cuDNN", "cudnn", "cudnnCreate", "cudnnGetVersion"
    signatures = _SIGNATURES

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.lock = threading.Lock()
        self._loaded.cudnnGetErrorString.restype = c.c_char_p

    def told(self, status: int) -> str:
        """The name of a status."""
        return f"{status} ({self._loaded.cudnnGetErrorString(c.c_int(status)).decode()})"


@cache
def _find() -> Library | str:
    return libraries.find(Library)


def library() -> Library:
    """cuDNN; `Unsupported` says why it is not there."""
    return libraries.required(_find())


@dataclass(frozen=True)
class Geometry:
    """Shapes (N, C, spatial…), (O, C / groups, taps…), (N, O, spatial…) with at least two spatial axes, and how they fit."""

    x: tuple[int, ...]
    w: tuple[int, ...]
    y: tuple[int, ...]
    pads: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    groups: int


def _ints(values: Sequence[int]) -> Any:
    return (c.c_int * len(values))(*values)


class Convolution:
    """One way of one geometry: ``run`` queues it. ``math`` is DEFAULT_MATH (TF32 for float32), TENSOR_MATH or EXACT_MATH.

    ``varying``: an algorithm may add in another order each time. LaunchError where the library has none.
    """

    def __init__(
        self, library: Library, device: Any, way: Way, dtype: str, geometry: Geometry, math: int, varying: bool = False
    ) -> None:  # fmt: skip
        self.library, self.device, self.way, self.math = library, device, way, math
        self.one, self.zero = c.c_float(1.0), c.c_float(0.0)
        self._made: list[tuple[str, c.c_void_p]] = []
        x, w, y = self._tensor(geometry.x, dtype), self._filter(geometry.w, dtype), self._tensor(geometry.y, dtype)
        self.first, self.second, self.result = ({"x": x, "w": w, "y": y}[name] for name in way.order)
        self.bias = self._tensor((1, geometry.y[1], *(1 for _ in geometry.y[2:])), dtype)
        self.how = self._new("Convolution", len(geometry.pads), _ints(geometry.pads), _ints(geometry.strides),
                             _ints(geometry.dilations), _CROSS_CORRELATION, _FLOAT)  # fmt: skip
        library.call("cudnnSetConvolutionGroupCount", self.how, geometry.groups)
        library.call("cudnnSetConvolutionMathType", self.how, math)
        with library.lock:
            self.algorithm, self.workspace = self._chosen(math, varying)

    def _new(self, kind: str, *arguments: Any) -> c.c_void_p:
        made = self.library.make(f"cudnnCreate{kind}Descriptor")
        self._made.append((kind, made))
        self.library.call(f"cudnnSet{kind}NdDescriptor", made, *arguments)
        return made

    def _tensor(self, shape: tuple[int, ...], dtype: str) -> c.c_void_p:
        steps = [1]
        for n in reversed(shape[1:]):
            steps.insert(0, steps[0] * n)
        return self._new("Tensor", TYPES[dtype], len(shape), _ints(shape), _ints(steps))

    def _filter(self, shape: tuple[int, ...], dtype: str) -> c.c_void_p:
        return self._new("Filter", TYPES[dtype], _NCHW, len(shape), _ints(shape))

    def _chosen(self, math: int, varying: bool) -> tuple[int, int]:
        """The first fitting algorithm, and the bytes that it works in."""
        library, count, ranked = self.library, c.c_int(), (_Ranked * _ASKED)()
        places = (library.handle(self.device), self.first, self.second, self.how, self.result)
        library.call(f"cudnnGetConvolution{self.way.name}Algorithm_v7", *places, _ASKED, c.byref(count), ranked)
        for one in ranked[: count.value]:
            if one.status or one.algorithm not in self.way.algorithms or not (one.deterministic or varying):
                continue
            if math != EXACT_MATH:  # the heuristics may have ranked it with another
                library.call("cudnnSetConvolutionMathType", self.how, one.math)
            size = c.c_size_t()
            try:
                library.call(f"cudnnGetConvolution{self.way.name}WorkspaceSize", *places, one.algorithm, c.byref(size))
            except LaunchError:
                continue
            if size.value <= WORKSPACE:
                return one.algorithm, size.value
        raise LaunchError("cuDNN has no algorithm for this convolution that multiplies, fits its workspace and gives the same "
                          "bits each time")  # fmt: skip

    def run(self, first: int, second: int, result: int, stream: int, workspace: int, bias: int = 0) -> None:
        """Queue it on a stream; operands are addresses, ``bias`` (for the result of `FORWARD`) may be 0."""
        library = self.library
        one, zero = c.byref(self.one), c.byref(self.zero)
        with library.lock:
            handle = library.handle(self.device)
            library.call("cudnnSetStream", handle, stream)
            library.call(f"cudnnConvolution{self.way.name}", handle, one, self.first, first, self.second, second, self.how,
                         self.algorithm, workspace, self.workspace, zero, self.result, result)  # fmt: skip
            if bias:
                library.call("cudnnAddTensor", handle, one, self.bias, bias, one, self.result, result)

    def __del__(self) -> None:
        for kind, made in self.__dict__.get("_made", ()):
            self.library.call(f"cudnnDestroy{kind}Descriptor", made)
