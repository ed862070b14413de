"""A YAML scalar's value, and the place in the file of each of its characters.

PyYAML gives a value and where the scalar begins and ends. What happened in between, folding,
unescaping and dedenting, is done again here with places kept, by a table of what each style is
made of. The result must spell PyYAML's value; where it does not, every character gets the place of
the whole scalar: a coarse underline, never a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lossdsl.source import Fragment, Source, Span

Style = Literal["plain", "'", '"', "|", ">"]

# One decoded character and its place in the file.
Place: TypeAlias = tuple[str, int, int]

_BREAK = r"(?:\r\n|[\r\n\x85\u2028\u2029])"
_FOLD = rf"(?P<fold>[ \t]*{_BREAK}(?:[ \t]*{_BREAK})*[ \t]*)"
_BLANKS = r"[ \t]+"

# What a style's text is made of, in the order in which it is tried. An unnamed part stands for
# itself, a `fold` for the lines it joins, an `escape` for one character, a `joint` for nothing.
_PARTS: dict[str, re.Pattern[str]] = {
    "plain": re.compile(rf"{_FOLD}|{_BLANKS}|[^\s]+|."),
    "'": re.compile(rf"{_FOLD}|{_BLANKS}|(?P<escape>'')|[^\s']+|."),
    '"': re.compile(
        rf"(?P<joint>\\{_BREAK}(?:[ \t]*{_BREAK})*[ \t]*)|{_FOLD}|{_BLANKS}"
        r"|(?P<escape>\\x.{2}|\\u.{4}|\\U.{8}|\\.)|[^\s\\]+|."
    ),
}
_BREAKS = re.compile(_BREAK)
_HEADER = re.compile(rf"[|>](?P<indicators>[-+0-9]*)[^\r\n\x85\u2028\u2029]*{_BREAK}?")
_LINE = re.compile(rf"(?P<text>[^\r\n\x85\u2028\u2029]*)(?P<end>{_BREAK}|$)")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text in a YAML file. `in_flow` says that it stands inside `{…}` or `[…]`."""

    fragment: Fragment
    style: Style
    span: Span
    in_flow: bool = False

    @property
    def text(self) -> str:
        return self.fragment.text

    @property
    def is_null(self) -> bool:
        """Nothing is written here, or YAML's word for nothing."""
        return self.style == "plain" and self.text in ("", "~", "null", "Null", "NULL")

    @property
    def expression(self) -> Fragment:
        """The text as the expression grammar is to read it.

        A joined line is a newline again, which means the same to an expression, so that a comment
        ends where its line ends and does not swallow the next one.
        """
        starts, ends = self.fragment.starts, self.fragment.ends
        if starts is None or ends is None or " " not in self.text:
            return self.fragment
        raw = self.fragment.source.text
        text = "".join(
            "\n" if char == " " and _BREAKS.search(raw, start, end) else char
            for char, start, end in zip(self.text, starts, ends, strict=True)
        )
        return Fragment(text, self.fragment.source, starts, ends)


def read_scalar(
    source: Source, start: int, end: int, style: Style, value: str, *, in_flow: bool = False
) -> Scalar:
    """The scalar that PyYAML found in `source.text[start:end]`, with its places."""
    block = style in ("|", ">")
    if block:
        places = list(_block_places(source.text, start, end, style, value))
    else:
        places = _flow_places(source.text, start, end, style, value)
    if "".join(char for char, _, _ in places) != value:
        places = [(char, start, end) for char in value]
    elif block:
        written = [stop for char, _, stop in places if not char.isspace()]
        end = written[-1] if written else start + 1
    fragment = Fragment(
        value,
        source,
        tuple(first for _, first, _ in places),
        tuple(stop for _, _, stop in places),
    )
    return Scalar(fragment, style, Span(source, start, end), in_flow)


def _flow_places(raw: str, start: int, end: int, style: Style, value: str) -> list[Place]:
    quote = 0 if style == "plain" else 1
    places: list[Place] = []
    for part in _PARTS[style].finditer(raw, start + quote, end - quote):
        first, stop = part.span()
        match part.lastgroup:
            case "joint":
                # `\` at the end of a line joins it to the next; blank lines between them stay.
                breaks = [_normal(found[0]) for found in _BREAKS.finditer(raw, first, stop)]
                places += [(char, first, stop) for char in breaks[1:]]
            case "fold":
                places += [(char, first, stop) for char in _folded(raw, first, stop)]
            case "escape":
                # Which character it is, PyYAML knows.
                places.append((value[len(places) : len(places) + 1], first, stop))
            case _:
                places += [(raw[at], at, at + 1) for at in range(first, stop)]
    return places


def _folded(raw: str, start: int, end: int) -> str:
    """What joined lines become: a space, or one newline fewer than were written."""
    head, *rest = (_normal(found[0]) for found in _BREAKS.finditer(raw, start, end))
    if head == "\n":
        head = "" if rest else " "
    return head + "".join(rest)


def _normal(line_break: str) -> str:
    return line_break if line_break in "\u2028\u2029" else "\n"


def _block_places(raw: str, start: int, end: int, style: Style, value: str) -> Iterator[Place]:
    header = _HEADER.match(raw, start, end)
    if header is None:
        return
    indent = _indent(raw[header.end() : end], value)
    held: list[Place] = []
    last: Place | None = None
    indented = False
    for line in _LINE.finditer(raw, header.end(), end):
        text, line_break = line["text"], line["end"]
        ending = (_normal(line_break), line.start("end"), line.end("end")) if line_break else None
        if len(text) <= indent and not text.strip(" "):
            held += [ending] if ending else []
            continue
        more_indented = text[indent : indent + 1] in (" ", "\t")
        if last is not None:
            if style == ">" and last[0] == "\n" and not indented and not more_indented:
                if not held:
                    yield (" ", last[1], last[2])
            else:
                yield last
        yield from held
        held = []
        first = line.start() + indent
        yield from ((raw[at], at, at + 1) for at in range(first, line.end("text")))
        last, indented = ending, more_indented
    if last is not None and "-" not in header["indicators"]:
        yield last
    if "+" in header["indicators"]:
        yield from held


def _indent(content: str, value: str) -> int:
    """How far a block is indented: seen on its first line that is not blank."""
    written, decoded = (
        next((line["text"] for line in _LINE.finditer(text) if line["text"].strip(" ")), "")
        for text in (content, value)
    )
    return max(_lead(written) - _lead(decoded), 0)


def _lead(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
