"""Comprehensions: `sum(ce(o, y) for o in aux)` written out, item by item."""

from __future__ import annotations

from collections import deque

from lossdsl.checker import nodes
from lossdsl.checker.nodes import Node
from lossdsl.checker.parts import container
from lossdsl.checker.resolve import Resolver
from lossdsl.library import registry
from lossdsl.syntax import tree
from lossdsl.types.values import Listing

_REDUCERS = ("sum", "mean", "max", "min")


def comprehension(resolver: Resolver, node: tree.Call) -> Node:
    """The reducer applied to the body for each item."""
    inside = node.arguments[0]
    assert isinstance(inside, tree.Comprehension)
    if node.callee.id not in _REDUCERS or len(node.arguments) > 1 or node.keywords:
        resolver.refuse(
            "E204",
            "a comprehension stands alone in `sum`, `mean`, `max` or `min`",
            node.callee.span,
        )
    _distinct(resolver, inside.targets)
    rows = _rows(resolver, inside)
    outer = resolver.local
    values = []
    try:
        for row in rows:
            names = dict(zip((t.id for t in inside.targets), row, strict=True))
            resolver.local = {**(outer or {}), **names}
            values.append(resolver.expression(inside.body))
    finally:
        resolver.local = outer
    result = _reduce(resolver, node, values)
    name = _loss_name(inside.body) or node.callee.id
    return resolver.make(nodes.Label(result, name, "comprehension", node.span, node.callee.span))


def _distinct(resolver: Resolver, targets: tuple[tree.Name, ...]) -> None:
    first: dict[str, tree.Name] = {}
    for target in targets:
        if first.setdefault(target.id, target) is not target:
            resolver.refuse(
                "E203",
                f"two items are called `{target.id}`",
                target.span,
                labels=[(first[target.id].span, "the other one")],
                help="give one of them another name",
            )


def _reduce(resolver: Resolver, node: tree.Call, values: list[Node]) -> Node:
    if not values:
        if node.callee.id != "sum":
            resolver.refuse("E406", f"`{node.callee.id}` of an empty list", node.span)
        return resolver.make(nodes.Constant(0.0, node.span))
    if node.callee.id in ("max", "min"):
        result = values[0]
        for value in values[1:]:
            result = resolver.apply(f"{node.callee.id}imum", (result, value), node.span)
        return result
    total = resolver.make(nodes.Total(tuple(values), ("+",) * len(values), node.span))
    if node.callee.id == "sum":
        return total
    count = resolver.make(nodes.Constant(len(values), node.span))
    return resolver.apply("/", (total, count), node.span)


def _rows(resolver: Resolver, inside: tree.Comprehension) -> list[tuple[Node, ...]]:
    """The items of the iterable, one tuple of values for each turn."""
    iterable = inside.iterable
    if isinstance(iterable, tree.Call) and iterable.callee.id == "zip":
        columns = _columns(resolver, iterable.arguments)
        if len(columns) != len(inside.targets):
            resolver.refuse(
                "E406",
                f"`zip` of {len(columns)} lists gives {len(columns)} values, "
                f"and there are {len(inside.targets)} names",
                iterable.span,
            )
        return list(zip(*columns, strict=True))
    if len(inside.targets) != 1:
        resolver.refuse("E406", "one list gives one value a turn", inside.targets[1].span)
    return [(item,) for item in _columns(resolver, (iterable,))[0]]


def _columns(resolver: Resolver, expressions: tuple[tree.Expression, ...]) -> list[list[Node]]:
    """Lists of equal length; an open list takes its length from the others."""
    if not expressions:
        resolver.refuse("E204", "`zip` needs a list", resolver.made[-1].span)
    columns = [resolver.expression(expression) for expression in expressions]
    lengths = [_length(resolver, column) for column in columns]
    known = [(n, i) for i, n in enumerate(lengths) if n is not None]
    for length, index in known:
        if length != known[0][0]:
            resolver.refuse(
                "E406",
                f"the lists have {known[0][0]} and {length} items",
                columns[index].span,
                labels=[(columns[known[0][1]].span, f"{known[0][0]} items")],
            )
    common = known[0][0] if known else None
    items = [_items(resolver, column, common) for column in columns]
    for column, other in zip(columns[1:], items[1:], strict=True):
        # Open lists have the lengths of the call.
        if len(other) != len(items[0]):
            resolver.refuse(
                "E406",
                f"the lists have {len(items[0])} and {len(other)} items",
                column.span,
                labels=[(columns[0].span, f"{len(items[0])} items")],
            )
    return items


def _length(resolver: Resolver, node: Node) -> int | None:
    match nodes.unlabelled(node):
        case nodes.Items(items):
            return len(items)
        case nodes.Constant(tuple() as values):
            return len(values)
        case nodes.ParamRef(name):
            value = resolver.declared.params[name].value
            return len(value) if isinstance(value, tuple) else None
    holder = container(resolver, node)
    return holder.length if isinstance(holder, Listing) else None


def _items(resolver: Resolver, node: Node, length: int | None) -> list[Node]:
    node = nodes.unlabelled(node)
    span = node.span
    match node:
        case nodes.Items(items):
            return list(items)
        case nodes.Constant(tuple() as values):
            return [resolver.make(nodes.Constant(value, span)) for value in values]
        case nodes.ParamRef() if length is not None:
            return [resolver.make(nodes.Index(node, (i,), span)) for i in range(length)]
        case nodes.InputRef() | nodes.Item():
            declared = container(resolver, node)
            if declared is None or isinstance(declared, Listing):
                place = path(node)
                if length is None:
                    # An open list: one graph for each length; at first that of a single item.
                    length = resolver.lists[place] = resolver.lengths.get(place, 1)
                elif declared is None or declared.length is None:
                    resolver.fixed_lists[place] = length
                size = length
                return [resolver.make(nodes.Item(node, i, span)) for i in range(size)]
    resolver.refuse(
        "E308",
        f"`{span.text}` is not a list",
        span,
        help="declare it as one: `list[class_logits[B, C, H, W]; 4]`",
    )


def path(node: Node) -> str:
    """How the user would write a part of an input: `out.aux`."""
    match node:
        case nodes.InputRef(name):
            return name
        case nodes.Item(base, str() as key):
            return f"{path(base)}.{key}"
        case nodes.Item(base, key):
            return f"{path(base)}[{key}]"
    return "?"


def root(node: Node) -> str | None:
    """The input that a part belongs to."""
    while isinstance(node, nodes.Item):
        node = node.base
    return node.name if isinstance(node, nodes.InputRef) else None


def _loss_name(body: tree.Expression) -> str | None:
    """The outermost loss called in the body."""
    queue: deque[tree.Node] = deque([body])
    while queue:
        node = queue.popleft()
        if isinstance(node, tree.Call) and registry.find(node.callee.id) is not None:
            return node.callee.id
        queue.extend(tree.children(node))
    return None
