"""Losses of embedding vectors: distances of pairs and triplets, and contrast within a batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import mean_over
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss


def guarded_root(power_sum: Tensor, p: float) -> Tensor:
    """`power_sum ** (1/p)` with gradient 0 at 0, where the root's own is infinite."""
    vanishes = power_sum <= torch.finfo(power_sum.dtype).tiny
    base = torch.where(vanishes, 1.0, power_sum)
    root = base.sqrt() if p == 2 else base ** (1.0 / p)
    return torch.where(vanishes, 0.0, root)


def norm(difference: Tensor, p: float) -> Tensor:
    """The p-norm over the last axis."""
    if p == 1:
        return difference.abs().sum(-1)
    if p == 2:
        return guarded_root((difference * difference).sum(-1), p)
    # Around the largest component no power leaves the dtype's range. Norms scale, so the scale
    # itself needs no gradient.
    scale = difference.detach().abs().amax(-1, keepdim=True)
    scale = torch.where(scale > 0, scale, 1.0)
    return guarded_root(((difference / scale).abs() ** p).sum(-1), p) * scale.squeeze(-1)


def distance(a: Tensor, b: Tensor, p: float, squared: bool) -> Tensor:
    """The p-norm of `a - b`, or its square."""
    difference = wide(a) - wide(b)
    if squared and p == 2:
        return (difference * difference).sum(-1)
    length = norm(difference, p)
    return length * length if squared else length


def match_loss(similarity: Tensor) -> Tensor:
    """Cross entropy of each row against its own column: row i belongs to column i."""
    place = torch.arange(similarity.shape[0], device=similarity.device)
    own = place[:, None] == place
    # Not diagonal(): inductor fails to lower it where it may not look at the sizes.
    return torch.where(own, -F.log_softmax(similarity, 1), 0.0).sum(1)


@loss(
    "contrastive",
    signature="embedding[N, D], embedding[N, D], mask[N] -> loss[N]",
    family="embedding",
    values="[0, inf)",
    latex=r"y D^2 + (1 - y) \max(0, m - D)^2,\quad D = \lVert a - b \rVert_2",
    reference=Reference(
        "R. Hadsell, S. Chopra, Y. LeCun",
        "Dimensionality Reduction by Learning an Invariant Mapping",
        2006,
    ),
    ranges={"margin": "(0, inf)"},
    conventions=(
        "y = 1 says that the pair is similar; the paper has y = 0 there.",
        "Without the paper's factors 1/2; the margin is on the distance, the hinge is squared.",
        "A dissimilar pair of identical vectors has no direction to part: loss m^2, gradient 0.",
    ),
    pitfalls=("For contrast against many negatives use info_nce or clip.",),
    use=(
        "Pairs with a yes or a no, such as signatures or duplicates: similar ones onto one"
        " point, others at least a margin apart."
    ),
    avoid=(
        "Labelled batches, in which all pairs come for free: `supcon` or `multi_similarity`."
        " Views without labels: `nt_xent`."
    ),
    checked="the paper's formula, pair by pair in NumPy",
    related={
        "triplet": "only the order of two distances counts",
        "cosine_embedding": "angles in place of distances",
        "info_nce": "many negatives at once, no margin",
    },
    identities=(
        (
            "contrastive(a, a, y)",
            "input a: embedding[N, D]; input y: mask[N]; mean(1 - y) + mse(a, a)",
        ),
    ),
    examples=(
        Example(
            "contrastive(a, b, y, margin=2)",
            13.0,
            {
                "a": [[3.0, 4.0], [1.0, 0.0]],
                "b": [[0.0, 0.0], [0.0, 0.0]],
                "y": [1.0, 0.0],
            },
        ),
    ),
)
def contrastive(a: Tensor, b: Tensor, y: Tensor, *, margin: Number = 1.0) -> Tensor:
    """Pulls similar pairs together and pushes dissimilar ones apart up to a margin.

    Takes two batches of vectors `[N, D]`, paired row by row, and `y [N]`, 1 for similar pairs.

    Example:
        `contrastive(a, b, same, margin=0.5)`.
    """
    square = distance(a, b, 2, squared=True)
    gap = F.relu(margin - guarded_root(square, 2))
    return y * square + (1.0 - y) * gap * gap


@loss(
    "triplet",
    signature="embedding[N, D], embedding[N, D], embedding[N, D] -> loss[N]",
    family="embedding",
    values="[0, inf)",
    aliases=("triplet_margin",),
    latex=r"\max\left(0,\ d(a, p) - d(a, n) + m\right)",
    reference=Reference(
        "F. Schroff, D. Kalenichenko, J. Philbin",
        "FaceNet: A Unified Embedding for Face Recognition and Clustering",
        2015,
        "1503.03832",
    ),
    ranges={"margin": "[0, inf)", "p": "[1, inf)"},
    conventions=(
        "d is the p-norm itself with margin 1, as in PyTorch, but without PyTorch's 1e-6 added to"
        " the difference. FaceNet: squared=true, margin=0.2 on unit vectors.",
        "The distance of identical vectors has gradient 0.",
        "The mean counts every triplet, also those that already keep the margin.",
    ),
    use="Ranking by distance where triplets come with the data, or were mined before.",
    avoid=(
        "Triplets drawn at random, most of which soon cost nothing: `triplet_batch_hard` or"
        " `triplet_semi_hard` find them in labelled batches."
    ),
    checked="`torch.nn.functional.triplet_margin_loss` with its gradient, and NumPy's norms",
    related={
        "triplet_batch_hard": "finds the hardest triplets of a batch itself",
        "triplet_semi_hard": "finds negatives just beyond the positives",
        "contrastive": "each distance against a margin of its own",
        "margin_ranking": "the same hinge of two scores",
    },
    identities=(
        (
            "triplet(a, p, n)",
            "input a: embedding[N, D]; input p: embedding[N, D]; input n: embedding[N, D]; "
            "margin_ranking(norm(a - n, over=[1]), norm(a - p, over=[1]), 1, margin=1)",
        ),
    ),
    examples=(
        Example(
            "triplet(a, p, n)",
            3.0,
            {"a": [[0.0, 0.0]], "p": [[3.0, 4.0]], "n": [[0.0, 3.0]]},
        ),
        Example(
            "triplet(a, p, n, squared=true)",
            17.0,
            {"a": [[0.0, 0.0]], "p": [[3.0, 4.0]], "n": [[0.0, 3.0]]},
        ),
    ),
)
def triplet(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    margin: Number = 1.0,
    p: float = 2.0,
    squared: bool = False,
) -> Tensor:
    """Asks the anchor to be nearer to the positive than to the negative, by a margin.

    Takes three batches of vectors `[N, D]`, matched row by row.

    Example:
        `triplet(normalize(a), normalize(p), normalize(n), margin=0.2, squared=true)` is FaceNet's.
    """
    near = distance(anchor, positive, p, squared)
    far = distance(anchor, negative, p, squared)
    return F.relu(near - far + margin)


@loss(
    "info_nce",
    signature="embedding|unit[N, D], embedding|unit[N, D], embedding|unit[M, D]? -> loss[]",
    family="embedding",
    values="[0, inf)",
    latex=r"-\frac1N \sum_i \log \frac{e^{q_i \cdot k_i / \tau}}{\sum_j e^{q_i \cdot k_j / \tau}}",
    reference=Reference(
        "A. van den Oord, Y. Li, O. Vinyals",
        "Representation Learning with Contrastive Predictive Coding",
        2018,
        "1807.03748",
    ),
    ranges={"temperature": "(0, inf)"},
    mask="none",
    conventions=(
        "Vectors are scaled to length 1, so q . k is the cosine.",
        "Without negatives, the keys of the other rows are the negatives. With negatives, those"
        " alone are, shared by all queries, and the other rows' keys are not.",
        "The positive pair is part of the denominator.",
        "One direction, query to key; clip is the mean of both.",
    ),
    pitfalls=("The value depends on the batch: halves of a batch do not add up to the whole.",),
    use=(
        "Queries and keys, or two views: contrast within the batch, or against a queue of old"
        " keys as in MoCo."
    ),
    avoid=(
        "Small batches without a queue, with few negatives: `byol` and `vicreg` need none."
        " Labels at hand: `supcon`."
    ),
    checked="`sklearn.metrics.log_loss` of a softmax from SciPy, and a loop over the bank",
    related={
        "clip": "the mean of both directions",
        "nt_xent": "both views of all samples are in every denominator",
        "n_pairs": "inner products of raw vectors",
        "supcon": "positives by label",
    },
    identities=(
        (
            "input q: unit[N, D]; input k: unit[N, D]; info_nce(q, k, temperature=1)",
            "input q: unit[N, D]; input k: unit[N, D]; n_pairs(q, k)",
        ),
        (
            "info_nce(q, k, temperature=0.1)",
            "input q: embedding[N, D]; input k: embedding[N, D]; "
            "ce(10*normalize(q)@transpose(normalize(k)), labels(arange(q[:, 0])))",
        ),
    ),
    examples=(
        Example(
            "info_nce(q, k, temperature=1)",
            0.31326168751822286,
            {"q": [[1.0, 0.0], [0.0, 1.0]], "k": [[1.0, 0.0], [0.0, 1.0]]},
        ),
    ),
)
def info_nce(
    query: Tensor,
    key: Tensor,
    negatives: Tensor | None = None,
    *,
    temperature: Number = 0.07,
) -> Tensor:
    """Picks each query's own key among negatives, by cosine similarity.

    Takes queries and keys `[N, D]`, matched row by row, and optionally a bank of negatives
    `[M, D]`; gives one value for the batch.

    Example:
        `info_nce(q, k)` contrasts within the batch, `info_nce(q, k, queue)` against a queue.
    """
    scaled = query / temperature
    if negatives is None:
        return mean_over(match_loss(wide(scaled @ key.T)), [0])
    # log(e^p + sum e^n) - p, as a logistic loss: nothing needs to be joined into one table.
    own = wide(scaled * key).sum(-1)
    margin = own - torch.logsumexp(wide(scaled @ negatives.T), 1)
    return -mean_over(F.logsigmoid(margin), [0])


@loss(
    "clip",
    signature="embedding|unit[N, D], embedding|unit[N, D] -> loss[]",
    family="embedding",
    values="[0, inf)",
    latex=(
        r"-\frac{1}{2N} \sum_i \left(\log \frac{e^{u_i \cdot v_i / \tau}}"
        r"{\sum_j e^{u_i \cdot v_j / \tau}} + \log \frac{e^{u_i \cdot v_i / \tau}}"
        r"{\sum_j e^{u_j \cdot v_i / \tau}}\right)"
    ),
    reference=Reference(
        "A. Radford et al.",
        "Learning Transferable Visual Models From Natural Language Supervision",
        2021,
        "2103.00020",
    ),
    ranges={"temperature": "(0, inf)"},
    mask="none",
    conventions=(
        "Vectors are scaled to length 1; the mean of both directions.",
        "A learned temperature is the caller's: temperature=exp(-s), which CLIP keeps above 0.01.",
    ),
    pitfalls=("The value depends on the batch: halves of a batch do not add up to the whole.",),
    use=(
        "Two encoders for two modalities, such as images and texts, trained on matched pairs in"
        " large batches."
    ),
    avoid=(
        "Several right partners in a batch, all but one of which count as wrong: `supcon` with"
        " labels. Small batches: `text_image_matching` with its hardest negatives."
    ),
    checked="two `torch.nn.functional.cross_entropy` of the similarities",
    related={
        "info_nce": "one direction",
        "text_image_matching": "a margin in place of the softmax",
        "nt_xent": "also contrasts within each side",
    },
    identities=(
        ("clip(u, v)", "0.5*info_nce(u, v) + 0.5*info_nce(v, u)"),
        ("clip(u, v)", "clip(v, u)"),
    ),
    examples=(
        Example(
            "clip(u, v, temperature=1)",
            0.31326168751822286,
            {"u": [[1.0, 0.0], [0.0, 1.0]], "v": [[1.0, 0.0], [0.0, 1.0]]},
        ),
    ),
)
def clip(image: Tensor, text: Tensor, *, temperature: Number = 0.07) -> Tensor:
    """Matches images and texts of a batch in both directions.

    Takes two batches of vectors `[N, D]`, matched row by row; gives one value for the batch. It
    does not change when the two are swapped.

    Example:
        `clip(img, txt, temperature=exp(-s))` with `param s = learnable(2.659, max=4.605)`.
    """
    similarity = wide((image / temperature) @ text.T)
    return 0.5 * mean_over(match_loss(similarity) + match_loss(similarity.T), [0])
