"""The shape of the house: what the import contracts of `pyproject.toml` cannot say.

Every rule is a function from the syntax tree of a module to the lines that break it, so that it
can be shown to catch what it forbids.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lossdsl"
LONGEST = 450
TELL_NOTHING = {"utils", "util", "helpers", "helper", "base", "common", "misc"}

HOMES = {"lark": "syntax", "typer": "cli"}
"""Libraries that one room alone may know."""

REQUIRED = {"lark", "platformdirs", "rich", "torch", "typer", "yaml"}
"""What an installation always has, and a module may therefore import at its top."""

Rule = Callable[[ast.Module], Iterator[int]]


def modules() -> dict[str, Path]:
    """Path below the package, without the suffix, to file: `syntax/tree` and so on."""
    found = {p.relative_to(PACKAGE).with_suffix("").as_posix(): p for p in PACKAGE.rglob("*.py")}
    assert "source" in found
    return found


def offenders(rule: Rule, *free: str) -> list[str]:
    """The places that break a rule, outside the rooms and modules that are free to."""
    return [
        f"lossdsl/{name}.py:{line}"
        for name, file in modules().items()
        if not f"{name}/".startswith(tuple(f"{room}/" for room in free))
        for line in rule(ast.parse(file.read_text(encoding="utf-8")))
    ]


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every import as a dotted path, wherever it stands; `from a import b` as `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def at_import(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run when the module is imported: not those of functions, nor of typing."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield from at_import(ast.Module([other], []))
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from at_import(child)


def evaluates_text(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "eval",
            "exec",
            "builtins.eval",
            "builtins.exec",
        }:
            yield node.lineno


def touches_private_torch(tree: ast.Module) -> Iterator[int]:
    """`torch._dynamo` and its like, imported or reached through attributes."""
    named = list(imports(tree))
    named += [(ast.unparse(n), n.lineno) for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
    for path, line in named:
        first, *rest = path.split(".")
        if first == "torch" and any(p.startswith("_") and not p.startswith("__") for p in rest):
            yield line


def imports_optional(tree: ast.Module) -> Iterator[int]:
    for statement in at_import(tree):
        for path, line in imports(statement):
            name = path.split(".")[0]
            if name not in REQUIRED | sys.stdlib_module_names | {"lossdsl"}:
                yield line


def imports_the_front_door(tree: ast.Module) -> Iterator[int]:
    """`import lossdsl` and `from lossdsl import compile`, but not `from lossdsl import types`."""
    rooms = {name.split("/")[0] for name in modules()} - {"__init__"}
    for path, line in imports(tree):
        first, second, *_ = *path.split("."), ""
        if first == "lossdsl" and second not in rooms:
            yield line


def imports_library(name: str) -> Rule:
    def rule(tree: ast.Module) -> Iterator[int]:
        yield from (line for path, line in imports(tree) if path.split(".")[0] == name)

    return rule


def test_names_tell_what_is_inside() -> None:
    assert not [name for name in modules() if TELL_NOTHING & set(name.split("/"))]


def test_files_are_short() -> None:
    lengths = {n: len(f.read_text(encoding="utf-8").splitlines()) for n, f in modules().items()}
    assert not {name: length for name, length in lengths.items() if length > LONGEST}


def test_text_is_never_evaluated() -> None:
    assert offenders(evaluates_text) == []


def test_one_file_touches_private_torch() -> None:
    assert offenders(touches_private_torch, "backend/torch_private") == []


@pytest.mark.parametrize(("library", "room"), HOMES.items())
def test_a_library_has_one_home(library: str, room: str) -> None:
    assert offenders(imports_library(library), room) == []


def test_optional_libraries_are_imported_where_they_are_used() -> None:
    assert offenders(imports_optional) == []


def test_only_the_cli_and_integrations_use_the_front_door() -> None:
    assert offenders(imports_the_front_door, "cli", "integrations") == []


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("matplotlib", "torch._dynamo", "torch._inductor", "typer")
    code = f"import sys, lossdsl; print([m for m in {heavy} if m in sys.modules])"
    assert output(code) == "[]"


def test_no_room_takes_the_place_of_a_public_name() -> None:
    """`check` and `losses` are rooms too: the first import of a room binds its name anew."""
    code = """
import importlib, pkgutil, lossdsl
before = {name: getattr(lossdsl, name) for name in lossdsl.__all__}
for module in pkgutil.walk_packages(lossdsl.__path__, "lossdsl."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print([name for name, value in before.items() if getattr(lossdsl, name) is not value])
"""
    assert output(code) == "[]"


def output(code: str) -> str:
    """What a fresh interpreter prints."""
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, cwd=PACKAGE.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        (evaluates_text, "x = eval('1')", "model.eval()"),
        (evaluates_text, "import builtins\nbuiltins.exec(text)", "execute(text)"),
        (touches_private_torch, "import torch._dynamo", "import torch.fx"),
        (touches_private_torch, "from torch import _inductor", "from torch import nn"),
        (touches_private_torch, "from torch._dynamo.utils import x", "from typing import x"),
        (touches_private_torch, "f(torch._dynamo.config)", "torch.compile(f).__name__"),
        (imports_optional, "import numpy as np", "def f():\n    import numpy as np"),
        (imports_optional, "class A:\n    import scipy.stats", "import torch.nn.functional as F"),
        (
            imports_optional,
            "try:\n    import matplotlib\nexcept ImportError:\n    pass",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy",
        ),
        (imports_the_front_door, "import lossdsl", "import lossdsl.source"),
        (imports_the_front_door, "from lossdsl import check_", "from lossdsl import source"),
        (imports_library("lark"), "def f():\n    from lark import Lark", "import larkspur"),
    ],
)
def test_a_rule_catches_what_it_forbids(rule: Rule, bad: str, good: str) -> None:
    assert list(rule(ast.parse(bad)))
    assert not list(rule(ast.parse(good)))
