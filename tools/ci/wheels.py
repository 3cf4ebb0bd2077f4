"""Build a wheel of every distribution, install them with plain pip into a new environment, and run the demo there.

What a user gets is a wheel, not this tree: a data file that was forgotten, or a dependency that only the workspace
brings, shows here and nowhere else.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = ("devices", "core", "plugins/cpu", "plugins/opencl", "plugins/sim", "tools")


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Run, with nothing of the workspace in the environment; exit with its code when it fails."""
    print("+", " ".join(Path(str(c)).name if k == 0 else str(c) for k, c in enumerate(command)), flush=True)
    env = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "INGOT_REQUIRE")}
    code = subprocess.run([str(c) for c in command], cwd=cwd, env=env, check=False).returncode
    if code:
        raise SystemExit(code)


def main() -> int:
    """Build, install, run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for member in MEMBERS:
            run("uv", "build", "-q", "--wheel", "--out-dir", folder / "wheels", ROOT / member)
        venv.create(folder / "env", with_pip=True)
        python = folder / "env" / "bin" / "python"
        wheels = sorted(str(p) for p in (folder / "wheels").glob("*.whl"))
        pocl = [w + "[pocl]" if "ingot_opencl" in w else w for w in wheels]
        run(python, "-m", "pip", "install", "-q", *pocl)
        run(folder / "env" / "bin" / "ingot", "devices", cwd=folder)
        run(folder / "env" / "bin" / "ingot", "demo", "--quick", cwd=folder)
    print(f"{len(wheels)} wheels, installed and run outside the workspace")
    return 0


if __name__ == "__main__":
    sys.exit(main())
