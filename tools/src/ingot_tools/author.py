"""The subcommands for people who write kernels: options and help; what they do lives in a module each.

Beside `app`, which adds them: kernels, source, bench, tune, profile.
"""

from __future__ import annotations

from typing import Annotated

import typer

Device = Annotated[str, typer.Option("--device", "-d", help="A device: acme, acme:0 or auto.")]
Named = Annotated[str, typer.Argument(help="A device: acme, acme:0 or auto.")]
Dtypes = Annotated[list[str] | None, typer.Option("--dtype", "-t", help="Of each operand, or one for all: float32.")]
Shapes = Annotated[list[str] | None, typer.Option("--shape", help="Likewise: 16x16. Default: small ones.")]
Attributes = Annotated[list[str] | None, typer.Option("--set", help="An attribute: axis=-1, dtype=float16.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON with a versioned schema.")]


def kernels(device: Named = "auto", dtype: Dtypes = None, json: Json = False) -> None:
    """Show which route each op takes on a device, by dtype: the coverage grid."""
    from .coverage import show_coverage

    raise typer.Exit(show_coverage(device, dtype or [], json))


def source(
    op: Annotated[str, typer.Argument(help="The name of an op.")],
    device: Device = "auto",
    dtype: Dtypes = None,
    shape: Shapes = None,
    attribute: Attributes = None,
    json: Json = False,
) -> None:
    """Print the kernel that would run: its definition, its rendered source, what the driver says that it takes."""
    from .source import show_source

    raise typer.Exit(show_source(op, device, dtype or ["float32"], shape or [], attribute or [], json))


def bench(
    device: Named = "auto",
    vs: Annotated[str | None, typer.Option("--vs", help="Another device, measured in the same run.")] = None,
    seconds: Annotated[float, typer.Option("--seconds", help="About how long to measure each device.")] = 20.0,
    picture: Annotated[str, typer.Option("--picture", help="Where the roofline is drawn (PNG).")] = "ingot-roofline.png",
    json: Json = False,
) -> None:
    """Measure a device's roofline and how near each op comes to it; a table and a picture."""
    from .bench import run_bench

    raise typer.Exit(run_bench([device, *([vs] if vs else [])], seconds, picture, json))


def tune(
    op: Annotated[str, typer.Argument(help="The name of an op that has a kernel with variants: matmul.")],
    device: Device = "auto",
    dtype: Dtypes = None,
    shape: Shapes = None,
    json: Json = False,
) -> None:
    """Try the declared variants of a kernel and keep the fastest for this device in the user's cache."""
    from .tune import tune_op

    raise typer.Exit(tune_op(op, device, (dtype or ["float32"]), shape or [], json))


def profile(
    context: typer.Context,
    script: Annotated[str, typer.Argument(help="A Python file; with --module, a module.")],
    module: Annotated[bool, typer.Option("--module", "-m", help="SCRIPT is a module, as for python -m.")] = False,
    trace: Annotated[str, typer.Option("--trace", help="Where the Chrome trace is written.")] = "ingot-trace.json",
    rows: Annotated[int, typer.Option("--rows", help="How many rows of the table are shown.")] = 30,
) -> None:
    """Run a script and show where the time went; the trace opens in Perfetto. What follows SCRIPT are its arguments."""
    from .profiling import profile_script

    raise typer.Exit(profile_script(script, context.args, module, trace, rows))


PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}


def add_commands(app: typer.Typer) -> None:
    """Put them into the command."""
    for command in (kernels, source, bench, tune):
        app.command()(command)
    app.command(context_settings=PASS_ON)(profile)
