"""nn.Module on every device: what it holds, its modes, conversions, hooks and state."""

from __future__ import annotations

import copy
import gc
from collections import OrderedDict
from typing import Any

import ingot
import numpy as np
import pytest
from harness.arrays import drawn, on, values
from ingot import nn


class Net(nn.Module):
    """Two layers, a buffer that is saved and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.second = nn.Sequential(nn.ReLU(), nn.Linear(4, 2, bias=False))
        self.register_buffer("count", ingot.zeros(2))
        self.register_buffer("scratch", ingot.ones(1), persistent=False)

    def forward(self, x: Any) -> Any:
        return self.second(self.first(x))


# ---- what a module holds -------------------------------------------------------------------------


def test_walks_see_everything_once_in_order() -> None:
    net = Net()
    net.tied = net.first
    assert [name for name, _ in net.named_parameters()] == [
        "first.weight",
        "first.bias",
        "second.1.weight",
    ]
    assert [name for name, _ in net.named_buffers()] == ["count", "scratch"]
    assert [name for name, _ in net.named_modules()] == [
        "",
        "first",
        "second",
        "second.0",
        "second.1",
    ]
    assert len(list(net.named_modules(remove_duplicate=False))) == 6
    assert [name for name, _ in net.named_children()] == ["first", "second"]
    assert net.get_submodule("second.1") is net.second[1]
    assert net.get_parameter("first.bias") is net.first.bias
    with pytest.raises(AttributeError, match="no attribute `third`"):
        net.get_submodule("third")


def test_repr_is_as_pytorchs() -> None:
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Linear(in_features=3, out_features=4, bias=True)\n"
        "  (second): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): Linear(in_features=4, out_features=2, bias=False)\n"
        "  )\n"
        ")"
    )
    assert repr(nn.ModuleList([nn.ReLU(), nn.Tanh(), nn.Tanh()])) == (
        "ModuleList(\n  (0): ReLU()\n  (1-2): 2 x Tanh()\n)"
    )
    assert repr(nn.LayerNorm(4, bias=False)) == (
        "LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=False)"
    )
    assert repr(nn.Embedding(5, 3, padding_idx=-1)) == "Embedding(5, 3, padding_idx=4)"
    assert repr(nn.Dropout(0.2)) == "Dropout(p=0.2, inplace=False)"
    assert repr(nn.Parameter(ingot.ones(1))).startswith("Parameter containing:\n")


def test_attributes_are_filed_by_kind() -> None:
    module = nn.Module()
    module.item = 3
    module.item = nn.Parameter(ingot.ones(2))
    assert list(module._parameters) == ["item"] and "item" not in vars(module)
    with pytest.raises(TypeError, match="cannot assign 'int' as parameter 'item'"):
        module.item = 3
    module.item = None
    assert module.item is None and list(module.parameters()) == []
    del module.item
    with pytest.raises(AttributeError, match="'Module' object has no attribute 'item'"):
        _ = module.item
    module.register_buffer("state", ingot.zeros(1))
    module.state = ingot.ones(1)
    assert list(module._buffers) == ["state"]
    with pytest.raises(KeyError, match="buffer name can"):
        module.register_buffer("a.b", None)
    with pytest.raises(KeyError, match="attribute 'train' already exists"):
        module.register_parameter("train", None)
    with pytest.raises(TypeError, match="cannot assign 'Tensor' object to parameter 'x'"):
        module.register_parameter("x", nn.Parameter(ingot.ones(1)) * 2)


def test_forgetting_super_init_is_told() -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"before Module\.__init__\(\) call: write super"):
        Forgetful()
    with pytest.raises(NotImplementedError, match=r'Module \[Module\] is missing .*"forward"'):
        nn.Module()(1)


def test_containers() -> None:
    row = nn.Sequential(OrderedDict(a=nn.Linear(2, 3), b=nn.ReLU()))
    assert row.a.out_features == 3 and len(row) == 2 and row[-1] is row.b
    assert list(row[:1]._modules) == ["a"]
    several = nn.ModuleList(nn.Linear(1, 1) for _ in range(3))
    several.insert(1, nn.ReLU())
    del several[0]
    assert [type(m).__name__ for m in several] == ["ReLU", "Linear", "Linear"]
    assert list(several._modules) == ["0", "1", "2"]
    several[0] = nn.Tanh()
    assert isinstance(several.pop(0), nn.Tanh) and len(several) == 2
    with pytest.raises(IndexError, match="index 5 is out of range"):
        _ = several[5]
    named = nn.ModuleDict({"x": nn.Linear(1, 2)})
    named["y"] = nn.ReLU()
    assert list(named) == ["x", "y"] and "x" in named and len(list(named.parameters())) == 2
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        nn.Sequential(3)


def test_deepcopy_shares_nothing(device: str) -> None:
    net = Net().to(device)
    other = copy.deepcopy(net)
    with ingot.no_grad():
        other.first.weight.zero_()
    assert isinstance(other.first.weight, nn.Parameter)
    assert np.abs(values(net.first.weight)).sum() > 0


# ---- modes and conversion ------------------------------------------------------------------------


def test_train_eval_and_freezing() -> None:
    net = Net()
    assert net.training and not net.eval().second.training
    assert net.train().second[0].training
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())


def test_to_moves_and_casts_in_place(device: str) -> None:
    net = Net()
    parameter = net.first.weight
    net.register_buffer("index", ingot.arange(3))
    assert net.to(device) is net
    there = ingot.empty(0, device=device).device
    assert all(t.device == there for t in [*net.parameters(), *net.buffers()])
    assert net.first.weight is parameter
    net.half()
    assert parameter.dtype is ingot.float16 and net.index.dtype is ingot.int64
    net.to(device, ingot.float32).float()
    assert parameter.dtype is ingot.float32 and parameter.requires_grad
    with pytest.raises(TypeError, match=r"only accepts floating point .*int64"):
        net.to(ingot.int64)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        net.to(colour=1)


def test_zero_grad_and_apply(device: str) -> None:
    net = Net().to(device)
    net(on(device, drawn(5, 3))).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert not any(values(p.grad).any() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    seen: list[str] = []
    net.apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Linear", "ReLU", "Linear", "Sequential", "Net"]


# ---- hooks ---------------------------------------------------------------------------------------


def test_forward_hooks(device: str) -> None:
    layer = nn.Identity().to(device)
    x = on(device, [1.0, 2.0])
    first = layer.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    layer.register_forward_hook(lambda module, args, output: output * 10)
    assert layer(x).tolist() == [20.0, 30.0]
    first.remove()
    first.remove()
    assert layer(x).tolist() == [10.0, 20.0]
    with layer.register_forward_hook(lambda module, args, output: output - 1, prepend=True):
        assert layer(x).tolist() == [0.0, 10.0]
    assert layer(x).tolist() == [10.0, 20.0]


def test_forward_hooks_with_keywords_and_after_failure() -> None:
    class Fails(nn.Module):
        def forward(self, x: Any, *, add: int) -> Any:
            if add > 1:
                raise ValueError("too much")
            return x + add

    module, seen = Fails(), []
    module.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"add": kwargs["add"] * 2}), with_kwargs=True
    )
    module.register_forward_hook(
        lambda m, args, kwargs, output: seen.append((kwargs["add"], output)),
        with_kwargs=True,
        always_call=True,
    )
    with pytest.raises(ValueError, match="too much"):
        module(1, add=1)
    assert module(1, add=0) == 1
    assert seen == [(2, None), (0, 1)]


def test_backward_hooks_see_and_replace_gradients(device: str) -> None:
    layer = nn.Linear(2, 2, bias=False).to(device)
    with ingot.no_grad():
        layer.weight.copy_(on(device, [[1.0, 2.0], [3.0, 4.0]]))
    seen: list[Any] = []

    def hook(module: Any, grad_input: Any, grad_output: Any) -> Any:
        seen.append((grad_input[0].tolist(), grad_output[0].tolist()))
        return (grad_input[0] * 100,)

    layer.register_full_backward_pre_hook(lambda module, grads: (grads[0] * 2,))
    handle = layer.register_full_backward_hook(hook)
    x = on(device, [[1.0, 1.0]], requires_grad=True)
    layer(x).sum().backward()
    assert seen == [([[8.0, 12.0]], [[2.0, 2.0]])]
    assert x.grad.tolist() == [[800.0, 1200.0]]
    handle.remove()
    plain = on(device, [[1.0, 1.0]])
    layer.register_full_backward_hook(lambda module, gi, go: seen.append(gi))
    layer(plain).sum().backward()
    assert seen[1] == ()


def test_hooks_leave_no_cycles(device: str) -> None:
    layer = nn.Linear(2, 2).to(device)
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: None)
    layer.register_forward_hook(lambda module, args, output: None)
    x = ingot.ones(3, 2, device=device, requires_grad=True)

    def step() -> None:
        layer(x).sum().backward()
        layer.zero_grad()

    step()  # the first one may build kernels, and a compiler of them may leave cycles
    gc.collect()
    gc.disable()
    try:
        step()
        assert gc.collect() == 0
    finally:
        gc.enable()


# ---- state ---------------------------------------------------------------------------------------


def test_state_dict_round_trip(device: str) -> None:
    net = Net().to(device)
    state = net.state_dict()
    assert list(state) == ["count", "first.weight", "first.bias", "second.1.weight"]
    assert not state["first.bias"].requires_grad
    other = Net()
    result = other.load_state_dict(state)
    assert repr(result) == "<All keys matched successfully>"
    for name, value in other.state_dict().items():
        assert value.tolist() == state[name].tolist()
    assert all(p.device == ingot.device("cpu") for p in other.parameters())
    state["first.bias"].fill_(7)  # shares storage with its module, not with the other
    assert net.first.bias.tolist() == [7.0] * 4 and other.first.bias.tolist() != [7.0] * 4


def test_loading_lists_every_mistake_and_changes_nothing() -> None:
    net = Net()
    before = {name: value.tolist() for name, value in net.state_dict().items()}
    state = OrderedDict((k, v + 1) for k, v in net.state_dict().items())
    del state["first.bias"]
    state["other"] = ingot.ones(1)
    state["second.1.weight"] = ingot.ones(3, 3)
    state["count"] = "two"
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    text = str(caught.value)
    assert text.startswith("Error(s) in loading state_dict for Net:\n\tMissing key(s)")
    assert 'Missing key(s) in state_dict: "first.bias". ' in text
    assert 'Unexpected key(s) in state_dict: "other". ' in text
    assert "size mismatch for second.1.weight: copying a param with shape" in text
    assert 'parameter named "count", expected an ingot.Tensor' in text
    assert {name: value.tolist() for name, value in net.state_dict().items()} == before
    with pytest.raises(RuntimeError, match="size mismatch"):  # not strict forgives names only
        net.load_state_dict(state, strict=False)


def test_loading_not_strictly_and_by_assignment() -> None:
    net = nn.Linear(2, 2)
    result = net.load_state_dict({"weight": ingot.ones(2, 2), "x": ingot.ones(1)}, strict=False)
    assert result.missing_keys == ["bias"] and result.unexpected_keys == ["x"]
    given = ingot.zeros(2, 2, dtype=ingot.float64)
    net.load_state_dict({"weight": given, "bias": net.bias.detach()}, assign=True)
    assert net.weight.dtype is ingot.float64 and isinstance(net.weight, nn.Parameter)
    assert net.weight.requires_grad
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like"):
        net.load_state_dict([1])  # type: ignore[arg-type]


def test_extra_state_is_saved_with_the_rest() -> None:
    class Counter(nn.Module):
        calls = 0

        def get_extra_state(self) -> Any:
            return {"calls": self.calls}

        def set_extra_state(self, state: Any) -> None:
            self.calls = state["calls"]

    outer = nn.Sequential(Counter())
    outer[0].calls = 5
    other = nn.Sequential(Counter())
    other.load_state_dict(outer.state_dict())
    assert other[0].calls == 5 and list(outer.state_dict()) == ["0._extra_state"]
