"""Triplets that the loss itself picks out of a batch of labelled vectors.

Each gives one value for the batch. Labels to be ignored and masked rows are in no triplet.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdsl.library.metric import (
    LABELLED,
    MASKED_ROWS,
    OF_THE_BATCH,
    RAW,
    distances,
    mean_where,
    only,
    pairs_of,
    softplus,
)
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

IN_DEFENSE = Reference(
    "A. Hermans, L. Beyer, B. Leibe",
    "In Defense of the Triplet Loss for Person Re-Identification",
    2017,
    "1703.07737",
)
FACENET = Reference(
    "F. Schroff, D. Kalenichenko, J. Philbin",
    "FaceNet: A Unified Embedding for Face Recognition and Clustering",
    2015,
    "1503.03832",
)

ON_A_LINE = {"x": [[0.0], [1.0], [3.0], [1.5]], "y": [0, 0, 0, 1]}


def violation(excess: Tensor, margin: Number, soft: bool) -> Tensor:
    """How much farther the positive is than the negative, by hinge or softly."""
    return softplus(excess) if soft else F.relu(excess + margin)


@loss(
    "triplet_batch_hard",
    signature=LABELLED,
    family="embedding",
    values="[0, inf)",
    aliases=("batch_hard_triplet",),
    latex=r"\max\left(0,\ \max_p d(a, p) - \min_n d(a, n) + m\right)",
    reference=IN_DEFENSE,
    ranges={"margin": "[0, inf)"},
    mask="inside",
    conventions=(
        "The mean over anchors that have a positive and a negative.",
        "soft=true is log(1 + e^x) of the difference, without a margin.",
        RAW,
        MASKED_ROWS,
    ),
    pitfalls=(
        "May collapse all vectors into one point at first: a small learning rate, or begin with"
        " triplet_batch_all.",
        *OF_THE_BATCH,
    ),
    use="Re-identification and retrieval, with batches of some classes and some samples of each.",
    avoid=(
        "Wrong labels or an untrained network, where the hardest are outliers:"
        " `triplet_batch_all`, then `triplet_semi_hard`."
    ),
    checked="loops over all triplets in NumPy",
    related={
        "triplet_batch_all": "all triplets, for a gentler start",
        "triplet_semi_hard": "negatives just beyond the positive",
        "triplet": "triplets are given",
        "circle": "soft weights in place of the hardest",
    },
    examples=(Example("triplet_batch_hard(x, y)", (2.5 + 2.5 + 2.5) / 3, ON_A_LINE),),
)
def triplet_batch_hard(
    x: Tensor,
    y: Tensor,
    *,
    margin: Number = 1.0,
    squared: bool = False,
    soft: bool = False,
    mask: Tensor | None = None,
) -> Tensor:
    """Each anchor with its farthest positive and its nearest negative.

    Args:
        margin: how much nearer the positive is to be.
        squared: whether distances are squared.
        soft: whether the hinge is a softplus.

    Shape:
        x of [N, D], y labels of [N]; one value for the batch.

    Example:
        `ce(id, y) + triplet_batch_hard(x, y, margin=0.3)` for re-identification.
    """
    x, same, other = pairs_of(x, y, mask)
    if not x.shape[0]:
        return x.sum()
    apart = distances(x, squared)
    usable = same.any(1) & other.any(1)
    near, far = only(apart, same).amax(1), -only(-apart, other).amax(1)
    excess = torch.where(usable, near, 0.0) - torch.where(usable, far, 0.0)
    return mean_where(violation(excess, margin, soft), usable)


@loss(
    "triplet_batch_all",
    signature=LABELLED,
    family="embedding",
    values="[0, inf)",
    aliases=("batch_all_triplet",),
    latex=r"\max\left(0,\ d(a, p) - d(a, n) + m\right)",
    reference=IN_DEFENSE,
    ranges={"margin": "[0, inf)"},
    mask="inside",
    conventions=(
        "over='violated' takes the mean over the triplets that break the margin, as most libraries"
        " do; over='all' over all of them.",
        "soft=true is log(1 + e^x) of the difference, without a margin.",
        RAW,
        MASKED_ROWS,
    ),
    pitfalls=("Takes memory for every triple of rows.", *OF_THE_BATCH),
    use=(
        "The gentle start of metric learning: all triplets that break the margin count, and no"
        " outlier rules."
    ),
    avoid=(
        "Large batches: memory grows with the cube of their size, and easy triplets drown the"
        " hard ones; `triplet_batch_hard`."
    ),
    checked="loops over all triplets in NumPy",
    related={
        "triplet_batch_hard": "the hardest triplet of each anchor alone",
        "triplet_semi_hard": "one negative a pair",
        "lifted_structure": "all negatives of a pair in one soft maximum",
    },
    examples=(
        Example("triplet_batch_all(x, y, margin=0)", (1.5 + 0.5 + 1.5 + 1.5 + 0.5) / 5, ON_A_LINE),
        Example(
            "triplet_batch_all(x, y, margin=0, over='all')",
            (1.5 + 0.5 + 1.5 + 1.5 + 0.5) / 6,
            ON_A_LINE,
        ),
    ),
)
def triplet_batch_all(
    x: Tensor,
    y: Tensor,
    *,
    margin: Number = 1.0,
    squared: bool = False,
    soft: bool = False,
    over: Literal["violated", "all"] = "violated",
    mask: Tensor | None = None,
) -> Tensor:
    """Every anchor with each of its positives and each of its negatives.

    Args:
        margin: how much nearer the positive is to be.
        squared: whether distances are squared.
        soft: whether the hinge is a softplus.
        over: whether the mean is over the 'violated' triplets or over 'all'.

    Shape:
        x of [N, D], y labels of [N]; one value for the batch.

    Example:
        `triplet_batch_all(normalize(x), y, margin=0.2, squared=true)`
    """
    x, same, other = pairs_of(x, y, mask)
    apart = distances(x, squared)
    cost = violation(apart[:, :, None] - apart[:, None], margin, soft)
    usable = same[:, :, None] & other[:, None]
    return mean_where(cost, usable & (cost > 0) if over == "violated" else usable)


@loss(
    "triplet_semi_hard",
    signature=LABELLED,
    family="embedding",
    values="[0, inf)",
    aliases=("semi_hard_triplet",),
    latex=r"\max\left(0,\ d(a, p) - d(a, n^*) + m\right)",
    reference=FACENET,
    ranges={"margin": "[0, inf)"},
    mask="inside",
    conventions=(
        "n* is the nearest negative that is farther than the positive; where none is, the"
        " farthest negative.",
        "The mean over pairs of anchor and positive in a batch with a negative.",
        "squared=true, margin=0.2 and `normalize(x)` for the paper's.",
        RAW,
        MASKED_ROWS,
    ),
    pitfalls=("Takes memory for every triple of rows.", *OF_THE_BATCH),
    use=(
        "Faces and retrieval with large batches, as FaceNet: negatives just beyond the positive"
        " teach without collapse."
    ),
    avoid=(
        "Small batches, in which hardly any negative is semi-hard: `triplet_batch_hard`. Very"
        " large ones: memory grows with the cube of their size."
    ),
    checked="loops over all triplets in NumPy",
    related={
        "triplet_batch_hard": "the nearest negative, even before the positive",
        "triplet_batch_all": "all negatives of a pair",
        "triplet": "triplets are given",
    },
    examples=(
        Example(
            "triplet_semi_hard(x, y)",
            (0.5 + 2.5 + 1.5 + 2.5 + 2.5 + 1.5) / 6,
            ON_A_LINE,
        ),
    ),
)
def triplet_semi_hard(
    x: Tensor,
    y: Tensor,
    *,
    margin: Number = 1.0,
    squared: bool = False,
    mask: Tensor | None = None,
) -> Tensor:
    """Every anchor and positive with a negative just beyond the positive.

    Args:
        margin: how much nearer the positive is to be.
        squared: whether distances are squared.

    Shape:
        x of [N, D], y labels of [N]; one value for the batch.

    Example:
        `triplet_semi_hard(normalize(x), y, margin=0.2, squared=true)`
    """
    x, same, other = pairs_of(x, y, mask)
    if not x.shape[0]:
        return x.sum()
    apart = distances(x, squared)
    beyond = other[:, None] & (apart[:, None] > apart[:, :, None])
    nearest = -only(-apart[:, None].expand_as(beyond), beyond).amax(2)
    farthest = only(apart, other).amax(1)[:, None]
    usable = same & other.any(1)[:, None]
    far = torch.where(usable, torch.where(beyond.any(2), nearest, farthest), 0.0)
    return mean_where(F.relu(torch.where(usable, apart, 0.0) - far + margin), usable)
