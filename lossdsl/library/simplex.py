"""Predicted distributions that are made of scores in another way than by a softmax: with exact
zeros, or with heavy tails. Each comes with the loss that fits it.

A distribution is found by its threshold, the number that is taken off all scores so that
probabilities sum to 1. It is looked for without gradient; what is made of it is a formula, so that
derivatives of any order are those of the exact threshold.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.chosen import at_label
from lossdsl.library.classification import along_classes
from lossdsl.library.guarded import floored, log_prob
from lossdsl.library.limits import expm1_ratio, log1p_ratio
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss, overload

OF_LABELS = "class_logits[B, C, *S], labels[B, *S] -> loss[B, *S]"
OF_SHARES = "class_logits[B, C, *S], class_prob[B, C, *S] -> loss[B, *S]"

ENOUGH = 6
"""Steps that find a threshold to the last digit: each doubles the digits once it is near."""


def ranked(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Scores in descending order along axis 1, and how many each is the last of."""
    ordered = scores.detach().sort(dim=1, descending=True).values
    count = torch.arange(1, scores.shape[1] + 1, device=scores.device, dtype=scores.dtype)
    return ordered, count.reshape(-1, *[1] * (scores.ndim - 2))


def shifted(scores: Tensor) -> Tensor:
    """Scores around the largest: a distribution does not change, and its digits are kept."""
    return wide(scores) - wide(scores).detach().amax(1, keepdim=True)


def chosen_mean(scores: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of the chosen scores along axis 1, and how many they are."""
    count = chosen.to(scores.dtype).sum(1, keepdim=True)
    return torch.where(chosen, scores, 0.0).sum(1, keepdim=True) / count, count


def sparsest(scores: Tensor) -> Tensor:
    """The point of the simplex that is nearest to the scores."""
    ordered, count = ranked(scores)
    size = (count * ordered > ordered.cumsum(1) - 1).sum(1, keepdim=True).clamp(min=1)
    chosen = scores >= ordered.gather(1, size - 1)
    mean, count = chosen_mean(scores, chosen)
    return (scores - mean + 1 / count).relu()


def half_sparse(scores: Tensor) -> Tensor:
    """Roots of the probabilities of 1.5-entmax: what half the scores exceed a threshold by, with
    squares that sum to 1."""
    halves = scores / 2
    ordered, count = ranked(halves)
    mean = ordered.cumsum(1) / count
    spread = (ordered * ordered).cumsum(1) - count * mean * mean
    below = mean - ((1 - spread) / count).clamp(min=0).sqrt()
    size = (below <= ordered).sum(1, keepdim=True).clamp(min=1)
    chosen = halves >= ordered.gather(1, size - 1)
    mean, count = chosen_mean(halves, chosen)
    away = torch.where(chosen, halves - mean, 0.0)
    room = (1 - (away * away).sum(1, keepdim=True)) / count
    return (halves - mean + room.sqrt()).relu()


def sparse_parts(scores: Tensor) -> tuple[Tensor, Tensor]:
    """A sparse distribution, and half of what its squares lack to 1."""
    p = sparsest(scores)
    return p, 0.5 * (1 - (p * p).sum(1))


def half_sparse_parts(scores: Tensor) -> tuple[Tensor, Tensor]:
    """A 1.5-entmax distribution, and its Tsallis entropy."""
    root = half_sparse(scores)
    p = root * root
    return p, (1 - (p * root).sum(1)) / 0.75


Parts = Callable[[Tensor], tuple[Tensor, Tensor]]


def label_cost(scores: Tensor, y: Tensor, parts: Parts) -> Tensor:
    """The loss that fits a distribution, of a label: its gradient is p less the label."""
    scores = shifted(scores)
    p, entropy = parts(scores)
    return floored((p * (scores - at_label(scores, y).unsqueeze(1))).sum(1) + entropy, 0.0)


def share_cost(scores: Tensor, y: Tensor, entropy_of: Tensor, parts: Parts) -> Tensor:
    """The loss that fits a distribution, of a target distribution with its own entropy."""
    scores = shifted(scores)
    p, entropy = parts(scores)
    return floored(((p - y) * scores).sum(1) + entropy - entropy_of, 0.0)


def weighed(cost: Tensor, y: Tensor, class_weight: Tensor | None) -> Tensor:
    """A cost times the mean class weight of its target distribution."""
    return cost if class_weight is None else cost * (along_classes(class_weight, y) * y).sum(1)


FENCHEL_YOUNG = (
    "The Fenchel-Young loss of the distribution p*: its gradient is p* less the target.",
    "A lead of the label that makes p* certain costs nothing and has no gradient.",
)

SOFT_WEIGHTS = "Of a target distribution a class weight is the mean of those of its classes."


@loss(
    "sparsemax",
    signature=OF_LABELS,
    family="classification",
    values="[0, inf)",
    latex=r"\langle p, p^* - e_y \rangle + \tfrac12 \left(1 - \lVert p^* \rVert^2\right), \quad "
    r"p^* = \arg\min_{q \in \Delta} \lVert q - p \rVert^2",
    reference=Reference(
        "A. F. T. Martins and R. F. Astudillo",
        "From Softmax to Sparsemax: A Sparse Model of Attention and Multi-Label Classification",
        2016,
        "1602.02068",
    ),
    conventions=(*FENCHEL_YOUNG, SOFT_WEIGHTS),
    pitfalls=(
        "Predict with the sparsemax of the scores, not with their softmax.",
        "Scores count as they are: multiplied by 10 they give far sparser predictions.",
    ),
    examples=(
        Example("sparsemax(p, y)", 0.5625, {"p": [[0.5, 0.0]], "y": [1]}),
        Example("sparsemax(p, y)", 0.0, {"p": [[1.5, 0.0]], "y": [0]}),
    ),
    class_weight="labels",
    use="For classifiers whose predictions should be few classes with probability and exact "
    "zeros for the others: short lists of candidates, attention that is read.",
    avoid="From scratch with very many classes, where zeros leave no gradient to most scores: "
    "begin with `ce`, or take `entmax15` in between.",
    checked="The definition: the threshold by SciPy's root finder, in float64.",
    related={
        "ce": "the same for a softmax, which is never 0",
        "entmax15": "half way between the two",
        "multi_margin": "a margin too, without a distribution",
    },
    identities=(
        (
            "input p: class_logits[B, C]; input y: labels[B]; sparsemax(p, y)",
            "input p: class_logits[B, C]; input y: labels[B]; sparsemax(p + 1, y)",
        ),
    ),
)
def sparsemax(p: Tensor, y: Tensor) -> Tensor:
    """The loss of a sparse prediction: the nearest point of the simplex to the scores.

    Shape:
        p has the class axis, y is labels without it, or a distribution with it; one value a
        position.

    Example:
        `sparsemax(p, y)`
    """
    return label_cost(p, y, sparse_parts)


@overload("sparsemax", signature=OF_SHARES)
def soft_sparsemax(p: Tensor, y: Tensor, *, class_weight: Tensor | None = None) -> Tensor:
    """Sparsemax loss against a target distribution."""
    y = wide(y)
    cost = share_cost(p, y, 0.5 * (1 - (y * y).sum(1)), sparse_parts)
    return weighed(cost, y, class_weight)


@loss(
    "entmax15",
    signature=OF_LABELS,
    family="classification",
    values="[0, inf)",
    aliases=("entmax",),
    latex=r"\langle p, p^* - e_y \rangle + \tfrac43 \left(1 - \sum_c (p^*_c)^{3/2}\right), \quad "
    r"p^*_c = \max\left(0, \tfrac{p_c}{2} - \tau\right)^2",
    reference=Reference(
        "B. Peters, V. Niculae and A. F. T. Martins",
        "Sparse Sequence-to-Sequence Models",
        2019,
        "1905.05702",
    ),
    conventions=("Entmax with alpha = 1.5, exact.", *FENCHEL_YOUNG, SOFT_WEIGHTS),
    pitfalls=("Predict with the 1.5-entmax of the scores, not with their softmax.",),
    examples=(
        Example("entmax15(p, y)", 0.3905242917512699, {"p": [[0.0, 0.0]], "y": [0]}),
        Example("entmax15(p, y)", 0.0, {"p": [[2.0, 0.0]], "y": [0]}),
    ),
    class_weight="labels",
    use="For vocabularies and other large sets of classes: as easy to train as `ce`, with "
    "probabilities of exactly 0 for what is out of the question.",
    avoid="Where likelihoods are compared (perplexity): a label may have probability 0. `ce` "
    "never gives one.",
    checked="The definition: the threshold by SciPy's root finder, in float64.",
    related={
        "ce": "entmax with alpha = 1: never 0",
        "sparsemax": "entmax with alpha = 2: sparser",
    },
    identities=(
        (
            "input p: class_logits[B, C]; input y: labels[B]; entmax15(p, y)",
            "input p: class_logits[B, C]; input y: labels[B]; entmax15(p + 1, y)",
        ),
    ),
)
def entmax15(p: Tensor, y: Tensor) -> Tensor:
    """The loss of 1.5-entmax, a distribution between softmax and sparsemax.

    Shape:
        p has the class axis, y is labels without it, or a distribution with it; one value a
        position.

    Example:
        `entmax15(p, y, ignore_index=0)`
    """
    return label_cost(p, y, half_sparse_parts)


@overload("entmax15", signature=OF_SHARES)
def soft_entmax15(p: Tensor, y: Tensor, *, class_weight: Tensor | None = None) -> Tensor:
    """1.5-entmax loss against a target distribution."""
    y = wide(y)
    entropy = (1 - (1.5 * log_prob(y)).exp().sum(1)) / 0.75
    return weighed(share_cost(p, y, entropy, half_sparse_parts), y, class_weight)


def tempered_log(log_x: Tensor, t: Number) -> Tensor:
    """(x^(1 - t) - 1) / (1 - t) from log x; log x itself at t = 1."""
    return log_x * expm1_ratio((1 - t) * log_x)


def tempered_log_prob(scores: Tensor, t: Number) -> Tensor:
    """Log-probabilities of the tempered softmax with t >= 1, from scores around the largest.

    Newton's steps on the tempered logarithm of the sum, which is straight in the threshold where
    all scores are equal: they come from below and do not overshoot.
    """

    def at(threshold: Tensor, scores: Tensor, t: Number) -> Tensor:
        below = scores - threshold
        return below * log1p_ratio((1 - t) * below)

    def better(threshold: Tensor, scores: Tensor, t: Number) -> Tensor:
        log_p = at(threshold, scores, t)
        log_sum = log_p.logsumexp(1, keepdim=True)
        log_slope = (t * log_p).logsumexp(1, keepdim=True)
        return threshold + tempered_log(log_sum, t) * (t * log_sum - log_slope).exp()

    still = t.detach() if isinstance(t, Tensor) else t
    threshold = torch.zeros_like(scores[:, :1])
    for _ in range(ENOUGH):
        threshold = better(threshold, scores.detach(), still)
    # From the root, one step has its first derivative and the next all up to the third.
    for _ in range(2):
        threshold = better(threshold, scores, t)
    return at(threshold, scores, t)


def tempered_rest(log_q: Tensor, t1: Number) -> Tensor:
    """What the powers of a distribution sum to, over 2 - t1."""
    return ((2 - t1) * log_q).exp().sum(1) / (2 - t1)


BI_TEMPERED = Reference(
    "E. Amid, M. K. Warmuth, R. Anil and T. Koren",
    "Robust Bi-Tempered Logistic Loss Based on Bregman Divergences",
    2019,
    "1906.03361",
)
EXACT = "The threshold is exact; the authors' code stops after five steps."
BOUNDED = "A target costs at most 1/(1 - t1): the weights of other terms may have to follow."


@loss(
    "bi_tempered",
    signature=OF_LABELS,
    family="classification",
    values="[0, inf)",
    aliases=("bi_tempered_logistic",),
    latex=r"-\log_{t_1} q_y - \frac{1}{2 - t_1} \left(1 - \sum_c q_c^{2 - t_1}\right), \quad "
    r"q_c = \exp_{t_2}(p_c - \lambda),\ \log_t x = \frac{x^{1 - t} - 1}{1 - t}",
    reference=BI_TEMPERED,
    ranges={"t1": "[0, 1]", "t2": "[1, 4]"},
    conventions=(
        EXACT,
        "Label smoothing is a target distribution.",
        SOFT_WEIGHTS,
    ),
    pitfalls=(BOUNDED,),
    examples=(
        Example("bi_tempered(p, y, t1=1, t2=1)", 0.6931471805599453, {"p": [[0, 0.0]], "y": [0]}),
        Example(
            "bi_tempered(p, y, t1=0, t2=2)",
            0.5 - 0.25,
            {"p": [[0.0, 0.0]], "y": [0]},
        ),
    ),
    class_weight="labels",
    use="For data with wrong labels: t1 below 1 bounds what one costs far from the boundary, t2 "
    "above 1 forgives those next to it.",
    avoid="For clean data, where `ce` learns faster; `gce` needs one number instead of two.",
    checked="The paper's formula with the threshold by SciPy's root finder, in float64.",
    related={
        "ce": "t1 = t2 = 1",
        "gce": "bounded too, of a plain softmax",
        "sce": "bounded by a second term",
        "bi_tempered_bce": "of labels that do not exclude each other",
    },
    identities=(("bi_tempered(p, y, t1=1, t2=1)", "ce(p, y)"),),
)
def bi_tempered(p: Tensor, y: Tensor, *, t1: Number = 0.8, t2: Number = 1.2) -> Tensor:
    """Cross entropy with a bounded logarithm and a softmax with heavy tails.

    Args:
        t1: below 1 the logarithm is bounded, by 1/(1 - t1); 1 is the plain one.
        t2: above 1 the softmax has heavy tails; 1 is the plain one.

    Shape:
        p has the class axis, y is labels without it, or a distribution with it; one value a
        position.

    Example:
        `bi_tempered(p, y, t1=0.9, t2=1.05)`
    """
    log_q = tempered_log_prob(shifted(p), t2)
    own = tempered_log(at_label(log_q, y), t1)
    return floored(tempered_rest(log_q, t1) - 1 / (2 - t1) - own, 0.0)


@overload("bi_tempered", signature=OF_SHARES)
def soft_bi_tempered(
    p: Tensor,
    y: Tensor,
    *,
    t1: Number = 0.8,
    t2: Number = 1.2,
    class_weight: Tensor | None = None,
) -> Tensor:
    """Bi-tempered loss against a target distribution."""
    log_q, log_y = tempered_log_prob(shifted(p), t2), log_prob(wide(y))
    apart = (wide(y) * (tempered_log(log_y, t1) - tempered_log(log_q, t1))).sum(1)
    cost = floored(apart + tempered_rest(log_q, t1) - tempered_rest(log_y, t1), 0.0)
    return weighed(cost, wide(y), class_weight)


@loss(
    "bi_tempered_bce",
    signature="logits[*S], prob[*S] -> loss[*S]",
    family="classification",
    values="[0, inf)",
    latex=r"\sum_{c \in \{0, 1\}} \left[y_c (\log_{t_1} y_c - \log_{t_1} q_c) - \frac{"
    r"y_c^{2 - t_1} - q_c^{2 - t_1}}{2 - t_1}\right], \quad y_1 = y,\ y_0 = 1 - y,\ "
    r"q_c = \exp_{t_2}(c\, p - \lambda)",
    reference=BI_TEMPERED,
    ranges={"t1": "[0, 1]", "t2": "[1, 4]"},
    conventions=("bi_tempered of two classes with the scores p and 0.", EXACT),
    pitfalls=(BOUNDED,),
    examples=(
        Example("bi_tempered_bce(p, y, t1=0, t2=2)", 0.25, {"p": [0.0, 0.0], "y": [1.0, 0.0]}),
    ),
    use="For masks and tags with wrong labels: one costs a bounded amount, however sure the "
    "prediction is.",
    avoid="For clean labels, where `bce` learns faster.",
    checked="The paper's formula with the threshold by SciPy's root finder, in float64.",
    related={
        "bce": "t1 = t2 = 1, for hard targets",
        "bi_tempered": "of classes that exclude each other",
        "focal": "turns away from the easy, not from the hopeless",
    },
    identities=(
        (
            "input p: logits[B]; input y: mask[B]; bi_tempered_bce(p, y, t1=1, t2=1)",
            "input p: logits[B]; input y: mask[B]; bce(p, y)",
        ),
    ),
)
def bi_tempered_bce(p: Tensor, y: Tensor, *, t1: Number = 0.8, t2: Number = 1.2) -> Tensor:
    """Binary cross entropy with a bounded logarithm and a sigmoid with heavy tails.

    Args:
        t1: below 1 the logarithm is bounded, by 1/(1 - t1); 1 is the plain one.
        t2: above 1 the sigmoid has heavy tails; 1 is the plain one.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `bi_tempered_bce(p, y, t1=0.5)`
    """
    rows, shares = p.reshape(-1), y.reshape(-1)
    scores = torch.stack((rows, torch.zeros_like(rows)), 1)
    cost = soft_bi_tempered(scores, torch.stack((shares, 1 - shares), 1), t1=t1, t2=t2)
    return cost.reshape(p.shape)
