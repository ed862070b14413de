"""Tracking and motion: distances of states, response maps, steady sequences."""

from __future__ import annotations

import math
from functools import reduce
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdsl.functions.precision import wide
from lossdsl.library.embedding import guarded_root
from lossdsl.library.image import step
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss
from lossdsl.library.windows import kept_mean

LAST_TWO = {"p": [[0.0, 0.0, 0.0, 0.0]], "y": [[1.0, -1.0, -1.0, -1.0]]}


@loss(
    "mahalanobis",
    signature="real[N, D], real[N, D], real[D, D] -> loss[N]",
    family="tracking",
    values="[0, inf)",
    latex=r"(x - \mu)^\top S^{-1} (x - \mu)",
    reference=Reference("P. C. Mahalanobis", "On the Generalized Distance in Statistics", 1936),
    conventions=(
        "Squared, as Deep SORT compares it with a quantile of the chi-square distribution;"
        " squared=false is the root, with gradient 0 at x = mu.",
        "S is the covariance, one for all rows.",
    ),
    pitfalls=(
        "S must be symmetric with eigenvalues above 0: the formula does not look.",
        "With a learned S use a likelihood: the distance alone is smallest for a huge S.",
    ),
    use=(
        "Matching detections to tracks by a filter's covariance, and residuals in units of a"
        " known noise."
    ),
    avoid=(
        "A spread that is learned: the distance alone is smallest for a huge one; `gaussian_nll`"
        " pays for it. No covariance: `euclidean`."
    ),
    checked="`scipy.spatial.distance.mahalanobis`",
    related={
        "gaussian_nll": "a variance for each component, which may be learned",
        "euclidean": "half of it with the unit matrix",
        "mse": "all components alike",
    },
    identities=(
        (
            "input x: real[N, D]; input m: real[N, D]; mahalanobis(x, m, eye(transpose(x)@x))",
            "input x: real[N, D]; input m: real[N, D]; 2*euclidean(x, m)",
        ),
    ),
    examples=(
        Example(
            "mahalanobis(x, mu, s)",
            2.0,
            {"x": [[2.0, 3.0]], "mu": [[0.0, 0.0]], "s": [[4.0, 0.0], [0.0, 9.0]]},
        ),
    ),
)
def mahalanobis(x: Tensor, mean: Tensor, covariance: Tensor, *, squared: bool = True) -> Tensor:
    """Distance of states in units of their spread.

    Args:
        squared: whether the distance is squared.

    Shape:
        x and mean of [N, D], covariance of [D, D]; one value a row.

    Example:
        `mahalanobis(box, track, s, squared=false)`
    """
    difference = wide(x) - wide(mean)
    solved, _ = torch.linalg.solve_ex(wide(covariance), difference.T)
    square = (difference * solved.T).sum(1)
    return square if squared else guarded_root(square, 2)


@loss(
    "cross_correlation",
    signature="score[B, *S], sign[B, *S] -> loss[B]",
    family="tracking",
    values="[0, inf)",
    aliases=("siamfc",),
    latex=r"\sum_u w_u \log\left(1 + e^{-y_u v_u}\right)",
    reference=Reference(
        "L. Bertinetto, J. Valmadre, J. F. Henriques, A. Vedaldi, P. H. S. Torr",
        "Fully-Convolutional Siamese Networks for Object Tracking",
        2016,
        "1606.09549",
    ),
    mask="inside",
    conventions=(
        "The map v of correlations is the argument, y = 1 around the target and -1 elsewhere.",
        "balanced=true gives the positions of each sign half of the weight, or all of it where"
        " there is one sign only; false is the plain mean.",
        "Masked positions are left out.",
    ),
    use=(
        "Siamese trackers: few positions on the target against much background in a map of"
        " responses."
    ),
    avoid=(
        "Responses with graded targets: `gaussian_focal` or `mse`. Signs that come in like"
        " numbers: `logistic`."
    ),
    checked="NumPy's `logaddexp`, averaged over each sign",
    related={
        "logistic": "the same without balance",
        "balanced_bce": "balanced by the share of negatives, of targets 0 and 1",
        "gaussian_focal": "heat maps with a bump at each object",
    },
    identities=(
        (
            "cross_correlation(p, y, balanced=false)",
            "input p: score[B, *S]; input y: sign[B, *S]; logistic(p, y)",
        ),
    ),
    examples=(
        Example("cross_correlation(p, y)", math.log(2), LAST_TWO),
        Example(
            "cross_correlation(p, y)",
            0.5 * (math.log1p(math.exp(-1.0)) + math.log(2)),
            {"p": [[1.0, 0.0, 0.0]], "y": [[1.0, -1.0, -1.0]]},
        ),
    ),
)
def cross_correlation(
    p: Tensor, y: Tensor, *, balanced: bool = True, mask: Tensor | None = None
) -> Tensor:
    """Logistic loss of a response map, in which target and background count the same.

    Args:
        balanced: whether both signs have the same weight.

    Shape:
        p and y alike, [B, ...]; one value an image.

    Example:
        `cross_correlation(response, near)`
    """
    kept = torch.ones_like(p, dtype=torch.bool) if mask is None else (mask > 0).expand_as(p)
    p = wide(torch.where(kept, p, 0.0))
    cost = -F.logsigmoid(torch.where(y > 0, p, -p)).flatten(1)
    kept, positive = kept.flatten(1), (y > 0).flatten(1)
    parts = [kept & positive, kept & ~positive] if balanced else [kept]
    counts = [part.sum(1) for part in parts]
    means = [
        torch.where(part, cost, 0.0).sum(1) / count.clamp(min=1)
        for part, count in zip(parts, counts, strict=True)
    ]
    present = reduce(torch.add, [(count > 0).to(cost.dtype) for count in counts])
    return reduce(torch.add, means) / present.clamp(min=1)


@loss(
    "temporal_consistency",
    signature="series|real[B, T, *D] -> loss[B]",
    family="tracking",
    values="[0, inf)",
    latex=r"\frac{1}{N} \sum_{t, d} \left|x_{t+1, d} - x_{t, d}\right|",
    reference="The mean size of a sequence's differences, a common smoothness term.",
    ranges={"order": "[1, 2]"},
    mask="inside",
    conventions=(
        "Mean over steps and components; p='l2' squares the differences.",
        "order=2 takes differences of differences: constant speed costs 0.",
        "A mask keeps a difference if it keeps all the values in it.",
        "A sequence too short for a difference costs 0.",
    ),
    use="Jitter of sequences that should move steadily: states, poses, depth, forecasts.",
    avoid=(
        "Videos of moving things, in which every pixel changes: `motion_consistency` follows the"
        " flow. Space as well as time: `tv`."
    ),
    checked="`numpy.diff` of first and second order",
    related={
        "tv": "along the axes of space",
        "motion_consistency": "frames compared along the flow",
        "dilate": "compares the shape and timing of two series",
    },
    identities=(
        (
            "input x: real[B, T, *D]; temporal_consistency(x)",
            "input x: real[B, T, *D]; l1(x[:, 1:], x[:, :-1])",
        ),
        (
            "input x: real[B, T, *D]; temporal_consistency(x, p='l2')",
            "input x: real[B, T, *D]; mse(x[:, 1:], x[:, :-1])",
        ),
        (
            "input x: real[B, T, *D]; temporal_consistency(x, order=2)",
            "input x: real[B, T, *D]; temporal_consistency(x[:, 1:] - x[:, :-1])",
        ),
    ),
    examples=(
        Example("temporal_consistency(x)", 2.0, {"x": [[[0.0], [1.0], [4.0]]]}),
        Example("temporal_consistency(x, order=2, p='l2')", 4.0, {"x": [[[0.0], [1.0], [4.0]]]}),
    ),
)
def temporal_consistency(
    x: Tensor,
    *,
    order: int = 1,
    p: Literal["l1", "l2"] = "l1",
    mask: Tensor | None = None,
) -> Tensor:
    """How much a sequence changes from step to step.

    Args:
        order: 1 for steps, 2 for changes of steps.
        p: 'l1' for the absolute difference, 'l2' for its square.

    Shape:
        x of [B, T, ...]; one value a sequence.

    Example:
        `0.1*temporal_consistency(states, order=2)`
    """
    kept = torch.ones_like(x, dtype=torch.bool) if mask is None else (mask > 0).expand_as(x)
    x = wide(torch.where(kept, x, 0.0))
    if x.shape[1] <= order or 0 in x.shape[2:]:
        return (0.0 * x).flatten(1).sum(1)
    for _ in range(order):
        length = kept.shape[1] - 1
        x, kept = step(x, 1), kept.narrow(1, 1, length) & kept.narrow(1, 0, length)
    size = x.abs() if p == "l1" else x * x
    return kept_mean(size, kept.to(x.dtype), tuple(range(1, x.dim())))
