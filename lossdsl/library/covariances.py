"""Vectors with a covariance each: their distance in units of their own spread, and its price."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.embedding import guarded_root
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss

EACH = "real[N, D], real[N, D], real[N, D, D] -> loss[N]"
COVARIANCE = (
    "The covariances must be symmetric with eigenvalues above 0: the formula does not look, and"
    " gives NaN or nonsense for others. `l @ transpose(l) + 1e-3*eye(l)` is one for every l."
)
SYMMETRIC = "Of a covariance that is not symmetric the mean with its transpose counts."

TWO_STATES = {
    "x": [[2.0, 3.0], [1.0, 0.0]],
    "m": [[0.0, 0.0], [0.0, 0.0]],
    "s": [[[4.0, 0.0], [0.0, 9.0]], [[1.0, 0.0], [0.0, 1.0]]],
}
"""Squared distances of 2 and 1; determinants of 36 and 1."""


def whitened(x: Tensor, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """The differences with their spread taken out, and the factors of the covariances."""
    covariance = wide(covariance)
    factor, _ = torch.linalg.cholesky_ex(0.5 * (covariance + covariance.mT))
    difference = (wide(x) - wide(mean)).unsqueeze(-1)
    return torch.linalg.solve_triangular(factor, difference, upper=False).squeeze(-1), factor


@loss(
    "mahalanobis_each",
    signature=EACH,
    family="tracking",
    values="[0, inf)",
    latex=r"(x_i - \mu_i)^\top S_i^{-1} (x_i - \mu_i)",
    reference=Reference("P. C. Mahalanobis", "On the Generalized Distance in Statistics", 1936),
    conventions=(
        "Squared, as Deep SORT compares it with a quantile of the chi-square distribution;"
        " squared=false is the root, with gradient 0 at x = mu.",
        SYMMETRIC,
    ),
    pitfalls=(
        COVARIANCE,
        "With a learned S use `mvn_nll`: the distance alone is smallest for a huge S.",
    ),
    use="Tracks with a covariance of their own, as a Kalman filter gives: how far a detection is"
    " from where its track is expected.",
    avoid="One covariance for all rows: `mahalanobis`. Covariances that are learnt: `mvn_nll`.",
    checked="`scipy.spatial.distance.mahalanobis`, row by row",
    related={
        "mahalanobis": "one covariance for all rows",
        "mvn_nll": "with the price of a wide covariance",
        "gaussian_nll": "independent components",
    },
    examples=(Example("mahalanobis_each(x, m, s)", 1.5, TWO_STATES),),
)
def mahalanobis_each(
    x: Tensor, mean: Tensor, covariance: Tensor, *, squared: bool = True
) -> Tensor:
    """Distance of states in units of their spread, which each has for itself.

    Args:
        squared: whether the distance is squared.

    Shape:
        x and mean of [N, D], covariance of [N, D, D]; one value a row.

    Example:
        `mahalanobis_each(box, track, s, squared=false)`
    """
    white, _ = whitened(x, mean, covariance)
    square = (white * white).sum(1)
    return square if squared else guarded_root(square, 2)


@loss(
    "mvn_nll",
    signature=EACH,
    family="regression",
    values="(-inf, inf)",
    aliases=("multivariate_normal_nll",),
    latex=(r"\tfrac12 \left[(y - \mu)^\top S^{-1} (y - \mu) + \log \det S + D \log 2 \pi\right]"),
    reference="The density of a multivariate normal distribution.",
    conventions=(
        "full adds the constant ½ D log 2π.",
        "Prediction, target, covariance, as in gaussian_nll; summed over the components.",
        SYMMETRIC,
    ),
    pitfalls=(
        COVARIANCE,
        "The third argument is the covariance: not its inverse, not a factor of it.",
    ),
    use="Regression of several numbers at once whose errors go together: a position, a pose, the"
    " offsets of a box.",
    avoid="Independent errors: `gaussian_nll` needs D variances in place of D² numbers. Outliers,"
    " which blow the covariance up: `student_t_nll`.",
    checked="`scipy.stats.multivariate_normal`, row by row",
    related={
        "gaussian_nll": "independent components",
        "mahalanobis_each": "without the price of a wide covariance",
        "energy_score": "of samples, without a covariance",
    },
    examples=(
        Example("mvn_nll(m, x, s)", 0.5 * (3 + math.log(36)) / 2, TWO_STATES),
        Example(
            "mvn_nll(m, x, s, full=true)",
            0.5 * (3 + math.log(36)) / 2 + math.log(2 * math.pi),
            TWO_STATES,
        ),
    ),
)
def mvn_nll(mean: Tensor, target: Tensor, covariance: Tensor, *, full: bool = False) -> Tensor:
    """Negative log-likelihood of normal noise with a predicted covariance.

    Args:
        full: whether the constant ½ D log 2π is added.

    Shape:
        mean and target of [N, D], covariance of [N, D, D]; one value a row.

    Example:
        `mvn_nll(m, y, l @ transpose(l) + 1e-3*eye(l))`
    """
    white, factor = whitened(target, mean, covariance)
    half_log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(1)
    constant = 0.5 * mean.shape[1] * math.log(2 * math.pi) if full else 0.0
    return 0.5 * (white * white).sum(1) + half_log_det + constant
