"""Builds the wheel of every distribution, installs them with plain pip outside the workspace, and runs them.

    .venv/bin/python tools/ci/wheels.py

What is checked: each wheel carries ``py.typed``, its licence and its data; what is imported is the installed package; the
command lists the devices, and the demo trains on them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
DATA = {"ingot_devices": {"ingot_devices/published.json"}}
ORIGINS = "import ingot, ingot_devices; print(ingot.__file__, ingot_devices.__file__)"


def workspace() -> dict[str, object]:
    """The table of the root's pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]  # type: ignore[no-any-return]


def run(*command: str | Path, cwd: Path) -> str:
    """What ``command`` prints; SystemExit with all of it where it fails."""
    print("$", *(Path(c).name if isinstance(c, Path) else c for c in command), flush=True)
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(c) for c in command], cwd=cwd, env={**environment, "COLUMNS": "120"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{done.stdout}\nfailed with {done.returncode}")
    return done.stdout


def build(member: Path, out: Path) -> Path:
    """The wheel of one distribution."""
    before = set(out.glob("*.whl"))
    run("uv", "build", "--quiet", "--wheel", "--out-dir", out, member, cwd=out)
    (made,) = set(out.glob("*.whl")) - before
    return made


def inspect(wheel: Path) -> None:
    """SystemExit where the wheel misses what it should carry."""
    names = set(zipfile.ZipFile(wheel).namelist())
    package = next(n.partition("/")[0] for n in sorted(names) if n.endswith("/__init__.py"))
    wanted = {f"{package}/py.typed"} | DATA.get(package, set())
    if not wanted <= names or not any(n.endswith(".dist-info/licenses/LICENSE") for n in names):
        sys.exit(f"{wheel.name} misses {sorted(wanted - names) or 'its licence'}")
    if stray := sorted(n for n in names if not n.startswith((f"{package}/", wheel.name.rpartition("-py3")[0]))):
        sys.exit(f"{wheel.name} has more than its package: {stray}")


def scaffold(place: Path, python: Path, ingot: Path, pins: Path) -> None:
    """What the guide promises on a machine that has never seen it: new packages install, are listed, win and are right."""

    def install(package: str) -> None:
        run("python3", "-m", "pip", "--python", python, "install", "--quiet", "--constraint", pins, f"./{package}", cwd=place)

    run(ingot, "new-backend", "acme", cwd=place)
    install("ingot-acme")
    if "acme:0" not in json.loads(run(ingot, "devices", "--json", cwd=place))["ready"]:
        sys.exit("a new backend is installed, and its device is not ready")
    print(run(ingot, "conformance", "acme:0", "--budget", "15", cwd=place))
    chosen = ("--ingot-device", "acme:0", "--ingot-level", "memory")
    run(python, "-m", "pytest", "-q", "--pyargs", "ingot_tools.conformance", *chosen, cwd=place)
    run(ingot, "new-kernels", "swift", cwd=place)
    install("ingot-swift")
    told = run(ingot, "explain", "silu", "--device", "cpu", cwd=place)
    if "registered (swift): taken" not in told:
        sys.exit(f"a new package of kernels is installed, and its kernel does not win: {told}")
    run(ingot, "conformance", "cpu:0", "--only", "/silu/", cwd=place)


def main() -> None:
    """Build, look inside, install, run."""
    settings = workspace()
    members = [ROOT / m for m in settings["workspace"]["members"]]  # type: ignore[index]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        wheels = [build(member, place) for member in members]
        for wheel in wheels:
            inspect(wheel)
        pins = place / "pins.txt"
        pins.write_text("\n".join(settings["constraint-dependencies"]))  # type: ignore[arg-type]
        run("python3", "-m", "venv", "--without-pip", place / "env", cwd=place)
        python, ingot = place / "env/bin/python", place / "env/bin/ingot"
        extras = {"ingot_opencl": "[pocl]", "ingot_tools": "[conformance]"}
        chosen = [f"{w}{extras.get(w.name.partition('-')[0], '')}" for w in wheels]
        run("python3", "-m", "pip", "--python", python, "install", "--quiet", "--constraint", pins, *chosen, cwd=place)
        origins = run(python, "-c", ORIGINS, cwd=place).split()
        if not all(Path(o).is_relative_to(place) for o in origins):
            sys.exit(f"imported from elsewhere: {origins}")
        print(run(ingot, "devices", cwd=place))
        listing = json.loads(run(ingot, "devices", "--json", cwd=place))
        ready = {name.partition(":")[0] for name in listing["ready"]}
        required = set(filter(None, os.environ.get("INGOT_REQUIRE", "cpu").split(",")))
        if not required <= ready:
            sys.exit(f"ready from the wheels: {sorted(ready)}; required: {sorted(required)}")
        print(run(ingot, "demo", "--quick", cwd=place))
        scaffold(place, python, ingot, pins)
    print(f"wheels: {len(wheels)} built, installed and run on {', '.join(sorted(ready))}")


if __name__ == "__main__":
    main()
