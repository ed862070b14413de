"""Contours: losses of masks that look at distances from their edge, or at their centre line."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import power
from lossdsl.library.overlap import share
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss, overload

# What the identities below declare.
PAIR = "input p: mask[B, C, *S]; input y: mask[B, C, *S]; "
SOFT = "input p: prob[B, C, *S]; input y: prob[B, C, *S]; "

MAPS = "logits|prob[B, C, *S], mask[B, C, *S] -> loss[B, C, *S]"
EXCLUSIVE = "class_logits|class_prob[B, C, *S], labels|one_hot[B, C, *S] -> loss[B, C, *S]"

EDGES = (
    "Distances are Euclidean, between centres of pixels, one unit apart along every axis. A mask "
    "that is empty or full has no edge: its distances are 0."
)
MEMORY = (
    "Distances are computed where the tensors are, along one axis after the other, each pixel of "
    "a line against each: without a compiler that fuses, memory grows with the longest side."
)


def squared_distance(zero: Tensor, dtype: torch.dtype) -> Tensor:
    """Squared Euclidean distance of each pixel to the nearest pixel of `zero`, over the axes
    behind the class axis: exact, one axis at a time. Where there is none it is very large."""
    far = float(sum(side * side for side in zero.shape[2:]) + 1)
    distance = torch.where(zero, 0.0, far).to(dtype)
    for axis in range(2, zero.ndim):
        place = torch.arange(zero.shape[axis], device=zero.device, dtype=dtype)
        apart = (place[:, None] - place) ** 2
        lines = distance.movedim(axis, -1).unsqueeze(-2) + apart
        # The amin of an empty line does not exist.
        distance = lines.amin(-1).movedim(-1, axis) if zero.shape[axis] else distance
    return distance


def edge_distances(inside: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Squared distance of outer pixels to the mask, and of inner ones to what is not the mask;
    0 on the other side, and 0 where the mask has no edge."""
    inside = inside.detach()
    space = tuple(range(2, inside.ndim))
    some = inside.any(-1, keepdim=True) if space else inside
    other = (~inside).any(-1, keepdim=True) if space else ~inside
    for axis in space[:-1]:
        some, other = some.any(axis, keepdim=True), other.any(axis, keepdim=True)
    edged = some & other
    outer = torch.where(edged, squared_distance(inside, dtype), 0.0)
    inner = torch.where(edged, squared_distance(~inside, dtype), 0.0)
    return outer, inner


@overload("boundary", signature=EXCLUSIVE)
@loss(
    "boundary",
    signature=MAPS,
    family="overlap",
    aliases=("surface",),
    latex=r"q \, \phi_y",
    reference=Reference(
        "H. Kervadec, J. Bouchtiba, C. Desrosiers, E. Granger, J. Dolz and I. Ben Ayed",
        "Boundary loss for highly unbalanced segmentation",
        2018,
        "1812.07032",
    ),
    conventions=(
        "The distance is negative inside, by the distance to the outside less 1, so that pixels "
        "on the rim have 0: as in the authors' code.",
        EDGES,
        "Below a mask the target counts as background.",
        MEMORY,
    ),
    pitfalls=(
        "Negative where the prediction lies inside, so nothing holds it at 0: add it to dice or "
        "another overlap loss, with a weight that grows.",
        "A map of distances made beforehand is `mean(sigmoid(p)*distance)`.",
    ),
    examples=(
        Example(
            "boundary(prob(p), y)",
            0.25,
            {"p": [[[0.5, 0.5, 0.5, 0.5]]], "y": [[[1.0, 1.0, 0.0, 0.0]]]},
        ),
    ),
    use=(
        "Small or thin targets, beside `dice` or `generalized_dice` and with a weight that grows: "
        "false alarms cost by their distance."
    ),
    avoid=(
        "Alone, where it gets stuck at empty masks: add it to `dice`. Contours that are judged by "
        "their worst point: `hausdorff_dt`. Vessels and roads: `cldice`."
    ),
    checked=(
        "`scipy.ndimage.distance_transform_edt` in the authors' form, and "
        "`monai.losses.BoundaryLoss`."
    ),
    related={
        "hausdorff_dt": "distances from the prediction's edge too",
        "dice": "overlap, which it is added to",
        "cldice": "centre lines in place of edges",
    },
    identities=(("boundary(p, y)", "boundary(sigmoid(p), y)"),),
)
def boundary(p: Tensor, y: Tensor) -> Tensor:
    """Predicted probability times the signed distance from the target's edge.

    Shape:
        p and y with the class axis, y also as labels; one value an element.

    Example:
        `dice(p, y) + linear(step, 0, 1, 0, 5000)*boundary(p, y)`
    """
    inside = y > 0.5
    outer, inner = edge_distances(inside, wide(p).dtype)
    return p * torch.where(inside, (1 - inner.sqrt()).clamp(max=0), outer.sqrt())


@overload("hausdorff_dt", signature=EXCLUSIVE)
@loss(
    "hausdorff_dt",
    signature=MAPS,
    family="overlap",
    values="[0, inf)",
    aliases=("hausdorff",),
    latex=r"(q - y)^2 \left(d_q^{\alpha} + d_y^{\alpha}\right)",
    reference=Reference(
        "D. Karimi and S. E. Salcudean",
        "Reducing the Hausdorff Distance in Medical Image Segmentation with Convolutional Neural "
        "Networks",
        2019,
        "1904.10030",
    ),
    ranges={"alpha": "(0, inf)"},
    conventions=(
        "d is a pixel's distance to the other side of the edge, of the target and of the "
        "prediction at 0.5, without gradient.",
        EDGES,
        "Below a mask prediction and target count as background.",
        MEMORY,
    ),
    pitfalls=("Grows with the square of distances in pixels: give it a small weight.",),
    examples=(
        Example(
            "hausdorff_dt(prob(p), y)",
            0.5,
            {"p": [[[1.0, 1.0, 1.0, 0.0]]], "y": [[[1.0, 1.0, 0.0, 0.0]]]},
        ),
    ),
    use="Contours that are judged by their largest deviation, as in radiotherapy, beside `dice`.",
    avoid=(
        "The start of training, when squares of distances drown all else: a small weight, or "
        "`boundary` first. Vessels and roads: `cldice`."
    ),
    checked="SciPy's distance transform, and `monai.losses.HausdorffDTLoss`.",
    related={
        "boundary": "linear, from the target's edge alone",
        "dice": "overlap, which it is added to",
        "mse": "without the weight",
    },
    identities=((f"{PAIR}hausdorff_dt(p, y)", f"{PAIR}hausdorff_dt(y, p)"),),
)
def hausdorff_dt(p: Tensor, y: Tensor, *, alpha: Number = 2.0) -> Tensor:
    """Squared error weighted by how far a pixel lies from the edges of prediction and target.

    Args:
        alpha: the power of the distances; larger comes closer to the Hausdorff distance.

    Shape:
        p and y with the class axis, y also as labels; one value an element.

    Example:
        `dice(p, y) + 0.01*hausdorff_dt(p, y)`
    """
    weight = torch.zeros_like(wide(p))
    for x in (p, y):
        outer, inner = edge_distances(x > 0.5, weight.dtype)
        weight = weight + power(outer + inner, alpha / 2)
    return (p - y) ** 2 * weight


POOLS: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def dilated(x: Tensor) -> Tensor:
    """The largest value among a pixel and all its neighbours."""
    return POOLS[x.ndim - 2](x, 3, stride=1, padding=1)


def eroded(x: Tensor) -> Tensor:
    """The smallest value among a pixel and its neighbours along the axes."""
    axes = x.ndim - 2
    least = x
    for axis in range(axes):
        kernel = [3 if axis == own else 1 for own in range(axes)]
        padding = [1 if axis == own else 0 for own in range(axes)]
        least = torch.minimum(least, -POOLS[axes](-x, kernel, stride=1, padding=padding))
    return least


def skeleton(x: Tensor, iterations: int) -> Tensor:
    """Soft centre line: what openings take away from ever thinner versions of a mask."""
    lines = (x - dilated(eroded(x))).relu()
    for _ in range(iterations):
        x = eroded(x)
        fresh = (x - dilated(eroded(x))).relu()
        lines = lines + (fresh - lines * fresh).relu()
    return lines


@overload(
    "cldice",
    signature="class_logits|class_prob[B, C, *S], labels|one_hot|class_prob[B, C, *S]"
    " -> loss[B, C]",
)
@loss(
    "cldice",
    signature="logits|prob[B, C, *S], prob[B, C, *S] -> loss[B, C]",
    family="overlap",
    values="[0, 1]",
    aliases=("soft_cldice",),
    latex=r"1 - \frac{2 t_p t_s}{t_p + t_s}, \quad t_p = \frac{\sum S_q y + s}{\sum S_q + s},\ "
    r"t_s = \frac{\sum S_y q + s}{\sum S_y + s}",
    reference=Reference(
        "S. Shit, J. C. Paetzold, A. Sekuboyina, I. Ezhov, A. Unger, A. Zhylka, J. P. W. Pluim, "
        "U. Bauer and B. H. Menze",
        "clDice – A Novel Topology-Preserving Loss Function for Tubular Structure Segmentation",
        2021,
        "2003.07311",
    ),
    ranges={"iterations": "[0, inf)", "smooth": "(0, inf)"},
    conventions=(
        "Per image and class; MONAI sums over the batch and all classes but the first.",
        "Masked pixels count as background.",
    ),
    pitfalls=(
        "iterations must reach the largest radius, or thick parts have no centre line.",
        "For one to three axes of space.",
    ),
    examples=(
        Example(
            "cldice(prob(p), y, iterations=0)",
            1 - 2 * (2 / 3) / (1 + 2 / 3),
            {"p": [[[0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]]], "y": [[[0, 1, 0, 0, 0, 0, 0]]]},
        ),
    ),
    mask="inside",
    class_weight="classes",
    use=(
        "Vessels, roads, nerves: that lines are whole counts, and their width hardly does. Usually "
        "half and half with `dice`."
    ),
    avoid=(
        "Compact objects, which have no centre line worth the name: `dice`. Contours: `boundary`."
    ),
    checked="`monai.losses.SoftclDiceLoss`.",
    related={
        "dice": "of whole masks",
        "boundary": "distances from the edge",
    },
    identities=((f"{SOFT}cldice(p, y)", f"{SOFT}cldice(y, p)"),),
)
def cldice(
    p: Tensor,
    y: Tensor,
    *,
    iterations: int = 3,
    smooth: Number = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """Dice of centre lines: broken vessels and roads cost much, their width little.

    Args:
        iterations: how often masks are thinned on the way to their centre line.
        smooth: added to numerators and denominators.

    Shape:
        p and y with the class axis, y also as labels; one value an image and class.

    Example:
        `0.5*dice(p, y) + 0.5*cldice(p, y, iterations=10)`
    """
    if mask is not None:
        p, y = torch.where(mask > 0, p, 0.0), torch.where(mask > 0, y, 0.0)
    if 0 in p.shape or p.ndim == 2:
        return torch.zeros_like(p).flatten(2).sum(2) if p.ndim > 2 else 0 * p
    p, y = wide(p), wide(y)
    space = tuple(range(2, p.ndim))
    line_p, line_y = skeleton(p, iterations), skeleton(y, iterations)
    precision = share((line_p * y).sum(space) + smooth, line_p.sum(space) + smooth)
    sensitivity = share((line_y * p).sum(space) + smooth, line_y.sum(space) + smooth)
    return 1 - share(2 * precision * sensitivity, precision + sensitivity)
