"""Overlap in which false alarms and misses have prices of their own."""

from __future__ import annotations

from torch import Tensor

from lossdsl.library.guarded import power
from lossdsl.library.overlap import overlap, share
from lossdsl.library.overlap_sums import Over, Sums, overlap_sums
from lossdsl.library.record import Example, Number, Reference

UNEVEN = {"p": [[[0.8, 0.4]]], "y": [[[1.0, 0.0]]]}

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
    use=(
        "Lesions and other targets of which a miss costs more than a false alarm, or the reverse: "
        "fn and fp are the prices."
    ),
    avoid=(
        "Equal prices: `dice`. Empty targets, where every false alarm costs all whatever its "
        "price: `bce` beside it."
    ),
    checked="Loops over pixels.",
    related={
        "dice": "both prices 0.5",
        "jaccard": "both prices 1",
        "focal_tversky": "to a power",
    },
    identities=(
        ("tversky(p, y, fp=0.5, fn=0.5, smooth=0)", "dice(p, y, smooth=0)"),
        ("tversky(p, y, fp=1, fn=1)", "jaccard(p, y)"),
    ),
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
    use=(
        "Small lesions next to large ones: images that overlap well already keep a gradient, and "
        "misses have a higher price."
    ),
    avoid=(
        "The end of training, since it is steep next to a perfect match: `tversky`, or a gamma "
        "that moves to 1."
    ),
    checked="Loops over pixels.",
    related={
        "tversky": "gamma = 1",
        "unified_focal": "with a focal cross entropy",
        "log_cosh_dice": "the opposite: its slope fades at the end",
    },
    identities=(
        ("focal_tversky(p, y, gamma=1)", "tversky(p, y)"),
        ("focal_tversky(p, y, gamma=2)", "mean(sqrt(tversky(p, y, reduction='none')))"),
    ),
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
