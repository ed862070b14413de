"""Squares added up rather than averaged: over a sample, over everything, against the target's."""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.embedding import guarded_root
from lossdsl.library.overlap import share
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss


def square_sum(x: Tensor) -> Tensor:
    """The sum of squares of each sample."""
    x = wide(x)
    return (x * x).flatten(1).sum(1) if x.ndim > 1 else x * x


@loss(
    "euclidean",
    signature="real[B, *S], real[B, *S] -> loss[B]",
    family="regression",
    values="[0, inf)",
    latex=r"\tfrac12 \sum_i (p_i - y_i)^2",
    reference=Reference(
        "Y. Jia et al.",
        "Caffe: Convolutional Architecture for Fast Feature Embedding",
        2014,
        "1408.5093",
    ),
    conventions=("Half the sum of squares of each sample, so the mean over the batch is Caffe's.",),
    pitfalls=(
        "Not the Euclidean distance, which is its root without the half.",
        "It grows with the size of a sample, unlike mse.",
    ),
    examples=(
        Example("euclidean(p, y)", 6.25, {"p": [[3.0, 4.0], [0.0, 0.0]], "y": [[0.0] * 2] * 2}),
    ),
    use=(
        "Code that follows Caffe, or adds up over a sample: the mean over the batch is Caffe's "
        "EuclideanLoss."
    ),
    avoid=(
        "Samples of changing size, and new code: its weight beside other terms grows with the "
        "number of elements, and that of `mse` does not."
    ),
    checked="NumPy's norms, squared and halved.",
    related={
        "mse": "the mean over elements, without the half",
        "sse": "over the whole batch, without the half",
        "rel_l2": "the distance itself, relative to the target's length",
    },
    identities=(("euclidean(p, y)", "0.5*mse(p, y, reduction='batchmean')"),),
)
def euclidean(p: Tensor, y: Tensor) -> Tensor:
    """Half the squared distance of each sample from its target.

    Shape:
        p and y alike, any shape with the batch first; one value a sample.

    Example:
        `euclidean(p, y)`
    """
    return 0.5 * square_sum(wide(p) - y)


@loss(
    "sse",
    signature="real[*S], real[*S] -> loss[]",
    family="regression",
    values="[0, inf)",
    aliases=("rss",),
    latex=r"\sum_i (p_i - y_i)^2",
    reference=Reference(
        "A.-M. Legendre", "Nouvelles méthodes pour la détermination des orbites des comètes", 1805
    ),
    mask="inside",
    conventions=("The sum over everything, whatever the reduction; masked elements add nothing.",),
    pitfalls=("It grows with the batch: a learning rate belongs to one batch size.",),
    examples=(Example("sse(p, y)", 5.0, {"p": [1.0, 3.0], "y": [0.0, 1.0]}),),
    use="Least squares as statistics writes them: small fits of all data at once.",
    avoid="Mini-batches, with which value and gradient grow: `mse` does not.",
    checked="NumPy's sums of squares.",
    related={
        "mse": "this divided by the number of elements",
        "euclidean": "half of it, sample by sample",
    },
    identities=(("sse(p, y)", "mse(p, y, reduction='sum')"),),
)
def sse(p: Tensor, y: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Sum of squared errors over everything: ordinary least squares.

    Shape:
        p and y alike, any shape; one value for the batch.

    Example:
        `sse(p, y)`
    """
    residual = wide(p) - y
    if mask is not None:
        residual = torch.where(mask > 0, residual, 0.0)
    return (residual * residual).sum()


@loss(
    "rel_l2",
    signature="real[B, *S], real[B, *S] -> loss[B]",
    family="regression",
    values="[0, inf)",
    aliases=("relative_l2",),
    latex=r"\frac{\lVert p - y \rVert_2}{\lVert y \rVert_2}",
    reference=Reference(
        "Z. Li et al.",
        "Fourier Neural Operator for Parametric Partial Differential Equations",
        2020,
        "2010.08895",
    ),
    conventions=(
        "One ratio a sample; other libraries take one for the batch.",
        "A target of zeros costs 0. A perfect match has gradient 0.",
    ),
    examples=(Example("rel_l2(p, y)", 0.2, {"p": [[3.0, 5.0]], "y": [[3.0, 4.0]]}),),
    use=(
        "Fields of very different size in one batch, such as solutions of differential equations: "
        "each sample counts by its own scale."
    ),
    avoid=(
        "Targets that are nearly 0 as a whole, which outweigh all others: `mse` of normalised "
        "fields."
    ),
    checked="NumPy's norms.",
    related={
        "euclidean": "half the squared distance, not relative",
        "mape": "relative element by element",
        "spectral_convergence": "the same ratio of spectrograms",
    },
    identities=(("rel_l2(3*p, 3*y)", "rel_l2(p, y)"),),
)
def rel_l2(p: Tensor, y: Tensor) -> Tensor:
    """Length of the error over the length of the target, for fields of any scale.

    Shape:
        p and y alike, any shape with the batch first; one value a sample.

    Example:
        `rel_l2(solution, target)`
    """
    wrong, whole = square_sum(wide(p) - y), square_sum(y)
    return share(guarded_root(wrong, 2), guarded_root(whole, 2))
