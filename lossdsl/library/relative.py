"""Relative errors: residuals measured by the size of the target, or by what a naive forecast
would have missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import floored, mean_over
from lossdsl.library.overlap import share
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

SIGNATURE = "real[*S], real[*S] -> loss[*S]"


@loss(
    "msle",
    signature=SIGNATURE,
    family="regression",
    values="[0, inf)",
    latex=r"\left(\log(1 + p) - \log(1 + y)\right)^2",
    reference="classical",
    conventions=(
        "Values below 0 count as 0, predictions with the gradient that 0 has, so that they can "
        "climb back.",
        "The factor ½ that some texts have is left out.",
    ),
    pitfalls=("For values that are never negative: below 0 every prediction costs the same.",),
    examples=(Example("msle(p, y)", 0.4804530139182014, {"p": [3.0], "y": [1.0]}),),
    use=(
        "Targets over several orders of magnitude, such as prices or visitors, where a factor of 2 "
        "matters as much at 10 as at 10 000."
    ),
    avoid=(
        "Values below 0, which all count as 0. Where sums must come out right, since it learns "
        "something like a geometric mean: `poisson_nll` or `tweedie` keep the arithmetic one."
    ),
    checked="`sklearn.metrics.mean_squared_log_error`.",
    related={
        "mse": "of the values themselves",
        "mape": "relative and linear",
        "lognormal_nll": "the likelihood of such noise, its spread learnt too",
    },
    identities=(("msle(p, y)", "mse(log1p(relu(p)), log1p(relu(y)))"),),
)
def msle(p: Tensor, y: Tensor) -> Tensor:
    """Squared error of logarithms of one plus the value: ratios count, not differences.

    Shape:
        p and y alike, any shape, both >= 0; one value an element.

    Example:
        `msle(relu(p), visitors)`
    """
    difference = torch.log1p(floored(wide(p), 0.0)) - torch.log1p(floored(wide(y), 0.0))
    return difference * difference


@loss(
    "mape",
    signature=SIGNATURE,
    family="regression",
    values="[0, inf)",
    latex=r"\frac{\lvert p - y \rvert}{\max(\lvert y \rvert, \epsilon)}",
    reference=Reference(
        "S. Makridakis", "Accuracy measures: theoretical and practical concerns", 1993
    ),
    ranges={"eps": "(0, inf)"},
    conventions=(
        "A fraction: Keras multiplies by 100.",
        "A target of 0 is divided by eps; other libraries leave it out, or have 1e-8 there. "
        "Leave it out with mask=y != 0.",
    ),
    pitfalls=(
        "A target near 0 outweighs all others.",
        "Too high a forecast costs without bound, too low a one at most 1: it learns to "
        "underestimate.",
    ),
    examples=(Example("mape(p, y)", 0.875, {"p": [3.0, 1.0], "y": [4.0, -2.0]}),),
    use="Forecasts that are judged in percent, of targets well away from 0.",
    avoid=(
        "Intermittent demand and whatever comes near 0: `mase` takes its scale from the past. It "
        "rewards low forecasts; `msle` treats a factor up and a factor down alike."
    ),
    checked="`sklearn.metrics.mean_absolute_percentage_error`.",
    related={
        "smape": "divides by prediction and target, and is bounded",
        "mase": "divides by what a naive forecast missed",
        "msle": "squares of logarithms",
    },
    identities=(("mape(p, y)", "mean(abs(p - y)/maximum(abs(y), 1e-6))"),),
)
def mape(p: Tensor, y: Tensor, *, eps: Number = 1e-6) -> Tensor:
    """Absolute error as a fraction of the target.

    Args:
        eps: the least target that is divided by.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `mape(forecast, sales, mask=sales != 0)`
    """
    return (wide(p) - y).abs() / wide(y).abs().clamp(min=eps)


@loss(
    "smape",
    signature=SIGNATURE,
    family="regression",
    values="[0, 2]",
    latex=r"\frac{2 \lvert p - y \rvert}{\lvert p \rvert + \lvert y \rvert}",
    reference=Reference(
        "S. Makridakis", "Accuracy measures: theoretical and practical concerns", 1993
    ),
    conventions=(
        "In [0, 2], a fraction: other libraries leave the 2 out, or multiply by 100.",
        "Two zeros cost 0, with gradient 0; nothing is added to the denominator.",
    ),
    pitfalls=(
        "Where the signs differ it is 2 whatever the size, without a gradient.",
        "Against a target of 0 every forecast but 0 costs 2.",
    ),
    examples=(Example("smape(p, y)", 1.0, {"p": [3.0], "y": [1.0]}),),
    use=(
        "Scores of forecasting competitions such as M3 and M4, and series of mixed scale that are "
        "seldom 0."
    ),
    avoid=(
        "Series that change sign or are often 0, where it is 2 whatever the forecast: `mase` stays "
        "informative."
    ),
    checked="`torchmetrics.functional.symmetric_mean_absolute_percentage_error`.",
    related={
        "mape": "divides by the target alone",
        "mase": "divides by what a naive forecast missed",
    },
    identities=(
        ("smape(p, y)", "smape(y, p)"),
        ("smape(3*p, 3*y)", "smape(p, y)"),
    ),
)
def smape(p: Tensor, y: Tensor) -> Tensor:
    """Absolute error as a fraction of the mean size of prediction and target.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `smape(forecast, sales)`
    """
    p, y = wide(p), wide(y)
    return share(2 * (p - y).abs(), p.abs() + y.abs())


def least_history(parameters: Mapping[str, Any]) -> dict[str, int]:
    """One step of the naive forecast."""
    return {"M": int(parameters["season"]) + 1}


@loss(
    "mase",
    signature="real[*S, N], real[*S, N], real[*S, M] -> loss[*S, N]",
    family="regression",
    values="[0, inf)",
    latex=(
        r"\frac{\lvert p_t - y_t \rvert}{\tfrac{1}{M - m} \sum_{s = m + 1}^{M}"
        r" \lvert h_s - h_{s - m} \rvert}"
    ),
    reference=Reference(
        "R. J. Hyndman and A. B. Koehler", "Another look at measures of forecast accuracy", 2006
    ),
    ranges={"season": "[1, inf)"},
    least=least_history,
    conventions=(
        "Time is the last axis; the history has its own length, and each series its own scale.",
        "A history that repeats itself exactly scales nothing: its series costs 0.",
        "A mask belongs to the forecast; the history is used as it is.",
    ),
    examples=(
        Example(
            "mase(p, y, h, season=1)",
            0.75,
            {"p": [1.0, 2.0], "y": [2.0, 4.0], "h": [0.0, 1.0, 4.0]},
        ),
    ),
    use=(
        "Series of different units in one batch: 1 is as good as repeating the last season, "
        "whatever the series."
    ),
    avoid="Series whose past is short or constant, which scale nothing: `l1` of normalised values.",
    checked="The paper's formula in NumPy, and the naive forecast, whose error is 1.",
    related={
        "mape": "divides by the target",
        "smape": "divides by prediction and target",
        "l1": "in the units of the target",
    },
    identities=(("mase(3*p, 3*y, 3*h, season=1)", "mase(p, y, h, season=1)"),),
)
def mase(p: Tensor, y: Tensor, history: Tensor, *, season: int) -> Tensor:
    """Absolute error in units of what repeating the last season would have missed in the past.

    Args:
        season: the steps of a season; 1 repeats the last value.

    Shape:
        p and y alike with time last, history with the same axes in front; one value an element.

    Example:
        `mase(forecast, sales, past, season=7)`
    """
    history = wide(history)
    naive = (history[..., season:] - history[..., :-season]).abs()
    scale = mean_over(naive, [-1]).unsqueeze(-1)
    residual = (wide(p) - y).abs()
    return share(residual, scale.expand_as(residual))
