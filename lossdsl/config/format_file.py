"""A loss file with its expressions and types in canonical form, and nothing else touched.

Comments, blank lines, the order of keys and the way a value is quoted stay as they are. A sum
that was written over several lines gets a line for each operand. An expression with comments of
its own, in a block, is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, TypeAlias

from lossdsl.config.constants import is_expression
from lossdsl.config.yaml_reader import Entry, Mapping, Node, Sequence, read_yaml
from lossdsl.config.yaml_scalar import Scalar
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Fragment, Source
from lossdsl.syntax import tree
from lossdsl.syntax.formatter import format_expression, format_function_head, format_type
from lossdsl.syntax.grammar import lex
from lossdsl.syntax.parser import parse_expression, parse_function_head, parse_type

# Replace `text[start:end]` by another text.
Edit: TypeAlias = tuple[int, int, str]

_BREAK = re.compile(r"\r\n|[\r\n]")
_CONTINUATION = re.compile(r"(\r\n|[\r\n])\s*?([ \t]*)(?=\S)")


def format_file(source: Source, found: Diagnostics) -> str | None:
    """The canonical text of a loss file, or None where it has errors, which are then in `found`.

    Only what must be read is checked: YAML, expressions and types.
    """
    before = len(found.items)
    root = read_yaml(source, found)
    edits = sorted(set(_mapping(root, found))) if isinstance(root, Mapping) else []
    if root is None or len(found.items) > before:
        return None
    pieces, reached = [], 0
    for start, end, text in edits:
        pieces += [source.text[reached:start], text]
        reached = end
    return "".join(pieces) + source.text[reached:]


def _mapping(mapping: Mapping, found: Diagnostics) -> Iterator[Edit]:
    for entry in mapping.entries:
        values = entry.value.entries if isinstance(entry.value, Mapping) else ()
        match entry.key.text:
            case "loss":
                yield from _expression(entry.value, found)
            case "let" | "terms" | "monitor":
                for value in values:
                    yield from _expression(value.value, found)
            case "functions":
                for function in values:
                    yield from _function(function, found)
            case "inputs":
                yield from _types(entry.value, found)
            case "params":
                yield from _constants(entry.value, found)
            case "losses":
                for body in values:
                    if isinstance(body.value, Mapping):
                        yield from _mapping(body.value, found)


def _expression(node: Node, found: Diagnostics) -> Iterator[Edit]:
    if isinstance(node, Scalar) and not node.is_null:
        yield from _edit(node, parse_expression, format_expression, found)


def _function(entry: Entry, found: Diagnostics) -> Iterator[Edit]:
    head = entry.key
    if "(" in head.text:
        yield from _edit(head, parse_function_head, _head, found, template="{}: 1")
    yield from _expression(entry.value, found)


def _head(node: tuple[tree.Name, tuple[tree.FunctionParameter, ...]]) -> str:
    return format_function_head(*node)


def _types(node: Node, found: Diagnostics) -> Iterator[Edit]:
    for scalar in _scalars(node):
        if not scalar.is_null:
            yield from _edit(scalar, parse_type, format_type, found)


def _constants(node: Node, found: Diagnostics) -> Iterator[Edit]:
    for scalar in _scalars(node):
        if is_expression(scalar):
            yield from _edit(scalar, parse_expression, format_expression, found)


def _scalars(node: Node) -> Iterator[Scalar]:
    """The values below a node, keys left out."""
    match node:
        case Scalar():
            yield node
        case Sequence(items):
            for item in items:
                yield from _scalars(item)
        case Mapping(entries):
            for entry in entries:
                yield from _scalars(entry.value)


def _edit(
    scalar: Scalar,
    parse: Callable[[Fragment, Diagnostics], Any],
    write: Callable[[Any], str],
    found: Diagnostics,
    template: str = "k: {}",
) -> Iterator[Edit]:
    """The edit that makes a scalar canonical, unless it is so or has comments in it."""
    node = parse(scalar.expression, found)
    if node is None or any(token.type == "COMMENT" for token in lex(scalar.expression.text)):
        return
    lines = [write(node)]
    raw = scalar.fragment.source.text
    starts, ends = scalar.fragment.starts or (), scalar.fragment.ends or ()
    first = len(scalar.text) - len(scalar.text.lstrip())
    last = len(scalar.text.rstrip())
    if isinstance(node, tree.Sum) and _BREAK.search(raw, starts[first], ends[last - 1]):
        lines = _summands(lines[0])
    if scalar.style in ("|", ">"):
        # Blank lines above the text, and what follows it, stay.
        line = scalar.text.rfind("\n", 0, first) + 1
        start, end = starts[line], ends[last - 1]
        end += len(raw[end:]) - len(raw[end:].lstrip(" \t"))
        lead = raw[max(raw.rfind("\n", 0, start), raw.rfind("\r", 0, start)) + 1 : start]
        yield start, end, (_line_break(raw) + lead).join(lines)
        return
    if scalar.text.strip() == " ".join(lines) and len(lines) == 1:
        return
    start, end = scalar.span.start, scalar.span.end
    again = _CONTINUATION.search(raw, start, end)
    between = again[1] + again[2] if again else " "
    context = "{{" + template + "}}" if scalar.in_flow else template
    for quoted in _quotings(scalar, lines, between):
        if _reads_as(context.format(quoted), " ".join(lines)):
            yield start, end, quoted
            return


def _summands(text: str) -> list[str]:
    """`a`, `+ b`, `- c`: a canonical sum at its signs."""
    node = parse_expression(Fragment.whole(Source(text)), Diagnostics())
    operands = node.operands if isinstance(node, tree.Sum) else ()
    cuts = [0, *(operand.span.start - 2 for operand in operands[1:]), len(text)]
    return [text[a:b].rstrip() for a, b in pairwise(cuts)]


def _quotings(scalar: Scalar, lines: list[str], between: str) -> Iterator[str]:
    """The text in the scalar's own style, then in those that can hold more.

    Double quotes come before doubled single ones: `"f(x, 'sum')"`.
    """
    plain = between.join(lines)
    single = "'{}'".format(plain.replace("'", "''"))
    double = '"{}"'.format(plain.replace("\\", "\\\\").replace('"', '\\"'))
    readable = double if "'" in plain and not set('"\\') & set(plain) else single
    yield {"plain": plain, "'": readable, '"': double}[scalar.style]
    yield readable
    yield double


def _reads_as(yaml: str, text: str) -> bool:
    """Whether the only entry of a mapping, its value or its key, reads as `text`."""
    quiet = Diagnostics()
    root = read_yaml(Source(yaml), quiet)
    if not isinstance(root, Mapping) or quiet.items or len(root.entries) != 1:
        return False
    entry = root.entries[0]
    return any(isinstance(part, Scalar) and part.text == text for part in (entry.key, entry.value))


def _line_break(raw: str) -> str:
    match = _BREAK.search(raw)
    return match[0] if match else "\n"
