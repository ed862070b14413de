"""Dialects: another library's losses, written in the language, against that library.

Libraries that are installed with the tests run beside ours. What others say was written down by
`dialects/record.py`, tensors, values and gradients.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from lossdsl.config.shipped import shipped_functions

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden" / "dialects"
sys.path.insert(0, str(HERE / "shipped"))

from case import Case, agree, compare, learning, leaves  # noqa: E402


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"dialect_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def modules(folder: Path) -> dict[str, ModuleType]:
    return {p.stem: module(p) for p in sorted(folder.glob("*.py")) if p.stem != "record"}


LIVE = [
    pytest.param(name, case, id=case.call)
    for name, found in modules(HERE / "dialects").items()
    for case in found.CASES
]
WRITTEN_DOWN = [
    pytest.param(name, case, row, id=case.call)
    for name, found in modules(HERE / "dialects" / "recorded").items()
    for case, row in zip(
        found.CASES, json.loads((GOLDEN / f"{name}.json").read_text("utf-8")), strict=True
    )
]


@pytest.mark.parametrize(("dialect", "case"), LIVE)
def test_a_dialect_gives_what_the_library_gives(dialect: str, case: Case) -> None:
    agree(case, dialect)


def tensor(value: Any) -> Tensor:
    """What was written down: truth values, whole numbers, or numbers in double precision."""
    found = torch.tensor(value)
    return torch.tensor(value, dtype=torch.float64) if found.is_floating_point() else found


@pytest.mark.parametrize(("dialect", "case", "row"), WRITTEN_DOWN)
def test_a_dialect_gives_what_the_library_gave(dialect: str, case: Case, row: Any) -> None:
    assert row["call"] == case.call
    given = learning({name: tensor(value) for name, value in row["inputs"].items()})
    assert list(row["gradients"]) == [name for name, item in given.items() if leaves(item)]
    slopes = [tensor(slope) for slope in row["gradients"].values()]
    compare(case, dialect, given, tensor(row["value"]), slopes)


def test_every_function_is_held_against_its_library() -> None:
    calls = [param.values[1].call for param in (*LIVE, *WRITTEN_DOWN)]
    called = {name for call in calls for name in re.findall(r"\w+\.\w+", call)}
    assert {name for name in shipped_functions() if "." in name} - called == set()
