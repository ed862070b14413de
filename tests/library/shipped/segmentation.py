"""Segmentation, written out in plain torch from the papers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from case import SINGLE, Case, choice, normal, several, sparse, uniform, whole
from scipy.ndimage import distance_transform_edt
from torch import Tensor


def one_hot(y: Tensor, classes: int) -> Tensor:
    return F.one_hot(y, classes).movedim(-1, 1).double()


def overlaps(q: Tensor, t: Tensor, axes: list[int], smooth: float) -> Tensor:
    """Dice of each image and class, or of each class of the batch."""
    return 1 - (2 * (q * t).sum(axes) + smooth) / (q.sum(axes) + t.sum(axes) + smooth)


def class_dice(p: Tensor, y: Tensor) -> Tensor:
    return overlaps(p.softmax(1), one_hot(y, p.shape[1]), [2, 3], 1e-5).mean()


def batch_dice(p: Tensor, y: Tensor) -> Tensor:
    return overlaps(p.softmax(1), one_hot(y, p.shape[1]), [0, 2, 3], 1e-5)[1:].mean()


def mask_dice(p: Tensor, y: Tensor, smooth: float = 1e-5) -> Tensor:
    return overlaps(p.sigmoid(), y.double(), [2, 3], smooth).mean()


def bce(p: Tensor, y: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(p, y.double())


def focal(p: Tensor, y: Tensor) -> Tensor:
    fit = torch.where(y, p.sigmoid(), 1 - p.sigmoid())
    return (torch.where(y, 0.25, 0.75) * (1 - fit) ** 2 * -fit.log()).mean()


def topk(p: Tensor, y: Tensor, keep: float) -> Tensor:
    losses = F.cross_entropy(p, y, reduction="none").flatten()
    return losses.topk(round(keep * len(losses))).values.mean()


def hard(p: Tensor, y: Tensor, threshold: float, least: int) -> Tensor:
    losses = F.cross_entropy(p, y, reduction="none").flatten().sort(descending=True).values
    count = max(int((torch.exp(-losses) < threshold).sum()), least)
    return losses[:count].mean()


def lovasz(p: Tensor, y: Tensor) -> Tensor:
    """Berman's algorithm: errors sorted, times the slope of the Jaccard index."""
    q, parts = p.softmax(1).transpose(0, 1).flatten(1), []
    for k in y.unique().tolist():
        here = (y.flatten() == k).double()
        errors, order = (here - q[k]).abs().sort(descending=True)
        here = here[order]
        inner = here.sum() - here.cumsum(0)
        union = here.sum() + (1 - here).cumsum(0)
        jaccard = 1 - inner / union
        slopes = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
        parts.append(errors @ slopes)
    return torch.stack(parts).mean()


def distance(y: Tensor) -> Tensor:
    """Kervadec's signed map, negative inside, 0 where a class fills or misses the image."""
    maps = np.zeros(y.shape)
    for place in np.ndindex(*y.shape[:2]):
        here = y[place].numpy().astype(bool)
        if here.any() and not here.all():
            outside, inside = distance_transform_edt(~here), distance_transform_edt(here)
            maps[place] = outside * ~here - (inside - 1) * here
    return torch.from_numpy(maps)


def generalized(q: Tensor, t: Tensor) -> Tensor:
    w = 1 / t.sum([2, 3]) ** 2
    inner, total = (w * (q * t).sum([2, 3])).sum(1), (w * (q + t).sum([2, 3])).sum(1)
    return 1 - 2 * inner / total


def dice_boundary(p: Tensor, y: Tensor) -> Tensor:
    q = p.sigmoid()
    return 0.7 * generalized(q, y.double()).mean() + 0.3 * (q * distance(y)).mean()


def skeleton(x: Tensor, times: int) -> Tensor:
    def erode(x: Tensor) -> Tensor:
        return torch.minimum(
            -F.max_pool2d(-x, (3, 1), 1, (1, 0)), -F.max_pool2d(-x, (1, 3), 1, (0, 1))
        )

    def opened(x: Tensor) -> Tensor:
        return F.max_pool2d(erode(x), 3, 1, 1)

    found = F.relu(x - opened(x))
    for _ in range(times):
        x = erode(x)
        delta = F.relu(x - opened(x))
        found = found + F.relu(delta - found * delta)
    return found


def dice_cldice(p: Tensor, y: Tensor) -> Tensor:
    q, t = p.sigmoid(), y.double()
    sq, st = skeleton(q, 3), skeleton(t, 3)
    precision = ((sq * t).sum([2, 3]) + 1) / (sq.sum([2, 3]) + 1)
    recall = ((st * q).sum([2, 3]) + 1) / (st.sum([2, 3]) + 1)
    centre = 1 - 2 * precision * recall / (precision + recall)
    return 0.5 * mask_dice(p, y, smooth=1) + 0.5 * centre.mean()


def deep_supervision(outputs: list[Tensor], y: Tensor) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for o, w in zip(outputs, (8, 4, 2, 1), strict=True):
        small = F.interpolate(y[:, None].double(), o.shape[2:], mode="nearest")[:, 0].long()
        total = total + w / 15 * (F.cross_entropy(o, small) + class_dice(o, small))
    return total


def balanced(p: Tensor, y: Tensor) -> Tensor:
    beta = 1 - y.double().mean([1, 2, 3], keepdim=True)
    weight = torch.where(y, beta, 1 - beta)
    each = F.binary_cross_entropy_with_logits(p, y.double(), reduction="none")
    return (weight * each).mean()


def ssim(p: Tensor, y: Tensor) -> Tensor:
    """Wang's index with an 11 by 11 Gaussian window, where the window fits."""
    at = torch.arange(-5, 6, dtype=torch.float64)
    line = torch.exp(-(at**2) / (2 * 1.5**2))
    window = torch.outer(line, line)[None, None] / line.sum() ** 2

    def blur(x: Tensor) -> Tensor:
        return F.conv2d(x, window)

    mp, my = blur(p), blur(y)
    vp, vy, both = blur(p * p) - mp**2, blur(y * y) - my**2, blur(p * y) - mp * my
    c1, c2 = 0.01**2, 0.03**2
    index = (2 * mp * my + c1) * (2 * both + c2) / ((mp**2 + my**2 + c1) * (vp + vy + c2))
    return 1 - index.mean()


def soft_iou(p: Tensor, y: Tensor) -> Tensor:
    q, t = p.sigmoid(), y.double()
    inner = (q * t).sum([2, 3])
    return (inner + 1e-5) / (q.sum([2, 3]) + t.sum([2, 3]) - inner + 1e-5)


def basnet(outputs: list[Tensor], y: Tensor) -> Tensor:
    parts = [
        bce(o, y) + ssim(o.sigmoid(), y.double()) + (1 - soft_iou(o, y)).mean() for o in outputs
    ]
    return torch.stack(parts).sum()


def structure(p: Tensor, y: Tensor) -> Tensor:
    """As the authors of F³Net and PraNet write it."""
    t = y.double()
    weit = 1 + 5 * (F.avg_pool2d(t, kernel_size=31, stride=1, padding=15) - t).abs()
    wbce = F.binary_cross_entropy_with_logits(p, t, reduction="none")
    wbce = (weit * wbce).sum((2, 3)) / weit.sum((2, 3))
    q = p.sigmoid()
    inter, union = (q * t * weit).sum((2, 3)), ((q + t) * weit).sum((2, 3))
    return (wbce + 1 - (inter + 1) / (union - inter + 1)).mean()


def panoptic_deeplab(**x: Any) -> Tensor:
    apart = (x["offsets"] - x["targets"]).abs().movedim(1, -1)[x["things"]]
    return (
        topk(x["p"], x["y"], 0.15)
        + 200 * ((x["heat"] - x["centres"]) ** 2).mean()
        + 0.01 * apart.mean()
    )


CLASSES = {
    "p": ("class_logits[B, C, H, W]", normal(2, 4, 6, 7)),
    "y": ("labels[B, H, W]", whole(2, 6, 7, below=4)),
}
MASKS = {
    "p": ("logits[B, 1, H, W]", normal(2, 1, 9, 8)),
    "y": ("mask[B, 1, H, W]", choice(2, 1, 9, 8)),
}
LARGE = {"y": ("mask[B, 1, H, W]", choice(2, 1, 14, 13))}
AUX = ("class_logits[B, C, H, W]", normal(2, 4, 6, 7))

CASES = [
    Case("ce_dice(p, y)", CLASSES, lambda p, y: F.cross_entropy(p, y) + class_dice(p, y)),
    Case(
        "ce_dice(p, y, ce=0.5, dice=0.25)",
        CLASSES,
        lambda p, y: 0.5 * F.cross_entropy(p, y) + 0.25 * class_dice(p, y),
    ),
    Case("nnunet(p, y)", CLASSES, lambda p, y: F.cross_entropy(p, y) + batch_dice(p, y)),
    Case("topk_ce_dice(p, y)", CLASSES, lambda p, y: topk(p, y, 0.1) + batch_dice(p, y)),
    Case("ce_lovasz(p, y)", CLASSES, lambda p, y: F.cross_entropy(p, y) + lovasz(p, y)),
    Case("bce_dice(p, y)", MASKS, lambda p, y: bce(p, y) + mask_dice(p, y)),
    Case("focal_dice(p, y)", MASKS, lambda p, y: 0.5 * focal(p, y) + mask_dice(p, y)),
    Case("ternausnet(p, y)", MASKS, lambda p, y: bce(p, y) - soft_iou(p, y).log().mean()),
    Case("dice_boundary(p, y, alpha=0.7)", MASKS, dice_boundary),
    Case("dice_boundary(p, y)", MASKS, lambda p, y: generalized(p.sigmoid(), y.double()).mean()),
    Case("dice_cldice(p, y)", MASKS, dice_cldice),
    Case(
        "deep_supervision(outputs, y)",
        {
            "outputs": (
                "list[class_logits[B, C, _, _]; 4]",
                several(*(normal(2, 4, 8 // 2**i, 16 // 2**i) for i in range(4))),
            ),
            "y": ("labels[B, H, W]", whole(2, 8, 16, below=4)),
        },
        deep_supervision,
    ),
    Case(
        "pspnet(p, aux, y)",
        {**CLASSES, "aux": AUX},
        lambda p, aux, y: F.cross_entropy(p, y) + 0.4 * F.cross_entropy(aux, y),
    ),
    Case(
        "bisenet(p, aux, y, min_kept=20)",
        {
            **CLASSES,
            "aux": (
                "list[class_logits[B, C, H, W]; 2]",
                several(normal(2, 4, 6, 7), normal(2, 4, 6, 7)),
            ),
        },
        lambda p, aux, y: sum(hard(o, y, 0.7, 20) for o in (p, *aux)),
    ),
    Case(
        "hed(sides, fused, y)",
        {
            "y": MASKS["y"],
            "fused": MASKS["p"],
            "sides": (
                "list[logits[B, 1, H, W]; 2]",
                several(normal(2, 1, 9, 8), normal(2, 1, 9, 8)),
            ),
        },
        lambda y, fused, sides: sum(balanced(o, y) for o in (fused, *sides)),
    ),
    Case(
        "u2net(outputs, y)",
        {
            "y": MASKS["y"],
            "outputs": (
                "list[logits[B, 1, H, W]; 2]",
                several(normal(2, 1, 9, 8), normal(2, 1, 9, 8)),
            ),
        },
        lambda outputs, y: sum(bce(o, y) for o in outputs),
    ),
    Case(
        "basnet(outputs, y)",
        {
            **LARGE,
            "outputs": (
                "list[logits[B, 1, H, W]; 2]",
                several(normal(2, 1, 14, 13), normal(2, 1, 14, 13)),
            ),
        },
        basnet,
    ),
    Case(
        "structure(p, y)",
        {**LARGE, "p": ("logits[B, 1, H, W]", normal(2, 1, 14, 13))},
        structure,
        SINGLE,
    ),
    Case(
        "cellpose(flows, targets, p, y)",
        {
            "flows": ("real[B, 2, H, W]", normal(2, 2, 4, 5)),
            "targets": ("real[B, 2, H, W]", uniform(2, 2, 4, 5)),
            "p": ("logits[B, H, W]", normal(2, 4, 5)),
            "y": ("mask[B, H, W]", choice(2, 4, 5)),
        },
        lambda flows, targets, p, y: 0.5 * ((flows - 5 * targets) ** 2).mean() + bce(p, y),
    ),
    Case(
        "panoptic_deeplab(p, y, heat, centres, offsets, targets, things)",
        {
            **CLASSES,
            "heat": ("real[B, 1, H, W]", normal(2, 1, 6, 7)),
            "centres": ("real[B, 1, H, W]", sparse(2, 1, 6, 7)),
            "offsets": ("real[B, 2, H, W]", normal(2, 2, 6, 7)),
            "targets": ("real[B, 2, H, W]", normal(2, 2, 6, 7)),
            "things": ("mask[B, H, W]", choice(2, 6, 7)),
        },
        panoptic_deeplab,
    ),
]
