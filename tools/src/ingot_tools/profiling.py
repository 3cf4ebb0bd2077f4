"""``ingot profile SCRIPT``: runs it under `ingot.profiler`, prints the table, writes the trace."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from ingot_devices import IngotError

from .cli import FAILED


def profile_script(script: str, arguments: Sequence[str], module: bool, trace: str, rows: int) -> int:
    """Run ``script`` as ``__main__``; its exit code, or 1 where it raised (the trace is written all the same)."""
    from ingot.profiler import profile

    if not module and not Path(script).is_file():
        raise IngotError(f"there is no file {script!r}; for a module, say `ingot profile -m {script}`")
    before, path = sys.argv, list(sys.path)
    sys.argv = [script, *arguments]
    code = 0
    with profile() as recorded:
        try:
            if module:
                runpy.run_module(script, run_name="__main__", alter_sys=True)
            else:
                sys.path.insert(0, str(Path(script).resolve().parent))
                runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else FAILED
        except Exception:
            import traceback

            traceback.print_exc()
            code = FAILED
        finally:
            sys.argv, sys.path[:] = before, path
    print(recorded.key_averages().table(rows))
    recorded.export_chrome_trace(trace)
    print(f"trace of {len(recorded.events)} events: {trace} (open it in Perfetto)")
    return code
