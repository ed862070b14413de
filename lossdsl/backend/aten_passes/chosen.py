"""Sums over the classes of what only each position's own class has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from lossdsl.backend.aten_passes.patterns import added, aten, calls, counts, made, number, one_entry


def sum_chosen(graph: fx.Graph) -> None:
    """Sums over the classes of what only each position's own class has.

    The derivative of a softmax whose logarithm is taken at a label has one: of a value that was
    put at one place it is the value. The logarithm itself has another: what all classes of a
    position share is subtracted from the sum, so that the sum waits for nothing.
    """
    for node in calls(graph):
        if node.target is not aten.sum.dim_IntList or len(node.args[1] or ()) != 1:
            continue
        summed, (axis,), *keep = node.args
        addends = _addends(summed)
        chosen = {addend: own for addend in addends if (own := _own_class(addend, axis))}
        put = {a: own for a, own in chosen.items() if one_entry(own.what, own.axis)}
        if put and keep == [True]:
            rest = [addend for addend in addends if addend not in put]
            with graph.inserting_before(node):
                parts = [_within(graph, own, own.what, node) for own in put.values()]
                if rest:
                    total = added(graph, rest, summed)
                    parts.append(made(graph, node, node.target, total, [axis], True))
                node.replace_all_uses_with(added(graph, parts, node))
            graph.erase_node(node)
        elif summed in chosen:
            _subtract_after(graph, node, chosen[summed])


@dataclass(frozen=True)
class _Own:
    """`where(numbers == place, what, 0)` with the numbers 0, 1 … up to the count of classes along
    the axis, which counts from the last."""

    condition: Any
    place: Any
    what: Any
    zero: Any
    axis: int
    count: int


def _own_class(node: Any, axis: int) -> _Own | None:
    if node.target is not aten.where.self:
        return None
    condition, value, zero = node.args
    if condition.target is not aten.eq.Tensor or number(zero) != 0:
        return None
    axis -= node.meta["val"].dim()
    sides = condition.args
    for place, numbers in (sides, sides[::-1]):
        if one_entry(place, axis) and counts(numbers, axis):
            count = numbers.meta["val"].shape[axis]
            if isinstance(count, int) and place.meta["val"].dtype == torch.int64:
                return _Own(condition, place, value, zero, axis, count)
    return None


def _within(graph: fx.Graph, own: _Own, what: Any, like: Any) -> Any:
    """What stands at the place, or 0 where no class has that number."""
    bounds = [
        made(graph, own.place, aten.ge.Scalar, own.place, 0),
        made(graph, own.place, aten.lt.Scalar, own.place, own.count),
    ]
    for bound in bounds:
        bound.meta["val"] = own.place.meta["val"] >= 0
    inside = made(graph, bounds[0], aten.logical_and.default, *bounds)
    return made(graph, like, aten.where.self, inside, what, own.zero)


def _subtract_after(graph: fx.Graph, node: Any, own: _Own) -> None:
    what, shared = own.what, []
    while what.target is aten.sub.Tensor and not what.kwargs and one_entry(what.args[1], own.axis):
        shared.append(what.args[1])
        what = what.args[0]
    if not shared:
        return
    summed, (axis,), *keep = node.args
    with graph.inserting_before(node):
        chosen = made(graph, summed, aten.where.self, own.condition, what, own.zero)
        total = made(graph, node, node.target, chosen, [axis], *keep)
        for less in reversed(shared):
            part = _within(graph, own, less, less)
            if keep != [True]:
                part = made(graph, node, aten.squeeze.dim, part, own.axis)
            total = made(graph, node, aten.sub.Tensor, total, part)
        node.replace_all_uses_with(total)
    graph.erase_node(node)


def _addends(node: Any) -> list[Any]:
    operands = node.args
    if node.target is aten.add.Tensor and not node.kwargs and len(node.all_input_nodes) == 2:
        return [*_addends(operands[0]), *_addends(operands[1])]
    return [node]
