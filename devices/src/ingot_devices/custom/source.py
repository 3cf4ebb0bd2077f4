"""Source kernels: an author's text in the device's own language, framed, built and launched.

    Request ──`SourceKernel`──▶ `Program` without a body ──renderer.frame──▶ source ──device.build──▶ launches

The author writes the body. Operands and outputs are pointers by name (``x[i]``), numbers are values by name. Also there:
``x_t`` (the element type of x), ``index_t``, and what the text mentions of ``x_size``, ``x_shape0`` …, ``x_stride0`` …
(axes from the left; 64-bit where the device has them). Attributes and ``constants`` are compile-time constants.
Works on every device whose code generator has a renderer that frames text (`codegen.c_family.CRenderer.frame`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import dtypes as dt
from ..codegen import Compiled, Unsupported, arguments
from ..device import Arguments, Binding
from ..dtypes import DType
from ..errors import KernelBuildError
from ..ir.program import Buffer, Local, Program, Scalar
from ..layout import Layout
from ..opset.op import OPS, Op, parameters
from ..registry import Request
from . import tuned
from .origin import Origin

Dims = int | Sequence[int]
OfShapes = Callable[..., Any]
"""A function of operands and outputs (as `Layout`, with shape, size, strides, dtype), attributes and constants, by name."""


@dataclass(frozen=True, eq=False)
class SourceKernel:
    """What `source_kernel` declares; called with a `Request` it makes the launch. See there for the fields."""

    op: Op | str
    device: str
    text: str
    origin: Origin
    grid: Dims | OfShapes | None = None
    threads: Dims | OfShapes | None = None
    block: Dims | OfShapes = 64
    local: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    helpers: str = ""
    helpers_origin: Origin | None = None
    variants: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    all_dtypes: bool = False
    refuse: OfShapes | None = None  # why it does not take these shapes; an empty string: it does
    only_tuned: bool = False  # it waits for `tune` to have found it the fastest
    choice: Mapping[str, Any] | None = None  # a variant that `tune` tries; None: the best known, else the first of each

    @property
    def row(self) -> Op:
        """The op's row."""
        return OPS[self.op] if isinstance(self.op, str) else self.op

    def __call__(self, request: Request) -> Compiled | None:
        """The launch for these layouts; None where an in-place op wants input and output in one place."""
        if request.aliased:
            return None
        renderer = getattr(request.device.codegen, "renderer", None)
        if not hasattr(renderer, "frame"):
            raise Unsupported(f"{request.device.name} takes no source kernels: its code generator frames no author's text")
        return _Made(self, request, renderer).compiled()


class _Made:
    """One kernel for one request."""

    def __init__(self, kernel: SourceKernel, request: Request, renderer: Any) -> None:
        self.kernel, self.request, self.device, self.renderer = kernel, request, request.device, renderer
        row = kernel.row
        names = [row.names[min(n, len(row.names) - 1)] for n in range(len(request.layouts))]
        fresh = [k for k in range(len(row.outputs)) if k not in row.mutates]
        self.written = {names[row.mutates[k]] for k in row.mutates} | {row.outputs[k] for k in fresh}
        self.layouts: list[tuple[str, Any]] = [
            *zip(names, request.layouts, strict=True), *((row.outputs[k], request.outputs[k]) for k in fresh),
        ]  # fmt: skip
        self.tensors = [(n, name, lay) for n, (name, lay) in enumerate(self.layouts) if isinstance(lay, Layout)]
        self.bits = 64 if self.device.limits.index_bits >= 64 else 32
        self.scope: dict[str, Any] = {**request.attributes, **dict(self.layouts)}
        self.scope |= self._choice()
        refused = self._of_shapes(kernel.refuse) if kernel.refuse else ""
        if refused:
            raise Unsupported(refused)
        for name, value in kernel.constants.items():
            if name not in self.scope:
                self.scope[name] = self._of_shapes(value)
        self._check_types()
        self.scalars, self.values = self._scalars()
        self.block = self._dims(kernel.block)
        self.grid = self._grid()
        self.entries: dict[tuple[int, ...], Any] = {}
        self.source = ""

    def compiled(self) -> Compiled:
        """The call, built for operands that share no memory."""
        usual = tuple(range(len(self.tensors)))
        self._entry(usual)
        if any(lay.size == 0 for n, name, lay in self.tensors if name in self.written) and 0 in self.grid:
            return Compiled(lambda *operands: None, self.source, 0)
        self._check_limits()
        return Compiled(self._call(usual), self.source, origin=str(self.kernel.origin))

    # ---- shapes --------------------------------------------------------------------------------------------------------
    def _choice(self) -> dict[str, Any]:
        first = {name: tried[0] for name, tried in self.kernel.variants.items()}
        chosen = self.kernel.choice
        if chosen is None and first:
            chosen = tuned.best(self.request, self.kernel.variants)
            if chosen is tuned.USUAL:
                raise Unsupported("`ingot tune` found the usual route faster")
            if chosen is None and self.kernel.only_tuned:
                raise Unsupported(f"it waits for `ingot tune {self.request.op} --device {self.device.name}`")
        return {**first, **(chosen or {})}

    def _of_shapes(self, value: Any) -> Any:
        """``value``, or what it is for these shapes."""
        if not callable(value):
            return value
        asked = parameters(value)
        strange = [p for p in asked if p not in self.scope]
        if strange:
            self.kernel.origin.refuse(f"a function of shapes asks for {strange}; it can have {sorted(self.scope)}")
        return value(*(self.scope[p] for p in asked))

    def _dims(self, value: Any) -> tuple[int, int, int]:
        found = self._of_shapes(value)
        if isinstance(found, str):
            found = self.scope[found]
        sizes = (found,) if isinstance(found, int) else tuple(int(n) for n in found)
        if not 1 <= len(sizes) <= 3:
            self.kernel.origin.refuse(f"a grid or a block has one to three sizes, not {found!r}")
        x, y, z = (*sizes, 1, 1)[:3]
        return x, y, z

    def _grid(self) -> tuple[int, int, int]:
        kernel = self.kernel
        if kernel.grid is not None:
            return self._dims(kernel.grid)
        first = next(lay for n, name, lay in reversed(self.tensors) if name in self.written)
        if kernel.threads is None:
            wanted = (self.scope.get(kernel.row.outputs[0], first).size, 1, 1)
        else:
            wanted = self._dims(kernel.threads)
        x, y, z = (-(-n // b) for n, b in zip(wanted, self.block, strict=True))
        return x, y, z

    def _check_types(self) -> None:
        if self.kernel.all_dtypes:
            return
        for _, name, layout in self.tensors:
            kept = self.device.limits.dtype_class(layout.dtype)
            if kept.kind != "native" and layout.dtype is not dt.bool_:
                raise Unsupported(f"{name} is {layout.dtype.name}, which {self.device.name} keeps as {kept.storage.name}; "
                                  "list it in dtypes= to take it")

    def _check_limits(self) -> None:
        limits, x = self.device.limits, self.block
        if x[0] * x[1] * x[2] > limits.max_workgroup or any(
            n > most for n, most in zip(x, limits.max_workgroup_dims, strict=True)
        ):
            raise Unsupported(f"a block of {x} is more than {self.device.name} takes ({limits.max_workgroup} work-items)")
        if any(n > most for n, most in zip(self.grid, limits.max_grid, strict=True)):
            raise Unsupported(f"a grid of {self.grid} is more than {self.device.name} takes ({limits.max_grid})")
        nbytes = sum(m.dtype.itemsize * m.size for m in self._locals())
        if nbytes > limits.workgroup_memory:
            raise Unsupported(f"{nbytes} bytes of workgroup memory; {self.device.name} has {limits.workgroup_memory}")

    # ---- the program ---------------------------------------------------------------------------------------------------
    def _scalars(self) -> tuple[tuple[Scalar, ...], list[Any]]:
        """The packed block: (what it holds, where each value is from: a number, or ("number"|"offset", operand))."""
        found: list[tuple[Scalar, Any]] = [(Scalar(f"{name}_offset", dt.index), ("offset", n)) for n, name, _ in self.tensors]
        asked = set(re.findall(r"\b\w+_(?:size|shape\d+|stride\d+)\b", self.kernel.text + self.kernel.helpers))
        for _, name, layout in self.tensors:
            sizes = {f"{name}_size": layout.size}
            sizes |= {f"{name}_shape{k}": n for k, n in enumerate(layout.shape)}
            sizes |= {f"{name}_stride{k}": n for k, n in enumerate(layout.strides)}
            found += [(Scalar(k, dt.index), v) for k, v in sizes.items() if k in asked]
        wide = any(lay.dtype is dt.float64 for _, _, lay in self.tensors)
        types = {float: dt.float64 if wide else dt.float32, int: dt.int64 if self.bits == 64 else dt.int32, bool: dt.bool_}
        for n, (name, key) in enumerate(self.layouts):
            if isinstance(key, type):
                found.append((Scalar(name, types[key]), ("number", n)))
        found.sort(key=lambda pair: -_width(pair[0].dtype, self.bits))
        return tuple(s for s, _ in found), [v for _, v in found]

    def _locals(self) -> tuple[Local, ...]:
        made = []
        for name, (kind, size) in self.kernel.local.items():
            dtype = self.scope[kind[:-2]].dtype if kind.endswith("_t") and kind[:-2] in self.scope else dt.dtype(kind)
            found = self.scope[size] if isinstance(size, str) else self._of_shapes(size)
            made.append(Local(name, dtype, int(found)))
        return tuple(made)

    def _entry(self, pattern: tuple[int, ...]) -> Any:
        """The built kernel for a pattern of shared handles: operand k has the binding of operand ``pattern[k]``."""
        found = self.entries.get(pattern)
        if found is not None:
            return found
        numbers = {owner: k for k, owner in enumerate(sorted(set(pattern)))}
        shared = [p for p in pattern if pattern.count(p) > 1]
        buffers = []
        for k, (_, name, layout) in enumerate(self.tensors):
            storage = self.device.limits.dtype_class(layout.dtype).storage
            access = "rw" if name in self.written else "r"
            if any(self.tensors[j][1] in self.written for j in range(len(pattern)) if pattern[j] == pattern[k]):
                access = "rw" if pattern[k] in shared else access
            kept = layout.dtype if storage.itemsize == layout.dtype.itemsize else storage
            buffers.append(Buffer(f"{name}_base", kept, access, numbers[pattern[k]]))
        row = self.kernel.row
        name = re.sub(r"\W+", "_", f"{row.name}_kernel")
        program = Program(name, tuple(buffers), self.scalars, self._locals(), (), self.block, self.bits)
        frame = self.renderer.frame(program, self.kernel.text, self.kernel.helpers, self._defines())
        self.source = self.source or frame.source
        try:
            found = self.device.build(frame.source, name)
        except KernelBuildError as error:
            raise self._refused(error, frame) from error
        self.entries[pattern] = found
        return found

    def _defines(self) -> dict[str, str]:
        skipped = {name for name, _ in self.layouts}
        return {k: _literal(v) for k, v in self.scope.items() if k not in skipped and v is not None}

    def _refused(self, error: KernelBuildError, frame: Any) -> KernelBuildError:
        """The compiler's first error, at the author's own line."""
        kernel = self.kernel
        number, said = _first_error(error.log)
        origin, text, first = kernel.origin, kernel.text, frame.text_line
        if kernel.helpers and kernel.helpers_origin and number < first and number >= frame.helpers_line:
            origin, text, first = kernel.helpers_origin, kernel.helpers, frame.helpers_line
        line = number - first + 1
        lines = text.splitlines()
        if not 1 <= line <= len(lines):
            told = said or error.log.strip()[:500]
            message = f"{origin}: {self.device.name} refused this kernel of {kernel.row.name}: {told}"
            return KernelBuildError(message, error.source, error.log)
        where = origin.at(line) if origin.exact else f"{origin} (line {line} of its text)"
        message = (f"{where}: {self.device.name} refused this kernel of {kernel.row.name}: {said}\n"
                   f"    {lines[line - 1].strip()}\n"
                   "The whole source and the compiler's log are in this error's .source and .log")
        return KernelBuildError(message, error.source, error.log)

    # ---- the launch ----------------------------------------------------------------------------------------------------
    def _call(self, usual: tuple[int, ...]) -> Callable[..., None]:
        device, grid, block = self.device, self.grid, self.block
        launch, pack = device.launch, arguments.block(self.scalars, self.bits).pack
        numbers = [n for n, _, _ in self.tensors]
        writes = [k for k, (_, name, _) in enumerate(self.tensors) if name in self.written]
        takes = [self._taker(s, v) for s, v in zip(self.scalars, self.values, strict=True)]

        def call(*operands: Any) -> None:
            handles = [operands[n][0] for n in numbers]
            pattern = usual
            if any(handles[w] is h for w in writes for k, h in enumerate(handles) if k != w):
                pattern = tuple(next(j for j, o in enumerate(handles) if o is h) for h in handles)
            entry = self._entry(pattern)
            bindings = tuple(
                Binding(handles[k], "rw" if any(pattern[w] == k for w in writes) else "r") for k in sorted(set(pattern))
            )
            stream = device.current_stream() if device.streams else None
            launch(entry, grid, block, Arguments(bindings, pack(*[take(operands) for take in takes])), stream)

        return call

    def _taker(self, scalar: Scalar, value: Any) -> Callable[[Sequence[Any]], Any]:
        if not isinstance(value, tuple):
            return lambda operands: value
        what, n = value
        if what == "offset":
            return lambda operands: operands[n][1]
        convert = arguments.converter(scalar.dtype)
        return lambda operands: convert(operands[n])


def _width(dtype: DType, bits: int) -> int:
    return bits // 8 if dtype is dt.index else dtype.itemsize


def _literal(value: Any) -> str:
    """A compile-time constant as C text; a dtype by its name, which the renderer knows."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return repr(value) if value == value and abs(value) != float("inf") else str(value).upper()
    return value.name if isinstance(value, DType) else str(value)


_ERRORS = (
    re.compile(r":(\d+):\d+:\s*(?:fatal )?error:\s*(.*)"),  # clang and what is built on it
    re.compile(r"\((\d+)\)\s*:\s*(?:catastrophic )?error:?\s*(.*)"),  # NVIDIA's compilers
    re.compile(r":(\d+):\d+\s*(?::|-)?\s*(.*)"),
)


def _first_error(log: str) -> tuple[int, str]:
    """(line of the source, what the compiler says); (0, "") where the log names no line."""
    for pattern in _ERRORS:
        found = pattern.search(log)
        if found:
            return int(found.group(1)), found.group(2).strip()
    return 0, ""


__all__ = ["SourceKernel"]
