"""`lossdsl new`: templates that are correct, canonical and documented."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lossdsl
from lossdsl.cli.new import read_templates
from lossdsl.inspect.example_inputs import example_inputs

TEMPLATES = dict(read_templates())


def test_what_there_is() -> None:
    assert set(TEMPLATES) >= {
        "segmentation",
        "classification",
        "regression",
        "quantile",
        "restoration",
        "gan",
        "deep-supervision",
        "contrastive",
    }


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_has_no_problems_and_is_canonical(name: str) -> None:
    assert str(lossdsl.check(TEMPLATES[name], format="yaml")) == "no problems"
    assert lossdsl.format(TEMPLATES[name], format="yaml") == TEMPLATES[name]


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_says_what_it_is_for_and_how_it_is_called(name: str) -> None:
    purpose, gap, load, call, *_ = TEMPLATES[name].splitlines()
    assert purpose.startswith("# ")
    assert purpose.endswith(".")
    assert gap == "#"
    assert f'lossdsl.load("{name}.yaml")' in load
    assert call.startswith("#   ")


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_trains(name: str, tmp_path: Path) -> None:
    """A gradient that is finite, and not 0, reaches something that a network could give."""
    path = tmp_path / f"{name}.yaml"
    path.write_text(TEMPLATES[name], encoding="utf-8")
    made = lossdsl.load(path, backend="eager")
    for loss in [made] if isinstance(made, lossdsl.Loss) else made.values():
        batch = fitting(loss)
        floats = [t for t in tensors(batch) if t.is_floating_point()]
        for tensor in floats:
            tensor.requires_grad_()
        loss(batch).backward()
        gradients = [t.grad for t in floats if t.grad is not None]
        assert all(g.isfinite().all() for g in gradients)
        assert any(g.abs().sum() > 0 for g in gradients)


def fitting(loss: lossdsl.Loss) -> dict[str, Any]:
    """The first example of the contract that is large enough for the windows of the loss."""
    for batch in example_inputs(loss.contract, {}, torch.device("cpu")):
        try:
            loss(batch)
        except lossdsl.LossInputError:
            continue
        return batch
    raise AssertionError("no example fits")


def tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    return [tensor for part in parts for tensor in tensors(part)]


def test_printing_a_template(run: Callable[..., Any]) -> None:
    assert run("new", "gan").stdout == TEMPLATES["gan"]
    assert run("new").stdout == TEMPLATES["segmentation"]


def test_the_list(run: Callable[..., Any]) -> None:
    header, *rows = run("new", "--list").stdout.splitlines()
    assert header.split() == ["template", "for"]
    listed = dict(row.split(maxsplit=1) for row in rows)
    assert list(listed) == list(TEMPLATES)
    assert listed["quantile"] == "Forecasts of several quantiles at once"


def test_writing_never_overwrites(run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    result = run("new", "vae", "-o", "mine.yaml")
    assert (result.exit_code, result.stdout) == (0, "")
    assert file.read_text(encoding="utf-8") == TEMPLATES["vae"]
    refused = run("new", "gan", "-o", "mine.yaml")
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert file.read_text(encoding="utf-8") == TEMPLATES["vae"]
    assert run("new", "gan", "-o", "mine.yaml", "--force").exit_code == 0
    assert file.read_text(encoding="utf-8") == TEMPLATES["gan"]
    assert run("new", "gan", "-o", "no/folder.yaml").exit_code == 2


def test_an_unknown_template(run: Callable[..., Any]) -> None:
    result = run("new", "segmentaton")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean `segmentation`?" in result.stderr
    assert "there are classification, contrastive," in run("new", "xyz").stderr
