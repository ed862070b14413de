"""The composites that ship as loss files: against plain torch, in values and gradients."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import lossdsl
from lossdsl.config.shipped import FOLDER, shipped_functions
from lossdsl.config.yaml_reader import Mapping, read_yaml
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.library import registry
from lossdsl.source import Source

HERE = Path(__file__).parent / "shipped"
sys.path.insert(0, str(HERE))

from case import Case, agree  # noqa: E402


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"shipped_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


CASES = [
    pytest.param(path.stem, case, id=f"{path.stem}: {case.call}")
    for path in sorted(HERE.glob("*.py"))
    if path.stem != "case"
    for case in module(path).CASES
]


@pytest.mark.parametrize(("file", "case"), CASES)
def test_a_composite_is_what_its_paper_says(file: str, case: Case) -> None:
    agree(case, file)


MOVES = [
    ("segmentation", "dice_boundary(p, y{})", "alpha", "epoch", {0: 1.0, 33: 0.67, 500: 0.01}),
    (
        "generative",
        "capacity_vae(p, y, m, v{})",
        "capacity",
        "step",
        {0: 0.0, 40_000: 10.0, 200_000: 25.0},
    ),
]


@pytest.mark.parametrize(("file", "call", "parameter", "clock", "values"), MOVES)
def test_a_schedule_that_is_a_default_moves(
    file: str, call: str, parameter: str, clock: str, values: dict[int, float]
) -> None:
    def make(text: str) -> lossdsl.Loss:
        return lossdsl.from_config({"use": f"lossdsl:{file}", "loss": text}, backend="eager")

    given = {"p": torch.linspace(-2, 2, 36).view(2, 1, 3, 6), "y": torch.ones(2, 1, 3, 6)}
    given["y"][..., 3:] = 0
    if "m, v" in call:
        given |= {"m": torch.ones(2, 3), "v": torch.zeros(2, 3)}
    moving = make(call.format(""))
    for now, value in values.items():
        getattr(moving, f"clock_{clock}").fill_(now)
        still = make(call.format(f", {parameter}={value}"))
        torch.testing.assert_close(moving(**given), still(**given))


# --- what every file promises -------------------------------------------------------------------

FILES = sorted(FOLDER.glob("*.yaml"))
NO_SOURCE = {"bce_dice", "causal_lm", "answer_log_prob"}
"""What nobody invented."""


def in_theme(name: str) -> bool:
    return "." not in name


def test_every_composite_has_a_case() -> None:
    called = {name for param in CASES for name in re.findall(r"\w+(?=\()", param.values[1].call)}
    assert {name for name in shipped_functions() if in_theme(name)} - called == set()


def test_every_composite_says_what_it_is_and_where_it_comes_from() -> None:
    for name, function in shipped_functions().items():
        assert function.summary.endswith("."), name
        assert len(function.summary) < 100, name
        if in_theme(name):
            assert ("Source: " in function.notes) == (name not in NO_SOURCE), name


def test_no_function_hides_one_of_the_language() -> None:
    assert [name for name in shipped_functions() if registry.meaning(name) is not None] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_a_summary_and_functions(path: Path) -> None:
    text, found = path.read_text(encoding="utf-8"), Diagnostics()
    root = read_yaml(Source(text), found)
    assert found.items == []
    assert isinstance(root, Mapping)
    keys = {entry.key.text for entry in root.entries}
    assert keys <= {"lossdsl", "use", "functions", "namespace"}
    assert re.match(r"# .+[.:]", text)


def test_all_files_can_be_used_together() -> None:
    everything = ", ".join(f"'lossdsl:{path.stem}'" for path in FILES)
    report = lossdsl.check(f"use: [{everything}]\nloss: bce(p, y)", format="yaml")
    assert report.diagnostics == ()


def test_the_page_lists_every_function() -> None:
    page = (Path(lossdsl.__file__).parents[1] / "docs" / "shipped.md").read_text(encoding="utf-8")
    listed = [
        (f"lossdsl:{file}", name)
        for file, row in re.findall(r"^\| `lossdsl:(\w+)` \|(.*)\|$", page, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    ]
    there = [(f.file, name.rpartition(".")[2]) for name, f in shipped_functions().items()]
    assert sorted(listed) == sorted(there)
