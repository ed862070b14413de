"""Overlap of masks: ratios of sums over pixels, one ratio an image and class.

All come from three sums, which `overlap_sums` takes once for all of them: the product of
prediction and target, the prediction, the target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import log_cosh_of, power
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import F, loss, overload

Over = Literal["image", "batch", "all"]

ONE_BY_ONE = "logits|prob[B, C, *S], prob[B, C, *S] -> loss[B, C]"
EXCLUSIVE = "class_logits|class_prob[B, C, *S], labels|one_hot|class_prob[B, C, *S] -> loss[B, C]"

HALF = {"p": [[[0.5, 0.5]]], "y": [[[1.0, 0.0]]]}
UNEVEN = {"p": [[[0.8, 0.4]]], "y": [[[1.0, 0.0]]]}

OF_ALL = (
    "The ratio is taken per image and class; over='batch' takes it per class with sums over the "
    "batch, over='all' once for everything.",
    "smooth is added to numerator and denominator, so an empty target with an empty prediction "
    "costs 0; with smooth = 0 a ratio of 0/0 costs 0.",
    "Masked pixels are left out of every sum.",
    "background=false leaves out class 0.",
)


class Sums(NamedTuple):
    """Sums over the pixels of a region: what two soft masks share, and what each holds."""

    both: Tensor
    prediction: Tensor
    target: Tensor


def overlap_sums(
    p: Tensor, y: Tensor, mask: Tensor | None, over: Over, squared: bool, background: bool
) -> Sums:
    """The three sums of every overlap loss, over the pixels that the mask keeps."""
    if mask is not None:
        kept = mask > 0
        p, y = torch.where(kept, p, 0.0), torch.where(kept, y, 0.0)
    if not background:
        p, y = p[:, 1:], y[:, 1:]
    space = tuple(range(2, p.ndim))
    axes = {"image": space, "batch": (0, *space), "all": (0, 1, *space)}[over]

    def total(x: Tensor) -> Tensor:
        # An empty tuple of axes would sum over all of them.
        return wide(x).sum(axes) if axes else wide(x)

    if squared:
        return Sums(total(p * y), total(p * p), total(y * y))
    return Sums(total(p * y), total(p), total(y))


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


OF_TVERSKY = (
    "fp weighs false positives and fn false negatives.",
    "With squared=true a soft excess below 0 counts as 0, so the value stays in [0, 1].",
)


def tversky_of(sums: Sums, fp: Number, fn: Number, smooth: Number, squared: bool) -> Tensor:
    """The Tversky loss from its sums."""
    extra, missing = sums.prediction - sums.both, sums.target - sums.both
    if squared:
        extra, missing = extra.clamp(min=0), missing.clamp(min=0)
    wrong = fp * extra + fn * missing
    return share(wrong, sums.both + wrong + smooth)


@overlap(
    "tversky",
    latex=r"1 - \frac{\sum p y + s}{\sum p y + f_p \sum p (1-y) + f_n \sum (1-p) y + s}",
    reference=Reference(
        "S. S. M. Salehi, D. Erdogmus and A. Gholipour",
        "Tversky loss function for image segmentation using 3D fully convolutional deep networks",
        2017,
        "1706.05721",
    ),
    ranges={"fp": "[0, inf)", "fn": "[0, inf)"},
    conventions=OF_TVERSKY,
    pitfalls=(
        "Papers disagree on which of alpha and beta is which; here they have names.",
        "tversky(fp=0.5, fn=0.5) with smooth s is dice with smooth 2s.",
    ),
    examples=(Example("tversky(prob(p), y, smooth=0)", 0.24528301886792453, UNEVEN),),
)
def tversky(
    p: Tensor,
    y: Tensor,
    *,
    fp: Number = 0.3,
    fn: Number = 0.7,
    smooth: Number = 1e-5,
    over: Over = "image",
    squared: bool = False,
    background: bool = True,
    mask: Tensor | None = None,
) -> Tensor:
    """Overlap in which misses and false alarms weigh differently.

    Args:
        fp: the weight of false positives.
        fn: the weight of false negatives; above `fp` it favours recall.
        smooth, over, squared, background: as in `dice`.

    Shape:
        p and y with the class axis, y also as labels; one value an image and class.

    Example:
        `tversky(p, y, fp=0.2, fn=0.8)`
    """
    sums = overlap_sums(p, y, mask, over, squared, background)
    return tversky_of(sums, fp, fn, smooth, squared)


@overlap(
    "focal_tversky",
    latex=r"\left(1 - \frac{\sum p y + s}{\sum p y + f_p \sum p (1-y) + f_n \sum (1-p) y + s}"
    r"\right)^{1/\gamma}",
    reference=Reference(
        "N. Abraham and N. M. Khan",
        "A Novel Focal Tversky Loss Function with Improved Attention U-Net for Lesion Segmentation",
        2018,
        "1810.07842",
    ),
    ranges={"fp": "[0, inf)", "fn": "[0, inf)", "gamma": "(0, inf)"},
    conventions=(
        "The exponent is 1/gamma, as in the paper: 0.75 by default.",
        "A perfect match has gradient 0, though the power's slope is infinite there.",
        *OF_TVERSKY,
    ),
    pitfalls=("Code with a gamma of 0.75 has the exponent itself in mind: gamma=4/3 here.",),
    examples=(Example("focal_tversky(prob(p), y, smooth=0)", 0.3485383830157513, UNEVEN),),
)
def focal_tversky(
    p: Tensor,
    y: Tensor,
    *,
    fp: Number = 0.3,
    fn: Number = 0.7,
    gamma: Number = 4 / 3,
    smooth: Number = 1e-5,
    over: Over = "image",
    squared: bool = False,
    background: bool = True,
    mask: Tensor | None = None,
) -> Tensor:
    """Tversky loss to the power 1/gamma: images that overlap well keep a gradient.

    Args:
        fp: the weight of false positives.
        fn: the weight of false negatives; above `fp` it favours recall.
        gamma: above 1 the last bit of overlap counts more, below 1 the first.
        smooth, over, squared, background: as in `dice`.

    Shape:
        p and y with the class axis, y also as labels; one value an image and class.

    Example:
        `focal_tversky(p, y, gamma=2)`
    """
    sums = overlap_sums(p, y, mask, over, squared, background)
    return power(tversky_of(sums, fp, fn, smooth, squared), 1 / gamma)
