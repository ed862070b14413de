"""Two batches matched row by row: each vector is to find its partner among the other side."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdsl.functions.classes import unit_vectors
from lossdsl.functions.precision import wide
from lossdsl.library.embedding import match_loss
from lossdsl.library.guarded import mean_over
from lossdsl.library.metric import COSINE, OF_THE_BATCH, cosines, only
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

MATCHED = "embedding[N, D], embedding[N, D] -> loss[]"


@loss(
    "nt_xent",
    signature="embedding[N, D], embedding[N, D] -> loss[]",
    family="embedding",
    values="[0, inf)",
    aliases=("ntxent", "simclr"),
    latex=(
        r"-\frac{1}{2N} \sum_{i=1}^{2N} \log \frac{e^{s_{i, j(i)} / \tau}}"
        r"{\sum_{k \ne i} e^{s_{ik} / \tau}}"
    ),
    reference=Reference(
        "T. Chen, S. Kornblith, M. Norouzi, G. Hinton",
        "A Simple Framework for Contrastive Learning of Visual Representations",
        2020,
        "2002.05709",
    ),
    ranges={"temperature": "(0, inf)"},
    mask="none",
    conventions=(
        "Both views of all samples are in every denominator, the positive one too and a vector's"
        " own not.",
        "The mean over both directions.",
        COSINE,
    ),
    pitfalls=(
        *OF_THE_BATCH,
        "info_nce contrasts with the other view alone; the values differ.",
    ),
    use="Self-supervised pretraining from two augmented views, as SimCLR, with large batches.",
    avoid=(
        "Small batches: `byol`, `simsiam` and `vicreg` need no negatives. Labels at hand: `supcon`."
    ),
    checked="`pytorch_metric_learning.losses.NTXentLoss` and `monai.losses.ContrastiveLoss`",
    related={
        "info_nce": "contrasts with the other view alone",
        "clip": "both directions, without contrast within a side",
        "supcon": "class-mates by label",
    },
    identities=(
        ("nt_xent(a, b)", "nt_xent(b, a)"),
        (
            "nt_xent(a, b)",
            "input a: embedding[N, D]; input b: embedding[N, D]; "
            "supcon(cat(a, b), cat(labels(arange(a[:, 0])), labels(arange(b[:, 0]))))",
        ),
    ),
    examples=(
        Example(
            "nt_xent(a, b, temperature=1)",
            0.5514447139320511,
            {"a": [[1.0, 0.0], [0.0, 1.0]], "b": [[1.0, 0.0], [0.0, 1.0]]},
        ),
    ),
)
def nt_xent(a: Tensor, b: Tensor, *, temperature: Number = 0.1) -> Tensor:
    """Picks each sample's other view among all views of the batch.

    Args:
        temperature: 0.1 for ImageNet in the paper, 0.5 for small images.

    Shape:
        a and b alike, [N, D], row by row two views of a sample; one value for the batch.

    Example:
        `nt_xent(z1, z2, temperature=0.5)`
    """
    count = a.shape[0]
    scaled = cosines(wide(torch.cat([a, b]))) / temperature
    place = torch.arange(2 * count, device=a.device)
    log_share = F.log_softmax(only(scaled, place[:, None] != place), 1)
    partner = (place[:, None] - place).abs() == count
    return torch.where(partner, -log_share, 0.0).sum() / max(2 * count, 1)


@loss(
    "n_pairs",
    signature=MATCHED,
    family="embedding",
    values="[0, inf)",
    aliases=("n_pair",),
    latex=(
        r"\frac1N \sum_i \log\left(1 + \sum_{j \ne i} e^{a_i \cdot p_j - a_i \cdot p_i}\right) + "
        r"\frac{\lambda}{2N} \sum_i \left(\lVert a_i \rVert^2 + \lVert p_i \rVert^2\right)"
    ),
    reference=Reference(
        "K. Sohn", "Improved Deep Metric Learning with Multi-class N-pair Loss Objective", 2016
    ),
    ranges={"l2": "[0, inf)"},
    mask="none",
    conventions=(
        "Inner products of the vectors as they come, not scaled to length 1.",
        "Row i of the positives belongs to row i of the anchors, all others are its negatives: one"
        " pair a class.",
        "l2 weighs the mean squared length of all vectors; 0, the default, leaves it out.",
    ),
    pitfalls=OF_THE_BATCH,
    use=(
        "Retrieval with one pair a class in each batch, or queries with their documents, scored"
        " by inner products."
    ),
    avoid=(
        "Vectors whose length should not count: `info_nce` compares cosines. Several samples a"
        " class: `supcon`."
    ),
    checked="`pytorch_metric_learning.losses.NPairsLoss`, and the paper's formula in NumPy",
    related={
        "info_nce": "cosines with a temperature",
        "angular": "what it goes beside",
        "lifted_structure": "all positive pairs of labelled batches",
    },
    identities=(
        (
            "n_pairs(a, b)",
            "input a: embedding[N, D]; input b: embedding[N, D]; "
            "ce(a@transpose(b), labels(arange(a[:, 0])))",
        ),
    ),
    examples=(
        Example(
            "n_pairs(a, b)",
            0.5 * (math.log(2) + math.log(2)),
            {"a": [[1.0, 0.0], [0.0, 1.0]], "b": [[1.0, 1.0], [1.0, 1.0]]},
        ),
    ),
)
def n_pairs(anchor: Tensor, positive: Tensor, *, l2: Number = 0.0) -> Tensor:
    """Each anchor's own positive against the positives of the other classes.

    Args:
        l2: the weight of the vectors' squared lengths.

    Shape:
        anchor and positive alike, [N, D], matched row by row; one value for the batch.

    Example:
        `n_pairs(a, p, l2=0.02)`
    """
    anchor, positive = wide(anchor), wide(positive)
    lengths = (anchor * anchor).sum(1) + (positive * positive).sum(1)
    return mean_over(match_loss(anchor @ positive.T) + 0.5 * l2 * lengths, [0])


@loss(
    "text_image_matching",
    signature=MATCHED,
    family="embedding",
    values="[0, inf)",
    latex=(r"\max(0, m - s(u_i, v_i) + s(u_i, v_j)) + \max(0, m - s(u_i, v_i) + s(u_j, v_i))"),
    reference=Reference(
        "F. Faghri, D. J. Fleet, J. R. Kiros, S. Fidler",
        "VSE++: Improving Visual-Semantic Embeddings with Hard Negatives",
        2017,
        "1707.05612",
    ),
    ranges={"margin": "[0, inf)"},
    mask="none",
    conventions=(
        "negatives='all' takes the mean over all N (N - 1) wrong pairs, of the sum of both"
        " directions; 'hardest' the worst wrong partner in each direction, and the mean over N.",
        "s is the cosine.",
        "A batch of one costs 0.",
    ),
    pitfalls=OF_THE_BATCH,
    use=(
        "Retrieval across modalities with data of moderate size: a margin, and with"
        " negatives='hardest' the worst wrong partner, as VSE++."
    ),
    avoid=(
        "Large batches from the web: `clip` weighs all negatives by a softmax. An untrained"
        " network: begin with negatives='all'."
    ),
    checked="loops over pairs in NumPy",
    related={
        "clip": "a softmax in place of the margin",
        "triplet": "one negative a row, given",
        "triplet_batch_hard": "the hardest by labels, on one side",
    },
    identities=(("text_image_matching(a, b)", "text_image_matching(b, a)"),),
    examples=(
        Example(
            "text_image_matching(a, b, margin=0.5)",
            (0.5 + 0.5 + 1.5) / 2,
            {"a": [[1.0, 0.0], [0.0, 1.0]], "b": [[0.0, 1.0], [0.0, 1.0]]},
        ),
    ),
)
def text_image_matching(
    image: Tensor,
    text: Tensor,
    *,
    margin: Number = 0.2,
    negatives: Literal["all", "hardest"] = "all",
) -> Tensor:
    """Asks each image to be nearer to its own text than to others, and each text to its image.

    Args:
        margin: how much nearer.
        negatives: whether 'all' wrong partners count or the 'hardest'.

    Shape:
        image and text alike, [N, D], matched row by row; one value for the batch.

    Example:
        `text_image_matching(img, txt, negatives='hardest')`
    """
    count = image.shape[0]
    similarity = unit_vectors(wide(image)) @ unit_vectors(wide(text)).T
    if count < 2:
        return 0.0 * similarity.sum()
    place = torch.arange(count, device=image.device)
    own = place[:, None] == place
    right = torch.where(own, similarity, 0.0).sum(1)
    of_image = F.relu(margin - right[:, None] + similarity)
    of_text = F.relu(margin - right[None] + similarity)
    if negatives == "hardest":
        return (only(of_image, ~own).amax(1) + only(of_text, ~own).amax(0)).mean()
    return torch.where(own, 0.0, of_image + of_text).sum() / (count * (count - 1))
