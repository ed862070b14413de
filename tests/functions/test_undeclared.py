"""What an undeclared input becomes by its place in a function."""

from __future__ import annotations

import pytest
import torch

import lossdsl


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("-mean(gather(log_softmax(x), y))", "y", "labels"),
        ("mean(gather(x, index=y))", "y", "labels"),
        ("ce(x, y) + mean(gather(x, y))", "y", "labels"),
        ("mean(x, where=m)", "m", "mask"),
        ("sum(x, where=m)/sum(m)", "m", "mask"),
    ],
)
def test_the_place_says_the_kind(text: str, name: str, kind: str) -> None:
    contract = lossdsl.compile(text, backend="eager").contract
    (entry,) = (entry for entry in contract if entry.name == name)
    assert entry.kind == kind


def test_gathered_log_probabilities_are_cross_entropy() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(5, 3), torch.randint(0, 3, (5,))
    value = lossdsl.compile("-mean(gather(log_softmax(x), y))", backend="eager")(x=x, y=y)
    torch.testing.assert_close(value, torch.nn.functional.cross_entropy(x, y))
