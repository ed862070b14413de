"""Text and places in it. Everything a user can be told about carries a `Span`."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property

_LINE_BREAK = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, eq=False)
class Source:
    """A text and the name it has for the user: a path, or `<loss>` for a string."""

    text: str
    name: str = "<loss>"

    def __post_init__(self) -> None:
        # A byte-order mark is not part of what the user wrote: it takes no column.
        if self.text.startswith("\ufeff"):
            object.__setattr__(self, "text", self.text[1:])

    @cached_property
    def line_starts(self) -> list[int]:
        return [0, *(match.end() for match in _LINE_BREAK.finditer(self.text))]

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1, in code points."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line without its line break."""
        start = self.line_starts[number - 1]
        ends = self.line_starts
        end = ends[number] if number < len(ends) else len(self.text)
        return self.text[start:end].rstrip("\r\n")

    def span(self, start: int = 0, end: int | None = None) -> Span:
        return Span(self, start, len(self.text) if end is None else end)


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of a source: `source.text[start:end]`."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def stop(self) -> tuple[int, int]:
        """Line and column just behind the last character."""
        return self.source.position(self.end)

    def to(self, other: Span) -> Span:
        """The range from the start of this span to the end of another in the same source."""
        return Span(self.source, self.start, max(self.end, other.end))

    def __repr__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column} {self.text!r}"


@dataclass(frozen=True, slots=True)
class Fragment:
    """An expression's text and where each of its characters stands in the source.

    In a program the two are the same. In YAML the text was unescaped, unfolded and dedented, so
    every character has its own place: `starts[i]` to `ends[i]`.
    """

    text: str
    source: Source
    starts: tuple[int, ...] | None = field(default=None, repr=False)
    ends: tuple[int, ...] | None = field(default=None, repr=False)

    @classmethod
    def whole(cls, source: Source) -> Fragment:
        return cls(source.text, source)

    def span(self, start: int, end: int) -> Span:
        """The place in the source of `text[start:end]`."""
        if self.starts is None or self.ends is None:
            return Span(self.source, start, end)
        if not self.starts:
            return Span(self.source, 0, 0)
        if start >= len(self.starts):
            return Span(self.source, self.ends[-1], self.ends[-1])
        first = self.starts[start]
        return Span(self.source, first, self.ends[end - 1] if end > start else first)
