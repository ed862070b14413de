"""Cross entropy of scores that are never all there: made, used up and forgotten a block at a time.

The scores of N vectors and V classes are N V numbers, where vectors and weights are N D and V D.
So a block of rows is scored, and its cost and its gradients are taken before the next one takes
its place. The gradients come with the value, for an upstream of 1 a row; that of the vectors is
then scaled row by row, exactly. That of the weights is a sum over rows, so it can be scaled only
where the rows that add to it have one upstream in common. Those that have another are scored
again; rows of zeros add nothing to it, and those are what a mask leaves behind.

The two steps are operators of torch's dispatcher, opaque to compilation, which would unroll the
blocks into a graph that holds them all at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.library import custom_op

from lossdsl.functions.precision import HALF

BLOCK = 1 << 24
"""The most scores that are held at once. At 64 MB a block costs no time against larger ones, also
where other processes fill the caches; at 32 MB it does there."""

SHARE = 8
"""No block is more than this part of the rows, so that few tokens are worth it too."""

LEAST_ROWS = 256
"""Rows of a block whatever else. The gradient of the weights is read and written once a block: at
128 rows of 128 000 classes that takes 5 % of the time, at 64 rows 19 %."""


def rows_at_once(rows: int, classes: int) -> int:
    """How many rows a block has."""
    return max(LEAST_ROWS, min(BLOCK // max(classes, 1), rows // SHARE))


def exact(dtype: torch.dtype) -> torch.dtype:
    """In which precision costs are taken and gradients of the weights added up."""
    return torch.float32 if dtype in HALF else dtype


@dataclass(frozen=True, slots=True)
class Head:
    """What turns vectors into costs: the projection, and how the target and the scores count."""

    weight: Tensor
    bias: Tensor | None
    class_weight: Tensor | None
    smoothing: float
    softcap: float | None
    z_loss: float

    @property
    def classes(self) -> int:
        return self.weight.shape[0]

    def scores(self, x: Tensor, out: Tensor) -> Tensor:
        """The scores of some vectors, in the place that is given for them."""
        out = out[: x.shape[0]]
        if out.dtype == x.dtype:
            torch.mm(x, self.weight.T, out=out)
        else:
            out.copy_(torch.mm(x, self.weight.T))
        if self.bias is not None:
            out.add_(self.bias)
        if self.softcap is not None:
            out.div_(self.softcap).tanh_()
        return out

    def total(self, y: Tensor) -> Tensor | float:
        """The sum of each row's target: 1, but for class weights."""
        if self.class_weight is None:
            return 1.0
        own = self.class_weight[y]
        return (1 - self.smoothing) * own + self.smoothing * self.class_weight.mean()

    def take_target(self, slope: Tensor, y: Tensor, scale: Tensor) -> None:
        """Subtract each row's target times its scale."""
        own = (1 - self.smoothing) * scale
        if self.class_weight is not None:
            own = own * self.class_weight[y]
        slope.scatter_add_(1, y, -own)
        if self.smoothing:
            share = self.smoothing / self.classes * scale
            slope.sub_(share if self.class_weight is None else share * self.class_weight)

    def off_target(self, scores: Tensor, y: Tensor) -> Tensor:
        """Minus the sum of each row's scores, times its target."""
        own = scores.gather(1, y)
        if self.class_weight is not None:
            own = self.class_weight[y] * own
        if not self.smoothing:
            return -own
        if self.class_weight is None:
            mean = scores.mean(1, keepdim=True)
        else:
            mean = scores @ self.class_weight[:, None] / self.classes
        return (self.smoothing - 1) * own - self.smoothing * mean


@dataclass(frozen=True, slots=True)
class Sums:
    """Where the gradients go; those that nobody wants are missing."""

    x: Tensor | None
    weight: Tensor | None
    bias: Tensor | None

    @property
    def wanted(self) -> bool:
        return any(part is not None for part in (self.x, self.weight, self.bias))


def costs(head: Head, x: Tensor, y: Tensor, scale: Tensor | None, sums: Sums, rows: int) -> Tensor:
    """What each row costs, `rows` of them at a time. Its gradients, times its scale, are added to
    the sums on the way.

    x is [N, D], y [N, 1], scale [N, 1] or 1; the costs are [N, 1].
    """
    dtype = exact(x.dtype)
    cost = x.new_empty((x.shape[0], 1), dtype=dtype)
    block = x.new_empty((min(rows, x.shape[0]), head.classes), dtype=dtype)
    bend = None
    for start in range(0, x.shape[0], rows):
        here = slice(start, start + rows)
        vectors, own = x[here], y[here]
        scores = head.scores(vectors, block)
        if head.softcap is not None:
            bend = 1 - scores * scores if sums.wanted else None
            scores.mul_(head.softcap)
        total = head.total(own)
        highest = scores.amax(1, keepdim=True)
        scores.sub_(highest)
        away = head.off_target(scores, own)
        mass = scores.exp_().sum(1, keepdim=True)
        log_mass = mass.log()
        partition = highest + log_mass
        cost[here] = total * log_mass + away + head.z_loss * partition * partition
        if not sums.wanted:
            continue
        upstream = torch.ones_like(mass) if scale is None else scale[here]
        # From here on the block holds the slopes.
        slope = scores.mul_(upstream * (total + 2 * head.z_loss * partition) / mass)
        head.take_target(slope, own, upstream)
        if bend is not None:
            slope.mul_(bend)
        if sums.bias is not None:
            sums.bias.add_(slope.sum(0))
        slope = slope.to(x.dtype)
        if sums.x is not None:
            torch.mm(slope, head.weight, out=sums.x[here])
        if sums.weight is not None and sums.weight.dtype == slope.dtype:
            sums.weight.addmm_(slope.T, vectors)
        elif sums.weight is not None:
            sums.weight.add_(torch.mm(slope.T, vectors))
    return cost


@custom_op("lossdsl::projected_ce", mutates_args=())
def projected_ce(
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    class_weight: Tensor | None,
    smoothing: float,
    softcap: float | None,
    z_loss: float,
    wanted: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The cost of each row, and the gradients of their sum that are `wanted`: by the vectors, the
    weights and the bias. One that is not wanted is empty."""
    head = Head(weight, bias, class_weight, smoothing, softcap, z_loss)
    by_x, by_weight, by_bias = wanted
    dtype = exact(x.dtype)
    sums = Sums(
        torch.empty_like(x, memory_format=torch.contiguous_format) if by_x else None,
        weight.new_zeros(weight.shape, dtype=dtype) if by_weight else None,
        weight.new_zeros(weight.shape[:1], dtype=dtype) if by_bias else None,
    )
    with torch.autocast(x.device.type, enabled=False):
        cost = costs(head, x, y[:, None], None, sums, rows_at_once(x.shape[0], head.classes))
    empty = [cost.new_empty(0) for _ in range(3)]
    made = [
        none if part is None else part
        for part, none in zip((sums.x, sums.weight, sums.bias), empty, strict=True)
    ]
    return cost[:, 0].contiguous(), made[0], made[1], made[2]


@projected_ce.register_fake
def _(
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    class_weight: Tensor | None,
    smoothing: float,
    softcap: float | None,
    z_loss: float,
    wanted: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    by_x, by_weight, by_bias = wanted
    cost = x.new_empty(x.shape[:1], dtype=exact(x.dtype))
    return (
        cost,
        x.new_empty(x.shape) if by_x else cost.new_empty(0),
        cost.new_empty(weight.shape if by_weight else (0,)),
        cost.new_empty(weight.shape[:1] if by_bias else (0,)),
    )


@dataclass(frozen=True, slots=True)
class Rest:
    """Rows to score again: those whose upstream is not the common one, with the difference."""

    common: Tensor
    x: Tensor
    y: Tensor
    scale: Tensor


def rest_of(upstream: Tensor, x: Tensor, y: Tensor, classes: int, with_bias: bool) -> Rest:
    """What is missing from `common` times the sum over all rows.

    A row of zeros adds nothing to the gradient of the weights. To that of the bias all such rows
    of a class add the same, so they are one row.
    """
    adds = (x != 0).any(1)
    live = upstream[adds]
    # If more than half of the rows have one upstream, it is the median.
    common = live.median() if live.numel() else upstream.new_zeros(())
    if 2 * int((live != common).sum()) >= live.numel():
        common = upstream.new_zeros(())
    odd = upstream != common
    rows = (odd & adds).nonzero()[:, 0]
    x_rest, y_rest, scale = x[rows], y[rows], upstream[rows] - common
    if with_bias:
        zeros = (odd & ~adds).nonzero()[:, 0]
        share = upstream.new_zeros(classes).index_add_(0, y[zeros], upstream[zeros] - common)
        some = share.nonzero()[:, 0]
        x_rest = torch.cat((x_rest, x.new_zeros((some.shape[0], x.shape[1]))))
        y_rest, scale = torch.cat((y_rest, some)), torch.cat((scale, share[some]))
    return Rest(common, x_rest, y_rest, scale)


@custom_op("lossdsl::projected_ce_slopes", mutates_args=(), tags=(torch.Tag.cudagraph_unsafe,))
def projected_ce_slopes(
    upstream: Tensor,
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    class_weight: Tensor | None,
    smoothing: float,
    softcap: float | None,
    z_loss: float,
    by_x: Tensor,
    by_weight: Tensor,
    by_bias: Tensor,
    wanted: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients for any upstream, [N], from those for an upstream of 1."""
    empty = [upstream.new_empty(0) for _ in range(3)]
    slope = (by_x * upstream[:, None]).to(x.dtype) if wanted[0] else empty[0]
    if not (wanted[1] or wanted[2]):
        return slope, empty[1], empty[2]
    head = Head(weight, bias, class_weight, smoothing, softcap, z_loss)
    rest = rest_of(upstream, x, y, head.classes, wanted[2])
    sums = Sums(
        None,
        by_weight * rest.common if wanted[1] else None,
        by_bias * rest.common if wanted[2] else None,
    )
    # The gradients are there twice by now, so the blocks are smaller.
    rows = max(LEAST_ROWS, rows_at_once(x.shape[0], head.classes) // 2)
    with torch.autocast(x.device.type, enabled=False):
        costs(head, rest.x, rest.y[:, None], rest.scale[:, None], sums, rows)
    return (
        slope,
        empty[1] if sums.weight is None else sums.weight.to(weight.dtype),
        empty[2] if sums.bias is None else sums.bias.to(weight.dtype),
    )


@projected_ce_slopes.register_fake
def _(
    upstream: Tensor,
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    class_weight: Tensor | None,
    smoothing: float,
    softcap: float | None,
    z_loss: float,
    by_x: Tensor,
    by_weight: Tensor,
    by_bias: Tensor,
    wanted: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        x.new_empty(x.shape) if wanted[0] else upstream.new_empty(0),
        weight.new_empty(weight.shape) if wanted[1] else upstream.new_empty(0),
        weight.new_empty(weight.shape[:1]) if wanted[2] else upstream.new_empty(0),
    )


def keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    """Without this, nothing would be an array of zeros as large as the weights."""
    x, y, weight, bias, class_weight, *numbers, wanted = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, y, weight, bias, class_weight, *output[1:])
    ctx.numbers, ctx.wanted = numbers, wanted


def slopes(ctx: Any, upstream: Tensor | None, *others: Tensor | None) -> tuple[Tensor | None, ...]:
    x, y, weight, bias, class_weight, by_x, by_weight, by_bias = ctx.saved_tensors
    wanted = ctx.wanted
    none = (None,) * 6
    if upstream is None:
        return (None, None, None, *none)
    by = projected_ce_slopes(
        upstream,
        x,
        y,
        weight,
        bias,
        class_weight,
        *ctx.numbers,
        by_x,
        by_weight,
        by_bias,
        wanted,
    )
    by_x, by_weight, by_bias = (
        part if want else None for part, want in zip(by, wanted, strict=True)
    )
    return (by_x, None, by_weight, by_bias, *none[1:])


def no_second(ctx: Any, *slopes: Tensor | None) -> NoReturn:
    raise RuntimeError(
        "linear_ce has first derivatives only: where a gradient of its gradient is needed, write "
        "ce(x @ transpose(w), y)"
    )


projected_ce.register_autograd(slopes, setup_context=keep)
projected_ce_slopes.register_autograd(no_second)
