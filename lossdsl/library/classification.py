"""Classification: what a predicted distribution costs, given a label or another distribution.

Every loss has a form for scores and a form for probabilities. The first is the exact one, for
small and large scores alike; the second has to bound a logarithm that is infinite at 0.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import floored, log_complement, log_prob, power
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss, overload

OF_PROBABILITIES = (
    "On probabilities a logarithm is never below -100 and never steeper than 1e12, as in PyTorch.",
)


def finite(log_p: Tensor) -> Tensor:
    """Log-probabilities with the lowest number in place of minus infinity, as a class has whose
    score was masked out: a target of 0 times it is then 0."""
    return log_p.clamp(min=torch.finfo(log_p.dtype).min)


def at_label(scores: Tensor, y: Tensor) -> Tensor:
    """The entry of each position's own class; the class axis goes away."""
    return scores.gather(1, y.unsqueeze(1)).squeeze(1)


def along_classes(class_weight: Tensor, like: Tensor) -> Tensor:
    """One weight a class, shaped to act along axis 1."""
    return class_weight.reshape(-1, *[1] * (like.ndim - 2))


def is_zero(value: Number) -> bool:
    """Whether a parameter is the literal 0. One that may move is never taken for it."""
    return not isinstance(value, Tensor) and value == 0


@loss(
    "bce",
    signature="logits[*S], prob[*S] -> loss[*S]",
    family="classification",
    values="[0, inf)",
    aliases=("binary_cross_entropy",),
    latex=r"-\left[w\, y \log \sigma(p) + (1 - y) \log(1 - \sigma(p))\right]",
    reference=Reference("D. R. Cox", "The Regression Analysis of Binary Sequences", 1958),
    ranges={"pos_weight": "(0, inf)"},
    conventions=(
        "pos_weight multiplies the positive part only; nothing is divided by it.",
        *OF_PROBABILITIES,
    ),
    pitfalls=("pos_weight is one number; weights per class or element go into weight=.",),
    examples=(
        Example("bce(p, y)", 0.6931471805599453, {"p": [0.0], "y": [1.0]}),
        Example("bce(p, y, pos_weight=3)", 2.0794415416798357, {"p": [0.0], "y": [1.0]}),
        Example("bce(prob(p), y)", 1.3862943611198906, {"p": [0.25], "y": [1.0]}),
    ),
)
def bce(p: Tensor, y: Tensor, *, pos_weight: Number = 1.0) -> Tensor:
    """Binary cross entropy of each element on its own.

    For masks, for multi-label targets and wherever classes do not exclude each other. Targets
    may be soft.

    Args:
        pos_weight: what a positive counts; above 1 it raises recall.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `0.5*bce(p, y) + dice(p, y)`
    """
    return -(pos_weight * y * F.logsigmoid(p) + (1 - y) * F.logsigmoid(-p))


@overload("bce", signature="prob[*S], prob[*S] -> loss[*S]")
def bce_of_prob(p: Tensor, y: Tensor, *, pos_weight: Number = 1.0) -> Tensor:
    """Binary cross entropy of probabilities."""
    return -(pos_weight * y * log_prob(p) + (1 - y) * log_complement(p))


@loss(
    "ce",
    signature="class_logits|class_log_prob[B, C, *S], labels[B, *S] -> loss[B, *S]",
    family="classification",
    values="[0, inf)",
    aliases=("cross_entropy", "softmax_cross_entropy"),
    latex=r"-\log \mathrm{softmax}(p)_y",
    reference=Reference("I. J. Good", "Rational Decisions", 1952),
    ranges={"label_smoothing": "[0, 1)"},
    conventions=(
        "label_smoothing moves that share of the target evenly onto all classes, its own included.",
        "Class weights act on every class's share of the target, the smoothed one too. The mean "
        "divides by the weights of the labels, or by the number of positions where the target is "
        "a distribution. All of this is as in PyTorch.",
        *OF_PROBABILITIES,
    ),
    examples=(
        Example("ce(p, y)", 0.2876820724517809, {"p": [[0.0, 1.0986122886681098]], "y": [1]}),
        Example("ce(class_prob(p), y)", 1.3862943611198906, {"p": [[0.25, 0.75]], "y": [0]}),
    ),
    class_weight="labels",
)
def ce(
    p: Tensor,
    y: Tensor,
    *,
    label_smoothing: Number = 0.0,
    class_weight: Tensor | None = None,
) -> Tensor:
    """Cross entropy of a softmax over classes that exclude each other.

    Args:
        label_smoothing: the share of the target that is spread over all classes.

    Shape:
        p has the class axis, y is labels without it, or a distribution with it; one value a
        position.

    Example:
        `ce(p, y, label_smoothing=0.1, class_weight=[1, 2, 5])`
    """
    cost = -at_label(p, y)
    if class_weight is not None:
        cost = class_weight[y] * cost
    if is_zero(label_smoothing):
        return cost
    if class_weight is not None:
        p = p * along_classes(class_weight, p)
    return (1 - label_smoothing) * cost - label_smoothing * p.mean(1)


@overload("ce", signature="class_prob[B, C, *S], labels[B, *S] -> loss[B, *S]")
def ce_of_prob(
    p: Tensor,
    y: Tensor,
    *,
    label_smoothing: Number = 0.0,
    class_weight: Tensor | None = None,
) -> Tensor:
    """Cross entropy of class probabilities."""
    return ce(log_prob(p), y, label_smoothing=label_smoothing, class_weight=class_weight)


@overload(
    "ce",
    signature="class_logits|class_log_prob[B, C, *S], class_prob[B, C, *S] -> loss[B, *S]",
)
def soft_ce(
    p: Tensor,
    y: Tensor,
    *,
    label_smoothing: Number = 0.0,
    class_weight: Tensor | None = None,
) -> Tensor:
    """Cross entropy against a target distribution."""
    if not is_zero(label_smoothing):
        y = (1 - label_smoothing) * y + label_smoothing / p.shape[1]
    if class_weight is not None:
        y = y * along_classes(class_weight, y)
    return -wide(y * finite(p)).sum(1)


@overload("ce", signature="class_prob[B, C, *S], class_prob[B, C, *S] -> loss[B, *S]")
def soft_ce_of_prob(
    p: Tensor,
    y: Tensor,
    *,
    label_smoothing: Number = 0.0,
    class_weight: Tensor | None = None,
) -> Tensor:
    """Cross entropy of class probabilities against a target distribution."""
    return soft_ce(log_prob(p), y, label_smoothing=label_smoothing, class_weight=class_weight)


FOCAL_LOSS = Reference(
    "T.-Y. Lin, P. Goyal, R. Girshick, K. He and P. Dollár",
    "Focal Loss for Dense Object Detection",
    2017,
    "1708.02002",
)


def focal_of(
    log_p: Tensor, log_q: Tensor, y: Tensor, alpha: Number | None, gamma: Number
) -> Tensor:
    """Focal loss from log p and log(1 - p). Powers are taken in the exponent: no power of 0."""
    positive = y * torch.exp(gamma * log_q) * log_p
    negative = (1 - y) * torch.exp(gamma * log_p) * log_q
    if alpha is None:
        return -(positive + negative)
    return -(alpha * positive + (1 - alpha) * negative)


@loss(
    "focal",
    signature="logits[*S], prob[*S] -> loss[*S]",
    family="classification",
    values="[0, inf)",
    latex=(
        r"-\left[\alpha\, y\, (1 - \sigma(p))^\gamma \log \sigma(p)"
        r" + (1 - \alpha) (1 - y)\, \sigma(p)^\gamma \log(1 - \sigma(p))\right]"
    ),
    reference=FOCAL_LOSS,
    ranges={"alpha": "[0, 1]", "gamma": "[0, inf)"},
    conventions=(
        "alpha weighs positives and 1 - alpha negatives; none weighs neither.",
        "A soft target mixes the losses of the two hard ones.",
        *OF_PROBABILITIES,
    ),
    pitfalls=(
        "RetinaNet divides the sum by the number of positives: per=, not the mean.",
        "The default alpha lowers the weight of positives; gamma already lowers the negatives'.",
    ),
    examples=(Example("focal(p, y)", 0.04332169878499658, {"p": [0.0], "y": [1.0]}),),
)
def focal(p: Tensor, y: Tensor, *, alpha: Number | None = 0.25, gamma: Number = 2.0) -> Tensor:
    """Binary cross entropy that turns away from elements already well classified.

    For dense detection and masks where nearly everything is background.

    Args:
        alpha: the weight of a positive; a negative has 1 - alpha.
        gamma: how fast an element loses weight as it is learnt; 0 is `bce`.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `focal(p, y, per=sum(fg))`
    """
    return focal_of(F.logsigmoid(p), F.logsigmoid(-p), y, alpha, gamma)


@overload("focal", signature="prob[*S], prob[*S] -> loss[*S]")
def focal_of_prob(
    p: Tensor, y: Tensor, *, alpha: Number | None = 0.25, gamma: Number = 2.0
) -> Tensor:
    """Focal loss of probabilities."""
    return focal_of(log_prob(p), log_complement(p), y, alpha, gamma)


@loss(
    "softmax_focal",
    signature="class_logits|class_log_prob[B, C, *S], labels[B, *S] -> loss[B, *S]",
    family="classification",
    values="[0, inf)",
    latex=r"-(1 - q_y)^\gamma \log q_y, \quad q = \mathrm{softmax}(p)",
    reference=FOCAL_LOSS,
    ranges={"gamma": "[0, inf)"},
    conventions=(
        "The focal weight comes from the plain probability; class weights multiply the result.",
        *OF_PROBABILITIES,
    ),
    pitfalls=("Not focal on one-hot targets: that is one sigmoid a class.",),
    examples=(Example("softmax_focal(p, y)", 0.17328679513998632, {"p": [[0.0, 0.0]], "y": [0]}),),
    class_weight="labels",
)
def softmax_focal(p: Tensor, y: Tensor, *, gamma: Number = 2.0) -> Tensor:
    """Cross entropy that turns away from positions already well classified.

    Args:
        gamma: how fast a position loses weight as it is learnt; 0 is `ce`.

    Shape:
        p has the class axis, y is labels without it; one value a position.

    Example:
        `softmax_focal(p, y, class_weight=[0.25, 1, 1])`
    """
    log_p = at_label(p, y)
    return -power(-torch.expm1(log_p), gamma) * log_p


@overload("softmax_focal", signature="class_prob[B, C, *S], labels[B, *S] -> loss[B, *S]")
def softmax_focal_of_prob(p: Tensor, y: Tensor, *, gamma: Number = 2.0) -> Tensor:
    """Softmax focal loss of class probabilities."""
    own = at_label(p, y)
    return -power(1 - own, gamma) * log_prob(own)


@loss(
    "poly1",
    signature="class_logits|class_log_prob[B, C, *S], labels[B, *S] -> loss[B, *S]",
    family="classification",
    latex=r"-\log q_y + \epsilon (1 - q_y), \quad q = \mathrm{softmax}(p)",
    reference=Reference(
        "Z. Leng, M. Tan, C. Liu, E. D. Cubuk, X. Shi, S. Cheng and D. Anguelov",
        "PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions",
        2022,
        "2204.12511",
    ),
    ranges={"eps": "[-1, inf)"},
    conventions=OF_PROBABILITIES,
    examples=(Example("poly1(p, y)", 1.1931471805599454, {"p": [[0.0, 0.0]], "y": [0]}),),
    class_weight="labels",
)
def poly1(p: Tensor, y: Tensor, *, eps: Number = 1.0) -> Tensor:
    """Cross entropy with the first coefficient of its power series changed.

    Args:
        eps: what is added to that coefficient; 0 is `ce`.

    Shape:
        p has the class axis, y is labels without it; one value a position.

    Example:
        `poly1(p, y, eps=2)`
    """
    log_p = at_label(p, y)
    return -log_p - eps * torch.expm1(log_p)


@overload("poly1", signature="class_prob[B, C, *S], labels[B, *S] -> loss[B, *S]")
def poly1_of_prob(p: Tensor, y: Tensor, *, eps: Number = 1.0) -> Tensor:
    """Poly-1 loss of class probabilities."""
    own = at_label(p, y)
    return -log_prob(own) + eps * (1 - own)


@loss(
    "kl_div",
    signature="class_logits|class_log_prob[B, C, *S], class_prob[B, C, *S] -> loss[B, *S]",
    family="classification",
    values="[0, inf)",
    latex=r"\sum_c y_c (\log y_c - \log q_c), \quad q = \mathrm{softmax}(p)",
    reference=Reference("S. Kullback and R. A. Leibler", "On Information and Sufficiency", 1951),
    conventions=(
        "The divergence of the prediction from the target: KL(target, prediction).",
        "Classes are summed, so the mean over [B, C] inputs is PyTorch's 'batchmean'.",
        "A target of 0 contributes 0.",
        *OF_PROBABILITIES,
    ),
    pitfalls=("Not symmetric: with the arguments swapped it seeks one mode of the target.",),
    examples=(Example("kl_div(p, y)", 0.6931471805599453, {"p": [[0.0, 0.0]], "y": [[1.0, 0.0]]}),),
)
def kl_div(p: Tensor, y: Tensor) -> Tensor:
    """Kullback-Leibler divergence of a predicted distribution from a target distribution.

    Cross entropy less the target's own entropy: the same gradient, and 0 at a perfect match.

    Shape:
        p and y alike with the class axis; one value a position.

    Example:
        `4*kl_div(student/2, softmax(teacher/2))`
    """
    return wide(y * (log_prob(y) - finite(p))).sum(1)


@overload("kl_div", signature="class_prob[B, C, *S], class_prob[B, C, *S] -> loss[B, *S]")
def kl_div_of_prob(p: Tensor, y: Tensor) -> Tensor:
    """Kullback-Leibler divergence between class probabilities."""
    return kl_div(log_prob(p), y)


@overload(
    "js",
    signature=(
        "class_logits|class_prob[B, C, *S], class_logits|class_prob[B, C, *S] -> loss[B, *S]"
    ),
)
@loss(
    "js",
    signature="class_prob[B, C, *S], class_prob[B, C, *S] -> loss[B, *S]",
    family="classification",
    values="[0, inf)",
    latex=(
        r"\tfrac12 \sum_c \left[p_c \log \frac{p_c}{m_c} + y_c \log \frac{y_c}{m_c}\right],"
        r" \quad m = \tfrac12 (p + y)"
    ),
    reference=Reference("J. Lin", "Divergence Measures Based on the Shannon Entropy", 1991),
    conventions=(
        "Natural logarithm: between 0 and log 2.",
        "The divergence itself; the Jensen-Shannon distance is its root.",
        *OF_PROBABILITIES,
    ),
    examples=(Example("js(p, y)", 0.6931471805599453, {"p": [[1.0, 0.0]], "y": [[0.0, 1.0]]}),),
)
def js(p: Tensor, y: Tensor) -> Tensor:
    """Jensen-Shannon divergence: how far two distributions are from their mean.

    Symmetric and bounded, also where one of them is 0.

    Shape:
        p and y alike with the class axis; one value a position.

    Example:
        `ce(p, y) + js(softmax(p), softmax(q))`
    """
    log_m = log_prob((p + y) / 2)
    each = p * (log_prob(p) - log_m) + y * (log_prob(y) - log_m)
    # Rounding may fall below 0, and callers take the root.
    return 0.5 * floored(wide(each).sum(1), 0.0)


@loss(
    "hinge",
    signature="score[*S], sign[*S] -> loss[*S]",
    family="classification",
    values="[0, inf)",
    latex=r"\max(0,\ m - y p)",
    reference=Reference("C. Cortes and V. Vapnik", "Support-Vector Networks", 1995),
    ranges={"margin": "[0, inf)"},
    conventions=("Targets are -1 and 1; on the margin itself the gradient is 0.",),
    examples=(Example("hinge(p, y)", 1.0, {"p": [0.5, 0.5], "y": [1.0, -1.0]}),),
)
def hinge(p: Tensor, y: Tensor, *, margin: Number = 1.0) -> Tensor:
    """How far a score falls short of the margin on its target's side.

    Args:
        margin: the score from which an element costs nothing; 0 is the perceptron's loss.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `hinge(score, y)`
    """
    return (margin - y * p).relu()
