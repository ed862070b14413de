"""Compounds of overlap and cross entropy that share pixels and parameters.

A plain sum of two losses needs none of them: `bce(p, y) + dice(p, y)` is one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.logistic import log_sigmoids
from lossdsl.functions.precision import wide
from lossdsl.library.classification import finite
from lossdsl.library.embedding import guarded_root
from lossdsl.library.guarded import log_complement, log_prob, mean_over, power
from lossdsl.library.overlap import share
from lossdsl.library.overlap_sums import overlap_sums
from lossdsl.library.record import Example, Number, Reference, Vector
from lossdsl.library.regions import MASKED, pixels, without
from lossdsl.library.registry import loss, overload
from lossdsl.library.tversky import tversky_of

OF_SCORES = "class_logits|class_log_prob[B, C, *S], labels|one_hot|class_prob[B, C, *S] -> loss[B]"
OF_PROBS = "class_prob[B, C, *S], labels|one_hot|class_prob[B, C, *S] -> loss[B]"


def exclusive_dice(p: Tensor, y: Tensor, smooth: Number) -> Tensor:
    """Dice loss per image and class."""
    both, prediction, target = overlap_sums(p, y, None, "image", False, True)
    whole = prediction + target
    return share(whole - 2 * both, whole + smooth)


def combo_of(
    log_p: Tensor,
    log_q: Tensor,
    y: Tensor,
    parameters: tuple[Number, Number, Number],
    kept: Tensor,
) -> Tensor:
    """The loss from log p and log(1 - p), over the kept pixels of an image and class."""
    alpha, beta, smooth = parameters
    cost = torch.where(kept > 0, -(beta * y * log_p + (1 - beta) * (1 - y) * log_q), 0.0)
    sums = overlap_sums(cost, kept, None, "image", False, True)
    dice = exclusive_dice(kept * log_p.exp(), y, smooth)
    return alpha * share(sums.both, sums.target) + (1 - alpha) * dice


@loss(
    "combo",
    signature="logits[B, C, *S], prob[B, C, *S] -> loss[B, C]",
    family="overlap",
    values="[0, inf)",
    latex=r"-\frac{\alpha}{n} \sum \left[\beta\, y \log q + (1 - \beta) (1 - y) \log(1 - q)"
    r"\right] + (1 - \alpha) \left(1 - \frac{2 \sum q y + s}{\sum q + \sum y + s}\right), \quad "
    r"q = \sigma(p)",
    reference=Reference(
        "S. A. Taghanaki, Y. Zheng, S. K. Zhou, B. Georgescu, P. Sharma, D. Xu, D. Comaniciu and "
        "G. Hamarneh",
        "Combo Loss: Handling Input and Output Imbalance in Multi-Organ Segmentation",
        2018,
        "1805.02798",
    ),
    ranges={"alpha": "[0, 1]", "beta": "[0, 1]", "smooth": "[0, inf)"},
    conventions=(
        "The Dice loss is added where the paper subtracts the coefficient: 1 - alpha more, so "
        "never below 0.",
        "alpha weighs cross entropy against Dice, beta misses against false alarms.",
        MASKED,
    ),
    examples=(
        Example(
            "combo(prob(p), y, smooth=0)",
            0.25 * 0.6931471805599453 + 0.25,
            {"p": [[[0.5, 0.5]]], "y": [[[1.0, 0.0]]]},
        ),
    ),
    mask="inside",
    class_weight="classes",
    use=(
        "Organs of uneven size of which misses and false alarms have unlike prices: beta sets "
        "those, Dice looks after the size."
    ),
    avoid=(
        "Equal prices, or classes that exclude each other: a plain sum of `dice` with `bce` or "
        "`ce` shows its weights."
    ),
    checked="The paper's formula in NumPy, image by image.",
    related={
        "dice": "alpha = 0",
        "bce": "half of it is this at alpha = 1",
        "unified_focal": "focal forms of both",
    },
    identities=(
        ("combo(p, y)", "0.25*bce(p, y) + 0.5*dice(p, y)"),
        ("combo(p, y, alpha=0)", "dice(p, y)"),
    ),
)
def combo(
    p: Tensor,
    y: Tensor,
    *,
    alpha: Number = 0.5,
    beta: Number = 0.5,
    smooth: Number = 1e-5,
    mask: Tensor | None = None,
) -> Tensor:
    """Weighted binary cross entropy and Dice of the same masks.

    Args:
        alpha: the share of the cross entropy; Dice has the rest.
        beta: the weight of misses in the cross entropy; false alarms have the rest.
        smooth: added to numerator and denominator of Dice.

    Shape:
        p and y with the class axis; one value an image and class.

    Example:
        `combo(p, y, beta=0.4)`
    """
    p, y = without(mask, p, y)
    log_p, log_q = log_sigmoids(p)
    return combo_of(log_p, log_q, y, (alpha, beta, smooth), pixels(mask, p))


@overload("combo", signature="prob[B, C, *S], prob[B, C, *S] -> loss[B, C]")
def combo_of_prob(
    p: Tensor,
    y: Tensor,
    *,
    alpha: Number = 0.5,
    beta: Number = 0.5,
    smooth: Number = 1e-5,
    mask: Tensor | None = None,
) -> Tensor:
    """Combo loss of probabilities."""
    p, y = without(mask, p, y)
    log_p, log_q = log_prob(p), log_complement(p)
    return combo_of(log_p, log_q, y, (alpha, beta, smooth), pixels(mask, p))


def exp_log_of(
    p: Tensor,
    log_p: Tensor,
    y: Tensor,
    parameters: tuple[Number, Number, Number, Number],
    frequency: Vector | None,
    mask: Tensor | None,
) -> Tensor:
    """The loss from p and log p, with the classes of an image averaged."""
    dice_share, gamma_dice, gamma_ce, smooth = parameters
    kept = pixels(mask, p)
    region = power(-log_complement(exclusive_dice(kept * p, kept * y, smooth)), gamma_dice).mean(1)
    cost = power(-(y * finite(log_p)).sum(1), gamma_ce)
    if frequency is not None:
        often = torch.as_tensor(frequency, dtype=p.dtype, device=p.device)
        weight = guarded_root(often.sum() / often, 2).reshape(-1, *[1] * (p.ndim - 2))
        cost = (y * weight).sum(1) * cost
    space = tuple(range(1, cost.ndim))
    shown = kept[:, 0]
    cost, count = wide(cost * shown), wide(shown)
    if space:
        cost, count = cost.sum(space), count.sum(space)
    return dice_share * region + (1 - dice_share) * share(cost, count)


@loss(
    "exp_log",
    signature=OF_SCORES,
    family="overlap",
    values="[0, inf)",
    aliases=("exponential_logarithmic",),
    latex=r"w\, \frac{1}{C} \sum_c \left(-\log \mathrm{Dice}_c\right)^{\gamma_D} + (1 - w)\, "
    r"\frac{1}{n} \sum w_y \left(-\log q_y\right)^{\gamma_C}, \quad q = \mathrm{softmax}(p)",
    reference=Reference(
        "K. C. L. Wong, M. Moradi, H. Tang and T. Syeda-Mahmood",
        "3D Segmentation with Exponential Logarithmic Loss for Highly Unbalanced Object Sizes",
        2018,
        "1809.00076",
    ),
    ranges={
        "dice_share": "[0, 1]",
        "gamma_dice": "(0, inf)",
        "gamma_ce": "(0, inf)",
        "smooth": "[0, inf)",
        "frequency": "(0, inf)",
    },
    conventions=(
        "Class weights are (sum of frequencies / frequency)^0.5; without frequencies they are 1.",
        "smooth is 1, as in the paper.",
        "A perfect match has gradient 0, though a power below 1 has an infinite slope there.",
        MASKED,
    ),
    examples=(
        Example(
            "exp_log(class_prob(p), y, gamma_dice=1, gamma_ce=1, smooth=0)",
            0.6931471805599453,
            {"p": [[[0.5, 0.5], [0.5, 0.5]]], "y": [[0, 1]]},
        ),
    ),
    mask="inside",
    lengths={"C": "frequency"},
    use=(
        "Volumes whose smallest structures stay poor: powers below 1 keep the slope up where a "
        "class is nearly right."
    ),
    avoid="Objects of like size, where a sum of `ce` and `dice` has fewer numbers to tune.",
    checked="The paper's formula in NumPy, image by image.",
    related={
        "focal_tversky": "a power of the overlap, without a logarithm",
        "unified_focal": "focal forms of both parts",
        "ce": "its other part with gamma_ce = 1",
    },
    identities=(("exp_log(p, y, dice_share=0, gamma_ce=1)", "ce(p, y)"),),
)
def exp_log(
    p: Tensor,
    y: Tensor,
    *,
    dice_share: Number = 0.8,
    gamma_dice: Number = 0.3,
    gamma_ce: Number = 0.3,
    smooth: Number = 1.0,
    frequency: Vector | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Powers of the logarithms of Dice and of the label's probability, mixed.

    Args:
        dice_share: the weight of the Dice part; the cross entropy has the rest.
        gamma_dice: below 1 the last bit of overlap counts more.
        gamma_ce: the same for the cross entropy.
        smooth: added to numerator and denominator of Dice.
        frequency: how often each class occurs, in any unit.

    Shape:
        p has the class axis, y too or is labels without it; one value an image.

    Example:
        `exp_log(p, y, frequency=[0.9, 0.09, 0.01])`
    """
    y = y if mask is None else torch.where(mask > 0, y, 0.0)
    log_p = p if mask is None else torch.where(mask > 0, p, 0.0)
    parameters = (dice_share, gamma_dice, gamma_ce, smooth)
    return exp_log_of(log_p.exp(), log_p, y, parameters, frequency, mask)


@overload("exp_log", signature=OF_PROBS, lengths={"C": "frequency"})
def exp_log_of_prob(
    p: Tensor,
    y: Tensor,
    *,
    dice_share: Number = 0.8,
    gamma_dice: Number = 0.3,
    gamma_ce: Number = 0.3,
    smooth: Number = 1.0,
    frequency: Vector | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Exponential logarithmic loss of class probabilities."""
    p, y = without(mask, p, y)
    parameters = (dice_share, gamma_dice, gamma_ce, smooth)
    return exp_log_of(p, log_prob(p), y, parameters, frequency, mask)


def unified_of(
    p: Tensor,
    log_p: Tensor,
    y: Tensor,
    parameters: tuple[Number, Number, Number, Number],
    mask: Tensor | None,
) -> Tensor:
    """The loss from p and log p; class 0 is the background."""
    weight, delta, gamma, smooth = parameters
    kept = pixels(mask, p)
    p, y = kept * p, kept * y
    ce = -y * finite(log_p)
    fade = power((1 - p[:, :1]).clamp(min=0), gamma)
    focal = torch.cat(((1 - delta) * fade * ce[:, :1], delta * ce[:, 1:]), 1)
    sums = overlap_sums(p, y, None, "image", False, True)
    wrong = tversky_of(sums, 1 - delta, delta, smooth, False)
    region = torch.cat((wrong[:, :1], power(wrong[:, 1:], 1 - gamma)), 1)
    pixelwise = wide(focal.sum(1))
    shown = wide(kept[:, 0])
    space = tuple(range(1, pixelwise.ndim))
    if space:
        pixelwise, shown = pixelwise.sum(space), shown.sum(space)
    return weight * share(pixelwise, shown) + (1 - weight) * mean_over(region, [1])


@loss(
    "unified_focal",
    signature=OF_SCORES,
    family="overlap",
    values="[0, inf)",
    latex=(
        r"\lambda\, \frac{1}{n} \sum \left[-(1 - \delta) (1 - q_0)^{\gamma} y_0 \log q_0 - \delta"
        r"\sum_{c > 0} y_c \log q_c\right] + \frac{1 - \lambda}{C} \left[T_0 + \sum_{c > 0} "
        r"T_c^{1 - \gamma}\right], \quad T = \mathrm{tversky}(1 - \delta, \delta)"
    ),
    reference=Reference(
        "M. Yeung, E. Sala, C.-B. Schönlieb and L. Rundo",
        "Unified Focal loss: Generalising Dice and cross entropy-based losses to handle class "
        "imbalanced medical image segmentation",
        2021,
        "2102.04525",
    ),
    ranges={
        "weight_ce": "[0, 1]",
        "delta": "[0, 1]",
        "gamma": "[0, 1)",
        "smooth": "[0, inf)",
    },
    conventions=(
        "The asymmetric form: the background is suppressed in the cross entropy, the other "
        "classes are enhanced in the Tversky part. Class 0 is the background.",
        MASKED,
    ),
    examples=(
        Example(
            "unified_focal(class_prob(p), y, gamma=0, delta=0.5, smooth=0)",
            0.25 * 0.6931471805599453 + 0.25,
            {"p": [[[0.5, 0.5], [0.5, 0.5]]], "y": [[0, 1]]},
        ),
    ),
    mask="inside",
    use=(
        "Imbalanced medical masks, with three numbers in place of those of `softmax_focal` and "
        "`focal_tversky`."
    ),
    avoid=(
        "Classes of which none is a background, since it treats class 0 apart; and slight "
        "imbalance: a sum of `ce` and `dice`."
    ),
    checked="`monai.losses.AsymmetricUnifiedFocalLoss`, and the paper's formula in NumPy.",
    related={
        "focal_tversky": "its overlap part, but for the background",
        "softmax_focal": "fades every class, not the background alone",
        "combo": "without focus",
    },
    identities=(
        ("unified_focal(p, y, weight_ce=0, gamma=0)", "tversky(p, labels(y), fp=0.4, fn=0.6)"),
        ("unified_focal(p, y, weight_ce=1, delta=0.5, gamma=0)", "0.5*ce(p, y)"),
    ),
)
def unified_focal(
    p: Tensor,
    y: Tensor,
    *,
    weight_ce: Number = 0.5,
    delta: Number = 0.6,
    gamma: Number = 0.5,
    smooth: Number = 1e-5,
    mask: Tensor | None = None,
) -> Tensor:
    """Focal cross entropy and focal Tversky with one set of parameters.

    Args:
        weight_ce: the share of the cross entropy; the Tversky part has the rest.
        delta: how much a missed foreground counts, against false alarms.
        gamma: how strongly the background fades and the foreground is enhanced.
        smooth: added to numerator and denominator of the Tversky index.

    Shape:
        p has the class axis, y too or is labels without it; one value an image.

    Example:
        `unified_focal(p, y, delta=0.7)`
    """
    y = y if mask is None else torch.where(mask > 0, y, 0.0)
    log_p = p if mask is None else torch.where(mask > 0, p, 0.0)
    return unified_of(log_p.exp(), log_p, y, (weight_ce, delta, gamma, smooth), mask)


@overload("unified_focal", signature=OF_PROBS)
def unified_focal_of_prob(
    p: Tensor,
    y: Tensor,
    *,
    weight_ce: Number = 0.5,
    delta: Number = 0.6,
    gamma: Number = 0.5,
    smooth: Number = 1e-5,
    mask: Tensor | None = None,
) -> Tensor:
    """Unified focal loss of class probabilities."""
    p, y = without(mask, p, y)
    return unified_of(p, log_prob(p), y, (weight_ce, delta, gamma, smooth), mask)
