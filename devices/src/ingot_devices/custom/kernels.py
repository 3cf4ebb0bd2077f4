"""The three ways to write a kernel, each as a `registry.Kernel` for one op on one kind of device.

    expression_kernel("softplus", "acme", "out = log1p(exp(x))")           portable, through the kernel IR
    source_kernel("softplus", "opencl", "out[get_global_id(0)] = …;")      the device's own language
    callable_kernel("matmul", "acme", vendor_matmul)                       a function of native views

Register them through the hook ``ingot_kernels`` (a distribution may bring nothing else), with
`ingot_devices.registry.registry`, or for a block of code with ``ingot.use_kernel``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ..codegen import Compiled, Unsupported
from ..dtypes import DType
from ..layout import Layout
from ..opset.op import OPS, Op
from ..registry import Kernel, Request
from .origin import origin
from .parse import parse
from .source import Dims, OfShapes, SourceKernel


def _row(op: Op | str, where: Any) -> Op:
    if isinstance(op, Op):
        return op
    found = OPS.get(op)
    if found is None:
        where.refuse(f"no op is called {op!r}; declare it first, or name one of the opset")
    assert found is not None
    return found


def source_kernel(
    op: Op | str,
    device: str,
    text: str,
    *,
    grid: Dims | OfShapes | None = None,
    threads: Dims | OfShapes | None = None,
    block: Dims | OfShapes = 64,
    local: Mapping[str, tuple[str, Any]] | None = None,
    constants: Mapping[str, Any] | None = None,
    helpers: str = "",
    variants: Mapping[str, Sequence[Any]] | None = None,
    dtypes: Sequence[DType] | None = None,
    layout: str = "dense",
    attributes: Mapping[str, Any] | None = None,
    refuse: OfShapes | None = None,
    only_tuned: bool = False,
    priority: int = 0,
    owner: str = "",
) -> Kernel:
    """A kernel of ``op`` on devices of kind ``device``, in their own language; see `source` for what ``text`` may name.

    ``grid`` is the number of workgroups, or instead ``threads`` that of work-items (default: one for each element of the
    first output), ``block`` the size of a workgroup: a number, up to three, or a function of the shapes
    (``lambda x, out: out.shape[0]``). ``local``: workgroup memory, name → (dtype name or ``"x_t"``, elements).
    ``constants``: compile-time constants, numbers or functions of the shapes. ``helpers``: text before the kernel.
    ``variants``: name → values to try for a constant or for ``block="NAME"``; the first is taken until `ingot tune` has
    measured. ``dtypes``: what the operands may be; default: all that the device keeps as they are. ``layout``: what each
    operand must be ("dense", "any", …); dispatch copies one that is not. ``attributes``: values that must match.
    ``refuse``: a function of the shapes that says why it does not take them (an empty string: it does). ``only_tuned``:
    it is not used before `ingot tune` found one of its variants the fastest.

    Errors name the author's file and line: `DeclarationError` here, `KernelBuildError` when the compiler refuses it.
    """
    place = origin(text)
    row = _row(op, place)
    if grid is not None and threads is not None:
        place.refuse("give grid (workgroups) or threads (work-items), not both")
    made = SourceKernel(
        op if isinstance(op, Op) else row.name, device, text, place, grid, threads, block, dict(local or {}),
        dict(constants or {}), helpers, origin(helpers) if helpers else None, dict(variants or {}), dtypes is not None,
        refuse, only_tuned,
    )  # fmt: skip
    _check_mentions(made, row)
    return Kernel(row.name, device, made, dtypes, layout, dict(attributes or {}), priority, owner or _owner(place.file))


def _check_mentions(kernel: SourceKernel, row: Op) -> None:
    """A text that does not name an output writes nothing to it."""
    for k, name in enumerate(row.outputs):
        target = row.names[row.mutates[k]] if k in row.mutates else name
        if target not in kernel.text:
            inputs = ", ".join(row.names)
            kernel.origin.refuse(f"the kernel's text never names {target!r}, which it has to write; the operands of "
                                 f"{row.name} are {inputs}, its outputs {', '.join(row.outputs)}")


def expression_kernel(
    op: Op | str, device: str, text: str, *, dtypes: Sequence[DType] | None = None, priority: int = 0, owner: str = "",
    attributes: Mapping[str, Any] | None = None,
) -> Kernel:  # fmt: skip
    """A kernel of ``op`` as an expression, which the device's own code generator makes; see `parse`.

    Its results are those of the op: they are assigned by name.
    """
    from .declare import expression_of

    source = parse(text)
    row = _row(op, source.origin)
    made = expression_of(source, row.name, row.names, row.outputs, {}, row.attributes).op(None)

    def make(request: Request) -> Compiled:
        codegen = request.device.codegen
        if codegen is None:
            raise Unsupported(f"{request.device.name} generates no kernels")
        from ..resolve import specs_of

        specs, attrs = specs_of(request.layouts), tuple(request.attributes.values())
        outputs = made.infer(specs, attrs)
        wanted = [(x.shape, x.dtype) for x in request.outputs]
        if [(x.shape, x.dtype) for x in outputs] != wanted:
            source.refuse(f"the results are {list(outputs)}, those of {row.name} are {wanted}")
        layouts = {n: x for n, x in enumerate((*request.layouts, *request.outputs)) if isinstance(x, Layout)}
        (definition,) = made.definitions(specs, attrs, outputs)
        compiled: Compiled = codegen.compile(definition, layouts, request.device, request.aliased)
        return replace(compiled, origin=str(source.origin))

    return Kernel(row.name, device, make, dtypes, "any", dict(attributes or {}), priority, owner or _owner(source.origin.file))


def callable_kernel(
    op: Op | str, device: str, function: Callable[..., Any], *, dtypes: Sequence[DType] | None = None,
    layout: str = "any", attributes: Mapping[str, Any] | None = None, priority: int = 0, owner: str = "",
) -> Kernel:  # fmt: skip
    """A kernel of ``op`` as a function of native views (`Device.view`): operands in order, then outputs to fill.

    For a vendor's library. Attributes go to the function as keywords where it names them. On a device whose views are
    (handle, offset) it learns neither shapes nor the device: use a `Kernel`, whose ``make`` does, or give the device
    another `view`.
    """
    place = origin()
    row = _row(op, place)
    named = set(inspect.signature(function).parameters)

    def make(request: Request) -> Callable[..., Any] | None:
        if request.aliased:
            return None
        known = {k: v for k, v in request.attributes.items() if k in named}
        return partial(function, **known) if known else function

    return Kernel(row.name, device, make, dtypes, layout, dict(attributes or {}), priority, owner or _owner(place.file))


def _owner(file: str) -> str:
    """Until discovery says whose it is: the author's file."""
    return file.replace("\\", "/").rsplit("/", 1)[-1]
