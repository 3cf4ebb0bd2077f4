"""Makes ``runtime.ll`` from ``runtime.c``: run it when the C changes, and commit both.

    python plugins/cpu/make_runtime.py [clang …]     default: python -m ziglang cc (pip install ziglang==0.17.1)

What names this machine's processor is taken out: the JIT compiles the text for the one that it runs on.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).parent / "src/ingot_cpu/native/runtime.c"
FLAGS = (
    "-mcpu=baseline -O2 -fno-sanitize=all -fno-stack-protector -fno-vectorize -fno-slp-vectorize -fPIC -g0 -S -emit-llvm "
    "-target x86_64-linux-gnu"
).split()
_DROPPED = re.compile(r"^(source_filename|target datalayout|target triple|; ModuleID).*\n", re.MULTILINE)
_TARGET = re.compile(r' "(target-cpu|target-features|tune-cpu|frame-pointer|stack-protector-buffer-size)"="[^"]*"')


def portable(text: str, source: bytes) -> str:
    """The IR without what belongs to one machine, headed by its source's digest."""
    head = f"; Made from runtime.c by make_runtime.py; sha256 {hashlib.sha256(source).hexdigest()}\n"
    return head + _TARGET.sub("", _DROPPED.sub("", text)).lstrip()


def main(compiler: list[str]) -> None:
    """Compile and write."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "made.ll")
        subprocess.run([*compiler, *FLAGS, str(SOURCE), "-o", str(made)], check=True)
        text = made.read_text(encoding="utf-8")
    SOURCE.with_suffix(".ll").write_text(portable(text, SOURCE.read_bytes()), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:] or [sys.executable, "-m", "ziglang", "cc"])
