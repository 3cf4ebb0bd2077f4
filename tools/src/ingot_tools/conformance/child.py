"""One process that runs cases: a `worker`, what it answers, and how it ended. `conduct` has them one after the other."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from typing import IO, Any

from .harness.pace import Pace


class Child:
    """A worker that was asked for the cases of these ``names``. ``answers`` gets what it says, and None at its end."""

    def __init__(self, device: str, names: list[str], alone: bool, pace: Pace) -> None:
        options = json.dumps({"alone": alone, "pace": pace})
        command = [sys.executable, "-P", "-m", "ingot_tools.conformance.worker", device, options]
        self.start(command, _environment(alone), names)

    def start(self, command: list[str], environment: dict[str, str], names: list[str]) -> None:
        """Begin the process, in a session of its own, and read and write in threads."""
        self.names = names
        self.err: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed with the object
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err, env=environment, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self._read, self._write)]
        for thread in self.threads:
            thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with suppress(ValueError):  # half a line: it was ended while it wrote
                self.answers.put(json.loads(line))
        self.answers.put(None)

    def _write(self) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError), self.process.stdin as stream:
            stream.write("\n".join(self.names))

    def kill(self) -> None:
        """End it and what it has started."""
        if self.process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def close(self) -> None:
        """End it, if it has not ended, and close what belongs to it."""
        self.kill()
        for thread in self.threads:
            thread.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.err.close()

    def how_it_ended(self) -> str:
        """In words; waits for the end."""
        status = self.process.wait()
        if status < 0:
            return f"the process was ended by {signal.Signals(-status).name}"
        return f"the process ended with {status}"

    def said(self) -> str:
        """The last line on its error stream."""
        self.err.seek(0)
        lines = self.err.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else ""


def _environment(alone: bool) -> dict[str, str]:
    from ingot.cpu import KIND

    made = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path)}
    made.setdefault("INGOT_FALLBACK", "allow")
    made.pop("PYTHONOPTIMIZE", None)  # checks are assertions
    if alone:
        made["INGOT_DISABLE"] = ",".join(filter(None, (os.environ.get("INGOT_DISABLE", ""), KIND)))
    return made
