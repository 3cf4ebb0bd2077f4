"""cuBLASLt through ctypes: a matrix product described once, with its epilogue, and run again and again.

The library is not required (`libraries`): `library` says why it is not there. Matrices are column-major here, as in its
documentation (cuBLAS 13.0, "Using the cuBLASLt API"); `matmul` turns Ingot's row-major ones around.
"""

from __future__ import annotations

import ctypes as c
import threading
from dataclasses import dataclass
from functools import cache
from typing import Any

from ingot_devices.errors import LaunchError

from . import libraries

WORKSPACE = 32 << 20
"""Bytes that an algorithm may use: what cuBLAS itself takes by default on Hopper."""

# cudaDataType_t, cublasComputeType_t, cublasOperation_t, cublasLtEpilogue_t
TYPES = {"float16": 2, "bfloat16": 14, "float32": 0, "float64": 1}
COMPUTE_32F, COMPUTE_32F_FAST_TF32, COMPUTE_64F = 68, 77, 70
OP_N, OP_T = 0, 1
EPILOGUES = {"": 1, "relu": 2, "gelu_tanh": 32}  # by the names of ops
BIAS = 4  # is added to an epilogue's number
_DEFAULT = 1

# cublasLtMatmulDescAttributes_t, cublasLtMatrixLayoutAttribute_t, cublasLtMatmulPreferenceAttributes_t
_TRANSA, _TRANSB, _EPILOGUE, _BIAS_POINTER = 3, 4, 7, 8
_BATCH_COUNT, _BATCH_OFFSET = 5, 6
_MAX_WORKSPACE, _MIN_ALIGNMENT_A = 1, 5


class _Heuristic(c.Structure):
    """cublasLtMatmulHeuristicResult_t."""

    _fields_ = [
        ("algorithm", c.c_uint64 * 8), ("workspace", c.c_size_t), ("state", c.c_int), ("waves", c.c_float),
        ("reserved", c.c_int * 4),
    ]  # fmt: skip


_VOID: Any = c.c_void_p
_SIZE, _INT = c.c_size_t, c.c_int
_SIGNATURES: dict[str, list[Any]] = {
    "cublasLtCreate": [c.POINTER(_VOID)],
    "cublasLtMatmulDescCreate": [c.POINTER(_VOID), _INT, _INT],
    "cublasLtMatmulDescSetAttribute": [_VOID, _INT, _VOID, _SIZE],
    "cublasLtMatmulDescDestroy": [_VOID],
    "cublasLtMatrixLayoutCreate": [c.POINTER(_VOID), _INT, c.c_uint64, c.c_uint64, c.c_int64],
    "cublasLtMatrixLayoutSetAttribute": [_VOID, _INT, _VOID, _SIZE],
    "cublasLtMatrixLayoutDestroy": [_VOID],
    "cublasLtMatmulPreferenceCreate": [c.POINTER(_VOID)],
    "cublasLtMatmulPreferenceSetAttribute": [_VOID, _INT, _VOID, _SIZE],
    "cublasLtMatmulPreferenceDestroy": [_VOID],
    "cublasLtMatmulAlgoGetHeuristic": [
        _VOID, _VOID, _VOID, _VOID, _VOID, _VOID, _VOID, _INT, c.POINTER(_Heuristic), c.POINTER(_INT)],
    "cublasLtMatmul": [
        _VOID, _VOID, _VOID, _VOID, _VOID, _VOID, _VOID, _VOID, _VOID, _VOID, _VOID, _VOID, _VOID, _VOID, _SIZE, _VOID],
}  # fmt: skip


class Library(libraries.Library):
    """The loaded library."""

    name, finding, create, versions = "cuBLASLt", "cublasLt", "cublasLtCreate", "cublasLtGetVersion"
    signatures = _SIGNATURES


@cache
def _find() -> Library | str:
    return libraries.find(Library)


def library() -> Library:
    """cuBLASLt; `Unsupported` says why it is not there."""
    return libraries.required(_find())


@dataclass(frozen=True)
class Matrix:
    """A column-major matrix: ``rows`` × ``columns``, ``leading`` elements from column to column, ``step`` from one of a
    batch to the next (0: the same for all)."""

    rows: int
    columns: int
    leading: int
    step: int = 0


class Product:
    """D = epilogue(alpha · op(A) · op(B) + beta · C + bias) for one set of shapes. Safe from many threads."""

    def __init__(
        self, library: Library, device: Any, dtype: str, a: Matrix, b: Matrix, d: Matrix, transposed: tuple[bool, bool],
        batch: int = 1, tf32: bool = False, epilogue: str = "", bias: bool = False,
    ) -> None:  # fmt: skip
        self.library, self.device, self.batch = library, device, batch
        double = dtype == "float64"
        compute = COMPUTE_64F if double else COMPUTE_32F_FAST_TF32 if tf32 and dtype == "float32" else COMPUTE_32F
        self._scalar = c.c_double if double else c.c_float
        self.one, self.zero = self._scalar(1.0), self._scalar(0.0)
        self.description = library.make("cublasLtMatmulDescCreate", compute, TYPES["float64" if double else "float32"])
        self._describe(_TRANSA, c.c_int32(OP_T if transposed[0] else OP_N))
        self._describe(_TRANSB, c.c_int32(OP_T if transposed[1] else OP_N))
        number = EPILOGUES[epilogue]
        self._describe(_EPILOGUE, c.c_uint32((0 if number == _DEFAULT else number) + BIAS if bias else number))
        self.a, self.b, self.d = (self._layout(m, dtype) for m in (a, b, d))
        self.lock = threading.Lock() if bias else None
        if bias:  # some address, well aligned, for the choice of an algorithm
            self._describe(_BIAS_POINTER, c.c_void_p(256))
        self._algorithms: dict[int, _Heuristic] = {}

    def _describe(self, attribute: int, value: Any) -> None:
        self.library.call(
            "cublasLtMatmulDescSetAttribute", self.description, attribute, c.byref(value), c.sizeof(value)
        )

    def _layout(self, m: Matrix, dtype: str) -> c.c_void_p:
        made = self.library.make("cublasLtMatrixLayoutCreate", TYPES[dtype], m.rows, m.columns, m.leading)
        if self.batch > 1:
            for attribute, value in ((_BATCH_COUNT, c.c_int32(self.batch)), (_BATCH_OFFSET, c.c_int64(m.step))):
                self.library.call("cublasLtMatrixLayoutSetAttribute", made, attribute, c.byref(value), c.sizeof(value))
        return made

    def algorithm(self, alignment: int) -> _Heuristic:
        """The library's first choice for operands that lie at multiples of ``alignment`` bytes."""
        found = self._algorithms.get(alignment)
        if found is None:
            found = self._algorithms[alignment] = self._chosen(alignment)
        return found

    def _chosen(self, alignment: int) -> _Heuristic:
        library, result, count = self.library, _Heuristic(), c.c_int()
        preference = library.make("cublasLtMatmulPreferenceCreate")
        try:
            wanted: list[tuple[int, Any]] = [(_MAX_WORKSPACE, c.c_uint64(WORKSPACE))]
            wanted += [(_MIN_ALIGNMENT_A + k, c.c_uint32(alignment)) for k in range(4)]
            for attribute, value in wanted:
                library.call(
                    "cublasLtMatmulPreferenceSetAttribute", preference, attribute, c.byref(value), c.sizeof(value)
                )
            library.call("cublasLtMatmulAlgoGetHeuristic", library.handle(self.device), self.description, self.a, self.b,
                         self.d, self.d, preference, 1, c.byref(result), c.byref(count))  # fmt: skip
        finally:
            library.call("cublasLtMatmulPreferenceDestroy", preference)
        if not count.value or result.state:
            raise LaunchError(f"cuBLASLt has no algorithm for this product (status {result.state})")
        return result

    def run(self, a: int, b: int, d: int, stream: int, workspace: int, *, added: int = 0, alpha: float = 1.0,
            beta: float = 0.0, bias: int = 0) -> None:  # fmt: skip
        """Queue it on a stream; operands are addresses. ``added`` is C, laid out as D (0: D itself)."""
        together = a | b | d | added
        chosen = self.algorithm(min(together & -together, 16))
        one = self.one if alpha == 1.0 else self._scalar(alpha)
        rest = self.zero if beta == 0.0 else self._scalar(beta)
        arguments = (
            self.library.handle(self.device), self.description, c.byref(one), a, self.a, b, self.b, c.byref(rest),
            added or d, self.d, d, self.d, c.byref(chosen.algorithm), workspace, WORKSPACE, stream,
        )  # fmt: skip
        if self.lock is None:
            self.library.call("cublasLtMatmul", *arguments)
            return
        with self.lock:  # the address of the bias is part of the description
            self._describe(_BIAS_POINTER, c.c_void_p(bias))
            self.library.call("cublasLtMatmul", *arguments)

    def __del__(self) -> None:
        for kind, name in (("MatmulDesc", "description"), ("MatrixLayout", "a"), ("MatrixLayout", "b"), ("MatrixLayout", "d")):
            made = self.__dict__.get(name)
            if made is not None:
                self.library.call(f"cublasLt{kind}Destroy", made)
