"""Expression kernels without a device: what is refused and how, and their gradients of second order."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from ingot_devices import dtypes as dt
from ingot_devices.custom import declare
from ingot_devices.custom.parse import parse
from ingot_devices.errors import DeclarationError
from ingot_devices.opset.op import Spec

sys.path.insert(0, str(Path(__file__).parents[1] / "device"))

import finding
from custom_ops import EXPRESSIONS, RMS_NORM, np_rms_norm, np_swiglu
from planted import plant

HERE = Path(__file__).name
place = finding.place


def here(marker: str) -> int:
    """The line of this file on which ``marker`` stands."""
    lines = Path(__file__).read_text("utf-8").splitlines()
    return next(k for k, line in enumerate(lines, 1) if marker in line and "here(" not in line)


BAD: dict[str, tuple[str, str]] = {
    "syntax": ("z = a +", "invalid syntax"),
    "no assignment": ("a + b", "one assignment, as in 'z = a*x + y'"),
    "empty": ("", "is empty"),
    "subscript": ("z = a[0]", "Subscript is not part of a kernel's expression"),
    "attribute": ("z = a.__class__", "Attribute is not part of a kernel's expression"),
    "string": ("z = 'a'", "'a' is no number"),
    "lambda": ("z = lambda: a", "Lambda is not part of a kernel's expression"),
    "matmul": ("z = a @ b", "MatMult is not part"),
    "unknown function": ("z = sigmoidd(a)", "no function is called 'sigmoidd'. Did you mean 'sigmoid'?"),
    "open": ("z = open(a)", "no function is called 'open'"),
    "keyword": ("z = exp(a, axis=1)", "exp takes no axis="),
    "arity": ("z = exp(a, b)", "exp takes 1 argument(s), 2 given"),
    "axis": ("z = sum(a, axis=1)", "axes are counted from the right"),
    "bits of floats": ("z = exp(a) & b", "takes integers and bool, not float32"),
    "twice": ("z = a\nz = b", "'z' is assigned twice"),
    "before": ("y = z + a\nz = a", "'z' is read before it is assigned"),
    "tuple": ("x, y = a, b", "assigns to plain names"),
    "mixed axes": ("z = sum(a, axis=-1) + sum(a, axis=-2)", "joins reductions over different axes"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_wrong_expression_says_where_and_why(what: str) -> None:
    text, message = BAD[what]
    with pytest.raises(DeclarationError) as caught:
        declare("wrong", text, add=False)
    assert HERE in str(caught.value) and message in str(caught.value)


def test_the_line_is_that_of_the_text_in_its_file() -> None:
    with pytest.raises(DeclarationError) as caught:
        declare("wrong", """
            y = exp(x)
            z = expp(y)  # the wrong line
        """, add=False)  # fmt: skip
    line = here("# the wrong line")
    assert str(caught.value).startswith(f"{__file__}:{line}: no function is called 'expp'")


def test_a_text_that_was_put_together_counts_its_own_lines() -> None:
    text = "\n".join(["y = exp(x)", "z = expp(y)"])
    with pytest.raises(DeclarationError, match=r"\(line 2 of its text\): no function is called 'expp'"):
        parse(text)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"expression": "z = a*x", "operands": "a"}, "'x' is no operand; there are a"),
        ({"expression": "z = a*x", "outputs": "w"}, "the result 'w' is not assigned; assigned are z"),
        ({"expression": "z = a*x", "result": "a"}, "an expression says itself what results"),
        ({"operands": "x"}, "has no result rule"),
        ({"operands": "x", "result": "y"}, "result='y' is no operand; there are x"),
        ({"operands": "x", "result": 3}, "result= is an operand's name or a function"),
        ({}, "an op without an expression needs operands="),
        ({"operands": "x x", "result": "x"}, "'x' is named twice"),
        ({"operands": "g_x", "result": "g_x"}, "cannot name an operand"),
        ({"expression": "z = a*x", "gradient": 3}, "gradient= is 'derive', None, a function, or a mapping"),
        ({"expression": "z = a*x", "gradient": {"y": "g"}}, "a rule for 'y', which is no tensor operand; there are a, x"),
        ({"expression": "z = a*x", "gradient": {"x": "g * q"}}, "reads 'q'; it can read a, g, g_z, x, z"),
        ({"expression": "z = a*x", "gradient": {"x": lambda b, g, q: g}}, "asks for 'q'; it can have b (the builder)"),
        ({"expression": "z = b*x", "gradient": {"x": lambda b, g: g}}, "'b' is an operand of wrong and the name of the"),
    ],
)  # fmt: skip
def test_a_wrong_declaration_says_where_and_why(how: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        declare("wrong", add=False, **how)
    assert HERE in str(caught.value) and message in str(caught.value)


def test_names_of_ops() -> None:
    with pytest.raises(DeclarationError, match="an op's name is lower-case"):
        declare("Wrong", "z = x", add=False)
    with pytest.raises(DeclarationError, match="op 'add' is in the opset already"):
        declare("add", "z = x")


def test_result_rules() -> None:
    x = Spec.of((2, 3), dt.float16)
    rows = declare("rows", "out = mean(x)", add=False).row
    assert rows.infer([x], ()) == (Spec.of((2,), dt.float16),)
    assert declare("n", "out = n / 2", add=False).row.infer([Spec.of((2,), dt.int64)], ()) == (Spec.of((2,), dt.float32),)
    own = declare("own", operands="x", attributes={"k": 2}, gradient=None, add=False,
                  result=lambda x, k: ((*x.shape, k), dt.int64), reference=lambda x: x)  # fmt: skip
    assert own.row.infer([x], (5,)) == (Spec.of((2, 3, 5), dt.int64),)
    bad = declare("bad", operands="x", result=lambda x: x.shape, gradient=None, add=False)
    with pytest.raises(DeclarationError, match=r"the result rule returned \(2, 3\); it has to return \(shape, dtype\)"):
        bad.row.infer([x], ())
    asks = declare("asks", operands="x", result=lambda y: y, gradient=None, add=False)
    with pytest.raises(DeclarationError, match=r"the result rule asks for \['y'\]; it can have x"):
        asks.row.infer([x], ())


def test_reductions_need_their_axes() -> None:
    row = declare("deep", "out = x / sum(x, axis=(-3, -2))", add=False).row
    with pytest.raises(ValueError, match=r"deep reduces over axes \[-3, -2\].*shape \[2, 3\]"):
        row.infer([Spec.of((2, 3), dt.float32)], ())


# ---- gradients -------------------------------------------------------------------------------------------------------
def on_cpu(shape: tuple[int, ...], seed: int) -> Any:
    import ingot
    import numpy as np

    return ingot.tensor(np.random.default_rng(seed).uniform(-2, 2, shape)).requires_grad_()


def test_a_missing_gradient_is_told_by_the_backward_pass() -> None:
    from ingot import library

    op = library.kernel_of(declare("silent", operands="x", result="x", reference=lambda x: x * 2, add=False))
    with pytest.raises(DeclarationError) as caught:
        op(on_cpu((3,), 0)).sum().backward()
    assert HERE in str(caught.value) and "silent has no gradient. Give gradient={operand: rule}" in str(caught.value)
    none = library.kernel_of(declare("flat", operands="x", result="x", reference=lambda x: x * 2, gradient=None, add=False))
    assert not none(on_cpu((3,), 0)).requires_grad


def test_a_gradient_of_the_wrong_shape_is_refused_at_its_rule() -> None:
    from ingot import library

    def rule(b: Any, g: Any, x: Any) -> Any:  # the wrong rule
        return b.sum(x, axes=(-1,), keepdim=False)

    op = library.kernel("y = x * x", gradient={"x": rule})
    with pytest.raises(DeclarationError) as caught:
        op(on_cpu((2, 3), 0)).sum().backward()
    line = here("# the wrong rule")
    assert str(caught.value).startswith(f"{__file__}:{line}: the gradient of kernel for 'x' has the shape [2];")


def test_one_rule_for_all_operands_returns_one_for_each() -> None:
    from ingot import library

    op = library.kernel("y = u * v", gradient=lambda b, g, u, v: (b.mul(g, v), b.mul(g, u)))
    u, v = on_cpu((3,), 1), on_cpu((3,), 2)
    op(u, v).sum().backward()
    assert u.grad.tolist() == v.tolist() and v.grad.tolist() == u.tolist()
    short = library.kernel("y = u * v", gradient=lambda b, g, u, v: (g,))
    with pytest.raises(DeclarationError, match="has to return 2 values, one for each tensor operand"):
        short(u, v).sum().backward()


def test_what_has_no_known_derivative_says_so() -> None:
    from ingot import library

    with pytest.raises(DeclarationError, match=r"a derivative through prod\(\) is not derived: the gradient of kernel for 'x'"):
        library.kernel("y = prod(x)")(on_cpu((3,), 0)).backward()
    assert library.kernel("y = prod(x)", gradient=None)(on_cpu((3,), 0)).item()


@pytest.mark.parametrize(("text", "slope"), [("y = sigmoid(x)", 0.25), ("y = silu(x)", 0.5)])
def test_the_derived_slope_at_zero(text: str, slope: float) -> None:
    """Their formulas avoid an overflow by the sign of x; that is no kink."""
    from ingot import library

    x = on_cpu((3,), 0).detach().mul_(0).requires_grad_()
    library.kernel(text)(x).sum().backward()
    assert x.grad.tolist() == [slope] * 3


SECOND = {
    "swiglu": ("out = silu(gate) * x", {}, np_swiglu),
    "rms_norm": (RMS_NORM, {"eps": 1e-6}, np_rms_norm),
    **{name: (text, {}, reference) for name, (text, reference) in EXPRESSIONS.items()},
}


@pytest.mark.parametrize("name", SECOND)
def test_the_second_order(name: str) -> None:
    from ingot import library

    text, scalars, reference = SECOND[name]
    op = library.kernel(text, scalars=scalars, reference=reference)
    samples = (lambda shape: {"x": shape, "weight": shape[-1:]}) if name == "rms_norm" else None
    report = library.opcheck(op, device="cpu", samples=samples, checks=("second order",))
    assert report.passed == {"second order": 1}


# ---- what newcomers read; distributions that bring nothing else ----------------------------------------------------------
def test_the_readmes_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    from ingot import library
    from ingot_devices.registry import registry

    text = (Path(__file__).parents[2] / "core/README.md").read_text("utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    try:
        exec(compile(code, "core/README.md", "exec"), {"__name__": "example"})
    finally:
        library.withdraw("rms_norm")
        registry.remove("README.md")
    assert capsys.readouterr().out.startswith("rms_norm on cpu:0 (generated): 20 value, 1 gradient, 1 second order passed")


KERNELS_ONLY = """
from ingot_devices import hookimpl
INGOT_CONTRACT = (1, 0)

@hookimpl
def ingot_kernels(register):
    from ingot_devices.custom import callable_kernel, declare, expression_kernel
    op = declare("planted_scale", "out = x * factor", scalars={"factor": 3.0}).row
    register(callable_kernel("exp", "cpu", lambda x, out: out.fill(42)))
    register(expression_kernel("planted_scale", "cpu", "out = x * factor + 1"))
"""


def test_a_distribution_that_brings_kernels_and_ops_only(place: Path) -> None:
    plant(place, "scales", KERNELS_ONLY)
    code = """
import ingot
from ingot_devices import open_device
from ingot_devices.explain import explain
op = ingot.ops.planted_scale
print(op(ingot.ones(1)).item(), ingot.exp(ingot.ones(1)).item())
print(explain("exp", open_device("cpu")).considered[0].owner)
with ingot.without_kernels(owner="scales"):
    print(op(ingot.ones(1), factor=2.0).item(), ingot.exp(ingot.zeros(1)).item())
"""
    assert finding.python(code, place).split() == ["4.0", "42.0", "scales", "2.0", "1.0"]


def test_an_op_that_nobody_declared_is_no_attribute() -> None:
    import ingot

    with pytest.raises(AttributeError, match="no custom op is called 'nothing'; declared are:"):
        _ = ingot.ops.nothing


def test_a_call_with_wrong_operands_says_what_it_takes() -> None:
    from ingot import library

    op = library.kernel("out = x * factor + y", scalars={"factor": 3.0})
    x = on_cpu((2,), 0)
    for given, named, fault in (
        ((x,), {}, "misses 'y'"), ((x, x, x), {}, "got 3 operands"),
        ((x, x), {"f": 1}, "has no 'f'"), ((x, x), {"x": x}, "got 'x' twice"),
    ):  # fmt: skip
        with pytest.raises(TypeError) as caught:
            op(*given, **named)
        assert str(caught.value) == f"kernel(x, y, factor=3.0) {fault}"
    assert op(y=x, x=x, factor=1.0).shape == (2,)


def test_a_namespace_in_a_name() -> None:
    import ingot
    from ingot import library

    op = library.custom_op("acme::twice", "out = 2 * x")
    try:
        x = on_cpu((2,), 0)
        op(x).sum().backward()
        assert x.grad.tolist() == [2.0, 2.0]
        assert ingot.ops.acme.twice is op
    finally:
        library.withdraw("acme::twice")
