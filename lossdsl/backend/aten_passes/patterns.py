"""What passes recognise in a graph, and how they write into it."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

aten = torch.ops.aten

SAME_VALUES = (
    aten.view.default,
    aten.unsqueeze.default,
    aten.reshape.default,
    torch.ops.prims.convert_element_type.default,
)
"""Calls that hand on the numbers that they get."""


def store() -> Any:
    """Inductor's call that puts a tensor into memory. It exists once Inductor is loaded."""
    return torch.ops.prims.inductor_force_stride_order.default


def stored(graph: fx.Graph, node: Any) -> Any:
    """The node as a tensor in memory, instead of a calculation that is made wherever it is read."""
    value = node.meta["val"]
    strides = value.new_empty(value.shape).stride()
    if not all(isinstance(stride, int) for stride in strides):
        # Of sizes that are not known yet, only the order counts.
        strides = range(value.dim(), 0, -1)
    return made(graph, node, store(), node, list(strides))


def calls(graph: fx.Graph) -> list[Any]:
    """The calls of a graph in order. What their arguments are, no type says."""
    return [node for node in graph.nodes if node.op == "call_function"]


def one_entry(node: Any, axis: int) -> bool:
    """Whether a tensor has the axis, counted from the last, with one entry."""
    if not isinstance(node, fx.Node):
        return False
    shape = node.meta["val"].shape
    return bool(len(shape) < -axis or shape[axis] == 1)


def counts(node: Any, axis: int) -> bool:
    """Whether a tensor is 0, 1, 2 … along the axis and has no other."""
    shape = node.meta["val"].shape if isinstance(node, fx.Node) else ()
    if len(shape) < -axis or any(
        size != 1 for i, size in enumerate(shape, -len(shape)) if i != axis
    ):
        return False
    while node.target in (*SAME_VALUES, store()):
        node = node.args[0]
    if node.target is not torch.ops.prims.iota.default:
        return False
    return bool(node.kwargs.get("start") == 0 and node.kwargs.get("step") == 1)


def number(node: Any) -> Any:
    """The number that an operand is, or that a tensor is full of; else None."""
    if isinstance(node, fx.Node):
        if node.target is aten.full.default:
            return node.args[1]
        return node.args[0] if node.target is aten.scalar_tensor.default else None
    return node


def added(graph: fx.Graph, parts: list[Any], like: Any) -> Any:
    """The sum of some nodes, which is `like` another."""
    total = parts[0]
    for part in parts[1:]:
        total = made(graph, like, aten.add.Tensor, total, part)
    return total


def made(graph: fx.Graph, like: Any, target: Any, *arguments: Any) -> Any:
    """A new call whose result is `like` that of another."""
    made = graph.call_function(target, arguments)
    made.meta = dict(like.meta)
    return made
