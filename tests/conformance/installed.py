"""Installs a package without an installer: its modules and a ``dist-info`` on a path of their own, as pip would leave them.

For packages that the scaffold writes; `tools/ci/wheels.py` installs the same with pip.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path


def install(package: Path, site: Path) -> None:
    """Put the package in the folder ``package`` (with a pyproject.toml and src/) on the path ``site``."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    for module in (package / "src").iterdir():
        shutil.copytree(module, site / module.name)
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = "".join(f"{k} = {v}\n" for k, v in project["entry-points"]["ingot"].items())
    (info / "entry_points.txt").write_text(f"[ingot]\n{points}")


def run(site: Path, *command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command with what is installed on ``site``; ``ingot``, ``pytest`` and ``python`` are this environment's."""
    program = {"python": [], "ingot": ["-m", "ingot_tools"], "pytest": ["-m", "pytest", "-q", "-p", "no:cacheprovider"]}
    head = [sys.executable, *program[command[0]]]
    made = {**os.environ, **paths(site), "COLUMNS": "160", **environment}
    return subprocess.run([*head, *command[1:]], cwd=cwd, env=made, capture_output=True, text=True, check=False)


def paths(site: Path) -> dict[str, str]:
    """The environment in which what is on ``site`` is found before what this process finds."""
    found = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH", ""))))
    return {"PYTHONPATH": found, "INGOT_CACHE_DIR": str(site.parent / "cache")}
