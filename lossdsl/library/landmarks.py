"""Landmarks: heat maps with a peak at each, and points compared in the size of their object."""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import power
from lossdsl.library.record import Example, Number, Reference, Vector
from lossdsl.library.registry import loss


@loss(
    "adaptive_wing",
    signature="real[*S], prob[*S] -> loss[*S]",
    family="regression",
    values="[0, inf)",
    aliases=("awing",),
    latex=(
        r"\begin{cases} \omega \log\left(1 + \lvert d / \epsilon \rvert^{\alpha - y}\right) &"
        r" \lvert d \rvert < \theta \\ A \lvert d \rvert - C & \text{otherwise} \end{cases}, \quad"
        r" d = p - y"
    ),
    reference=Reference(
        "X. Wang, L. Bo and L. Fuxin",
        "Adaptive Wing Loss for Robust Face Alignment via Heatmap Regression",
        2019,
        "1904.07399",
    ),
    ranges={
        "omega": "(0, inf)",
        "theta": "(0, inf)",
        "epsilon": "(0, inf)",
        "alpha": "[2, inf)",
    },
    conventions=(
        "A and C continue value and slope at theta.",
        "Targets lie in [0, 1]; the exponent is alpha - 1 at a peak and alpha off it.",
        "Without the paper's weights around a peak: weight= takes them.",
    ),
    pitfalls=("At alpha = 2 the slope of a peak jumps at 0: the paper's is a little above.",),
    examples=(Example("adaptive_wing(p, y)", 2.7567767023472927, {"p": [1.25], "y": [1.0]}),),
    use="For heat maps of landmarks and joints, where `mse` leaves peaks blurred: near a peak it "
    "is as sharp as a wing, in the background it is smooth.",
    avoid="For coordinates take `wing`; for heat maps of object centres, where positives are few "
    "and class scores are wanted, `gaussian_focal`.",
    checked="Loops over the paper's two branches in NumPy, in float64, and continuity at theta.",
    related={
        "wing": "of coordinates, with one shape for all targets",
        "gaussian_focal": "heat maps as classification",
        "mse": "the usual loss of heat maps",
    },
)
def adaptive_wing(
    p: Tensor,
    y: Tensor,
    *,
    omega: Number = 14.0,
    theta: Number = 0.5,
    epsilon: Number = 1.0,
    alpha: Number = 2.1,
) -> Tensor:
    """Error of a heat map, magnified where it is small: the more, the closer to a peak.

    Args:
        omega: the height of the logarithm.
        theta: the error from which it is a straight line.
        epsilon: the error at which the logarithm has its height times log 2.
        alpha: how smooth the background is.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `adaptive_wing(heat, target)`
    """
    size = (p - y).abs()
    exponent = alpha - y
    near = torch.where(size < theta, size, 0.0)
    edge = (theta / epsilon * torch.ones_like(exponent)) ** exponent
    slope = omega * exponent * edge / (1 + edge) / theta
    bent = omega * torch.log1p(power(near / epsilon, exponent))
    straight = slope * (size - theta) + omega * torch.log1p(edge)
    return torch.where(size < theta, bent, straight)


@loss(
    "oks",
    signature="real[B, C, D], real[B, C, D], positive[B] -> loss[B, C]",
    family="detection",
    lengths={"C": "spread"},
    values="[0, 1]",
    aliases=("keypoint_similarity",),
    latex=r"1 - \exp\left(-\frac{\lVert p_k - y_k \rVert^2}{8\, a\, \sigma_k^2}\right)",
    reference=Reference(
        "D. Maji, S. Nagori, M. Mathew and D. Poddar",
        "YOLO-Pose: Enhancing YOLO for Multi Person Pose Estimation Using Object Keypoint "
        "Similarity Loss",
        2022,
        "2204.06806",
    ),
    ranges={"spread": "(0, inf)"},
    conventions=(
        "The similarity of the COCO benchmark: a is the area of the object, and 2σ the standard "
        "deviation of a point in units of its root.",
        "One value a point: points that are not visible go into mask=.",
    ),
    pitfalls=(
        "Far points have no gradient: a start with smooth_l1 brings them near.",
        "Area and points are in one unit, pixels or shares of the image.",
    ),
    examples=(
        Example(
            "oks(p, y, a, spread=[0.25, 0.5])",
            (0.8646647167633873 + 0.0) / 2,
            {"p": [[[1.0, 1.0], [2.0, 2.0]]], "y": [[[0.0, 0.0], [2.0, 2.0]]], "a": [2.0]},
        ),
    ),
    use="For poses judged by COCO's measure: an error counts in the size of the person, and less "
    "for a hip than for an eye.",
    avoid="At the start of training and for faces at one scale, where `wing` and `smooth_l1` "
    "reach points however far they are.",
    checked="Loops over COCO's formula in NumPy, in float64.",
    related={
        "wing": "points in pixels, whatever the object",
        "nwd": "the same exponential of a distance, for boxes",
    },
)
def oks(p: Tensor, y: Tensor, area: Tensor, *, spread: Vector) -> Tensor:
    """One minus the similarity of keypoints, in the size of their object.

    Args:
        spread: how far people disagree about each point; COCO lists them for its 17.

    Shape:
        p and y of [B, C, D], area of [B]; one value a point.

    Example:
        `oks(points, target, area, spread=[0.026, 0.025, 0.025], mask=visible)`
    """
    difference = wide(p) - wide(y)
    sigma = torch.as_tensor(spread, dtype=difference.dtype, device=difference.device)
    scale = 8 * wide(area).unsqueeze(1) * sigma * sigma
    return -torch.expm1(-(difference * difference).sum(-1) / scale)
