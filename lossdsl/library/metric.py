"""Metric learning within a batch: vectors of one class near to each other, those of others far.

Every loss here looks at all pairs of the batch and gives one value for it. Labels to be ignored
and masked rows belong to no pair.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdsl.functions.classes import unit_vectors
from lossdsl.functions.precision import wide
from lossdsl.library.embedding import distance
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

LABELLED = "embedding[N, D], labels[N] -> loss[]"

OF_THE_BATCH = ("The value depends on the batch: halves of a batch do not add up to the whole.",)
MASKED_ROWS = "A masked row, and one whose label is ignored, belongs to no pair."
COSINE = "Vectors are scaled to length 1; the similarity s is the cosine."
RAW = "Distances are of the vectors as they come: give `normalize(x)` for those on the unit sphere."

TWO_AND_ONE = {"x": [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], "y": [0, 0, 1]}
"""Two vectors of a class at a right angle, and a third opposite the first."""


class Pairs(NamedTuple):
    """The vectors of a batch, and which pairs of rows are of one class and of two."""

    vectors: Tensor
    same: Tensor
    other: Tensor


def pairs_of(x: Tensor, y: Tensor, mask: Tensor | None) -> Pairs:
    """All ordered pairs of kept rows; no row is its own partner."""
    kept = torch.ones_like(x, dtype=torch.bool) if mask is None else (mask > 0).expand_as(x)
    kept = kept.all(1)
    both = kept[:, None] & kept
    alike = y[:, None] == y
    place = torch.arange(y.shape[0], device=y.device)
    vectors = wide(torch.where(kept[:, None], x, 0.0))
    return Pairs(vectors, alike & both & (place[:, None] != place), ~alike & both)


def cosines(x: Tensor) -> Tensor:
    """Cosine similarity of all pairs of rows."""
    directions = unit_vectors(x)
    return directions @ directions.T


def distances(x: Tensor, squared: bool) -> Tensor:
    """Euclidean distance of all pairs of rows, from their differences: that of equal rows is 0."""
    return distance(x[:, None], x[None], 2.0, squared)


def only(x: Tensor, keep: Tensor) -> Tensor:
    """The lowest number where an entry is not to count in a maximum or a log-sum-exp."""
    return torch.where(keep, x, torch.finfo(x.dtype).min)


def log_sum_exp(x: Tensor, keep: Tensor, dim: int) -> Tensor:
    """Log of the sum of exponentials of the kept entries: about the lowest number of none."""
    return torch.logsumexp(only(x, keep), dim)


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), exact in float64 as well."""
    return -F.logsigmoid(-x)


def mean_where(x: Tensor, keep: Tensor) -> Tensor:
    """Mean of the kept entries, and 0 of none."""
    return torch.where(keep, x, 0.0).sum() / keep.sum().clamp(min=1)


@loss(
    "supcon",
    signature=LABELLED,
    family="embedding",
    values="[0, inf)",
    aliases=("supervised_contrastive",),
    latex=(
        r"-\frac{1}{|P(i)|} \sum_{p \in P(i)} \log \frac{e^{s_{ip} / \tau}}"
        r"{\sum_{a \ne i} e^{s_{ia} / \tau}}"
    ),
    reference=Reference("P. Khosla et al.", "Supervised Contrastive Learning", 2020, "2004.11362"),
    ranges={"temperature": "(0, inf)"},
    mask="inside",
    conventions=(
        "The mean over positives is outside the logarithm: the paper's L_out.",
        "The mean over anchors counts those that have a positive in the batch.",
        COSINE,
        MASKED_ROWS,
    ),
    pitfalls=OF_THE_BATCH,
    use=(
        "Pretraining with labels: all class-mates of a batch attract, all others repel; a linear"
        " classifier follows."
    ),
    avoid=(
        "Classes that occur once in a batch, which have no positive: `arcface` or"
        " `proxy_anchor`. No labels: `nt_xent`."
    ),
    checked="`pytorch_metric_learning.losses.SupConLoss`",
    related={
        "nt_xent": "the same with two views as the only class-mates",
        "multi_similarity": "soft maxima: hard pairs weigh more",
        "info_nce": "pairs given row by row",
    },
    examples=(Example("supcon(x, y, temperature=1)", 0.5032044340393276, TWO_AND_ONE),),
)
def supcon(
    x: Tensor, y: Tensor, *, temperature: Number = 0.1, mask: Tensor | None = None
) -> Tensor:
    """Contrast of each vector's class-mates against the rest of the batch.

    Args:
        temperature: below 1 it sharpens the contrast.

    Shape:
        x of [N, D], y labels of [N]; one value for the batch.

    Example:
        `supcon(cat(z1, z2, over=0), cat(y, y, over=0))` for two views of each sample.
    """
    x, same, other = pairs_of(x, y, mask)
    scaled = cosines(x) / temperature
    log_share = scaled - log_sum_exp(scaled, same | other, 1)[:, None]
    count = same.sum(1)
    each = -torch.where(same, log_share, 0.0).sum(1) / count.clamp(min=1)
    return mean_where(each, count > 0)


@loss(
    "multi_similarity",
    signature=LABELLED,
    family="embedding",
    values="[0, inf)",
    latex=(
        r"\frac1\alpha \log\left(1 + \sum_p e^{-\alpha (s_{ip} - \lambda)}\right) + "
        r"\frac1\beta \log\left(1 + \sum_n e^{\beta (s_{in} - \lambda)}\right)"
    ),
    reference=Reference(
        "X. Wang, X. Han, W. Huang, D. Dong, M. R. Scott",
        "Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning",
        2019,
        "1904.06627",
    ),
    ranges={"alpha": "(0, inf)", "beta": "(0, inf)"},
    mask="inside",
    conventions=(
        "The mean over all kept rows, also those without a positive or a negative.",
        "Every pair counts: the paper's mining of hard pairs is not part of the loss.",
        COSINE,
        MASKED_ROWS,
    ),
    pitfalls=OF_THE_BATCH,
    use="Retrieval with several samples a class in each batch: hard pairs get most of the weight.",
    avoid=(
        "Few class-mates in a batch: `proxy_anchor` needs no pairs. Wrong labels, whose pairs"
        " look hard: `supcon` with a higher temperature."
    ),
    checked="`pytorch_metric_learning.losses.MultiSimilarityLoss`",
    related={
        "circle": "weighs each pair by its distance from the optimum",
        "supcon": "a softmax over the batch",
        "proxy_anchor": "the same soft maxima around learned proxies",
    },
    examples=(
        Example(
            "multi_similarity(x, y, alpha=1, beta=1, base=0)",
            1.08489934441877,
            TWO_AND_ONE,
        ),
    ),
)
def multi_similarity(
    x: Tensor,
    y: Tensor,
    *,
    alpha: Number = 2.0,
    beta: Number = 50.0,
    base: Number = 0.5,
    mask: Tensor | None = None,
) -> Tensor:
    """Soft maxima of how far positives are below, and negatives above, a similarity.

    Args:
        alpha: how sharp the maximum over positives is.
        beta: how sharp the maximum over negatives is.
        base: the similarity λ that parts the two.

    Shape:
        x of [N, D], y labels of [N]; one value for the batch.

    Example:
        `multi_similarity(x, y)`
    """
    kept = torch.ones_like(x, dtype=torch.bool) if mask is None else (mask > 0).expand_as(x)
    x, same, other = pairs_of(x, y, mask)
    excess = cosines(x) - base
    near = softplus(log_sum_exp(-alpha * excess, same, 1)) / alpha
    far = softplus(log_sum_exp(beta * excess, other, 1)) / beta
    return mean_where(near + far, kept.all(1))


@loss(
    "circle",
    signature=LABELLED,
    family="embedding",
    values="[0, inf)",
    latex=(
        r"\log\left(1 + \sum_n e^{\gamma [s_n + m]_+ (s_n - m)} "
        r"\sum_p e^{-\gamma [1 + m - s_p]_+ (s_p - 1 + m)}\right)"
    ),
    reference=Reference(
        "Y. Sun et al.",
        "Circle Loss: A Unified Perspective of Pair Similarity Optimization",
        2020,
        "2002.10857",
    ),
    ranges={"gamma": "(0, inf)"},
    mask="inside",
    conventions=(
        "The weights in square brackets carry no gradient.",
        "The mean over anchors that have a positive and a negative.",
        "Defaults for faces; margin=0.4, gamma=80 for retrieval.",
        COSINE,
        MASKED_ROWS,
    ),
    pitfalls=OF_THE_BATCH,
    use=(
        "Faces and retrieval: each pair is pulled as far as it is from its optimum, so that"
        " those in place rest."
    ),
    avoid=(
        "Wrong labels: a large gamma lets the worst pairs rule; lower it, or take `supcon`. Too"
        " many classes for pairs in a batch: `cosface`."
    ),
    checked="`pytorch_metric_learning.losses.CircleLoss`, with its gradient",
    related={
        "multi_similarity": "soft maxima without weights of their own",
        "cosface": "learned class vectors in place of pairs",
        "triplet_batch_hard": "the hardest pairs alone",
    },
    examples=(Example("circle(x, y, margin=0, gamma=1)", 1.3132616875182228, TWO_AND_ONE),),
)
def circle(
    x: Tensor,
    y: Tensor,
    *,
    margin: Number = 0.25,
    gamma: Number = 256.0,
    mask: Tensor | None = None,
) -> Tensor:
    """Pairs weighed by how far their similarity is from where it should be.

    Args:
        margin: how near positives come to 1 and negatives to 0.
        gamma: the scale of the similarities.

    Shape:
        x of [N, D], y labels of [N]; one value for the batch.

    Example:
        `circle(x, y, margin=0.4, gamma=80)`
    """
    x, same, other = pairs_of(x, y, mask)
    s = cosines(x)
    fixed = s.detach()
    near = -gamma * F.relu(1 + margin - fixed) * (s - 1 + margin)
    far = gamma * F.relu(fixed + margin) * (s - margin)
    usable = same.any(1) & other.any(1)
    total = log_sum_exp(near, same, 1) + log_sum_exp(far, other, 1)
    return mean_where(softplus(torch.where(usable, total, 0.0)), usable)


@loss(
    "lifted_structure",
    signature=LABELLED,
    family="embedding",
    values="[0, inf)",
    aliases=("lifted",),
    latex=(
        r"\frac12 \max\left(0,\ D_{ij} + \log\left(\sum_k e^{m - D_{ik}} + "
        r"\sum_l e^{m - D_{jl}}\right)\right)^2"
    ),
    reference=Reference(
        "H. Oh Song, Y. Xiang, S. Jegelka, S. Savarese",
        "Deep Metric Learning via Lifted Structured Feature Embedding",
        2015,
        "1511.06452",
    ),
    mask="inside",
    conventions=(
        "The mean over positive pairs i, j; k and l run over the negatives of each.",
        "A batch of one class costs 0.",
        RAW,
        MASKED_ROWS,
    ),
    pitfalls=OF_THE_BATCH,
    use=(
        "Labelled batches in which each positive pair is to keep away from all negatives of both"
        " its ends."
    ),
    avoid=(
        "Vectors of free length, whose distances grow without end: normalise them, or take"
        " `multi_similarity` of cosines."
    ),
    checked="`pytorch_metric_learning.losses.LiftedStructureLoss`, and the paper's loops in NumPy",
    related={
        "n_pairs": "one pair a class, by inner products",
        "triplet_batch_all": "every triplet by itself, by hinges",
        "multi_similarity": "anchors in place of pairs, by cosines",
    },
    examples=(
        Example(
            "lifted_structure(x, y)",
            0.5 * (3.0 + math.log(math.exp(1 - 4.0) + math.exp(1 - 5.0))) ** 2,
            {"x": [[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]], "y": [0, 0, 1]},
        ),
    ),
)
def lifted_structure(
    x: Tensor, y: Tensor, *, margin: Number = 1.0, mask: Tensor | None = None
) -> Tensor:
    """Each positive pair against all negatives of both its ends.

    Args:
        margin: how far negatives are to be.

    Shape:
        x of [N, D], y labels of [N]; one value for the batch.

    Example:
        `lifted_structure(normalize(x), y)`
    """
    x, same, other = pairs_of(x, y, mask)
    apart = distances(x, squared=False)
    pull = log_sum_exp(margin - apart, other, 1)
    usable = same & other.any(1)[:, None]
    pull = torch.where(other.any(1), pull, 0.0)
    excess = F.relu(apart + torch.logaddexp(pull[:, None], pull[None]))
    return 0.5 * mean_where(excess * excess, usable)


def squared_tangent(degrees: Number) -> Number:
    if isinstance(degrees, Tensor):
        return torch.tan(torch.deg2rad(degrees)) ** 2
    return math.tan(math.radians(degrees)) ** 2


@loss(
    "angular",
    signature=LABELLED,
    family="embedding",
    values="[0, inf)",
    latex=(
        r"\log\left(1 + \sum_n e^{4 t (a + p) \cdot n - 2 (1 + t)\, a \cdot p}\right),\quad "
        r"t = \tan^2 \alpha"
    ),
    reference=Reference(
        "J. Wang, F. Zhou, S. Wen, X. Liu, Y. Lin",
        "Deep Metric Learning with Angular Loss",
        2017,
        "1708.01682",
    ),
    ranges={"degrees": "(0, 90)"},
    mask="inside",
    conventions=(
        "The angle is in degrees.",
        "The mean over positive pairs a, p; n runs over the negatives.",
        "Vectors are scaled to length 1.",
        MASKED_ROWS,
    ),
    pitfalls=("Takes memory for every triple of rows.", *OF_THE_BATCH),
    use=(
        "Beside n_pairs, where classes spread differently: an angle does not change with the"
        " scale of a triangle, as a margin does."
    ),
    avoid="Large batches, as it takes memory for every triple: `multi_similarity` takes pairs.",
    checked="`pytorch_metric_learning.losses.AngularLoss`, of vectors of length 1",
    related={
        "n_pairs": "what it goes beside",
        "triplet_batch_all": "every triple too, by a margin of distances",
        "arcface": "a margin of angles to learned class vectors",
    },
    examples=(
        Example(
            "angular(x, y, degrees=45)",
            0.01814992791780978,
            TWO_AND_ONE,
        ),
    ),
)
def angular(x: Tensor, y: Tensor, *, degrees: Number = 40.0, mask: Tensor | None = None) -> Tensor:
    """Bounds the angle at the negative of each triangle of anchor, positive and negative.

    Args:
        degrees: the largest angle at the negative that costs little.

    Shape:
        x of [N, D], y labels of [N]; one value for the batch.

    Example:
        `n_pairs(a, p) + 2*angular(x, y, degrees=45)`
    """
    x, same, other = pairs_of(x, y, mask)
    s = cosines(x)
    t = squared_tangent(degrees)
    force = 4 * t * (s[:, None] + s[None]) - 2 * (1 + t) * s[:, :, None]
    return mean_where(softplus(log_sum_exp(force, other[:, None], 2)), same)
