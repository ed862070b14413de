"""YAML errors by example: which of YAML's traps an expression fell into.

A table of mistakes, most specific first, as in `lossdsl.syntax.mistakes`: each looks at what
PyYAML said and at the text around, and the first that recognises itself writes the message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from yaml.error import Mark, MarkedYAMLError
from yaml.reader import ReaderError
from yaml.tokens import AliasToken, FlowMappingEndToken, FlowSequenceEndToken, ScalarToken, Token

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Source, Span

ALIAS_HELP = "a value that starts with `*` is an alias in YAML: quote the expression"

_QUOTE = "quote the whole value"
_EXPRESSION = "quote the expression"
# What a sign in front of a value means to YAML, and the way out.
_STARTS = {
    "*": ("`*` starts an alias in YAML", _EXPRESSION),
    "&": ("`&` starts an anchor in YAML", _EXPRESSION),
    "!": ("`!` starts a tag in YAML", _EXPRESSION),
    ">": ("`>` starts a block of text in YAML", _EXPRESSION),
    "|": ("`|` starts a block of text in YAML", _EXPRESSION),
    "-": ("`- ` starts a list item in YAML", "write the sign without a space, or quote it"),
    "?": ("`? ` starts a complex key in YAML", _QUOTE),
    "@": ("`@` cannot start an unquoted value", _EXPRESSION),
    "`": ("a backquote cannot start an unquoted value", _EXPRESSION),
    "%": ("`%` cannot start an unquoted value", _EXPRESSION),
    ",": ("`,` cannot start an unquoted value", _QUOTE),
    "]": ("`]` cannot start an unquoted value", _QUOTE),
    "}": ("`}` cannot start an unquoted value", _QUOTE),
}
_UNSPACED_KEY = re.compile(r"^[ ]*[^\W\d]\w*\??(:)[^\s:]", re.M)
_STARTS_HERE = ("cannot start any token", "expected the node content", "are not allowed here")
_CLOSES = {"[": "]", "(": ")", "{": "}"}


@dataclass(frozen=True, slots=True)
class Stop:
    """Where PyYAML could not go on, and why."""

    source: Source
    problem: str
    context: str
    at: int
    begun: int
    last: Token | None

    @property
    def text(self) -> str:
        return self.source.text

    @property
    def char(self) -> str:
        return self.text[self.at : self.at + 1]

    @property
    def line_start(self) -> int:
        return self.text.rfind("\n", 0, self.at) + 1

    @property
    def lead(self) -> str:
        """The line up to the stop."""
        return self.text[self.line_start : self.at]

    def rest_of_line(self, start: int) -> Span:
        line = re.compile(r"[^\r\n]*").match(self.text, start)
        end = start + len(line[0].rstrip()) if line else start
        return Span(self.source, start, end)

    def one(self, at: int) -> Span:
        """One character; the last of the text where the text has ended."""
        size = len(self.text)
        return Span(self.source, min(at, max(size - 1, 0)), min(at + 1, size))


@dataclass(frozen=True, slots=True)
class Said:
    message: str
    span: Span
    help: str | None = None


Mistake = Callable[[Stop], "Said | None"]


def explain(
    error: Exception, at: int, last: Token | None, source: Source, found: Diagnostics
) -> None:
    """Report why a text is not YAML. `at` and `last` are how far PyYAML had come."""
    if isinstance(error, ReaderError):
        place = Span(source, error.position, error.position + 1)
        message = f"a character that YAML does not allow: U+{error.character:04X}"
        found.add("E501", message, place, help="remove it")
        return
    if isinstance(error, MarkedYAMLError):
        at = _index(error.problem_mark, at)
        begun = _index(error.context_mark, at)
        stop = Stop(source, error.problem or "", error.context or "", at, begun, last)
    else:
        stop = Stop(source, "a number or an escape that is too large", "", at, at, last)
    for mistake in _MISTAKES:
        said = mistake(stop)
        if said is not None:
            found.add("E501", said.message, said.span, help=said.help)
            return


def _index(mark: Mark | None, otherwise: int) -> int:
    return otherwise if mark is None else mark.index


def _tab(stop: Stop) -> Said | None:
    if stop.char != "\t" or "cannot start any token" not in stop.problem:
        return None
    if not stop.lead.strip():
        return Said("a tab cannot indent a line in YAML", stop.one(stop.at), "indent with spaces")
    return Said("a tab ends an unquoted value", stop.one(stop.at), "write a space, or quote it")


def _never_closed(stop: Stop) -> Said | None:
    if stop.problem in ("found unexpected end of stream", "found unexpected document separator"):
        opened = stop.one(stop.begun)
        return Said(f"this `{opened.text}` is never closed", opened, f"add `{opened.text}`")
    if stop.context.startswith("while parsing a flow") and stop.at >= len(stop.text.rstrip()):
        opened = stop.one(stop.begun)
        if opened.text in _CLOSES:
            message = f"this `{opened.text}` is never closed"
            return Said(message, opened, f"add `{_CLOSES[opened.text]}`")
    return None


def _cut_in_flow(stop: Stop) -> Said | None:
    """`{p: logits[B, 1]}`: a bracket or a `?` ends an unquoted value inside `{…}`."""
    if not stop.context.startswith("while parsing a flow") or stop.char not in ("[", "{", "?"):
        return None
    word = re.compile(r"[^\s,\[\]{}:]*$").search(stop.text, stop.line_start, stop.at)
    start = word.start() if word else stop.at
    span = Span(stop.source, start, _group_end(stop.text, stop.at))
    return Said(
        f"inside `{{…}}` and `[…]` a `{stop.char}` ends an unquoted value",
        span,
        f'quote the {"key" if stop.char == "?" else "type or expression"}: `"{span.text}"`',
    )


def _group_end(text: str, start: int) -> int:
    """Behind the bracket that closes the one at `start`, on the same line where there is one."""
    opened: list[str] = []
    for at in range(start, len(text)):
        char = text[at]
        if char in "\r\n":
            break
        if char in _CLOSES:
            opened.append(_CLOSES[char])
        elif opened and char == opened[-1]:
            opened.pop()
        if not opened:
            return at + 1
    return start + 1


def _goes_on(stop: Stop) -> Said | None:
    """`'a' + b`, `*x + y`, `[a] + b`: more text behind a value that YAML takes for complete."""
    if not stop.problem.startswith("expected <block end>") or stop.last is None:
        return None
    if "\n" in stop.text[stop.last.end_mark.index : stop.at]:
        return None
    place = stop.rest_of_line(stop.at)
    match stop.last:
        case AliasToken():
            return Said("text behind an alias", place, ALIAS_HELP)
        case ScalarToken(style="'" | '"'):
            return Said("text behind a closing quote", place, _QUOTE)
        case FlowSequenceEndToken() | FlowMappingEndToken():
            return Said("text behind a closing bracket", place, _QUOTE)
    return None


def _bad_start(stop: Stop) -> Said | None:
    """`*bce(p, y)`, `@x`, `- x`: a sign that means something else in front of a YAML value."""
    if any(words in stop.context for words in ("alias", "anchor", "tag", "block scalar")):
        begun = stop.begun
    elif any(words in stop.problem for words in _STARTS_HERE):
        begun = stop.at
    else:
        return None
    sign = stop.text[begun : begun + 1]
    if sign not in _STARTS:
        return None
    message, help = _STARTS[sign]
    return Said(message, stop.one(begun), help)


def _missing_space(stop: Stop) -> Said | None:
    """`loss:bce(p, y)`: without the space it is one long word."""
    if "':'" not in stop.problem and "mapping values" not in stop.problem:
        return None
    for start in (stop.begun, stop.line_start, stop.text.rfind("\n", 0, stop.line_start - 1) + 1):
        line = stop.text.rfind("\n", 0, start) + 1
        key = _UNSPACED_KEY.match(stop.text, line)
        if key is not None:
            place = Span(stop.source, *key.span(1))
            return Said("a space is missing behind this `:`", place, "write `key: value`")
    return None


def _comment_cut(stop: Stop) -> Said | None:
    """A comment between the lines of an unquoted value ends it."""
    if not isinstance(stop.last, ScalarToken) or not stop.last.plain:
        return None
    between = stop.text[stop.last.end_mark.index : stop.at]
    if "#" not in between or not stop.problem.startswith("expected <block end>"):
        return None
    return Said(
        "a comment has ended the value above",
        stop.rest_of_line(stop.at),
        "write the value as a block: `|` behind the key, the lines indented below",
    )


def _colon(stop: Stop) -> Said | None:
    if not stop.problem.startswith("mapping values are not allowed"):
        return None
    key = re.compile(r"^\s*(?:-\s+)*([^\s:][^:]*:\s+\S)?")
    first = key.match(stop.lead)
    if first is not None and first[1]:
        return Said("`: ` inside an unquoted value", stop.one(stop.at), _QUOTE)
    word = stop.line_start + len(stop.lead) - len(stop.lead.lstrip())
    return Said(
        "this line is indented as if it went on with the value above",
        Span(stop.source, word, stop.at),
        "line it up with the keys that it belongs to",
    )


def _no_key(stop: Stop) -> Said | None:
    if stop.problem != "could not find expected ':'":
        return None
    return Said(
        "this line is no `key: value`",
        stop.rest_of_line(stop.begun),
        "indent it if it goes on with the value above",
    )


def _indentation(stop: Stop) -> Said | None:
    if not stop.problem.startswith("expected <block end>"):
        return None
    return Said(
        "this line's indentation fits none of the lines above",
        stop.rest_of_line(stop.at),
        "line it up with the keys that it belongs to",
    )


def _escape(stop: Stop) -> Said | None:
    if "escape" not in stop.problem:
        return None
    start = max(stop.text.rfind("\\", 0, stop.at), 0)
    escape = re.compile(r"\\(?:[xuU][0-9A-Fa-f]*|.?)").match(stop.text, start)
    return Said(
        "an escape that YAML does not have",
        Span(stop.source, start, escape.end() if escape else stop.at),
        "double the backslash, or use single quotes",
    )


def _directive(stop: Stop) -> Said | None:
    if stop.text.startswith("%", stop.line_start) or "incompatible YAML" in stop.problem:
        return Said(
            "a line that starts with `%` is an instruction to YAML",
            stop.rest_of_line(stop.line_start),
            "remove it, or indent and quote the expression",
        )
    return None


def _whatever(stop: Stop) -> Said | None:
    return Said(f"not valid YAML: {stop.problem}", stop.one(stop.at))


_MISTAKES: tuple[Mistake, ...] = (
    _tab,
    _never_closed,
    _cut_in_flow,
    _goes_on,
    _bad_start,
    _missing_space,
    _comment_cut,
    _colon,
    _no_key,
    _indentation,
    _escape,
    _directive,
    _whatever,
)
