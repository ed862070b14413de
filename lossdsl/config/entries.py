"""One entry of a section: its key as a name, its value as an expression."""

from __future__ import annotations

import re

from lossdsl.config.yaml_reader import Entry, Mapping, Node, Sequence
from lossdsl.config.yaml_scalar import Scalar
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Span
from lossdsl.syntax import tree
from lossdsl.syntax.parser import parse_expression

NAME = re.compile(r"[^\W\d]\w*")
# Where an operand may stand these words are no names, so nothing could refer to such a key.
RESERVED = ("true", "false", "none", "not")


def section(entry: Entry, found: Diagnostics) -> tuple[Entry, ...]:
    """The entries below a key; a section with nothing in it is an empty one."""
    match entry.value:
        case Mapping(entries):
            return entries
        case Scalar(is_null=True):
            return ()
        case Sequence():
            help = f"give each a name: `{entry.key.text}:` and below it `name: …`"
        case _:
            help = f"write `{entry.key.text}:` and below it, indented, `name: …`"
    message = f"`{entry.key.text}` holds named entries, not {describe(entry.value)}"
    found.add("E504", message, place(entry), help=help)
    return ()


def read_name(key: Scalar, what: str, found: Diagnostics) -> tree.Name | None:
    """The key as a name that expressions can use."""
    text = key.text
    if NAME.fullmatch(text) is None:
        found.add(
            "E512",
            f"the key of {what} is a name, and `{text}` is none" if text else f"{what} has no name",
            key.span,
            help=_name_help(text),
        )
        return None
    if text in RESERVED:
        message = f"`{text}` is a word of the language, and cannot name {what}"
        found.add("E512", message, key.span, help="choose another name")
        return None
    return tree.Name(text, key.fragment.span(0, len(text)))


def _name_help(text: str) -> str:
    proposal = re.sub(r"\W+", "_", text).strip("_")
    if NAME.fullmatch(proposal) and proposal not in RESERVED:
        return f"write `{proposal}`: letters, digits and `_`, no digit in front"
    return "names are letters, digits and `_`, with no digit in front"


def read_scalar_value(entry: Entry, what: str, found: Diagnostics) -> Scalar | None:
    """The text under a key, or a diagnostic where there is none or something else."""
    value = entry.value
    if isinstance(value, Scalar):
        if not value.is_null:
            return value
        found.add(
            "E504",
            f"`{entry.key.text}` has nothing behind it: {what} is needed",
            place(entry),
            help="write it behind the `:`, or remove the key",
        )
        return None
    help = None
    if value.in_flow:
        help = f"{what} that starts with a bracket must be quoted in YAML"
    found.add("E504", f"{what} is needed here, not {describe(value)}", value.span, help=help)
    return None


def read_expression(entry: Entry, found: Diagnostics) -> tree.Expression | None:
    """The expression under a key."""
    value = read_scalar_value(entry, "an expression", found)
    return None if value is None else parse_expression(value.expression, found)


def describe(node: Node) -> str:
    match node:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case Scalar():
            return "nothing" if node.is_null else "a text"


def place(entry: Entry) -> Span:
    """What to underline when the value of an entry is wrong: its key, if nothing was written."""
    value = entry.value
    return entry.key.span if isinstance(value, Scalar) and value.is_null else value.span
