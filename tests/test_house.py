"""What holds of the whole house: who may import whom, what is exported, documented and tested.

The packages are read, not run, wherever reading is enough.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from ingot_devices import hooks
from ingot_devices.opset import NO_GRADIENT, OPS

ROOT = Path(__file__).parents[1]
LONGEST = 500  # lines of a file
MEMBERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
PACKAGES = {next((ROOT / m / "src").iterdir()).name: ROOT / m for m in MEMBERS}
PLUGINS = {name: home for name, home in PACKAGES.items() if home.parent.name == "plugins"}
LAW = {
    "ingot_devices": set[str](),
    "ingot": {"ingot_devices"},
    "ingot_tools": {"ingot", "ingot_devices"},
    **{name: {"ingot_devices"} for name in PLUGINS},
}
PUBLISHED = PACKAGES["ingot_devices"] / "src/ingot_devices/published.json"
NAMESPACES = {"core/src/ingot/cpu.py", "core/src/ingot/cuda.py"}  # PyTorch's names; each takes its backend's name from its own


def of(package: str) -> list[Path]:
    """The modules of a package."""
    return sorted((PACKAGES[package] / "src").rglob("*.py"))


MODULES = [path for package in PACKAGES for path in of(package)]
EACH_MODULE = pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
EACH_PACKAGE = pytest.mark.parametrize("package", PACKAGES)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def imported(path: Path) -> Iterator[str]:
    """Top-level names of what ``path`` imports, also inside functions and for types only."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def exports(module: ast.Module) -> list[ast.expr]:
    """What is assigned to ``__all__``."""
    return [n.value for n in module.body if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "__all__"]


# ---- the import law --------------------------------------------------------------------------------------------------
def test_the_law_knows_every_package() -> None:
    assert set(LAW) == set(PACKAGES)
    assert PLUGINS


@EACH_PACKAGE
def test_import_law(package: str) -> None:
    allowed = LAW[package] | {package}
    broken = {str(p.relative_to(ROOT)): sorted(set(imported(p)) & PACKAGES.keys() - allowed) for p in of(package)}
    assert {path: names for path, names in broken.items() if names} == {}


@EACH_PACKAGE
def test_a_distribution_requires_what_its_package_imports(package: str) -> None:
    project = tomllib.loads((PACKAGES[package] / "pyproject.toml").read_text())["project"]
    required = {re.split(r"[^\w-]", r)[0].replace("-", "_") for r in project["dependencies"]}
    ours = {name for path in of(package) for name in imported(path)} & PACKAGES.keys()
    assert ours - {package} <= required


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """The string literals of a module with their lines, docstrings and exports left out."""
    module = tree(path)
    left = {id(n.value) for n in ast.walk(module) if isinstance(n, ast.Expr)}
    left |= {id(n) for e in exports(module) for n in ast.walk(e)}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left:
            yield node.lineno, node.value


def test_no_code_names_a_published_backend() -> None:
    """The data file and the plugin itself do; the core has two namespaces that PyTorch's programs ask."""
    entries = json.loads(PUBLISHED.read_text())["backends"]
    names = {name for e in entries for name in (e["name"], e["distribution"], e["distribution"].replace("-", "_"))}
    found = []
    for package in PACKAGES.keys() - PLUGINS.keys():
        for path in of(package):
            place = str(path.relative_to(ROOT))
            found += [f"{place}:{line} {text!r}" for line, text in strings(path) if re.split(r"[:. ]", text)[0] in names]
    assert found == []
    assert all((ROOT / path).exists() for path in NAMESPACES)


SPOKEN_OF = {  # where core/ and devices/ may say the word: PyTorch's names, a protocol's, data, a language's
    "core/src/ingot/__init__.py", "core/src/ingot/backends.py", "core/src/ingot/cuda.py", "core/src/ingot/interchange.py",
    "core/src/ingot/base.py", "core/src/ingot/ops/creation.py", "core/src/ingot/tensor.py",
    "devices/src/ingot_devices/codegen/c_family.py", "devices/src/ingot_devices/published.json",
}  # fmt: skip


def test_no_vendor_s_language_crept_into_core_and_devices() -> None:
    """CUDA came through the contract alone: outside a list of files, neither package so much as mentions it."""
    sources = [p for f in ("core", "devices") for p in (ROOT / f / "src").rglob("*.*") if p.suffix in (".py", ".json")]
    naming = {str(p.relative_to(ROOT)) for p in sources if "cuda" in p.read_text("utf-8").lower()}
    assert naming <= SPOKEN_OF, "say it through the contract, so that other backends have it, too"


# ---- modules ---------------------------------------------------------------------------------------------------------
@EACH_MODULE
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert len((ast.get_docstring(tree(path)) or "").split()) > 3


@EACH_MODULE
def test_no_text_is_executed(path: Path) -> None:
    """A Ctrl-C within ``exec`` of a text ends the process with a signal, whoever catches it; with compiled code it does not."""
    calls = [n for n in ast.walk(tree(path)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    run = [n.args[0] for n in calls if isinstance(n.func, ast.Name) and n.func.id in ("exec", "eval")]
    assert all(isinstance(x, ast.Call) for x in run), [ast.unparse(x) for x in run]


@pytest.mark.parametrize("folder", ["core", "devices", "plugins", "tools", "tests"])
def test_no_file_is_too_long(folder: str) -> None:
    sizes = {str(p.relative_to(ROOT)): len(p.read_text("utf-8").splitlines()) for p in (ROOT / folder).rglob("*.py")}
    assert {path: n for path, n in sizes.items() if n > LONGEST} == {}


def order(name: str) -> tuple[int, list[str | int]]:
    """Constants, then classes, then the rest; log2 before log10."""
    parts = [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name)]
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2), parts


@EACH_MODULE
def test_exports_are_sorted(path: Path) -> None:
    for value in exports(tree(path)):
        names = ast.literal_eval(value)
        assert names == sorted(set(names), key=order)


@EACH_PACKAGE
def test_a_package_exports_what_it_imports(package: str) -> None:
    """A public name, not a module, that an ``__init__`` imports from its own package is in its ``__all__``."""
    for path in of(package):
        if path.name != "__init__.py":
            continue
        module = tree(path)
        exported = {name for value in exports(module) for name in ast.literal_eval(value)}
        brought = {
            alias.asname or alias.name
            for node in module.body
            if isinstance(node, ast.ImportFrom) and node.module and (node.level == 1 or node.module.startswith(f"{package}."))
            for alias in node.names
            if not list(path.parent.glob(f"{node.module.rpartition('.')[2]}/{alias.name}.py"))
        }
        assert {name for name in brought if not name.startswith("_")} <= exported, path


# ---- the contract ----------------------------------------------------------------------------------------------------
HOOKS = sorted(name for name in vars(hooks) if name.startswith("ingot_"))


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_documented_and_tested(name: str) -> None:
    text = getattr(hooks, name).__doc__ or ""
    assert "Example::" in text and f"def {name}(" in text
    assert name in (ROOT / "devices/README.md").read_text("utf-8"), "the README's table of hooks leaves it out"
    tests = [p for p in (ROOT / "tests").rglob("test_*.py") if p != Path(__file__)]
    assert any(f"def {name}(" in p.read_text("utf-8") for p in tests), "no test plants a plugin with it"


@pytest.mark.parametrize("op", OPS)
def test_an_op_has_a_gradient_or_is_listed_as_having_none(op: str) -> None:
    row = OPS[op]
    if op in NO_GRADIENT:
        assert not row.gradient
    else:
        assert row.gradient or row.decompose or not set(row.outputs) & set(row.differentiable)


@pytest.mark.parametrize("package", PLUGINS)
def test_a_plugin_declares_itself(package: str) -> None:
    """An entry point that names the light module, and the contract it was written for."""
    project = tomllib.loads((PLUGINS[package] / "pyproject.toml").read_text())["project"]
    assert package in project["entry-points"][hooks.GROUP].values()
    module = tree(PLUGINS[package] / "src" / package / "__init__.py")
    assert any(isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "INGOT_CONTRACT" for n in module.body)


# ---- what newcomers read ---------------------------------------------------------------------------------------------
READMES = sorted(p for p in (ROOT, *(ROOT / m for m in MEMBERS), *(ROOT / f for f in ("plugins", "tests"))))


@pytest.mark.parametrize("home", READMES, ids=lambda p: p.name)
def test_a_readme_names_files_that_exist(home: Path) -> None:
    """Each `path` with a slash or a known ending, seen from the README's folder, its package or the root."""
    text = re.sub(r"```.*?```", "", (home / "README.md").read_text("utf-8"), flags=re.DOTALL)
    named = {n for n in re.findall(r"`([\w./-]+)`", text) if "/" in n or n.endswith((".py", ".json", ".toml"))}
    places = [home, ROOT, *home.glob("src/*"), *home.glob("*/src/*")]
    assert {n for n in named if not any((place / n).exists() for place in places)} == set()


def test_the_readmes_example_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(blocks[0], "README.md", "exec"), names)
    assert float(names["loss"]) < 1  # type: ignore[arg-type]


def test_the_tables_of_the_readme_are_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools/bench"))
    everything = importlib.import_module("everything")
    text = (ROOT / "README.md").read_text()
    assert everything.updated(text) == text, "tools/bench/everything.py --draw"


@EACH_PACKAGE
def test_a_distribution_is_fit_to_be_published(package: str) -> None:
    home = PACKAGES[package]
    project = tomllib.loads((home / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0" and project["readme"] == "README.md"
    assert {"name", "version", "description", "requires-python", "classifiers", "license-files"} <= project.keys()
    assert (home / "src" / package / "py.typed").exists()
    assert (home / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_versions_agree() -> None:
    versions = {tomllib.loads((h / "pyproject.toml").read_text())["project"]["version"] for h in PACKAGES.values()}
    assert len(versions) == 1
    assert f"## {versions.pop()}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
