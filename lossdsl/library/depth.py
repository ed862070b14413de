"""Depth, whose scale a single image does not show."""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.embedding import guarded_root
from lossdsl.library.guarded import floored
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss


def rows(x: Tensor) -> Tensor:
    """One row an image."""
    return x.flatten(1) if x.dim() > 1 else x.unsqueeze(1)


@loss(
    "silog",
    signature="positive[B, *S], positive[B, *S] -> loss[B]",
    family="regression",
    values="[0, inf)",
    aliases=("scale_invariant_log",),
    latex=r"\frac1n \sum_i d_i^2 - \lambda \Big(\frac1n \sum_i d_i\Big)^2, \quad d = \log p - "
    r"\log y",
    reference=Reference(
        "D. Eigen, C. Puhrsch and R. Fergus",
        "Depth Map Prediction from a Single Image using a Multi-Scale Deep Network",
        2014,
        "1406.2283",
    ),
    ranges={"forgiven": "[0, 1]"},
    mask="inside",
    conventions=(
        "Of the kept pixels of an image; an image of which none is kept costs 0.",
        "root=true is the square root, as mmsegmentation and BTS have it; BTS multiplies it by 10.",
        "At a value of 0 the gradient of the root is 0.",
    ),
    pitfalls=("Pixels without a measurement are often 0 in files: leave them out by mask=.",),
    examples=(
        Example(
            "silog(p, y, forgiven=1)",
            0.0,
            {"p": [[2.0, 4.0]], "y": [[1.0, 2.0]]},
        ),
        Example(
            "silog(p, y, root=true)",
            0.7071067811865476,
            {"p": [[2.718281828459045, 2.718281828459045]], "y": [[1.0, 1.0]]},
        ),
    ),
    use="For depth from one image: errors count as ratios, and a common factor is forgiven in "
    "part. With forgiven=0.85 and root=true it is what many depth networks are trained with.",
    avoid="Where the scale is known and must be met, as with stereo or lidar at run time: `l1` of "
    "logarithms, or forgiven=0.",
    checked="Eigen's formula in its form of pairs of pixels, by NumPy loops in float64.",
    related={
        "msle": "forgives no factor, and shifts by 1",
        "edge_smoothness": "the smoothness beside it",
        "photometric": "depth without labels",
    },
    identities=(
        (
            "input p: positive[B, H, W]; input y: positive[B, H, W]; silog(p, y, forgiven=0)",
            "input p: positive[B, H, W]; input y: positive[B, H, W]; mse(log(p), log(y))",
        ),
        (
            "input p: positive[B, H, W]; input y: positive[B, H, W]; silog(p, y, forgiven=1)",
            "input p: positive[B, H, W]; input y: positive[B, H, W]; silog(2*p, y, forgiven=1)",
        ),
    ),
)
def silog(
    p: Tensor,
    y: Tensor,
    *,
    forgiven: Number = 0.5,
    root: bool = False,
    mask: Tensor | None = None,
) -> Tensor:
    """Squared error of logarithms, less a share of the square of its mean.

    Args:
        forgiven: the share: 1 forgives any common factor, 0 none.
        root: whether the square root is taken.

    Shape:
        p and y alike, [B, ...]; one value an image.

    Example:
        `10*silog(depth, truth, forgiven=0.85, root=true, mask=truth > 0)`
    """
    kept = torch.ones_like(p, dtype=torch.bool) if mask is None else (mask > 0).expand_as(p)
    ours, theirs = (torch.where(kept, wide(x), 1.0).log() for x in (p, y))
    difference, kept = rows(ours - theirs), rows(kept)
    count = kept.to(difference.dtype).sum(1).clamp(min=1)
    mean = difference.sum(1) / count
    # Around the mean: the difference of two squares would lose the digits of small errors.
    away = torch.where(kept, difference - mean.unsqueeze(1), 0.0)
    value = floored((away * away).sum(1) / count + (1 - forgiven) * mean * mean, 0.0)
    return guarded_root(value, 2) if root else value
