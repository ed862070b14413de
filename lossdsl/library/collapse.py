"""Two views of the same samples, kept from falling onto one point: by correlations, by variances,
by a teacher's sharpened scores."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import mean_over
from lossdsl.library.metric import OF_THE_BATCH
from lossdsl.library.partners import MATCHED
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

CORNERS = {
    "a": [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]],
    "b": [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]],
}
"""Two uncorrelated components of mean 0 and variance 1."""


def scatter(x: Tensor, correction: int) -> tuple[Tensor, Tensor]:
    """The vectors around their mean, and the variance of each component. A batch of one has
    variance 0."""
    centred = x - mean_over(x, [0])
    return centred, (centred * centred).sum(0) / max(x.shape[0] - correction, 1)


@loss(
    "barlow_twins",
    signature=MATCHED,
    family="embedding",
    values="[0, inf)",
    aliases=("barlow",),
    latex=r"\sum_i (1 - C_{ii})^2 + \lambda \sum_{i \ne j} C_{ij}^2",
    reference=Reference(
        "J. Zbontar, L. Jing, I. Misra, Y. LeCun, S. Deny",
        "Barlow Twins: Self-Supervised Learning via Redundancy Reduction",
        2021,
        "2103.03230",
    ),
    ranges={"redundancy": "[0, inf)", "eps": "(0, inf)", "correction": "[0, 1]"},
    mask="none",
    conventions=(
        "C is the correlation of the components of the two views over the batch.",
        "The variance divides by N and eps is added to it, as by the batch normalisation of the"
        " paper's code; correction=1 divides by N - 1, as some libraries do.",
        "Sums over the D and the D (D - 1) entries.",
    ),
    pitfalls=(
        "A component that is the same in the whole batch costs 1, and a batch of one D.",
        *OF_THE_BATCH,
    ),
    use=(
        "Self-supervised learning without negatives, predictor or slow copy; it gains from wide"
        " projections, of thousands of components."
    ),
    avoid=(
        "Small batches, from which no correlations can be estimated: `simsiam`. Branches that"
        " differ in network or modality: `vicreg`."
    ),
    checked="`monai.losses.BarlowTwinsLoss` with correction=1, and the paper's formula in NumPy",
    related={
        "vicreg": "covariance within each view, variance by a hinge",
        "pulling_away": "decorrelates samples in place of components",
        "simsiam": "needs a predictor, not a batch",
    },
    examples=(Example("barlow_twins(a, b)", 2 * (1 - 1 / 1.00001) ** 2, CORNERS),),
)
def barlow_twins(
    a: Tensor,
    b: Tensor,
    *,
    redundancy: Number = 5e-3,
    eps: Number = 1e-5,
    correction: int = 0,
) -> Tensor:
    """Correlates each component with itself across views, and with no other.

    Args:
        redundancy: the weight of what different components share.
        eps: added to the variances.
        correction: what is taken from N in the variance.

    Shape:
        a and b alike, [N, D], two views row by row; one value for the batch.

    Example:
        `barlow_twins(z1, z2)`
    """
    if not a.shape[0]:
        return (wide(a) + wide(b)).sum()
    (left, left_var), (right, right_var) = (scatter(wide(x), correction) for x in (a, b))
    left, right = left * (left_var + eps).rsqrt(), right * (right_var + eps).rsqrt()
    correlation = left.T @ right / a.shape[0]
    square = correlation * correlation
    place = torch.arange(a.shape[1], device=a.device)
    own = place[:, None] == place
    return torch.where(own, (1 - correlation) ** 2, redundancy * square).sum()


@loss(
    "vicreg",
    signature=MATCHED,
    family="embedding",
    values="[0, inf)",
    latex=(
        r"\frac{\lambda}{N D} \lVert a - b \rVert^2 + \frac{\mu}{2 D} \sum_{x, j} "
        r"\max(0, \gamma - \sqrt{\mathrm{Var}(x_j) + \epsilon}) + "
        r"\frac{\nu}{D} \sum_{x, i \ne j} \mathrm{Cov}(x)_{ij}^2"
    ),
    reference=Reference(
        "A. Bardes, J. Ponce, Y. LeCun",
        "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning",
        2021,
        "2105.04906",
    ),
    ranges={
        "invariance": "[0, inf)",
        "variance": "[0, inf)",
        "covariance": "[0, inf)",
        "gamma": "[0, inf)",
        "eps": "(0, inf)",
    },
    mask="none",
    conventions=(
        "As in the authors' code, whose weights 25, 25, 1 are: the invariance is a mean over"
        " components too, and the variance terms of the two views count half each.",
        "Variance and covariance divide by N - 1; a batch of one has variance 0.",
    ),
    pitfalls=OF_THE_BATCH,
    use=(
        "Self-supervised learning whose two branches may differ in network or modality: nothing"
        " is shared but the distance of the views."
    ),
    avoid="Batches of a few samples, whose variance says little: `simsiam` or `byol`.",
    checked="`pytorch_metric_learning.losses.VICRegLoss`, and its three terms in NumPy",
    related={
        "barlow_twins": "correlation across the views",
        "simsiam": "a predictor in place of variances",
        "mse": "the distance of the views alone",
    },
    identities=(
        (
            "vicreg(a, b, invariance=1, variance=0, covariance=0)",
            "input a: embedding[N, D]; input b: embedding[N, D]; mse(a, b)",
        ),
    ),
    examples=(Example("vicreg(a, b, gamma=2, eps=1e-12)", 25 * (2 - (4 / 3) ** 0.5), CORNERS),),
)
def vicreg(
    a: Tensor,
    b: Tensor,
    *,
    invariance: Number = 25.0,
    variance: Number = 25.0,
    covariance: Number = 1.0,
    gamma: Number = 1.0,
    eps: Number = 1e-4,
) -> Tensor:
    """Views that agree, components that vary over the batch and do not repeat each other.

    Args:
        invariance: the weight of the distance of the views.
        variance: the weight of components that vary too little.
        covariance: the weight of what components share.
        gamma: the standard deviation that is enough.
        eps: added to the variances.

    Shape:
        a and b alike, [N, D], two views row by row; one value for the batch.

    Example:
        `vicreg(z1, z2)`
    """
    a, b = wide(a), wide(b)
    count, size = a.shape
    if not count:
        return (a + b).sum()
    total = invariance * mean_over((a - b) ** 2, [0, 1])
    place = torch.arange(size, device=a.device)
    own = place[:, None] == place
    for view in (a, b):
        centred, var = scatter(view, 1)
        total = total + 0.5 * variance * mean_over(F.relu(gamma - (var + eps).sqrt()), [0])
        shared = centred.T @ centred / max(count - 1, 1)
        total = total + covariance * torch.where(own, 0.0, shared * shared).sum() / size
    return total


@loss(
    "dino",
    signature="real[N, K], real[N, K], real[K]? -> loss[N]",
    family="embedding",
    values="[0, inf)",
    latex=(
        r"-\sum_k \mathrm{softmax}\left(\frac{\mathrm{sg}(t) - c}{\tau_t}\right)_k "
        r"\log \mathrm{softmax}\left(\frac{s}{\tau_s}\right)_k"
    ),
    reference=Reference(
        "M. Caron et al.",
        "Emerging Properties in Self-Supervised Vision Transformers",
        2021,
        "2104.14294",
    ),
    ranges={"student_temperature": "(0, inf)", "teacher_temperature": "(0, inf)"},
    conventions=(
        "Teacher and centre are constants: no gradient goes into them.",
        "The centre is the caller's running mean of the teacher's scores; none is 0.",
        "One pair of views; the paper averages over pairs of different crops.",
    ),
    pitfalls=("Without a centre, or with equal temperatures, the scores may collapse.",),
    use=(
        "Self-distillation of vision transformers: a student matches the sharpened softmax of"
        " its slow copy."
    ),
    avoid=(
        "No running centre: the scores may collapse; `byol` and `vicreg` have none to keep. A"
        " fixed teacher's classes: `kd`."
    ),
    checked="`torch.nn.functional.cross_entropy` with soft targets",
    related={
        "kd": "a fixed teacher, both sides at one temperature",
        "byol": "directions in place of a softmax",
        "ce": "the same with temperatures of 1",
    },
    identities=(
        (
            "dino(s, t, student_temperature=1, teacher_temperature=1)",
            "input s: real[N, K]; input t: real[N, K]; ce(s, softmax(t, over=[1]))",
        ),
        (
            "dino(s, t, student_temperature=1, teacher_temperature=1)",
            "input s: real[N, K]; input t: real[N, K]; listnet(s, t)",
        ),
    ),
    examples=(Example("dino(s, t)", math.log(2), {"s": [[1.0, 1.0]], "t": [[3.0, -2.0]]}),),
)
def dino(
    student: Tensor,
    teacher: Tensor,
    center: Tensor | None = None,
    *,
    student_temperature: Number = 0.1,
    teacher_temperature: Number = 0.04,
) -> Tensor:
    """Cross entropy of a student's softmax against a sharpened, centred teacher's.

    Args:
        student_temperature: divides the student's scores.
        teacher_temperature: divides the teacher's; the smaller one sharpens.

    Shape:
        student and teacher alike, [N, K], center of [K]; one value a row.

    Example:
        `dino(s1, t2, c) + dino(s2, t1, c)`
    """
    scores = wide(teacher.detach()) - (0.0 if center is None else wide(center.detach()))
    target = F.softmax(scores / teacher_temperature, 1)
    return -(target * F.log_softmax(wide(student) / student_temperature, 1)).sum(1)
