"""YAML text to mappings, sequences and scalars, each with its place in the file.

PyYAML's scanner and parser give the structure; nothing here guesses what a value means: every
scalar stays text, so `1e-3` is no string and `no` is no boolean by accident. Aliases and merge
keys work, tags and second documents are refused, and aliases count as if they were written out,
so that a small file cannot stand for a huge one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn, TypeAlias, cast

from yaml.error import YAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner
from yaml.tokens import ScalarToken, Token

from lossdsl.config.yaml_mistakes import ALIAS_HELP, explain
from lossdsl.config.yaml_scalar import Scalar, Style, read_scalar
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Source, Span
from lossdsl.syntax import limits


@dataclass(frozen=True, slots=True)
class Entry:
    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    entries: tuple[Entry, ...]
    in_flow: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]
    in_flow: bool
    span: Span


Node: TypeAlias = Mapping | Sequence | Scalar


def read_yaml(source: Source, found: Diagnostics) -> Node | None:
    """The only document of a YAML text, or None where the text is not YAML."""
    if len(source.text) > limits.CHARACTERS:
        place = source.span(limits.CHARACTERS, limits.CHARACTERS + 1)
        found.add("E701", limits.message("CHARACTERS"), place)
        return None
    events = None
    try:
        events = _Events(source.text)
        return _Composer(source, events, found).document()
    except _Refused:
        return None
    except (YAMLError, ValueError, OverflowError, IndexError) as error:
        # PyYAML lets some bad escapes and directives through to Python's own conversions.
        at = events.index if events is not None else 0
        explain(error, at, events.last if events is not None else None, source, found)
        return None


class _Events(Reader, Scanner, Parser):
    """PyYAML without what it would do to scalars; remembers the last token that was used."""

    def __init__(self, text: str) -> None:
        self.last: Token | None = None
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def get_token(self) -> Token:
        self.last = super().get_token()  # type: ignore[no-untyped-call]
        return self.last


class _Refused(Exception):
    """The file cannot be read further; the diagnostic is written."""


@dataclass(frozen=True, slots=True)
class _Built:
    """A node with its size and height, aliases written out."""

    node: Node
    size: int
    height: int


class _Composer:
    def __init__(self, source: Source, events: _Events, found: Diagnostics) -> None:
        self.source = source
        self.events = events
        self.found = found
        self.anchors: dict[str, _Built] = {}
        self.unfinished: set[str] = set()
        self.nodes = 0

    def document(self) -> Node | None:
        self.next()
        start = self.next()
        if not isinstance(start, DocumentStartEvent):
            place = self.source.span(0, min(1, len(self.source.text)))
            self.refuse(
                "E504", "the file is empty", place, "the smallest file is `loss: bce(p, y)`"
            )
        root = self.node(self.next(), 1, in_flow=False).node
        self.next()
        end = self.next()
        if not isinstance(end, StreamEndEvent):
            self.refuse(
                "E501",
                "a second document starts here",
                self.place(end),
                "a file holds one loss file; several losses stand under `losses:`",
            )
        return root

    def next(self) -> Event:
        event: Event = self.events.get_event()  # type: ignore[no-untyped-call]
        return event

    def place(self, event: Event) -> Span:
        return Span(self.source, _start(event), _end(event))

    def refuse(self, code: str, message: str, span: Span, help: str | None = None) -> NoReturn:
        self.found.add(code, message, span, help=help)
        raise _Refused

    # --- nodes ---

    def node(self, event: Event, level: int, *, in_flow: bool) -> _Built:
        if isinstance(event, AliasEvent):
            built = self.alias(event)
        else:
            anchor = event.anchor if isinstance(event, NodeEvent) else None
            if anchor is not None:
                if anchor in self.anchors or anchor in self.unfinished:
                    message = f"the anchor `&{anchor}` stands above already"
                    self.refuse("E501", message, self.place(event), "give each anchor its own name")
                self.unfinished.add(anchor)
            built = self.build(event, level, in_flow=in_flow)
            if anchor is not None:
                self.unfinished.discard(anchor)
                self.anchors[anchor] = built
        if level + built.height - 1 > limits.YAML_DEPTH:
            self.refuse("E701", limits.message("YAML_DEPTH"), self.place(event))
        return built

    def alias(self, event: AliasEvent) -> _Built:
        if event.anchor in self.unfinished:
            self.refuse("E501", f"`*{event.anchor}` contains itself", self.place(event))
        built = self.anchors.get(event.anchor or "")
        if built is None:
            message = f"no anchor `&{event.anchor}` stands above this alias"
            self.refuse("E501", message, self.place(event), ALIAS_HELP)
        self.count(built.size, self.place(event))
        return built

    def build(self, event: Event, level: int, *, in_flow: bool) -> _Built:
        self.count(1, self.place(event))
        if level > limits.YAML_DEPTH:
            self.refuse("E701", limits.message("YAML_DEPTH"), self.place(event))
        match event:
            case MappingStartEvent():
                return self.mapping(event, level)
            case SequenceStartEvent():
                return self.sequence(event, level)
            case ScalarEvent():
                return _Built(self.scalar(event, in_flow=in_flow), 1, 1)
        raise AssertionError(event)

    def count(self, size: int, span: Span) -> None:
        self.nodes += size
        if self.nodes > limits.YAML_NODES:
            self.refuse("E701", limits.message("YAML_NODES"), span)

    def scalar(self, event: ScalarEvent, *, in_flow: bool) -> Scalar:
        token = self.events.last
        end = _end(event)
        content = _start(token) if isinstance(token, ScalarToken) else end
        self.tag(event, content)
        if event.style is None and not event.value:
            return read_scalar(self.source, end, end, "plain", "")
        style = cast(Style, event.style or "plain")
        scalar = read_scalar(self.source, content, end, style, event.value, in_flow=in_flow)
        if in_flow and scalar.style == "plain":
            self.cut_short(scalar)
        return scalar

    def tag(self, event: ScalarEvent | MappingStartEvent | SequenceStartEvent, end: int) -> None:
        if event.tag is not None:
            start = _start(event)
            written = re.compile(r"(?:&\S*\s+)?(!\S*)").search(self.source.text, start, end)
            span = Span(self.source, *(written.span(1) if written else (start, end)))
            message = f"a loss file has no tags: `{span.text}`"
            self.found.add("E501", message, span, help="remove it, or quote a text that starts so")

    def cut_short(self, scalar: Scalar) -> None:
        """`{a: f(x, y)}` is valid YAML for two entries, `f(x` and `y)`; nobody means that."""
        depth = scalar.text.count("(") - scalar.text.count(")")
        if depth <= 0:
            return
        end = scalar.span.end
        line_end = re.compile(r"$", re.M).search(self.source.text, end)
        stop = line_end.start() if line_end else end
        for at in range(end, stop):
            depth += {"(": 1, ")": -1}.get(self.source.text[at], 0)
            if depth == 0:
                stop = at + 1
                break
        else:
            stop = end
        span = Span(self.source, scalar.span.start, stop)
        self.refuse(
            "E501",
            "inside `{…}` and `[…]` a comma or bracket ends an unquoted value",
            span,
            f'quote it: `"{span.text}"`',
        )

    def children(
        self, start: MappingStartEvent | SequenceStartEvent, end: type[Event], level: int
    ) -> tuple[list[_Built], Span]:
        """What stands between two events, and the place of the whole."""
        self.tag(start, _end(start))
        in_flow = bool(start.flow_style)
        parts: list[_Built] = []
        while not isinstance(event := self.next(), end):
            parts.append(self.node(event, level + 1, in_flow=in_flow))
        first, last = _start(start), _end(event)
        if not in_flow:
            # A block ends where its last child ends; PyYAML's mark is on a later line.
            last = max([first, *(part.node.span.end for part in parts)])
        return parts, Span(self.source, first, last)

    def sequence(self, event: SequenceStartEvent, level: int) -> _Built:
        items, span = self.children(event, SequenceEndEvent, level)
        node = Sequence(tuple(item.node for item in items), bool(event.flow_style), span)
        return _sized(node, items)

    def mapping(self, event: MappingStartEvent, level: int) -> _Built:
        parts, span = self.children(event, MappingEndEvent, level)
        merged: dict[str, Entry] = {}
        own: dict[str, Entry] = {}
        for key, value in zip(parts[::2], parts[1::2], strict=True):
            if not isinstance(key.node, Scalar):
                message = "a key is a word, not a list or a mapping"
                self.found.add("E504", message, key.node.span)
            elif key.node.text == "<<" and key.node.style == "plain":
                self.merge(value.node, merged)
            elif (first := own.get(key.node.text)) is not None:
                self.found.add(
                    "E503",
                    f"`{key.node.text}` stands here twice",
                    key.node.span,
                    labels=[(first.key.span, "first here")],
                )
            else:
                own[key.node.text] = Entry(key.node, value.node)
        node = Mapping(tuple((merged | own).values()), bool(event.flow_style), span)
        return _sized(node, parts)

    def merge(self, value: Node, merged: dict[str, Entry]) -> None:
        """`<<: *base`: the keys of another mapping, unless this one writes them itself."""
        for source in value.items if isinstance(value, Sequence) else (value,):
            if isinstance(source, Mapping):
                for entry in source.entries:
                    merged.setdefault(entry.key.text, entry)
            else:
                self.found.add("E504", "`<<` takes a mapping, or a list of mappings", source.span)


def _start(part: Event | Token) -> int:
    return part.start_mark.index if part.start_mark is not None else 0


def _end(part: Event | Token) -> int:
    return part.end_mark.index if part.end_mark is not None else 0


def _sized(node: Node, parts: list[_Built]) -> _Built:
    size = 1 + sum(part.size for part in parts)
    return _Built(node, size, 1 + max((part.height for part in parts), default=0))
