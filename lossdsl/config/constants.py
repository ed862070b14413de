"""Values that are fixed before training: those of `params` and `options`.

A number, a list of numbers, `learnable(…)`, `true` or `false`; any other word is a string. YAML's
own ideas of booleans are not used: `no` would be false, and `1e-3` a string.
"""

from __future__ import annotations

import re

from lossdsl.config.entries import describe, place
from lossdsl.config.yaml_reader import Entry, Node, Sequence
from lossdsl.config.yaml_scalar import Scalar
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Span
from lossdsl.syntax import tree
from lossdsl.syntax.parser import parse_expression

_WORD = re.compile(r"[^\W\d][\w.-]*")
_NUMBER = re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][-+]?\d+)?")
_NOT_FINITE = re.compile(r"[-+]?\.?(?:inf|nan|infinity)", re.I)
_TRUTHS = {
    **dict.fromkeys(("yes", "on", "true"), "true"),
    **dict.fromkeys(("no", "off", "false"), "false"),
}


def read_constant(entry: Entry, found: Diagnostics) -> tree.Expression | None:
    """The value of an entry of `params` or `options`."""
    value = entry.value
    if isinstance(value, Scalar) and value.is_null:
        found.add(
            "E504",
            f"`{entry.key.text}` has no value",
            place(entry),
            help="write a number, a list, `true`, `false` or a word",
        )
        return None
    return _constant(value, found)


def _constant(node: Node, found: Diagnostics) -> tree.Expression | None:
    match node:
        case Scalar():
            return _scalar(node, found)
        case Sequence(items):
            values = [_constant(item, found) for item in items]
            present = tuple(value for value in values if value is not None)
            return tree.ListOf(present, node.span) if len(present) == len(values) else None
        case _:
            found.add("E504", f"a number, a list or a word, not {describe(node)}", node.span)
            return None


def _scalar(scalar: Scalar, found: Diagnostics) -> tree.Expression | None:
    text = scalar.text.strip()
    if _NOT_FINITE.fullmatch(text):
        found.add("E504", f"`{text}` is not finite", scalar.span, help="write a finite number")
        return None
    if is_expression(scalar):
        return parse_expression(scalar.expression, found)
    if scalar.style != "plain":
        return tree.Text(scalar.text, scalar.span)
    if scalar.is_null:
        found.add("E504", "a number or a word is missing here", _visible(scalar.span))
        return None
    match text, _TRUTHS.get(text.lower()):
        case "learnable", _:
            found.add(
                "E504",
                "`learnable` needs the value to start with",
                scalar.span,
                help="write `learnable(0.0)`",
            )
            return None
        case "true" | "false", _:
            return tree.Truth(text == "true", scalar.span)
        case _, str(truth):
            found.add(
                "E504",
                f"`{text}` is neither `true` nor `false`",
                scalar.span,
                help=f"write `{truth}`, or quote it if the word is meant",
            )
            return None
        case _:
            return tree.Text(text, scalar.span)


def is_expression(scalar: Scalar) -> bool:
    """Whether a value is read by the expression grammar, and is no word or quoted string."""
    text = scalar.text.strip()
    if scalar.style == "plain":
        return bool(text) and not _WORD.fullmatch(text) and not scalar.is_null
    return bool(_NUMBER.fullmatch(text)) or text.startswith(("[", "learnable("))


def _visible(span: Span) -> Span:
    return Span(span.source, max(span.start - 1, 0), span.end) if span.start == span.end else span
