"""Which values an operation can give for operands in given intervals.

One entry a function; what has none gives any value of its result's kind. `tests/hazards` holds
every entry against torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lossdsl.functions import (
    averages,
    classes,
    convert,
    differential,
    distances,
    frequency,
    joining,
    loss_map,
    operators,
    picking,
    pointwise,
    positions,
    processes,
    products,
    reductions,
    schedules,
    shaping,
    spatial,
)
from lossdsl.hazards.interval import (
    ANY,
    FROM_ZERO,
    INF,
    POSITIVE,
    SIGNED,
    TINY,
    TO_ZERO,
    UNIT,
    Interval,
    exponential,
    hull,
    logarithm,
    magnitude,
    point,
    power,
    square,
)
from lossdsl.ir.graph import Node

Ranges = Sequence[Interval]
Transfer = Callable[[Node, Ranges], Interval]


def _always(interval: Interval) -> Transfer:
    return lambda node, xs: interval


def _same(node: Node, xs: Ranges) -> Interval:
    return xs[0]


def _of(function: Callable[[Interval], Interval]) -> Transfer:
    return lambda node, xs: function(xs[0])


def _add(node: Node, xs: Ranges) -> Interval:
    return xs[0] + xs[1]


def _sub(node: Node, xs: Ranges) -> Interval:
    left, right = node.operands
    if left is right:
        return point(0.0)
    difference = xs[0] - xs[1]
    if _bounds_from_above(right, left):
        return difference.within(TO_ZERO)
    return difference


def _bounds_from_above(bound: Node, value: Node) -> bool:
    """Whether `bound` is the largest of the values, or their logsumexp: x - max(x) is at most 0."""
    while bound.run in _UNCHANGED or bound.op == "index":
        bound = bound.operands[0]
    return bound.run in (reductions.largest, reductions.logsumexp) and bound.operands[0] is value


def _mul(node: Node, xs: Ranges) -> Interval:
    return square(xs[0]) if node.operands[0] is node.operands[1] else xs[0] * xs[1]


def _div(node: Node, xs: Ranges) -> Interval:
    return point(1.0) if node.operands[0] is node.operands[1] else xs[0] / xs[1]


def _pow(node: Node, xs: Ranges) -> Interval:
    base, exponent = xs
    if exponent.low == exponent.high:
        return power(base, exponent.low)
    if base.low > 0:
        return exponential(exponent * logarithm(base))
    return FROM_ZERO if base.low >= 0 else ANY


def _where(node: Node, xs: Ranges) -> Interval:
    """Both branches, each where the condition picks it: `where(x > 0, x, 1)` is above 0."""
    condition, then, otherwise = node.operands
    return _narrowed(condition, then, xs[1], True).joined(
        _narrowed(condition, otherwise, xs[2], False)
    )


_FLIPPED = {
    operators.less: operators.greater_equal,
    operators.less_equal: operators.greater,
    operators.greater: operators.less_equal,
    operators.greater_equal: operators.less,
}
_MIRRORED = {
    operators.less: operators.greater,
    operators.less_equal: operators.greater_equal,
    operators.greater: operators.less,
    operators.greater_equal: operators.less_equal,
}


def _narrowed(condition: Node, value: Node, known: Interval, holds: bool) -> Interval:
    """A value's interval where a comparison of it with a number holds, or does not."""
    if condition.run not in _FLIPPED:
        return known
    left, right = condition.operands
    comparison = condition.run if holds else _FLIPPED[condition.run]
    if unchanged(right) is unchanged(value):
        left, right, comparison = right, left, _MIRRORED[comparison]
    if unchanged(left) is not unchanged(value) or right.op != "number":
        return known
    number = float(right.literals["value"])
    if comparison in (operators.less, operators.less_equal):
        limit = _below(number) if comparison is operators.less else number
        return known.within(Interval(-INF, limit))
    limit = _above(number) if comparison is operators.greater else number
    return known.within(Interval(limit, INF))


def unchanged(node: Node) -> Node:
    """The value itself, without a change of dtype."""
    while node.run in _UNCHANGED:
        node = node.operands[0]
    return node


def _above(number: float) -> float:
    return TINY if number == 0 else number


def _below(number: float) -> float:
    return -TINY if number == 0 else number


def _minimum(node: Node, xs: Ranges) -> Interval:
    return Interval(min(x.low for x in xs), min(x.high for x in xs))


def _maximum(node: Node, xs: Ranges) -> Interval:
    return Interval(max(x.low for x in xs), max(x.high for x in xs))


def _clamp(node: Node, xs: Ranges) -> Interval:
    result = xs[0]
    names = node.keywords or (None, "min", "max")[: len(xs)]
    for position, (name, bound) in enumerate(zip(names, xs, strict=True)):
        if position == 0:
            continue
        which = name or ("min", "max")[position - 1]
        if which == "min":
            result = Interval(max(result.low, bound.low), max(result.high, bound.high))
        else:
            result = Interval(min(result.low, bound.low), min(result.high, bound.high))
    return result


def _mean(node: Node, xs: Ranges) -> Interval:
    # A mean of nothing is 0; only `where=` can leave nothing.
    return xs[0].joined(point(0.0)) if len(xs) > 1 else xs[0]


def _sum(node: Node, xs: Ranges) -> Interval:
    low = xs[0].low if xs[0].low >= 0 else -INF
    high = xs[0].high if xs[0].high <= 0 else INF
    total = Interval(low, high)
    return total.joined(point(0.0)) if len(xs) > 1 else total


def _logsumexp(node: Node, xs: Ranges) -> Interval:
    return Interval(xs[0].low, INF)


def _difference(node: Node, xs: Ranges) -> Interval:
    return xs[0] - xs[0]


def _laplacian(node: Node, xs: Ranges) -> Interval:
    spread = 4 * (xs[0].high - xs[0].low)
    return Interval(-spread, spread)


def _hull(node: Node, xs: Ranges) -> Interval:
    return hull(xs)


def _product_sum(node: Node, xs: Ranges) -> Interval:
    """A sum of products."""
    product = point(1.0)
    for x in xs:
        product = product * x
    return FROM_ZERO if product.low >= 0 else TO_ZERO if product.high <= 0 else ANY


def _padded(node: Node, xs: Ranges) -> Interval:
    return xs[0].joined(point(float(node.literals.get("value", 0.0))))


def _reduced(node: Node, xs: Ranges) -> Interval:
    """A loss map made a number: weighted, masked, averaged or summed."""
    return FROM_ZERO if all(x.low >= 0 for x in xs) else ANY


def _between(node: Node, xs: Ranges) -> Interval:
    """A schedule from one value to another."""
    return xs[1].joined(xs[2])


def _decay(node: Node, xs: Ranges) -> Interval:
    return xs[1].joined(point(0.0)) if xs[2].high <= 1 else ANY


def _pieces(node: Node, xs: Ranges) -> Interval:
    values = [float(value) for value in node.literals["values"]]
    return Interval(min(values), max(values))


_UNCHANGED: frozenset[Callable[..., object]] = frozenset(
    (
        convert.as_float,
        convert.as_floats,
        convert.as_floating,
        convert.as_index,
        convert.as_tensor,
        convert.as_scalar,
        convert.align,
        convert.move_class_axis,
        pointwise.detach,
        shaping.reshape,
        shaping.flatten,
        shaping.permute,
        shaping.transpose,
        shaping.movedim,
        shaping.flip,
        shaping.roll,
    )
)
"""What gives the values that it gets, in another form."""

TRANSFERS: dict[Callable[..., object], Transfer] = {
    **dict.fromkeys(_UNCHANGED, _same),
    operators.add: _add,
    operators.sub: _sub,
    operators.mul: _mul,
    operators.truediv: _div,
    operators.power: _pow,
    operators.neg: _of(Interval.__neg__),
    operators.where: _where,
    operators.matmul: _product_sum,
    products.einsum: _product_sum,
    **dict.fromkeys(
        (
            operators.less,
            operators.less_equal,
            operators.greater,
            operators.greater_equal,
            operators.equal,
            operators.not_equal,
            operators.logical_and,
            operators.logical_or,
            operators.logical_not,
            positions.eye,
            classes.softmax,
            classes.one_hot,
            convert.one_hot_like,
            convert.known_labels,
            schedules.warmup,
        ),
        _always(UNIT),
    ),
    **dict.fromkeys(
        (
            pointwise.sin,
            pointwise.cos,
            pointwise.tanh,
            pointwise.sign,
            classes.normalize,
            classes.unit_vectors,
            classes.cosine_similarity,
            convert.mask_to_sign,
        ),
        _always(SIGNED),
    ),
    **dict.fromkeys(
        (
            reductions.norm,
            distances.pairwise_distance,
            distances.cdist,
            reductions.variance,
            reductions.deviation,
            classes.argmax,
            picking.argsort,
            positions.arange,
        ),
        _always(FROM_ZERO),
    ),
    **dict.fromkeys((pointwise.logsigmoid, classes.log_softmax), _always(TO_ZERO)),
    pointwise.exp: _of(exponential),
    pointwise.log: _of(logarithm),
    pointwise.log1p: _of(lambda x: logarithm(x + point(1.0))),
    pointwise.sqrt: _of(lambda x: power(x, 0.5)),
    pointwise.absolute: _of(magnitude),
    pointwise.floor: _of(lambda x: x.rising(_floor)),
    pointwise.relu: _of(lambda x: Interval(max(x.low, 0.0), max(x.high, 0.0))),
    pointwise.sigmoid: _always(UNIT),
    pointwise.softplus: _of(lambda x: FROM_ZERO if x.low == -INF else POSITIVE),
    pointwise.atan: _always(Interval(-math.pi / 2, math.pi / 2)),
    pointwise.acos: _always(Interval(0.0, math.pi)),
    pointwise.lgamma: _always(ANY),
    **dict.fromkeys(
        (
            frequency.fft,
            frequency.rfft,
            frequency.stft,
            frequency.imaginary,
            convert.real_part,
            differential.grad,
            differential.around,
        ),
        _always(ANY),
    ),
    differential.between: lambda node, xs: xs[0].joined(xs[1]),
    processes.all_gather: _same,
    # With `lag` the average begins at 0.
    averages.ema: lambda node, xs: xs[0].joined(point(0.0)),
    pointwise.minimum: _minimum,
    pointwise.maximum: _maximum,
    pointwise.clamp: _clamp,
    reductions.mean: _mean,
    reductions.total: _sum,
    reductions.largest: _same,
    reductions.smallest: _same,
    reductions.logsumexp: _logsumexp,
    joining.cat: _hull,
    joining.stack: _hull,
    picking.gather: _same,
    picking.diagonal: _same,
    picking.cumsum: _sum,
    picking.sort: _same,
    picking.topk: _same,
    positions.size: _always(Interval(1.0, INF)),
    spatial.dx: _difference,
    spatial.dy: _difference,
    spatial.laplacian: _laplacian,
    spatial.interpolate: _same,
    spatial.avg_pool: _same,
    spatial.gaussian_blur: _same,
    spatial.conv2d: _product_sum,
    shaping.pad: _padded,
    schedules.linear: _between,
    schedules.cosine: _between,
    schedules.cyclic: _between,
    schedules.exp_decay: _decay,
    schedules.piecewise: _pieces,
    convert.hidden: lambda node, xs: xs[0].joined(point(float(node.literals["fill"]))),
    **{op.run: _reduced for op in (*loss_map.REDUCTIONS.values(), loss_map.PER)},
}


def _floor(value: float) -> float:
    return value if abs(value) == INF else float(math.floor(value))
