"""Texts: what a token costs besides its own likelihood."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.chosen import at_label
from lossdsl.library.guarded import LOWEST_LOG, log_complement, log_prob
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss, overload

LN2 = math.log(2)


def log_of_others(p: Tensor) -> Tensor:
    """log(1 - softmax(p)) of every class along axis 1, with all its digits, -100 at the least.

    Below one half the probability can be taken from 1. Only the largest can be above, and for
    that one the others are added up without it.
    """
    classes = torch.arange(p.shape[1], device=p.device).reshape(-1, *[1] * (p.dim() - 2))
    top = classes == p.argmax(1, keepdim=True)
    least = torch.finfo(p.dtype).min
    others = torch.where(top, least, p).logsumexp(1, keepdim=True)
    total = p.logsumexp(1, keepdim=True)
    prob = torch.where(top, 0.0, (p - total).exp())
    best = (others - total).clamp(min=LOWEST_LOG)
    return torch.where(top, best, torch.log1p(-prob))


@loss(
    "unlikelihood",
    signature="class_logits[B, C, *S], mask[B, C, *S] -> loss[B, *S]",
    family="classification",
    values="[0, inf)",
    latex=r"-\sum_c n_c \log\left(1 - \mathrm{softmax}(p)_c\right)",
    reference=Reference(
        "S. Welleck, I. Kulikov, S. Roller, E. Dinan, K. Cho, J. Weston",
        "Neural Text Generation with Unlikelihood Training",
        2019,
        "1908.04319",
    ),
    conventions=(
        "The second argument marks the unwanted classes of each position; they add up.",
        "A logarithm is never below -100.",
    ),
    pitfalls=(
        "The true token must not be marked, also where it repeats an earlier one.",
        "Marks are as large as the scores; weights below 1 for some of them do not fit a mask.",
    ),
    use="Beside `ce` against texts that repeat themselves: the tokens seen before are marked, the"
    " coming one excepted. Wherever some classes are known to be wrong.",
    avoid="Whole answers that are worse than others: `dpo`. Labels that are merely doubtful:"
    " `gce`.",
    checked="the paper's formula in `mpmath` and in NumPy",
    related={
        "ce": "what it goes beside: the right class up",
        "bce": "each class by itself, without a softmax",
        "confidence_penalty": "any sharp distribution costs",
    },
    examples=(
        Example("unlikelihood(p, n)", LN2, {"p": [[0.0, 0.0]], "n": [[1.0, 0.0]]}),
        Example(
            "unlikelihood(p, n)",
            math.log(4) + math.log(4 / 3),
            {"p": [[math.log(3), 0.0]], "n": [[1.0, 1.0]]},
        ),
    ),
)
def unlikelihood(p: Tensor, negatives: Tensor) -> Tensor:
    """What unwanted classes cost: minus the logarithm of what is left for all others.

    Shape:
        p and negatives alike, with the class axis; one value a position.

    Example:
        `ce(p, y) + unlikelihood(p, seen_before)`
    """
    return (-negatives * log_of_others(wide(p))).sum(1)


@overload("unlikelihood", signature="class_prob[B, C, *S], mask[B, C, *S] -> loss[B, *S]")
def unlikelihood_of_prob(p: Tensor, negatives: Tensor) -> Tensor:
    """Unlikelihood of probabilities."""
    return (-negatives * log_complement(wide(p))).sum(1)


@loss(
    "dft",
    signature="class_logits|class_log_prob[B, C, *S], labels[B, *S] -> loss[B, *S]",
    family="classification",
    values="[0, inf)",
    aliases=("dynamic_fine_tuning",),
    latex=r"-\mathrm{sg}(q_y) \log q_y,\quad q = \mathrm{softmax}(p)",
    reference=Reference(
        "Y. Wu et al.",
        "On the Generalization of SFT: A Reinforcement Learning Perspective with Reward "
        "Rectification",
        2025,
        "2508.05629",
    ),
    class_weight="labels",
    conventions=(
        "The token's own probability is a weight without gradient, so the gradient is that of"
        " 1 - q_y.",
    ),
    pitfalls=(
        "A token that the model holds impossible gets no gradient, a random start none at all.",
        "Its value is no likelihood: it has its peak at q = 1/e. Watch `ce`.",
    ),
    use="Fine-tuning a language model on texts that it could have written itself: tokens that"
    " surprise it do not dominate the step as they do in `ce`.",
    avoid="New knowledge, which is what surprises: `ce`. Wrong labels: `gce` has the same idea"
    " with a bound to choose.",
    checked="`torch.nn.functional.cross_entropy` in float64, with the gradient of 1 - q",
    related={
        "ce": "weighs all tokens alike",
        "gce": "the same gradient at q=1",
        "focal": "the other way round: what is hard counts more",
    },
    examples=(
        Example("dft(p, y)", LN2 / 2, {"p": [[0.0, 0.0]], "y": [0]}),
        Example("dft(p, y)", 0.25 * math.log(4), {"p": [[math.log(3), 0.0]], "y": [1]}),
    ),
)
def dft(p: Tensor, y: Tensor) -> Tensor:
    """Cross entropy of each position, weighed by the label's own probability.

    Shape:
        p has the class axis, y is labels without it; one value a position.

    Example:
        `dft(p, y)`
    """
    log_q = at_label(wide(p), y)
    return -log_q.detach().exp() * log_q


@overload("dft", signature="class_prob[B, C, *S], labels[B, *S] -> loss[B, *S]")
def dft_of_prob(p: Tensor, y: Tensor) -> Tensor:
    """Cross entropy of probabilities, each weighed by itself."""
    own = at_label(wide(p), y)
    return -own.detach() * log_prob(own)
