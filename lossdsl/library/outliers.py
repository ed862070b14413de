"""Losses that weigh an element by how unusual it is: too easy or too wrong for the others."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.box_shapes import wiou
from lossdsl.library.boxes import EMPTY, corners, overlap, ratio
from lossdsl.library.guarded import log_complement, log_prob
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss, overload

GRADIENT_HARMONIZED = Reference(
    "B. Li, Y. Liu and X. Wang", "Gradient Harmonized Single-Stage Detector", 2018, "1811.05181"
)
HARMONY = (
    "The mean of the means over the kept elements of each bin that is not empty: each bin of "
    "gradient lengths has an equal say, as in mmdetection.",
    "Of this batch alone: without the running count of momentum.",
    "Lengths and bins carry no gradient.",
)


def harmonized(cost: Tensor, length: Tensor, bins: int, mask: Tensor | None) -> Tensor:
    """The mean over bins of the mean cost, with elements in bins by a length in [0, 1]."""
    kept = torch.ones_like(cost, dtype=torch.bool) if mask is None else (mask > 0).expand_as(cost)
    place = (length.detach() * bins).floor().clamp(0, bins - 1).to(torch.int64).reshape(-1)
    # Counts are whole numbers, whose sum does not depend on its order.
    one = kept.to(torch.int64).reshape(-1)
    count = torch.zeros(bins, dtype=torch.int64, device=cost.device).scatter_add(0, place, one)
    filled = (count > 0).sum().clamp(min=1)
    share = 1 / (count.clamp(min=1) * filled).to(cost.dtype)
    return torch.where(kept, share[place].reshape(cost.shape) * cost, 0.0).sum()


def off_mask(mask: Tensor | None, *values: Tensor) -> tuple[Tensor, ...]:
    """Values with a harmless number where the mask is 0."""
    return values if mask is None else tuple(torch.where(mask > 0, x, 0.5) for x in values)


@loss(
    "ghm_c",
    signature="logits[*S], prob[*S] -> loss[]",
    family="detection",
    values="[0, inf)",
    aliases=("ghm",),
    latex=r"\frac{1}{M} \sum_{b} \frac{1}{n_b} \sum_{i \in b} \mathrm{bce}(p_i, y_i), \quad "
    r"b_i = \left\lfloor M' \lvert \sigma(p_i) - y_i \rvert \right\rfloor",
    reference=GRADIENT_HARMONIZED,
    ranges={"bins": "[1, inf)"},
    mask="inside",
    conventions=("M is the number of bins that are not empty, out of M'.", *HARMONY),
    pitfalls=("In small batches a bin may hold one element, which then weighs as much as 1/M.",),
    examples=(
        Example(
            "ghm_c(p, y)",
            (0.28768207245178085 + 1.3862943611198906) / 2,
            {
                "p": [1.0986122886681098, 1.0986122886681098, 1.0986122886681098],
                "y": [1.0, 1.0, 0.0],
            },
        ),
    ),
    use="For one-stage detectors, in place of `focal`: it quiets the many easy negatives and the "
    "few hopeless outliers alike, without a gamma to tune.",
    avoid="With a handful of elements a batch, where bins mean little: `focal`.",
    checked="Loops over bins from the paper in NumPy, in float64.",
    related={
        "focal": "weighs an element by itself alone, and never quiets the hardest",
        "ghm_r": "the same of residuals",
        "bce": "one bin",
    },
    identities=(
        (
            "input p: logits[B]; input y: mask[B]; ghm_c(p, y, bins=1)",
            "input p: logits[B]; input y: mask[B]; bce(p, y)",
        ),
    ),
)
def ghm_c(p: Tensor, y: Tensor, *, bins: int = 10, mask: Tensor | None = None) -> Tensor:
    """Cross entropy in which each length of gradient counts the same, however many have it.

    Args:
        bins: how finely lengths are told apart.

    Shape:
        p and y alike, any shape; one value for the batch.

    Example:
        `ghm_c(p, y, bins=30)`
    """
    p, y = off_mask(mask, wide(p), wide(y))
    cost = -(y * F.logsigmoid(p) + (1 - y) * F.logsigmoid(-p))
    return harmonized(cost, (p.sigmoid() - y).abs(), bins, mask)


@overload("ghm_c", signature="prob[*S], prob[*S] -> loss[]")
def ghm_c_of_prob(p: Tensor, y: Tensor, *, bins: int = 10, mask: Tensor | None = None) -> Tensor:
    """Gradient-harmonised cross entropy of probabilities."""
    p, y = off_mask(mask, wide(p), wide(y))
    cost = -(y * log_prob(p) + (1 - y) * log_complement(p))
    return harmonized(cost, (p - y).abs(), bins, mask)


@loss(
    "ghm_r",
    signature="real[*S], real[*S] -> loss[]",
    family="detection",
    values="[0, inf)",
    latex=r"\frac{1}{M} \sum_{b} \frac{1}{n_b} \sum_{i \in b} \left(\sqrt{d_i^2 + \mu^2} - \mu"
    r"\right), \quad b_i = \left\lfloor M' \frac{\lvert d_i \rvert}{\sqrt{d_i^2 + \mu^2}} "
    r"\right\rfloor,\ d = p - y",
    reference=GRADIENT_HARMONIZED,
    ranges={"bins": "[1, inf)", "mu": "(0, inf)"},
    mask="inside",
    conventions=("M is the number of bins that are not empty, out of M'.", *HARMONY),
    examples=(
        Example(
            "ghm_r(p, y, mu=3)",
            1.0,
            {"p": [0.0, 0.0, 4.0], "y": [0.0, 0.0, 0.0]},
        ),
    ),
    use="For the box offsets of a one-stage detector, in place of `smooth_l1`: offsets that are "
    "met already do not drown those that are not.",
    avoid="With a handful of boxes a batch: `smooth_l1` or `balanced_l1`.",
    checked="Loops over bins from the paper in NumPy, in float64.",
    related={
        "ghm_c": "the same of class scores",
        "smooth_l1": "without the weights",
        "balanced_l1": "weights small residuals by a formula, not by their number",
    },
)
def ghm_r(
    p: Tensor, y: Tensor, *, mu: Number = 0.02, bins: int = 10, mask: Tensor | None = None
) -> Tensor:
    """Smooth absolute error in which each length of gradient counts the same.

    Args:
        mu: the residual around which the error turns from a square into a line.
        bins: how finely lengths are told apart.

    Shape:
        p and y alike, any shape; one value for the batch.

    Example:
        `ghm_r(deltas, target)`
    """
    p, y = off_mask(mask, wide(p), wide(y))
    difference = p - y
    root = (difference * difference + mu * mu).sqrt()
    # The root less mu, with the digits of small residuals.
    cost = difference * difference / (root + mu)
    return harmonized(cost, difference.abs() / root, bins, mask)


@loss(
    "wiou_v3",
    signature="boxes[*S, 4], boxes[*S, 4] -> loss[*S]",
    family="boxes",
    values="[0, inf)",
    latex=r"\frac{\beta}{\delta\, \alpha^{\beta - \delta}} \exp\left(\frac{\rho^2(b, b^*)}"
    r"{(w_c^2 + h_c^2)^{*}}\right) (1 - \mathrm{IoU}), \quad \beta = \frac{1 - \mathrm{IoU}^{*}}"
    r"{\overline{1 - \mathrm{IoU}}}",
    reference=Reference(
        "Z. Tong, Y. Chen, Z. Xu and R. Yu",
        "Wise-IoU: Bounding Box Regression Loss with Dynamic Focusing Mechanism",
        2023,
        "2301.10051",
    ),
    ranges={"typical": "(0, inf)", "alpha": "(1, inf)", "delta": "(0, inf)"},
    conventions=(
        "typical is the usual value of 1 - IoU, which the paper follows by a running mean: a "
        "number that you set, or the batch's own mean as in the example.",
        "The weight and what is starred carry no gradient.",
        EMPTY,
    ),
    pitfalls=("typical is for `iou`, not for this loss: it falls as boxes get better.",),
    examples=(
        Example(
            "wiou_v3(p, y, typical=2/9, alpha=2, delta=3)",
            2 / 3 * 1.0799589994281866,
            {"p": [[0.0, 0.0, 2.0, 2.0]], "y": [[1.0, 0.0, 3.0, 2.0]]},
        ),
    ),
    use="For detectors trained on labels of mixed quality: boxes of middling fit are worked on, "
    "the best and the hopeless are left alone.",
    avoid="With clean labels, where hopeless boxes are worth the work: `ciou`, or `wiou` without "
    "the weight.",
    checked="Loops over the paper's formula in NumPy, in float64.",
    related={
        "wiou": "without the weight by the degree of being an outlier",
        "focal_eiou": "a weight that grows with the fit",
        "ghm_r": "a weight by the number of those alike",
    },
)
def wiou_v3(
    pred: Tensor,
    target: Tensor,
    *,
    typical: Number,
    alpha: Number = 1.9,
    delta: Number = 3.0,
) -> Tensor:
    """Wise-IoU with its focus on boxes that fit neither well nor hopelessly.

    Takes two tensors of boxes of equal shape `[..., 4]` and compares them pair by pair.

    Args:
        typical: the usual value of 1 - IoU.
        alpha: how narrow the focus is.
        delta: a box that is this many times worse than usual has the weight 1.

    Example:
        `wiou_v3(p, y, typical=detach(mean(iou(p, y))))`
    """
    intersection_over_union, _ = overlap(corners(pred), corners(target))
    usual = typical * torch.ones_like(intersection_over_union)
    outlying = ratio(1.0 - intersection_over_union.detach(), usual)
    base = alpha * torch.ones_like(outlying)
    return outlying / delta * base ** (delta - outlying) * wiou(pred, target)
