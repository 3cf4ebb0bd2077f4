"""nn on every device: what a Module holds and does, the layers' arithmetic, initial values,
clipping.

The ops have tests of their own; here the references are a few lines of NumPy in float64.
"""

from __future__ import annotations

import copy
import gc
import math
from collections import OrderedDict
from typing import Any

import ingot
import numpy as np
import pytest
from ingot import nn
from ingot.nn import functional as F


def values(tensor: Any) -> Any:
    return tensor.detach().cpu().numpy().astype(np.float64)


def on(device: str, data: Any, **options: Any) -> Any:
    return ingot.tensor(np.asarray(data, np.float32).tolist(), device=device, **options)


def drawn(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


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
    gc.collect()
    gc.disable()
    try:
        layer(x).sum().backward()
        layer.zero_grad()
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


# ---- layers --------------------------------------------------------------------------------------


def test_linear_and_its_gradients(device: str) -> None:
    layer = nn.Linear(3, 2).to(device)
    x = drawn(4, 3)
    y = layer(on(device, x))
    w, b = values(layer.weight), values(layer.bias)
    np.testing.assert_allclose(values(y), x @ w.T + b, rtol=1e-5, atol=1e-6)
    y.sum().backward()
    np.testing.assert_allclose(values(layer.weight.grad), np.ones((4, 2)).T @ x, rtol=1e-5)
    np.testing.assert_allclose(values(layer.bias.grad), [4, 4])


def test_activations(device: str) -> None:
    x = drawn(3, 4)
    exact = x.astype(np.float64)
    sigmoid = 1 / (1 + np.exp(-exact))
    phi = np.vectorize(lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2))))(exact)
    tanh_form = 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (exact + 0.044715 * exact**3)))
    soft = np.exp(exact) / np.exp(exact).sum(1, keepdims=True)
    wanted = {
        nn.ReLU(): np.maximum(exact, 0),
        nn.GELU(): exact * phi,
        nn.GELU("tanh"): exact * tanh_form,
        nn.Tanh(): np.tanh(exact),
        nn.Sigmoid(): sigmoid,
        nn.SiLU(): exact * sigmoid,
        nn.ELU(0.5): np.where(exact > 0, exact, 0.5 * np.expm1(exact)),
        nn.LeakyReLU(0.1): np.where(exact > 0, exact, 0.1 * exact),
        nn.Softplus(): np.log1p(np.exp(exact)),
        nn.Softmax(1): soft,
        nn.LogSoftmax(-1): np.log(soft),
        nn.Flatten(0): exact.reshape(-1),
        nn.Identity(): exact,
    }
    for layer, expected in wanted.items():
        got = values(layer(on(device, x)))
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6, err_msg=repr(layer))
    y = on(device, x)
    assert nn.ReLU(inplace=True)(y) is y and (values(y) >= 0).all()
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        nn.Softmax()(on(device, x))


def test_dropout_scales_what_it_keeps(device: str) -> None:
    ingot.manual_seed(0)
    layer = nn.Dropout(0.25)
    x = ingot.ones(40, 50, device=device)
    kept = values(layer(x))
    assert set(np.unique(kept)) <= {0.0, np.float32(4 / 3)}
    assert 0.2 < (kept == 0).mean() < 0.3
    assert layer.eval()(x) is x
    with pytest.raises(ValueError, match=r"between 0 and 1, but got 1.5"):
        nn.Dropout(1.5)


def test_layer_norm(device: str) -> None:
    x = drawn(3, 2, 4)
    for shape in (4, (2, 4)):
        axes = (-1,) if shape == 4 else (-2, -1)
        layer = nn.LayerNorm(shape).to(device)
        exact = x.astype(np.float64)
        centred = exact - exact.mean(axes, keepdims=True)
        expected = centred / np.sqrt((centred**2).mean(axes, keepdims=True) + 1e-5)
        np.testing.assert_allclose(values(layer(on(device, x))), expected, rtol=1e-4, atol=1e-5)
    assert list(nn.LayerNorm(4, elementwise_affine=False).parameters()) == []


def test_embedding_and_its_padding(device: str) -> None:
    layer = nn.Embedding(5, 3, padding_idx=1).to(device)
    table = values(layer.weight)
    assert not table[1].any() and np.abs(table[0]).sum() > 0
    ids = ingot.tensor([[0, 1], [4, 0]], device=device)
    out = layer(ids)
    np.testing.assert_array_equal(values(out), table[[[0, 1], [4, 0]]])
    out.sum().backward()
    np.testing.assert_array_equal(values(layer.weight.grad)[:, 0], [2, 0, 0, 0, 1])
    held = nn.Embedding.from_pretrained(on(device, table))
    assert not held.weight.requires_grad and held.num_embeddings == 5
    with pytest.raises(ValueError, match="padding_idx must be within"):
        nn.Embedding(5, 3, padding_idx=5)


# ---- losses --------------------------------------------------------------------------------------


def log_softmax(x: np.ndarray[Any, Any]) -> Any:
    exact = x.astype(np.float64)
    return exact - np.log(np.exp(exact).sum(1, keepdims=True))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_with_everything(device: str, reduction: str) -> None:
    x, weight = drawn(5, 4), np.array([1.0, 2.0, 0.5, 1.5])
    target = np.array([0, 3, 2, 2, 1])
    loss_fn = nn.CrossEntropyLoss(
        on(device, weight), ignore_index=3, reduction=reduction, label_smoothing=0.1
    )
    got = values(loss_fn(on(device, x), ingot.tensor(target.tolist(), device=device)))
    scores = log_softmax(x)
    counts = target != 3
    picked = -scores[np.arange(5), target] * weight[target]
    each = np.where(counts, 0.9 * picked + 0.1 * -(scores * weight).sum(1) / 4, 0)
    total = (weight[target] * counts).sum()
    expected = {"mean": each.sum() / total, "sum": each.sum(), "none": each}[reduction]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_cross_entropy_of_probabilities(device: str) -> None:
    x = drawn(3, 4)
    target = np.abs(drawn(3, 4, seed=1))
    target /= target.sum(1, keepdims=True)
    got = nn.CrossEntropyLoss()(on(device, x), on(device, target))
    np.testing.assert_allclose(values(got), -(log_softmax(x) * target).sum(1).mean(), rtol=1e-5)


def test_other_losses(device: str) -> None:
    x, y = drawn(4, 3), drawn(4, 3, seed=1)
    a, b = on(device, x), on(device, y)
    difference = x.astype(np.float64) - y
    np.testing.assert_allclose(values(nn.MSELoss()(a, b)), (difference**2).mean(), rtol=1e-5)
    np.testing.assert_allclose(
        values(nn.MSELoss(reduction="none")(a, b)), difference**2, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        values(nn.L1Loss(reduction="sum")(a, b)), np.abs(difference).sum(), rtol=1e-5
    )
    near = np.where(np.abs(difference) < 1, difference**2 / 2, np.abs(difference) - 0.5)
    np.testing.assert_allclose(values(nn.SmoothL1Loss()(a, b)), near.mean(), rtol=1e-5)
    chance = 1 / (1 + np.exp(-y.astype(np.float64)))
    entropy = np.log1p(np.exp(x.astype(np.float64))) - x * chance
    np.testing.assert_allclose(
        values(nn.BCEWithLogitsLoss()(a, on(device, chance))), entropy.mean(), rtol=1e-5
    )
    classes = ingot.tensor([0, 2, 1, 1], device=device)
    logs = log_softmax(x)
    np.testing.assert_allclose(
        values(nn.NLLLoss()(on(device, logs), classes)),
        -logs[range(4), [0, 2, 1, 1]].mean(),
        rtol=1e-5,
    )


def test_losses_refuse_what_makes_no_sense(device: str) -> None:
    a, b = ingot.ones(4, 1, device=device), ingot.ones(4, device=device)
    with pytest.warns(UserWarning, match=r"target size .* different to the input size"):
        nn.MSELoss()(a, b)
    with pytest.raises(ValueError, match="must be the same as input size"):
        F.binary_cross_entropy_with_logits(a, b)
    with pytest.raises(ValueError, match="'median' is not a valid value for reduction"):
        nn.L1Loss(reduction="median")


def test_attention(device: str) -> None:
    q, k, v = (drawn(2, 3, 4, seed=i) for i in range(3))
    got = F.scaled_dot_product_attention(on(device, q), on(device, k), on(device, v), is_causal=True)
    scores = q.astype(np.float64) @ k.transpose(0, 2, 1) / 2
    scores[:, ~np.tri(3, dtype=bool)] = -np.inf
    share = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(values(got), share @ v, rtol=1e-4, atol=1e-6)


# ---- initial values ------------------------------------------------------------------------------


def test_default_initial_values_are_pytorchs(device: str) -> None:
    ingot.manual_seed(0)
    layer = nn.Linear(64, 50, device=device)
    for parameter in layer.parameters():
        drawn_values = values(parameter)
        assert np.abs(drawn_values).max() <= 1 / 8
        assert np.abs(drawn_values).max() > 0.9 / 8
    table = values(nn.Embedding(40, 30, device=device).weight)
    assert abs(table.mean()) < 0.1 and abs(table.std() - 1) < 0.1


@pytest.mark.parametrize(
    ("fill", "std", "bound"),
    [
        (nn.init.xavier_uniform_, math.sqrt(2 / 90), math.sqrt(6 / 90)),
        (nn.init.xavier_normal_, math.sqrt(2 / 90), None),
        (nn.init.kaiming_uniform_, math.sqrt(2 / 50), math.sqrt(6 / 50)),
        (nn.init.kaiming_normal_, math.sqrt(2 / 50), None),
        (lambda t: nn.init.kaiming_normal_(t, mode="fan_out"), math.sqrt(2 / 40), None),
        (lambda t: nn.init.uniform_(t, -1, 3), 4 / math.sqrt(12), None),
        (lambda t: nn.init.normal_(t, 0, 2), 2, None),
        (lambda t: nn.init.trunc_normal_(t, 0, 1, -1, 1), 0.53956, 1),
        (lambda t: nn.init.trunc_normal_(t, 0, 1, 1.5, 3), 0.32, 3),
    ],
)
def test_random_initial_values(device: str, fill: Any, std: float, bound: float | None) -> None:
    ingot.manual_seed(1)
    tensor = ingot.empty(40, 50, device=device)
    assert fill(tensor) is tensor
    got = values(tensor)
    assert abs(got.std() - std) < 0.1 * std
    assert bound is None or np.abs(got).max() <= bound * (1 + 1e-6)


def test_fixed_initial_values_and_refusals(device: str) -> None:
    tensor = ingot.empty(2, 3, device=device)
    assert nn.init.constant_(tensor, 2.5).tolist() == [[2.5] * 3] * 2
    assert nn.init.eye_(tensor).tolist() == [[1, 0, 0], [0, 1, 0]]
    got = values(nn.init.orthogonal_(tensor, gain=2))
    np.testing.assert_allclose(got @ got.T, 4 * np.eye(2), atol=1e-5)
    parameter = nn.Parameter(ingot.empty(2, 2, device=device))
    assert nn.init.zeros_(parameter).requires_grad and parameter.is_leaf
    assert nn.init.calculate_gain("leaky_relu", 1) == 1.0
    assert nn.init.calculate_gain("tanh") == 5 / 3
    with pytest.raises(ValueError, match="Unsupported nonlinearity 'cubic'"):
        nn.init.calculate_gain("cubic")
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        nn.init.xavier_normal_(ingot.empty(3))


# ---- nn.utils ------------------------------------------------------------------------------------


def test_clipping(device: str) -> None:
    one, two = (nn.Parameter(ingot.zeros(2, device=device)) for _ in range(2))
    one.grad, two.grad = on(device, [3.0, 0.0]), on(device, [0.0, 4.0])
    assert nn.utils.clip_grad_norm_([one, two], 1.0).item() == 5.0
    np.testing.assert_allclose(values(one.grad), [0.6, 0], rtol=1e-5)
    np.testing.assert_allclose(values(two.grad), [0, 0.8], rtol=1e-5)
    nn.utils.clip_grad_norm_(iter([one, two]), 10.0)
    np.testing.assert_allclose(values(two.grad), [0, 0.8], rtol=1e-5)
    assert nn.utils.clip_grad_norm_(one, 1.0, math.inf).item() == pytest.approx(0.6, rel=1e-5)
    nn.utils.clip_grad_value_([one, two], 0.5)
    assert values(two.grad)[1] == 0.5
    one.grad = on(device, [math.nan, 1.0])
    with pytest.raises(RuntimeError, match="non-finite, so it cannot be clipped"):
        nn.utils.clip_grad_norm_([one], 1.0, error_if_nonfinite=True)
    assert nn.utils.clip_grad_norm_([nn.Parameter(ingot.ones(1))], 1.0).item() == 0.0


def test_parameters_as_one_vector(device: str) -> None:
    net = nn.Linear(2, 3).to(device)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert tuple(vector.shape) == (9,)
    nn.utils.vector_to_parameters(vector.detach() * 0 + 2, net.parameters())
    assert net.weight.tolist() == [[2.0, 2.0]] * 3 and net.bias.requires_grad
    with pytest.raises(ValueError, match="hold 9 elements"):
        nn.utils.vector_to_parameters(ingot.ones(8, device=device), net.parameters())
