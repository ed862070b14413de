"""Distances of two samples, each a set of values or of points without an order.

The points of a sample are the axis before the last, their coordinates the last; axes in front
are a batch. One value a pair of samples, and one for everything where there is no batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.library import custom_op

from lossdsl.functions.precision import wide
from lossdsl.library.embedding import norm
from lossdsl.library.guarded import mean_over
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

POINTS = "real[*S, N, D], real[*S, M, D] -> loss[*S]"
OF_POINTS = "Every point weighs the same; the samples may differ in number. No points cost 0."
OF_BATCH = "The value depends on the batch where the batch is the sample: parts do not add up."


def between(x: Tensor, y: Tensor) -> Tensor:
    """Differences of all points of one sample from all of the other, `[*S, N, M, D]`."""
    return x.unsqueeze(-2) - y.unsqueeze(-3)


def some(x: Tensor, y: Tensor) -> int:
    """1, or 0 where a sample has no points."""
    return min(x.shape[-2], y.shape[-2], 1)


@loss(
    "wasserstein_1d",
    signature="real[*S, N], real[*S, N] -> loss[*S]",
    family="samples",
    values="[0, inf)",
    aliases=("earth_mover_1d",),
    latex=r"\tfrac1N \sum_i \lvert x_{(i)} - y_{(i)} \rvert^p",
    reference=Reference("C. Villani", "Optimal Transport: Old and New", 2009),
    ranges={"p": "[1, inf)"},
    conventions=(
        "Single numbers along the last axis, as many in both samples: sorted, they are matched in "
        "order.",
        "The p-th power of the distance, without the root: p = 2 gives squares.",
    ),
    pitfalls=("Not wgan_d, which estimates the distance by a critic.",),
    use="Distributions of single numbers: grey values, returns, projections of points onto lines.",
    avoid=(
        "Points of several coordinates: `sinkhorn` or `energy_distance`. Numbers that are"
        " paired: `l1`."
    ),
    checked=(
        "`scipy.stats.wasserstein_distance`, and `scipy.optimize.linear_sum_assignment` for powers"
    ),
    related={
        "sinkhorn": "of points of any dimension",
        "l1": "without sorting",
        "crps": "the same idea of a sample against one number",
        "wgan_d": "estimates the distance by a critic",
    },
    identities=(
        (
            "wasserstein_1d(x, y)",
            "input x: real[*S, N]; input y: real[*S, N]; l1(sort(x), sort(y))",
        ),
        (
            "wasserstein_1d(x, y, p=2)",
            "input x: real[*S, N]; input y: real[*S, N]; mse(sort(x), sort(y))",
        ),
    ),
    examples=(
        Example("wasserstein_1d(x, y)", 1.0, {"x": [[3.0, 1.0]], "y": [[2.0, 4.0]]}),
        Example("wasserstein_1d(x, y, p=2)", 4.0, {"x": [[3.0, 1.0]], "y": [[3.0, 5.0]]}),
    ),
)
def wasserstein_1d(x: Tensor, y: Tensor, *, p: float = 1.0) -> Tensor:
    """How far the numbers of one sample must move to become the other, whatever their order.

    Args:
        p: the power with which a distance counts.

    Shape:
        x and y alike, the sample along the last axis; one value a pair of samples.

    Example:
        `wasserstein_1d(flatten(p), flatten(y))` compares histograms of values
    """
    distance = (wide(x).sort(-1).values - wide(y).sort(-1).values).abs()
    return mean_over(distance if p == 1 else distance**p, [-1])


@loss(
    "energy_distance",
    signature=POINTS,
    family="samples",
    mask="none",
    values="[0, inf)",
    latex=(
        r"\tfrac{2}{NM} \sum_{i, j} \lVert x_i - y_j \rVert"
        r" - \tfrac{1}{N^2} \sum_{i, j} \lVert x_i - x_j \rVert"
        r" - \tfrac{1}{M^2} \sum_{i, j} \lVert y_i - y_j \rVert"
    ),
    reference=Reference(
        "G. J. Székely and M. L. Rizzo",
        "Energy statistics: A class of statistics based on distances",
        2013,
    ),
    conventions=(
        "The squared distance in SciPy's sense, and twice that of geomloss.",
        "Distances of points from themselves count, as 0: never negative, and biased upwards.",
        OF_POINTS,
        "The gradient where points coincide is 0.",
    ),
    pitfalls=(OF_BATCH,),
    use=(
        "Two samples whose distributions should agree, with nothing to tune: generated against"
        " real features, ensembles."
    ),
    avoid=(
        "High dimensions with fine structure: `mmd` with fitting bandwidths. One observation"
        " against an ensemble: `energy_score`. Where points should move along a plan:"
        " `sinkhorn`."
    ),
    checked="`scipy.stats.energy_distance`, and a loop over pairs in several dimensions",
    related={
        "energy_score": "the second sample is one point",
        "mmd": "a kernel with a bandwidth in place of the distance",
        "sinkhorn": "moves points along a transport plan",
        "crps": "of single numbers against one",
    },
    identities=(
        (
            "input x: real[B, N, D]; input y: real[B, D]; energy_distance(x, y[:, none])",
            "input x: real[B, N, D]; input y: real[B, D]; 2*energy_score(x, y)",
        ),
        ("energy_distance(x, y)", "energy_distance(y, x)"),
    ),
    examples=(Example("energy_distance(x, y)", 10.0, {"x": [[3.0, 4.0]], "y": [[0.0, 0.0]]}),),
)
def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    """Mean distance between two samples less that within each: 0 for equal distributions alone.

    Has no bandwidth to choose, unlike `mmd`.

    Shape:
        x [N, D] and y [M, D], or with equal axes in front; one value a pair of samples.

    Example:
        `energy_distance(generated, data)`
    """
    x, y = wide(x), wide(y)

    def mean_distance(a: Tensor, b: Tensor) -> Tensor:
        return mean_over(norm(between(a, b), 2), [-1, -2])

    return some(x, y) * (2 * mean_distance(x, y) - mean_distance(x, x) - mean_distance(y, y))


def least_points(parameters: Mapping[str, Any]) -> dict[str, int]:
    """Without bias a point is compared with others."""
    return {"N": 2, "M": 2} if parameters["unbiased"] else {}


@loss(
    "mmd",
    signature=POINTS,
    family="samples",
    mask="none",
    values="[-2, 2]",
    latex=(
        r"\tfrac{1}{N^2} \sum_{i, j} k(x_i, x_j) + \tfrac{1}{M^2} \sum_{i, j} k(y_i, y_j)"
        r" - \tfrac{2}{NM} \sum_{i, j} k(x_i, y_j)"
    ),
    reference=Reference(
        "A. Gretton, K. M. Borgwardt, M. J. Rasch, B. Schölkopf and A. Smola",
        "A Kernel Two-Sample Test",
        2012,
    ),
    ranges={"bandwidth": "(0, inf)"},
    least=least_points,
    conventions=(
        "The squared discrepancy. Gaussian: exp(-d²/2σ²), Laplacian: exp(-d/σ), d the distance "
        "and σ the bandwidth.",
        "unbiased=true leaves points' kernels with themselves out; it may be negative.",
        OF_POINTS,
    ),
    pitfalls=(
        "A bandwidth far from the distances of the points gives no gradient: add up several, "
        "sum(mmd(x, y, bandwidth=s) for s in [1, 2, 4]).",
        OF_BATCH,
    ),
    use=(
        "Domain adaptation and generators: the features of two domains are to have one"
        " distribution."
    ),
    avoid=(
        "No idea of a bandwidth: `energy_distance` has none. Samples far apart, between which"
        " the kernel is flat: `sinkhorn`."
    ),
    checked="loops over pairs in NumPy, both kernels, with and without bias",
    related={
        "energy_distance": "without a bandwidth",
        "sinkhorn": "between it and optimal transport, by its temperature",
    },
    identities=(
        ("mmd(x, y, bandwidth=2)", "mmd(x/2, y/2)"),
        ("mmd(x, y)", "mmd(y, x)"),
    ),
    examples=(Example("mmd(x, y)", 0.7869386805747332, {"x": [[1.0, 0.0]], "y": [[0.0, 0.0]]}),),
)
def mmd(
    x: Tensor,
    y: Tensor,
    *,
    bandwidth: Number = 1.0,
    kernel: Literal["gaussian", "laplacian"] = "gaussian",
    unbiased: bool = False,
) -> Tensor:
    """Maximum mean discrepancy: how well the best smooth function tells two samples apart.

    Args:
        bandwidth: the distance over which points look alike.
        kernel: how likeness falls with distance.
        unbiased: whether the estimate is right on average rather than never negative.

    Shape:
        x [N, D] and y [M, D], or with equal axes in front; one value a pair of samples.

    Example:
        `ce(p, y) + mmd(source, target, bandwidth=4)`
    """
    x, y = wide(x), wide(y)

    def likeness(a: Tensor, b: Tensor) -> Tensor:
        difference = between(a, b) / bandwidth
        if kernel == "laplacian":
            return torch.exp(-norm(difference, 2))
        return torch.exp(-0.5 * (difference * difference).sum(-1))

    def within(a: Tensor) -> Tensor:
        if not unbiased:
            return mean_over(likeness(a, a), [-1, -2])
        count = a.shape[-2]
        return (likeness(a, a).sum((-1, -2)) - count) / max(count * (count - 1), 1)

    return some(x, y) * (within(x) + within(y) - 2 * mean_over(likeness(x, y), [-1, -2]))


def potential(cost: Tensor, other: Tensor, eps: Tensor) -> Tensor:
    """The best potential of the rows, given that of the columns."""
    spread = ((other.unsqueeze(-2) - cost) / eps.unsqueeze(-1)).logsumexp(-1)
    return -eps * (spread - math.log(cost.shape[-1]))


@custom_op("lossdsl::sinkhorn_potential", mutates_args=())
def sinkhorn_potential(cost: Tensor, eps: Tensor, iterations: int) -> Tensor:
    """The potential of the columns after some rounds of Sinkhorn's algorithm, whose temperature
    halves from the largest cost down to eps."""
    columns = cost.new_zeros(cost.shape[:-2] + cost.shape[-1:])
    if not cost.numel():
        return columns
    heat = cost.amax((-1, -2)).unsqueeze(-1)
    for _ in range(iterations):
        heat = torch.maximum(heat / 2, eps)
        rows = potential(cost, columns, heat)
        columns = potential(cost.mT, rows, heat)
    return columns


@sinkhorn_potential.register_fake
def _(cost: Tensor, eps: Tensor, iterations: int) -> Tensor:
    return cost.new_empty(cost.shape[:-2] + cost.shape[-1:])


def transport(cost: Tensor, eps: Number, iterations: int) -> Tensor:
    """The entropic cost of moving one sample onto the other.

    At the optimum the potentials themselves need no gradient: that of the cost is the plan.
    """
    if not cost.numel():
        return cost.sum((-1, -2))
    held = torch.as_tensor(eps, dtype=cost.dtype, device=cost.device)
    columns = sinkhorn_potential(cost.detach(), held.detach(), iterations)
    rows = potential(cost, columns, held)
    return mean_over(rows, [-1]) + mean_over(columns, [-1])


@loss(
    "sinkhorn",
    signature=POINTS,
    family="samples",
    mask="none",
    aliases=("sinkhorn_divergence",),
    latex=(
        r"\mathrm{OT}_\epsilon(x, y) - \tfrac12 \mathrm{OT}_\epsilon(x, x)"
        r" - \tfrac12 \mathrm{OT}_\epsilon(y, y),\quad"
        r" \mathrm{OT}_\epsilon = \min_P \sum_{i, j} P_{ij} \lVert x_i - y_j \rVert^2"
        r" + \epsilon\, \mathrm{KL}(P \Vert \tfrac{1}{NM})"
    ),
    reference=Reference(
        "J. Feydy, T. Séjourné, F.-X. Vialard, S. Amari, A. Trouvé and G. Peyré",
        "Interpolating between Optimal Transport and MMD using Sinkhorn Divergences",
        2018,
        "1810.08278",
    ),
    ranges={"eps": "(0, inf)", "iterations": "[1, inf)"},
    conventions=(
        "Costs are squared distances, without geomloss's half and without a root at the end; its "
        "blur is sqrt(eps/2).",
        "debias=false leaves the samples' own terms out: then it is not smallest at equal samples.",
        "In the logarithmic domain, a fixed number of rounds whose temperature starts at the "
        "largest cost and halves down to eps.",
        "The gradient is that of the optimal plan, so it is exact once the rounds suffice.",
        OF_POINTS,
    ),
    pitfalls=(
        "eps has the units of squared distances; one far below them takes many rounds.",
        OF_BATCH,
    ),
    use=(
        "Clouds of points, sets and generated samples: each point moves along the cheapest plan,"
        " however far it must go."
    ),
    avoid=(
        "Large samples in every step: `energy_distance` and `mmd` need no rounds. Single"
        " numbers: `wasserstein_1d` is exact."
    ),
    checked=(
        "the entropic minimum by plain scaling in NumPy; when cold,"
        " `scipy.optimize.linear_sum_assignment`"
    ),
    related={
        "wasserstein_1d": "exact, of single numbers",
        "energy_distance": "no plan, no temperature",
        "mmd": "what it becomes when hot",
    },
    examples=(Example("sinkhorn(x, y)", 25.0, {"x": [[3.0, 4.0]], "y": [[0.0, 0.0]]}),),
)
def sinkhorn(
    x: Tensor,
    y: Tensor,
    *,
    eps: Number = 0.1,
    iterations: int = 100,
    debias: bool = True,
) -> Tensor:
    """Entropic optimal transport between two samples: the squared way that points must go.

    Args:
        eps: the temperature; towards 0 it becomes the squared Wasserstein distance.
        iterations: how many rounds of Sinkhorn's algorithm are run.
        debias: whether half of each sample's cost against itself is taken off.

    Shape:
        x [N, D] and y [M, D], or with equal axes in front; one value a pair of samples.

    Example:
        `sinkhorn(points, target, eps=0.01)`
    """
    x, y = wide(x), wide(y)

    def moved(a: Tensor, b: Tensor) -> Tensor:
        difference = between(a, b)
        return transport((difference * difference).sum(-1), eps, iterations)

    value = moved(x, y)
    return some(x, y) * (value - 0.5 * (moved(x, x) + moved(y, y)) if debias else value)
