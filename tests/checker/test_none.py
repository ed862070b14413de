"""`none` as what an argument is when it is not given."""

from __future__ import annotations

import pytest
import torch

import lossdsl

P, Y = torch.tensor([[1.0, -2.0], [0.5, 3.0]]), torch.tensor([0, 1])
W = torch.tensor([2.0, 3.0])


def with_function(head: str, body: str, loss: str) -> float:
    made = lossdsl.from_config({"functions": {head: body}, "loss": loss}, backend="eager")
    return float(made({"p": P, "y": Y, "w": W, "q": P - 1}))


OPTIONAL = ("f(p, y, w=none)", "ce(p, y) if w == none else mean(w*ce(p, y, reduction='none'))")


def test_a_function_sees_whether_an_argument_was_given() -> None:
    plain = torch.nn.functional.cross_entropy(P, Y)
    weighted = (W * torch.nn.functional.cross_entropy(P, Y, reduction="none")).mean()
    assert with_function(*OPTIONAL, "f(p, y)") == pytest.approx(plain.item(), rel=1e-6)
    assert with_function(*OPTIONAL, "f(p, y, w=none)") == pytest.approx(plain.item(), rel=1e-6)
    assert with_function(*OPTIONAL, "f(p, y, w=w)") == pytest.approx(weighted.item(), rel=1e-6)
    assert with_function(*OPTIONAL, "f(p, y, w=2)") == pytest.approx(2 * plain.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [("none == none", True), ("none != none", False), ("w != none", True), ("2 == none", False)],
)
def test_what_is_there_is_not_none(condition: str, holds: bool) -> None:
    text = f"mean(p) if {condition} else mean(q)"
    loss = lossdsl.compile(text, backend="eager")
    assert loss.contract.names[-1] == ("p" if holds else "q")


@pytest.mark.parametrize("keyword", ["weight", "mask", "class_weight", "ignore_index", "per"])
def test_a_keyword_of_the_compiler_that_is_none_is_not_given(keyword: str) -> None:
    left = lossdsl.compile(f"ce(p, y, {keyword}=none)", backend="eager")
    right = lossdsl.compile("ce(p, y)", backend="eager")
    assert left(p=P, y=Y) == right(p=P, y=Y)


def test_a_loss_without_a_mask_takes_none_of_one() -> None:
    assert lossdsl.check("rmse(p, q, class_weight=none)").ok


@pytest.mark.parametrize("size", ["7", "2*3 + 1", "(15 - 1)/2"])
def test_half_of_a_whole_number_may_be_whole(size: str) -> None:
    text = f"input x: image[B, 1, 16, 16]\nmean(avg_pool(x, size={size}))"
    assert lossdsl.check(text).ok


def test_half_of_an_odd_number_is_not() -> None:
    (found,) = lossdsl.check("mean(avg_pool(x, size=15/2))").diagnostics
    assert found.code == "E206"
