"""The order of terms changes nothing: neither the contract nor what is told."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from tables import legal, wrong

import lossdsl
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Source
from lossdsl.syntax import tree
from lossdsl.syntax.parser import parse_program


def reordered(text: str, seed: int) -> str | None:
    """The program with the terms of its result in another order; None where it has one term.

    A difference stays as it is, and so does a term that another's name depends on.
    """
    program = parse_program(Source(text), Diagnostics())
    if program is None or not isinstance(program.result, tree.Sum):
        return None
    result = program.result
    if set(result.signs) != {"+"} or any(isinstance(x, tree.Named) for x in result.operands):
        return None
    terms = [operand.span.text for operand in result.operands]
    shuffled = random.Random(seed).sample(terms, len(terms))
    if shuffled == terms:
        shuffled = terms[::-1]
    span = result.span
    return text[: span.start] + " + ".join(shuffled) + text[span.end :]


def contract(report: lossdsl.CheckReport) -> dict[str, str]:
    assert report.contract is not None
    return {
        entry.name: f"{entry.type} {entry.because and entry.because.text}"
        for entry in report.contract
    }


def told(report: lossdsl.CheckReport) -> Counter[tuple[str, str, str | None]]:
    return Counter((d.code, d.message, d.help) for d in report.diagnostics)


LEGAL = [one.values[0].text for one in legal() if reordered(one.values[0].text, 0) is not None]
WRONG = [one.values[0].text for one in wrong() if reordered(one.values[0].text, 0) is not None]


def test_there_is_something_to_reorder() -> None:
    assert len(LEGAL) > 50
    assert len(WRONG) > 20


@pytest.mark.parametrize("text", LEGAL)
def test_the_contract_does_not_depend_on_the_order(text: str) -> None:
    before = lossdsl.check(text, modules=["f"])
    for seed in range(3):
        after = lossdsl.check(reordered(text, seed) or "", modules=["f"])
        assert contract(after) == contract(before)
        assert told(after) == told(before)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_told_does_not_depend_on_the_order(text: str) -> None:
    before = lossdsl.check(text)
    for seed in range(3):
        assert told(lossdsl.check(reordered(text, seed) or "")) == told(before)
