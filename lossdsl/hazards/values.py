"""The interval of every value of a graph: what its kind allows, and what its operation gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lossdsl.checker.declarations import Param
from lossdsl.functions import pointwise
from lossdsl.hazards.interval import (
    ANY,
    FROM_ZERO,
    INF,
    POSITIVE,
    SIGNED,
    TO_ZERO,
    UNIT,
    Interval,
    hull,
    point,
    rounded,
)
from lossdsl.hazards.ranges import TRANSFERS
from lossdsl.ir.graph import Node
from lossdsl.library import registry
from lossdsl.types.values import Tensor, Type

_KINDS: dict[str, Interval] = {
    "prob": UNIT,
    "class_prob": UNIT,
    "mask": UNIT,
    "one_hot": UNIT,
    "log_prob": TO_ZERO,
    "class_log_prob": TO_ZERO,
    "positive": POSITIVE,
    "sign": SIGNED,
    "unit": SIGNED,
    "labels": Interval(-INF, INF),
    "count": FROM_ZERO,
}
"""The values of each kind; the others have any. Labels may be ignored ones, below 0."""


@dataclass(frozen=True, slots=True)
class Value:
    """What is known of a node: its interval, and whether it depends on the inputs' values.

    What depends on params alone is not judged: whoever sets them sees their values. Clocks start
    at 0 whatever is set.
    """

    interval: Interval
    judged: bool


def kind_interval(type: Type) -> Interval:
    """What a kind alone says."""
    if not isinstance(type, Tensor):
        return ANY
    if type.kind == "image":
        return Interval(*type.range)
    return _KINDS.get(type.kind, ANY)


def values_of(
    nodes: list[Node], params: Mapping[str, Param], smallest: float, format: str = "f"
) -> dict[int, Value]:
    """The values of all nodes by their identity; numbers below `smallest` are 0 when they run, in
    the precision of `struct`'s `format`."""
    found: dict[int, Value] = {}
    for node in nodes:
        operands = [found[id(operand)] for operand in node.operands]
        interval = _interval(node, [v.interval for v in operands], params, smallest)
        interval = rounded(interval, format)
        judged = node.op in ("input", "size", "clock") or any(v.judged for v in operands)
        found[id(node)] = Value(interval, judged)
    return found


def _interval(
    node: Node, operands: list[Interval], params: Mapping[str, Param], smallest: float
) -> Interval:
    match node.op:
        case "number":
            return _number(node.literals["value"], smallest)
        case "param":
            return _param(params[node.literals["name"]])
        case "clock":
            return FROM_ZERO
        case "size":
            return Interval(1.0, INF)
        case "list":
            return hull(operands)
        case "index":
            return operands[0]
        case "input" | "item":
            return kind_interval(node.type)
    assert not isinstance(node.op, str)
    if node.op.group == "loss":
        return _loss(node.name)
    transfer = TRANSFERS.get(node.run)
    if transfer is None:
        return kind_interval(node.type)
    given = transfer(node, operands)
    if node.run in (pointwise.exp, pointwise.softplus):
        # Their kind is above 0; in floating point they reach it.
        return given
    return given.within(kind_interval(node.type))


def _loss(name: str) -> Interval:
    record = registry.find(name)
    if record is None or record.values is None:
        return ANY
    return Interval(record.values.low, record.values.high)


def _number(value: object, smallest: float) -> Interval:
    values = value if isinstance(value, tuple) else (value,)
    numbers = [float(v) for v in values if isinstance(v, int | float)]
    return hull(point(0.0 if abs(number) < smallest else number) for number in numbers)


def _param(param: Param) -> Interval:
    if param.drawn is not None:
        return ANY
    value = param.value if isinstance(param.value, tuple) else (param.value,)
    numbers = [float(v) for v in value if isinstance(v, int | float)]
    inside = hull(point(number) for number in numbers)
    if param.role != "learnable":
        return inside
    low = -INF if param.low is None else param.low
    high = INF if param.high is None else param.high
    return Interval(low, high)
