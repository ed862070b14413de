"""Overlap of masks: ratios of sums over pixels, one ratio an image and class.

All come from three sums, which `overlap_sums` takes once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lossdsl.library.guarded import log_cosh_of
from lossdsl.library.overlap_sums import Over, overlap_sums
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import F, loss, overload

# What the identities below declare.
PAIR = "input p: mask[B, C, *S]; input y: mask[B, C, *S]; "


ONE_BY_ONE = "logits|prob[B, C, *S], prob[B, C, *S] -> loss[B, C]"
EXCLUSIVE = "class_logits|class_prob[B, C, *S], labels|one_hot|class_prob[B, C, *S] -> loss[B, C]"

HALF = {"p": [[[0.5, 0.5]]], "y": [[[1.0, 0.0]]]}

OF_ALL = (
    "The ratio is taken per image and class; over='batch' takes it per class with sums over the "
    "batch, over='all' once for everything.",
    "smooth is added to numerator and denominator, so an empty target with an empty prediction "
    "costs 0; with smooth = 0 a ratio of 0/0 costs 0.",
    "Masked pixels are left out of every sum.",
    "background=false leaves out class 0.",
)


def share(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole, and 0 with gradient 0 where the whole is 0."""
    some = whole > torch.finfo(whole.dtype).tiny
    return torch.where(some, part / torch.where(some, whole, 1.0), 0.0)


def map_type(parameters: Mapping[str, Any]) -> str:
    """The result's type: `over` and `background` decide which axes are left."""
    classes = "C" if parameters.get("background", True) else "C-1"
    over = parameters.get("over", "image")
    return {"image": f"loss[B, {classes}]", "batch": f"loss[{classes}]", "all": "loss[]"}[over]


def overlap(
    name: str,
    *,
    latex: str,
    reference: Reference,
    examples: Sequence[Example],
    ranges: Mapping[str, str] | None = None,
    aliases: Sequence[str] = (),
    conventions: Sequence[str] = (),
    pitfalls: Sequence[str] = (),
    use: str,
    avoid: str,
    checked: str,
    related: Mapping[str, str],
    identities: Sequence[tuple[str, str]],
) -> Callable[[F], F]:
    """Register an overlap loss: one function for masks that may overlap and for classes that
    exclude each other."""

    def register(function: F) -> F:
        loss(
            name,
            signature=ONE_BY_ONE,
            family="overlap",
            aliases=aliases,
            latex=latex,
            reference=reference,
            ranges={"smooth": "[0, inf)", **(ranges or {})},
            conventions=(*conventions, *OF_ALL),
            pitfalls=pitfalls,
            examples=examples,
            mask="inside",
            class_weight="classes",
            values="[0, 1]",
            use=use,
            avoid=avoid,
            checked=checked,
            related=related,
            identities=identities,
            result=map_type,
        )(function)
        return overload(name, signature=EXCLUSIVE, result=map_type)(function)

    return register


@overlap(
    "dice",
    latex=r"1 - \frac{2 \sum p y + s}{\sum p + \sum y + s}",
    reference=Reference(
        "C. H. Sudre, W. Li, T. Vercauteren, S. Ourselin and M. J. Cardoso",
        "Generalised Dice Overlap as a Deep Learning Loss Function for Highly Unbalanced "
        "Segmentations",
        2017,
        "1707.03237",
    ),
    conventions=("The denominator is linear; squared=true is `squared_dice`.",),
    pitfalls=(
        "Not smallest at p = y for soft targets: a target of 0.7 everywhere, met exactly, costs "
        "0.3; squared=true costs 0 there.",
        "Libraries take the ratio over the batch, over everything or over all classes at once, "
        "each under the same name.",
    ),
    examples=(
        Example(
            "dice(prob(p), y, smooth=0)",
            0.25,
            {"p": [[[0.75, 0.25]]], "y": [[[1.0, 0.0]]]},
        ),
        Example("dice(prob(p), y)", 0.0, {"p": [[[0.0, 0.0]]], "y": [[[0.0, 0.0]]]}),
    ),
    use=(
        "Segmentation of objects that are small beside the background, together with `bce` or "
        "`ce`, whose gradients are steadier."
    ),
    avoid=(
        "Soft targets, at which it is not smallest: `squared_dice`. Misses and false alarms of "
        "unlike price: `tversky`. Lines: `cldice`."
    ),
    checked="Loops over pixels, and `sklearn.metrics.f1_score` on hard masks.",
    related={
        "squared_dice": "squares in the denominator",
        "jaccard": "a function of it, steeper at the end",
        "tversky": "prices for misses and false alarms",
        "generalized_dice": "one ratio for all classes",
    },
    identities=(
        ("dice(p, y)", "tversky(p, y, fp=0.5, fn=0.5, smooth=5e-6)"),
        ("dice(p, y, squared=true)", "squared_dice(p, y)"),
        ("dice(p, y, over='all')", "generalized_dice(p, y, over='batch', weights='uniform')"),
    ),
)
def dice(
    p: Tensor,
    y: Tensor,
    *,
    smooth: Number = 1e-5,
    over: Over = "image",
    squared: bool = False,
    background: bool = True,
    mask: Tensor | None = None,
) -> Tensor:
    """One minus the soft Dice coefficient of two masks.

    Indifferent to how much background there is, which makes it the companion of `bce` or `ce`
    in segmentation.

    Args:
        smooth: added to numerator and denominator.
        over: where the ratio is taken: per 'image' and class, per class over the 'batch', 'all'.
        squared: whether the denominator sums squares.
        background: whether class 0 counts.

    Shape:
        p and y with the class axis, y also as labels; one value an image and class.

    Example:
        `ce(p, y) + dice(p, y, background=false)`
    """
    both, prediction, target = overlap_sums(p, y, mask, over, squared, background)
    whole = prediction + target
    return share(whole - 2 * both, whole + smooth)


@overlap(
    "squared_dice",
    latex=r"1 - \frac{2 \sum p y + s}{\sum p^2 + \sum y^2 + s}",
    reference=Reference(
        "F. Milletari, N. Navab and S.-A. Ahmadi",
        "V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image Segmentation",
        2016,
        "1606.04797",
    ),
    conventions=("The squares are those of pixels, not of the sums.",),
    examples=(Example("squared_dice(prob(p), y, smooth=0)", 1 / 3, HALF),),
    use=(
        "Soft targets, as of smoothing or several annotators, and volumes as in V-Net: it is "
        "smallest at p = y."
    ),
    avoid="False alarms of low probability, which it hardly pushes down: `dice`.",
    checked="Loops over pixels.",
    related={
        "dice": "a linear denominator",
        "jaccard": "with squared=true a function of it",
    },
    identities=(
        ("squared_dice(p, y)", "dice(p, y, squared=true)"),
        (f"{PAIR}squared_dice(p, y)", f"{PAIR}dice(p, y)"),
    ),
)
def squared_dice(
    p: Tensor,
    y: Tensor,
    *,
    smooth: Number = 1e-5,
    over: Over = "image",
    background: bool = True,
    mask: Tensor | None = None,
) -> Tensor:
    """Dice with squares in the denominator, as V-Net introduced it.

    Equal to `dice` on masks of 0 and 1, and smallest at p = y for soft targets too.

    Args:
        smooth, over, background: as in `dice`.

    Shape:
        p and y with the class axis, y also as labels; one value an image and class.

    Example:
        `squared_dice(p, y)`
    """
    return dice(p, y, smooth=smooth, over=over, squared=True, background=background, mask=mask)


@overlap(
    "log_cosh_dice",
    latex=r"\log \cosh \left(1 - \frac{2 \sum p y + s}{\sum p + \sum y + s}\right)",
    reference=Reference(
        "S. Jadon", "A survey of loss functions for semantic segmentation", 2020, "2006.14822"
    ),
    pitfalls=("At most log cosh 1 = 0.434, so a weight tuned for dice is too small here.",),
    examples=(Example("log_cosh_dice(prob(p), y, smooth=0)", 0.12011450695827751, HALF),),
    use=(
        "In place of `dice` where its last steps are unsteady: the slope fades as the overlap "
        "becomes perfect."
    ),
    avoid=(
        "Fine structures, whose last bit of overlap it gives up first: `dice`, or `focal_tversky`, "
        "which does the opposite."
    ),
    checked="Loops over pixels.",
    related={
        "dice": "what it is a function of",
        "focal_tversky": "a power in place of log cosh: steeper at the end",
        "log_cosh": "of residuals",
    },
    identities=(("log_cosh_dice(p, y)", "log_cosh(dice(p, y, reduction='none'), 0)"),),
)
def log_cosh_dice(
    p: Tensor,
    y: Tensor,
    *,
    smooth: Number = 1e-5,
    over: Over = "image",
    squared: bool = False,
    background: bool = True,
    mask: Tensor | None = None,
) -> Tensor:
    """Dice loss through log cosh: its slope fades as the overlap becomes perfect.

    Args:
        smooth, over, squared, background: as in `dice`.

    Shape:
        p and y with the class axis, y also as labels; one value an image and class.

    Example:
        `log_cosh_dice(p, y)`
    """
    return log_cosh_of(
        dice(p, y, smooth=smooth, over=over, squared=squared, background=background, mask=mask)
    )


@overlap(
    "jaccard",
    aliases=("soft_iou",),
    latex=r"1 - \frac{\sum p y + s}{\sum p + \sum y - \sum p y + s}",
    reference=Reference(
        "M. A. Rahman and Y. Wang",
        "Optimizing Intersection-Over-Union in Deep Neural Networks for Image Segmentation",
        2016,
    ),
    pitfalls=("For masks; the loss of boxes is `iou`.",),
    examples=(Example("jaccard(prob(p), y, smooth=0)", 2 / 3, HALF),),
    use="Segmentation that is judged by intersection over union.",
    avoid=(
        "Poor overlap early on, where its slope is half that of `dice`. The index of hard "
        "predictions, which `lovasz_softmax` and `lovasz_hinge` follow. Boxes: `iou`."
    ),
    checked="Loops over pixels, and `sklearn.metrics.jaccard_score` on hard masks.",
    related={
        "dice": "a function of it, calmer at the end",
        "lovasz_softmax": "equal to it on hard predictions, and convex",
        "iou": "of boxes",
    },
    identities=(
        ("jaccard(p, y)", "tversky(p, y, fp=1, fn=1)"),
        (
            "jaccard(p, y, smooth=0)",
            "d = dice(p, y, smooth=0, reduction='none'); mean(2*d/(1 + d))",
        ),
    ),
)
def jaccard(
    p: Tensor,
    y: Tensor,
    *,
    smooth: Number = 1e-5,
    over: Over = "image",
    squared: bool = False,
    background: bool = True,
    mask: Tensor | None = None,
) -> Tensor:
    """One minus the soft intersection over union of two masks.

    A function of the Dice loss D of the same sums, 2D/(1+D): the same order, a steeper finish.

    Args:
        smooth, over, squared, background: as in `dice`.

    Shape:
        p and y with the class axis, y also as labels; one value an image and class.

    Example:
        `jaccard(p, y, over='batch')`
    """
    both, prediction, target = overlap_sums(p, y, mask, over, squared, background)
    union = prediction + target - both
    return share(union - both, union + smooth)
