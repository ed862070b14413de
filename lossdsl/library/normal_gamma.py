"""Evidence for numbers: a prediction that tells noise from ignorance."""

from __future__ import annotations

import math

from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.likelihood import student_t_nll
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

UNIT = {"m": [0.0], "y": [1.0], "v": [1.0], "a": [1.0], "b": [1.0]}


@loss(
    "evidential_regression",
    signature="real[*S], real[*S], positive[*S], positive[*S], positive[*S] -> loss[*S]",
    family="regression",
    values="(-inf, inf)",
    aliases=("deep_evidential_regression",),
    latex=(
        r"-\log \mathrm{St}\left(y;\ \gamma,\ \tfrac{\beta (1 + \nu)}{\nu \alpha},\ 2 \alpha"
        r"\right) + \lambda \left|y - \gamma\right| (2 \nu + \alpha)"
    ),
    reference=Reference(
        "A. Amini, W. Schwarting, A. Soleimany, D. Rus",
        "Deep Evidential Regression",
        2019,
        "1910.02600",
    ),
    ranges={"penalty": "[0, inf)"},
    conventions=(
        "Mean, target, then ν, α and β of the normal-inverse-gamma distribution over mean and"
        " variance. Noise is β / (α - 1), ignorance β / (ν (α - 1)).",
        "The paper predicts α as 1 + softplus, so that both are finite; the loss takes any above"
        " 0.",
        "The full density, constants included, as in the paper's code.",
    ),
    pitfalls=(
        "ν is known through its ratio to β alone, but for the penalty: without it the likelihood"
        " does not tell noise from ignorance.",
        "The penalty has the units of the target: normalise targets first.",
    ),
    use="One network that says beside a number how noisy it is and how little was seen of its"
    " kind, in one pass: depth, interatomic energies.",
    avoid="Where a calibrated ignorance matters, it is a heuristic: an ensemble with"
    " `gaussian_nll` is the safer measure. Noise alone: `gaussian_nll` or `student_t_nll`.",
    checked="`scipy.stats.t` for the likelihood, the paper's formula in NumPy for the rest",
    related={
        "student_t_nll": "its likelihood, with a scale and degrees of freedom",
        "evidential": "the same of classes",
        "gaussian_nll": "the noise alone",
    },
    identities=(
        (
            "input m: real[B]; input y: real[B]; input b: positive[B]; "
            "evidential_regression(m, y, 1, 1, b, penalty=0)",
            "input m: real[B]; input y: real[B]; input b: positive[B]; "
            "student_t_nll(m, y, positive(sqrt(2*b)), 2)",
        ),
    ),
    examples=(
        # Student's t with 2 degrees of freedom has the density (2 + t²)^(-3/2).
        Example(
            "evidential_regression(m, y, v, a, b, penalty=0)",
            1.5 * math.log(2.5) + 0.5 * math.log(2),
            UNIT,
        ),
        Example(
            "evidential_regression(m, y, v, a, b, penalty=1)",
            1.5 * math.log(2.5) + 0.5 * math.log(2) + 3.0,
            UNIT,
        ),
    ),
)
def evidential_regression(
    mean: Tensor,
    target: Tensor,
    nu: Tensor,
    alpha: Tensor,
    beta: Tensor,
    *,
    penalty: Number = 0.01,
) -> Tensor:
    """Likelihood of a number under a distribution over means and variances, and a price on
    evidence where the mean is wrong.

    Args:
        penalty: the weight of error times evidence.

    Shape:
        All five alike, any shape, the last three above 0; one value an element.

    Example:
        `evidential_regression(m, y, softplus(v), 1 + softplus(a), softplus(b))`
    """
    nu, alpha, beta = wide(nu), wide(alpha), wide(beta)
    spread = ((beta / alpha) * (1 + 1 / nu)).sqrt()
    likelihood = student_t_nll(mean, target, spread, 2 * alpha)
    return likelihood + penalty * (target - mean).abs() * (2 * nu + alpha)
