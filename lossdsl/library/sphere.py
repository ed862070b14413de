"""Directions spread over a sphere: how far neighbours are, and how even all of them lie."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossdsl.functions.classes import unit_vectors
from lossdsl.functions.precision import wide
from lossdsl.library.embedding import guarded_root
from lossdsl.library.guarded import power
from lossdsl.library.metric import OF_THE_BATCH, log_sum_exp, mean_where
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

HYPERSPHERE = Reference(
    "T. Wang, P. Isola",
    "Understanding Contrastive Representation Learning through Alignment and Uniformity on the "
    "Hypersphere",
    2020,
    "2005.10242",
)
UNIT = "Vectors are scaled to length 1."
LEFT_OUT = "A masked row is nobody's neighbour and has none; a row without neighbours costs 0."

RIGHT_ANGLE = {"x": [[2.0, 0.0], [0.0, 1.0]]}


def directions(x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """The rows scaled to length 1, and which of their pairs [N, N] are two kept rows."""
    kept = torch.ones_like(x, dtype=torch.bool) if mask is None else (mask > 0).expand_as(x)
    kept = kept.all(1)
    place = torch.arange(x.shape[0], device=x.device)
    pairs = kept[:, None] & kept & (place[:, None] != place)
    return unit_vectors(wide(torch.where(kept[:, None], x, 0.0))), pairs


@loss(
    "koleo",
    signature="embedding[N, D] -> loss[]",
    family="embedding",
    values="(-inf, inf)",
    latex=r"-\frac1N \sum_i \log\left(\min_{j \ne i} \lVert x_i - x_j \rVert_2 + \epsilon\right)",
    reference=Reference(
        "A. Sablayrolles, M. Douze, C. Schmid, H. Jégou",
        "Spreading vectors for similarity search",
        2018,
        "1806.03198",
    ),
    ranges={"eps": "(0, inf)"},
    mask="inside",
    conventions=(
        UNIT,
        "eps is added to the distance, as in DINOv2; equal rows have gradient 0.",
        LEFT_OUT,
    ),
    pitfalls=(
        "Two views of a sample are neighbours too: give one view of each, as DINOv2 does.",
        *OF_THE_BATCH,
    ),
    use="Beside a loss that pulls views together, as `dino`, or before vectors are indexed for"
    " search: the nearest neighbour of a batch is pushed away. DINOv2 gives it a weight of 0.1.",
    avoid="As the only thing against collapse: rows that have fallen onto one point do not part."
    " `vicreg` and `uniformity` look at the whole batch.",
    checked="the paper's formula in NumPy",
    related={
        "uniformity": "all pairs, smoothly, in place of the nearest",
        "pulling_away": "all pairs by squared cosines: opposite rows attract none",
        "vicreg": "spreads components",
    },
    examples=(
        Example("koleo(x)", -math.log(math.sqrt(2) + 1e-8), RIGHT_ANGLE),
        Example("koleo(x, eps=1)", -math.log(3.0), {"x": [[1.0, 0.0], [-2.0, 0.0]]}),
    ),
)
def koleo(x: Tensor, *, eps: Number = 1e-8, mask: Tensor | None = None) -> Tensor:
    """Kozachenko and Leonenko's estimate of entropy, negated: each row's distance to its nearest
    neighbour.

    Args:
        eps: added to the distance.

    Shape:
        x of [N, D]; one value for the batch.

    Example:
        `dino(student, teacher, centre) + 0.1*koleo(z)`
    """
    unit, pairs = directions(x, mask)
    if not unit.shape[0]:
        return unit.sum()
    near = torch.where(pairs, (unit @ unit.T).detach(), -2.0).argmax(1)
    difference = unit - unit[near]
    distance = guarded_root((difference * difference).sum(1), 2)
    return -mean_where((distance + eps).log(), pairs.any(1))


@loss(
    "alignment",
    signature="embedding[N, D], embedding[N, D] -> loss[N]",
    family="embedding",
    values="[0, inf)",
    latex=r"\lVert a - b \rVert_2^\alpha",
    reference=HYPERSPHERE,
    ranges={"alpha": "(0, inf)"},
    conventions=(UNIT, "Vectors that meet have gradient 0, whatever alpha."),
    pitfalls=("Alone it is smallest when all vectors coincide: use it beside `uniformity`.",),
    use="Contrastive learning taken apart: this draws the two views of a sample together, and"
    " `uniformity` keeps samples apart, each with a weight of its own. As monitors they tell what"
    " another loss achieves.",
    avoid="Without anything that spreads vectors it collapses: `nt_xent` and `vicreg` do both.",
    checked="the paper's code, in NumPy",
    related={
        "uniformity": "the other half",
        "cosine_distance": "half of it at alpha=2",
        "simsiam": "with a predictor in place of a spreading term",
    },
    identities=(("alignment(a, b)", "2*cosine_distance(a, b)"),),
    examples=(
        Example("alignment(a, b)", 2.0, {"a": [[3.0, 0.0]], "b": [[0.0, 1.0]]}),
        Example("alignment(a, b, alpha=1)", 2.0, {"a": [[3.0, 0.0]], "b": [[-1.0, 0.0]]}),
    ),
)
def alignment(a: Tensor, b: Tensor, *, alpha: Number = 2.0) -> Tensor:
    """Distance of two views of a sample on the sphere, to a power.

    Args:
        alpha: the power; at 2 it is the squared distance.

    Shape:
        a and b alike, [N, D], row by row; one value a pair.

    Example:
        `alignment(z1, z2) + 0.5*(uniformity(z1) + uniformity(z2))`
    """
    difference = unit_vectors(wide(a)) - unit_vectors(wide(b))
    return power((difference * difference).sum(1), alpha / 2)


@loss(
    "uniformity",
    signature="embedding[N, D] -> loss[]",
    family="embedding",
    values="(-inf, 0]",
    latex=r"\log \frac{1}{N (N - 1)} \sum_{i \ne j} e^{-t \lVert x_i - x_j \rVert_2^2}",
    reference=HYPERSPHERE,
    ranges={"t": "(0, inf)"},
    mask="inside",
    conventions=(UNIT, "A masked row is in no pair. Without pairs it is 0."),
    pitfalls=(
        "It is never above 0: 0 is collapse, and -2t what many spread vectors come near to.",
        *OF_THE_BATCH,
    ),
    use="The half of contrastive learning that keeps samples apart, beside `alignment`; as a"
    " monitor, how evenly vectors fill the sphere.",
    avoid="Batches that are small for the dimension, where it is content at once: `vicreg` counts"
    " components. Labels at hand: `supcon` does not part class-mates.",
    checked="the paper's code (a loop over pairs), in NumPy",
    related={
        "alignment": "the other half",
        "koleo": "the nearest neighbour alone",
        "nt_xent": "both halves, with a temperature between them",
    },
    examples=(Example("uniformity(x)", -4.0, RIGHT_ANGLE),),
)
def uniformity(x: Tensor, *, t: Number = 2.0, mask: Tensor | None = None) -> Tensor:
    """Logarithm of the mean potential of pairs: how evenly directions fill the sphere.

    Args:
        t: how fast the potential falls with the distance.

    Shape:
        x of [N, D]; one value for the batch.

    Example:
        `alignment(z1, z2) + uniformity(z1, t=3)`
    """
    unit, pairs = directions(x, mask)
    square = 2 - 2 * (unit @ unit.T).clamp(max=1)
    count = pairs.sum()
    total = log_sum_exp((-t * square).flatten(), pairs.flatten(), 0)
    return torch.where(count > 0, total - count.clamp(min=1).to(square.dtype).log(), 0.0)
