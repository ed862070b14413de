"""What an improbable label costs: the logarithm of its probability as it is, and bent three ways
for labels that do not exclude each other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.functions.logistic import log_sigmoids
from lossdsl.library.chosen import at_label
from lossdsl.library.classification import OF_PROBABILITIES
from lossdsl.library.guarded import log_complement, log_prob
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss, overload

SCORES = "logits[*S], prob[*S] -> loss[*S]"
PROBS = "prob[*S], prob[*S] -> loss[*S]"
SOFT = "A soft target mixes the losses of the two hard ones."


@loss(
    "nll",
    signature="class_log_prob[B, C, *S], labels[B, *S] -> loss[B, *S]",
    family="classification",
    values="[0, inf)",
    aliases=("nll_class",),
    latex=r"-p_y",
    reference=Reference(
        "R. A. Fisher", "On the Mathematical Foundations of Theoretical Statistics", 1922
    ),
    conventions=(
        "The prediction is log-probabilities, as in PyTorch: what is not declared otherwise is "
        "taken for them.",
        "The mean with class weights divides by the labels' weights.",
        *OF_PROBABILITIES,
    ),
    pitfalls=("Scores that no log_softmax made give a wrong number: those belong into `ce`.",),
    examples=(
        Example("nll(p, y)", 0.5, {"p": [[-0.5, -0.9327521295671886]], "y": [0]}),
        Example("nll(class_prob(p), y)", 1.3862943611198906, {"p": [[0.25, 0.75]], "y": [0]}),
    ),
    class_weight="labels",
    use="For a network that ends in log_softmax, or whose log-probabilities are a mixture or a "
    "mean over several heads.",
    avoid="For scores before a softmax take `ce`, which makes the logarithm itself and smooths "
    "labels.",
    checked="`torch.nn.functional.nll_loss`, class weights included.",
    related={
        "ce": "takes scores and has label smoothing",
        "gaussian_nll": "the likelihood of a number instead of a class",
    },
    identities=(
        (
            "input p: class_log_prob[B, C]; input y: labels[B]; nll(p, y)",
            "input p: class_log_prob[B, C]; input y: labels[B]; ce(p, y)",
        ),
        (
            "input p: class_logits[B, C]; input y: labels[B]; nll(log_softmax(p), y)",
            "input p: class_logits[B, C]; input y: labels[B]; ce(p, y)",
        ),
    ),
)
def nll(p: Tensor, y: Tensor) -> Tensor:
    """Negative log-likelihood of a label, from log-probabilities.

    Shape:
        p has the class axis, y is labels without it; one value a position.

    Example:
        `nll(log_softmax(p), y)`
    """
    return -at_label(p, y)


@overload("nll", signature="class_prob[B, C, *S], labels[B, *S] -> loss[B, *S]")
def nll_of_prob(p: Tensor, y: Tensor) -> Tensor:
    """Negative log-likelihood from class probabilities."""
    return -log_prob(at_label(p, y))


def poly_of(log_p: Tensor, log_q: Tensor, y: Tensor, eps: Number, gamma: Number) -> Tensor:
    """The loss from log p and log(1 - p). Powers are taken in the exponent: no power of 0."""
    positive = torch.exp(gamma * log_q) * (eps * log_q.exp() - log_p)
    negative = torch.exp(gamma * log_p) * (eps * log_p.exp() - log_q)
    return y * positive + (1 - y) * negative


@loss(
    "poly1_bce",
    signature=SCORES,
    family="classification",
    values="[0, inf)",
    aliases=("poly1_focal",),
    latex=r"-(1 - q_t)^\gamma \log q_t + \epsilon (1 - q_t)^{\gamma + 1}, \quad q_t = "
    r"\begin{cases} \sigma(p) & y = 1 \\ 1 - \sigma(p) & y = 0 \end{cases}",
    reference=Reference(
        "Z. Leng, M. Tan, C. Liu, E. D. Cubuk, X. Shi, S. Cheng and D. Anguelov",
        "PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions",
        2022,
        "2204.12511",
    ),
    ranges={"eps": "[-1, inf)", "gamma": "[0, inf)"},
    conventions=(
        SOFT,
        "Without a weight of positives: weight= takes one.",
        *OF_PROBABILITIES,
    ),
    examples=(
        Example("poly1_bce(p, y)", 1.1931471805599454, {"p": [0.0], "y": [1.0]}),
        Example(
            "poly1_bce(p, y, eps=-1, gamma=1)",
            0.5 * 0.6931471805599453 - 0.25,
            {"p": [0.0], "y": [0.0]},
        ),
    ),
    use="For tags and dense detection where `bce` or `focal` is tuned already and one more number "
    "is worth a search: eps above 0 makes predictions surer, -1 with gamma=2 is the paper's for "
    "detection.",
    avoid="For classes that exclude each other take `poly1`.",
    checked="Loops over the paper's formula in NumPy, in float64.",
    related={
        "poly1": "the same change of a softmax's cross entropy",
        "bce": "eps = 0 and gamma = 0",
        "focal": "eps = 0",
    },
    identities=(
        ("poly1_bce(p, y, eps=0)", "bce(p, y)"),
        ("poly1_bce(p, y, eps=0, gamma=2)", "focal(p, y, alpha=none)"),
    ),
)
def poly1_bce(p: Tensor, y: Tensor, *, eps: Number = 1.0, gamma: Number = 0.0) -> Tensor:
    """Binary cross entropy, or focal loss, with the first coefficient of its power series changed.

    Args:
        eps: what is added to that coefficient; 0 is `bce`, or `focal`.
        gamma: how fast an element loses weight as it is learnt; 0 not at all.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `poly1_bce(p, tags, eps=2)`
    """
    return poly_of(*log_sigmoids(p), y, eps, gamma)


@overload("poly1_bce", signature=PROBS)
def poly1_bce_of_prob(p: Tensor, y: Tensor, *, eps: Number = 1.0, gamma: Number = 0.0) -> Tensor:
    """Poly-1 loss of probabilities."""
    return poly_of(log_prob(p), log_complement(p), y, eps, gamma)


def reduced_of(log_p: Tensor, log_q: Tensor, y: Tensor, gamma: Number, threshold: Number) -> Tensor:
    """The loss from log p and log(1 - p)."""
    cut = torch.log(threshold * torch.ones_like(log_p))
    # The exponent of what is not taken is 0, so that no power leaves the range.
    easy_p, easy_q = log_p >= cut, log_q >= cut
    positive = torch.exp(gamma * torch.where(easy_p, log_q - cut, 0.0)) * log_p
    negative = torch.exp(gamma * torch.where(easy_q, log_p - cut, 0.0)) * log_q
    return -(y * positive + (1 - y) * negative)


@loss(
    "reduced_focal",
    signature=SCORES,
    family="classification",
    values="[0, inf)",
    latex=r"-w_t \log q_t, \quad w_t = \begin{cases} 1 & q_t < \tau \\ \left("
    r"\frac{1 - q_t}{\tau}\right)^\gamma & q_t \ge \tau \end{cases}",
    reference=Reference(
        "N. Sergievskiy and A. Ponamarev",
        "Reduced Focal Loss: 1st Place Solution to xView object detection in Satellite Imagery",
        2019,
        "1903.01347",
    ),
    ranges={"gamma": "[0, inf)", "threshold": "(0, 1)"},
    conventions=(SOFT, "Without a weight of positives: weight= takes one.", *OF_PROBABILITIES),
    pitfalls=("At a threshold other than 0.5 the weight jumps there.",),
    examples=(
        Example(
            "reduced_focal(p, y)",
            0.25 * 0.28768207245178085 / 2 + 1.3862943611198906 / 2,
            {"p": [1.0986122886681098, 1.0986122886681098], "y": [1.0, 0.0]},
        ),
    ),
    use="For the classification head of a region proposal network, where `focal` gives up recall: "
    "hard elements keep the whole weight of `bce`.",
    avoid="Where hard elements are often wrong labels, for they count in full: with classes that "
    "exclude each other `gce` bounds what one costs.",
    checked="Loops over the paper's formula in NumPy, in float64.",
    related={
        "focal": "lowers the weight of hard elements too",
        "bce": "weighs all alike",
    },
    identities=(("reduced_focal(p, y, gamma=0)", "bce(p, y)"),),
)
def reduced_focal(p: Tensor, y: Tensor, *, gamma: Number = 2.0, threshold: Number = 0.5) -> Tensor:
    """Focal loss of what is classified rightly, plain cross entropy of the rest.

    Args:
        gamma: how fast an easy element loses weight as it is learnt.
        threshold: the probability of the target from which an element is easy.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `reduced_focal(p, y, per=sum(fg))`
    """
    return reduced_of(*log_sigmoids(p), y, gamma, threshold)


@overload("reduced_focal", signature=PROBS)
def reduced_focal_of_prob(
    p: Tensor, y: Tensor, *, gamma: Number = 2.0, threshold: Number = 0.5
) -> Tensor:
    """Reduced focal loss of probabilities."""
    return reduced_of(log_prob(p), log_complement(p), y, gamma, threshold)


@loss(
    "focal_star",
    signature=SCORES,
    family="classification",
    values="[0, inf)",
    latex=r"-\frac{1}{\gamma} \log \sigma(\gamma x_t + \beta), \quad x_t = "
    r"\begin{cases} p & y = 1 \\ -p & y = 0 \end{cases}",
    reference=Reference(
        "T.-Y. Lin, P. Goyal, R. Girshick, K. He and P. Dollár",
        "Focal Loss for Dense Object Detection",
        2017,
        "1708.02002",
    ),
    ranges={"gamma": "(0, inf)"},
    conventions=(
        "The alternate form of the paper's appendix, whose settings are gamma=2 with beta=1 and "
        "gamma=4 with beta=0.",
        SOFT,
        "Without a weight of positives: weight= takes one.",
    ),
    examples=(Example("focal_star(p, y)", 0.15663084375911143, {"p": [0.0], "y": [1.0]}),),
    use="For dense detection in place of `focal`: one logarithm of a sigmoid, convex in the score, "
    "with a slope of at most 1.",
    avoid="For probabilities, of which it has no form: `focal` takes both.",
    checked="Loops over the paper's formula in NumPy, in float64.",
    related={
        "focal": "multiplies the cross entropy by a weight instead of moving the score",
        "bce": "gamma = 1 and beta = 0",
    },
    identities=(("focal_star(p, y, gamma=1, beta=0)", "bce(p, y)"),),
)
def focal_star(p: Tensor, y: Tensor, *, gamma: Number = 2.0, beta: Number = 1.0) -> Tensor:
    """Cross entropy of a steeper and shifted score: elements already well classified fade sooner.

    Args:
        gamma: how much steeper the score is; the slope far on the wrong side stays 1.
        beta: how far the score is shifted towards the target.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `focal_star(p, y, gamma=4, beta=0, per=sum(fg))`
    """
    positive, negative = F.logsigmoid(gamma * p + beta), F.logsigmoid(beta - gamma * p)
    return -(y * positive + (1 - y) * negative) / gamma
