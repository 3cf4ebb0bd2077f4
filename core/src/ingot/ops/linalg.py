"""Matrix products and what is made of them."""

from __future__ import annotations

import math
from typing import Any

from .common import into, look, run
from .pointwise import FUNCTIONS as POINTWISE


def matmul(input: Any, other: Any, *, out: Any = None) -> Any:
    """PyTorch's matmul: vectors, matrices and batches of them; batch axes broadcast."""
    return into(out, _matmul(input, other))


def _matmul(x: Any, y: Any) -> Any:
    if x.ndim == 2 and y.ndim == 2:
        return run("matmul", x, y)
    if x.ndim == 0 or y.ndim == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {x.ndim}D and {y.ndim}D")
    left, right = x.ndim == 1, y.ndim == 1
    a = look("view", x, shape=(1, *x._layout.shape)) if left else x
    b = look("view", y, shape=(*y._layout.shape, 1)) if right else y
    if a.ndim > 2 and b.ndim == 2:  # one tall matrix instead of a batch
        lead = a._layout.shape[:-1]
        if a._layout.shape[-1] != b._layout.shape[0]:
            raise RuntimeError(
                f"mat1 and mat2 shapes cannot be multiplied ({list(x._layout.shape)} and {list(y._layout.shape)})"
            )
        flat = look("view", a, shape=(math.prod(lead), a._layout.shape[-1]))
        made = look("view", run("matmul", flat, b), shape=(*lead, b._layout.shape[1]))
    else:
        made = run("matmul", a, b)
    shape = list(made._layout.shape)
    if right:
        shape.pop()
    if left:
        shape.pop(-1 if right else -2)
    return look("view", made, shape=tuple(shape)) if left or right else made


def mm(input: Any, mat2: Any) -> Any:
    """The product of two matrices."""
    if input.ndim != 2 or mat2.ndim != 2:
        raise RuntimeError(f"mm expects two matrices, got {input.ndim}D and {mat2.ndim}D tensors of shapes "
            f"{list(input._layout.shape)} and "
            f"{list(mat2._layout.shape)}")
    return run("matmul", input, mat2)


def bmm(input: Any, mat2: Any) -> Any:
    """The products of two batches of matrices."""
    if input.ndim != 3 or mat2.ndim != 3:
        raise RuntimeError(f"batch1 and batch2 must be 3D tensors, got {input.ndim}D and {mat2.ndim}D")
    if input._layout.shape[0] != mat2._layout.shape[0]:
        raise RuntimeError(f"batch1 and batch2 must have same number of batches, got {input._layout.shape[0]} and "
                           f"{mat2._layout.shape[0]}")
    return run("matmul", input, mat2)


def mv(input: Any, vec: Any) -> Any:
    """A matrix times a vector."""
    return _matmul(input, vec)


def dot(input: Any, tensor: Any) -> Any:
    """The sum of products of two vectors."""
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    if input._layout.shape != tensor._layout.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor {list(input._layout.shape)} and src {list(tensor._layout.shape)} "
            "to have the same number of elements"
        )
    return run("sum", POINTWISE["mul"](input, tensor), dtype=input.dtype)


def outer(input: Any, vec2: Any) -> Any:
    """All products of elements of two vectors."""
    if input.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(f"outer: Expected 1-D arguments, but got {input.ndim}-D and {vec2.ndim}-D")
    return POINTWISE["mul"](look("view", input, shape=(input.numel(), 1)), vec2)


def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta·input + alpha·(mat1 @ mat2)."""
    return run("addmm", input, mat1, mat2, beta, alpha)


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """input·weightᵀ + bias, for input (…, k), weight (n, k), bias (n)."""
    if weight.ndim == 1:
        made = _matmul(input, weight)
        return made if bias is None else made + bias
    return run("linear", input, weight, bias)


def einsum(equation: str, *operands: Any) -> Any:
    """Einstein summation (``"bij,bjk->bik"``); ``...`` stands for broadcast axes. Operands are contracted left to right."""
    if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = tuple(operands[0])
    terms, output = _parse(equation, operands)
    x, labels = _single(operands[0], terms[0])
    for k, (y, term) in enumerate(zip(operands[1:], terms[1:], strict=True), 1):
        y, right = _single(y, term)
        later = set(output).union(*terms[k + 1 :])
        x, labels = _pair(x, labels, y, right, later)
    gone = [k for k, c in enumerate(labels) if c not in output]
    if gone:
        x = x.sum(dim=gone)
        labels = [c for c in labels if c in output]
    order = [labels.index(c) for c in output]
    return x.permute(order) if order != list(range(len(order))) else x


def _parse(equation: str, operands: tuple[Any, ...]) -> tuple[list[list[str]], list[str]]:
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(operands):
        raise RuntimeError(f"einsum(): {equation!r} names {len(parts)} operands, {len(operands)} were given")
    wide = 0
    for part, x in zip(parts, operands, strict=True):
        wide = max(wide, x.ndim - len(part.replace("...", "")) if "..." in part else 0)
    dots = [f"<{k}>" for k in range(wide)]
    terms = []
    for part, x in zip(parts, operands, strict=True):
        head, found, tail = part.partition("...")
        n = x.ndim - len(head) - len(tail)
        if n < 0 or (n and not found):
            raise RuntimeError(
                f"einsum(): the number of subscripts in {part!r} does not match the number of dimensions ({x.ndim})"
            )
        terms.append([*head, *dots[wide - n :], *tail] if found else list(part))
    if arrow:
        head, found, tail = right.partition("...")
        output = [*head, *dots, *tail] if found else list(right)
    else:
        flat = [c for t in terms for c in t]
        output = dots + sorted(c for c in set(flat) if flat.count(c) == 1 and len(c) == 1)
    unknown = set(output) - {c for t in terms for c in t}
    if unknown:
        raise RuntimeError(
            f"einsum(): output subscript {min(unknown)} does not appear in the equation for any input operand"
        )
    return terms, output


def _single(x: Any, labels: list[str]) -> tuple[Any, list[str]]:
    """An operand with each label once: repeated ones take the diagonal."""
    labels = list(labels)
    for c in list(dict.fromkeys(labels)):
        while labels.count(c) > 1:
            i = labels.index(c)
            j = labels.index(c, i + 1)
            x = x.diagonal(0, i, j)
            del labels[j], labels[i]
            labels.append(c)
    return x, labels


def _pair(x: Any, a: list[str], y: Any, b: list[str], later: set[str]) -> tuple[Any, list[str]]:
    """Contract two operands: labels of both that nothing needs later are summed, as one matrix product."""
    def alone(z: Any, mine: list[str], other: list[str]) -> tuple[Any, list[str]]:
        gone = [k for k, c in enumerate(mine) if c not in other and c not in later]
        return (z.sum(dim=gone), [c for c in mine if c in other or c in later]) if gone else (z, mine)

    x, a = alone(x, a, b)
    y, b = alone(y, b, a)
    size: dict[str, int] = {}
    for z, mine in ((x, a), (y, b)):
        for c, n in zip(mine, z._layout.shape, strict=True):
            if size.setdefault(c, n) != n:
                if 1 not in (n, size[c]):
                    raise RuntimeError(
                        f"einsum(): subscript {c} has size {n} for one operand and {size[c]} for another"
                    )
                size[c] = max(n, size[c])
    batch = [c for c in a if c in b and c in later]
    summed = [c for c in a if c in b and c not in later]
    left = [c for c in a if c not in b]
    right = [c for c in b if c not in a]

    def arranged(z: Any, mine: list[str], *groups: list[str]) -> Any:
        z = z.permute([mine.index(c) for g in groups for c in g])
        z = z.expand([size[c] for g in groups for c in g])
        return z.reshape([size[c] for c in batch] + [math.prod(size[c] for c in g) for g in groups[1:]])

    made = run("matmul", arranged(x, a, batch, left, summed), arranged(y, b, batch, summed, right))
    labels = batch + left + right
    return made.reshape([size[c] for c in labels]), labels


def addmm_(self: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """`addmm` in place."""
    return into(self, addmm(self, mat1, mat2, beta=beta, alpha=alpha))


METHODS = {"addmm_": addmm_}
FUNCTIONS = {f.__name__: f for f in (matmul, mm, bmm, mv, dot, outer, addmm, linear, einsum)}
