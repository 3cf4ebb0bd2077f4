"""Asks all backends at once, each in a child process with a time limit, and remembers the answers.

Between `discovery` and `probe`. Children start together and are killed, with everything that they
started, when their time is up. Answers are kept in the user's cache: *ready* until plugin, driver
or boot change, at most a day; anything else for a minute, because it is what people are busy
mending (the command line asks those anew at once).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .backend import CONTRACT
from .cache import Cache, key
from .claims import Declared
from .outcomes import Record, mend, one_line
from .probe import Answer, ask, time_limit

READY_FOR = 24 * 3600.0
OTHERWISE_FOR = 60.0
_KEPT_OUTPUT = 4000
_INSIDE = "INGOT_INSIDE_PROBE"
_cache = Cache("probes")


@dataclass
class _Child:
    process: subprocess.Popen[bytes]
    out: IO[bytes]
    err: IO[bytes]
    deadline: float


def probe_all(declared: Sequence[Declared], fresh: bool = False) -> list[Record]:
    """One record per backend. ``fresh`` asks those anew whose remembered answer is not *ready*."""
    answers: dict[str, Answer] = {}
    children: dict[str, _Child] = {}
    for one in declared:
        name = one.backend.name
        if one.backend.probe_in_process:
            answers[name] = ask(one.backend)
            continue
        kept = remembered(one)
        if kept is not None and (kept.state == "ready" or not fresh):
            answers[name] = kept
        else:
            started = _start(one)
            if isinstance(started, Answer):
                answers[name] = started
            else:
                children[name] = started
    try:
        for name, child in children.items():
            answers[name] = _finish(child)
    except BaseException:  # Ctrl-C: what was started must not stay behind
        for child in children.values():
            _kill(child.process)
        raise
    for one in declared:
        if one.backend.name in children:
            remember(one, answers[one.backend.name])
    return [_record(one, answers[one.backend.name]) for one in declared]


def _record(declared: Declared, answer: Answer) -> Record:
    remedy = answer.remedy
    if answer.state == "broken" and not remedy:
        remedy = mend(declared.plugin.distribution, declared.plugin.name)
    return declared.record(answer.state, answer.reason, remedy, devices=answer.devices, detail=answer.detail)


# ---- the child processes -------------------------------------------------------------------------
def _start(declared: Declared) -> _Child | Answer:
    if os.environ.get(_INSIDE):  # else every probe would start probes of its own
        return Answer("broken", "asked for while the probe of another backend runs")
    paths = [os.path.abspath(p) for p in sys.path]  # what this process can import, its child can
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        _INSIDE: declared.backend.name,
    }
    command = [
        sys.executable,
        "-P",
        "-m",
        "ingot_devices.probe",
        declared.plugin.name,
        declared.backend.name,
    ]
    # files, not pipes: nobody has to drain them, and a grandchild that lives on blocks nothing
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        return Answer("broken", f"its probe could not be started: {one_line(error)}")
    return _Child(process, out, err, time.monotonic() + time_limit())


def _finish(child: _Child) -> Answer:
    try:
        status = child.process.wait(max(child.deadline - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
        _kill(child.process)
        return Answer("broken", f"its probe gave no answer within {time_limit():g} s and was stopped")
    finally:
        said = _content(child.err).decode(errors="replace").strip()
        answer = _content(child.out)
    try:
        return Answer.from_json(answer)
    except ValueError:
        return Answer(
            "broken",
            f"its probe {_how_it_ended(status)}{_last_line(said)}",
            detail=said[-_KEPT_OUTPUT:],
        )


def _kill(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):  # it ended meanwhile
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    # one that is stuck in the kernel dies when its driver lets go; nobody waits for that
    with suppress(subprocess.TimeoutExpired):
        process.wait(0.5)


def _content(file: IO[bytes]) -> bytes:
    with file:
        file.seek(0)
        return file.read()


def _how_it_ended(status: int) -> str:
    if status < 0:
        try:
            return f"was ended by {signal.Signals(-status).name}"
        except ValueError:
            return f"was ended by signal {-status}"
    return f"ended with exit code {status} and no answer"


def _last_line(text: str) -> str:
    last = text.splitlines()[-1].strip() if text else ""
    return f", saying: {last:.120}" if last else ""


# ---- the memory of answers -----------------------------------------------------------------------
def remembered(declared: Declared) -> Answer | None:
    """The kept answer, if it still holds."""
    content = _cache.get(_cache_key(declared))
    if content is None:
        return None
    try:
        kept: dict[str, Any] = json.loads(content)
        answer = Answer.from_json(json.dumps(kept["answer"]))
        age = time.time() - float(kept["time"])
    except (ValueError, KeyError, TypeError):
        return None
    good_for = READY_FOR if answer.state == "ready" else OTHERWISE_FOR
    return answer if kept["state"] == _state_key(declared) and 0 <= age < good_for else None


def remember(declared: Declared, answer: Answer) -> None:
    """Keep ``answer`` for later processes."""
    kept = {
        "state": _state_key(declared),
        "time": time.time(),
        "answer": json.loads(answer.to_json()),
    }
    _cache.put(_cache_key(declared), json.dumps(kept).encode())


def forget(declared: Declared) -> None:
    """Ask again next time: what was remembered turned out to be wrong."""
    _cache.remove(_cache_key(declared))


def _cache_key(declared: Declared) -> str:
    return key(declared.plugin.distribution, declared.plugin.name, declared.backend.name, sys.prefix)


def _state_key(declared: Declared) -> str:
    """What the answer depends on: contract, plugin, Python, boot, and what the backend names."""
    try:
        own = declared.backend.probe_key()
    except Exception as error:  # the probe itself will say what is wrong
        own = one_line(error)
    return key(
        str(CONTRACT),
        declared.plugin.version,
        _files(declared.plugin.module),
        sys.version,
        _boot(),
        str(own),
    )


def _files(module: Any) -> str:
    """Names and times of the plugin's source files: a plugin under development is asked again."""
    source = getattr(module, "__file__", None)
    if not source:
        return ""
    folder = Path(source).parent
    found = folder.glob("*.py") if Path(source).name == "__init__.py" else [Path(source)]
    try:
        return repr(sorted((p.name, p.stat().st_mtime_ns) for p in found))
    except OSError:
        return ""


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
