"""From a loss's unreduced map to its number: one formula for every loss.

With map l, weight w, mask m (0 where ignored) and class weight c the mean is
`sum(m*w*c*l) / max(sum(m*c), tiny)`: class weights divide, as in PyTorch's cross entropy, plain
weights do not. Nothing selected gives 0 with zero gradients, never NaN. Sums and counts of half
precision are taken in single precision, which the number keeps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.op import Op
from lossdsl.functions.precision import wide


def kept(values: Tensor, mask: Tensor | None) -> Tensor:
    """The values with exact zeros where the mask is 0, whatever stood there."""
    return values if mask is None else torch.where(mask != 0, values, 0.0)


def counted(
    loss: Tensor,
    weight: Tensor | float | None,
    mask: Tensor | None,
    class_weight: Tensor | None,
) -> Tensor:
    """The map times its weights, zero where the mask is 0."""
    if class_weight is not None:
        loss = loss * class_weight
    if weight is not None:
        # A weight below the mask would meet the map's gradient: 0 times NaN is NaN.
        loss = loss * (kept(weight, mask) if isinstance(weight, Tensor) else weight)
    return kept(loss, mask)


def both_masks(left: Tensor, right: Tensor) -> Tensor:
    """1 where both masks are 1."""
    return left * right


def _share(loss: Tensor, mask: Tensor | None, class_weight: Tensor | None) -> Tensor | None:
    """What each element adds to the denominator; None where it is 1."""
    if mask is None and class_weight is None:
        return None
    if mask is None or class_weight is None:
        share = mask if class_weight is None else class_weight
    else:
        share = mask * class_weight
    assert share is not None
    return torch.broadcast_to(share.to(wide(loss).dtype), loss.shape)


def _sum(values: Tensor) -> Tensor:
    """The sum, taken over space first. Sums of one tensor over the same axes are one sweep in
    compiled code, and overlap losses need those over space."""
    values = wide(values)
    space = tuple(range(2 if values.dim() > 3 else 1, values.dim()))
    return values.sum(space).sum() if len(space) > 1 else values.sum()


def _safe(count: Tensor) -> Tensor:
    return count.clamp_min(torch.finfo(count.dtype).tiny)


def mean(
    loss: Tensor,
    weight: Tensor | float | None = None,
    mask: Tensor | None = None,
    class_weight: Tensor | None = None,
    share: Tensor | None = None,
) -> Tensor:
    """The mean over the elements that count; `share` is what each one counts where the map
    holds its class weight already."""
    values = counted(loss, weight, mask, class_weight)
    share = _share(loss, mask, share if class_weight is None else class_weight)
    if share is None:
        # Like a masked mean, the mean of nothing is 0: 0/1 instead of 0/0.
        return _sum(values) / max(values.numel(), 1)
    return _sum(values) / _safe(share.sum())


def total(
    loss: Tensor,
    weight: Tensor | float | None = None,
    mask: Tensor | None = None,
    class_weight: Tensor | None = None,
) -> Tensor:
    """The sum over the elements that count."""
    return _sum(counted(loss, weight, mask, class_weight))


def elements(
    loss: Tensor,
    weight: Tensor | float | None = None,
    mask: Tensor | None = None,
    class_weight: Tensor | None = None,
) -> Tensor:
    """The map itself, weighted, zero where it is masked."""
    return counted(loss, weight, mask, class_weight)


def batch(
    loss: Tensor,
    weight: Tensor | float | None = None,
    mask: Tensor | None = None,
    class_weight: Tensor | None = None,
    share: Tensor | None = None,
) -> Tensor:
    """One mean for each sample: over all axes but the first. An empty row is 0."""
    values = counted(loss, weight, mask, class_weight)
    share = _share(loss, mask, share if class_weight is None else class_weight)
    rows = values.flatten(1) if values.dim() > 1 else values.unsqueeze(1)
    sums = wide(rows).sum(dim=1)
    if share is None:
        return sums / max(rows.shape[1], 1)
    shares = share.flatten(1) if share.dim() > 1 else share.unsqueeze(1)
    return sums / _safe(shares.sum(dim=1))


def batchmean(
    loss: Tensor,
    weight: Tensor | float | None = None,
    mask: Tensor | None = None,
    class_weight: Tensor | None = None,
) -> Tensor:
    """The sum divided by the number of samples."""
    values = counted(loss, weight, mask, class_weight)
    return _sum(values) / max(loss.shape[0], 1)


def per(total: Tensor, count: Tensor) -> Tensor:
    """A sum divided by a given count, at least 1: boxes, tokens, foreground pixels."""
    return total / torch.clamp(torch.as_tensor(count, dtype=total.dtype), min=1)


REDUCTIONS = {
    "mean": Op("mean", mean, "reduce"),
    "sum": Op("sum", total, "reduce"),
    "none": Op("none", elements, "reduce"),
    "batch": Op("batch", batch, "reduce"),
    "batchmean": Op("batchmean", batchmean, "reduce"),
}
PER = Op("per", per, "reduce")
