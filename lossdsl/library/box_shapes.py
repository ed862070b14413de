"""Losses of axis-aligned boxes that look at widths and heights, or bend the overlap itself."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from lossdsl.library.boxes import (
    EMPTY,
    LOOPS,
    TIES,
    Corners,
    centre_penalty,
    corners,
    enclosure,
    extent,
    overlap,
    ratio,
    shape_penalty,
)
from lossdsl.library.guarded import power
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

PAIRS = "boxes[*S, 4], boxes[*S, 4] -> loss[*S]"
SHIFTED = {"p": [[0.0, 0.0, 2.0, 2.0]], "y": [[1.0, 0.0, 3.0, 2.0]]}
TALLER = {"p": [[0.0, 0.0, 2.0, 2.0]], "y": [[0.0, 0.0, 2.0, 4.0]]}

EFFICIENT = Reference(
    "Y.-F. Zhang, W. Ren, Z. Zhang, Z. Jia, L. Wang and T. Tan",
    "Focal and Efficient IOU Loss for Accurate Bounding Box Regression",
    2021,
    "2101.08158",
)


def side_penalty(pred: Corners, target: Corners) -> Tensor:
    """Squared differences of width and height, each over that of the enclosing box."""
    ax1, ay1, ax2, ay2 = pred
    bx1, by1, bx2, by2 = target
    width, height = enclosure(pred, target)
    wider = extent(ax1, ax2) - extent(bx1, bx2)
    taller = extent(ay1, ay2) - extent(by1, by2)
    return ratio(wider * wider, width * width) + ratio(taller * taller, height * height)


@loss(
    "log_iou",
    signature=PAIRS,
    family="boxes",
    values="[0, inf)",
    latex=r"-\log \max\left(\frac{|P \cap Y|}{|P \cup Y|}, \epsilon\right)",
    reference=Reference(
        "J. Yu, Y. Jiang, Z. Wang, Z. Cao and T. Huang",
        "UnitBox: An Advanced Object Detection Network",
        2016,
        "1608.01471",
    ),
    ranges={"eps": "(0, 1)"},
    conventions=("The paper's form; iou is the linear one.", EMPTY, TIES),
    pitfalls=("An IoU below eps has no gradient: use giou, diou or ciou for boxes apart.",),
    use=(
        "Boxes that surround their own position, as in UnitBox and FCOS, and so overlap from the"
        " start: little overlap costs much."
    ),
    avoid=(
        "Boxes that may lie apart: below eps there is no gradient; `giou` and `ciou` have one."
        " Wrong labels: `iou` has a bounded slope."
    ),
    checked=LOOPS,
    related={
        "iou": "one minus the ratio: linear, bounded by 1",
        "giou": "has a gradient where boxes lie apart",
    },
    identities=(("log_iou(p, y)", "mean(-log(maximum(1 - iou(p, y, reduction='none'), 1e-6)))"),),
    examples=(Example("log_iou(p, y)", 1.0986122886681098, SHIFTED),),
)
def log_iou(pred: Tensor, target: Tensor, *, eps: Number = 1e-6) -> Tensor:
    """Negative logarithm of the intersection over union of two boxes.

    Takes two tensors of boxes of equal shape `[..., 4]` and compares them pair by pair.

    Args:
        eps: the least intersection over union that counts.

    Example:
        `log_iou(p, y)` is log 3 for two 2 x 2 boxes that are shifted by 1.
    """
    intersection_over_union, _ = overlap(corners(pred), corners(target))
    return -torch.log(intersection_over_union.clamp(min=eps))


@loss(
    "eiou",
    signature=PAIRS,
    family="boxes",
    values="[0, 4]",
    aliases=("efficient_iou",),
    latex=r"1 - \mathrm{IoU} + \frac{\rho^2(b, b^*)}{w_c^2 + h_c^2} + \frac{(w - w^*)^2}{w_c^2}"
    r" + \frac{(h - h^*)^2}{h_c^2}",
    reference=EFFICIENT,
    conventions=(
        "w_c and h_c are the sides of the smallest box around both; a term over 0 is 0.",
        EMPTY,
        TIES,
    ),
    pitfalls=("The EIoULoss of mmdetection is another one, the extended IoU.",),
    use=(
        "Boxes whose sides matter one by one: widths and heights are compared directly, and both"
        " may be too small at once."
    ),
    avoid=(
        "Objects of a few pixels, where every term jumps with a pixel: `nwd`. Many poor boxes"
        " that rule the gradient: `focal_eiou`."
    ),
    checked=LOOPS,
    related={
        "diou": "the same without widths and heights",
        "ciou": "the aspect ratio in place of widths and heights",
        "focal_eiou": "the same, weighted by the overlap",
    },
    identities=(
        (
            "input p: boxes[N, 4]; input d: real[N, 2]; eiou(p, boxes(p + cat(d, d, over=1)))",
            "input p: boxes[N, 4]; input d: real[N, 2]; diou(p, boxes(p + cat(d, d, over=1)))",
        ),
    ),
    examples=(
        Example("eiou(p, y)", 2 / 3 + 1 / 13, SHIFTED),
        Example("eiou(p, y)", 1 / 2 + 1 / 20 + 4 / 16, TALLER),
    ),
)
def eiou(pred: Tensor, target: Tensor) -> Tensor:
    """Efficient IoU loss: adds the distances of centres, widths and heights.

    Takes two tensors of boxes of equal shape `[..., 4]`. For boxes of equal size it equals `diou`.

    Example:
        `eiou(p, y)` is 0.8 for a 2 x 2 box inside a 2 x 4 box with a common corner.
    """
    p, y = corners(pred), corners(target)
    intersection_over_union, _ = overlap(p, y)
    return 1.0 - intersection_over_union + centre_penalty(p, y) + side_penalty(p, y)


@loss(
    "focal_eiou",
    signature=PAIRS,
    family="boxes",
    values="[0, 4]",
    latex=r"\mathrm{IoU}^{\gamma}\, \mathrm{EIoU}",
    reference=EFFICIENT,
    ranges={"gamma": "[0, inf)"},
    conventions=("The weight IoU^gamma carries no gradient.", EMPTY, TIES),
    pitfalls=(
        "Good boxes weigh more, the opposite of focal; boxes apart weigh nothing and never meet.",
    ),
    use="Dense detectors with many poor boxes: those that overlap well get most of the gradient.",
    avoid=(
        "The beginning of training, and boxes that do not touch: they weigh nothing and get no"
        " gradient; `eiou` pulls them."
    ),
    checked=LOOPS,
    related={
        "eiou": "the same without the weight",
        "alpha_iou": "asks more of good boxes by a power of the overlap",
        "focal": "the opposite, of scores: hard examples weigh more",
    },
    identities=(("focal_eiou(p, y, gamma=0)", "eiou(p, y)"),),
    examples=(Example("focal_eiou(p, y, gamma=1)", (2 / 3 + 1 / 13) / 3, SHIFTED),),
)
def focal_eiou(pred: Tensor, target: Tensor, *, gamma: Number = 0.5) -> Tensor:
    """Efficient IoU loss weighted by how well the boxes overlap already.

    Takes two tensors of boxes of equal shape `[..., 4]`.

    Args:
        gamma: how much more good boxes weigh; 0 is `eiou`.

    Example:
        `focal_eiou(p, y)`
    """
    intersection_over_union, _ = overlap(corners(pred), corners(target))
    return power(intersection_over_union.detach(), gamma) * eiou(pred, target)


@loss(
    "siou",
    signature=PAIRS,
    family="boxes",
    values="[0, 3]",
    aliases=("scylla_iou",),
    latex=(
        r"1 - \mathrm{IoU} + \tfrac12 \sum_{t = x, y} \left(1 - e^{-(2 - \Lambda) (d_t / c_t)^2}"
        r"\right) + \tfrac12 \sum_{t = w, h} \left(1 - e^{-\omega_t}\right)^{\theta},\quad "
        r"\Lambda = \frac{2 \lvert d_x d_y \rvert}{d_x^2 + d_y^2},\ "
        r"\omega_w = \frac{\lvert w - w^* \rvert}{\max(w, w^*)}"
    ),
    reference=Reference(
        "Z. Gevorgyan",
        "SIoU Loss: More Powerful Learning for Bounding Box Regression",
        2022,
        "2205.12740",
    ),
    ranges={"theta": "(0, inf)"},
    conventions=(
        "The angle cost is the paper's 1 - 2 sin²(arcsin x - π/4) without its arcsine; it is 0 "
        "for equal centres.",
        EMPTY,
        TIES,
    ),
    use=(
        "Box regression that first brings a far box onto the nearer axis of its target, then"
        " along it; wrong shapes cost softly."
    ),
    avoid=(
        "Boxes that nearly fit: theta flattens small differences in shape, where `eiou` keeps a"
        " slope."
    ),
    checked=LOOPS,
    related={
        "ciou": "centres without a direction, and aspect ratios",
        "eiou": "squared differences of the sides, without a threshold",
    },
    examples=(Example("siou(p, y)", 2 / 3 + (1 - 0.8007374029168081) / 2, SHIFTED),),
)
def siou(pred: Tensor, target: Tensor, *, theta: Number = 4.0) -> Tensor:
    """IoU loss with the distance of the centres, its direction, and the difference in shape.

    Takes two tensors of boxes of equal shape `[..., 4]`; the value lies in [0, 3].

    Args:
        theta: how sharply the cost of a different shape sets in; the paper has 2 to 6.

    Example:
        `siou(p, y)`
    """
    p, y = corners(pred), corners(target)
    intersection_over_union, _ = overlap(p, y)
    away_x = (p[0] + p[2] - y[0] - y[2]) * 0.5
    away_y = (p[1] + p[3] - y[1] - y[3]) * 0.5
    angle = ratio(2 * (away_x * away_y).abs(), away_x * away_x + away_y * away_y)
    width, height = enclosure(p, y)
    distance = sum(
        -torch.expm1((angle - 2) * ratio(away * away, side * side))
        for away, side in ((away_x, width), (away_y, height))
    )
    shape = sum(
        power(-torch.expm1(-ratio((own - other).abs(), torch.maximum(own, other))), theta)
        for own, other in (
            (extent(p[0], p[2]), extent(y[0], y[2])),
            (extent(p[1], p[3]), extent(y[1], y[3])),
        )
    )
    return 1.0 - intersection_over_union + 0.5 * (distance + shape)


@loss(
    "alpha_iou",
    signature=PAIRS,
    family="boxes",
    values="[0, inf)",
    latex=r"1 - \mathrm{IoU}^{\alpha} + \mathrm{penalty}^{\alpha}",
    reference=Reference(
        "J. He, S. Erfani, X. Ma, J. Bailey, Y. Chi and X.-S. Hua",
        "Alpha-IoU: A Family of Power Intersection over Union Losses for Bounding Box Regression",
        2021,
        "2110.13675",
    ),
    ranges={"alpha": "(0, inf)"},
    conventions=(
        "penalty adds the power of what giou, diou or ciou add to the IoU loss; ciou's two terms "
        "are raised one by one.",
        EMPTY,
        TIES,
    ),
    use=(
        "Boxes that must fit tightly, or noisy boxes of small data sets: alpha above 1 gives"
        " good boxes more of the gradient."
    ),
    avoid=(
        "The first epochs from random boxes: a power of a small overlap is flat; begin with"
        " alpha=1, which is `iou` or `giou`."
    ),
    checked=(
        "a loop over pairs in plain Python, written from the paper, at random boxes and at every"
        " coincidence of edges; the penalties against powers of `giou`, `diou` and `ciou`"
    ),
    related={
        "iou": "the power 1",
        "giou": "the power 1 with its penalty",
        "ciou": "the power 1 with its penalties",
        "focal_eiou": "weighs good boxes instead",
    },
    identities=(
        ("alpha_iou(p, y, alpha=1)", "iou(p, y)"),
        ("alpha_iou(p, y, alpha=1, penalty='giou')", "giou(p, y)"),
        ("alpha_iou(p, y, alpha=1, penalty='diou')", "diou(p, y)"),
        ("alpha_iou(p, y, alpha=1, penalty='ciou')", "ciou(p, y)"),
    ),
    examples=(
        Example("alpha_iou(p, y)", 26 / 27, SHIFTED),
        Example("alpha_iou(p, y, alpha=2, penalty='diou')", 8 / 9 + 1 / 169, SHIFTED),
    ),
)
def alpha_iou(
    pred: Tensor,
    target: Tensor,
    *,
    alpha: Number = 3.0,
    penalty: Literal["none", "giou", "diou", "ciou"] = "none",
) -> Tensor:
    """IoU loss of a power of the overlap: above 1 it asks more of boxes that fit well.

    Takes two tensors of boxes of equal shape `[..., 4]`.

    Args:
        alpha: the power; 1 is the loss without it.
        penalty: whose term is added, to the same power.

    Example:
        `alpha_iou(p, y, penalty='ciou')`
    """
    p, y = corners(pred), corners(target)
    intersection_over_union, union = overlap(p, y)
    value = 1.0 - power(intersection_over_union, alpha)
    if penalty == "giou":
        width, height = enclosure(p, y)
        empty = ratio(width * height - union, width * height)
        return value + power(empty.clamp(min=0), alpha)
    if penalty in ("diou", "ciou"):
        value = value + power(centre_penalty(p, y), alpha)
    if penalty == "ciou":
        shape = shape_penalty(p, y)
        weight = ratio(shape, 1.0 - intersection_over_union + shape).detach()
        value = value + power(weight * shape, alpha)
    return value


@loss(
    "wiou",
    signature=PAIRS,
    family="boxes",
    values="[0, 2.7182818284590455]",
    aliases=("wise_iou",),
    latex=r"\exp\left(\frac{\rho^2(b, b^*)}{(w_c^2 + h_c^2)^{*}}\right) (1 - \mathrm{IoU})",
    reference=Reference(
        "Z. Tong, Y. Chen, Z. Xu and R. Yu",
        "Wise-IoU: Bounding Box Regression Loss with Dynamic Focusing Mechanism",
        2023,
        "2301.10051",
    ),
    conventions=(
        "The first version of the paper, without its running mean of losses.",
        "The enclosing box carries no gradient.",
        EMPTY,
        TIES,
    ),
    use=(
        "Data sets with poor boxes: far centres raise the loss by a factor of at most e, and a"
        " box that fits is left to its overlap."
    ),
    avoid=(
        "Boxes apart whose sides are wrong: only the centre is pulled there; `eiou` and `siou`"
        " also pull the sides."
    ),
    checked=LOOPS,
    related={
        "iou": "the same without the factor",
        "diou": "adds the distance of the centres in place of multiplying",
    },
    identities=(
        (
            "input a: positive[N, 2]; input b: positive[N, 2]; "
            "wiou(boxes(cat(-a, a, over=1)), boxes(cat(-b, b, over=1)))",
            "input a: positive[N, 2]; input b: positive[N, 2]; "
            "iou(boxes(cat(-a, a, over=1)), boxes(cat(-b, b, over=1)))",
        ),
    ),
    examples=(Example("wiou(p, y)", 2 / 3 * 1.0799589994281866, SHIFTED),),
)
def wiou(pred: Tensor, target: Tensor) -> Tensor:
    """IoU loss that counts more, the farther the centres are apart.

    Takes two tensors of boxes of equal shape `[..., 4]`; the value lies in [0, e].

    Example:
        `wiou(p, y)` equals `iou(p, y)` for equal centres.
    """
    p, y = corners(pred), corners(target)
    intersection_over_union, _ = overlap(p, y)
    away_x = (p[0] + p[2] - y[0] - y[2]) * 0.5
    away_y = (p[1] + p[3] - y[1] - y[3]) * 0.5
    width, height = enclosure(p, y)
    diagonal = (width * width + height * height).detach()
    away = ratio(away_x * away_x + away_y * away_y, diagonal)
    return away.exp() * (1.0 - intersection_over_union)
