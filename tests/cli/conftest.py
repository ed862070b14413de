"""Runs the command line in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from typer.testing import CliRunner

from lossdsl.cli.app import app

Run: TypeAlias = Callable[..., Any]

FILES = {
    "good.yaml": """\
lossdsl: 1
inputs:
  p: logits[B, 1]
  y: mask[B, 1]
params:
  w: 0.5
terms:
  pixels: w*bce(p, y)
  shape: 0.25*dice(p, y)
monitor:
  error: l1(sigmoid(p), y)
""",
    "bad.yaml": """\
lossdsl: 1
inputs:
  p: logits[B, 1]
  y: mask[B, 1]
  z: real[B]
terms:
  shape: 0.5*dise(p, y)
  pixels: "bce(sigmoid(sigmoid(p)), y)"
""",
    "unused.yaml": """\
inputs: {p: "real[B]", y: "real[B]", z: "real[B]"}
loss: mse(p, y)
""",
    "gan.yaml": """\
inputs:
  real: score[B]
  fake: score[B]
losses:
  discriminator: {loss: "gan_d(real, fake)"}
  generator: {loss: gan_g(fake)}
""",
    "program.loss": "2*mse(x, y) as a + l1(x, y)\n",
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("check", "good.yaml", input="…")`: exit code, stdout and stderr of a command."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    def invoke(*arguments: str, input: str | None = None) -> Any:
        result = CliRunner().invoke(app, arguments, input=input, prog_name="lossdsl")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke
