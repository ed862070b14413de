"""Tracking and motion: response maps, distances of states, optical flow, depth from video."""

from __future__ import annotations

import math
from functools import reduce
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdsl.functions.precision import wide
from lossdsl.library.embedding import guarded_root
from lossdsl.library.guarded import mean_over
from lossdsl.library.image import kept_steps, step
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss
from lossdsl.library.windows import kept_mean, over_pixels, shown

LAST_TWO = {"p": [[0.0, 0.0, 0.0, 0.0]], "y": [[1.0, -1.0, -1.0, -1.0]]}


@loss(
    "mahalanobis",
    signature="real[N, D], real[N, D], real[D, D] -> loss[N]",
    family="tracking",
    values="[0, inf)",
    latex=r"(x - \mu)^\top S^{-1} (x - \mu)",
    reference=Reference("P. C. Mahalanobis", "On the Generalized Distance in Statistics", 1936),
    conventions=(
        "Squared, as Deep SORT compares it with a quantile of the chi-square distribution;"
        " squared=false is the root, with gradient 0 at x = mu.",
        "S is the covariance, one for all rows.",
    ),
    pitfalls=(
        "S must be symmetric with eigenvalues above 0: the formula does not look.",
        "With a learned S use a likelihood: the distance alone is smallest for a huge S.",
    ),
    examples=(
        Example(
            "mahalanobis(x, mu, s)",
            2.0,
            {"x": [[2.0, 3.0]], "mu": [[0.0, 0.0]], "s": [[4.0, 0.0], [0.0, 9.0]]},
        ),
    ),
)
def mahalanobis(x: Tensor, mean: Tensor, covariance: Tensor, *, squared: bool = True) -> Tensor:
    """Distance of states in units of their spread.

    Args:
        squared: whether the distance is squared.

    Shape:
        x and mean of [N, D], covariance of [D, D]; one value a row.

    Example:
        `mahalanobis(box, track, s, squared=false)`
    """
    difference = wide(x) - wide(mean)
    solved, _ = torch.linalg.solve_ex(wide(covariance), difference.T)
    square = (difference * solved.T).sum(1)
    return square if squared else guarded_root(square, 2)


@loss(
    "cross_correlation",
    signature="score[B, *S], sign[B, *S] -> loss[B]",
    family="tracking",
    values="[0, inf)",
    aliases=("siamfc",),
    latex=r"\sum_u w_u \log\left(1 + e^{-y_u v_u}\right)",
    reference=Reference(
        "L. Bertinetto, J. Valmadre, J. F. Henriques, A. Vedaldi, P. H. S. Torr",
        "Fully-Convolutional Siamese Networks for Object Tracking",
        2016,
        "1606.09549",
    ),
    mask="inside",
    conventions=(
        "The map v of correlations is the argument, y = 1 around the target and -1 elsewhere.",
        "balanced=true gives the positions of each sign half of the weight, or all of it where"
        " there is one sign only; false is the plain mean.",
        "Masked positions are left out.",
    ),
    examples=(
        Example("cross_correlation(p, y)", math.log(2), LAST_TWO),
        Example(
            "cross_correlation(p, y)",
            0.5 * (math.log1p(math.exp(-1.0)) + math.log(2)),
            {"p": [[1.0, 0.0, 0.0]], "y": [[1.0, -1.0, -1.0]]},
        ),
    ),
)
def cross_correlation(
    p: Tensor, y: Tensor, *, balanced: bool = True, mask: Tensor | None = None
) -> Tensor:
    """Logistic loss of a response map, in which target and background count the same.

    Args:
        balanced: whether both signs have the same weight.

    Shape:
        p and y alike, [B, ...]; one value an image.

    Example:
        `cross_correlation(response, near)`
    """
    kept = torch.ones_like(p, dtype=torch.bool) if mask is None else (mask > 0).expand_as(p)
    p = wide(torch.where(kept, p, 0.0))
    cost = -F.logsigmoid(torch.where(y > 0, p, -p)).flatten(1)
    kept, positive = kept.flatten(1), (y > 0).flatten(1)
    parts = [kept & positive, kept & ~positive] if balanced else [kept]
    counts = [part.sum(1) for part in parts]
    means = [
        torch.where(part, cost, 0.0).sum(1) / count.clamp(min=1)
        for part, count in zip(parts, counts, strict=True)
    ]
    present = reduce(torch.add, [(count > 0).to(cost.dtype) for count in counts])
    return reduce(torch.add, means) / present.clamp(min=1)


@loss(
    "temporal_consistency",
    signature="series|real[B, T, *D] -> loss[B]",
    family="tracking",
    values="[0, inf)",
    latex=r"\frac{1}{N} \sum_{t, d} \left|x_{t+1, d} - x_{t, d}\right|",
    reference="The mean size of a sequence's differences, a common smoothness term.",
    ranges={"order": "[1, 2]"},
    mask="inside",
    conventions=(
        "Mean over steps and components; p='l2' squares the differences.",
        "order=2 takes differences of differences: constant speed costs 0.",
        "A mask keeps a difference if it keeps all the values in it.",
        "A sequence too short for a difference costs 0.",
    ),
    examples=(
        Example("temporal_consistency(x)", 2.0, {"x": [[[0.0], [1.0], [4.0]]]}),
        Example("temporal_consistency(x, order=2, p='l2')", 4.0, {"x": [[[0.0], [1.0], [4.0]]]}),
    ),
)
def temporal_consistency(
    x: Tensor,
    *,
    order: int = 1,
    p: Literal["l1", "l2"] = "l1",
    mask: Tensor | None = None,
) -> Tensor:
    """How much a sequence changes from step to step.

    Args:
        order: 1 for steps, 2 for changes of steps.
        p: 'l1' for the absolute difference, 'l2' for its square.

    Shape:
        x of [B, T, ...]; one value a sequence.

    Example:
        `0.1*temporal_consistency(states, order=2)`
    """
    kept = torch.ones_like(x, dtype=torch.bool) if mask is None else (mask > 0).expand_as(x)
    x = wide(torch.where(kept, x, 0.0))
    if x.shape[1] <= order or 0 in x.shape[2:]:
        return (0.0 * x).flatten(1).sum(1)
    for _ in range(order):
        length = kept.shape[1] - 1
        x, kept = step(x, 1), kept.narrow(1, 1, length) & kept.narrow(1, 0, length)
    size = x.abs() if p == "l1" else x * x
    return kept_mean(size, kept.to(x.dtype), tuple(range(1, x.dim())))


def pixel_mask(mask: Tensor | None, image: Tensor) -> Tensor | None:
    """One number a pixel, whatever the channels."""
    kept = over_pixels(mask, image)
    return None if kept is None else kept[:, :1]


@loss(
    "epe",
    signature="real[B, K, *S], real[B, K, *S] -> loss[B]",
    family="tracking",
    values="[0, inf)",
    aliases=("endpoint_error",),
    latex=r"\left\lVert u - v \right\rVert_2",
    reference=Reference(
        "A. Dosovitskiy et al.",
        "FlowNet: Learning Optical Flow with Convolutional Networks",
        2015,
        "1504.06852",
    ),
    mask="inside",
    conventions=(
        "The length of the difference of two vectors along axis 1; the mean over the kept"
        " positions of an image, then over images.",
        "A vector that is met exactly has gradient 0.",
    ),
    examples=(
        Example("epe(u, v)", 2.5, {"u": [[[3.0, 0.0], [4.0, 0.0]]], "v": [[[0.0] * 2] * 2]}),
    ),
)
def epe(flow: Tensor, target: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """End-point error of an optical flow.

    Shape:
        flow and target alike, [B, K, ...] with the vectors along axis 1; one value an image.

    Example:
        `epe(flow, truth, mask=valid)`
    """
    kept = pixel_mask(mask, flow)
    difference = shown(wide(flow), kept) - shown(wide(target), kept)
    length = guarded_root((difference * difference).sum(1), 2)
    if kept is None:
        return mean_over(length, range(1, length.dim())) if length.dim() > 1 else length
    return kept_mean(length, kept[:, 0].to(length.dtype), tuple(range(1, length.dim())))


@loss(
    "edge_smoothness",
    signature="real[B, K, H, W], image[B, C, H, W] -> loss[B]",
    family="tracking",
    values="[0, inf)",
    latex=r"\left|\partial_x d\right| e^{-\alpha \left|\partial_x I\right|} + "
    r"\left|\partial_y d\right| e^{-\alpha \left|\partial_y I\right|}",
    reference=Reference(
        "C. Godard, O. Mac Aodha, G. J. Brostow",
        "Unsupervised Monocular Depth Estimation with Left-Right Consistency",
        2016,
        "1609.03677",
    ),
    ranges={"alpha": "[0, inf)", "data_range": "(0, inf)"},
    mask="inside",
    image_range="data_range",
    conventions=(
        "Forward differences of neighbours; of the image the mean over its channels of their"
        " size, in units of the data range.",
        "The mean over the differences along each axis, then the sum over the two axes.",
        "The image is a constant: no gradient goes into it.",
        "A mask keeps a difference if it keeps both pixels.",
    ),
    pitfalls=("Depth that shrinks to 0 is smooth: divide it by its mean first.",),
    examples=(
        Example(
            "edge_smoothness(d, x)",
            2.0 * math.exp(-0.5),
            {"d": [[[[0.0, 2.0]]]], "x": [[[[0.0, 0.5]]]]},
        ),
    ),
)
def edge_smoothness(
    field: Tensor,
    image: Tensor,
    *,
    alpha: Number = 1.0,
    data_range: Number = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """First-order smoothness of a depth or flow, which an edge of the image excuses.

    Args:
        alpha: how much an edge excuses.

    Shape:
        field of [B, K, H, W], image of [B, C, H, W]; one value an image.

    Example:
        `1e-3*edge_smoothness(depth/mean(depth, over=[1, 2, 3], keepdim=true), img)`
    """
    kept = pixel_mask(mask, field)
    field, image = shown(wide(field), kept), shown(wide(image.detach()), kept)
    terms = []
    for axis in (2, 3):
        if field.shape[axis] < 2 or 0 in field.shape[1:]:
            terms.append((0.0 * field).sum((1, 2, 3)))
            continue
        edge = (step(image, axis) / data_range).abs().mean(1, keepdim=True)
        cost = step(field, axis).abs() * torch.exp(-alpha * edge)
        terms.append(kept_mean(cost, kept_steps(kept, [axis]), (1, 2, 3)))
    return terms[0] + terms[1]


def warped(image: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """The image read, between its pixels, where the flow points to; and which places exist."""
    height, width = image.shape[-2:]
    row = torch.arange(height, device=image.device, dtype=image.dtype)
    column = torch.arange(width, device=image.device, dtype=image.dtype)
    x, y = column + flow[:, 0], row[:, None] + flow[:, 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    x, y = torch.where(inside, x, 0.0), torch.where(inside, y, 0.0)
    grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], -1)
    values = F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return values, inside[:, None]


@loss(
    "motion_consistency",
    signature="image[B, C, H, W], image[B, C, H, W], real[B, 2, H, W] -> loss[B]",
    family="tracking",
    values="[0, inf)",
    aliases=("warping",),
    latex=r"\left|x_t(u) - x_{t-1}(u + f(u))\right|",
    reference=Reference(
        "W.-S. Lai et al.", "Learning Blind Video Temporal Consistency", 2018, "1808.00449"
    ),
    mask="inside",
    conventions=(
        "The flow is in pixels, x first, and points from the current frame into the previous one.",
        "The previous frame is read between its pixels by bilinear weights; a pixel whose flow"
        " leaves the frame does not count.",
        "The mean over channels and counted pixels of an image. A mask of what was hidden goes"
        " into mask=.",
    ),
    pitfalls=("A mean over what counts: a flow that points out of the frame costs nothing.",),
    examples=(
        Example(
            "motion_consistency(x, z, f)",
            1.0,
            {
                "x": [[[[1.0, 5.0, 0.0]]]],
                "z": [[[[0.0, 2.0, 4.0]]]],
                "f": [[[[1.0, 1.0, 1.0]], [[0.0, 0.0, 0.0]]]],
            },
        ),
    ),
)
def motion_consistency(
    current: Tensor, previous: Tensor, flow: Tensor, *, mask: Tensor | None = None
) -> Tensor:
    """Brightness constancy: a frame against the one before, moved along the flow.

    Shape:
        Two frames of [B, C, H, W] and the flow between them, [B, 2, H, W]; one value an image.

    Example:
        `motion_consistency(x[:, 1], x[:, 0], flow, mask=visible)`
    """
    kept = pixel_mask(mask, current)
    current, flow = shown(wide(current), kept), shown(wide(flow), kept)
    if 0 in current.shape:
        return (0.0 * current).sum((1, 2, 3))
    values, inside = warped(wide(previous), flow)
    counted = inside.to(values.dtype) if kept is None else inside * kept
    return kept_mean((current - values).abs(), counted, (1, 2, 3))
