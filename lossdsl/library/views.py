"""Two views of the same samples: agreement of their directions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdsl.functions.classes import unit_vectors
from lossdsl.functions.precision import wide
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

RIGHT_ANGLES = {"a": [[3.0, 0.0], [0.0, 2.0]], "b": [[0.0, 1.0], [0.0, 1.0]]}


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of paired vectors along the last axis."""
    return (unit_vectors(wide(a)) * unit_vectors(wide(b))).sum(-1)


@loss(
    "cosine_distance",
    signature="embedding[*S, D], embedding[*S, D] -> loss[*S]",
    family="embedding",
    values="[0, 2]",
    aliases=("cosine_alignment", "audio_visual_consistency"),
    latex=r"1 - \cos(a, b)",
    reference="The cosine of the angle between two vectors, a classic of information retrieval.",
    conventions=(
        "From 0 for equal directions to 2 for opposite ones; some libraries give -cos.",
        "A zero vector has cosine 0 to all others.",
        "Consistency of sound and picture is this distance of their vectors; against the other"
        " pairs of the batch it is `info_nce`.",
    ),
    use="Paired vectors whose length does not count: distilled features, sounds with films.",
    avoid=(
        "Two sides that are both trained: all vectors fall onto one direction; `vicreg` and"
        " `info_nce` prevent it. Lengths that matter: `mse`."
    ),
    checked="`torch.nn.functional.cosine_similarity`",
    related={
        "byol": "twice as much, with a constant target",
        "cosine_embedding": "pairs may be dissimilar too",
        "simsiam": "both directions, with constant targets",
    },
    identities=(
        (
            "cosine_distance(a, b)",
            "input a: embedding[*S, D]; input b: embedding[*S, D]; "
            "mean(1 - cosine_similarity(a, b))",
        ),
    ),
    examples=(Example("cosine_distance(a, b)", 0.5, RIGHT_ANGLES),),
)
def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """One minus the cosine of paired vectors.

    Shape:
        a and b alike, vectors along the last axis; one value a pair.

    Example:
        `cosine_distance(audio, video)`
    """
    return 1 - cosine(a, b)


@loss(
    "cosine_embedding",
    signature="embedding[N, D], embedding[N, D], sign[N] -> loss[N]",
    family="embedding",
    values="[0, 2]",
    latex=(r"\begin{cases} 1 - \cos(a, b) & y = 1 \\ \max(0, \cos(a, b) - m) & y = -1 \end{cases}"),
    reference="PyTorch, torch.nn.CosineEmbeddingLoss.",
    ranges={"margin": "[-1, 1]"},
    conventions=("y = 1 says that the pair is similar, y = -1 that it is not.",),
    use="Pairs that are labelled similar or not and compared by direction, such as sentences.",
    avoid=(
        "Batches in which every other row is a negative: `info_nce`. Distances that matter:"
        " `contrastive`."
    ),
    checked="`torch.nn.functional.cosine_embedding_loss`",
    related={
        "cosine_distance": "similar pairs alone",
        "contrastive": "distances in place of angles",
    },
    identities=(
        (
            "cosine_embedding(a, b, y, margin=-1)",
            "input a: embedding[N, D]; input b: embedding[N, D]; input y: sign[N]; "
            "mean(1 - y*cosine_similarity(a, b))",
        ),
    ),
    examples=(Example("cosine_embedding(a, b, y)", 1.0, {**RIGHT_ANGLES, "y": [1.0, -1.0]}),),
)
def cosine_embedding(a: Tensor, b: Tensor, y: Tensor, *, margin: Number = 0.0) -> Tensor:
    """Turns similar pairs into one direction and dissimilar ones apart.

    Args:
        margin: the cosine above which a dissimilar pair costs something.

    Shape:
        a and b of [N, D], y of [N], -1 or 1; one value a pair.

    Example:
        `cosine_embedding(a, b, y, margin=0.2)`
    """
    similarity = cosine(a, b)
    return torch.where(y > 0, 1 - similarity, F.relu(similarity - margin))


@loss(
    "byol",
    signature="embedding[N, D], embedding[N, D] -> loss[N]",
    family="embedding",
    values="[0, 4]",
    latex=r"2 - 2 \cos(q, \mathrm{sg}(z))",
    reference=Reference(
        "J.-B. Grill et al.",
        "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning",
        2020,
        "2006.07733",
    ),
    conventions=(
        "The squared distance of the two directions.",
        "The target is a constant: no gradient goes into the second argument.",
        "One direction; the paper adds the other, with the views exchanged.",
    ),
    use=(
        "Self-supervised learning without negatives: a predictor on one side, a slow copy of the"
        " network on the other."
    ),
    avoid=(
        "Without predictor or slow copy it collapses: `vicreg` and `barlow_twins` need neither;"
        " `simsiam` needs no copy."
    ),
    checked="the paper's formula from NumPy's cosines",
    related={
        "simsiam": "both directions at once, without a slow copy",
        "cosine_distance": "half as much, with gradients into both sides",
        "dino": "a softmax over prototypes in place of a direction",
    },
    identities=(
        (
            "byol(a, b)",
            "input a: embedding[N, D]; input b: embedding[N, D]; 2*cosine_distance(a, b)",
        ),
    ),
    examples=(Example("byol(a, b)", 1.0, RIGHT_ANGLES),),
)
def byol(prediction: Tensor, target: Tensor) -> Tensor:
    """Distance of an online network's prediction to a slow network's projection, on the sphere.

    Shape:
        prediction and target alike, [N, D]; one value a row.

    Example:
        `byol(q1, z2) + byol(q2, z1)`
    """
    return 2 - 2 * cosine(prediction, target.detach())


@loss(
    "simsiam",
    signature=("embedding[N, D], embedding[N, D], embedding[N, D], embedding[N, D] -> loss[N]"),
    family="embedding",
    values="[-1, 1]",
    latex=(r"-\tfrac12 \cos(p_1, \mathrm{sg}(z_2)) - \tfrac12 \cos(p_2, \mathrm{sg}(z_1))"),
    reference=Reference(
        "X. Chen, K. He", "Exploring Simple Siamese Representation Learning", 2020, "2011.10566"
    ),
    conventions=(
        "Negative cosine: -1 is the best.",
        "Both z are constants: no gradient goes into them.",
    ),
    use=(
        "Self-supervised learning with small batches: no negatives and no slow copy, only a"
        " predictor and constant targets."
    ),
    avoid=(
        "Without a predictor it collapses: `vicreg` and `barlow_twins` need none. Long training"
        " of large models: `byol` and `dino`."
    ),
    checked="the paper's formula from NumPy's cosines",
    related={
        "byol": "one direction, targets from a slow copy",
        "vicreg": "no predictor: variance keeps it from collapse",
        "nt_xent": "negatives keep it from collapse",
    },
    identities=(
        (
            "simsiam(a, b, c, d)",
            "input a: embedding[N, D]; input b: embedding[N, D]; input c: embedding[N, D]; "
            "input d: embedding[N, D]; 0.25*byol(a, d) + 0.25*byol(b, c) - 1",
        ),
    ),
    examples=(Example("simsiam(a, b, a, b)", -0.5, RIGHT_ANGLES),),
)
def simsiam(p1: Tensor, p2: Tensor, z1: Tensor, z2: Tensor) -> Tensor:
    """Predicts each view's projection from the other view, without negatives.

    Shape:
        All four alike, [N, D]: predictions of both views, projections of both; one value a row.

    Example:
        `simsiam(h(z1), h(z2), z1, z2)`
    """
    return -0.5 * (cosine(p1, z2.detach()) + cosine(p2, z1.detach()))
