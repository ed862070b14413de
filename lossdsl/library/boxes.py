"""Losses of axis-aligned boxes: one value a pair, from the corners `x1, y1, x2, y2`.

All four share one overlap and differ in the penalty that still pulls where boxes do not touch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss

Corners = tuple[Tensor, Tensor, Tensor, Tensor]

EMPTY = "A box with x2 <= x1 or y2 <= y1 is empty: its area is 0 and its IoU with anything is 0."
TIES = "At an edge that both boxes share, the gradient is the mean of the two one-sided ones."
LOOPS = (
    "a loop over pairs in plain Python, written from the paper, at random boxes and at every"
    " coincidence of edges"
)

DISTANCE_IOU = Reference(
    "Z. Zheng, P. Wang, W. Liu, J. Li, R. Ye, D. Ren",
    "Distance-IoU Loss: Faster and Better Learning for Bounding Box Regression",
    2019,
    "1911.08287",
)


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """`part / whole`, and 0 with gradient 0 where the whole vanishes."""
    vanishes = whole <= torch.finfo(whole.dtype).tiny
    return torch.where(vanishes, 0.0, part / torch.where(vanishes, 1.0, whole))


def extent(low: Tensor, high: Tensor) -> Tensor:
    """Length of an interval. At 0 the gradient is that of opening it, so empty boxes can grow."""
    return (high - low).clamp(min=0.0)


def overlap(pred: Corners, target: Corners) -> tuple[Tensor, Tensor]:
    """Intersection over union, and the union's area."""
    ax1, ay1, ax2, ay2 = pred
    bx1, by1, bx2, by2 = target
    width = extent(torch.maximum(ax1, bx1), torch.minimum(ax2, bx2))
    height = extent(torch.maximum(ay1, by1), torch.minimum(ay2, by2))
    intersection = width * height
    areas = extent(ax1, ax2) * extent(ay1, ay2) + extent(bx1, bx2) * extent(by1, by2)
    union = areas - intersection
    return ratio(intersection, union), union


def enclosure(pred: Corners, target: Corners) -> tuple[Tensor, Tensor]:
    """Width and height of the smallest box around all corners, of inverted boxes too.

    Around the first and the last corners alone, a centre could lie outside and the penalty on its
    distance would have no bound.
    """
    ax1, ay1, ax2, ay2 = pred
    bx1, by1, bx2, by2 = target
    return span(ax1, ax2, bx1, bx2), span(ay1, ay2, by1, by2)


def span(a1: Tensor, a2: Tensor, b1: Tensor, b2: Tensor) -> Tensor:
    high = torch.maximum(torch.maximum(a1, a2), torch.maximum(b1, b2))
    return high - torch.minimum(torch.minimum(a1, a2), torch.minimum(b1, b2))


def centre_penalty(pred: Corners, target: Corners) -> Tensor:
    """Squared distance of the centres over the squared diagonal of the enclosing box."""
    ax1, ay1, ax2, ay2 = pred
    bx1, by1, bx2, by2 = target
    dx = (ax1 + ax2 - bx1 - bx2) * 0.5
    dy = (ay1 + ay2 - by1 - by2) * 0.5
    width, height = enclosure(pred, target)
    return ratio(dx * dx + dy * dy, width * width + height * height)


def shape_penalty(pred: Corners, target: Corners) -> Tensor:
    """Squared difference of the aspect angles, scaled to [0, 1]; 0 if a box is a single point."""
    ax1, ay1, ax2, ay2 = pred
    bx1, by1, bx2, by2 = target
    angle, is_point = aspect(extent(ax1, ax2), extent(ay1, ay2))
    target_angle, target_is_point = aspect(extent(bx1, bx2), extent(by1, by2))
    difference = torch.where(is_point | target_is_point, 0.0, target_angle - angle)
    return (4.0 / math.pi**2) * difference * difference


def aspect(width: Tensor, height: Tensor) -> tuple[Tensor, Tensor]:
    """`atan(width / height)`, and where the box is a point: there the gradient does not exist."""
    is_point = width * width + height * height <= torch.finfo(width.dtype).tiny
    angle = torch.atan2(torch.where(is_point, 0.0, width), torch.where(is_point, 1.0, height))
    return angle, is_point


def corners(boxes: Tensor) -> Corners:
    # Areas leave the range of half precision, above for pixels and below for shares of an image.
    x1, y1, x2, y2 = wide(boxes).unbind(-1)
    return x1, y1, x2, y2


@loss(
    "iou",
    signature="boxes[*S, 4], boxes[*S, 4] -> loss[*S]",
    family="boxes",
    values="[0, 1]",
    aliases=("box_iou",),
    latex=r"1 - \frac{|P \cap Y|}{|P \cup Y|}",
    reference=Reference(
        "J. Yu, Y. Jiang, Z. Wang, Z. Cao, T. Huang",
        "UnitBox: An Advanced Object Detection Network",
        2016,
        "1608.01471",
    ),
    conventions=(
        "The linear form 1 - IoU, not the paper's -log(IoU).",
        EMPTY,
        TIES,
    ),
    pitfalls=(
        "Boxes that do not touch give loss 1 and no gradient: use giou, diou or ciou there.",
        "For masks the same ratio is called jaccard.",
    ),
    use=(
        "Boxes that overlap their targets already: the ratio that detection is scored with,"
        " whatever the size of the boxes."
    ),
    avoid=(
        "Boxes that may lie apart: it has no gradient there, `giou` and `diou` have one. Objects"
        " of a few pixels: `nwd`."
    ),
    checked=LOOPS,
    related={
        "giou": "also pulls boxes that do not touch",
        "log_iou": "minus the logarithm of the same ratio",
        "alpha_iou": "a power of the same ratio",
        "jaccard": "the same ratio of masks",
    },
    examples=(
        Example("iou(p, y)", 2 / 3, {"p": [[0.0, 0.0, 2.0, 2.0]], "y": [[1.0, 0.0, 3.0, 2.0]]}),
    ),
)
def iou(pred: Tensor, target: Tensor) -> Tensor:
    """One minus the intersection over union of two boxes.

    Takes two tensors of boxes of equal shape `[..., 4]` and compares them pair by pair; the value
    lies in [0, 1] and does not change when both boxes are scaled or moved together.

    Example:
        `iou(p, y)` is 2/3 for two 2 x 2 boxes that are shifted by 1: they share 2 of 6.
    """
    intersection_over_union, _ = overlap(corners(pred), corners(target))
    return 1.0 - intersection_over_union


@loss(
    "giou",
    signature="boxes[*S, 4], boxes[*S, 4] -> loss[*S]",
    family="boxes",
    values="[0, 2]",
    aliases=("generalized_iou",),
    latex=r"1 - \mathrm{IoU} + \frac{|C| - |P \cup Y|}{|C|}",
    reference=Reference(
        "H. Rezatofighi, N. Tsoi, J. Gwak, A. Sadeghian, I. Reid, S. Savarese",
        "Generalized Intersection over Union: A Metric and A Loss for Bounding Box Regression",
        2019,
        "1902.09630",
    ),
    conventions=(
        EMPTY,
        TIES,
        "If the enclosing box is empty too, the second term is 0 and the loss is 1.",
    ),
    use=(
        "Boxes that may lie apart: the empty part of the box around both pulls them together."
        " The usual partner of l1 in detectors that match sets."
    ),
    avoid=(
        "A box inside the other gets no pull to the centre, and a far one first grows until it"
        " touches: `diou` moves the centre from the start."
    ),
    checked=LOOPS,
    related={
        "iou": "the same without the empty part",
        "diou": "counts the distance of the centres in place of the empty part",
        "ciou": "counts centres and aspect ratios",
    },
    identities=(
        (
            "input a: positive[N, 2]; input b: positive[N, 2]; "
            "giou(boxes(cat(-a, a, over=1)), boxes(cat(-a, a + b, over=1)))",
            "input a: positive[N, 2]; input b: positive[N, 2]; "
            "iou(boxes(cat(-a, a, over=1)), boxes(cat(-a, a + b, over=1)))",
        ),
    ),
    examples=(
        Example("giou(p, y)", 4 / 3, {"p": [[0.0, 0.0, 1.0, 1.0]], "y": [[2.0, 0.0, 3.0, 1.0]]}),
    ),
)
def giou(pred: Tensor, target: Tensor) -> Tensor:
    """Generalised IoU loss: also counts the empty part of the smallest box around both.

    Takes two tensors of boxes of equal shape `[..., 4]`; the value lies in [0, 2]. It has a
    gradient where the boxes do not touch, and equals `iou` where one contains the other.

    Example:
        `giou(p, y)` is 4/3 for unit boxes with one box's width between them.
    """
    p, y = corners(pred), corners(target)
    intersection_over_union, union = overlap(p, y)
    width, height = enclosure(p, y)
    enclosing = width * height
    return 1.0 - intersection_over_union + ratio(enclosing - union, enclosing)


@loss(
    "diou",
    signature="boxes[*S, 4], boxes[*S, 4] -> loss[*S]",
    family="boxes",
    values="[0, 2]",
    aliases=("distance_iou",),
    latex=r"1 - \mathrm{IoU} + \frac{\rho^2(b, b^*)}{c^2}",
    reference=DISTANCE_IOU,
    conventions=(
        EMPTY,
        TIES,
        "c is the diagonal of the smallest box around both; where it is 0 the penalty is 0.",
    ),
    use=(
        "Box regression from far away: it shortens the distance of the centres directly, also"
        " where one box lies inside the other."
    ),
    avoid=(
        "Centres that agree, with sides that do not: only the overlap is left; `ciou` and `eiou`"
        " compare the shapes too."
    ),
    checked=LOOPS,
    related={
        "iou": "the same without the centres",
        "giou": "counts the empty part of the enclosing box",
        "ciou": "also compares the aspect ratios",
        "eiou": "also compares widths and heights",
    },
    identities=(
        (
            "input a: positive[N, 2]; input b: positive[N, 2]; "
            "diou(boxes(cat(-a, a, over=1)), boxes(cat(-b, b, over=1)))",
            "input a: positive[N, 2]; input b: positive[N, 2]; "
            "iou(boxes(cat(-a, a, over=1)), boxes(cat(-b, b, over=1)))",
        ),
    ),
    examples=(
        Example("diou(p, y)", 1.4, {"p": [[0.0, 0.0, 1.0, 1.0]], "y": [[2.0, 0.0, 3.0, 1.0]]}),
    ),
)
def diou(pred: Tensor, target: Tensor) -> Tensor:
    """Distance IoU loss: adds the normalised distance of the centres.

    Takes two tensors of boxes of equal shape `[..., 4]`; the value lies in [0, 2). For boxes with
    the same centre it equals `iou`.

    Example:
        `diou(p, y)` is 1.4 for unit boxes with centres 2 apart: 1 - 0 + 4/10.
    """
    p, y = corners(pred), corners(target)
    intersection_over_union, _ = overlap(p, y)
    return 1.0 - intersection_over_union + centre_penalty(p, y)


@loss(
    "ciou",
    signature="boxes[*S, 4], boxes[*S, 4] -> loss[*S]",
    family="boxes",
    values="[0, inf)",
    aliases=("complete_iou",),
    latex=(
        r"1 - \mathrm{IoU} + \frac{\rho^2(b, b^*)}{c^2} + \alpha v,\quad "
        r"v = \tfrac{4}{\pi^2}\left(\arctan\tfrac{w^*}{h^*} - \arctan\tfrac{w}{h}\right)^2,\quad "
        r"\alpha = \frac{v}{1 - \mathrm{IoU} + v}"
    ),
    reference=DISTANCE_IOU,
    conventions=(
        "The weight alpha carries no gradient and acts at every IoU (some codes set it to 0 at"
        " IoU <= 0.5).",
        "The gradient of v is the exact one, with the factor 1/(w^2 + h^2).",
        "A box that is a single point has no aspect ratio: v is 0.",
        EMPTY,
        TIES,
    ),
    use=(
        "The common box loss of one-stage detectors: overlap, centres and aspect ratio in one"
        " number."
    ),
    avoid=(
        "Boxes of the right aspect ratio and the wrong size: the last term vanishes; `eiou`"
        " compares widths and heights themselves. Rotated boxes: `gwd`."
    ),
    checked=(
        "a loop over pairs in plain Python, written from the paper, at random boxes and at every"
        " coincidence of edges; the gradient by central differences with alpha held"
    ),
    related={
        "diou": "the same without the aspect ratios",
        "eiou": "widths and heights in place of the ratio",
        "alpha_iou": "its terms to a power, with penalty='ciou'",
    },
    identities=(
        (
            "input p: boxes[N, 4]; input d: real[N, 2]; ciou(p, boxes(2*p + cat(d, d, over=1)))",
            "input p: boxes[N, 4]; input d: real[N, 2]; diou(p, boxes(2*p + cat(d, d, over=1)))",
        ),
    ),
    examples=(
        Example(
            "ciou(p, y)",
            0.553248129298557,
            {"p": [[0.0, 0.0, 2.0, 2.0]], "y": [[0.0, 0.0, 2.0, 4.0]]},
        ),
    ),
)
def ciou(pred: Tensor, target: Tensor) -> Tensor:
    """Complete IoU loss: adds the distance of the centres and the difference in aspect ratio.

    Takes two tensors of boxes of equal shape `[..., 4]`. For boxes of equal aspect ratio it
    equals `diou`.

    Example:
        `ciou(p, y)` for a 2 x 2 box inside a 2 x 4 box with a common corner.
    """
    p, y = corners(pred), corners(target)
    intersection_over_union, _ = overlap(p, y)
    shape = shape_penalty(p, y)
    weight = ratio(shape, 1.0 - intersection_over_union + shape).detach()
    return 1.0 - intersection_over_union + centre_penalty(p, y) + weight * shape
