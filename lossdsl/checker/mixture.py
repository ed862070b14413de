"""`a*p + (1 - a)*q` of probabilities is a probability: the one sum that keeps its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lossdsl.checker import nodes
from lossdsl.checker.nodes import Node
from lossdsl.types.kinds import is_sub
from lossdsl.types.values import Tensor

if TYPE_CHECKING:
    from lossdsl.checker.typing import Typing


def mixture(typing: Typing, node: nodes.Total) -> Tensor | None:
    """`a*p + (1 - a)*q` of probabilities is a probability."""
    if len(node.operands) != 2 or node.signs[1] != "+":
        return None
    parts = [_share(typing, operand) for operand in node.operands]
    if parts[0] is None or parts[1] is None:
        return None
    (a, p), (b, q) = parts[0], parts[1]
    known = isinstance(a, nodes.Constant) and isinstance(b, nodes.Constant)
    if known:
        whole = 0 <= a.value <= 1 and abs(a.value + b.value - 1) < 1e-9
    else:
        whole = _complement(a, b) or _complement(b, a)
    tensor = typing.of(p).type
    if not whole or not isinstance(tensor, Tensor) or tensor.shape.rank == 0:
        return None
    other = typing.of(q).type
    if isinstance(other, Tensor) and is_sub(tensor.kind, "prob") and is_sub(other.kind, "prob"):
        return Tensor("prob", tensor.shape)
    return None


def _share(typing: Typing, node: Node) -> tuple[Any, Node] | None:
    if isinstance(node, nodes.Apply) and node.function.name == "*":
        left, right = node.operands
        if typing.is_number(left):
            return left, right
        if typing.is_number(right):
            return right, left
    return None


def _complement(a: Node, b: Node) -> bool:
    """Whether `b` is written `1 - a`."""
    if isinstance(b, nodes.Total) and len(b.operands) == 2 and b.signs[1] == "-":
        one, other = b.operands
        same = other is a or (
            isinstance(other, nodes.ParamRef)
            and isinstance(a, nodes.ParamRef)
            and other.name == a.name
        )
        return isinstance(one, nodes.Constant) and one.value == 1 and same
    return False
