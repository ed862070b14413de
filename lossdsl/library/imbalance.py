"""Losses for rare classes: weights and margins that come from how often each class occurs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.classification import OF_PROBABILITIES, along_classes, at_label
from lossdsl.library.guarded import log_complement, log_prob, power
from lossdsl.library.overlap import share
from lossdsl.library.record import Example, Number, Reference, Vector
from lossdsl.library.registry import loss, overload

COUNTED = {"C": "counts"}
OF_COUNTS = "A class that never occurs counts as one that occurs once."

SCORES = "class_logits[B, C, *S], labels[B, *S] -> loss[B, *S]"
LOG_PROBS = "class_logits|class_log_prob[B, C, *S], labels[B, *S] -> loss[B, *S]"
PROBS = "class_prob[B, C, *S], labels[B, *S] -> loss[B, *S]"


def occurrences(counts: Vector, like: Tensor) -> Tensor:
    """How often each class occurs, at least once."""
    return torch.as_tensor(counts, dtype=like.dtype, device=like.device).clamp(min=1)


def effective_weights(counts: Vector, beta: Number, like: Tensor) -> Tensor:
    """One over the effective number of samples of each class, scaled to a mean of 1."""
    occurring = occurrences(counts, like)
    # 1 - beta^n has few digits left where beta is close to 1.
    lost = (1 - beta) * torch.ones_like(occurring)
    weights = lost / -torch.expm1(occurring * torch.log1p(-lost))
    return weights / weights.mean()


@loss(
    "class_balanced",
    signature=LOG_PROBS,
    lengths=COUNTED,
    family="classification",
    values="[0, inf)",
    aliases=("class_balanced_ce",),
    latex=r"-w_y \log \mathrm{softmax}(p)_y, \quad w_c \propto \frac{1 - \beta}{1 - \beta^{n_c}},"
    r"\ \sum_c w_c = C",
    reference=Reference(
        "Y. Cui, M. Jia, T.-Y. Lin, Y. Song and S. Belongie",
        "Class-Balanced Loss Based on Effective Number of Samples",
        2019,
        "1901.05555",
    ),
    ranges={"beta": "[0, 1)"},
    conventions=(
        "The weights belong to the map: the mean divides by the number of positions. For the mean "
        "over weights give them as class_weight to ce.",
        OF_COUNTS,
        *OF_PROBABILITIES,
    ),
    examples=(
        Example(
            "class_balanced(p, y, counts=[1, 3], beta=0.5)",
            0.8821873207126576,
            {"p": [[0.0, 0.0]], "y": [0]},
        ),
    ),
)
def class_balanced(p: Tensor, y: Tensor, *, counts: Vector, beta: Number = 0.9999) -> Tensor:
    """Cross entropy in which a class weighs by the inverse of its effective number of samples.

    Args:
        counts: how many training samples each class has.
        beta: 0 weighs all classes alike, near 1 by the inverse of their counts.

    Shape:
        p has the class axis, y is labels without it; one value a position.

    Example:
        `class_balanced(p, y, counts=[5000, 500, 50])`
    """
    return -effective_weights(counts, beta, p)[y] * at_label(p, y)


@overload("class_balanced", signature=PROBS, lengths=COUNTED)
def class_balanced_of_prob(
    p: Tensor, y: Tensor, *, counts: Vector, beta: Number = 0.9999
) -> Tensor:
    """Class-balanced cross entropy of class probabilities."""
    return -effective_weights(counts, beta, p)[y] * log_prob(at_label(p, y))


@loss(
    "ldam",
    signature=SCORES,
    lengths=COUNTED,
    family="classification",
    values="[0, inf)",
    latex=r"-\log \mathrm{softmax}(s (p - \Delta_y e_y))_y, \quad \Delta_c = m \left("
    r"\frac{\min n}{n_c}\right)^{1/4}",
    reference=Reference(
        "K. Cao, C. Wei, A. Gaidon, N. Arechiga and T. Ma",
        "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        2019,
        "1906.07413",
    ),
    ranges={"margin": "[0, inf)", "scale": "(0, inf)"},
    conventions=("The rarest class has the whole margin.", OF_COUNTS),
    pitfalls=("Scores are cosines between features and class weights, in [-1, 1].",),
    examples=(
        Example(
            "ldam(p, y, counts=[1, 16], margin=0.5, scale=1)",
            0.9740769841801067,
            {"p": [[0.0, 0.0]], "y": [0]},
        ),
    ),
    class_weight="labels",
)
def ldam(
    p: Tensor, y: Tensor, *, counts: Vector, margin: Number = 0.5, scale: Number = 30.0
) -> Tensor:
    """Cross entropy with a margin that is wider for rarer classes.

    Args:
        counts: how many training samples each class has.
        margin: by how much the rarest class should lead.
        scale: what the scores are multiplied by after the margin.

    Shape:
        p has the class axis, y is labels without it; one value a position.

    Example:
        `ldam(cosines, y, counts=[5000, 500, 50])`
    """
    occurring = occurrences(counts, p)
    margins = margin * (occurring.amin() / occurring) ** 0.25
    numbers = torch.arange(p.shape[1], device=p.device).reshape(-1, *[1] * (p.ndim - 2))
    own = numbers == y.unsqueeze(1)
    held = torch.where(own, p - along_classes(margins, p), p)
    return -at_label(F.log_softmax(scale * held, 1), y)


@loss(
    "seesaw",
    signature=SCORES,
    lengths=COUNTED,
    family="classification",
    values="[0, inf)",
    latex=r"-\log \frac{e^{p_y}}{\sum_c S_c e^{p_c}}, \quad S_c = \min\left(1, \frac{n_c}{n_y}"
    r"\right)^{a} \max\left(1, \frac{q_c}{q_y}\right)^{b}",
    reference=Reference(
        "J. Wang, W. Zhang, Y. Zang, Y. Cao, J. Pang, T. Gong, K. Chen, Z. Liu, C. C. Loy and "
        "D. Lin",
        "Seesaw Loss for Long-Tailed Instance Segmentation",
        2021,
        "2008.10032",
    ),
    ranges={"mitigation": "[0, inf)", "compensation": "[0, inf)", "eps": "(0, 1]"},
    conventions=(
        "The counts are given; the paper counts the labels seen so far.",
        "The factors S carry no gradient.",
        "A probability of the label below eps counts as eps in S, as in mmdetection.",
        "Without the paper's separate objectness branch.",
        OF_COUNTS,
    ),
    examples=(
        Example(
            "seesaw(p, y, counts=[4, 1], mitigation=0.5)",
            0.4054651081081644,
            {"p": [[0.0, 0.0]], "y": [0]},
        ),
    ),
    class_weight="labels",
)
def seesaw(
    p: Tensor,
    y: Tensor,
    *,
    counts: Vector,
    mitigation: Number = 0.8,
    compensation: Number = 2.0,
    eps: Number = 1e-2,
) -> Tensor:
    """Cross entropy in which samples of frequent classes push rare ones down less.

    Args:
        counts: how many training samples each class has.
        mitigation: how much less a rarer class is pushed down; 0 leaves all alike.
        compensation: how much more a class is pushed down that is mistaken for the label.
        eps: the least probability of the label that the compensation knows.

    Shape:
        p has the class axis, y is labels without it; one value a position.

    Example:
        `seesaw(p, y, counts=[5000, 500, 50])`
    """
    frequency = occurrences(counts, p).log()
    rarer = (along_classes(frequency, p) - frequency[y].unsqueeze(1)).clamp(max=0)
    log_q = F.log_softmax(p.detach(), 1)
    least = torch.log(eps * torch.ones_like(frequency[:1]))
    own = torch.maximum(at_label(log_q, y).unsqueeze(1), least)
    mistaken = (log_q - own).clamp(min=0)
    return -at_label(F.log_softmax(p + mitigation * rarer + compensation * mistaken, 1), y)


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
    return asymmetric_of(F.logsigmoid(p), F.logsigmoid(-p), y, gamma_pos, gamma_neg, shift)


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
    return balanced_of(F.logsigmoid(p), F.logsigmoid(-p), y, beta, mask)


@overload("balanced_bce", signature="prob[B, *S], prob[B, *S] -> loss[B]")
def balanced_bce_of_prob(
    p: Tensor, y: Tensor, *, beta: Number | None = None, mask: Tensor | None = None
) -> Tensor:
    """Balanced binary cross entropy of probabilities."""
    if mask is not None:
        p, y = torch.where(mask > 0, p, 0.0), torch.where(mask > 0, y, 0.0)
    return balanced_of(log_prob(p), log_complement(p), y, beta, mask)
