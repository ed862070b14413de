"""Regression: what a residual costs, from squares to likelihoods.

All but `rmse` give one value an element. Residuals are prediction minus target, except in
`quantile`, whose definition turns them round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import floored, log_cosh_of
from lossdsl.library.record import Example, Number, Reference, Vector
from lossdsl.library.registry import loss, overload

SMALLEST_RATE = 1e-8
"""Where PyTorch guards the logarithm of a Poisson rate."""


@loss(
    "mse",
    signature="real[*S], real[*S] -> loss[*S]",
    family="regression",
    values="[0, inf)",
    aliases=("pmse",),
    latex=r"(p - y)^2",
    reference=Reference(
        "A.-M. Legendre", "Nouvelles méthodes pour la détermination des orbites des comètes", 1805
    ),
    pitfalls=("Without the factor ½ that many texts put in front of the square.",),
    examples=(Example("mse(p, y)", 2.5, {"p": [1.0, 3.0], "y": [0.0, 1.0]}),),
)
def mse(p: Tensor, y: Tensor) -> Tensor:
    """Squared error of each element.

    The likelihood of normal noise with one fixed variance: large residuals dominate.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `mse(p, y)`, or `sqrt(mse(p, y, mask=m))` for a root over the kept elements.
    """
    residual = p - y
    return residual * residual


@loss(
    "l1",
    signature="real[*S], real[*S] -> loss[*S]",
    family="regression",
    values="[0, inf)",
    aliases=("mae", "cycle", "identity"),
    latex=r"\lvert p - y \rvert",
    reference=Reference(
        "P.-S. Laplace", "Mémoire sur la probabilité des causes par les évènements", 1774
    ),
    conventions=("The gradient at p = y is 0.",),
    examples=(Example("l1(p, y)", 1.5, {"p": [1.0, 3.0], "y": [0.0, 1.0]}),),
)
def l1(p: Tensor, y: Tensor) -> Tensor:
    """Absolute error of each element.

    Its minimiser is the median, so single wild targets hardly move it.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `5*l1(box, target) + 2*giou(box, target)`
    """
    return (p - y).abs()


@loss(
    "smooth_l1",
    signature="real[*S], real[*S] -> loss[*S]",
    family="regression",
    values="[0, inf)",
    latex=(
        r"\begin{cases} (p-y)^2 / 2\beta & \lvert p-y \rvert < \beta \\"
        r" \lvert p-y \rvert - \beta/2 & \text{otherwise} \end{cases}"
    ),
    reference=Reference("R. Girshick", "Fast R-CNN", 2015, "1504.08083"),
    ranges={"beta": "[0, inf)"},
    conventions=("With beta = 0 it is l1, in value and gradient.",),
    pitfalls=(
        "Not huber: huber(delta=b) is b times smooth_l1(beta=b).",
        "Code that asks for sigma means beta = 1/sigma².",
    ),
    examples=(Example("smooth_l1(p, y)", 0.8125, {"p": [0.5, 2.0], "y": [0.0, 0.0]}),),
)
def smooth_l1(p: Tensor, y: Tensor, *, beta: Number = 1.0) -> Tensor:
    """Absolute error, rounded off to a square within `beta` of 0.

    Its slope never exceeds 1, whatever `beta`: the box regression of Fast R-CNN.

    Args:
        beta: where the square ends.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `smooth_l1(deltas, target, beta=1/9)`
    """
    residual = p - y
    size = residual.abs()
    within = size < beta
    inner = torch.where(within, residual, 0.0)
    # Adding the comparison turns a beta of 0 into 1, and nothing is within that.
    return torch.where(within, 0.5 * inner * inner / (beta + (beta == 0)), size - 0.5 * beta)


@loss(
    "huber",
    signature="real[*S], real[*S] -> loss[*S]",
    family="regression",
    values="[0, inf)",
    latex=(
        r"\begin{cases} (p-y)^2 / 2 & \lvert p-y \rvert \le \delta \\"
        r" \delta (\lvert p-y \rvert - \delta/2) & \text{otherwise} \end{cases}"
    ),
    reference=Reference("P. J. Huber", "Robust Estimation of a Location Parameter", 1964),
    ranges={"delta": "(0, inf)"},
    pitfalls=("Not smooth_l1: huber(delta=b) is b times smooth_l1(beta=b).",),
    examples=(Example("huber(p, y, delta=2)", 4.0, {"p": [3.0], "y": [0.0]}),),
)
def huber(p: Tensor, y: Tensor, *, delta: Number = 1.0) -> Tensor:
    """Half the squared error up to `delta`, a straight line with that slope beyond.

    Args:
        delta: the residual from which errors count linearly.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `huber(q, reward + 0.99*detach(next_q))`
    """
    residual = p - y
    capped = residual.clamp(min=-delta).clamp(max=delta)
    return capped * (residual - 0.5 * capped)


@loss(
    "log_cosh",
    signature="real[*S], real[*S] -> loss[*S]",
    family="regression",
    values="[0, inf)",
    latex=r"\log \cosh (p - y)",
    reference=Reference(
        "R. A. Saleh and A. K. Md. E. Saleh",
        "Statistical Properties of the log-cosh Loss Function Used in Machine Learning",
        2022,
        "2208.04564",
    ),
    examples=(Example("log_cosh(p, y)", 0.4337808304830271, {"p": [1.0], "y": [0.0]}),),
)
def log_cosh(p: Tensor, y: Tensor) -> Tensor:
    """Logarithm of the hyperbolic cosine of the residual: half a square that turns into a line.

    Like `huber` with `delta=1`, and smooth in every derivative.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `log_cosh(p, y)`
    """
    return log_cosh_of(p - y)


@loss(
    "charbonnier",
    signature="real[*S], real[*S] -> loss[*S]",
    family="regression",
    values="[0, inf)",
    latex=r"\sqrt{(p - y)^2 + \epsilon^2}",
    reference=Reference(
        "P. Charbonnier, L. Blanc-Féraud, G. Aubert and M. Barlaud",
        "Two Deterministic Half-Quadratic Regularization Algorithms for Computed Imaging",
        1994,
    ),
    ranges={"eps": "[0, inf)"},
    conventions=(
        "eps stands squared under the root and defaults to 1e-3, as in LapSRN.",
        "Nothing is subtracted: a perfect match costs eps, not 0.",
        "With eps = 0 it is l1, gradient 0 at p = y included.",
    ),
    pitfalls=("Some libraries add eps as it is; their 1e-12 is an eps of 1e-6 here.",),
    examples=(Example("charbonnier(p, y, eps=3)", 5.0, {"p": [4.0], "y": [0.0]}),),
)
def charbonnier(p: Tensor, y: Tensor, *, eps: Number = 1e-3) -> Tensor:
    """Absolute error with its corner rounded over a width of `eps`.

    The usual choice of super-resolution and restoration.

    Args:
        eps: the width of the rounding, and the value at a perfect match.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `charbonnier(img, target) + 0.1*tv(img)`
    """
    # The default eps² has no digits in half precision.
    residual = wide(p - y)
    square = residual * residual + eps * eps
    # eps² may underflow; the smallest normal number keeps the root's slope finite.
    return square.clamp(min=torch.finfo(square.dtype).tiny).sqrt()


@loss(
    "rmse",
    signature="real[*S], real[*S] -> loss[]",
    family="regression",
    values="[0, inf)",
    latex=r"\sqrt{\tfrac{1}{N} \sum_i (p_i - y_i)^2}",
    reference="classical",
    conventions=(
        "One root for the whole batch, without an epsilon under it.",
        "A perfect match has value 0 and gradient 0.",
    ),
    pitfalls=(
        "The mean of the samples' roots is another number.",
        "The batch's root is not the mean of its micro-batches' roots.",
    ),
    examples=(Example("rmse(p, y)", 5.0, {"p": [1.0, 7.0], "y": [0.0, 0.0]}),),
    mask="none",
)
def rmse(p: Tensor, y: Tensor) -> Tensor:
    """Root of the mean squared error over everything.

    In the units of the target, which makes it readable; its gradient has length one over the
    root of the number of elements, however small the error.

    Shape:
        p and y alike, any shape; one value for the batch.

    Example:
        `rmse(p, y)`
    """
    residual = wide(p - y)
    mean = (residual * residual).sum() / max(residual.numel(), 1)
    wrong = mean > 0
    return torch.where(wrong, torch.where(wrong, mean, 1.0).sqrt(), 0.0)


def has_levels(parameters: Mapping[str, Any]) -> bool:
    """Whether `q` is a list: the prediction then has a last axis of quantiles."""
    return isinstance(parameters.get("q"), (list, tuple))


def pinball_of(residual: Tensor, q: Number) -> Tensor:
    """Two half-lines. Written with relu, so that the gradient at 0 is 0 whatever `q`."""
    return q * residual.relu() + (1 - q) * (-residual).relu()


@loss(
    "quantile",
    signature="real[*S], real[*S] -> loss[*S]",
    family="regression",
    values="[0, inf)",
    aliases=("pinball",),
    latex=r"\max\left(q (y - p),\ (q - 1)(y - p)\right)",
    reference=Reference("R. Koenker and G. Bassett", "Regression Quantiles", 1978),
    ranges={"q": "(0, 1)"},
    conventions=(
        "The residual is target minus prediction.",
        "With a list of quantiles the prediction has one more axis, the last, in their order.",
        "The gradient at p = y is 0.",
    ),
    pitfalls=(
        "q = 0.5 is half of l1; a library that doubles the loss agrees with l1 instead.",
        "Nothing keeps the predicted quantiles from crossing.",
    ),
    examples=(
        Example("quantile(p, y, q=0.9)", 1.8, {"p": [0.0], "y": [2.0]}),
        Example("quantile(p, y, q=[0.1, 0.9])", 0.5, {"p": [[0.0, 0.0]], "y": [1.0]}),
    ),
    when=lambda parameters: not has_levels(parameters),
)
def quantile(p: Tensor, y: Tensor, *, q: Number = 0.5) -> Tensor:
    """Pinball loss: its minimiser is the `q`-quantile of the target.

    Args:
        q: the quantile to predict, or a list of them.

    Shape:
        p and y alike, any shape; one value an element. For a list of Q quantiles p has an
        axis of size Q behind those of y, and so has the result.

    Example:
        `quantile(p, y, q=[0.1, 0.5, 0.9])`
    """
    return pinball_of(y - p, q)


@overload(
    "quantile",
    signature="real[*S, Q], real[*S] -> loss[*S, Q]",
    when=has_levels,
    lengths={"Q": "q"},
)
def quantile_of_levels(p: Tensor, y: Tensor, *, q: Vector) -> Tensor:
    """Pinball loss of several quantiles at once, along the last axis of the prediction."""
    levels = torch.as_tensor(q, dtype=p.dtype, device=p.device)
    return pinball_of(y.unsqueeze(-1) - p, levels)


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
