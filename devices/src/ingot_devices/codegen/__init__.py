"""Code generation: from a definition to something a device can launch.

    definition ──▶ host.HostCodegen        NumPy source, whole axes at a time: the host route, and `cpu`'s own
              └──▶ schedule.ScheduleCodegen  bind layouts → collapse → abstract → schedule → Program → render → build

A device names its code generator in ``Device.codegen``. Both give a `Compiled`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..device import Device
    from ..ir.definition import Definition
    from ..layout import Layout


Attach = Callable[["Definition", int, Mapping[int, "Layout"]], Callable[..., Any]]


class Unsupported(Exception):
    """This code generator cannot take this definition here; the text is the reason that `explain` shows."""


@dataclass(frozen=True)
class Compiled:
    """A kernel ready to be launched.

    ``call(*operands)`` takes what stands at each operand number of the definition: a native view (`Device.view`), a
    Python number for a scalar operand, None for an operand left out. It queues the work and returns nothing.
    ``source`` is for people; ``launches`` counts the device launches of one call.
    ``origin`` is the ``file:line`` of a kernel that somebody wrote. ``results``: the layouts in which it leaves all its
    results, where they are not the dense ones; each fills its memory, in another order of axes. ``behind``, where there is
    one, takes the name of an op of one operand and returns the call that leaves that op of the result in the result's place
    (a library's product with an activation as its epilogue); `Unsupported` where there is none. It may round once less:
    compiled programs use it where that was asked for. ``attach``, where there is one, takes a pointwise definition, the number
    of that of its operands which is the kernel's one result, and the layouts by number; it returns the call over (operands,
    then the definition's operands, with None for the result unless it is stored to as well) that gives the same bits as
    both, or raises `Unsupported`.
    """

    call: Callable[..., Any]
    source: str
    launches: int = 1
    origin: str = ""
    results: tuple[Layout, ...] = ()
    behind: Callable[[str], Callable[..., Any]] | None = None
    attach: Attach | None = None


class InWorkspace:
    """The ``call`` of a kernel that wants ``nbytes`` while it runs: from the device's pool, or from who plans memory
    (`program.workspaces`) and calls ``given``. That takes the view of it as its last operand.

        Compiled(InWorkspace(run, nbytes, device), source)
    """

    __slots__ = ("_make", "given", "layout")

    def __init__(self, given: Callable[..., Any], nbytes: int, device: Device) -> None:
        from ..dtypes import uint8
        from ..layout import Layout

        self.given, self.layout = given, Layout.dense((nbytes,), uint8, device)
        self._make = device.pool.maker(self.layout)

    def __call__(self, *operands: Any) -> None:
        block, native = self._make()  # the block is ours until the work is queued
        self.given(*operands, native)
        del block


class Codegen(Protocol):
    """What ``Device.codegen`` must do. It may have more, which compiled programs look for: ``fuses`` (`program.fuse`), ``tree``
    (`program.tree`), ``together`` (`together`), ``program`` (`replay`), and ``strictly``, which is `compile` for who wants no
    other route than the generator's first (`program.in_place`)."""

    def compile(
        self,
        definition: Definition,
        layouts: Mapping[int, Layout],
        device: Device,
        aliased: frozenset[int] = frozenset(),
    ) -> Compiled:
        """A launch of ``definition`` with each tensor operand (by number) in its layout.

        ``aliased`` are the inputs that share memory, element for element, with an output. `Unsupported` says why not.
        """
        ...
