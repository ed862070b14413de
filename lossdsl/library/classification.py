"""Classification: what a predicted distribution costs, given a label or another distribution.

Every loss has a form for scores and a form for probabilities. The first is the exact one, for
small and large scores alike; the second has to bound a logarithm that is infinite at 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.logistic import Logistic, log_sigmoids, logistic
from lossdsl.functions.precision import wide
from lossdsl.library.chosen import at_label
from lossdsl.library.guarded import log_complement, log_prob, power
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss, overload

# What the identities below declare.
BITS = "input p: logits[*S]; input y: mask[*S]; "
TWO = "input p: class_logits[B, 2]; input y: labels[B]; "
CLASSES = "input p: class_logits[B, C]; input y: labels[B]; "
MIXED = "input p: class_logits[B, C, *S]; input q: class_prob[B, C, *S]; "

OF_PROBABILITIES = (
    "On probabilities a logarithm is never below -100 and never steeper than 1e12, as in PyTorch.",
)


def finite(log_p: Tensor) -> Tensor:
    """Log-probabilities with the lowest number in place of minus infinity, as a class has whose
    score was masked out: a target of 0 times it is then 0."""
    return log_p.clamp(min=torch.finfo(log_p.dtype).min)


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
    use=(
        "Masks, multi-label targets and whatever does not exclude each other, soft targets too; "
        "beside `dice` in segmentation."
    ),
    avoid=(
        "Classes that exclude each other: `ce`. Few positives among very many negatives: `focal`, "
        "`asymmetric_focal`, or pos_weight."
    ),
    checked=(
        "`torch.nn.functional.binary_cross_entropy_with_logits` and `sklearn.metrics.log_loss`."
    ),
    related={
        "ce": "classes that exclude each other",
        "focal": "turns away from easy elements",
        "logistic": "targets of -1 and 1",
        "balanced_bce": "weighs positives by their share in the image",
    },
    identities=(
        ("bce(p, y)", "bce(sigmoid(p), y)"),
        ("bce(p, y)", "bce(-p, 1 - y)"),
        ("bce(p, y)", "focal(p, y, alpha=none, gamma=0)"),
        (f"{BITS}bce(p, y)", f"{BITS}logistic(score(p), y)"),
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
    log_p, log_q = log_sigmoids(p)
    return -(pos_weight * y * log_p + (1 - y) * log_q)


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
    use=(
        "One class of several at each position: classification, segmentation, the next token. "
        "Targets are labels or distributions."
    ),
    avoid=(
        "Labels that occur together: `bce`. Wrong labels: `gce` or `sce`. Long tails: "
        "`class_balanced`, `ldam` or `seesaw`."
    ),
    checked=(
        "`torch.nn.functional.cross_entropy`, with labels and distributions, weights and smoothing."
    ),
    related={
        "bce": "each class on its own",
        "softmax_focal": "turns away from easy positions",
        "kl_div": "less the target's own entropy",
        "poly1": "with another first coefficient",
    },
    identities=(
        ("ce(p, y)", "ce(softmax(p), y)"),
        (f"{CLASSES}ce(p, y)", f"{CLASSES}ce(p, one_hot(y, C))"),
        (f"{TWO}ce(p, y)", f"{TWO}bce(p[:, 1] - p[:, 0], y == 1)"),
        (f"{MIXED}ce(p, q)", f"{MIXED}kl_div(p, q) - confidence_penalty(q)"),
    ),
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


Pair = tuple[Tensor, Tensor]
"""Of a positive, and of a negative."""


def focused(p: Tensor, log_p: Tensor, gamma: Number) -> Tensor:
    """p ** gamma: as products where gamma is a small whole number, else in the exponent, where
    there is no power of 0."""
    if isinstance(gamma, int | float) and gamma in (1, 2, 3, 4):
        product = p
        for _ in range(int(gamma) - 1):
            product = product * p
        return product
    return torch.exp(gamma * log_p)


def focal_of(of: Logistic, y: Tensor, alpha: Number | None, gamma: Number) -> Tensor:
    """Focal loss from p and 1 - p, and their logarithms."""
    p, q, log_p, log_q = of
    positive = y * focused(q, log_q, gamma) * log_p
    negative = (1 - y) * focused(p, log_p, gamma) * log_q
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
    use=(
        "Dense detection and small structures, where easy negatives outnumber all else; "
        "RetinaNet's form is `focal(p, y, per=sum(fg))`."
    ),
    avoid=(
        "Balanced data, where it slows learning: `bce`. Classes that exclude each other: "
        "`softmax_focal`. Wrong labels, which are the hard ones: `gce`."
    ),
    checked="The paper's formula, number by number.",
    related={
        "softmax_focal": "one softmax over the classes",
        "asymmetric_focal": "negatives fade faster, the easiest wholly",
        "quality_focal": "targets between 0 and 1",
        "bce": "without focus",
    },
    identities=(
        ("focal(p, y, alpha=none, gamma=0)", "bce(p, y)"),
        ("focal(p, y, alpha=0.5, gamma=0)", "0.5*bce(p, y)"),
        ("focal(p, y, alpha=0.25)", "focal(-p, 1 - y, alpha=0.75)"),
    ),
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
    return focal_of(logistic(p), y, alpha, gamma)


@overload("focal", signature="prob[*S], prob[*S] -> loss[*S]")
def focal_of_prob(
    p: Tensor, y: Tensor, *, alpha: Number | None = 0.25, gamma: Number = 2.0
) -> Tensor:
    """Focal loss of probabilities."""
    parts = Logistic(p, 1 - p, log_prob(p), log_complement(p))
    return focal_of(parts, y, alpha, gamma)


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
    use=(
        "Classes that exclude each other, with very many easy positions such as pixels of "
        "background."
    ),
    avoid=(
        "Classes that are rare rather than hard: `class_balanced` or `seesaw`. Where probabilities "
        "are used as such: `ce`."
    ),
    checked="The formula on SciPy's softmax, position by position.",
    related={
        "focal": "one sigmoid a class",
        "ce": "without focus",
        "topk_ce": "drops easy positions instead of fading them",
    },
    identities=(
        ("softmax_focal(p, y, gamma=0)", "ce(p, y)"),
        (f"{TWO}softmax_focal(p, y)", f"{TWO}focal(p[:, 1] - p[:, 0], y == 1, alpha=none)"),
    ),
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
    use=(
        "One number to tune on top of `ce`: with eps above 0 a label that is already likely keeps "
        "a larger slope, below 0 a smaller one."
    ),
    avoid="Wrong labels or rare classes, which it does not aim at: `gce` and `class_balanced` do.",
    checked="The paper's series, summed.",
    related={
        "ce": "eps = 0",
        "softmax_focal": "changes all coefficients",
        "gce": "at q=1 the term that eps weighs",
    },
    identities=(
        ("poly1(p, y, eps=0)", "ce(p, y)"),
        ("poly1(p, y, eps=2)", "ce(p, y) + 2*gce(p, y, q=1)"),
    ),
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
