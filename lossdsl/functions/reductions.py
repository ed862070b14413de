"""Functions that make fewer values of many.

Each takes `over=` (axes by number or symbol; all when absent), `keepdim=` and, where it makes
sense, `where=`: a mask of the elements that count. The mean, the largest and the smallest of
nothing are 0. What adds up half precision is single precision.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.functions.record import CallSite, Rule, axis_of, function
from lossdsl.functions.rules import floating, is_mask
from lossdsl.types.broadcast import broadcast
from lossdsl.types.dims import ONE
from lossdsl.types.kinds import is_sub
from lossdsl.types.shapes import SCALAR, Shape
from lossdsl.types.solve import Mismatch
from lossdsl.types.values import Tensor as TensorType
from lossdsl.types.values import Type

Axes = tuple[int, ...] | None


def reduced_shape(site: CallSite, shape: Shape) -> Shape:
    """The shape without the axes in `over`; `over` becomes a tuple of axis numbers."""
    over = site.literals.get("over")
    keep = site.literals.get("keepdim", False)
    if over is None:
        site.literals["over"] = None
        if not keep:
            return SCALAR
        if shape.rank is None:
            return site.solver.any_shape()
        return Shape((ONE,) * shape.rank)
    axes = over if isinstance(over, tuple) else (over,)
    numbers = tuple(axis_of(site, shape, axis) for axis in axes)
    if len(set(numbers)) != len(numbers):
        site.refuse("E404", "an axis is named twice", "over")
    site.literals["over"] = numbers
    if any(shape.axis(axis) is None for axis in numbers):
        return site.solver.any_shape()
    if keep:
        for axis in numbers:
            shape = shape.replaced(axis, ONE)
        return shape
    front = sorted((axis for axis in numbers if axis >= 0), reverse=True)
    back = sorted(axis for axis in numbers if axis < 0)
    for axis in (*front, *back):
        shape = shape.without(axis)
    return shape


def _kept_axis(tensor: TensorType, over: Axes, keep: bool) -> int | None:
    """Where the class axis is after the reduction, if it survives."""
    if tensor.axis is None or over is None or tensor.axis in over:
        return None
    if keep or tensor.axis < 0:
        return tensor.axis
    return tensor.axis - sum(1 for axis in over if 0 <= axis < tensor.axis)


def reduction(*, average: bool = False) -> Rule:
    """The rule of a reduction; an average of probabilities is a probability."""

    def rule(site: CallSite) -> Type:
        tensor = floating(site, 0)
        if len(site.operands) > 1:
            _check_where(site, tensor)
        shape = reduced_shape(site, tensor.shape)
        kind = "real"
        if average and is_sub(tensor.kind, "prob"):
            kind = "prob"
        elif average and tensor.kind in ("logits", "class_logits", "positive"):
            kind = tensor.kind
        over, keep = site.literals["over"], site.literals.get("keepdim", False)
        axis = _kept_axis(tensor, over, keep) if kind == "class_logits" else None
        if kind == "class_logits" and axis is None:
            kind = "real"
        return TensorType(kind, shape, axis)

    return rule


def _check_where(site: CallSite, tensor: TensorType) -> None:
    mask = site.tensor(1)
    if not is_mask(mask):
        site.refuse(
            "E301", f"`where` takes a mask, and this is `{mask.kind}`", "where", "compare it first"
        )
    if tensor.shape.rank == 0:
        site.refuse(
            "E407",
            f"`{site.texts[0]}` is one number already: there are no elements to pick",
            "where",
            "a loss picks its elements itself: give it `mask=`"
            if tensor.kind == "loss"
            else "pick them where they still have their axes",
        )
    if mask.shape.rank == 0:
        site.refuse(
            "E301",
            f"`where` picks elements, and `{site.texts[1]}` is one number",
            "where",
            f"compare elements (`{site.texts[0]} > 0`), or choose between two values: `a if c else "
            "b`",
        )
    merged = broadcast(site.solver, tensor.shape, mask.shape)
    if isinstance(merged, Mismatch) or _repeats(site, tensor.shape, mask.shape):
        site.refuse(
            "E407",
            f"the mask {mask.shape} does not fit the values {tensor.shape}",
            "where",
            "give it the same axes, of equal size or 1",
        )


def _repeats(site: CallSite, values: Shape, mask: Shape) -> bool:
    """Whether the mask has several entries for one value."""
    if values.rank is None or mask.rank is None:
        return False
    pairs = zip(values.dims, mask.dims, strict=True)
    return any(v.number == 1 and site.solver.equal(v, m) is False for v, m in pairs)


def _selected(x: Tensor, where: Tensor | None, neutral: float) -> Tensor:
    return x if where is None else torch.where(where != 0, x, neutral)


def _count(x: Tensor, where: Tensor, over: Axes, keepdim: bool) -> Tensor:
    kept = torch.broadcast_to((where != 0).to(wide(x).dtype), x.shape)
    return kept.sum(dim=over, keepdim=keepdim)


def _of_nothing(x: Tensor, over: Axes) -> bool:
    """Whether an axis that goes has no entries."""
    axes = range(x.dim()) if over is None else over
    return any(x.shape[axis] == 0 for axis in axes)


@function(
    "mean",
    reduction(average=True),
    literals=("over", "keepdim"),
    latex=r"\operatorname{mean}",
    takes={1: "mask"},
)
def mean(x: Tensor, where: Tensor | None = None, over: Axes = None, keepdim: bool = False) -> Any:
    """Arithmetic mean; over the kept elements only with `where`, 0 if there are none."""
    if where is None and not _of_nothing(x, over):
        return wide(x).mean(dim=over, keepdim=keepdim)
    sums = total(x, where, over, keepdim)
    return sums if where is None else sums / _count(x, where, over, keepdim).clamp_min(1)


@function("sum", reduction(), literals=("over", "keepdim"), latex=r"\sum", takes={1: "mask"})
def total(x: Tensor, where: Tensor | None = None, over: Axes = None, keepdim: bool = False) -> Any:
    """Sum; of the kept elements only with `where`."""
    return wide(_selected(x, where, 0.0)).sum(dim=over, keepdim=keepdim)


@function("max", reduction(average=True), literals=("over", "keepdim"), latex=r"\max")
def largest(x: Tensor, over: Axes = None, keepdim: bool = False) -> Any:
    """Largest value. For the larger of two tensors there is `maximum`."""
    if _of_nothing(x, over):
        return x.sum(dim=over, keepdim=keepdim)
    return torch.amax(x, dim=() if over is None else over, keepdim=keepdim)


@function("min", reduction(average=True), literals=("over", "keepdim"), latex=r"\min")
def smallest(x: Tensor, over: Axes = None, keepdim: bool = False) -> Any:
    """Smallest value. For the smaller of two tensors there is `minimum`."""
    if _of_nothing(x, over):
        return x.sum(dim=over, keepdim=keepdim)
    return torch.amin(x, dim=() if over is None else over, keepdim=keepdim)


@function("norm", reduction(), literals=("over", "keepdim", "p"), latex=r"\operatorname{norm}")
def norm(x: Tensor, p: float = 2.0, over: Axes = None, keepdim: bool = False) -> Any:
    """Euclidean norm (`p=2`) or another one; the gradient at 0 is 0."""
    return torch.linalg.vector_norm(wide(x), ord=float(p), dim=over, keepdim=keepdim)


@function(
    "var", reduction(), literals=("over", "keepdim", "correction"), latex=r"\operatorname{var}"
)
def variance(x: Tensor, correction: int = 1, over: Axes = None, keepdim: bool = False) -> Any:
    """Variance with Bessel's correction, as in torch; `correction=0` divides by the count."""
    return torch.var(wide(x), dim=over, correction=correction, keepdim=keepdim)


@function(
    "std", reduction(), literals=("over", "keepdim", "correction"), latex=r"\operatorname{std}"
)
def deviation(x: Tensor, correction: int = 1, over: Axes = None, keepdim: bool = False) -> Any:
    """Standard deviation with Bessel's correction, as in torch."""
    return torch.std(wide(x), dim=over, correction=correction, keepdim=keepdim)


@function("logsumexp", reduction(), literals=("over", "keepdim"), latex=r"\operatorname{logsumexp}")
def logsumexp(x: Tensor, over: Axes = None, keepdim: bool = False) -> Any:
    """log of the sum of exponentials, stable."""
    axes = tuple(range(x.dim())) if over is None else over
    return torch.logsumexp(wide(x), dim=axes, keepdim=keepdim)
