"""Rare positives: binary cross entropies in which a few positives do not drown in negatives."""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.logistic import log_sigmoids
from lossdsl.functions.precision import wide
from lossdsl.library.classification import OF_PROBABILITIES
from lossdsl.library.guarded import log_complement, log_prob, power
from lossdsl.library.overlap import share
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss, overload

ASYMMETRIC = Reference(
    "T. Ridnik, E. Ben-Baruch, N. Zamir, A. Noy, I. Friedman, M. Protter and L. Zelnik-Manor",
    "Asymmetric Loss For Multi-Label Classification",
    2020,
    "2009.14119",
)


def asymmetric_of(
    log_p: Tensor,
    log_q: Tensor,
    y: Tensor,
    gamma_pos: Number,
    gamma_neg: Number,
    shift: Number,
) -> Tensor:
    """The loss from log p and log(1 - p). The shifted 1 - p is a sum, so that of 0 is exact."""
    shifted = (log_p.exp() - shift).relu()
    log_shift = torch.log(shift * torch.ones_like(log_q))
    log_rest = torch.logaddexp(log_q, log_shift).clamp(max=0)
    positive = y * torch.exp(gamma_pos * log_q) * log_p
    return -(positive + (1 - y) * power(shifted, gamma_neg) * log_rest)


@loss(
    "asymmetric_focal",
    signature="logits[*S], prob[*S] -> loss[*S]",
    family="classification",
    values="[0, inf)",
    aliases=("asl", "asymmetric_loss"),
    latex=r"-y (1 - q)^{\gamma_+} \log q - (1 - y)\, q_m^{\gamma_-} \log(1 - q_m), \quad"
    r" q = \sigma(p),\ q_m = \max(q - m, 0)",
    reference=ASYMMETRIC,
    ranges={"gamma_pos": "[0, inf)", "gamma_neg": "[0, inf)", "shift": "[0, 1)"},
    conventions=(
        "One value an element; the authors' code sums over batch and classes.",
        "Defaults are the paper's; the authors' code has gamma_pos=1.",
        "The focal weights carry a gradient; the authors' code can stop it.",
        *OF_PROBABILITIES,
    ),
    pitfalls=("Negatives below the shift have no gradient at all.",),
    examples=(
        Example("asymmetric_focal(p, y)", 0.6931471805599453, {"p": [0.0], "y": [1.0]}),
        Example(
            "asymmetric_focal(p, y, gamma_neg=2, shift=0.25)",
            0.017980129528236306,
            {"p": [0.0], "y": [0.0]},
        ),
    ),
    use=(
        "Many tags, most of them absent and some present but not marked: negatives below the shift "
        "cost nothing."
    ),
    avoid=(
        "Classes that exclude each other: `softmax_focal`. Dense detection: `focal`. Calibrated "
        "probabilities: `bce`."
    ),
    checked="The paper's formula, number by number.",
    related={
        "focal": "one exponent, and alpha in place of a shift",
        "bce": "without focus",
        "zlpr": "nothing to tune",
    },
    identities=(
        ("asymmetric_focal(p, y, gamma_neg=0, shift=0)", "bce(p, y)"),
        ("asymmetric_focal(p, y, gamma_pos=2, gamma_neg=2, shift=0)", "focal(p, y, alpha=none)"),
    ),
)
def asymmetric_focal(
    p: Tensor,
    y: Tensor,
    *,
    gamma_pos: Number = 0.0,
    gamma_neg: Number = 4.0,
    shift: Number = 0.05,
) -> Tensor:
    """Focal loss of many labels, of which most are absent: it turns away from easy negatives.

    Args:
        gamma_pos: how fast a positive loses weight as it is learnt.
        gamma_neg: how fast a negative does.
        shift: the probability below which a negative costs nothing.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `asymmetric_focal(p, tags, reduction='batchmean')`
    """
    return asymmetric_of(*log_sigmoids(p), y, gamma_pos, gamma_neg, shift)


@overload("asymmetric_focal", signature="prob[*S], prob[*S] -> loss[*S]")
def asymmetric_focal_of_prob(
    p: Tensor,
    y: Tensor,
    *,
    gamma_pos: Number = 0.0,
    gamma_neg: Number = 4.0,
    shift: Number = 0.05,
) -> Tensor:
    """Asymmetric focal loss of probabilities."""
    return asymmetric_of(log_prob(p), log_complement(p), y, gamma_pos, gamma_neg, shift)


def balanced_of(
    log_p: Tensor, log_q: Tensor, y: Tensor, beta: Number | None, mask: Tensor | None
) -> Tensor:
    """The mean of an image's kept elements, from log p and log(1 - p)."""
    kept = torch.ones_like(y) if mask is None else (mask > 0).to(y.dtype).expand_as(y)
    rows = (1,) * (y.ndim - 1)
    axes = tuple(range(1, y.ndim))

    def total(x: Tensor) -> Tensor:
        return wide(x).sum(axes) if axes else wide(x)

    count = total(kept)
    if beta is None:
        beta = share(total(kept * (1 - y)), count).detach().to(y.dtype).reshape(-1, *rows)
    cost = beta * y * log_p + (1 - beta) * (1 - y) * log_q
    return -share(total(torch.where(kept > 0, cost, 0.0)), count)


@loss(
    "balanced_bce",
    signature="logits[B, *S], prob[B, *S] -> loss[B]",
    family="classification",
    values="[0, inf)",
    aliases=("balance_ce", "balanced_cross_entropy"),
    latex=r"-\frac{1}{n} \sum \left[\beta\, y \log \sigma(p) + (1 - \beta) (1 - y) "
    r"\log(1 - \sigma(p))\right], \quad \beta = \frac{1}{n} \sum (1 - y)",
    reference=Reference(
        "S. Xie and Z. Tu", "Holistically-Nested Edge Detection", 2015, "1504.06375"
    ),
    ranges={"beta": "[0, 1]"},
    conventions=(
        "beta is the share of negatives among an image's kept elements, without gradient, where "
        "it is not given.",
        "The mean over an image, where the paper has the sum.",
        *OF_PROBABILITIES,
    ),
    pitfalls=("An image without positives has no loss: beta is 1 there.",),
    examples=(
        Example(
            "balanced_bce(p, y)",
            0.25993019270997947,
            {"p": [[0.0, 0.0, 0.0, 0.0]], "y": [[1.0, 0.0, 0.0, 0.0]]},
        ),
    ),
    mask="inside",
    use="Edges and other thin structures whose share differs from image to image.",
    avoid=(
        "Images without positives, which cost nothing here; and probabilities that are used as "
        "such, since positives are raised: `bce`. Regions: `dice`."
    ),
    checked="The paper's formula in NumPy, image by image.",
    related={
        "bce": "with pos_weight, one for all images",
        "dice": "indifferent to the background altogether",
        "focal": "weighs by difficulty",
    },
    identities=(
        ("balanced_bce(p, y, beta=0.5)", "0.5*bce(p, y)"),
        ("balanced_bce(p, y)", "balanced_bce(-p, 1 - y)"),
    ),
)
def balanced_bce(
    p: Tensor, y: Tensor, *, beta: Number | None = None, mask: Tensor | None = None
) -> Tensor:
    """Binary cross entropy in which an image's positives weigh as much as its negatives.

    Args:
        beta: the weight of positives; negatives have 1 - beta. None counts it in each image.

    Shape:
        p and y alike, batch first; one value an image.

    Example:
        `balanced_bce(edges, y)`
    """
    if mask is not None:
        p, y = torch.where(mask > 0, p, 0.0), torch.where(mask > 0, y, 0.0)
    return balanced_of(*log_sigmoids(p), y, beta, mask)


@overload("balanced_bce", signature="prob[B, *S], prob[B, *S] -> loss[B]")
def balanced_bce_of_prob(
    p: Tensor, y: Tensor, *, beta: Number | None = None, mask: Tensor | None = None
) -> Tensor:
    """Balanced binary cross entropy of probabilities."""
    if mask is not None:
        p, y = torch.where(mask > 0, p, 0.0), torch.where(mask > 0, y, 0.0)
    return balanced_of(log_prob(p), log_complement(p), y, beta, mask)
