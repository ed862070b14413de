"""`lossdsl plot`: drawings of losses and schedules."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")


def texts(path: Path) -> list[str]:
    root = ElementTree.fromstring(path.read_bytes())
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_losses_over_their_input(run: Callable[..., Any], tmp_path: Path) -> None:
    result = run("plot", "huber(x, 0)", "l1(x, 0)", "-o", "out.svg")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "out.svg: written\n")
    shown = texts(tmp_path / "out.svg")
    assert {"huber(x, 0)", "l1(x, 0)", "x", "value", "gradient", "−3", "3"} <= set(shown)


def test_the_range(run: Callable[..., Any], tmp_path: Path) -> None:
    assert run("plot", "mse(x, 0)", "--range", "-50", "50", "-o", "out.svg").exit_code == 0
    assert {"−50", "50"} <= set(texts(tmp_path / "out.svg"))
    # A probability has no other numbers, whatever is asked for.
    assert run("plot", "input p: prob[B]\nbce(p, 1)", "-o", "out.svg").exit_code == 0
    assert {"0.0", "1.0"} <= set(texts(tmp_path / "out.svg"))
    assert "x" not in texts(tmp_path / "out.svg")
    assert not {"−0.2", "1.2"} & set(texts(tmp_path / "out.svg"))


def test_schedules_over_the_steps(run: Callable[..., Any], tmp_path: Path) -> None:
    schedules = ("warmup(step, 1000)", "linear(step, 1, 0, 0, 2000)")
    assert run("plot", *schedules, "-o", "out.svg").exit_code == 0
    shown = texts(tmp_path / "out.svg")
    assert {"step", "2500", *schedules} <= set(shown)
    assert "gradient" not in shown


def test_the_suffix_is_the_format(run: Callable[..., Any], tmp_path: Path) -> None:
    assert run("plot", "mse(x, 0)", "-o", "out.PNG").exit_code == 0
    assert (tmp_path / "out.PNG").read_bytes().startswith(b"\x89PNG")
    refused = run("plot", "mse(x, 0)", "-o", "out.jpg")
    assert refused.exit_code == 2
    assert "`out.jpg` ends with none of .svg and .png" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["mse(p, y)"], "`mse(p, y)` reads `p` and `y`: put numbers in place of all but one"),
        (["mse(x, 0)", "warmup(step, 9)"], "one drawing is over one thing"),
        (["warmup(step, 9)", "warmup(epoch, 9)"], "one drawing is over one thing"),
        (["3*2"], "`3*2` reads neither a tensor nor `step` nor `epoch`"),
        (["mse(x, 0)", "--range", "3", "-3"], "--range 3 -3 goes backwards"),
        (["orpo(x, -1)", "--range", "1", "2"], "`orpo(x, -1)` is not defined from 1 to 2"),
    ],
)
def test_what_cannot_be_drawn(
    run: Callable[..., Any], tmp_path: Path, arguments: list[str], reason: str
) -> None:
    result = run("plot", *arguments, "-o", "out.svg")
    assert result.exit_code == 2
    assert reason in result.stderr
    assert not (tmp_path / "out.svg").exists()


def test_a_wrong_loss_is_a_diagnostic(run: Callable[..., Any]) -> None:
    result = run("plot", "dise(x, 0)", "-o", "out.svg")
    assert result.exit_code == 1
    assert result.stderr.startswith("error[E202]")
    # A constant loss is told as it was written, not as the weight that it might have been.
    constant = run("plot", "soft_dtw(x, 0)", "-o", "out.svg")
    assert " 1 | soft_dtw(x, 0)\n" in constant.stderr


def test_without_matplotlib_the_extra_is_named(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("plot", "mse(x, 0)", "-o", "out.svg")
    assert result.exit_code == 2
    assert "pip install 'lossdsl[plots]'" in result.stderr


def test_a_folder_that_is_not_there(run: Callable[..., Any]) -> None:
    result = run("plot", "mse(x, 0)", "-o", "nowhere/out.svg")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
