"""Quantiles: two half-lines whose slopes say how many targets should lie below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lossdsl.library.record import Example, Number, Reference, Vector
from lossdsl.library.registry import loss, overload


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
    use=(
        "Forecasts with intervals, each level learnt without a distribution being assumed; and "
        "costs that differ by side, as of too little or too much stock."
    ),
    avoid=(
        "Levels close to 0 or 1, of which few samples tell: a likelihood such as `student_t_nll` "
        "extrapolates. A slope that is continuous: `huber_quantile`."
    ),
    checked="`sklearn.metrics.mean_pinball_loss`, and the sample's quantile as its minimiser.",
    related={
        "expectile": "squares in place of lines",
        "implicit_quantile": "a level for each element",
        "huber_quantile": "with its corner rounded",
        "crps": "the mean over many levels, doubled",
    },
    identities=(
        ("quantile(p, y, q=0.5)", "0.5*l1(p, y)"),
        ("quantile(p, y, q=0.9)", "quantile(y, p, q=0.1)"),
        ("quantile(p, y, q=0.9)", "implicit_quantile(p, y, 0.9)"),
    ),
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
