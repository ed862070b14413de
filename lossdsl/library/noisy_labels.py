"""Cross entropies that a share of wrong labels does not lead astray, and the certainty that they
guard against."""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.chosen import at_label
from lossdsl.library.classification import OF_PROBABILITIES, finite
from lossdsl.library.guarded import log_prob
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss, overload

# What the identities below declare.
CLASSES = "input p: class_logits[B, C]; input y: labels[B]; "

OF_LOGITS = "class_logits|class_log_prob[B, C, *S], labels[B, *S] -> loss[B, *S]"
OF_PROBS = "class_prob[B, C, *S], labels[B, *S] -> loss[B, *S]"


@loss(
    "gce",
    signature=OF_LOGITS,
    family="classification",
    values="[0, inf)",
    aliases=("generalized_cross_entropy",),
    latex=r"\frac{1 - q_y^{k}}{k}, \quad q = \mathrm{softmax}(p)",
    reference=Reference(
        "Z. Zhang and M. R. Sabuncu",
        "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
        2018,
        "1805.07836",
    ),
    ranges={"q": "(0, 1]"},
    conventions=("At most 1/q, without the paper's truncation.", *OF_PROBABILITIES),
    pitfalls=("A hopelessly wrong label has almost no gradient: slow from a bad start.",),
    examples=(Example("gce(p, y, q=1)", 0.5, {"p": [[0.0, 0.0]], "y": [0]}),),
    class_weight="labels",
    use=(
        "Labels of which a share is wrong: the larger q, the less a label pulls that contradicts "
        "the prediction."
    ),
    avoid=(
        "Clean labels, or many classes from scratch, where it learns slowly: begin with `ce`, or "
        "let q rise from near 0."
    ),
    checked="The paper's formula on SciPy's softmax.",
    related={
        "ce": "its limit at q = 0",
        "sce": "keeps the pull of cross entropy",
        "softmax_focal": "the opposite: hard samples count more",
    },
    identities=(
        ("gce(p, y, q=1)", "poly1(p, y, eps=1) - ce(p, y)"),
        (f"{CLASSES}gce(p, y, q=1)", f"{CLASSES}tvd(p, one_hot(y, C))"),
    ),
)
def gce(p: Tensor, y: Tensor, *, q: Number = 0.7) -> Tensor:
    """Between cross entropy and the absolute error of the label's probability.

    Args:
        q: near 0 it is `ce`, at 1 one minus the label's probability.

    Shape:
        p has the class axis, y is labels without it; one value a position.

    Example:
        `gce(p, y, q=0.5)`
    """
    return -torch.expm1(q * at_label(p, y)) / q


@overload("gce", signature=OF_PROBS)
def gce_of_prob(p: Tensor, y: Tensor, *, q: Number = 0.7) -> Tensor:
    """Generalised cross entropy of class probabilities."""
    return -torch.expm1(q * log_prob(at_label(p, y))) / q


@loss(
    "sce",
    signature=OF_LOGITS,
    family="classification",
    values="[0, inf)",
    aliases=("symmetric_cross_entropy",),
    latex=r"-\alpha \log q_y - \beta A (1 - q_y), \quad q = \mathrm{softmax}(p)",
    reference=Reference(
        "Y. Wang, X. Ma, Z. Chen, Y. Luo, J. Yi and J. Bailey",
        "Symmetric Cross Entropy for Robust Learning with Noisy Labels",
        2019,
        "1908.06112",
    ),
    ranges={"alpha": "[0, inf)", "beta": "[0, inf)", "log_zero": "(-inf, 0)"},
    conventions=(
        "The reverse cross entropy takes the logarithm of a target of 0 as log_zero.",
        "Defaults are the paper's for CIFAR-10.",
        *OF_PROBABILITIES,
    ),
    examples=(Example("sce(p, y, alpha=1)", 2.6931471805599454, {"p": [[0.0, 0.0]], "y": [0]}),),
    class_weight="labels",
    use=(
        "Wrong labels among many classes, where `gce` learns too slowly: the cross entropy pulls, "
        "the bounded part resists."
    ),
    avoid=(
        "Clean labels: `ce`. Data on which nobody tunes alpha and beta, since they differ much "
        "from set to set: `gce` has one number."
    ),
    checked="The paper's sums, sample by sample, on SciPy's softmax.",
    related={
        "ce": "alpha = 1 and beta = 0",
        "gce": "one bounded formula in place of a sum",
    },
    identities=(
        ("sce(p, y, alpha=1, beta=0)", "ce(p, y)"),
        ("sce(p, y)", "0.1*ce(p, y) + 4*gce(p, y, q=1)"),
    ),
)
def sce(
    p: Tensor,
    y: Tensor,
    *,
    alpha: Number = 0.1,
    beta: Number = 1.0,
    log_zero: Number = -4.0,
) -> Tensor:
    """Cross entropy plus the one with prediction and label exchanged, which is bounded.

    Args:
        alpha: the weight of the cross entropy.
        beta: the weight of the reverse cross entropy.
        log_zero: what stands for log 0 in the reverse cross entropy.

    Shape:
        p has the class axis, y is labels without it; one value a position.

    Example:
        `sce(p, y, alpha=6, beta=0.1)`
    """
    log_p = at_label(p, y)
    return beta * log_zero * torch.expm1(log_p) - alpha * log_p


@overload("sce", signature=OF_PROBS)
def sce_of_prob(
    p: Tensor,
    y: Tensor,
    *,
    alpha: Number = 0.1,
    beta: Number = 1.0,
    log_zero: Number = -4.0,
) -> Tensor:
    """Symmetric cross entropy of class probabilities."""
    own = at_label(p, y)
    return beta * log_zero * (own - 1) - alpha * log_prob(own)


@loss(
    "confidence_penalty",
    signature="class_logits|class_log_prob[B, C, *S] -> loss[B, *S]",
    family="classification",
    values="(-inf, 0]",
    latex=r"\sum_c q_c \log q_c, \quad q = \mathrm{softmax}(p)",
    reference=Reference(
        "G. Pereyra, G. Tucker, J. Chorowski, Ł. Kaiser and G. Hinton",
        "Regularizing Neural Networks by Penalizing Confident Output Distributions",
        2017,
        "1701.06548",
    ),
    conventions=("The negative entropy: -log C for even predictions, 0 for certain ones.",),
    examples=(Example("confidence_penalty(p)", -0.6931471805599453, {"p": [[0.0, 0.0]]}),),
    use=(
        "Beside `ce`, against predictions that are surer than they should be: small data, language "
        "models, exploration of policies."
    ),
    avoid=(
        "Together with label smoothing, which does nearly the same. Unlabelled data that should "
        "become certain: `gini`."
    ),
    checked="Minus `scipy.stats.entropy`.",
    related={
        "gini": "falls with certainty instead",
        "kl_div": "towards a distribution of your choice",
        "ce": "its label_smoothing acts on the target",
    },
    identities=(("confidence_penalty(p)", "-ce(p, softmax(p))"),),
)
def confidence_penalty(p: Tensor) -> Tensor:
    """Negative entropy of a predicted distribution: what certainty costs.

    Shape:
        p has the class axis; one value a position.

    Example:
        `ce(p, y) + 0.1*confidence_penalty(p)`
    """
    return wide(p.exp() * finite(p)).sum(1)


@overload("confidence_penalty", signature="class_prob[B, C, *S] -> loss[B, *S]")
def confidence_penalty_of_prob(p: Tensor) -> Tensor:
    """Negative entropy of class probabilities."""
    return wide(p * log_prob(p)).sum(1)


@loss(
    "gini",
    signature="class_logits|class_prob[B, C, *S] -> loss[B, *S]",
    family="classification",
    values="[0, 1]",
    aliases=("gini_impurity",),
    latex=r"1 - \sum_c q_c^2",
    reference=Reference(
        "L. Breiman, J. H. Friedman, R. A. Olshen and C. J. Stone",
        "Classification and Regression Trees",
        1984,
    ),
    pitfalls=("Takes no target: alone it makes predictions certain, not right.",),
    examples=(Example("gini(class_prob(p))", 0.375, {"p": [[0.25, 0.75]]}),),
    use="Certainty on unlabelled samples beside a supervised loss, with bounded slopes.",
    avoid=(
        "Alone or too early, when it settles whatever is believed. Against too much certainty: "
        "`confidence_penalty`."
    ),
    checked="Sums of squares in NumPy, and all pairs of draws.",
    related={
        "confidence_penalty": "minus the entropy: the opposite aim",
        "ce": "with a target",
    },
    identities=(("gini(p)", "1 - mean(sum(softmax(p)**2, over=[1]))"),),
)
def gini(p: Tensor) -> Tensor:
    """Gini impurity of a predicted distribution: how often two draws from it differ.

    Shape:
        p has the class axis; one value a position.

    Example:
        `ce(p, y) + 0.1*gini(unlabelled)`
    """
    return wide(p * (1 - p)).sum(1)
