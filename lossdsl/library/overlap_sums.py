"""The sums that losses of overlapping masks are made of."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from lossdsl.functions import adjoints
from lossdsl.functions.precision import wide

Over = Literal["image", "batch", "all"]


LARGE = 4096
"""Pixels of a region from which on it pays to store a number for all of them."""


class Sums(NamedTuple):
    """Sums over the pixels of a region: what two soft masks share, and what each holds."""

    both: Tensor
    prediction: Tensor
    target: Tensor


def overlap_sums(
    p: Tensor, y: Tensor, mask: Tensor | None, over: Over, squared: bool, background: bool
) -> Sums:
    """The product of prediction and target, the prediction and the target (with `squared` their
    squares), summed over the pixels that the mask keeps."""
    kept = None if mask is None else mask > 0
    if not background:
        p, y = p[:, 1:], y[:, 1:]
        if kept is not None and kept.dim() > 1 and kept.shape[1] != 1:
            kept = kept[:, 1:]
    space = tuple(range(2, p.ndim))
    axes = {"image": space, "batch": (0, *space), "all": (0, 1, *space)}[over]
    p, y = wide(p), wide(y)
    if adjoints.written_out():
        return Sums(*_Sums.apply(p, y, kept, axes, squared))  # type: ignore[no-untyped-call]
    return _sums(p, y, kept, axes, squared)


def _sums(p: Tensor, y: Tensor, kept: Tensor | None, axes: tuple[int, ...], squared: bool) -> Sums:
    if kept is not None:
        p, y = torch.where(kept, p, 0.0), torch.where(kept, y, 0.0)

    def total(x: Tensor) -> Tensor:
        # An empty tuple of axes would sum over all of them.
        return x.sum(axes) if axes else x

    if squared:
        return Sums(total(p * y), total(p * p), total(y * y))
    return Sums(total(p * y), total(p), total(y))


class _Sums(torch.autograd.Function):
    """For compiled code: what comes from above is one number a region, and is stored as that.
    Else it is calculated anew for every pixel, from the sums of the region."""

    @staticmethod
    def forward(
        p: Tensor, y: Tensor, kept: Tensor | None, axes: tuple[int, ...], squared: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        return _sums(p, y, kept, axes, squared)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        p, y, kept, ctx.axes, ctx.squared = inputs
        ctx.save_for_backward(p, y, kept)

    @staticmethod
    def backward(ctx: Any, both: Tensor, prediction: Tensor, target: Tensor) -> Any:
        p, y, kept = ctx.saved_tensors
        sums = [both, prediction, target]
        if math.prod(p.shape[2:]) >= LARGE:
            # Joined tensors are stored.
            sums = [*torch.stack(sums).unbind()]
        for axis in ctx.axes:
            sums = [part.unsqueeze(axis) for part in sums]
        both, prediction, target = sums

        def slope(own: Tensor, other: Tensor, of_own: Tensor) -> Tensor:
            part = 2 * of_own * own if ctx.squared else of_own
            whole = both * other + part
            return whole.expand_as(p) if kept is None else torch.where(kept, whole, 0.0)

        of_target = slope(y, p, target) if ctx.needs_input_grad[1] else None
        return slope(p, y, prediction), of_target, None, None, None
