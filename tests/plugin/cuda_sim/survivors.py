"""Mutants that the suite lets live, and why: text of a kernel in, a reason out. `mutants` asks for what it could not kill.

A row has the ops it is about (all of them, where there is none) and the operators, a pattern, which begins with the
line that was changed (then come the five behind it, and last what became of the line), and the reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .mutate import Mutant

Row = tuple[str, str, str, str]
IN_LOOP = r"if \(.*\n.*\n?.*for .*\n(?:\s*const int t\d+ = .*\n)?\s*"  # a mask, and the loop over what it hides
ZERO_TIMES = r"\((?:\(unsigned long long\))?0u \* (?:\(unsigned long long\))?"
ROW = r"(x\d+)\[o\d+ \+ \(+r\d+ \* (\w+)\)"  # an element of an operand, and the stride of its rows
ROW_TOO = r"\1\[o\d+ \+ \(+r\d+ \* "
EQUAL: tuple[Row, ...] = (
    ("bincount", "< to <=", r".*>= 0\) & \(", "it makes as many places as its operand needs: none is asked for beyond them"),
    ("masked_select", "< to <=", r".*>= 0\) & \(", "it makes as many places as elements are true"),
    ("", "< to <=", r"for \(int (l\d+) = 0; \1 < 1;", "a tree's last step: what is more is written where nobody reads"),
    ("", "< to <=", r"for \(int (u\d+) = \d+; \1 < .*\n\s*if \(.*\(\1 \* \d+\)\)* < n\d+\)", "a mask is in the loop"),
    ("abs", "< to <=", r".*< 0\) \?", "0 is its own negative"),
    ("max|max_pool1d|max_pool2d|cummax|cummin", "< to <=", r".*\(t\d+ >= 0\) & \(t\d+ < (1|c\d+)\)",
     "what it found itself lies within"),
    ("adaptive_max_pool1d|adaptive_max_pool2d|adaptive_max_pool3d", "< to <=", r"for \(int (i\d+_0) = 0; \1 < n\d+; ",
     "one more is the last of the window again"),
    ("max_pool1d|max_pool2d|max_pool3d", "< to <=", r"for \(int (i\d+_0) = 0; \1 < n\d+;(?s:.*)== \(long long\)",
     "what a window more has found lies elsewhere"),
    ("sinh|cosh", "< to <=", r".* < (709|88)\.0f?\) \?", "at the bound both forms are right, within the bound of the op"),
    ("erfinv", "< to <=", r".* < 0\.5f?\) \? \(erf\(", "at the bound both forms are right"),
    ("fmod|remainder", "< to <=", r".*!= 0l?\) & \(\(t\d+ < 0l?\) != \(t\d+ < 0l?\)\)\) \?",
     "where either is 0, so is the rest"),
    ("hypot", "< to <=", r".*> 0x1p\+\d+f?\) \? 0x1p-\d+f? : \(\(\w+ < 0x1p-\d+f?\) \? ", "at the bound both scales are right"),
    ("randperm", "change a seed constant", r".*\n(  \w|\})", "a kernel without a loop draws one number, and any is the first"),
    ("", "drop a mask|< to <=", r"if \((\(x_0 == 0\) & )?\(?row0 < rows\)", "rows behind the last do as the last"),
    ("", "drop a mask|< to <=", IN_LOOP + r"(a\d+_0\[l\d\]) = \1 \+ (v\d+\[|\(v\d+\[\w+\] \* )",
     "it adds zeros, or numbers times zero"),
    ("norm|mse_loss", "drop a mask|< to <=", IN_LOOP + r"const \w+ (t\d+) = v\d+\[[^;]*\];\n.* = a\d+_0.* \+ \(\1 \* \1\);",
     "it adds squares of zero"),
    ("max|min|argmax|argmin", "drop a mask|< to <=",
     IN_LOOP + r"(?:const \w+ t\d+ = .*\n\s*)?(a\d+_0\[l\d\]) = ig_minimum_int64\(\1, \(\(",
     "a place behind the last comes after every other"),
    ("max|argmax|amax", "drop a mask|< to <=",
     IN_LOOP + r"(?:const \w+ t\d+ = .*\n\s*)?(a\d+_0\[l\d\]) = ig_maximum_uint\d+\(\1, v",
     "zero is the least number without a sign"),
    ("binary_cross_entropy", "drop a mask|< to <=", IN_LOOP + r"const \w+ t\d+ = v\d+\[t\d+\];\n.* = v\d+\[t\d+\];",
     "the loss of 0 where 0 is wanted is 0"),
    ("border", "swap strides", r".*\? \(\(t\d+ \* c\d+\) \+ c\d+\) : t\d+\)\) \+ \(\(t\d+ >=",
     "all axes are continued in one way, so both factors are the same"),
    ("gru_cell|lstm_cell", "swap strides", rf".*{ROW}.*{ROW_TOO}(\w+)\)(?s:.*)\n[^\n]*{ROW_TOO}\3\)[^\n]*{ROW_TOO}\2\)",
     "gates are parts of one operand, and lie alike"),
    ("", "drop a mask", r"if \(\(int\)threadIdx\.x == 0\) \{\n\s*x\d+\[[^=]*\] = r\d+_\d+;",
     "each thread has what the tree came to, and writes the same"),
    ("", "drop a mask|< to <=",
     r"if \(\(int\)threadIdx\.x < (1|2|4|8|16)\) \{\n\s*if \(\(j\d+ \+ \(int\)threadIdx\.x\) < n\d+\) \{",
     "a strip narrower than a warp has all columns, and the mask behind says how many"),
    ("", "change a seed constant", rf".*{ZERO_TIMES}(\d+)(?s:.*)\n(?!.*{ZERO_TIMES}\1)[^\n]*\Z", "zero times any constant"),
    ("adaptive_avg_pool1d", "swap strides", r"s\d+_0 = .*\(r0 \* (c\d+)\)(?s:.*)\n[^\n]*\(r0 \* \1\)[^\n]*\Z",
     "places in a window lie as far apart as windows' beginnings"),
    ("max_pool1d", "swap strides", r".*x0\[o0 \+ \(\(\(r0 \+ \(i1_0 \* c\d+\)\) \+ \(t\d+ \* c\d+\)\) \+ c\d+\)\]",
     "the sum of both numbers is a place, so both have its stride"),
    ("permute", "swap strides", r"x1\[.* = x0\[", "axes that change places have a stride in common"),
    ("roll", "swap strides", r"x1\[.* = .*x0\[", "where an operand lies as its result does, both have the same strides"),
    ("gru_cell|lstm_cell|rnn_tanh_cell|rnn_relu_cell", "swap strides", r"s\d+_0 = s\d+_0 \+ \(.*x\d+\[.*\]\)? \* .*x\d+\[",
     "rows of both factors are as long as the sum"),
    ("", "drop a mask|< to <=", r"(left|right)\d+\[e\d+\] = \(k_\d+ < n\d+\) \? .* : 0u?l?l?;", "it adds numbers times zero"),
    ("softmax|log_softmax", "swap strides", r"x\d+\[.*\] = x\d+\[.*x\d+\[", "the operands of a gradient lie alike"),
)
"""They compute what the original computes, or what is as right."""

MISSED: tuple[Row, ...] = (
    ("", "drop a mask", r".* & \d+\) == 0\)", "a fresh output has offset 0, operands are shifted in an op's main dtype only"),
    ("", "drop a mask|< to <=", r"(left|right)\d+\[e\d+\] = \(k_\d+ < n\d+\) \? .* : 0\.0f?;",
     "it adds numbers times zero: only a last one that is not finite would tell"),
    ("", "drop a mask", r"x\d+\[o\d+\] = \(x\d+\[o\d+\] \S+ \S+\) \? x\d+\[o\d+\] : ",
     "a sample of one element is on one side of a choice"),
    ("binary_cross_entropy", "swap strides", r"const \w+ t\d+ = x\d+\[o\d+ \+ \(\(r\d+ \* c\d+\) \+ ",
     "what is no probability lies dense where it is to be refused"),
    ("bernoulli", "< to <=", r"[xv]\d+\[.* < [xv]\d+\[", "a word that is drawn is hardly ever equal to a probability"),
    ("scaled_dot_product_attention|multi_head_attention", "drop a mask",
     r"x\d+\[.*\] = \(.*\) \? x\d+\[.*\] : 0\.0f?;", "what is masked is multiplied by a probability of zero"),
    ("multinomial", "< to <=", r".*\(t\d+ < p\d+\) \? t\d+ : p\d+;", "no draw is rounded up to the upper end"),
    ("l1_loss", "< to <=", r".*< 0\.0f?\) \? \(-1\.0f?\)", "no sample lies at the kink"),
    ("randn|normal", "< to <=", r".*= t\d+ < 0x1p-126f;", "no draw is the least normal number"),
)
"""They are wrong, and no test sees it."""


def reason(op: str, mutant: Mutant, rows: Sequence[Row]) -> str:
    """Why ``mutant`` of a kernel of ``op`` may survive, if ``rows`` know that."""
    lines = mutant.source.splitlines()
    text = "\n".join([mutant.was, *lines[mutant.line : mutant.line + 5], lines[mutant.line - 1].strip()])
    mine = [row for row in rows if not row[0] or op in row[0].split("|")]
    known = (why for _, operators, line, why in mine if mutant.operator in operators.split("|") and re.match(line, text))
    return next(known, "")
