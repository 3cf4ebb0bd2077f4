"""Runs the parts of ``verify.sh``: each in a process of its own, killed at its limit, its outcome in one JSON.

First comes an installation that needs no network and no build: wheels that were carried here are unpacked, and the
workspace's own distributions are written down where `importlib.metadata` finds them, so that entry points work.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PARTS_LIMIT = 8 * 60
TESTS, OPS = "-m pytest -q -p no:cacheprovider -p no:benchmark tests/device", "tests/device/test_ops.py"
CUDA = "--device cuda:0"


@dataclass(frozen=True)
class Part:
    """``command`` is what Python runs, with ``{out}`` for the JSON's path; ``small`` replaces it in a rehearsal.

    ``quiet``: it measures, so nothing else may run meanwhile.
    """

    name: str
    seconds: int
    command: str
    small: str = ""
    tests: bool = False
    quiet: bool = False

    def within(self, seconds: int) -> Part:
        """The same in at most so many seconds; what can sample has a quarter of a minute less for that."""
        if seconds >= self.seconds:
            return self
        sample = f"--budget {max(seconds - 15, 10)}"
        command = re.sub(r"--full\b|--budget \S+", sample, self.command)
        command = re.sub(r"--seconds \S+", f"--seconds {max(seconds - 15, 10)}", command)
        return replace(self, seconds=seconds, command=command)


JUDGE = "-m ingot_tools conformance cuda:0 --json {{out}} --budget {}"
BENCH = "tools/gpu/bench.py {} --out {{out}}"
SMALL = "tools/gpu/bench.py {} --small --out {{out}}"
CONVOLUTIONS = "tools/gpu/convolutions.py"
COMPILED = "tools/gpu/bench_compiled.py"
DEALING = "tools/gpu/dealing.py --out {out}"
PARTS = (
    Part("found", 120, "tools/gpu/found.py --out {out}"),
    Part("convolutions", 240, f"{CONVOLUTIONS} --out {{out}}", f"{CONVOLUTIONS} --small --out {{out}}"),
    Part("ops", 480, f"{TESTS}/test_ops.py {CUDA} --full -n 16", f"{TESTS}/test_ops.py {CUDA} --budget 20", tests=True),
    Part("suite", 480, f"{TESTS} {CUDA} --ignore {OPS} -n 6", f"{TESTS}/test_errors.py {CUDA}", tests=True),
    Part("conformance", 480, JUDGE.format(400), JUDGE.format(20)),
    Part("sanitizer", 420, "tools/gpu/sanitizer.py --out {out}"),
    Part("bandwidth", 300, BENCH.format("bandwidth"), SMALL.format("bandwidth"), quiet=True),
    Part("dealing", 120, DEALING, f"{DEALING} --small", quiet=True),
    Part("products", 240, BENCH.format("products"), SMALL.format("products"), quiet=True),
    Part("host", 180, BENCH.format("host"), SMALL.format("host"), quiet=True),
    Part("block", 300, BENCH.format("block"), SMALL.format("block"), quiet=True),
    Part("compiled", 300, f"{COMPILED} --seconds 200 --out {{out}}", f"{COMPILED} --small --out {{out}}", quiet=True),
    Part("trace", 120, "tools/gpu/trace.py --out {out}"),
)


def main() -> int:
    """1 if a part failed."""
    names = [p.name for p in PARTS]
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(names)}, table; all of them if none is named")
    parser.add_argument("--simulated", action="store_true", help="rehearse on the simulated driver: nothing is tested on CUDA")
    parser.add_argument("--together", action="store_true", help="run the parts that measure nothing all at once")
    parser.add_argument("--seconds", type=int, default=PARTS_LIMIT, help="that a part may take; then tests are sampled")
    given = parser.parse_args()
    unknown = sorted(set(given.parts) - {*names, "table"})
    if unknown:
        parser.error(f"no part is called {', '.join(unknown)}; there are {', '.join(names)} and table")
    out = Path(os.environ.get("OUT") or ROOT / "tools" / "gpu" / "results")
    out.mkdir(parents=True, exist_ok=True)
    chosen = [p for p in PARTS if not given.parts or p.name in given.parts]
    failed: list[str] = []
    if chosen:
        environment = simulated() if given.simulated else {}
        environment |= installed(environment)
        at_once = [p for p in chosen if given.together and not p.quiet]

        def outcome(part: Part) -> str:
            fits = part.within(given.seconds)
            return "" if run(fits, out / f"{part.name}.json", environment, given.simulated) else part.name

        with ThreadPoolExecutor(max(len(at_once), 1)) as threads:
            failed += threads.map(outcome, at_once)
        failed += map(outcome, [p for p in chosen if p not in at_once])
        failed = list(filter(None, failed))
    if not given.parts or "table" in given.parts:
        subprocess.run([sys.executable, str(ROOT / "tools/gpu/table.py"), str(out)], check=True)
    print(f"failed: {', '.join(failed)}" if failed else "every part that ran went through")
    return 1 if failed else 0


# ---- the installation ------------------------------------------------------------------------------------------------
def installed(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which the workspace, and the wheels in ``WHEELS``, are installed."""
    site = Path(tempfile.mkdtemp(prefix="ingot-site-"))
    wheels = sorted(Path(os.environ.get("WHEELS", ROOT / ".whl")).glob("*.whl"))
    if wheels:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(site)]
        subprocess.run([*command, *map(str, wheels)], check=True)
    members = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    for member in members:
        project = tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"]
        info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
        groups = project.get("entry-points", {})
        lines = [line for g, points in groups.items() for line in (f"[{g}]", *(f"{k} = {v}" for k, v in points.items()))]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    before = environment.get("PYTHONPATH") or os.environ.get("PYTHONPATH", "")
    paths = [str(ROOT / m / "src") for m in members] + [str(site), *filter(None, [before])]
    return {"PYTHONPATH": os.pathsep.join(paths), "INGOT_PROBE_TIMEOUT": "60", "INGOT_CACHE_DIR": str(site / "cache")}


def simulated() -> dict[str, str]:
    """The environment of the simulated driver."""
    said = subprocess.run(
        [sys.executable, str(ROOT / "tools/ci/cuda_sim.py"), "env"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return dict(re.findall(r"^export (\w+)='(.*)'$", said, flags=re.MULTILINE))


# ---- a part ----------------------------------------------------------------------------------------------------------
def run(part: Part, out: Path, environment: Mapping[str, str], rehearsal: bool) -> bool:
    """Run one part; its JSON is there afterwards, whatever happened."""
    out.unlink(missing_ok=True)
    command = (part.small or part.command) if rehearsal else part.command
    if rehearsal and part.tests:
        command += " --cuda-driver simulated"
    print(f"== {part.name}: {command.split(' --out')[0]} (at most {part.seconds} s)", flush=True)
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *command.format(out=out).split()], cwd=ROOT, env={**os.environ, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=min(part.seconds, PARTS_LIMIT))
        note = "" if process.returncode == 0 else f"exit status {process.returncode}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        note = f"did not end within {part.seconds} s"
    seconds = time.monotonic() - start
    print(said[-6000:], flush=True)
    found: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    last = next((line for line in reversed(said.splitlines()) if re.search(r"\d+ (passed|failed|error)", line)), "")
    if part.tests:
        found["tests"] = last.strip("= ")
        found["tail"] = said[-3000:] if note else ""
        note = note or ("" if re.search(r"\b[1-9]\d* passed", last) else "no test passed")
    found |= {"part": part.name, "ok": not note, "note": note, "seconds": round(seconds, 1), "simulated": rehearsal,
              "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "machine": machine()}  # fmt: skip
    out.write_text(json.dumps(found, indent=1) + "\n")
    print(f"== {part.name}: {'ok' if not note else 'FAILED, ' + note}, {seconds:.0f} s", flush=True)
    return not note


def machine() -> dict[str, Any]:
    """Where this ran: processor, Python, and what the driver's own command says."""
    try:
        query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        gpu = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        gpu = "none: nvidia-smi does not answer"
    return {"gpu": gpu, "cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(),
            "python": platform.python_version(), "kernel": platform.release()}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
