"""Boxes as normal distributions: centres as means, and half the sides as standard deviations along
the box's own axes. Distances of distributions have a gradient wherever boxes lie, and turn with
them.

Rotated boxes are `cx, cy, w, h, angle`, in radians. The sign of a side does not matter.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.boxes import EMPTY, corners, extent, ratio
from lossdsl.library.embedding import guarded_root
from lossdsl.library.guarded import floored
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

ROTATED = "real[*S, 5], real[*S, 5] -> loss[*S]"

ANGLES = (
    "Boxes are centre, sides and an angle in radians, as `boxes(xywhr)` are; it makes no "
    "difference which side is called the width if the angle is a quarter turn more."
)
TAMED = "The distance D becomes 1 - 1/(tau + f(D)): between 1 - 1/tau and 1."
THIN = "A side below 1e-4 counts as 1e-4."

Tamed = Literal["log1p", "sqrt"]
LEAST_SIDE = 1e-4


class Turned(NamedTuple):
    """Boxes as columns: centre, the lengths of the sides, the angle."""

    x: Tensor
    y: Tensor
    w: Tensor
    h: Tensor
    angle: Tensor


def turned(boxes: Tensor) -> Turned:
    x, y, w, h, angle = wide(boxes).unbind(-1)
    return Turned(x, y, w.abs(), h.abs(), angle)


def thick(boxes: Turned) -> Turned:
    """Boxes with an area, so that their covariances can be inverted."""
    return boxes._replace(w=boxes.w.clamp(min=LEAST_SIDE), h=boxes.h.clamp(min=LEAST_SIDE))


def tamed(distance: Tensor, tau: Number, f: Tamed) -> Tensor:
    """A distance bent into an interval, so that far boxes do not rule."""
    slow = torch.log1p(distance) if f == "log1p" else guarded_root(distance, 2)
    # 1 - 1/(tau + slow), without losing the digits of small distances.
    return (slow + (tau - 1)) / (slow + tau)


def wasserstein(a: Turned, b: Turned) -> Tensor:
    """Squared Wasserstein distance, without the cancellation that roots of matrices bring.

    With P = ww' + hh' and Q = wh' + hw' and an angle t between the boxes, the trace of the
    covariances' common root is the root of P² cos² t + Q² sin² t, over 4.
    """
    away = (a.x - b.x) ** 2 + (a.y - b.y) ** 2
    sides = (a.w - b.w) ** 2 + (a.h - b.h) ** 2
    along, across = a.w * b.w + a.h * b.h, a.w * b.h + a.h * b.w
    sine, cosine = torch.sin(a.angle - b.angle), torch.cos(a.angle - b.angle)
    root = guarded_root((along * cosine) ** 2 + (across * sine) ** 2, 2)
    uneven = (a.w - a.h) * (a.w + a.h) * (b.w - b.h) * (b.w + b.h)
    turning = ratio(2 * uneven * sine * sine, along + root)
    return away + floored(sides + turning, 0.0) / 4


@loss(
    "gwd",
    signature=ROTATED,
    family="boxes",
    values="[0, 1]",
    latex=(
        r"1 - \frac{1}{\tau + f(D^2)}, \quad D^2 = \lVert \mu - \mu^* \rVert^2 + \mathrm{tr}\left("
        r"\Sigma + \Sigma^* - 2 (\Sigma^{1/2} \Sigma^* \Sigma^{1/2})^{1/2}\right)"
    ),
    reference=Reference(
        "X. Yang, J. Yan, Q. Ming, W. Wang, X. Zhang and Q. Tian",
        "Rethinking Rotated Object Detection with Gaussian Wasserstein Distance Loss",
        2021,
        "2101.11952",
    ),
    ranges={"tau": "[1, inf)"},
    conventions=(
        ANGLES,
        TAMED,
        "D² is in squared units of the boxes: no division by their size, as mmrotate does.",
    ),
    pitfalls=("A square has no angle: turning it costs nothing.",),
    use=(
        "Rotated boxes, of aerial images or text: a gradient wherever they lie, and no jump"
        " where the angle wraps or the sides change names."
    ),
    avoid=(
        "Objects of mixed sizes: an offset counts in pixels, so large ones rule; `kld_box` and"
        " `prob_iou` count it in units of the box. Upright boxes: `ciou`."
    ),
    checked=(
        "matrix square roots (`scipy.linalg.sqrtm`) of the boxes' covariances, and the closed"
        " form of upright boxes"
    ),
    related={
        "kld_box": "an offset in units of the box",
        "prob_iou": "symmetric and in units of the box",
        "nwd": "the same distance of upright boxes, bent by an exponential",
    },
    identities=(
        (
            "input p: positive[N, 4]; input y: positive[N, 4]; "
            "gwd(pad(p, over=1, after=1), pad(y, over=1, after=1))",
            "input p: positive[N, 4]; input y: positive[N, 4]; "
            "mean(1 - 1/(1 + log1p(sum((p - y)[:, :2]**2 + (p - y)[:, 2:]**2/4, over=[1]))))",
        ),
    ),
    examples=(
        Example(
            "gwd(p, y, f='sqrt')",
            0.6666666666666667,
            {"p": [[0.0, 0.0, 4.0, 4.0, 0.5]], "y": [[2.0, 0.0, 4.0, 4.0, 0.0]]},
        ),
    ),
)
def gwd(pred: Tensor, target: Tensor, *, tau: Number = 1.0, f: Tamed = "log1p") -> Tensor:
    """Gaussian Wasserstein distance of rotated boxes.

    Takes two tensors of boxes of equal shape `[..., 5]` and compares them pair by pair.

    Args:
        tau: above 1 the loss of equal boxes is no longer 0, and far ones pull less.
        f: what is taken of the squared distance before it is bent.

    Example:
        `gwd(p, y, f='sqrt')` is 2/3 for equal squares with centres 2 apart.
    """
    return tamed(wasserstein(turned(pred), turned(target)), tau, f)


def covariance_ratio(a: Turned, b: Turned) -> tuple[Tensor, Tensor]:
    """Mahalanobis distance of b's centre in a's units, and the trace of a's inverse covariance
    times b's."""
    sine, cosine = torch.sin(a.angle), torch.cos(a.angle)
    dx, dy = b.x - a.x, b.y - a.y
    along, across = cosine * dx + sine * dy, cosine * dy - sine * dx
    centres = (2 * along / a.w) ** 2 + (2 * across / a.h) ** 2
    turn = a.angle - b.angle
    sine, cosine = torch.sin(turn) ** 2, torch.cos(turn) ** 2
    trace = ((b.w / a.w) ** 2 + (b.h / a.h) ** 2) * cosine
    return centres, trace + ((b.h / a.w) ** 2 + (b.w / a.h) ** 2) * sine


@loss(
    "kld_box",
    signature=ROTATED,
    family="boxes",
    values="[0, 1]",
    latex=(
        r"1 - \frac{1}{\tau + f(D)}, \quad D = \tfrac12 \left[(\mu - \mu^*)^T \Sigma^{-1} "
        r"(\mu - \mu^*) + \mathrm{tr}(\Sigma^{-1} \Sigma^*) + \log \frac{\det \Sigma}"
        r"{\det \Sigma^*}\right] - 1"
    ),
    reference=Reference(
        "X. Yang, X. Yang, J. Yang, Q. Ming, W. Wang, Q. Tian and J. Yan",
        "Learning High-Precision Bounding Box for Rotated Object Detection via Kullback-Leibler "
        "Divergence",
        2021,
        "2106.01883",
    ),
    ranges={"tau": "[1, inf)"},
    conventions=(
        ANGLES,
        TAMED,
        "The divergence of the predicted distribution from the target's: KL(target, prediction).",
        THIN,
    ),
    use=(
        "Rotated boxes that must fit precisely, long thin ones above all: the thinner the box,"
        " the more an offset or a wrong angle costs."
    ),
    avoid=(
        "Predictions with hardly any width, by which it divides: `gwd` does not. Where both"
        " boxes are to count alike: `prob_iou`."
    ),
    checked="`torch.distributions.kl_divergence` of two `MultivariateNormal`",
    related={
        "gwd": "offsets in pixels, whatever the box",
        "prob_iou": "symmetric: neither box is the reference",
        "kl_gaussian": "the same divergence of latents with diagonal covariances",
    },
    examples=(
        Example(
            "kld_box(p, y, f='sqrt')",
            0.5,
            {"p": [[0.0, 0.0, 2.0, 2.0, 0.0]], "y": [[1.0, 1.0, 2.0, 2.0, 0.0]]},
        ),
    ),
)
def kld_box(pred: Tensor, target: Tensor, *, tau: Number = 1.0, f: Tamed = "log1p") -> Tensor:
    """Kullback-Leibler divergence of rotated boxes: an offset counts in units of the box.

    Takes two tensors of boxes of equal shape `[..., 5]` and compares them pair by pair.

    Args:
        tau: above 1 the loss of equal boxes is no longer 0, and far ones pull less.
        f: what is taken of the divergence before it is bent.

    Example:
        `kld_box(p, y)`
    """
    a, b = thick(turned(pred)), thick(turned(target))
    centres, trace = covariance_ratio(a, b)
    # The determinant's root is w h / 4.
    sizes = torch.log(a.w / b.w) + torch.log(a.h / b.h)
    return tamed(floored(0.5 * (centres + trace) + sizes - 1, 0.0), tau, f)


@loss(
    "prob_iou",
    signature=ROTATED,
    family="boxes",
    values="[0, 1]",
    aliases=("probiou",),
    latex=(
        r"\sqrt{1 - e^{-B}}, \quad B = \tfrac18 (\mu - \mu^*)^T \bar\Sigma^{-1} (\mu - \mu^*) + "
        r"\tfrac12 \log \frac{\det \bar\Sigma}{\sqrt{\det \Sigma \det \Sigma^*}},\ "
        r"\bar\Sigma = \tfrac12 (\Sigma + \Sigma^*)"
    ),
    reference=Reference(
        "J. M. Llerena, L. F. Zeni, L. N. Kristen and C. Jung",
        "Gaussian Bounding Boxes and Probabilistic Intersection-over-Union for Object Detection",
        2021,
        "2106.06072",
    ),
    conventions=(
        ANGLES,
        "The Hellinger distance, the paper's first loss; variances are those of a uniform box, "
        "side² / 12.",
        "Equal boxes have gradient 0, though the root's slope is infinite there.",
        THIN,
    ),
    use=(
        "Rotated boxes with a symmetric distance in [0, 1] that can stand in for one minus the"
        " overlap, in training and in matching."
    ),
    avoid=(
        "Boxes far apart: it comes close to 1 and the gradient fades; `gwd` and `kld_box` fade"
        " later. Upright boxes: `giou`."
    ),
    checked="Bhattacharyya's distance from NumPy's inverses and determinants",
    related={
        "gwd": "offsets in pixels",
        "kld_box": "one box is the reference",
        "iou": "what it stands in for, of upright boxes",
    },
    examples=(
        Example(
            "prob_iou(p, y)",
            0.7263838153889343,
            {"p": [[0.0, 0.0, 2.0, 2.0, 0.0]], "y": [[1.0, 1.0, 2.0, 2.0, 0.0]]},
        ),
    ),
)
def prob_iou(pred: Tensor, target: Tensor) -> Tensor:
    """Hellinger distance of rotated boxes.

    Takes two tensors of boxes of equal shape `[..., 5]`; the value lies in [0, 1].

    Example:
        `prob_iou(p, y)`
    """
    a, b = thick(turned(pred)), thick(turned(target))
    sine, cosine = torch.sin(a.angle - b.angle) ** 2, torch.cos(a.angle - b.angle) ** 2
    # The determinant of the mean covariance over the geometric mean of both, less 1.
    excess = 0.25 * (
        above_two(a.w * a.h / (b.w * b.h))
        + above_two(a.w * b.h / (b.w * a.h)) * cosine
        + above_two(a.w * b.w / (a.h * b.h)) * sine
    )
    area = a.w * a.h * b.w * b.h / 36 * (1 + excess)
    dx, dy = b.x - a.x, b.y - a.y
    centres = (across_box(a, dx, dy) + across_box(b, dx, dy)) / area
    distance = 0.25 * centres + 0.5 * torch.log1p(excess)
    return guarded_root(-torch.expm1(-distance), 2)


def above_two(x: Tensor) -> Tensor:
    """x + 1/x - 2 for x > 0, to the last digits at 1."""
    return (x - 1) ** 2 / x


def across_box(box: Turned, dx: Tensor, dy: Tensor) -> Tensor:
    """An offset's square in the adjugate of a box's covariance."""
    sine, cosine = torch.sin(box.angle), torch.cos(box.angle)
    along, across = cosine * dx + sine * dy, cosine * dy - sine * dx
    return ((box.h * along) ** 2 + (box.w * across) ** 2) / 12


@loss(
    "nwd",
    signature="boxes[*S, 4], boxes[*S, 4] -> loss[*S]",
    family="boxes",
    values="[0, 1]",
    latex=(
        r"1 - \exp\left(-\frac{1}{c} \sqrt{\lVert \mu - \mu^* \rVert^2 + \tfrac14 (w - w^*)^2 + "
        r"\tfrac14 (h - h^*)^2}\right)"
    ),
    reference=Reference(
        "J. Wang, C. Xu, W. Yang and L. Yu",
        "A Normalized Gaussian Wasserstein Distance for Tiny Object Detection",
        2021,
        "2110.13389",
    ),
    ranges={"scale": "(0, inf)"},
    conventions=(
        "Of upright boxes; gwd is the distance of rotated ones.",
        "Equal boxes have gradient 0, though the root's slope jumps there.",
        EMPTY,
    ),
    pitfalls=(
        "scale is in the unit of the boxes: the default is the mean size of objects, in pixels, "
        "of one data set of aerial images.",
    ),
    use=(
        "Upright boxes of a few pixels, where a shift by one pixel halves the overlap: it"
        " changes smoothly with every offset."
    ),
    avoid=(
        "Large objects or mixed sizes, which one scale in pixels does not fit: `ciou` or `giou`."
        " Rotated boxes: `gwd`."
    ),
    checked="the paper's formula in PyTorch's norms, in float64",
    related={
        "gwd": "the distance of rotated boxes, bent differently",
        "ciou": "overlap, centres and shapes, free of scale",
    },
    examples=(
        Example(
            "nwd(p, y, scale=5)",
            0.6321205588285577,
            {"p": [[0.0, 0.0, 2.0, 2.0]], "y": [[3.0, 4.0, 5.0, 6.0]]},
        ),
    ),
)
def nwd(pred: Tensor, target: Tensor, *, scale: Number = 12.8) -> Tensor:
    """Normalised Wasserstein distance of upright boxes: made for objects of a few pixels.

    Takes two tensors of boxes of equal shape `[..., 4]`; the value lies in [0, 1].

    Args:
        scale: the distance at which the loss is 1 - 1/e, about the objects' mean size.

    Example:
        `nwd(p, y, scale=8)`
    """
    ax1, ay1, ax2, ay2 = corners(pred)
    bx1, by1, bx2, by2 = corners(target)
    away = (ax1 + ax2 - bx1 - bx2) ** 2 + (ay1 + ay2 - by1 - by2) ** 2
    sides = (extent(ax1, ax2) - extent(bx1, bx2)) ** 2
    sides = sides + (extent(ay1, ay2) - extent(by1, by2)) ** 2
    return -torch.expm1(-guarded_root(away + sides, 2) / (2 * scale))
