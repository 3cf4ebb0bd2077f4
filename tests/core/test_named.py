"""Public functions that are given something else than a tensor: an error that names the argument, whatever the function."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import ingot
import ingot.nn.functional as F
import pytest
from ingot.ops.named import FIRST, named

PLACES = {"ingot": ingot, "F": F, "linalg": ingot.linalg}


def takers() -> dict[str, Any]:
    """Every public function whose first parameter is a tensor."""
    found = {}
    for place, module in PLACES.items():
        for name in module.__all__:
            function = getattr(module, name)
            if inspect.isfunction(function) and next(iter(inspect.signature(function).parameters), "") in FIRST - {"equation"}:
                found[f"{place}.{name}"] = function
    return found


TAKERS = takers()


def _ones() -> Any:
    return ingot.ones(2, 2)


def _places() -> Any:
    return ingot.zeros(2, dtype=ingot.int64)


OTHERS: dict[str, Any] = {
    **dict.fromkeys(
        "weight L mat mat1 mat2 vec source src target end tensor1 tensor2 key value values".split(), _ones
    ),
    **dict.fromkeys("vec1 vec2 boundaries".split(), lambda: ingot.ones(2)),
    **dict.fromkeys("batch1 batch2".split(), lambda: ingot.ones(1, 2, 2)),
    "index": _places, "indices": lambda: (_places(),), "mask": lambda: _ones() > 0, "pad": lambda: (1, 1),
    "normalized_shape": lambda: (2,), "chunks": lambda: 2, "num_samples": lambda: 1,
}  # fmt: skip
MORE: dict[str, dict[str, Any]] = {
    "F.softmax": {"dim": 0}, "F.log_softmax": {"dim": 0}, "ingot.clamp": {"min": 0}, "ingot.clip": {"min": 0},
    "ingot.clamp_": {"min": 0}, "ingot.clip_": {"min": 0}, "ingot.scatter": {"value": 1},
    "ingot.index_fill": {"value": 1}, "ingot.scatter_reduce": {"reduce": "sum"},
    "ingot.split_with_sizes": {"split_sizes": [1]}, "linalg.solve_triangular": {"upper": True},
}  # fmt: skip


def test_there_are_many() -> None:
    assert len(TAKERS) > 180


@pytest.mark.parametrize("name", TAKERS)
@pytest.mark.parametrize("wrong", ["words", None, object()], ids=["str", "None", "object"])
def test_what_is_no_tensor_is_named(name: str, wrong: Any) -> None:
    function = TAKERS[name]
    parameters = list(inspect.signature(function).parameters.values())
    others = OTHERS | {"other": _places if "bitwise" in name else _ones}
    more = MORE.get(name, {})
    needed = [p.name for p in parameters[1:] if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    needed = [name for name in needed if name not in more]
    with pytest.raises((TypeError, RuntimeError, IndexError)) as caught:
        function(wrong, *(others[one]() if one in others else 0 for one in needed), **more)
    assert any(word in str(caught.value) for word in (type(wrong).__name__, repr(wrong))), caught.value


@pytest.mark.parametrize("name", ["argmax", "clone", "nonzero", "sum", "mean", "softmax", "matmul", "sort", "cat", "reshape"])
def test_a_number_where_only_a_tensor_will_do(name: str) -> None:
    with pytest.raises(TypeError):
        getattr(ingot, name)(3.0, *{"softmax": [0], "matmul": [ingot.ones(2, 2)], "reshape": [(1,)]}.get(name, []))


def test_the_argument_is_named_wherever_it_stands() -> None:
    x = ingot.ones(2, 2)
    wrong: Any = [1, 0]
    calls: list[tuple[Any, str]] = [
        (lambda: F.linear(x, wrong), "linear(): argument 'weight' must be a Tensor, not list"),
        (lambda: ingot.cat([x, 3]), "cat(): argument 'tensors[1]' must be a Tensor, not int"),
        (lambda: ingot.tensordot(wrong, x), "tensordot(): argument 'a' must be a Tensor, not list"),
        (lambda: F.cross_entropy(x, target=wrong), "cross_entropy(): argument 'target' must be a Tensor, not list"),
    ]
    for call, said in calls:
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value) == said


def test_another_fault_is_told_as_it_is() -> None:
    class Odd:
        shape = (2,)

    def function(input: Any) -> Any:
        return input.no_such_thing

    for given in (Odd(), ingot.ones(1)):
        with pytest.raises(AttributeError, match="no_such_thing"):
            named(function)(given)


def test_warnings_name_the_line_of_the_caller() -> None:
    x = ingot.ones(2, 2)
    for call in (lambda: F.mse_loss(x, x[:, :1]), lambda: ingot.nn.L1Loss()(x, x[:, :1]), lambda: F.softmax(x)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        assert [w.filename for w in caught] == [__file__]
