"""Derivatives as functions of functions: ``grad``, ``vjp``, ``jvp``.

All of them walk the one tape. The arguments that are differentiated get a place of their own on it (`_Tracked`): a leaf where
nobody outside wants their gradients, else a view, through which the outer walk goes on. Whether the walk is recorded in its
turn follows from that: where the results lead to something outside, it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from ingot_devices.context import scope, state

from ..autograd import engine
from ..autograd.eager import builder
from ..base import TensorBase
from .crossing import lifted
from .tree import flatten

Argnums = int | tuple[int, ...]


# ---- a place on the tape -------------------------------------------------------------------------------------------------
class _Tracked:
    """The leaves of some arguments, as new values on the tape: ``values``, and the ``nest`` of them."""

    def __init__(self, nest: Any, where: str) -> None:
        found, self.rebuild = flatten(nest)
        for v in found:
            if not isinstance(v, TensorBase) or v._layout.dtype.kind != "f":
                kind = repr(v._layout.dtype) if isinstance(v, TensorBase) else type(v).__name__
                raise TypeError(f"{where}: what is differentiated must be floating point tensors, or nests of them, not {kind}")
        self.values = [self._place(lifted(v, state.axes)) for v in found]
        self.nest = self.rebuild(self.values)
        self.leaves = {v._edge[0] for v, f in zip(self.values, found, strict=True) if f._edge is None}

    @staticmethod
    def _place(x: Any) -> Any:
        return x.detach().requires_grad_() if x._edge is None else x.view_as(x)

    def leads_outside(self, results: Sequence[Any]) -> bool:
        """True where a leaf that is not ours lies behind ``results``."""
        stack = [r._edge[0] for r in results if r._edge is not None]
        seen = set(stack)
        while stack:
            node = stack.pop()
            if not node.edges and node not in self.leaves:
                return True
            new = {e[0] for e in node.edges if e is not None} - seen
            seen |= new
            stack.extend(new)
        return False

    def gradients(self, results: Sequence[Any], seeds: Sequence[Any], create: bool, keep: bool = False) -> list[Any]:
        """The gradients of ``results`` at our values; zeros where nothing leads there."""
        pairs = [(r, s) for r, s in zip(results, seeds, strict=True) if r._edge is not None]
        roots, given = [r for r, _ in pairs], [s for _, s in pairs]
        found = engine.gradients(roots, given, self.values, keep or create, create) if roots else [None] * len(self.values)
        return [builder.zeros(v._layout) if g is None else g for v, g in zip(self.values, found, strict=True)]


def _outputs(made: Any, where: str) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    values, again = flatten(made)
    for v in values:
        if not isinstance(v, TensorBase):
            raise TypeError(f"{where}: the function must return tensors, or nests of them, not {type(v).__name__}")
    return values, again


def _with_aux(made: Any, has_aux: bool, where: str) -> tuple[Any, Any]:
    if not has_aux:
        return made, None
    if not isinstance(made, tuple) or len(made) != 2:
        raise RuntimeError(f"{where}: with has_aux=True the function must return a pair (output, aux), not "
                           f"{type(made).__name__}")
    return made


def _free(nest: Any, recorded: bool) -> Any:
    """Tensors of ``nest``, without history unless that leads outside."""
    if recorded:
        return nest
    values, again = flatten(nest)
    return again([v.detach() if isinstance(v, TensorBase) else v for v in values])


def chosen(args: tuple[Any, ...], argnums: Argnums, where: str) -> tuple[list[int], Any]:
    """The places of the arguments that are differentiated, and those."""
    numbers = [argnums] if isinstance(argnums, int) else list(argnums)
    for n in numbers:
        if not -len(args) <= n < len(args):
            raise RuntimeError(f"{where}: argnums={argnums} names argument {n}, but {len(args)} were given by position")
    places = [n % len(args) for n in numbers]
    return places, args[places[0]] if isinstance(argnums, int) else tuple(args[p] for p in places)


def replaced(args: tuple[Any, ...], places: list[int], nest: Any, argnums: Argnums) -> list[Any]:
    given = list(args)
    for place, value in zip(places, [nest] if isinstance(argnums, int) else nest, strict=True):
        given[place] = value
    return given


# ---- gradients ---------------------------------------------------------------------------------------------------------
def grad_and_value(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives (gradient, value) of ``func``, whose result is one number.

    The gradient is by the argument ``argnums`` (a tuple: by each of them), in its form. ``has_aux``: ``func`` returns (value,
    aux), and the function (gradient, (value, aux)). TypeError for what is no floating point tensor.
    """

    @wraps(func)
    def both(*args: Any, **kwargs: Any) -> Any:
        places, wanted = chosen(args, argnums, "grad")
        with scope(grad=True, inference=False):
            tracked = _Tracked(wanted, "grad")
            made, aux = _with_aux(func(*replaced(args, places, tracked.nest, argnums), **kwargs), has_aux, "grad")
            if not isinstance(made, TensorBase) or made._layout.size != 1 or made._layout.shape:
                shown = f"a tensor of shape {list(made._layout.shape)}" if isinstance(made, TensorBase) else type(made).__name__
                raise RuntimeError(f"grad: the function must return a scalar tensor (no axes), not {shown}")
            outside = tracked.leads_outside([made])
            seed = [builder.ones(made._layout)] if made._edge is not None else [None]
            found = tracked.gradients([made], seed, create=outside)
        value = _free(made, outside)
        return tracked.rebuild(found), (value, _free(aux, outside)) if has_aux else value

    return both


def grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives the gradient of ``func``, whose result is one number; see `grad_and_value`.

    ``has_aux``: ``func`` returns (value, aux), and the function (gradient, aux).
    """
    both = grad_and_value(func, argnums, has_aux)

    @wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """(``func(*primals)``, a function of cotangents): the product of a vector with the Jacobian matrix.

    The function takes cotangents in the form of the output, and gives a tuple with one gradient for each of ``primals``; it may
    be called any number of times. ``has_aux``: ``func`` returns (output, aux), and vjp (output, function, aux).
    """
    with scope(grad=True, inference=False):
        tracked = _Tracked(primals, "vjp")
        made, aux = _with_aux(func(*tracked.nest), has_aux, "vjp")
        results, again = _outputs(made, "vjp")
        outside = tracked.leads_outside(results)

    def pullback(*cotangents: Any) -> tuple[Any, ...]:
        given = flatten(cotangents[0] if len(cotangents) == 1 else cotangents)[0]
        _require_like(given, results, "vjp", "cotangents", "output")
        create = outside or any(g._edge is not None for g in given)
        with scope(grad=True, inference=False):
            found = tracked.gradients(results, given, create=create, keep=True)
        return tuple(tracked.rebuild(found))

    value = _free(again(results), outside)
    return (value, pullback, _free(aux, outside)) if has_aux else (value, pullback)


def _require_like(given: Sequence[Any], wanted: Sequence[Any], where: str, what: str, of: str) -> None:
    """RuntimeError unless ``given`` are tensors shaped as ``wanted``."""
    shapes = [list(g._layout.shape) if isinstance(g, TensorBase) else type(g).__name__ for g in given]
    needed = [list(w._layout.shape) for w in wanted]
    if shapes != needed:
        raise RuntimeError(f"{where}: the {what} must be tensors of the shapes of the {of}, {needed}; given: {shapes}")


def jvp(
    func: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...], *, strict: bool = False,
    has_aux: bool = False,
) -> Any:  # fmt: skip
    """(``func(*primals)``, its derivative in the direction ``tangents``): the product of the Jacobian matrix with a vector.

    ``strict``: RuntimeError where an output does not depend on the primals. ``has_aux``: ``func`` returns (output, aux), and
    jvp (output, derivative, aux).
    """
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple):
        raise TypeError("jvp: primals and tangents must be tuples, with one entry for each argument of the function")
    pushed = _Pushed(func, primals, has_aux, "jvp")
    if strict and any(r._edge is None for r in pushed.results):
        raise RuntimeError("jvp: with strict=True every output must depend on the primals, and one does not")
    slope = pushed(tangents)
    return (pushed.value, slope, pushed.aux) if has_aux else (pushed.value, slope)


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """(``func(*primals)``, a function of tangents that gives the derivative in their direction), to be called many times."""
    pushed = _Pushed(func, primals, False, "linearize")
    return pushed.value, lambda *tangents: pushed(tangents)


class _Pushed:
    """A function at some primals, ready for tangents.

    By two walks backwards: the first is linear in its cotangent, so its derivative by that, times the tangents, is what is
    wanted (J. Townsend, "A new trick for calculating Jacobian vector products", 2017).
    """

    def __init__(self, func: Callable[..., Any], primals: tuple[Any, ...], has_aux: bool, where: str) -> None:
        self.where = where
        with scope(grad=True, inference=False):
            self.tracked = _Tracked(primals, where)
            made, aux = _with_aux(func(*self.tracked.nest), has_aux, where)
            self.results, self.again = _outputs(made, where)
            self.outside = self.tracked.leads_outside(self.results)
            self.walks = [self._walk(r) if r._edge is not None else None for r in self.results]
        self.value, self.aux = _free(self.again(self.results), self.outside), _free(aux, self.outside)

    def _walk(self, result: Any) -> tuple[Any, list[Any]]:
        """A cotangent, and the gradients as functions of it."""
        probe = builder.zeros(result._layout).requires_grad_()
        return probe, engine.gradients([result], [probe], self.tracked.values, True, True)

    def __call__(self, tangents: tuple[Any, ...]) -> Any:
        """The derivative in the direction of ``tangents``, in the form of the output."""
        given = [lifted(t, state.axes) if isinstance(t, TensorBase) else t for t in flatten(tangents)[0]]
        _require_like(given, self.tracked.values, self.where, "tangents", "primals")
        create = self.outside or any(t._edge is not None for t in given)
        with scope(grad=True, inference=False):
            found = [self._pushed(r, walk, given, create) for r, walk in zip(self.results, self.walks, strict=True)]
        return _free(self.again(found), create)

    @staticmethod
    def _pushed(result: Any, walk: tuple[Any, list[Any]] | None, tangents: Sequence[Any], create: bool) -> Any:
        probe, pulled = walk or (None, [])
        pairs = [(g, t) for g, t in zip(pulled, tangents, strict=False) if g is not None and g._edge is not None]
        found = None
        if pairs:
            (found,) = engine.gradients([g for g, _ in pairs], [t for _, t in pairs], [probe], True, create)
        return builder.zeros(result._layout) if found is None else found
