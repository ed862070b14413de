"""Densities of the two commonest noises, normal and Poisson: what a target costs, given the
parameters that are predicted for it. One value an element.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossdsl.library.guarded import floored
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss, overload

SMALLEST_RATE = 1e-8
"""Where PyTorch guards the logarithm of a Poisson rate."""


@loss(
    "gaussian_nll",
    signature="real[*S], real[*S], positive[*S] -> loss[*S]",
    family="regression",
    latex=r"\tfrac12 \left[\log v + \frac{(\mu - y)^2}{v}\right]",
    reference=Reference(
        "D. A. Nix and A. S. Weigend",
        "Estimating the Mean and Variance of the Target Probability Distribution",
        1994,
    ),
    ranges={"eps": "(0, inf)"},
    conventions=(
        "A variance below eps counts as eps, with the gradient that eps has.",
        "full adds the constant ½ log 2π.",
    ),
    pitfalls=("The third argument is the variance: not its root, not its logarithm.",),
    examples=(
        Example("gaussian_nll(m, y, v)", 1.1931471805599454, {"m": [0.0], "y": [2.0], "v": [4.0]}),
    ),
    use=(
        "Regression with an uncertainty for each prediction: mean and variance are learnt together."
    ),
    avoid=(
        "Heavy tails, since one far target blows the variance up: `laplace_nll`, `student_t_nll` "
        "or `crps_gaussian`. Where the mean alone is wanted, `mse` trains more calmly."
    ),
    checked="`torch.nn.functional.gaussian_nll_loss` and `scipy.stats.norm`.",
    related={
        "mse": "twice this at a variance of 1",
        "crps_gaussian": "linear in far residuals, in the units of the target",
        "laplace_nll": "learns the median and a scale",
        "kl_gaussian": "between two normal distributions",
    },
    identities=(
        ("gaussian_nll(m, y, 1)", "0.5*mse(m, y)"),
        (
            "gaussian_nll(m, y, v, full=true)",
            "gaussian_nll(m, y, v) + 0.5*log(2*3.141592653589793)",
        ),
    ),
)
def gaussian_nll(
    mean: Tensor, target: Tensor, var: Tensor, *, full: bool = False, eps: Number = 1e-6
) -> Tensor:
    """Negative log-likelihood of normal noise whose variance is predicted too.

    Args:
        full: whether the constant ½ log 2π is added.
        eps: the smallest variance that is believed.

    Shape:
        mean, target and var alike, any shape, var > 0; one value an element.

    Example:
        `gaussian_nll(m, y, exp(log_var))`
    """
    var = floored(var, eps)
    residual = mean - target
    cost = 0.5 * (var.log() + residual * residual / var)
    return cost + 0.5 * math.log(2 * math.pi) if full else cost


def stirling(count: Tensor) -> Tensor:
    """Stirling's approximation of log(count!), and 0 for counts up to 1."""
    many = count > 1
    count = torch.where(many, count, 1.0)
    value = count * count.log() - count + 0.5 * (2 * math.pi * count).log()
    return torch.where(many, value, 0.0)


@loss(
    "poisson_nll",
    signature="real[*S], real[*S] -> loss[*S]",
    family="regression",
    latex=r"e^{z} - y z",
    reference=Reference("J. A. Nelder and R. W. M. Wedderburn", "Generalized Linear Models", 1972),
    conventions=(
        "An undeclared or real prediction is the logarithm of the rate, a positive one the rate.",
        "A log-rate above half of the largest exponent (44 in float32) goes on along its tangent.",
        "A rate below 1e-8 counts as 1e-8 inside the logarithm.",
        "full adds Stirling's approximation of log y! for y > 1, as PyTorch does.",
    ),
    examples=(
        Example("poisson_nll(z, y)", -0.0794415416798357, {"z": [0.6931471805599453], "y": [3.0]}),
    ),
    use=(
        "Counts in a fixed window, such as clicks, calls or photons, whose variance is about their "
        "mean."
    ),
    avoid=(
        "Counts that vary more than that: `neg_binomial_nll`. Positive amounts that are no counts: "
        "`gamma_nll`, or `tweedie` where many are exactly 0."
    ),
    checked="`torch.nn.functional.poisson_nll_loss` and `scipy.stats.poisson`.",
    related={
        "neg_binomial_nll": "with a dispersion that is predicted too",
        "tweedie": "for amounts, its variance a power of the mean",
        "exponential_nll": "of the times between the events",
    },
)
def poisson_nll(p: Tensor, y: Tensor, *, full: bool = False) -> Tensor:
    """Negative log-likelihood of counts, from the logarithm of their rate or the rate itself.

    Args:
        full: whether the term of the target alone, log y!, is added.

    Shape:
        p and y alike, any shape, y >= 0; one value an element.

    Example:
        `poisson_nll(log_rate, clicks)`
    """
    held = p.clamp(max=0.5 * math.log(torch.finfo(p.dtype).max))
    cost = held.exp() * (1 + (p - held)) - y * p
    return cost + stirling(y) if full else cost


@overload("poisson_nll", signature="positive[*S], real[*S] -> loss[*S]")
def poisson_nll_of_rate(p: Tensor, y: Tensor, *, full: bool = False) -> Tensor:
    """Negative log-likelihood of counts, from their rate."""
    cost = p - y * floored(p, SMALLEST_RATE).log()
    return cost + stirling(y) if full else cost
