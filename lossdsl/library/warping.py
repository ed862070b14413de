"""Series compared under a warping of time: shape first, then delay.

One value a series; time is the axis before the last, `x[..., none]` makes one value a step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.alignment import expected_visits, last_cell, skewed, soft_paths
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

OF_COST = "A step of a path costs the squared Euclidean distance of the two values, without a half."
OF_TIME = "Compilation makes a graph for each length; batches of any size share one."


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Of every value of one series from every value of the other, `[B, N, M]`."""
    difference = x.unsqueeze(2) - y.unsqueeze(1)
    return (difference * difference).sum(-1)


def path_costs(x: Tensor, y: Tensor, gamma: Number) -> Tensor:
    """The soft minimum over all paths to each cell, as a skewed table in units of gamma."""
    table: Tensor = soft_paths(skewed(squared_distances(x, y) / gamma))
    return table


def cost_of(table: Tensor, gamma: Number) -> Tensor:
    """What the whole alignment costs."""
    return gamma * torch.where(last_cell(table), table, 0.0).sum((1, 2))


@loss(
    "soft_dtw",
    signature="real[B, N, D], real[B, M, D] -> loss[B]",
    family="series",
    latex=(
        r"-\gamma \log \sum_{\pi} \exp\left(-\tfrac1\gamma"
        r" \sum_{(i, j) \in \pi} \lVert x_i - y_j \rVert^2\right)"
    ),
    reference=Reference(
        "M. Cuturi and M. Blondel",
        "Soft-DTW: a Differentiable Loss Function for Time-Series",
        2017,
        "1703.01541",
    ),
    ranges={"gamma": "(0, inf)"},
    conventions=(
        OF_COST,
        "The sum along the path, neither divided by its length nor rooted.",
        "divergence=true takes off half of what each series costs against itself, so that equal "
        "series cost 0 (Blondel, Mensch and Vert, 2021).",
        OF_TIME,
    ),
    pitfalls=(
        "It may be negative, and is not smallest at equal series; divergence=true is.",
        "gamma has the units of the squared values: normalise the series first.",
    ),
    examples=(
        Example("soft_dtw(x, y)", 4.0, {"x": [[[2.0]]], "y": [[[0.0]]]}),
        Example(
            "soft_dtw(x, y)", -1.0986122886681098, {"x": [[[0.0], [0.0]]], "y": [[[0.0], [0.0]]]}
        ),
    ),
    use="Series of one shape at different speeds or delays, as of gestures or speech.",
    avoid=(
        "Where the time of an event matters, since delays are nearly free: `dilate`. Series whose "
        "steps correspond: `l1` or `mse`, without a table of N times M cells a pair."
    ),
    checked="The paper's recursion, cell by cell in NumPy.",
    related={
        "dilate": "charges the delays too",
        "mse": "step against step",
        "ctc": "sums over alignments of labels to frames",
    },
    identities=(
        ("soft_dtw(x, y)", "soft_dtw(y, x)"),
        ("soft_dtw(2*x, 2*y, gamma=4)", "4*soft_dtw(x, y)"),
    ),
)
def soft_dtw(x: Tensor, y: Tensor, *, gamma: Number = 1.0, divergence: bool = False) -> Tensor:
    """Dynamic time warping with a soft minimum: compares shapes, wherever in time they are.

    Args:
        gamma: towards 0 the best alignment alone counts.
        divergence: whether series are compared with themselves too, so that equal ones cost 0.

    Shape:
        x [B, N, D] and y [B, M, D], lengths may differ; one value a pair of series.

    Example:
        `soft_dtw(forecast[..., none], target[..., none], gamma=0.1)`
    """
    x, y = wide(x), wide(y)
    across = cost_of(path_costs(x, y, gamma), gamma)
    if not divergence:
        return across
    own = cost_of(path_costs(x, x, gamma), gamma) + cost_of(path_costs(y, y, gamma), gamma)
    # A series without steps is compared with nothing: nor is the other one with itself.
    return across - 0.5 * min(x.shape[1], y.shape[1], 1) * own


@loss(
    "dilate",
    signature="real[B, N, D], real[B, N, D] -> loss[B]",
    family="series",
    latex=(
        r"\alpha\, \mathrm{dtw}_\gamma(p, y)"
        r" + (1 - \alpha)\, \tfrac{1}{N^2} \sum_{i, j} P_{ij} (i - j)^2,"
        r"\quad P = \frac{\partial\, \mathrm{dtw}_\gamma}{\partial \lVert p_i - y_j \rVert^2}"
    ),
    reference=Reference(
        "V. Le Guen and N. Thome",
        "Shape and Time Distortion Loss for Training Deep Time Series Forecasting Models",
        2019,
        "1909.09020",
    ),
    ranges={"alpha": "[0, 1]", "gamma": "(0, inf)"},
    conventions=(
        OF_COST,
        "The delays are divided by the squared length, the shape term is not.",
        OF_TIME,
    ),
    pitfalls=("The shape term may be negative, and grows with the length.",),
    examples=(
        Example("dilate(p, y, alpha=1)", 4.0, {"p": [[[2.0]]], "y": [[[0.0]]]}),
        Example("dilate(p, y, alpha=0)", 1 / 6, {"p": [[[0.0], [0.0]]], "y": [[[0.0], [0.0]]]}),
    ),
    use=(
        "Forecasts with sharp changes, which `mse` answers with a blur: shape and delay are "
        "weighed against each other."
    ),
    avoid=(
        "Series of unequal length: `soft_dtw`. Long horizons, with whose square time and memory "
        "grow: `l1` or `quantile`."
    ),
    checked="Sums over all alignments, one by one.",
    related={
        "soft_dtw": "the shape alone",
        "mse": "step against step",
    },
    identities=(("dilate(p, y, alpha=1)", "soft_dtw(p, y, gamma=0.01)"),),
)
def dilate(p: Tensor, y: Tensor, *, alpha: Number = 0.5, gamma: Number = 0.01) -> Tensor:
    """Soft dynamic time warping for the shape, and the delays of its alignment for the timing.

    Args:
        alpha: the weight of the shape; the timing has the rest.
        gamma: towards 0 the best alignment alone counts.

    Shape:
        p and y [B, N, D] of equal length; one value a series.

    Example:
        `dilate(forecast[..., none], target[..., none], alpha=0.8)`
    """
    table = path_costs(wide(p), wide(y), gamma)
    steps, rows = table.shape[1:]
    step = torch.arange(steps, device=table.device)[:, None]
    row = torch.arange(rows, device=table.device)
    delay = ((2 * row - step) ** 2).to(table.dtype) / max(rows * rows, 1)
    timing = (expected_visits(table) * delay).sum((1, 2))
    return alpha * cost_of(table, gamma) + (1 - alpha) * timing
