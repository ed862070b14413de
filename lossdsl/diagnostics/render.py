"""Diagnostics as text: the message, the line, the columns underlined, the way out."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.source import Source, Span

SHOWN = 100
"""How many diagnostics are written out; the rest is counted."""

WIDTH = 96
"""How many terminal columns of a source line are shown, the dots at a cut not counted."""

# How many characters to each side of a place can matter to what is shown.
_NEAR = 2 * WIDTH
_TAB = " " * 4
_CUT = "…"


def render_all(diagnostics: Iterable[Diagnostic]) -> str:
    """All diagnostics, one block each."""
    found = list(diagnostics)
    blocks = [render(d) for d in found[:SHOWN]]
    if len(found) > SHOWN:
        blocks.append(f"… and {len(found) - SHOWN} more")
    return "\n\n".join(blocks)


def render(diagnostic: Diagnostic) -> str:
    """One diagnostic.

    error[E202]: no loss or function is called `dise`
      --> seg.yaml:7:15
        |
      7 |   dice: exp(-s)*dise(p, y)
        |                 ^^^^
      help: did you mean `dice`?

    Labels on a line that is shown already are underlined below it, and a line too long for a
    terminal is cut to what stands around the place.
    """
    head = diagnostic.span
    places = [_Place(head, "^", "")]
    places += [_Place(label.span, "-", label.text) for label in diagnostic.labels]
    width = max(len(str(place.span.line)) for place in places)
    margin = " " * width
    lines = [
        f"{diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}",
        f"{margin} --> {head.source.name}:{head.line}:{head.column}",
        f"{margin}  |",
    ]
    shown = head.source
    for excerpt in _excerpts(places):
        if excerpt.source is not shown:
            shown = excerpt.source
            first = excerpt.places[0].span
            lines.append(f"{margin} ::: {shown.name}:{first.line}:{first.column}")
        lines.append(f" {excerpt.number:>{width}} | {excerpt.text()}".rstrip())
        lines += [
            f"{margin}  | {excerpt.underline(place)} {place.text}".rstrip()
            for place in excerpt.places
        ]
    told = [("note", note) for note in diagnostic.notes]
    told += [("help", diagnostic.help)] if diagnostic.help else []
    for what, text in told:
        first_line, *rest = text.splitlines()
        lines.append(f"{margin} = {what}: {first_line}")
        lines += [f"{margin}   {line}" for line in rest]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Place:
    """A span to underline, with the sign to do it and what to say about it."""

    span: Span
    mark: str
    text: str

    def columns(self) -> tuple[int, int]:
        """The part of the span's first line that it covers, as offsets into that line."""
        start = self.span.column - 1
        line, column = self.span.stop
        end = column - 1 if line == self.span.line else len(_line(self.span))
        return start, max(start, end)


class _Excerpt:
    """One line of a source, or what fits of it, and the places in it.

    Offsets count from `base`: far from the place a line of a million characters is not looked at.
    """

    def __init__(self, place: _Place) -> None:
        self.source: Source = place.span.source
        self.number = place.span.line
        self.places = [place]
        line = _line(place.span)
        start, _ = place.columns()
        self.base = max(0, start - _NEAR)
        self.line = line[self.base : start + _NEAR]
        self.goes_on = start + _NEAR < len(line)
        # Where each character starts on the terminal; the last entry is the width of them all.
        self.columns = [0, *accumulate(map(_cells, self.line))]
        self.start, self.end = self._window(*self._offsets(place))

    def _offsets(self, place: _Place) -> tuple[int, int]:
        start, end = place.columns()
        return start - self.base, end - self.base

    def _window(self, start: int, end: int) -> tuple[int, int]:
        """The characters to show: all, or as many around a place as a terminal has room for."""
        columns, length = self.columns, len(self.line)
        if columns[-1] <= WIDTH and not self.base and not self.goes_on:
            return 0, length
        first = last = min(start, length)
        while last < min(end, length) and columns[last + 1] - columns[first] <= WIDTH:
            last += 1
        # What room is left goes to both sides alike, or to one where the other has no more text.
        grown = True
        while grown:
            grown = False
            if first > 0 and columns[last] - columns[first - 1] <= WIDTH:
                first, grown = first - 1, True
            if last < length and columns[last + 1] - columns[first] <= WIDTH:
                last, grown = last + 1, True
        return first, last

    def takes(self, place: _Place) -> bool:
        """Whether a place is in what this excerpt shows."""
        if place.span.source is not self.source or place.span.line != self.number:
            return False
        start, end = self._offsets(place)
        return self.start <= start and (end <= self.end or not self._cut_behind())

    def _cut_before(self) -> bool:
        return bool(self.base or self.start)

    def _cut_behind(self) -> bool:
        return self.goes_on or self.end < len(self.line)

    def text(self) -> str:
        before = _CUT if self._cut_before() else ""
        behind = _CUT if self._cut_behind() else ""
        return before + "".join(map(_visible, self.line[self.start : self.end])) + behind

    def underline(self, place: _Place) -> str:
        start, end = (min(max(x, self.start), self.end) for x in self._offsets(place))
        lead = self.columns[start] - self.columns[self.start] + self._cut_before()
        return " " * lead + place.mark * max(self.columns[end] - self.columns[start], 1)


def _excerpts(places: Iterable[_Place]) -> list[_Excerpt]:
    """One excerpt a line, in the order of the places; two where a line is cut between them."""
    excerpts: list[_Excerpt] = []
    for place in places:
        for excerpt in excerpts:
            if excerpt.takes(place):
                excerpt.places.append(place)
                break
        else:
            excerpts.append(_Excerpt(place))
    return excerpts


def _line(span: Span) -> str:
    return span.source.line(span.line)


def _visible(character: str) -> str:
    """A character as a terminal may show it: nothing that moves, hides or reorders text."""
    if character == "\t":
        return _TAB
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return "\ufffd"
    return character


def _cells(character: str) -> int:
    """How many terminal columns a character takes: wide ones two, combining ones none."""
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    shown = _visible(character)
    return 2 if unicodedata.east_asian_width(shown[0]) in "WF" else len(shown)
