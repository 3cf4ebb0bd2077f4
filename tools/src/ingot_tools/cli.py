"""The door of the ``ingot`` command: errors and exit codes.

`app` holds the subcommands and is imported late. An error is one sentence and a remedy on the error
stream; ``--debug``, anywhere on the command line, shows the traceback as well.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from traceback import print_exc

from ingot_devices import IngotError

DONE = 0
FAILED = 1  # what was asked for is not there, or does not work
USAGE = 2  # the command line is wrong (typer's own code)
INTERNAL = 70  # a fault of Ingot itself
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """What the console script calls; ends in SystemExit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    sys.exit(run([a for a in given if a != "--debug"], debug))


def run(arguments: Sequence[str], debug: bool = False) -> int:
    """Run one command line and return its exit code."""
    try:
        from .app import build_app

        build_app()(args=list(arguments), prog_name="ingot")
        sys.stdout.flush()
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer's answer to Ctrl-C
            _say("interrupted", debug)
        return end.code if isinstance(end.code, int) else DONE if end.code is None else FAILED
    except KeyboardInterrupt:
        _say("interrupted", debug)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (IngotError, OSError) as error:
        _say(f"error: {error}", debug)
        return FAILED
    except Exception as error:
        _say(
            f"internal error: {type(error).__name__}: {error}. Run it again with --debug and report what it prints",
            debug,
        )
        return INTERNAL
    return DONE


def _say(text: str, debug: bool) -> None:
    if debug:
        print_exc()
    print(text, file=sys.stderr)
