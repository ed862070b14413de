"""The curve of a loss: value and gradient over a range of its one input, or of a clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from lossdsl.backend.module import LossModule
from lossdsl.backend.names import CLOCKS
from lossdsl.syntax import tree
from lossdsl.types.dims import ONE
from lossdsl.types.kinds import KINDS
from lossdsl.types.values import Tensor

POINTS = 241
"""An odd number, so that the middle of a range, where corners are, is one of them."""

_USUAL = (-3.0, 3.0)

_BEYOND = 1.25
"""How far behind the largest number of a schedule its curve goes."""


class NoCurve(ValueError):
    """A loss that is no function of one number; the message says why."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A loss at each of the places `at`, and its gradient there. A schedule has no gradient."""

    label: str
    at: tuple[float, ...]
    values: tuple[float, ...]
    slopes: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Axis:
    """What a curve runs over: an input with the numbers that its kind has, or a clock."""

    name: str
    low: float
    high: float
    clock: bool = False

    def places(self, low: float, high: float, points: int = POINTS) -> tuple[float, ...]:
        """Evenly spaced places from `low` to `high`, without those that are none of the kind."""
        steps = [low + (high - low) * i / (points - 1) for i in range(points)]
        if self.clock:
            return tuple(sorted({float(round(place)) for place in steps if place >= 0}))
        return tuple(place for place in steps if self.low <= place <= self.high)

    def usual(self) -> tuple[float, float]:
        """The range that is shown if none is asked for."""
        if self.clock:
            return self.low, self.high
        low, high = _USUAL
        return max(low, self.low), min(high, self.high)


def axis_of(loss: LossModule, label: str) -> Axis:
    """What the curve of a loss runs over. Its clocks stand at 0 where it has an input.

    Raises:
        NoCurve: it has several inputs, or one that is no floating-point number.
    """
    if len(loss.contract) != 1:
        *some, last = (f"`{name}`" for name in loss.contract.names)
        names = f"{', '.join(some)} and {last}"
        raise NoCurve(f"`{label}` reads {names}: put numbers in place of all but one")
    entry = loss.contract[0]
    kind = KINDS.get(entry.kind)
    if kind is None or kind.integer or kind.number is None or kind.only_ends:
        raise NoCurve(f"`{label}` reads `{entry.name}`, and {entry.type} is not one number")
    return Axis(entry.name, *kind.number)


def clock_of(loss: LossModule, label: str) -> Axis:
    """The clock that a schedule runs by.

    Raises:
        NoCurve: there is none, or both.
    """
    nodes = loss.graph_module.graph.find_nodes(op="get_attr")
    targets = {str(node.target) for node in nodes}
    clocks = [name for name, buffer in CLOCKS.items() if buffer in targets]
    if len(clocks) != 1:
        found = "both `step` and `epoch`" if clocks else "neither a tensor nor `step` nor `epoch`"
        raise NoCurve(f"`{label}` reads {found}")
    return Axis(clocks[0], 0, _BEYOND * max(_numbers(loss), default=100), clock=True)


def curve(loss: LossModule, label: str, axis: Axis, at: Sequence[float]) -> Curve:
    """Run a loss at each place: on a tensor of one number, or at a reading of the clock.

    Raises:
        NoCurve: it does not take a tensor with one number.
    """
    entry = loss.contract[0]
    sizes = _sizes(entry.type) if isinstance(entry.type, Tensor) else None
    if sizes is None:
        raise NoCurve(f"`{label}` takes no `{entry.name}` of one number")
    values, slopes = [], []
    clock = loss.get_buffer(CLOCKS[axis.name]) if axis.clock else None
    for place in at:
        x = torch.full(sizes, 1.0 if axis.clock else place, dtype=torch.float64)
        if clock is not None:
            clock.fill_(int(place))
        value = loss({entry.name: x.requires_grad_()})
        values.append(value.item())
        if not axis.clock:
            slopes.append(_slope(value, x))
    return Curve(label, tuple(at), tuple(values), tuple(slopes))


def _slope(value: torch.Tensor, x: torch.Tensor) -> float:
    if not value.requires_grad:
        return 0.0
    (slope,) = torch.autograd.grad(value, x, allow_unused=True)
    return 0.0 if slope is None else float(slope)


def _sizes(type: Tensor) -> tuple[int, ...] | None:
    """The sizes that a shape has where each of its names is 1: all 1, or there is no such."""
    dims = (*type.shape.before, *type.shape.after)
    sizes = [dim.put(lambda _: ONE).number for dim in dims]
    return (1,) * len(dims) if all(size == 1 for size in sizes) else None


def _numbers(loss: LossModule) -> Iterator[float]:
    """The numbers above 0 that stand in the result."""
    nodes: list[tree.Node] = [loss._recipe.program.result]
    while nodes:
        node = nodes.pop()
        if isinstance(node, tree.Number) and node.value > 0:
            yield float(node.value)
        nodes.extend(tree.children(node))
