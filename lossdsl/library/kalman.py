"""Overlap of rotated boxes as a Kalman filter has it: of two boxes as normal distributions, the
one that both agree on."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from lossdsl.library.gaussian_boxes import ANGLES, ROTATED, THIN, above_two, thick, turned
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss


@loss(
    "kfiou",
    signature=ROTATED,
    family="boxes",
    values="[0, inf)",
    latex=(
        r"1 - \frac{V(\bar\Sigma)}{V(\Sigma) + V(\Sigma^*) - V(\bar\Sigma)}, \quad \bar\Sigma = "
        r"\left(\Sigma^{-1} + \Sigma^{*-1}\right)^{-1},\ V(\Sigma) = 4 \sqrt{\det \Sigma}"
    ),
    reference=Reference(
        "X. Yang, Y. Zhou, G. Zhang, J. Yang, W. Wang, J. Yan, X. Zhang and Q. Tian",
        "The KFIoU Loss for Rotated Object Detection",
        2022,
        "2201.12558",
    ),
    conventions=(
        ANGLES,
        "The overlap of equal boxes is 1/3, the largest there is: the loss is 2/3 there and not 0.",
        "f='exp' is e^(1 - KFIoU) - 1, the paper's, f='log' its negative logarithm.",
        "The paper's term for the centres is left to you.",
        THIN,
    ),
    pitfalls=("Blind to where boxes are: add a loss of their centres, as in the example.",),
    examples=(
        Example(
            "kfiou(p, y)",
            2 / 3,
            {"p": [[0.0, 0.0, 4.0, 2.0, 0.5]], "y": [[9.0, 0.0, 4.0, 2.0, 0.5]]},
        ),
        Example(
            "kfiou(p, y)",
            17 / 21,
            {"p": [[0.0, 0.0, 1.0, 1.0, 0.0]], "y": [[0.0, 0.0, 2.0, 2.0, 0.0]]},
        ),
    ),
    use="For oriented boxes beside a loss of their centres: it follows the overlap of the shapes "
    "and needs no parameter.",
    avoid="Alone, for it does not see centres: `gwd` and `kld_box` take boxes as a whole. For "
    "upright boxes the exact `giou` or `ciou`.",
    checked="The paper's Kalman gain with NumPy's matrices, in float64.",
    related={
        "gwd": "a distance, of centres too",
        "kld_box": "a divergence, of centres too",
        "prob_iou": "a distance in [0, 1], of centres too",
    },
)
def kfiou(pred: Tensor, target: Tensor, *, f: Literal["linear", "exp", "log"] = "linear") -> Tensor:
    """One minus the overlap of two rotated boxes laid upon each other.

    Takes two tensors of boxes of equal shape `[..., 5]` and compares them pair by pair.

    Args:
        f: what is taken of the overlap.

    Example:
        `smooth_l1(p[:, :2], y[:, :2]) + kfiou(p, y, f='exp')`
    """
    a, b = thick(turned(pred)), thick(turned(target))
    sine, cosine = torch.sin(a.angle - b.angle) ** 2, torch.cos(a.angle - b.angle) ** 2
    # The determinant of the mean covariance over the geometric mean of both, less 1.
    excess = 0.25 * (
        above_two(a.w * a.h / (b.w * b.h))
        + above_two(a.w * b.h / (b.w * a.h)) * cosine
        + above_two(a.w * b.w / (a.h * b.h)) * sine
    )
    shared = 0.5 * (a.w * b.w).sqrt() * (a.h * b.h).sqrt() / (1 + excess).sqrt()
    overlap = shared / (a.w * a.h + b.w * b.h - shared)
    if f == "exp":
        return torch.expm1(1 - overlap)
    return -overlap.log() if f == "log" else 1 - overlap
