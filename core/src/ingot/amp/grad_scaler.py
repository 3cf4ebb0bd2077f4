"""``GradScaler``: gradients of float16 kept from vanishing, by a loss that is scaled up (Micikevicius et al., 2018).

The scale is a number of the host. One flag a step is read back: whether all gradients are finite.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from ingot_devices import dtypes as dt

from ..autograd.modes import no_grad
from ..tensor import Tensor
from .autocast_mode import is_ready


class _Stage(Enum):
    READY = "ready"
    UNSCALED = "unscaled"
    STEPPED = "stepped"


class GradScaler:
    """Scale the loss, unscale the gradients, leave out a step whose gradients are not finite, and find the scale by that.

        scaler.scale(loss).backward(); scaler.step(optimizer); scaler.update()

    The scale begins at ``init_scale``, shrinks (by ``backoff_factor``, below 1) after a step that was left out, and grows by
    ``growth_factor`` after ``growth_interval`` steps that were not. With ``enabled=False``, or a ``device`` of which none is
    ready, all of it does nothing.
    """

    def __init__(
        self,
        device: Any = None,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if enabled and growth_factor <= 1.0:
            raise ValueError(f"The growth factor must be > 1.0, not {growth_factor}")
        if enabled and not 0.0 < backoff_factor < 1.0:
            raise ValueError(f"The backoff factor must be between 0 and 1, not {backoff_factor}")
        self._enabled = bool(enabled) and (device is None or is_ready(device, "GradScaler"))
        self._scale, self._good, self._used = float(init_scale), 0, False
        self._growth, self._backoff, self._interval = growth_factor, backoff_factor, growth_interval
        self._stages: dict[int, tuple[Any, _Stage, bool]] = {}  # by optimizer: itself, where it is, whether all was not finite

    # ---- the three calls of a step -----------------------------------------------------------------------------------
    def scale(self, outputs: Any) -> Any:
        """A loss, or a nest of lists and tuples of them, times the scale."""
        if not self._enabled:
            return outputs
        self._used = True
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if isinstance(outputs, list | tuple):
            return type(outputs)(self.scale(x) for x in outputs)
        raise ValueError(f"outputs must be a Tensor or a list or tuple of Tensors, not {type(outputs).__name__}")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of ``optimizer``'s parameters by the scale, to clip or look at them before ``step``."""
        if not self._enabled:
            return
        if not self._used:
            raise RuntimeError("unscale_() or step() without scale(): no loss was scaled, so there is nothing to divide by")
        stage = self._stage(optimizer)
        if stage is _Stage.UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if stage is _Stage.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        self._stages[id(optimizer)] = optimizer, _Stage.UNSCALED, not _divide(optimizer, self._scale)

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """``optimizer.step(…)`` where all gradients are finite; its result, or None where the step was left out."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs or args:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        stage = self._stage(optimizer)
        if stage is _Stage.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if stage is _Stage.READY:
            self.unscale_(optimizer)
        wrong = self._stages[id(optimizer)][2]
        made = None if wrong else optimizer.step(**kwargs)
        self._stages[id(optimizer)] = optimizer, _Stage.STEPPED, wrong
        return made

    def update(self, new_scale: Any = None) -> None:
        """The next scale, from how the steps since the last call went; or ``new_scale``."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        else:
            found = [wrong for _, stage, wrong in self._stages.values() if stage is not _Stage.READY]
            if not found:
                raise RuntimeError("No inf checks were recorded prior to update.")
            self._move(any(found))
        self._stages.clear()

    def _move(self, wrong: bool) -> None:
        if wrong:
            self._scale, self._good = self._scale * self._backoff, 0
            return
        self._good += 1
        if self._good == self._interval:
            grown = self._scale * self._growth
            self._scale, self._good = (grown if grown <= _LARGEST else self._scale), 0

    def _stage(self, optimizer: Any) -> _Stage:
        return self._stages.get(id(optimizer), (optimizer, _Stage.READY, False))[1]

    # ---- what it knows -----------------------------------------------------------------------------------------------
    def get_scale(self) -> float:
        """The scale; 1 where it is not enabled."""
        return self._scale if self._enabled else 1.0

    def is_enabled(self) -> bool:
        """Whether it does anything."""
        return self._enabled

    def get_growth_factor(self) -> float:
        """What the scale grows by."""
        return self._growth

    def set_growth_factor(self, new_factor: float) -> None:
        """Change it."""
        self._growth = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after a step that was left out."""
        return self._backoff

    def set_backoff_factor(self, new_factor: float) -> None:
        """Change it."""
        self._backoff = new_factor

    def get_growth_interval(self) -> int:
        """After how many steps the scale grows."""
        return self._interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Change it."""
        self._interval = new_interval

    def state_dict(self) -> dict[str, Any]:
        """Numbers alone; empty where it is not enabled."""
        if not self._enabled:
            return {}
        return {"scale": self._scale, "growth_factor": self._growth, "backoff_factor": self._backoff,
                "growth_interval": self._interval, "_growth_tracker": self._good}  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("The source state dict is empty, possibly because it was saved from a disabled GradScaler.")
        self._scale, self._good = float(state_dict["scale"]), state_dict["_growth_tracker"]
        self._growth, self._backoff = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._interval = state_dict["growth_interval"]


_LARGEST = 3.4028234663852886e38  # of float32: a scale beyond would make every loss infinite


@no_grad()
def _divide(optimizer: Any, scale: float) -> bool:
    """Divide all gradients by ``scale``; whether all are finite."""
    flags: dict[Any, Any] = {}
    for group in optimizer.param_groups:
        for p in group["params"]:
            if p.grad is None:
                continue
            if p.grad.dtype is dt.float16:
                raise ValueError("Attempting to unscale FP16 gradients.")
            p.grad.mul_(1.0 / scale)
            finite = p.grad.isfinite().all()
            flags[p.grad.device] = finite if p.grad.device not in flags else flags[p.grad.device] & finite
    return all(bool(flag) for flag in flags.values())
