"""The guide for hardware authors, `plugins/README.md`: every snippet in it runs, and shows what the scaffold writes."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
from ingot_tools.scaffold.new import TEMPLATES
from installed import install, run

GUIDE = (Path(__file__).parents[2] / "plugins/README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE, flags=re.DOTALL)
PYTHON = [text for kind, text in BLOCKS if kind == "python"]
CONSOLE = [text for kind, text in BLOCKS if kind == "console"]


def is_of_a_package(text: str) -> bool:
    """A whole module, which begins with its docstring."""
    return ast.get_docstring(ast.parse(text)) is not None


def test_every_block_is_of_a_kind_that_runs() -> None:
    assert {kind for kind, _ in BLOCKS} == {"python", "console"}
    assert GUIDE.count("```") == 2 * len(BLOCKS)


@pytest.mark.parametrize("text", [t for t in PYTHON if not is_of_a_package(t)], ids=lambda t: t.splitlines()[-1][:40])
def test_snippet_runs(text: str) -> None:
    names: dict[str, object] = {}
    exec(compile(text, "plugins/README.md", "exec"), names)


KERNEL = """
import runpy
from ingot_acme.device import AcmeDevice
from ingot_devices import registry
text = open("guide.py").read()
names = {}
exec(compile(text, "guide.py", "exec"), names)
import ingot
registry.registry.register(names["kernel"], owner="guide")
x, layer = ingot.randn(5, 7, device="acme"), ingot.nn.Linear(7, 3)
wanted = layer(x.cpu())
with ingot.fallback("error"):
    got = layer.to("acme")(x)
print(float((got.cpu() - wanted).abs().max()) < 1e-5)
"""


def test_the_kernel_by_hand_is_right_on_the_first_examples_board(tmp_path: Path) -> None:
    (text,) = [t for t in PYTHON if 'Kernel("linear"' in t]
    site = tmp_path / "site"
    site.mkdir()
    assert run(site, "ingot", "new-backend", "acme", cwd=tmp_path).returncode == 0
    install(tmp_path / "ingot-acme", site)
    (tmp_path / "guide.py").write_text(text)
    done = run(site, "python", "-c", KERNEL, cwd=tmp_path)
    assert done.stdout.splitlines()[-1:] == ["True"], done.stdout + done.stderr


def test_modules_are_those_that_the_scaffold_writes() -> None:
    shown = [t for t in PYTHON if is_of_a_package(t)]
    written = [p.read_text("utf-8") for kind in ("host", "native") for p in sorted((TEMPLATES / kind / "src").rglob("*.py"))]
    assert [t.splitlines()[0] for t in shown if t not in written] == []
    for kind, names in (("host", ("__init__.py", "device.py")), ("native", ("device.py", "dialect.py"))):
        for name in names:
            text = (TEMPLATES / kind / "src/ingot_acme" / name).read_text("utf-8")
            assert text in shown, f"the guide leaves out {kind} {name}"


def test_at_most_five_commands_lead_to_a_proof() -> None:
    first = [line for line in CONSOLE[0].splitlines() if line.startswith("$ ")]
    assert len(first) <= 5 and any("conformance" in line for line in first)


@pytest.mark.slow
@pytest.mark.parametrize("text", CONSOLE, ids=["backend", "kernels"])
def test_commands_run(text: str, tmp_path: Path) -> None:
    """In order, in one folder; ``pip install`` is `install`, because tests need no network."""
    site = tmp_path / "site"
    site.mkdir()
    for line in text.splitlines():
        command = shlex.split(line.removeprefix("$ "), comments=True)
        if command[:3] == ["pip", "install", "-e"]:
            install(tmp_path / command[3], site)
            continue
        done = run(site, *command, cwd=tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert (tmp_path / "site").iterdir()
