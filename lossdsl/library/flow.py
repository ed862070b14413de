"""Optical flow and depth from video: true vectors, smoothness, frames moved along the flow."""

from __future__ import annotations

import math

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
    use="Optical flow and scene flow with true vectors: the measure that benchmarks report.",
    avoid=(
        "No true flow: `photometric` or `motion_consistency`. A few huge errors that rule:"
        " `cauchy` of the components lets them fade."
    ),
    checked="`numpy.linalg.norm`, with and without a mask",
    related={
        "l1": "component by component",
        "photometric": "from the images, without true flow",
        "mse": "squares: far misses rule",
    },
    identities=(
        (
            "epe(u, v)",
            "input u: real[B, K, *S]; input v: real[B, K, *S]; mean(norm(u - v, over=[1]))",
        ),
        (
            "input u: real[B, 1, *S]; input v: real[B, 1, *S]; epe(u, v)",
            "input u: real[B, 1, *S]; input v: real[B, 1, *S]; l1(u, v)",
        ),
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
    use=(
        "Depth and flow learned without labels, beside photometric: plain areas are filled in,"
        " and jumps go to the edges of the image."
    ),
    avoid=(
        "No image to guide: `tv`. Textured but smooth surfaces, whose every edge excuses a jump:"
        " a smaller alpha, or `tv`."
    ),
    checked="`kornia.losses.inverse_depth_smoothness_loss`, and `numpy.diff` with alpha",
    related={
        "tv": "the same without an image",
        "photometric": "what it goes beside",
        "temporal_consistency": "along time",
    },
    identities=(
        ("input d: real[B, K, H, W]; edge_smoothness(d, 0*d)", "input d: real[B, K, H, W]; tv(d)"),
    ),
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
    use=(
        "Flicker of videos that are processed frame by frame, and flow learned from brightness"
        " that stays."
    ),
    avoid=(
        "Changing light: `photometric` of a warped frame compares structure too. True flow at"
        " hand: `epe`."
    ),
    checked="`scipy.ndimage.map_coordinates`",
    related={
        "photometric": "structure too, of an image that was warped before",
        "temporal_consistency": "differences in place, without a flow",
        "epe": "the flow itself against a true one",
    },
    identities=(
        (
            "motion_consistency(x, z, 0*cat(x[:, :1], x[:, :1], over=1))",
            "input x: image[B, C, H, W]; input z: image[B, C, H, W]; l1(x, z)",
        ),
    ),
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
