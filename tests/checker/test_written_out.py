"""Names that mean something elsewhere: the tables lead to losses that exist, and what they advise
to write is the language."""

from __future__ import annotations

import re

import pytest

import lossdsl
from lossdsl.checker.suggest import DIFFERENT, SYNONYMS
from lossdsl.checker.written_out import WRITTEN_OUT
from lossdsl.functions.record import functions
from lossdsl.library import registry

LEGAL = set(registry.names())
CLASSES = "input p: class_logits[B, C]\ninput y: labels[B]\n"
KEYWORDS = {"over", "class_weight", "ignore_index", "**"}


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_what_is_written_out_has_no_name_here(name: str) -> None:
    assert name not in LEGAL
    assert name not in SYNONYMS
    report = lossdsl.check(f"{name}(p, y)")
    assert [d.code for d in report.errors] == ["E202"]
    assert report.errors[0].help is not None


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_the_advice_is_of_losses_that_exist(name: str) -> None:
    for text in re.findall(r"`([^`]*)`", WRITTEN_OUT[name].format(x="p")):
        for called in re.findall(r"([a-z_0-9]+)\(", text):
            assert called in LEGAL or called in functions()
        if "…" not in text and "(" in text:
            report = lossdsl.check(CLASSES * ("argmax" in text) + text)
            assert not report.errors, str(report)


@pytest.mark.parametrize("name", SYNONYMS)
def test_a_synonym_leads_to_what_can_be_called(name: str) -> None:
    meant = SYNONYMS[name]
    assert name == name.lower()
    assert meant in LEGAL or meant in functions() or meant in KEYWORDS


@pytest.mark.parametrize("name", sorted(DIFFERENT))
def test_what_differs_can_be_called(name: str) -> None:
    assert name in LEGAL or name in functions()


def test_a_count_of_mistakes_is_no_loss() -> None:
    (problem,) = lossdsl.check("0.5*zero_one(p, y) + ce(p, y)").errors
    assert "a count has no gradient" in (problem.help or "")
    assert "`hinge`" in (problem.help or "")
