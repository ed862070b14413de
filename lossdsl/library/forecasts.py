"""Probabilistic forecasts: quantiles, ensembles and distributions against what came.

The scores are proper: on average nothing beats the true distribution.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.embedding import norm
from lossdsl.library.guarded import floored, mean_over
from lossdsl.library.quantiles import has_levels, pinball_of
from lossdsl.library.record import Example, Number, Reference, Vector
from lossdsl.library.registry import loss, overload
from lossdsl.library.regression import huber

SIGNATURE = "real[*S], real[*S] -> loss[*S]"
SCORING = Reference(
    "T. Gneiting and A. E. Raftery",
    "Strictly Proper Scoring Rules, Prediction, and Estimation",
    2007,
)
OF_FAIR = (
    "fair=true divides the members' own distances by N(N - 1) rather than N²: then the expected "
    "value does not depend on the number of members, and may be below 0."
)


@loss(
    "expectile",
    signature=SIGNATURE,
    family="regression",
    values="[0, inf)",
    latex=r"\lvert q - [y < p] \rvert\, (y - p)^2",
    reference=Reference(
        "W. K. Newey and J. L. Powell", "Asymmetric Least Squares Estimation and Testing", 1987
    ),
    ranges={"q": "(0, 1)"},
    conventions=("q = 0.5 is half of mse; implicit Q-learning calls q tau.",),
    examples=(Example("expectile(p, y, q=0.9)", 3.6, {"p": [0.0], "y": [2.0]}),),
    use=(
        "Costs that differ by side, with a continuous slope; values in implicit Q-learning, where "
        "a q near 1 comes close to the best action of the data."
    ),
    avoid=(
        "Statements such as 'nine of ten lie below': `quantile`. Outliers, which its squares "
        "follow: `huber_quantile`."
    ),
    checked="The formula in NumPy, and `scipy.stats.expectile` as its minimiser.",
    related={
        "mse": "twice this at q=0.5",
        "quantile": "lines in place of squares",
        "huber_quantile": "between the two",
    },
    identities=(
        ("expectile(p, y, q=0.5)", "0.5*mse(p, y)"),
        ("expectile(p, y, q=0.9)", "expectile(y, p, q=0.1)"),
    ),
)
def expectile(p: Tensor, y: Tensor, *, q: Number = 0.5) -> Tensor:
    """Squared error with other weights above and below: its minimiser is the `q`-expectile.

    Args:
        q: the weight of targets above the prediction; those below have 1 - q.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `expectile(value, detach(q_value), q=0.7)`
    """
    above, below = (y - p).relu(), (p - y).relu()
    return q * above * above + (1 - q) * below * below


@loss(
    "implicit_quantile",
    signature="real[*S], real[*S], prob[*S] -> loss[*S]",
    family="regression",
    values="[0, inf)",
    latex=r"\max\left(\tau (y - p),\ (\tau - 1)(y - p)\right)",
    reference=Reference(
        "W. Dabney, G. Ostrovski, D. Silver and R. Munos",
        "Implicit Quantile Networks for Distributional Reinforcement Learning",
        2018,
        "1806.06923",
    ),
    conventions=(
        "quantile with a level for each element, which the network was given too.",
        "The paper rounds the corner: that is huber_quantile.",
    ),
    pitfalls=("tau is the level that the network saw, not a fresh one.",),
    examples=(Example("implicit_quantile(p, y, t)", 1.8, {"p": [0.0], "y": [2.0], "t": [0.9]}),),
    use=(
        "One network for all quantiles: a level is drawn for each element, and the network is "
        "given it as an input."
    ),
    avoid="A short, fixed list of levels, which need no drawing: `quantile`.",
    checked="`quantile` at the level that all elements share.",
    related={
        "quantile": "one level, or a fixed list",
        "huber_quantile": "with its corner rounded",
        "crps": "twice its mean over all levels, from an ensemble",
    },
    identities=(("implicit_quantile(p, y, 0.3)", "quantile(p, y, q=0.3)"),),
)
def implicit_quantile(p: Tensor, y: Tensor, tau: Tensor) -> Tensor:
    """Pinball loss of a network that is told which quantile to predict.

    Shape:
        p, y and tau alike, any shape, tau in [0, 1]; one value an element.

    Example:
        `implicit_quantile(p, y, tau)`
    """
    residual = y - p
    return tau * residual.relu() + (1 - tau) * (-residual).relu()


@loss(
    "huber_quantile",
    signature=SIGNATURE,
    family="regression",
    values="[0, inf)",
    latex=r"\frac{1}{\delta} \lvert q - [y < p] \rvert\, H_\delta(y - p)",
    reference=Reference(
        "W. Dabney, M. Rowland, M. G. Bellemare and R. Munos",
        "Distributional Reinforcement Learning with Quantile Regression",
        2017,
        "1710.10044",
    ),
    ranges={"q": "(0, 1)", "delta": "(0, inf)"},
    conventions=(
        "Divided by delta, so that far from 0 it is quantile less a constant; the paper is not.",
    ),
    pitfalls=("Its minimiser lies between quantile and expectile.",),
    examples=(Example("huber_quantile(p, y, q=0.9, delta=2)", 2.7, {"p": [0.0], "y": [4.0]}),),
    use=(
        "Quantiles with a continuous slope, as in distributional Q-learning: one call for each "
        "level."
    ),
    avoid=(
        "Calibrated intervals where delta is not small beside the noise, since the minimiser "
        "drifts towards the expectile: `quantile`."
    ),
    checked="The paper's weights in NumPy times `huber`, divided by delta.",
    related={
        "quantile": "its limit for a small delta",
        "huber": "2*delta times this at q=0.5",
        "expectile": "squares everywhere",
    },
    identities=(("huber_quantile(p, y, q=0.5, delta=2)", "0.25*huber(p, y, delta=2)"),),
)
def huber_quantile(p: Tensor, y: Tensor, *, q: Number = 0.5, delta: Number = 1.0) -> Tensor:
    """Pinball loss whose corner is rounded within `delta` of 0.

    Args:
        q: the quantile to predict.
        delta: where the rounding ends.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `huber_quantile(z, target, q=0.1)`
    """
    above = (y > p).to(p.dtype)
    weight = q * above + (1 - q) * (1 - above)
    return weight * huber(p, y, delta=delta) / delta


def least_members(parameters: Mapping[str, Any]) -> dict[str, int]:
    """Fairness compares two members."""
    return {"N": 2} if parameters["fair"] else {}


def pair_mean(distances: Tensor, fair: bool) -> Tensor:
    """Mean over the last two axes, the members' distances from each other; with `fair` without
    that of a member from itself, which is 0."""
    count = distances.shape[-1]
    pairs = count * max(count - 1, 1) if fair else count * count
    return distances.sum((-1, -2)) / max(pairs, 1)


@loss(
    "crps",
    signature="real[*S, N], real[*S] -> loss[*S]",
    family="regression",
    latex=(
        r"\frac1N \sum_i \lvert x_i - y \rvert"
        r" - \frac{1}{2 N^2} \sum_{i, j} \lvert x_i - x_j \rvert"
    ),
    reference=SCORING,
    ranges={"q": "(0, 1)"},
    least=least_members,
    when=lambda parameters: not has_levels(parameters),
    conventions=(
        "The members of the ensemble are the last axis of the prediction.",
        OF_FAIR,
        "With a list of levels q the last axis is that of quantiles, in their order, and the "
        "score is twice the mean of their pinball losses: its integral with equal steps.",
        "The gradient where members coincide is 0.",
    ),
    pitfalls=(
        "An ensemble of N members takes memory for N² distances.",
        "Levels q that are not spread evenly weigh their part of the distribution more.",
    ),
    examples=(
        Example("crps(p, y)", 0.5, {"p": [[0.0, 2.0]], "y": [1.0]}),
        Example("crps(p, y, fair=true)", 0.0, {"p": [[0.0, 2.0]], "y": [1.0]}),
        Example("crps(p, y, q=[0.1, 0.9])", 1.0, {"p": [[0.0, 0.0]], "y": [1.0]}),
    ),
    use=(
        "Ensembles and sampled forecasts: rewards calibration and sharpness together, in the units "
        "of the target. With few members take fair=true."
    ),
    avoid=(
        "Vectors whose components hang together: `energy_score`. Normal distributions, of which "
        "samples are noisy: `crps_gaussian`."
    ),
    checked=(
        "Loops over pairs of members in NumPy, and the integral over thresholds that defines it."
    ),
    related={
        "energy_score": "for vectors",
        "crps_gaussian": "of a normal distribution, in closed form",
        "quantile": "its half, level by level",
        "energy_distance": "between two samples",
    },
    identities=(
        ("crps(p, y, q=[0.1, 0.9])", "2*quantile(p, y, q=[0.1, 0.9])"),
        ("crps(p, y, q=[0.5])", "l1(p[..., 0], y)"),
        ("crps(p[..., none], y)", "l1(p, y)"),
    ),
)
def crps(p: Tensor, y: Tensor, *, q: Vector | None = None, fair: bool = False) -> Tensor:
    """Continuous ranked probability score of an ensemble, or of predicted quantiles.

    In the units of the target; absolute error for a single member, or the median alone.

    Args:
        q: the levels of the quantiles, where the prediction is quantiles.
        fair: whether the spread of the ensemble is estimated without bias.

    Shape:
        p has an axis of N members or Q quantiles behind those of y; one value an element of y.

    Example:
        `crps(members, observed)`, `crps(p, y, q=[0.1, 0.3, 0.5, 0.7, 0.9])`
    """
    members, y = wide(p), wide(y)
    error = mean_over((members - y.unsqueeze(-1)).abs(), [-1])
    spread = (members.unsqueeze(-1) - members.unsqueeze(-2)).abs()
    return error - 0.5 * pair_mean(spread, fair)


@overload(
    "crps",
    signature="real[*S, Q], real[*S] -> loss[*S]",
    when=has_levels,
    lengths={"Q": "q"},
)
def crps_of_quantiles(p: Tensor, y: Tensor, *, q: Vector, fair: bool = False) -> Tensor:
    """Continuous ranked probability score of a distribution given by its quantiles."""
    levels = torch.as_tensor(q, dtype=p.dtype, device=p.device)
    return 2 * mean_over(pinball_of(y.unsqueeze(-1) - p, levels), [-1])


@loss(
    "crps_gaussian",
    signature="real[*S], real[*S], positive[*S] -> loss[*S]",
    family="regression",
    values="[0, inf)",
    latex=(
        r"\sigma \left[z (2 \Phi(z) - 1) + 2 \varphi(z) - \tfrac{1}{\sqrt\pi}\right],"
        r"\quad z = \frac{y - \mu}{\sigma}"
    ),
    reference=Reference(
        "T. Gneiting, A. E. Raftery, A. H. Westveld and T. Goldman",
        "Calibrated Probabilistic Forecasting Using Ensemble Model Output Statistics and Minimum "
        "CRPS Estimation",
        2005,
    ),
    ranges={"eps": "(0, inf)"},
    conventions=(
        "The third argument is the variance, as in gaussian_nll; below eps it counts as eps, with "
        "the gradient that eps has.",
    ),
    examples=(
        Example(
            "crps_gaussian(m, y, v)",
            0.46738995451021825,
            {"m": [0.0], "y": [0.0], "v": [4.0]},
        ),
    ),
    use=(
        "Mean and variance of a forecast where `gaussian_nll` makes too much of far targets, as in "
        "the calibration of weather ensembles."
    ),
    avoid=(
        "Risks of the tails, to which it is lenient: `gaussian_nll`. Targets that no normal "
        "distribution fits: `student_t_nll`, or `crps` of samples."
    ),
    checked="SciPy's numerical integral of the score.",
    related={
        "gaussian_nll": "quadratic in far residuals",
        "crps": "of samples or quantiles",
    },
    identities=(("crps_gaussian(m, y, v)", "crps_gaussian(y, m, v)"),),
)
def crps_gaussian(mean: Tensor, target: Tensor, var: Tensor, *, eps: Number = 1e-6) -> Tensor:
    """Continuous ranked probability score of a normal distribution, in closed form.

    Unlike `gaussian_nll` linear in far residuals, and in the units of the target.

    Args:
        eps: the smallest variance that is believed.

    Shape:
        mean, target and var alike, any shape, var > 0; one value an element.

    Example:
        `crps_gaussian(m, y, exp(log_var))`
    """
    deviation = floored(wide(var), eps).sqrt()
    z = (target - mean) / deviation
    density = torch.exp(-0.5 * z * z) * math.sqrt(2 / math.pi)
    within = torch.erf(z * math.sqrt(0.5))
    return deviation * (z * within + density - 1 / math.sqrt(math.pi))


@loss(
    "energy_score",
    signature="real[B, N, D], real[B, D] -> loss[B]",
    family="regression",
    latex=(
        r"\frac1N \sum_i \lVert x_i - y \rVert_2"
        r" - \frac{1}{2 N^2} \sum_{i, j} \lVert x_i - x_j \rVert_2"
    ),
    reference=SCORING,
    least=least_members,
    conventions=(
        "crps for vectors: with D = 1 the two are equal.",
        OF_FAIR,
        "The gradient where vectors coincide is 0.",
    ),
    pitfalls=("It sees wrong correlations less than wrong means and spreads.",),
    examples=(
        Example(
            "energy_score(x, y)",
            1.25,
            {"x": [[[3.0, 4.0], [0.0, 0.0]]], "y": [[0.0, 0.0]]},
        ),
    ),
    use=(
        "Ensembles of vectors, such as paths of several steps or values at several stations, "
        "scored as a whole."
    ),
    avoid=(
        "Single numbers: `crps` is the same and takes any shape. Wrong correlations, which it "
        "hardly notices: score differences of components with `crps` too."
    ),
    checked="Loops over pairs of members in NumPy.",
    related={
        "crps": "for single numbers",
        "energy_distance": "between two samples",
    },
    identities=(("energy_score(p[..., none], y[:, none])", "crps(p, y)"),),
)
def energy_score(samples: Tensor, y: Tensor, *, fair: bool = False) -> Tensor:
    """Proper score of an ensemble of vectors.

    Args:
        fair: whether the spread is estimated without bias.

    Shape:
        samples [B, N, D] with N members, y [B, D]; one value a vector.

    Example:
        `energy_score(members, observed)`
    """
    samples, y = wide(samples), wide(y)
    error = mean_over(norm(samples - y.unsqueeze(-2), 2), [-1])
    spread = norm(samples.unsqueeze(-2) - samples.unsqueeze(-3), 2)
    return error - 0.5 * pair_mean(spread, fair)
