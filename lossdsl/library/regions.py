"""Overlap with more than one term: weighted over classes, by parts, or with its complement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from lossdsl.library.embedding import guarded_root
from lossdsl.library.overlap import EXCLUSIVE, HALF, ONE_BY_ONE, map_type, share
from lossdsl.library.overlap_sums import Over, overlap_sums
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss, overload

# What the identities below declare.
MASK = "input p: logits[B, 1, H, W]; input y: mask[B, 1, H, W]; "

MASKED = "Masked pixels are left out of every sum."
OVER = (
    "Per image and class; over='batch' takes it per class with sums over the batch, over='all' "
    "once for everything."
)
ONE_AN_IMAGE_BY_CLASS = ONE_BY_ONE.replace("loss[B, C]", "loss[B]")
ONE_AN_IMAGE = EXCLUSIVE.replace("loss[B, C]", "loss[B]")


def pixels(mask: Tensor | None, like: Tensor) -> Tensor:
    """1 where a pixel counts, for each class."""
    return torch.ones_like(like) if mask is None else (mask > 0).to(like.dtype).expand_as(like)


def without(mask: Tensor | None, *values: Tensor) -> tuple[Tensor, ...]:
    """The values with 0 where the mask is 0."""
    return values if mask is None else tuple(torch.where(mask > 0, x, 0.0) for x in values)


def per_image(parameters: Mapping[str, Any]) -> str:
    """The result's type of losses that are taken over all classes at once."""
    return "loss[B]" if parameters.get("over", "image") == "image" else "loss[]"


@overload("generalized_dice", signature=ONE_AN_IMAGE, result=per_image)
@loss(
    "generalized_dice",
    signature=ONE_AN_IMAGE_BY_CLASS,
    result=per_image,
    family="overlap",
    values="[0, 1]",
    latex=r"1 - \frac{2 \sum_c w_c \sum p_c y_c + s}{\sum_c w_c \sum (p_c + y_c) + s}, \quad "
    r"w_c = \Big(\sum y_c\Big)^{-2}",
    reference=Reference(
        "C. H. Sudre, W. Li, T. Vercauteren, S. Ourselin and M. J. Cardoso",
        "Generalised Dice Overlap as a Deep Learning Loss Function for Highly Unbalanced "
        "Segmentations",
        2017,
        "1707.03237",
    ),
    ranges={"smooth": "[0, inf)"},
    conventions=(
        "A class without pixels has the largest weight of the others, as in MONAI; with no class "
        "at all every weight is 1.",
        "The largest weight is scaled to 1, so smooth means the same for images of any size.",
        "Per image, over='batch' with sums over the batch.",
        MASKED,
        "background=false leaves out class 0.",
    ),
    pitfalls=("A class of a few pixels outweighs all others by far.",),
    examples=(
        Example(
            "generalized_dice(class_prob(p), y, smooth=0, weights='uniform')",
            0.25,
            {"p": [[[0.75, 0.25], [0.25, 0.75]]], "y": [[[1.0, 0.0], [0.0, 1.0]]]},
        ),
    ),
    mask="inside",
    use=(
        "Volumes with organs of very different size: each class weighs by the inverse of its "
        "squared volume."
    ),
    avoid=(
        "Classes of a few voxels, which outweigh the others by far: weights='simple', or `dice` "
        "with its ratio for each class."
    ),
    checked="`monai.losses.GeneralizedDiceLoss`, and the paper's formula in NumPy.",
    related={
        "dice": "a ratio for each class",
        "tversky": "prices for misses and false alarms",
        "boundary": "distances, often added to it",
    },
    identities=(
        (f"{MASK}generalized_dice(p, y)", f"{MASK}dice(p, y)"),
        ("generalized_dice(p, y, over='batch', weights='uniform')", "dice(p, y, over='all')"),
    ),
)
def generalized_dice(
    p: Tensor,
    y: Tensor,
    *,
    smooth: Number = 1e-5,
    weights: Literal["square", "simple", "uniform"] = "square",
    over: Literal["image", "batch"] = "image",
    background: bool = True,
    mask: Tensor | None = None,
) -> Tensor:
    """Dice over all classes at once, each weighted by the inverse of its squared volume.

    Args:
        smooth: added to numerator and denominator.
        weights: the inverse of the volume's 'square', of the volume ('simple'), or all alike.
        over: where sums are taken: per 'image' or over the 'batch'.
        background: whether class 0 counts.

    Shape:
        p and y with the class axis, y also as labels; one value an image.

    Example:
        `generalized_dice(p, y, weights='simple')`
    """
    both, prediction, target = overlap_sums(p, y, mask, over, False, background)
    present = target > 0
    volume = torch.where(present, target, 1.0)
    # Against the smallest class: squares of volumes leave the range of single precision.
    least = torch.where(present, target, torch.inf).amin(-1, keepdim=True)
    weight = torch.where(present, torch.where(present, least, 1.0) / volume, 1.0).detach()
    weight = {"square": weight * weight, "simple": weight, "uniform": torch.ones_like(weight)}[
        weights
    ]
    whole = (weight * (prediction + target)).sum(-1)
    return share(whole - 2 * (weight * both).sum(-1), whole + smooth)


@overload("sensitivity_specificity", signature=EXCLUSIVE, result=map_type)
@loss(
    "sensitivity_specificity",
    signature=ONE_BY_ONE,
    result=map_type,
    family="overlap",
    values="[0, 1]",
    latex=r"r \frac{\sum (y - p)^2 y}{\sum y} + (1 - r) \frac{\sum (y - p)^2 (1 - y)}"
    r"{\sum (1 - y)}",
    reference=Reference(
        "T. Brosch, Y. Yoo, L. Y. W. Tang, D. K. B. Li, A. Traboulsee and R. Tam",
        "Deep Convolutional Encoder Networks for Multiple Sclerosis Lesion Segmentation",
        2015,
    ),
    ranges={"r": "[0, 1]"},
    conventions=(
        "The first part is the error on the target, the second that off it; a part without "
        "pixels is 0.",
        OVER,
        MASKED,
        "background=false leaves out class 0.",
    ),
    examples=(Example("sensitivity_specificity(prob(p), y, r=0.4)", 0.25, HALF),),
    mask="inside",
    class_weight="classes",
    use=(
        "Lesions that fill a tiny share of the image: one mean of errors on them, one off them, "
        "and a weight between the two."
    ),
    avoid=(
        "Confident mistakes, whose slope fades through the sigmoid: `balanced_bce`. Overlap as the "
        "measure: `tversky`."
    ),
    checked="The paper's formula in NumPy.",
    related={
        "balanced_bce": "the same balance of cross entropies",
        "tversky": "a ratio of sums",
        "mse": "one mean over all pixels",
    },
    identities=(
        ("sensitivity_specificity(p, y, r=0.1)", "sensitivity_specificity(-p, 1 - y, r=0.9)"),
    ),
)
def sensitivity_specificity(
    p: Tensor,
    y: Tensor,
    *,
    r: Number = 0.05,
    over: Over = "image",
    background: bool = True,
    mask: Tensor | None = None,
) -> Tensor:
    """Mean squared errors on the target and off it, mixed whatever the target's size.

    Args:
        r: the weight of the error on the target.
        over: where means are taken: per 'image' and class, per class over the 'batch', 'all'.
        background: whether class 0 counts.

    Shape:
        p and y with the class axis, y also as labels; one value an image and class.

    Example:
        `sensitivity_specificity(p, y, r=0.1)`
    """
    kept = pixels(mask, p)
    p, y = without(mask, p, y)
    error = (y - p) ** 2
    on, _, target = overlap_sums(error, y, None, over, False, background)
    off, _, rest = overlap_sums(error, kept - y, None, over, False, background)
    return r * share(on, target) + (1 - r) * share(off, rest)


@overload("mcc", signature=EXCLUSIVE, result=map_type)
@loss(
    "mcc",
    signature=ONE_BY_ONE,
    result=map_type,
    family="overlap",
    values="[0, 2]",
    latex=r"1 - \frac{TP \cdot TN - FP \cdot FN + s}{\sqrt{(TP + FP)(TP + FN)(TN + FP)(TN + FN)}"
    r" + s}",
    reference=Reference(
        "K. Abhishek and G. Hamarneh",
        "Matthews Correlation Coefficient Loss for Deep Convolutional Networks: Application to "
        "Skin Lesion Segmentation",
        2021,
        "2010.13454",
    ),
    ranges={"smooth": "[0, inf)"},
    conventions=(
        "The entries of the table are shares of the pixels, so smooth means the same for images "
        "of any size.",
        OVER,
        MASKED,
        "background=false leaves out class 0.",
    ),
    pitfalls=(
        "Where a class has no pixel, or nothing but that class, the loss is 0 whatever is "
        "predicted.",
    ),
    examples=(
        Example("mcc(prob(p), y, smooth=0)", 0.5, {"p": [[[0.75, 0.25]]], "y": [[[1.0, 0.0]]]}),
    ),
    mask="inside",
    class_weight="classes",
    use=(
        "Masks that may fill most of the image, where true negatives should count as true "
        "positives do."
    ),
    avoid=(
        "Classes that are absent or fill the image, on which it is 0 whatever is predicted: `bce` "
        "beside it. Small objects on much background, of which `dice` says nearly the same."
    ),
    checked="`monai.losses.MCCLoss`, and `sklearn.metrics.matthews_corrcoef` on hard masks.",
    related={
        "dice": "blind to true negatives",
        "jaccard": "blind to true negatives",
        "balanced_bce": "pixel by pixel",
    },
    identities=(("mcc(p, y)", "mcc(-p, 1 - y)"),),
)
def mcc(
    p: Tensor,
    y: Tensor,
    *,
    smooth: Number = 1e-5,
    over: Over = "image",
    background: bool = True,
    mask: Tensor | None = None,
) -> Tensor:
    """One minus Matthews' correlation of two masks, which counts true negatives too.

    Args:
        smooth: added to numerator and denominator.
        over: where it is taken: per 'image' and class, per class over the 'batch', 'all'.
        background: whether class 0 counts.

    Shape:
        p and y with the class axis, y also as labels; one value an image and class.

    Example:
        `mcc(p, y, over='batch')`
    """
    kept = pixels(mask, p)
    p, y = without(mask, p, y)
    both, prediction, target = overlap_sums(p, y, None, over, False, background)
    count = overlap_sums(kept, kept, None, over, False, background).target
    both, prediction, target = (share(x, count) for x in (both, prediction, target))
    spread = guarded_root(prediction * (1 - prediction), 2) * guarded_root(target * (1 - target), 2)
    # TP TN - FP FN of shares is the covariance.
    return share(spread - (both - prediction * target), spread + smooth)
