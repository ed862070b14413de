"""Evidence for classes: a prediction that says how sure it is, as a distribution over
distributions."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.chosen import at_label
from lossdsl.library.guarded import floored
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss


def from_uniform(alpha: Tensor) -> Tensor:
    """KL divergence of a Dirichlet distribution from the uniform one."""
    total = alpha.sum(1, keepdim=True)
    even = torch.lgamma(torch.ones_like(alpha).sum(1))
    peak = torch.lgamma(total.squeeze(1)) - even - torch.lgamma(alpha).sum(1)
    spread = ((alpha - 1) * (torch.digamma(alpha) - torch.digamma(total))).sum(1)
    return floored(peak + spread, 0.0)


@loss(
    "evidential",
    signature="class_logits[B, C, *S], labels[B, *S] -> loss[B, *S]",
    family="classification",
    values="[0, inf)",
    aliases=("edl",),
    latex=r"\sum_c \left[(y_c - \bar q_c)^2 + \frac{\bar q_c (1 - \bar q_c)}{S + 1}\right] + "
    r"\lambda\, \mathrm{KL}\left(\mathrm{Dir}(\tilde\alpha), \mathrm{Dir}(1)\right), \quad "
    r"\alpha = e(p) + 1,\ S = \sum_c \alpha_c,\ \bar q = \frac{\alpha}{S},\ "
    r"\tilde\alpha = y + (1 - y) \alpha",
    reference=Reference(
        "M. Sensoy, L. Kaplan and M. Kandemir",
        "Evidential Deep Learning to Quantify Classification Uncertainty",
        2018,
        "1806.01768",
    ),
    ranges={"kl": "[0, inf)"},
    conventions=(
        "The evidence e is the softplus of the scores, or their relu as in the paper; the "
        "Dirichlet's parameters are e + 1.",
        "form='mse' is the formula; 'log' has log S - log α_y (the likelihood) in place of its "
        "sum, 'digamma' ψ(S) - ψ(α_y) (the mean cross entropy).",
        "The divergence looks at the evidence for wrong classes alone.",
    ),
    pitfalls=(
        "The divergence from the first step on keeps all evidence at 0: let kl grow, as in the "
        "example.",
        "Predict with the mean (e + 1)/S of the same evidence, not with a softmax.",
    ),
    examples=(
        Example(
            "evidential(p, y, evidence='relu')",
            2 / 9 + 16 / 252 + 0.6931471805599453 - 0.5,
            {"p": [[1.0, 3.0]], "y": [1]},
        ),
        Example(
            "evidential(p, y, evidence='relu', kl=0, form='log')",
            0.4054651081081644,
            {"p": [[1.0, 3.0]], "y": [1]},
        ),
        Example(
            "evidential(p, y, evidence='relu', kl=0, form='digamma')",
            1 / 4 + 1 / 5,
            {"p": [[1.0, 3.0]], "y": [1]},
        ),
    ),
    class_weight="labels",
    use="For a classifier that must say 'I do not know' in one pass: C / S is its uncertainty, 1 "
    "without evidence.",
    avoid="Where only calibration matters: `ce` with a temperature or an ensemble does as well "
    "and costs no tuning of kl.",
    checked="PyTorch's Dirichlet distribution: means, variances, divergence and, for the other "
    "forms, its closed expectations.",
    related={
        "ce": "one distribution, with no say about its own uncertainty",
        "gaussian_nll": "the uncertainty of a number",
    },
)
def evidential(
    p: Tensor,
    y: Tensor,
    *,
    kl: Number = 1.0,
    evidence: Literal["softplus", "relu"] = "softplus",
    form: Literal["mse", "log", "digamma"] = "mse",
) -> Tensor:
    """Expected error of a Dirichlet prediction, and a price on evidence for wrong classes.

    Args:
        kl: the weight of the divergence.
        evidence: what turns scores into evidence.
        form: the error: squared, of the likelihood, or the mean cross entropy.

    Shape:
        p has the class axis, y is labels without it; one value a position.

    Example:
        `evidential(p, y, kl=warmup(epoch, 10))`
    """
    p = wide(p)
    alpha = 1 + (p.relu() if evidence == "relu" else -F.logsigmoid(-p))
    total = alpha.sum(1)
    numbers = torch.arange(p.shape[1], device=p.device).reshape(-1, *[1] * (p.ndim - 2))
    own = numbers == y.unsqueeze(1)
    if form == "mse":
        mean = alpha / total.unsqueeze(1)
        error = (own.to(mean.dtype) - mean) ** 2
        cost = (error + mean * (1 - mean) / (total.unsqueeze(1) + 1)).sum(1)
    elif form == "log":
        cost = total.log() - at_label(alpha, y).log()
    else:
        cost = torch.digamma(total) - torch.digamma(at_label(alpha, y))
    return cost + kl * from_uniform(torch.where(own, 1.0, alpha))
