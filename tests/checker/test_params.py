"""Values of params: what the text declares, what Python gives, what is set."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import lossdsl

LEARNT = "param s = learnable(0.5, min=0, max=1)\ns*mse(p, y)"


def refused(text: str, params: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(lossdsl.LossError) as raised:
        lossdsl.compile(text, params=params, backend="eager")
    return [(d.code, d.span.text) for d in raised.value.diagnostics]


@pytest.mark.parametrize(
    ("text", "params", "code", "at"),
    [
        ("param d = 1\nhuber(p, y, delta=d)", {"d": -2}, "E206", "d"),
        ("param d = learnable(1)\nhuber(p, y, delta=2*d)", {"d": 0}, "E206", "2*d"),
        ("param w = 1\nmse(p, y)/w", {"w": 0}, "E310", "w"),
        (LEARNT, {"s": 2}, "E206", "2"),
        (LEARNT, {"s": [0.5, -1]}, "E206", "[0.5, -1]"),
        (LEARNT, {"s": "abc"}, "E504", "'abc'"),
        (LEARNT, {"s": True}, "E504", "True"),
        ("mse(p, y)", {"step": 2}, "E203", "step"),
    ],
)
def test_values_given_in_python_are_judged(
    text: str, params: dict[str, Any], code: str, at: str
) -> None:
    assert refused(text, params) == [(code, at)]


def test_a_diagnostic_points_to_the_declaration() -> None:
    report = lossdsl.check("param d = -1\nhuber(p, y, delta=d)")
    (label,) = report.diagnostics[0].labels
    assert (label.span.line, label.span.text, label.text) == (1, "d", "`d` is -1")


@pytest.mark.parametrize(
    ("text", "new", "code"),
    [
        ("param d = 1\nhuber(p, y, delta=d)", {"d": 0}, "E206"),
        ("param d = 1\nparam w = 2\nhuber(p, y, delta=3*d)*w", {"d": -0.5}, "E206"),
        ("param w = 1\nmse(p, y)/w", {"w": 0}, "E310"),
        ("param h = 1\nmean(clamp(p, 0, h)) + mse(p, y)", {"h": -1}, "E206"),
        (LEARNT, {"s": 1.5}, "E511"),
    ],
)
def test_set_refuses_what_the_text_could_not_say(
    text: str, new: dict[str, float], code: str
) -> None:
    loss = lossdsl.compile(text, backend="eager")
    p, y = torch.full((3,), 2.0), torch.zeros(3)
    before = loss(p=p, y=y)
    with pytest.raises(lossdsl.LossConfigError) as raised:
        loss.set(**new)
    assert [d.code for d in raised.value.diagnostics] == [code]
    assert torch.equal(loss(p=p, y=y), before)


def test_set_judges_only_what_it_knows() -> None:
    """The other params may have been set to anything."""
    loss = lossdsl.compile("param a = 1\nparam b = 2\nhuber(p, y, delta=b - a)", backend="eager")
    loss.set(b=5)
    loss.set(a=4)
    with pytest.raises(lossdsl.LossConfigError):
        loss.set(a=4, b=3)


def test_a_guarded_division_may_be_set_to_zero() -> None:
    loss = lossdsl.compile(
        "param w = 2\n(1/w if w > 0 else 3)*mean(p) + mse(p, y)", backend="eager"
    )
    p, y = torch.ones(3), torch.ones(3)
    assert loss(p=p, y=y) == 0.5
    loss.set(w=0)
    assert loss(p=p, y=y) == 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("mean(p)*clamp(0.5, max=1)", 0.5),
        ("mean(p)*clamp(2, max=1)", 1.0),
        ("mean(p)*clamp(0.5, min=1)", 1.0),
    ],
)
def test_numbers_passed_by_name_are_folded_by_name(text: str, value: float) -> None:
    assert lossdsl.compile(text, backend="eager")(p=torch.ones(2)) == value


def test_folding_sees_through_names() -> None:
    report = lossdsl.check("a = 1.0\n(1 - a)*mse(x, y) + a*l1(x, y)")
    assert [d.code for d in report.diagnostics] == ["N201"]
    given = lossdsl.check("def f(a) = (1 - a)*mse(x, y) + a*l1(x, y)\nb = 1\nf(b)", modules=())
    assert [d.code for d in given.diagnostics] == ["E201"] * 4


def test_a_constant_keeps_the_name_of_its_term() -> None:
    loss = lossdsl.compile("c = 3\nmse(p, y) + c", backend="eager")
    loss(p=torch.ones(2), y=torch.zeros(2))
    assert loss.terms == {"mse": torch.tensor(1.0), "c": torch.tensor(3.0)}
