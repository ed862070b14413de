"""The loss files of the examples are as a reader should write them."""

from __future__ import annotations

from pathlib import Path

import pytest

import lossdsl

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = sorted(path for path in EXAMPLES.iterdir() if (path / "train.py").exists())

each = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def test_there_is_an_example_for_each_task() -> None:
    assert [folder.name for folder in FOLDERS] == [
        "classification",
        "deep_supervision",
        "forecasting",
        "gan",
        "restoration",
        "segmentation",
        "tabular_binary",
        "tabular_regression",
    ]


@each
def test_the_checker_has_nothing_to_say(folder: Path) -> None:
    assert lossdsl.check(folder / "loss.yaml").diagnostics == ()


@each
def test_the_formatter_has_nothing_to_change(folder: Path) -> None:
    text = (folder / "loss.yaml").read_text(encoding="utf-8")
    assert lossdsl.format(text, format="yaml") == text


@each
def test_the_readme_shows_how_to_run_it(folder: Path) -> None:
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert f"[{folder.name}]({folder.name}/)" in readme
