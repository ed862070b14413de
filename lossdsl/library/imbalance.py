"""Losses for rare classes: weights and margins that come from how often each class occurs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.library.chosen import at_label
from lossdsl.library.classification import OF_PROBABILITIES, along_classes
from lossdsl.library.guarded import log_prob
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
    use=(
        "Long tails with known counts: milder than weights of one over the count, which a beta "
        "near 1 approaches."
    ),
    avoid=(
        "Slight imbalance, where weights cost accuracy on the frequent classes: `ce`. Hundreds of "
        "classes, some of them mistaken for each other: `seesaw`."
    ),
    checked="The paper's formula in NumPy, on `torch.nn.functional.cross_entropy`.",
    related={
        "ce": "with class_weight, whose mean divides by the weights",
        "ldam": "margins in place of weights",
        "seesaw": "weighs pairs of classes",
    },
    identities=(
        ("class_balanced(p, y, counts=[9, 3, 1], beta=0)", "ce(p, y)"),
        ("class_balanced(p, y, counts=[5, 5, 5])", "ce(p, y)"),
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
    use=(
        "Long tails with a normalised last layer: rare classes get a wider margin; best with class "
        "weights that set in late."
    ),
    avoid=(
        "Plain scores, which its scale does not suit: `class_balanced` or `seesaw`. Classes of "
        "like size: `cosface`."
    ),
    checked="The paper's formula, sample by sample.",
    related={
        "cosface": "one margin for all classes",
        "class_balanced": "weights in place of margins",
        "seesaw": "for plain scores",
    },
    identities=(("ldam(p, y, counts=[9, 3, 1], margin=0)", "ce(30*p, y)"),),
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
    use=(
        "Detection and instance segmentation of hundreds of classes, in which samples of frequent "
        "ones keep pushing rare ones down."
    ),
    avoid=(
        "Few classes, or classes of like size: `ce`. Labels that occur together: "
        "`asymmetric_focal`."
    ),
    checked="The paper's formula, sample by sample, and its gradient in closed form.",
    related={
        "class_balanced": "weighs samples, not pairs of classes",
        "ldam": "margins, on cosines",
        "ce": "mitigation and compensation 0",
    },
    identities=(("seesaw(p, y, counts=[9, 3, 1], mitigation=0, compensation=0)", "ce(p, y)"),),
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
