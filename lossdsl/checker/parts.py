"""Parts of values: fields of records, items of lists, indexing of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lossdsl.checker import nodes
from lossdsl.checker.nodes import Node
from lossdsl.checker.suggest import closest
from lossdsl.source import Span
from lossdsl.syntax import tree
from lossdsl.types.values import Listing, Record, Type

if TYPE_CHECKING:
    from lossdsl.checker.resolve import Resolver


def item(resolver: Resolver, base: Node, key: str | int, span: Span) -> Node:
    """A part of a container."""
    base = nodes.unlabelled(base)
    if isinstance(base, nodes.Items) and isinstance(key, int):
        if not -len(base.items) <= key < len(base.items):
            resolver.refuse("E406", f"the list has {len(base.items)} items", span)
        return base.items[key]
    holder = container(resolver, base)
    if isinstance(holder, Record) and isinstance(key, str):
        if holder.field(key) is None:
            names = [name for name, _ in holder.fields]
            advice = closest(key, names, own=True)
            resolver.refuse(
                "E211",
                f"`{base.span.text}` has no field `{key}`",
                span,
                help=advice or f"its fields are {', '.join(names)}",
                fix=None if advice is None else advice.fix(_key(span, key)),
            )
    elif isinstance(holder, Listing) and isinstance(key, int):
        length = holder.length
        if length is not None and not -length <= key < length:
            resolver.refuse("E406", f"`{base.span.text}` has {length} items", span)
    elif isinstance(key, str) and (
        holder is not None or not isinstance(base, nodes.InputRef | nodes.Item)
    ):
        resolver.refuse(
            "E211",
            f"`{base.span.text}` has no fields: it is not a record",
            span,
            help=_no_field(base.span.text, key, isinstance(holder, Listing)),
        )
    return resolver.make(nodes.Item(base, key, span))


def _key(span: Span, key: str) -> Span:
    """Where a field's name stands, in `out.aux` and in `out['aux']`."""
    start = span.start + max(span.text.rfind(key), 0)
    return Span(span.source, start, start + len(key))


# What torch's tensors have as fields -> how it is written here.
_FIELDS = {
    "shape": "the size of an axis is `size({x}, 0)`",
    "T": "the last two axes are exchanged by `transpose({x})`",
    "mT": "the last two axes are exchanged by `transpose({x})`",
    "data": "without gradient it is `detach({x})`",
    "grad": "the derivative of `u` is `grad(u, {x})`",
}


def _no_field(base: str, key: str, listed: bool) -> str:
    if listed:
        return f"`{base}` is a list: pick an item, `{base}[0]`"
    return _FIELDS.get(key, "a function is called with the value: `mean({x})`").format(x=base)


def container(resolver: Resolver, node: Node) -> Type | None:
    """The declared type of an input or a part of one; None where nothing is declared."""
    match nodes.unlabelled(node):
        case nodes.InputRef(name):
            declared = resolver.declared.inputs.get(name)
            return declared.type if declared else None
        case nodes.Item(base, key):
            outer = container(resolver, base)
            if isinstance(outer, Record) and isinstance(key, str):
                return outer.field(key)
            if isinstance(outer, Listing) and isinstance(key, int):
                return outer.item or (outer.items[key] if outer.items else None)
    return None


def index(resolver: Resolver, node: tree.Index) -> Node:
    base = resolver.expression(node.base)
    inner = nodes.unlabelled(base)
    if isinstance(inner, nodes.Constant):
        return _pick(resolver, inner, node)
    if len(node.items) == 1:
        single = node.items[0]
        if isinstance(single, tree.Text):
            return item(resolver, base, single.value, node.span)
        listed = isinstance(inner, nodes.Items) or isinstance(container(resolver, base), Listing)
        if isinstance(single, tree.Number | tree.Unary) and listed:
            return item(resolver, base, _integer(resolver, single), node.span)
    items = tuple(_index_item(resolver, item) for item in node.items)
    if sum(item is ... for item in items) > 1:
        resolver.refuse("E404", "an index has at most one `...`", node.span)
    return resolver.make(nodes.Index(base, items, node.span))


def _pick(resolver: Resolver, base: nodes.Constant, node: tree.Index) -> Node:
    """One number of a literal list."""
    single = node.items[0] if len(node.items) == 1 else None
    if not isinstance(base.value, tuple) or not isinstance(single, tree.Number | tree.Unary):
        resolver.refuse(
            "E308",
            f"`{base.span.text}` cannot be indexed like this",
            node.span,
            help="a list of numbers takes one whole number: `[0.1, 0.9][0]`",
        )
    position = _integer(resolver, single)
    if not -len(base.value) <= position < len(base.value):
        resolver.refuse("E406", f"the list has {len(base.value)} items", node.span)
    return resolver.make(nodes.Constant(base.value[position], node.span))


def _index_item(resolver: Resolver, item: tree.IndexItem) -> Any:
    match item:
        case tree.Ellipsis():
            return ...
        case tree.Nothing():
            return None
        case tree.Slice(start, stop, step):
            parts = (start, stop, step)
            bounds = [None if part is None else _integer(resolver, part) for part in parts]
            if bounds[2] is not None and bounds[2] < 1:
                resolver.refuse("E404", "the step of a slice is 1 or more", item.span)
            return slice(*bounds)
        case _:
            return _integer(resolver, item)


def _integer(resolver: Resolver, node: tree.Expression) -> int:
    value = nodes.unlabelled(resolver.expression(node))
    whole = isinstance(value, nodes.Constant) and isinstance(value.value, int)
    if isinstance(value, nodes.Constant) and whole and not isinstance(value.value, bool):
        return int(value.value)
    resolver.refuse(
        "E209",
        "an index is a whole number that is known before the call",
        node.span,
        help="write the number itself: a param can change at run time"
        if isinstance(value, nodes.ParamRef)
        else "select by a mask with `where=`, by labels with `gather`",
    )
