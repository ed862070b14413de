"""What callers pass from Python, right and wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import lossdsl

TEXT = "mse(p, y)"
WRONG: list[tuple[str, Callable[[], Any]]] = [
    ("E504", lambda: lossdsl.compile(5)),  # type: ignore[arg-type]
    ("E504", lambda: lossdsl.compile(None)),  # type: ignore[arg-type]
    ("E504", lambda: lossdsl.compile(TEXT, inputs=["p"])),  # type: ignore[arg-type]
    ("E512", lambda: lossdsl.compile(TEXT, inputs={"p q": "real"})),
    ("E111", lambda: lossdsl.compile(TEXT, inputs={"p": 5})),  # type: ignore[dict-item]
    ("E504", lambda: lossdsl.compile(TEXT, params=[1])),  # type: ignore[arg-type]
    ("E512", lambda: lossdsl.compile(TEXT, params={1: 1})),  # type: ignore[dict-item]
    ("E512", lambda: lossdsl.compile(TEXT, params={"a.b": 1})),
    ("E203", lambda: lossdsl.compile(TEXT, params={"p": 1}, inputs={"p": "real"})),
    ("E504", lambda: lossdsl.compile(TEXT, modules=[nn.Identity()])),  # type: ignore[arg-type]
    ("E512", lambda: lossdsl.compile(TEXT, modules={"a.b": nn.Identity()})),
    ("E504", lambda: lossdsl.compile(TEXT, name=5)),  # type: ignore[arg-type]
    ("E509", lambda: lossdsl.compile(TEXT, reduction="none")),  # type: ignore[arg-type]
    ("E509", lambda: lossdsl.compile(TEXT, backend="indcutor")),
    ("E504", lambda: lossdsl.compile(TEXT, backend=5)),  # type: ignore[arg-type]
    ("E504", lambda: lossdsl.load(123)),  # type: ignore[arg-type]
    ("E504", lambda: lossdsl.load(b"seg.yaml")),  # type: ignore[arg-type]
    ("E504", lambda: lossdsl.load("seg.yaml", 5)),  # type: ignore[arg-type]
    ("E506", lambda: lossdsl.load("there is no such file")),
    ("E504", lambda: lossdsl.from_config(5)),  # type: ignore[arg-type]
    ("E508", lambda: lossdsl.from_config({"loss": TEXT}, "generator")),
    ("E508", lambda: lossdsl.from_config({"losses": {"a": {"loss": TEXT}}}, "b")),
    ("E504", lambda: lossdsl.format(5)),  # type: ignore[arg-type]
    ("E509", lambda: lossdsl.format(TEXT, format="toml")),  # type: ignore[arg-type]
    ("E504", lambda: lossdsl.describe(5)),  # type: ignore[arg-type]
    ("E202", lambda: lossdsl.describe("dise")),
]


@pytest.mark.parametrize(("code", "call"), WRONG)
def test_a_wrong_argument_is_a_loss_error(code: str, call: Callable[[], Any]) -> None:
    with pytest.raises(lossdsl.LossError) as raised:
        call()
    assert [d.code for d in raised.value.diagnostics] == [code]


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("E504", lambda: lossdsl.check(123)),  # type: ignore[arg-type]
        ("E504", lambda: lossdsl.check(None)),  # type: ignore[arg-type]
        ("E509", lambda: lossdsl.check(TEXT, format="toml")),  # type: ignore[arg-type]
        ("E509", lambda: lossdsl.check(Path("x.yaml"), format="toml")),  # type: ignore[arg-type]
        ("E504", lambda: lossdsl.check(TEXT, modules=5)),  # type: ignore[arg-type]
        ("E504", lambda: lossdsl.check("mean(net(x))", modules="net")),
    ],
)
def test_check_reports_wrong_arguments(code: str, call: Callable[[], Any]) -> None:
    report = call()
    assert not report
    assert report.errors[0].code == code


def test_an_unknown_backend_has_a_proposal() -> None:
    with pytest.raises(lossdsl.LossConfigError, match="did you mean `inductor`"):
        lossdsl.compile(TEXT, backend="indcutor")
    with pytest.raises(lossdsl.LossConfigError, match="did you mean `eager`"):
        lossdsl.from_config({"loss": TEXT}, backend="eagre")


# --- networks of a file -----------------------------------------------------------------------

GAN = """\
inputs:
  D: module(real[B]) -> score[B]
  E: module(real[B]) -> score[B]
  x: real[B]
functions:
  judged(a): mean(D(a))
  encoded(a, b=judged(x)): mean(E(a)) + b
losses:
  g: {loss: judged(x)}
  e: {loss: encoded(x)}
"""


@pytest.fixture
def gan(tmp_path: Path) -> Path:
    path = tmp_path / "gan.yaml"
    path.write_text(GAN)
    return path


def test_each_loss_owns_the_networks_that_it_calls(gan: Path) -> None:
    modules = {"D": nn.Linear(1, 1), "E": nn.Linear(1, 1)}
    losses = lossdsl.load(gan, modules=modules, backend="eager")
    owned = {
        key: {m for m in loss.modules() if m in modules.values()} for key, loss in losses.items()
    }
    assert owned == {"g": {modules["D"]}, "e": {modules["D"], modules["E"]}}


def test_a_function_that_is_not_called_needs_no_network(gan: Path) -> None:
    loss = lossdsl.load(gan, "g", modules={"D": nn.Identity()}, backend="eager")
    assert loss(x=torch.ones(3)).item() == 1.0


def test_a_network_of_another_loss_is_not_spare(gan: Path) -> None:
    modules = {"D": nn.Identity(), "E": nn.Identity()}
    assert lossdsl.load(gan, "g", modules=modules, backend="eager")(x=torch.ones(3)).item() == 1.0


def test_a_network_that_no_loss_calls_is_told(gan: Path, tmp_path: Path) -> None:
    modules = {"D": nn.Identity(), "E": nn.Identity(), "Dd": nn.Identity()}
    for name in (None, "g"):
        with pytest.raises(lossdsl.LossConfigError, match="did you mean `D`") as raised:
            lossdsl.load(gan, name, modules=modules, backend="eager")
        assert [d.code for d in raised.value.diagnostics] == ["E510"]
    single = tmp_path / "single.yaml"
    single.write_text(f"loss: {TEXT}\n")
    with pytest.raises(lossdsl.LossConfigError, match="E510"):
        lossdsl.load(single, modules={"D": nn.Identity()}, backend="eager")


# --- one mistake, one message -----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "inputs: {p: 'logits[B]', y: 'mask[B]'}\nterms:\n  p: bce(p, y)\n  z: l1(y, 0)\n",
        "inputs: {p: 'logits[B]', y: 'mask[B]'}\nlet: {q: sigmoid(p)}\nterms: {q: 'bce(q, y)'}\n",
        "params: {w: 2}\nterms: {w: 'mse(p, y)', v: 'w*l1(p, y)'}\n",
    ],
)
def test_a_term_with_a_name_that_is_taken(text: str) -> None:
    report = lossdsl.check(text, format="yaml")
    assert [d.code for d in report.errors] == ["E203"], str(report)
