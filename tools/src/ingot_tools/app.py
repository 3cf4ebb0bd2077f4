"""The subcommands of ``ingot``: options and help; what they do lives in a module each.

`cli` imports this when it is ready for errors. Plugins add their own subcommands through the hook
``ingot_commands``.
"""

from __future__ import annotations

from typing import Annotated

import typer

from .author import add_commands

Device = Annotated[str, typer.Option("--device", "-d", help="A device: acme, acme:0 or auto.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON with a versioned schema.")]


def build_app() -> typer.Typer:
    """The command with all its subcommands, those of plugins included."""
    from ingot_devices.discovery import run_commands

    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
    app.callback(invoke_without_command=True)(ingot)
    for command in (devices, doctor, explain, demo, cache):
        app.command()(command)
    add_commands(app)
    run_commands(app)
    return app


def ingot(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Which accelerators there are, whether they work, how an op would run, and a demo."""
    if version:
        from .versions import of

        typer.echo(f"ingot {of('ingot')}")
        raise typer.Exit


def devices(json: Json = False) -> None:
    """List every device, and every backend that has none with the reason and the remedy.

    Ends with 1 if no device is ready.
    """
    from .listing import list_devices

    raise typer.Exit(list_devices(json))


def doctor(
    device: Annotated[
        str | None,
        typer.Option("--device", "-d", help="Only this device; default: all that are ready."),
    ] = None,
    json: Json = False,
) -> None:
    """Open each device, run a small program, and say PASS or FAIL; versions for a bug report.

    Ends with 1 if a device failed or none is ready.
    """
    from .doctor import examine

    raise typer.Exit(examine(device, json))


def explain(
    op: Annotated[str, typer.Argument(help="The name of an op, as in the opset: add, matmul, softmax.")],
    device: Device = "auto",
    dtype: Annotated[
        list[str] | None,
        typer.Option("--dtype", "-t", help="Of each operand, or one for all: float32."),
    ] = None,
    shape: Annotated[list[str] | None, typer.Option("--shape", help="Likewise: 16x16. Default: small ones.")] = None,
    attribute: Annotated[list[str] | None, typer.Option("--set", help="An attribute: axis=-1, dtype=float16.")] = None,
    json: Json = False,
) -> None:
    """Say how an op would run on a device: which route, and why not the others.

    Ends with 1 if nothing computes it.
    """
    from .explain import explain_op

    raise typer.Exit(explain_op(op, device, dtype or ["float32"], shape or [], attribute or [], json))


def demo(
    device: Annotated[
        str | None,
        typer.Option("--device", "-d", help="Only this device; default: all that are ready."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", "-s", help="Of data, weights and shuffling.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A few epochs only.")] = False,
) -> None:
    """Train two models on every device: a table, and a picture of the loss curves."""
    from .demo import run

    raise typer.Exit(run(device, seed, quick) or 0)


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove everything that it holds.")] = False,
) -> None:
    """Show what the disk cache holds: built kernels and answers of probes."""
    from .storage import show_cache

    raise typer.Exit(show_cache(clear))
