"""The `inputs` of a loss file: names and their types.

A type is a text, `logits[B, 1]`; an input of several parts may be written as a nested mapping
(`out.aux`) or, when its parts are of one type, as a nested list.
"""

from __future__ import annotations

from lossdsl.config.entries import NAME, describe, place, read_name, section
from lossdsl.config.yaml_reader import Entry, Mapping, Node, Sequence
from lossdsl.config.yaml_scalar import Scalar
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Fragment
from lossdsl.syntax import tree
from lossdsl.syntax.parser import parse_type


def read_inputs(entry: Entry, found: Diagnostics) -> tuple[tree.Input, ...]:
    """`p: logits[B, 1]`, `y?: labels[B]`: one declaration an entry."""
    inputs = []
    for item in section(entry, found):
        key, optional = _optional(item.key)
        name = read_name(key, "an input", found)
        declared = _type(item, found)
        if name is not None and declared is not None:
            span = item.key.span.to(item.value.span)
            inputs.append(tree.Input(name, declared, optional, span))
    return tuple(inputs)


def _optional(key: Scalar) -> tuple[Scalar, bool]:
    """The key without the `?` that makes an input optional."""
    text = key.text.rstrip()
    if not text.endswith("?") or not NAME.fullmatch(text[:-1]):
        return key, False
    whole = key.fragment
    size = len(text) - 1
    starts = whole.starts[:size] if whole.starts is not None else None
    ends = whole.ends[:size] if whole.ends is not None else None
    return Scalar(Fragment(text[:-1], whole.source, starts, ends), key.style, key.span), True


def _type(entry: Entry, found: Diagnostics) -> tree.TypeExpression | None:
    if isinstance(entry.value, Scalar) and entry.value.is_null:
        found.add(
            "E504",
            f"the type of `{entry.key.text}` is missing",
            place(entry),
            help="a type is a kind and a shape: `logits[B, 1, H, W]`",
        )
        return None
    return _node_type(entry.value, found)


def _node_type(node: Node, found: Diagnostics) -> tree.TypeExpression | None:
    match node:
        case Scalar():
            return parse_type(node.expression, found)
        case Mapping(entries):
            return _record(node, entries, found)
        case Sequence(items):
            return _list(node, items, found)


def _record(
    node: Mapping, entries: tuple[Entry, ...], found: Diagnostics
) -> tree.RecordType | None:
    fields = []
    for entry in entries:
        name = read_name(entry.key, "a field", found)
        declared = _type(entry, found)
        if name is not None and declared is not None:
            span = entry.key.span.to(entry.value.span)
            fields.append(tree.RecordField(name, declared, span))
    if not entries:
        found.add("E504", "an input with no fields", node.span, help="give it a type")
    return tree.RecordType(tuple(fields), node.span) if fields else None


def _list(node: Sequence, items: tuple[Node, ...], found: Diagnostics) -> tree.ListType | None:
    types = []
    for item in items:
        if isinstance(item, Scalar) and item.is_null:
            found.add("E504", "a type is missing in this list", node.span)
            return None
        types.append(_node_type(item, found))
    if not types:
        found.add("E504", f"a type is needed, not {describe(node)} of nothing", node.span)
        return None
    first, *others = types
    if first is None or None in others:
        return None
    for item, other in zip(items[1:], others, strict=True):
        if other != first:
            found.add(
                "E504",
                "the items of a list have one type",
                item.span,
                labels=[(items[0].span, "the first is this")],
                help="give parts of different types names: `logits: …`",
            )
            return None
    return tree.ListType(first, len(types), node.span)
