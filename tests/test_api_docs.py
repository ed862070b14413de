"""The examples in the docstrings of the public functions, run as they stand."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path
from types import FunctionType

import pytest
import torch

import lossdsl
from lossdsl import api

SEG = "loss: 0.5*bce(p, y) + dice(p, y) + 0.1*tv(img)\n"
GAN = """\
inputs:
  D: module(image[B, 3, H, W]) -> score[B]
  real: image[B, 3, H, W]
  fake: image[B, 3, H, W]
losses:
  generator: {loss: gan_g(D(fake))}
  discriminator: {loss: 'gan_d(D(real), D(detach(fake)))'}
"""
PUBLIC = [getattr(api, name) for name in api.__all__]
NAMES = {
    "lossdsl": lossdsl,
    "logits": torch.zeros(2, 1, 8, 8, requires_grad=True),
    "mask": torch.ones(2, 1, 8, 8),
    "image": torch.full((2, 3, 8, 8), 0.5),
    "critic": torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(1)),
}


@pytest.mark.parametrize("thing", PUBLIC, ids=api.__all__)
def test_examples(thing: FunctionType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "seg.yaml").write_text(SEG)
    (tmp_path / "gan.yaml").write_text(GAN)
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(
        inspect.getdoc(thing) or "", dict(NAMES), thing.__name__, None, 0
    )
    assert test.examples, "a public function has an example"
    output: list[str] = []
    failed = doctest.DocTestRunner().run(test, out=output.append).failed
    assert not failed, "".join(output)


@pytest.mark.parametrize("thing", PUBLIC, ids=api.__all__)
def test_every_argument_is_described(thing: FunctionType) -> None:
    docs = inspect.getdoc(thing) or ""
    if inspect.isclass(thing):
        return
    for name in inspect.signature(thing).parameters:
        assert f"    {name}: " in docs, name
    assert "Returns:" in docs
