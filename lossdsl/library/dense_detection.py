"""Losses of dense detectors: classification that knows how well a box fits, heat maps of centres,
and distances given as distributions over bins."""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.logistic import log_sigmoids
from lossdsl.functions.precision import wide
from lossdsl.library.classification import OF_PROBABILITIES, finite
from lossdsl.library.guarded import log_complement, log_prob, power
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss, overload

SCORES = "logits[*S], prob[*S] -> loss[*S]"
PROBS = "prob[*S], prob[*S] -> loss[*S]"

GENERALIZED_FOCAL = Reference(
    "X. Li, W. Wang, L. Wu, S. Chen, X. Hu, J. Li, J. Tang and J. Yang",
    "Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes for Dense Object "
    "Detection",
    2020,
    "2006.04388",
)


def quality_of(log_p: Tensor, log_q: Tensor, y: Tensor, beta: Number) -> Tensor:
    """The loss from log p and log(1 - p)."""
    return -power((y - log_p.exp()).abs(), beta) * (y * log_p + (1 - y) * log_q)


@loss(
    "quality_focal",
    signature=SCORES,
    family="detection",
    values="[0, inf)",
    aliases=("qfl",),
    latex=r"-\lvert y - \sigma(p) \rvert^{\beta} \left[y \log \sigma(p) + (1 - y) "
    r"\log(1 - \sigma(p))\right]",
    reference=GENERALIZED_FOCAL,
    ranges={"beta": "[0, inf)"},
    conventions=(
        "The target is the quality of the box (its IoU) at its class, and 0 at all others.",
        *OF_PROBABILITIES,
    ),
    pitfalls=("Detectors divide the sum by the number of positives: per=, not the mean.",),
    use=(
        "One-stage detectors whose class score is to say how well the box fits as well, so that"
        " ranking by score ranks by fit."
    ),
    avoid=(
        "Targets of 0 and 1 alone: it is `focal` without alpha there. Very few positives:"
        " `varifocal` lets only the negatives fade."
    ),
    checked="the paper's formula, element by element in plain Python",
    related={
        "focal": "for targets of 0 and 1",
        "varifocal": "positives weigh by their quality and do not fade",
        "distribution_focal": "the same paper's loss of a box's sides",
        "bce": "the same without the weight",
    },
    identities=(
        ("quality_focal(p, y, beta=0)", "bce(p, y)"),
        (
            "input p: logits[*S]; input y: mask[*S]; quality_focal(p, y)",
            "input p: logits[*S]; input y: mask[*S]; focal(p, y, alpha=none)",
        ),
    ),
    examples=(Example("quality_focal(p, y)", 0.17328679513998632, {"p": [0.0], "y": [1.0]}),),
)
def quality_focal(p: Tensor, y: Tensor, *, beta: Number = 2.0) -> Tensor:
    """Focal loss for targets between 0 and 1: 0 where the prediction equals the target.

    Args:
        beta: how fast an element loses weight as it comes closer; 0 is `bce`.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `quality_focal(p, quality, per=sum(quality > 0))`
    """
    return quality_of(*log_sigmoids(p), y, beta)


@overload("quality_focal", signature=PROBS)
def quality_focal_of_prob(p: Tensor, y: Tensor, *, beta: Number = 2.0) -> Tensor:
    """Quality focal loss of probabilities."""
    return quality_of(log_prob(p), log_complement(p), y, beta)


def varifocal_of(log_p: Tensor, log_q: Tensor, y: Tensor, alpha: Number, gamma: Number) -> Tensor:
    """The loss from log p and log(1 - p)."""
    positive = y * (y * log_p + (1 - y) * log_q)
    negative = alpha * torch.exp(gamma * log_p) * log_q
    return -torch.where(y > 0, positive, negative)


@loss(
    "varifocal",
    signature=SCORES,
    family="detection",
    values="[0, inf)",
    aliases=("vfl",),
    latex=r"\begin{cases} y\, \mathrm{bce}(p, y) & y > 0 \\ -\alpha\, \sigma(p)^{\gamma} "
    r"\log(1 - \sigma(p)) & y = 0 \end{cases}",
    reference=Reference(
        "H. Zhang, Y. Wang, F. Dayoub and N. Sünderhauf",
        "VarifocalNet: An IoU-aware Dense Object Detector",
        2020,
        "2008.13367",
    ),
    ranges={"alpha": "[0, inf)", "gamma": "[0, inf)"},
    conventions=(
        "alpha weighs the negatives, the opposite of focal.",
        "The focal weight carries a gradient.",
        *OF_PROBABILITIES,
    ),
    pitfalls=("Detectors divide the sum by the number of positives: per=, not the mean.",),
    use=(
        "Dense detectors that score a box by its overlap: positives weigh by that quality, and"
        " only negatives fade when easy."
    ),
    avoid=(
        "Boxes that are all poor, as early in training: positives hardly weigh; `quality_focal`"
        " treats both sides alike. Targets of 0 and 1: `focal`."
    ),
    checked="the paper's formula, element by element in plain Python",
    related={
        "quality_focal": "the distance to the target is the weight, on both sides",
        "focal": "for targets of 0 and 1",
        "bce": "the same without any weight",
    },
    identities=(
        (
            "input p: logits[*S]; input y: mask[*S]; varifocal(p, y, alpha=1, gamma=0)",
            "input p: logits[*S]; input y: mask[*S]; bce(p, y)",
        ),
    ),
    examples=(
        Example(
            "varifocal(p, y)",
            (0.6931471805599453 * (0.5 + 0.75 / 4)) / 2,
            {"p": [0.0, 0.0], "y": [0.5, 0.0]},
        ),
    ),
)
def varifocal(p: Tensor, y: Tensor, *, alpha: Number = 0.75, gamma: Number = 2.0) -> Tensor:
    """Cross entropy with the quality of a box: positives weigh by it, negatives fade when easy.

    Args:
        alpha: the weight of a negative.
        gamma: how fast a negative loses weight as it is learnt.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `varifocal(p, quality, per=sum(quality > 0))`
    """
    return varifocal_of(*log_sigmoids(p), y, alpha, gamma)


@overload("varifocal", signature=PROBS)
def varifocal_of_prob(p: Tensor, y: Tensor, *, alpha: Number = 0.75, gamma: Number = 2.0) -> Tensor:
    """Varifocal loss of probabilities."""
    return varifocal_of(log_prob(p), log_complement(p), y, alpha, gamma)


def heat_map_of(log_p: Tensor, log_q: Tensor, y: Tensor, alpha: Number, beta: Number) -> Tensor:
    """The loss from log p and log(1 - p)."""
    peak = torch.exp(alpha * log_q) * log_p
    around = power((1 - y).clamp(min=0), beta) * torch.exp(alpha * log_p) * log_q
    return -torch.where(y >= 1, peak, around)


@loss(
    "gaussian_focal",
    signature=SCORES,
    family="detection",
    values="[0, inf)",
    aliases=("penalty_reduced_focal",),
    latex=r"\begin{cases} -(1 - q)^{\alpha} \log q & y = 1 \\ -(1 - y)^{\beta} q^{\alpha} "
    r"\log(1 - q) & y < 1 \end{cases}, \quad q = \sigma(p)",
    reference=Reference(
        "H. Law and J. Deng",
        "CornerNet: Detecting Objects as Paired Keypoints",
        2018,
        "1808.01244",
    ),
    ranges={"alpha": "[0, inf)", "beta": "[0, inf)"},
    conventions=("alpha and beta are exponents, not weights.", *OF_PROBABILITIES),
    pitfalls=(
        "Detectors divide the sum by the number of peaks: per=sum(y == 1), not the mean.",
        "Only a target of exactly 1 is a peak: heat maps that were resized have none.",
    ),
    use=(
        "Heat maps of centres or keypoints (CornerNet, CenterNet), with a bump that is exactly 1"
        " at each object."
    ),
    avoid=(
        "Heat maps without an exact 1, as after resizing: all of it counts as negative;"
        " `quality_focal` or `mse` take any target."
    ),
    checked="the paper's formula, element by element in plain Python",
    related={
        "focal": "without bumps around the positives",
        "quality_focal": "a target between 0 and 1 is what to reach, not how near a peak is",
    },
    identities=(
        (
            "input p: logits[*S]; input y: mask[*S]; gaussian_focal(p, y)",
            "input p: logits[*S]; input y: mask[*S]; focal(p, y, alpha=none)",
        ),
    ),
    examples=(
        Example(
            "gaussian_focal(p, y)",
            0.6931471805599453 * (0.25 + 0.25 / 16) / 2,
            {"p": [0.0, 0.0], "y": [1.0, 0.5]},
        ),
    ),
)
def gaussian_focal(p: Tensor, y: Tensor, *, alpha: Number = 2.0, beta: Number = 4.0) -> Tensor:
    """Focal loss of heat maps: around a peak, false positives cost less.

    Args:
        alpha: how fast an element loses weight as it is learnt.
        beta: how fast the cost of a false positive grows with the distance from a peak.

    Shape:
        p and y alike, any shape, y with a 1 at each object; one value an element.

    Example:
        `gaussian_focal(p, heat, per=sum(heat == 1))`
    """
    return heat_map_of(*log_sigmoids(p), y, alpha, beta)


@overload("gaussian_focal", signature=PROBS)
def gaussian_focal_of_prob(
    p: Tensor, y: Tensor, *, alpha: Number = 2.0, beta: Number = 4.0
) -> Tensor:
    """Gaussian focal loss of probabilities."""
    return heat_map_of(log_prob(p), log_complement(p), y, alpha, beta)


@loss(
    "distribution_focal",
    signature="class_logits|class_log_prob[B, C, *S], real[B, *S] -> loss[B, *S]",
    family="detection",
    values="[0, inf)",
    aliases=("dfl",),
    latex=r"-(i + 1 - y) \log q_i - (y - i) \log q_{i + 1}, \quad i = \lfloor y \rfloor,\ q = "
    r"\mathrm{softmax}(p)",
    reference=GENERALIZED_FOCAL,
    conventions=(
        "The classes are bins at 0, 1, …, C - 1; targets beyond them are moved to the nearest.",
        *OF_PROBABILITIES,
    ),
    pitfalls=("Targets are in units of bins: distances in pixels are divided by the stride.",),
    use=(
        "The sides of a box as a softmax over bins, where borders are blurred or hidden: the"
        " spread says how sure the network is."
    ),
    avoid=(
        "Sides that are plain numbers: `smooth_l1` or `l1`. Alone: it sees each side, not the"
        " box; add `giou` or `ciou`."
    ),
    checked="the paper's formula, row by row in plain Python",
    related={
        "ce": "the same of whole distances",
        "quality_focal": "the same paper's loss of the class score",
        "smooth_l1": "of sides that are numbers",
    },
    identities=(
        (
            "input p: class_logits[B, C, *S]; input y: labels[B, *S]; "
            "distribution_focal(p, real(y), mask=(y >= 0))",
            "ce(p, y)",
        ),
    ),
    examples=(
        Example(
            "distribution_focal(class_prob(p), y)",
            0.75 * 1.3862943611198906 + 0.25 * 0.6931471805599453,
            {"p": [[0.25, 0.5, 0.25]], "y": [0.25]},
        ),
    ),
)
def distribution_focal(p: Tensor, y: Tensor) -> Tensor:
    """Cross entropy of a distribution over bins with the two bins around a number.

    Shape:
        p has the bins as class axis, y is numbers without it; one value a position.

    Example:
        `distribution_focal(p, distance/stride)`
    """
    bins = p.shape[1]
    places = torch.arange(bins, device=p.device, dtype=p.dtype)
    places = places.reshape(-1, *[1] * (p.ndim - 2))
    share = (1 - (y.clamp(0, bins - 1).unsqueeze(1) - places).abs()).relu()
    return -wide(share * finite(p)).sum(1)


@overload("distribution_focal", signature="class_prob[B, C, *S], real[B, *S] -> loss[B, *S]")
def distribution_focal_of_prob(p: Tensor, y: Tensor) -> Tensor:
    """Distribution focal loss of class probabilities."""
    return distribution_focal(log_prob(p), y)
