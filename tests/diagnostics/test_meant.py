"""Close names: which is meant, and whether that is sure."""

from __future__ import annotations

import pytest

from lossdsl.diagnostics.diagnostic import Advice, Diagnostics, Fix
from lossdsl.diagnostics.meant import did_you_mean, is_slip, own_name_meant
from lossdsl.source import Source

NAMES = ("dice", "ce", "bce", "mse", "mae", "mean", "sigmoid", "logsigmoid", "exp", "focal", "sum")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("dise", "dice"),
        ("dicee", "dice"),
        ("dce", "dice"),
        ("dcie", "dice"),
        ("sigmiod", "sigmoid"),
        ("bcce", "bce"),
        ("Dice", "dice"),
        ("fokal", "focal"),
    ],
)
def test_one_slip_is_sure(written: str, meant: str) -> None:
    assert did_you_mean(written, NAMES if written != "dce" else ("dice", "sum")) == Advice(
        f"did you mean `{meant}`?", meant, safe=True
    )


@pytest.mark.parametrize("written", ["dce", "maen", "ssigmoidd", "exp2", "exp10", "msa"])
def test_two_slips_or_two_names_are_not(written: str) -> None:
    advice = did_you_mean(written, NAMES, 0.5)
    assert advice is None or not advice.safe


def test_nothing_is_close() -> None:
    assert did_you_mean("wasserstein", NAMES) is None


@pytest.mark.parametrize("written", ["fake_b", "x_b_mask", "B", "w2", "fak"])
def test_names_of_the_text_differ_on_purpose(written: str) -> None:
    advice = own_name_meant(written, ("fake_a", "x_a_mask", "b", "w1", "fake"), 0.6)
    assert advice is None or not advice.safe


@pytest.mark.parametrize("written", ["tagret", "taget", "ttarget"])
def test_names_of_the_text_may_be_misspelt(written: str) -> None:
    assert own_name_meant(written, ("target", "pred"), 0.6) == Advice(
        "did you mean `target`?", "target", safe=True
    )


def test_a_slip_is_one_step() -> None:
    """All texts of one letter more, one fewer, another one, or two exchanged; no others."""
    word, letters = "focal", "abcdefghijklmnopqrstuvwxyz"
    steps = {word[:i] + word[i + 1 :] for i in range(5)}
    steps |= {word[:i] + a + word[i:] for i in range(6) for a in letters}
    steps |= {word[:i] + a + word[i + 1 :] for i in range(5) for a in letters}
    steps |= {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(4)}
    steps.remove(word)
    assert all(is_slip(other, word) and is_slip(word, other) for other in steps)
    further = {a + b for a in steps for b in "xy"} - steps - {word}
    assert not any(is_slip(other, word) for other in further)
    assert not is_slip(word, word)


def test_advice_becomes_help_and_fix() -> None:
    found = Diagnostics()
    span = Source("dise(p, y)").span(0, 4)
    found.add("E202", "unknown", span, help=Advice("did you mean `dice`?", "dice"))
    found.add("E202", "unknown too", span, help=Advice("look"))
    found.add("E202", "unknown as well", span, help="look", fix=Fix(span, "ce", False))
    fixes = [diagnostic.fix for diagnostic in found.items]
    assert fixes == [Fix(span, "dice", True), None, Fix(span, "ce", False)]
    assert [diagnostic.help for diagnostic in found.items] == [
        "did you mean `dice`?",
        "look",
        "look",
    ]
