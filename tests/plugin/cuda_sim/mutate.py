"""Mutants of rendered kernels: the source with one thing wrong. Text in, texts out; no driver.

A row of `OPERATORS` names a kind of mistake and finds the places where it can be made. What a place makes equal to the
original by its form (the minimum of two numbers by ``<`` or by ``<=``) is no mutant and left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

KERNEL = re.compile(r"__global__")
BARRIER = re.compile(r"[ \t]*__syncthreads\(\);\n")
LESS = re.compile(r" < ")
STRIDE = re.compile(r"\* (c\d+)\)")
CONDITION = re.compile(r"\bif \((.*)\) \{")
GROUP = re.compile(r"__launch_bounds__\((\d+) \* ")  # work-items along x
FIRST = re.compile(r"\(int\)threadIdx\.x < (\d+)")
ALIAS = re.compile(r"\w+ \*(x\d+) = \(\w+ \*\)(x\d+);")  # a result that is written over an operand
PLACE = re.compile(r"(x\d+)\[([^\]]*)\]")
CHOICE = re.compile(r"= \(([^?;]*)\) \? (?=\w+\[)")  # a load with a condition
PHILOX = (0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85)  # its multipliers, and what its key grows by
CONSTANT = re.compile(rf"\b({'|'.join(map(str, PHILOX))})u?\b")


@dataclass(frozen=True)
class Mutant:
    """``source`` differs from its original in ``line`` (counted from 1), by ``operator``."""

    operator: str
    line: int
    was: str
    source: str


def _edit(source: str, start: int, end: int, text: str) -> str:
    return source[:start] + text + source[end:]


def _barriers(source: str, start: int) -> Iterator[tuple[int, str]]:
    for m in BARRIER.finditer(source, start):
        yield m.start(), _edit(source, m.start(), m.end(), "\n")


def _minimum(line: str) -> bool:
    """``(a < b) ? a : b``: the same number with ``<=``."""
    for mark in re.finditer(r"\) \? ", line):
        condition = line[_opened(line, mark.start()) + 1 : mark.start()]
        end = mark.end() + _until(line[mark.end() :], " : ")
        first, second = line[mark.end() : end], line[end + 3 : end + 3 + _until(line[end + 3 :], ";")]
        sides = condition.split(" < ")
        if len(sides) == 2 and [_bare(x) for x in sides] == [_bare(first), _bare(second)]:
            return True
    return False


def _opened(text: str, end: int) -> int:
    """Where the parenthesis that ends at ``end`` begins."""
    depth = 0
    for at in range(end, -1, -1):
        depth += (text[at] == ")") - (text[at] == "(")
        if not depth:
            return at
    return 0


def _until(text: str, stop: str) -> int:
    """Where ``stop`` stands outside of parentheses, or one ends that began before; else the end."""
    depth = 0
    for at, c in enumerate(text):
        if not depth and (text.startswith(stop, at) or c == ")"):
            return at
        depth += (c == "(") - (c == ")")
    return len(text)


def _bare(text: str) -> str:
    """Without parentheses around it."""
    text = text.strip()
    while text.startswith("(") and text.endswith(")") and _opened(text, len(text) - 1) == 0:
        text = text[1:-1]
    return text


def _bounds(source: str, start: int) -> Iterator[tuple[int, str]]:
    for m in LESS.finditer(source, start):
        if not _minimum(_line(source, m.start())):
            yield m.start(), _edit(source, m.start(), m.end(), " <= ")


def _strides(source: str, start: int) -> Iterator[tuple[int, str]]:
    """Two strides of one address change places, in one line; but not those of one memory under two names, which are equal."""
    names = dict(ALIAS.findall(source, start))
    for number, line in _lines(source, start):
        found = sorted(set(STRIDE.findall(line)))
        lie = {array: STRIDE.findall(at) for array, at in PLACE.findall(line)}
        twice = [zip(lie.get(new, ()), lie.get(old, ()), strict=False) for new, old in names.items()]
        equal = {frozenset(pair) for pairs in twice for pair in pairs}
        for a, b in pairwise(found):
            if frozenset((a, b)) in equal:
                continue
            swapped = b.join(re.sub(rf"\b{b}\b", a, part) for part in re.split(rf"\b{a}\b", line))
            yield number, _edit(source, number, number + len(line), swapped)


def _masks(source: str, start: int) -> Iterator[tuple[int, str]]:
    group = GROUP.search(source, start)
    for m in CONDITION.finditer(source, start):
        first = FIRST.fullmatch(m.group(1))
        if not (first and group and int(group.group(1)) <= int(first.group(1))):  # a mask that holds for the whole group
            yield m.start(), _edit(source, m.start(1), m.end(1), "true")
    for m in CHOICE.finditer(source, start):
        if not _minimum(_line(source, m.start())):
            yield m.start(), _edit(source, m.start(1), m.end(1), "true")


def _seeds(source: str, start: int) -> Iterator[tuple[int, str]]:
    """A constant of the random generator (Philox4x32-10), half of its bits turned: two more in the last round would move a word
    by two, of which no uniform knows."""
    for m in CONSTANT.finditer(source, start):
        yield m.start(), _edit(source, m.start(1), m.end(1), str(int(m.group(1)) ^ 0x5A5A5A5A))


OPERATORS: dict[str, Callable[[str, int], Iterator[tuple[int, str]]]] = {
    "drop a barrier": _barriers,
    "< to <=": _bounds,
    "swap strides": _strides,
    "drop a mask": _masks,
    "change a seed constant": _seeds,
}


def _lines(source: str, start: int) -> Iterator[tuple[int, str]]:
    for m in re.compile(r".+").finditer(source, start):
        yield m.start(), m.group()


def _line(source: str, at: int) -> str:
    return source[source.rfind("\n", 0, at) + 1 :].partition("\n")[0]


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a rendered source; only what follows the head of its kernel is changed."""
    kernel = KERNEL.search(source)
    if kernel is None:
        return
    for operator, places in OPERATORS.items():
        for at, changed in places(source, kernel.start()):
            at += len(source[at:]) - len(source[at:].lstrip("\n "))
            yield Mutant(operator, source.count("\n", 0, at) + 1, _line(source, at).strip(), changed)


def where_strides_differ(mutant: Mutant, original: str) -> str:
    """The original of a mutant whose strides were swapped, which traps where the two are different numbers."""
    lines = original.splitlines()
    at = mutant.line - 1
    names = (re.findall(r"\bc\d+\b", text) for text in (lines[at], mutant.source.splitlines()[at]))
    a, b = next((a, b) for a, b in zip(*names, strict=True) if a != b)
    lines[at] = f"if ({a} != {b}) __trap(); {lines[at]}"
    return "\n".join(lines) + "\n"
