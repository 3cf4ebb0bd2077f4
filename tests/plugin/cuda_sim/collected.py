"""Compiles the sources that a run with ``INGOT_CUDA_SIM_GATHER`` collected: many in one call of g++, five times cheaper.

    python -m cuda_sim.collected FOLDER [PART PARTS]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .use import activate

TOGETHER = 60


def compile_folder(folder: Path, jobs: int) -> int:
    """Compile all, in ``jobs`` processes; how many sources there were. RuntimeError where one of them failed."""
    command = [sys.executable, "-m", "cuda_sim.collected", str(folder)]
    parts = [subprocess.Popen([*command, str(k), str(jobs)], cwd=Path(__file__).parents[1]) for k in range(jobs)]
    codes = [part.wait() for part in parts]
    if any(codes):
        raise RuntimeError(f"kernels collected in {folder} could not be compiled")
    return len(list(folder.iterdir()))


def main() -> int:
    """Compile one part of a folder; 1 if a source was refused."""
    folder, part, parts = Path(sys.argv[1]), *map(int, sys.argv[2:4] or ("0", "1"))
    files = sorted(folder.iterdir())[part::parts]
    simulator = activate()
    made = sum(simulator.build_collected(files[k : k + TOGETHER]) for k in range(0, len(files), TOGETHER))
    print(f"{made} of {len(files)} kernels compiled", flush=True)
    return int(made != len(files))


if __name__ == "__main__":
    sys.exit(main())
