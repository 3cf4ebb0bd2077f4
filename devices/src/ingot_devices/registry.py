"""The kernel registry: which plugin claims which op on which devices.

Filled at discovery through the hook ``ingot_kernels``; read by `resolve` when a plan is made, never on the op path.
Keyed by op and device kind; a kernel declares the classes it takes (dtypes, layouts, attribute values), a priority
and, through discovery, an owner. Two owners with an equal claim: neither wins, and both get a record.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .context import changed
from .dtypes import DType
from .layout import Layout

LAYOUTS: dict[str, Callable[[Layout], bool]] = {
    "any": lambda x: True,
    "aligned": lambda x: True,
    "matrix-dense": lambda x: x.is_dense or 1 in x.strides[-2:],
    "inner-dense": lambda x: x.is_dense or 1 in x.strides[-1:],
    "dense": lambda x: x.is_dense,
}
"""How a kernel may want its operands to lie: what is true of those that need no copy. Matrix-dense: along one of the last two
axes; inner-dense: along the last one; aligned: as any, today (a view may begin at each element)."""


@dataclass(frozen=True)
class Request:
    """What dispatch asks a kernel for. ``layouts`` has a Layout per tensor operand, a type per number, or None.

    ``aliased``: positions of inputs that share memory, element for element, with the output.
    """

    op: str
    layouts: tuple[Any, ...]
    attributes: Mapping[str, Any]
    outputs: tuple[Layout, ...]
    device: Any
    aliased: frozenset[int] = frozenset()


@dataclass(frozen=True, eq=False)
class Kernel:
    """A claim: ``op`` on devices of kind ``device``, for these classes.

    ``make(request)`` returns what is launched: a function of (operands…, outputs…) as native views, or a
    `codegen.Compiled`; None declines. ``dtypes``: what all tensor operands may be (None: any). ``layout``: what each
    tensor operand must be (one of LAYOUTS); dispatch copies each that is not, and no other. ``attributes``: values that
    must match.
    """

    op: str
    device: str
    make: Callable[[Request], Any]
    dtypes: Sequence[DType] | None = None
    layout: str = "any"
    attributes: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 0
    owner: str = ""

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ValueError(f"kernel for {self.op}: layout {self.layout!r} is none of {', '.join(LAYOUTS)}")
        if ":" in self.device:
            kind = self.device.partition(":")[0]
            raise ValueError(f"kernel for {self.op}: it is for a kind of device, {kind!r}, and not for {self.device!r} alone")
        given = self.dtypes
        if given is not None and (isinstance(given, (str, DType)) or not all(isinstance(d, DType) for d in given)):
            raise TypeError(f"kernel for {self.op}: dtypes is a sequence as (dtypes.float32, dtypes.int32), or None for all; "
                            f"given: {given!r}")

    def claim(self) -> tuple[Any, ...]:
        """What makes two kernels rivals."""
        dtypes = None if self.dtypes is None else frozenset(d.name for d in self.dtypes)
        return (self.op, self.device, dtypes, self.layout, tuple(sorted(self.attributes.items())), self.priority)

    def refuses(self, request: Request) -> str:
        """Why this kernel does not take the request, or an empty string."""
        for layout in request.layouts:
            if isinstance(layout, Layout) and self.dtypes is not None and layout.dtype not in self.dtypes:
                return f"takes no {layout.dtype.name}"
        for name, wanted in self.attributes.items():
            if request.attributes.get(name) != wanted:
                return f"wants {name}={wanted!r}"
        return ""


@dataclass(frozen=True)
class Off:
    """Registered kernels that a scope leaves out, to compare: of this owner, op and device kind (None: any)."""

    owner: str | None = None
    op: str | None = None
    device: str | None = None

    def hides(self, kernel: Kernel) -> bool:
        """True when ``kernel`` is left out."""
        wanted = (self.owner, self.op, self.device)
        given = (kernel.owner, kernel.op, kernel.device)
        return all(w is None or w == g for w, g in zip(wanted, given, strict=True))


@dataclass(frozen=True)
class Conflict:
    """Two owners claimed the same; neither kernel is used."""

    op: str
    device: str
    owners: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{' and '.join(self.owners)} both claim {self.op} on {self.device} with equal priority; neither is used. "
            "Uninstall one, or give one a higher priority"
        )


class Registry:
    """All kernels, by (op, device kind)."""

    def __init__(self) -> None:
        self._kernels: dict[tuple[str, str], list[Kernel]] = {}
        self._lock = threading.Lock()

    def register(self, kernel: Kernel, owner: str = "") -> None:
        """Add a kernel (``owner`` is filled in by discovery)."""
        made = replace(kernel, owner=owner) if owner else kernel
        with self._lock:
            self._kernels.setdefault((made.op, made.device), []).append(made)
        changed()

    def remove(self, owner: str) -> None:
        """Forget every kernel of ``owner``."""
        with self._lock:
            for key, kernels in self._kernels.items():
                self._kernels[key] = [k for k in kernels if k.owner != owner]
        changed()

    def candidates(self, op: str, device: str) -> list[Kernel]:
        """Kernels for ``op`` on ``device``, best first, rivals left out."""
        with self._lock:
            kernels = list(self._kernels.get((op, device), ()))
        rivals = {c for c in map(Kernel.claim, kernels) if len(_owners(kernels, c)) > 1}
        return sorted((k for k in kernels if k.claim() not in rivals), key=lambda k: -k.priority)

    def conflicts(self) -> tuple[Conflict, ...]:
        """Every pair of equal claims."""
        with self._lock:
            groups = [list(v) for v in self._kernels.values()]
        found = []
        for kernels in groups:
            for claim in dict.fromkeys(map(Kernel.claim, kernels)):
                owners = _owners(kernels, claim)
                if len(owners) > 1:
                    found.append(Conflict(claim[0], claim[1], tuple(owners)))
        return tuple(found)


def _owners(kernels: list[Kernel], claim: tuple[Any, ...]) -> list[str]:
    return sorted({k.owner for k in kernels if k.claim() == claim})


registry = Registry()
"""The process's registry."""
