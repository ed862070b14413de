"""Proportions: numbers between 0 and 1 with a density of their own. One value an element."""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import log_complement, log_prob
from lossdsl.library.limits import log_gamma_rest
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss


@loss(
    "beta_nll",
    signature="positive[*S], prob[*S], positive[*S] -> loss[*S]",
    family="regression",
    values="(-inf, inf)",
    latex=r"\log B(a, b) - (a - 1) \log y - (b - 1) \log(1 - y)",
    reference=Reference(
        "S. L. P. Ferrari and F. Cribari-Neto",
        "Beta Regression for Modelling Rates and Proportions",
        2004,
    ),
    conventions=(
        "Both shape parameters are predicted; of a mean m and a precision k they are m k and "
        "(1 - m) k.",
        "At targets of 0 and 1 a logarithm is -100, and never steeper than 1e12.",
    ),
    pitfalls=(
        "Not the beta-NLL that weighs a normal likelihood by its variance: that is "
        "`gaussian_nll(m, y, v, weight=detach(v)**0.5)`.",
        "Targets of exactly 0 and 1 have no density of their own: move them inwards, or model "
        "them by bce.",
    ),
    examples=(
        Example("beta_nll(a, y, b)", 0.0, {"a": [1.0], "y": [0.25], "b": [1.0]}),
        Example("beta_nll(a, y, b)", -0.4054651081081644, {"a": [2.0], "y": [0.5], "b": [2.0]}),
    ),
    use="For shares, rates and scores in (0, 1) whose spread is wanted with them: click rates, "
    "cover fractions, relative humidity.",
    avoid="For labels of 0 and 1, soft or not, take `bce`; where the mean alone is wanted it does "
    "as well for shares.",
    checked="`torch.distributions.Beta`, and SciPy's `betaln` for large parameters.",
    related={
        "bce": "a mean without a spread",
        "gaussian_nll": "numbers without bounds",
        "gamma_nll": "numbers above 0",
    },
    identities=(
        (
            "input a: positive[B]; input y: prob[B]; input b: positive[B]; beta_nll(a, y, b)",
            "input a: positive[B]; input y: prob[B]; input b: positive[B]; beta_nll(b, 1 - y, a)",
        ),
    ),
)
def beta_nll(a: Tensor, y: Tensor, b: Tensor) -> Tensor:
    """Negative log-likelihood of a share under a beta distribution.

    Shape:
        a, y and b alike, any shape; one value an element.

    Example:
        `beta_nll(softplus(p), y, softplus(q))`
    """
    a, b = wide(a), wide(b)
    # log B by Stirling's formula, whose large terms are taken together.
    rest = log_gamma_rest(a) + log_gamma_rest(b) - log_gamma_rest(a + b)
    beta = rest - a * torch.log1p(b / a) - b * torch.log1p(a / b)
    return beta - (a - 1) * log_prob(y) - (b - 1) * log_complement(y)
