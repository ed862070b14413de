"""Colour: on a terminal, never a letter changed, and nothing else is coloured by mistake."""

from __future__ import annotations

import re

import pytest

from lossdsl.diagnostics.colour import SEVERITIES, coloured
from lossdsl.diagnostics.diagnostic import Diagnostic, Label
from lossdsl.diagnostics.render import SHOWN, render, render_all
from lossdsl.source import Source, Span

SOURCE = Source("a: b |\n = help: c\nerror[E101]: --> d\n1 | ^^^ | ---\n", "odd.yaml")


def place(text: str) -> Span:
    start = SOURCE.text.index(text)
    return SOURCE.span(start, start + len(text))


def styled(diagnostic: Diagnostic) -> list[tuple[str, str]]:
    """The pieces of the rendered text that have a style, each with it."""
    text = coloured(render(diagnostic))
    return [(text.plain[span.start : span.end], str(span.style)) for span in text.spans]


DIAGNOSTICS = [
    Diagnostic("E202", "no such [bold]loss[/bold]", place("b"), (), "did you mean\n`c`?"),
    Diagnostic("W201", "unused", place("c"), (Label(place("a"), "here"), Label(place("d"), ""))),
    Diagnostic("N201", "folded", place("^^^"), (Label(Source("x = 1", "o.loss").span(), "it"),)),
]


@pytest.mark.parametrize("diagnostic", DIAGNOSTICS)
def test_the_text_stays(diagnostic: Diagnostic) -> None:
    rendered = render(diagnostic)
    assert coloured(rendered).plain == rendered


def test_many_diagnostics() -> None:
    rendered = render_all(DIAGNOSTICS * SHOWN)
    assert coloured(rendered).plain == rendered


@pytest.mark.parametrize("diagnostic", DIAGNOSTICS)
def test_severity_and_marks_have_one_colour(diagnostic: Diagnostic) -> None:
    style = SEVERITIES[diagnostic.severity]
    pieces = [piece.strip() for piece, name in styled(diagnostic) if name == style]
    marks = "^" * len(diagnostic.span.text)
    assert pieces == [f"{diagnostic.severity}[{diagnostic.code}]:", marks]


def test_labels_have_the_colour_of_the_frame() -> None:
    pieces = [piece.strip() for piece, name in styled(DIAGNOSTICS[1]) if name == "blue"]
    assert "- here" in pieces
    assert "-" in pieces


def test_source_text_has_no_colour() -> None:
    """Lines that look like parts of a diagnostic themselves."""
    for text in ("b", "c", "d", "^^^"):
        line = SOURCE.line(place(text).line)
        found = Diagnostic("E202", "m", place(text))
        pieces = [piece for piece, _ in styled(found)]
        assert not any(line.strip() in piece for piece in pieces)
        assert re.search(rf"\| {re.escape(line)}$", render(found), re.MULTILINE)
