"""Whether a gradient can come through: from a term to an input or to a learnable weight."""

from __future__ import annotations

from lossdsl.functions import averages, classes, operators, picking, pointwise, positions
from lossdsl.ir.graph import Node
from lossdsl.types.values import Tensor

_TARGETS = frozenset({"labels", "mask", "sign", "count", "one_hot"})
"""Kinds that no network gives."""

CUTS = frozenset(
    (
        classes.argmax,
        classes.one_hot,
        picking.argsort,
        pointwise.sign,
        pointwise.floor,
        pointwise.detach,
        averages.ema,
        positions.size,
        positions.arange,
        positions.eye,
        operators.less,
        operators.less_equal,
        operators.greater,
        operators.greater_equal,
        operators.equal,
        operators.not_equal,
        operators.logical_and,
        operators.logical_or,
        operators.logical_not,
    )
)
"""Functions whose gradient is 0 everywhere."""

_THROUGH: dict[object, slice] = {operators.where: slice(1, None), picking.gather: slice(0, 1)}
"""Functions that only some operands get a gradient from: a condition and an index get none."""


def passing(node: Node) -> tuple[Node, ...]:
    """The operands that a gradient reaches."""
    if node.op == "size" or node.run in CUTS:
        return ()
    return node.operands[_THROUGH.get(node.run, slice(None))]


def trained(nodes: list[Node], learnable: frozenset[str]) -> set[int]:
    """The nodes that a gradient comes through to something that may train."""
    reached: set[int] = set()
    for node in nodes:
        if _trains(node, learnable) or any(id(x) in reached for x in passing(node)):
            reached.add(id(node))
    return reached


def _trains(node: Node, learnable: frozenset[str]) -> bool:
    if node.op == "param":
        return node.literals["name"] in learnable
    if not isinstance(node.op, str):
        return node.op.group == "module"
    leaf = node.op in ("input", "item")
    return leaf and not (isinstance(node.type, Tensor) and node.type.kind in _TARGETS)
