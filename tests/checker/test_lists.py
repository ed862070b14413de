"""Lists: what their items share, how long they are, and what is no list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional

import lossdsl

torch.manual_seed(0)
OUT = torch.randn(2, 3, 8, 8)
OUTS = [torch.randn(2, 3, 4, 4), torch.randn(2, 3, 2, 6)]
LABELS = torch.randint(0, 3, (2, 8, 8))
DEEP = "sum(w*ce(interpolate(o, like=out), y) for o, w in zip(outs, [0.4, 0.2]))"
REST = "input out: class_logits[B, C, H, W]\ninput y: labels[B, H, W]\n"

MOST_CALLS = 5_000_000
"""What refusing a text may cost."""


def compiled(text: str) -> lossdsl.Loss:
    return lossdsl.compile(text, backend="eager")


def refused(text: str) -> list[tuple[str, str]]:
    return [(d.code, d.span.text) for d in lossdsl.check(text).errors]


def deep_supervision() -> float:
    larger = [
        functional.interpolate(o, size=(8, 8), mode="bilinear", align_corners=False) for o in OUTS
    ]
    terms = [functional.cross_entropy(o, LABELS) for o in larger]
    return float(0.4 * terms[0] + 0.2 * terms[1])


@pytest.mark.parametrize(
    "type",
    [
        "list[class_logits[B, C, _, _]; 2]",
        "list[class_logits[B, C, _, _]]",
        "list[class_logits[B, C, ...]; 2]",
        "list[class_logits[B, C, ...]]",
        "list[class_logits(C)[B, C, 2*_, 2*_]; 2]",
    ],
)
def test_an_underscore_is_another_size_in_each_item(type: str) -> None:
    loss = compiled(f"input outs: {type}\n{REST}{DEEP}")
    assert float(loss(outs=OUTS, out=OUT, y=LABELS)) == pytest.approx(deep_supervision(), rel=1e-6)


def test_so_it_is_below_a_field() -> None:
    text = f"input outs: {{deep: list[class_logits[B, C, _, _]; 2]}}\n{REST}"
    loss = compiled(text + DEEP.replace("outs", "outs.deep"))
    value = loss(outs={"deep": OUTS}, out=OUT, y=LABELS)
    assert float(value) == pytest.approx(deep_supervision(), rel=1e-6)


def test_the_contract_shows_what_is_any_size() -> None:
    loss = compiled(f"input outs: list[class_logits[B, C, _, _]; 2]\n{REST}{DEEP}")
    assert str(loss.contract["outs"].type) == "list[class_logits[B, C, _, _]; 2]"
    equal = compiled("input p: real[B, _]\ninput q: real[B, _]\nmse(p, q)")
    assert str(equal.contract["p"].type) == str(equal.contract["q"].type) == "real[B, n]"


@pytest.mark.parametrize("type", ["list[real]", "list[real[...]]", "list[real; 2]"])
def test_items_without_a_shape_have_any(type: str) -> None:
    loss = compiled(f"input x: {type}\nsum(mean(o) for o in x)")
    items = [torch.full((3,), 2.0), torch.full((2, 2), 5.0)]
    assert float(loss(x=items)) == 7.0


def test_names_are_the_same_in_every_item() -> None:
    loss = compiled("input x: list[real[B, H]; 2]\nsum(mean(o) for o in x)")
    with pytest.raises(lossdsl.LossInputError, match="H = 3"):
        loss(x=[torch.zeros(2, 3), torch.zeros(2, 4)])


def test_items_are_compared_at_the_call() -> None:
    loss = compiled("input x: list[real[_]]\nmse(x[0], x[0]) + mse(x[0], x[1])")
    assert float(loss(x=[torch.zeros(3), torch.ones(3)])) == 1.0
    with pytest.raises(lossdsl.LossInputError):
        loss(x=[torch.zeros(3), torch.ones(4)])


def test_feature_maps_differ_within_a_list_and_agree_between_two() -> None:
    type = "list[real[B, _, _, _]; 2]"
    loss = compiled(f"input f: {type}\ninput g: {type}\nperceptual(f, g)")
    maps = [torch.randn(2, 3, 8, 8), torch.randn(2, 5, 4, 4)]
    assert float(loss(f=maps, g=maps)) == 0.0
    with pytest.raises(lossdsl.LossInputError):
        loss(f=maps, g=[maps[0], torch.randn(2, 6, 4, 4)])


def test_an_underscore_of_a_network_is_another_at_each_call() -> None:
    text = "input D: module(real[_]) -> real[_]\ninput a: real[N]\ninput b: real[M]\n"
    loss = lossdsl.compile(
        f"{text}mean(D(a)) + mean(D(b))", modules={"D": torch.nn.Identity()}, backend="eager"
    )
    assert float(loss(a=torch.ones(3), b=torch.ones(4))) == 2.0


# --- lengths ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "type", ["list[real[B]; 999999999]", "list[list[list[real[B]; 9999]; 9999]; 99]"]
)
def test_a_list_has_a_longest(type: str, calls: Callable[..., int]) -> None:
    text = f"input x: {type}\ninput p: real[B]\nmean(p)"
    assert refused(text) == [("E111", type)]
    assert calls(lambda: refused(text)) < MOST_CALLS


def test_the_longest_list() -> None:
    assert lossdsl.check("input x: list[real[B]; 10000]\nmean(x[9999])").ok


def test_zip_fixes_the_length_of_an_open_list() -> None:
    loss = compiled("input x: list[real[_]]\nsum(w*mean(o) for o, w in zip(x, [1, 2]))")
    assert float(loss(x=[torch.ones(1), torch.ones(2)])) == 3.0
    with pytest.raises(lossdsl.LossInputError, match="2 items, and 3 came"):
        loss(x=[torch.ones(1), torch.ones(2), torch.ones(3)])


@pytest.mark.parametrize("declared", ["", "input x: list[real[_]]\ninput y: list[real[_]]\n"])
def test_open_lists_are_as_long_as_one_another(declared: str) -> None:
    loss = compiled(f"{declared}sum(mean(o)*mean(i) for o, i in zip(x, y))")
    two = [torch.ones(1), torch.ones(1)]
    assert float(loss(x=two, y=two)) == 2.0
    with pytest.raises(lossdsl.LossInputError, match="2 and 3 items"):
        loss(x=two, y=[*two, torch.ones(1)])


def test_an_item_that_did_not_come() -> None:
    loss = compiled("input x: list[real[_]]\nmean(x[2])")
    with pytest.raises(lossdsl.LossInputError, match="2 items"):
        loss(x=[torch.ones(1), torch.ones(1)])


# --- what is no list --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "underlined"),
    [
        ("perceptual(2*a, b)", "E301", "2*a"),
        ("perceptual(a, b) + mse(a, c)", "E308", "a"),
        ("mse(a.x, c) + perceptual(a.x, b)", "E308", "a.x"),
    ],
)
def test_feature_maps_are_lists(text: str, code: str, underlined: str) -> None:
    assert (code, underlined) in refused(text)


def test_a_part_of_a_named_input() -> None:
    values: dict[str, Any] = {"out": {"a": torch.zeros(3), "b": torch.ones(3)}}
    assert float(compiled("o = out\nmse(o.a, o.b)")(**values)) == 1.0
