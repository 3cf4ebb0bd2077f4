"""`opcheck`: what a declaration promises, tried on a device (`torch.library.opcheck`'s name).

From the declaration alone: operands of generated shapes, dtypes and strides; values against the NumPy reference in
float64; gradients of first and second order against central differences. Called by a custom op's own tests, one
`OpCase` each, or at once.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ingot_devices import dtypes as dt
from ingot_devices.dtypes import DType

SHAPES: tuple[tuple[int, ...], ...] = ((4, 5), (3,), (2, 3, 33), (1, 1), (65, 7))
"""Around tile edges, one element, several axes."""
EMPTY: tuple[tuple[int, ...], ...] = ((0, 3),)
SMALL: tuple[int, ...] = (2, 3)
"""Where gradients are compared with differences: two calls for each element, and again for each of those."""
CHECKS = ("value", "gradient", "second order")
FORMS = ("dense", "transposed", "stepped", "expanded", "offset")


@dataclass(frozen=True)
class OpCase:
    """One check: ``check`` is "value", "gradient" or "second order"."""

    check: str
    dtype: DType
    shape: tuple[int, ...]
    form: str = "dense"

    def __str__(self) -> str:
        return f"{self.check} {self.dtype.name} {'x'.join(map(str, self.shape)) or 'scalar'} {self.form}"


@dataclass
class OpReport:
    """What `opcheck` did: ``route`` of the op on the device, and how many cases of each check passed."""

    op: str
    device: str
    route: str
    passed: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        done = ", ".join(f"{n} {check}" for check, n in self.passed.items()) or "nothing"
        left = "".join(f"; {check} left out: {why}" for check, why in self.skipped.items())
        return f"{self.op} on {self.device} ({self.route}): {done} passed{left}"


class OpcheckError(AssertionError):
    """A custom op does not do what its declaration says: which case, which element, both numbers."""


def opcheck(
    op: Any,
    *,
    device: Any = None,
    dtypes: Sequence[DType] = (dt.float32, dt.float64),
    shapes: Sequence[tuple[int, ...]] = (*SHAPES, *EMPTY),
    samples: Callable[[tuple[int, ...]], Mapping[str, tuple[int, ...]]] | None = None,
    low: float = -2.0,
    high: float = 2.0,
    ulp: float = 16.0,
    seed: int = 0,
    checks: Sequence[str] = CHECKS,
    **attributes: Any,
) -> OpReport:
    """Check ``op`` (a `library.CustomOp`) on ``device``; `OpcheckError` shows the first case that fails.

    ``samples(shape)`` gives the shape of each operand for one of ``shapes``; default: that shape for all. Values are
    uniform in [``low``, ``high``). ``ulp`` bounds the error, in units of the last place of the
    largest value among operands and results.
    ``checks``: which of `CHECKS` to do. An op without gradient has no gradient cases, nor has a device without float64;
    the report says so.
    """
    import ingot

    checker = _Checker(op, ingot.device(device or ingot.get_default_device()), samples, (low, high), ulp, seed, attributes)
    for case in checker.cases(dtypes, shapes):
        if case.check in checks:
            checker.run(case)
    return checker.report


class _Checker:
    """One op on one device."""

    def __init__(
        self, op: Any, device: Any, samples: Any, domain: tuple[float, float], ulp: float, seed: int, attributes: dict[str, Any]
    ) -> None:
        from .devices import open_device

        self.op, self.declared, self.device = op, op.declared, device
        self.samples = samples or (lambda shape: dict.fromkeys(self.declared.tensors, shape))
        self.domain, self.ulp, self.seed, self.attributes = domain, ulp, seed, attributes
        self.opened = open_device(device)
        self.results: Sequence[Any] = ()
        self.report = OpReport(self.declared.row.name, self.opened.name, "")

    def cases(self, dtypes: Sequence[DType], shapes: Sequence[tuple[int, ...]]) -> Iterator[OpCase]:
        """Every case that this op and device have."""
        limits = self.opened.limits
        for dtype in dtypes:
            refused = limits.dtype_class(dtype)
            if refused.kind == "refused":
                self.report.skipped[f"value {dtype.name}"] = refused.reason
                continue
            yield from (OpCase("value", dtype, shape) for shape in shapes)
            yield from (OpCase("value", dtype, shapes[0], form) for form in FORMS[1:])
        if self.declared.row.gradient is None and self.declared.row.decompose is None:
            self.report.skipped["gradient"] = "the declaration says that there is none"
        elif limits.dtype_class(dt.float64).kind == "refused":
            self.report.skipped["gradient"] = limits.dtype_class(dt.float64).reason
        else:
            yield from (OpCase(check, dt.float64, SMALL) for check in CHECKS[1:])

    def run(self, case: OpCase) -> None:
        """Raise if ``case`` fails."""
        try:
            {"value": self._value, "gradient": self._gradient, "second order": self._second}[case.check](case)
        except OpcheckError:
            raise
        except Exception as error:
            raise OpcheckError(f"{self._name(case)}: {type(error).__name__}: {error}") from error
        self.report.passed[case.check] = self.report.passed.get(case.check, 0) + 1

    def _name(self, case: OpCase) -> str:
        return f"{self.declared.row.name} on {self.opened.name}, {case} (declared in {self.declared.origin})"

    # ---- operands ------------------------------------------------------------------------------------------------------
    def _operands(self, case: OpCase) -> tuple[list[Any], list[Any]]:
        """Tensors in the case's form, and their values as NumPy arrays of float64."""
        rng = np.random.default_rng([self.seed, zlib.crc32(str(case).encode())])
        tensors, arrays = [], []
        for shape in self.samples(case.shape).values():
            values = rng.uniform(*self.domain, shape) if case.dtype.kind == "f" else rng.integers(-4, 5, shape)
            tensor = self._laid(values, case)
            tensors.append(tensor)
            exact = tensor.detach().cpu().numpy()
            arrays.append(exact.astype(np.float64) if case.dtype.kind == "f" else exact)
        return tensors, arrays

    def _laid(self, values: Any, case: OpCase) -> Any:
        import ingot

        def tensor(array: Any) -> Any:
            return ingot.tensor(array, dtype=case.dtype, device=self.device)

        if case.form == "transposed" and values.ndim > 1:
            return tensor(np.ascontiguousarray(np.moveaxis(values, -1, 0))).movedim(0, -1)
        if case.form == "stepped" and values.ndim:
            wide = np.repeat(values, 2, axis=-1)
            return tensor(wide)[..., ::2]
        if case.form == "expanded" and values.ndim:
            return tensor(values[..., :1]).expand(values.shape)
        if case.form == "offset" and values.ndim:
            return tensor(np.concatenate([values[:1], values]))[1:]
        return tensor(values)

    # ---- checks --------------------------------------------------------------------------------------------------------
    def _value(self, case: OpCase) -> None:
        tensors, arrays = self._operands(case)
        self._note_route(tensors)
        self._poison()
        made = self.op(*tensors, **self.attributes)
        outs = made if isinstance(made, tuple) else (made,)
        numbers = [self.attributes.get(n, v) for n, v in self.declared.scalars.items()]
        attrs = {k: self.attributes.get(k, v) for k, v in self.declared.row.attributes.items()}
        with np.errstate(all="ignore"):
            wanted = self.declared.evaluate([*arrays, *numbers], attrs)
        for name, out, want in zip(self.declared.row.outputs, outs, wanted, strict=True):
            self._compare(case, name, out, np.asarray(want), max((np.abs(a).max(initial=0) for a in arrays), default=0))

    def _compare(self, case: OpCase, name: str, out: Any, want: Any, scale: float) -> None:
        have = out.detach().cpu().numpy()
        if have.shape != want.shape:
            raise OpcheckError(f"{self._name(case)}: {name} has the shape {list(have.shape)}, its reference {list(want.shape)}")
        if not have.size:
            return
        wide = have.astype(np.float64)
        finite = np.isfinite(want)
        size = np.abs(want[finite]).max(initial=scale)
        eps = np.finfo(have.dtype).eps if have.dtype.kind == "f" else 0.0
        bound = self.ulp * eps * size
        bad = np.where(finite, ~(np.abs(wide - want) <= bound), ~((wide == want) | (np.isnan(wide) & np.isnan(want))))
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            raise OpcheckError(f"{self._name(case)}: {name}{list(at)} is {wide[at]:.9g}, its reference {want[at]:.9g} "
                               f"({int(bad.sum())} of {bad.size} elements differ by more than {bound:.3g})")

    def _note_route(self, tensors: Sequence[Any]) -> None:
        from ingot_devices.context import state

        from .dispatch import find

        row = self.declared.row
        operands = [*tensors, *self.declared.scalars.values()]
        entry, _ = find(row, operands, row.defaults, state.context, None)
        self.results = entry.plan.allocations[: len(row.outputs)]
        if not self.report.route:
            self.report.route = entry.plan.route + (f", {entry.plan.note}" if entry.plan.note else "")

    def _poison(self) -> None:
        """Leave NaN in the memory that the pool hands out next: what a kernel does not write is then seen."""
        import ingot

        poisoned = [
            ingot.tensor(np.full(x.shape, np.nan if x.dtype.kind == "f" else 77), dtype=x.dtype, device=self.device)
            for x in self.results if x.size
        ]  # fmt: skip
        del poisoned

    def _gradient(self, case: OpCase) -> None:
        from .autograd import gradcheck

        gradcheck(lambda *x: self.op(*x, **self.attributes), self._leaves(case))

    def _second(self, case: OpCase) -> None:
        from .autograd import gradgradcheck

        gradgradcheck(lambda *x: self.op(*x, **self.attributes), self._leaves(case))

    def _leaves(self, case: OpCase) -> list[Any]:
        tensors, _ = self._operands(case)
        return [x.detach().requires_grad_() for x in tensors]
