"""One fault planted in the compiler of a process of its own, and random programs until one finds it.

    python planted_compiler.py NAME TRIES     prints the number of the program that found it, or "none" (NAME may be "nothing")

Apart, because a program whose guard or index arithmetic is wrong may read and write where it likes: what comes after it in the
same process would be judged on damaged memory. A process that dies of it has found the fault, too.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def find(name: str, tries: int) -> str:
    """Run in a child; its last line, or how it died."""
    made = subprocess.run(
        [sys.executable, __file__, name, str(tries)], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    if made.returncode > 0:
        raise RuntimeError(made.stderr)
    return made.stdout.split()[-1] if made.returncode == 0 else f"died of signal {-made.returncode}"


def main() -> None:
    """Plant and run."""
    import fuzzing
    import ingot
    import pytest
    from faults_of_compile import FAULTS, Plant

    faults: dict[str, Plant] = {f.__name__: f for f in FAULTS}
    if sys.argv[1] != "nothing":
        faults[sys.argv[1]](pytest.MonkeyPatch())
    found = "none"
    for number in range(int(sys.argv[2])):
        try:
            fuzzing.run(ingot, "cpu", number)
        except Exception:
            found = str(number)  # a fault may end in an error of any kind
            break
    print(found, flush=True)


if __name__ == "__main__":
    main()
