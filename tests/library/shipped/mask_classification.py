"""Matched masks with classes, written out in plain torch from the papers' code."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from case import SINGLE, Case, choice, normal, uniform, whole
from torch import Tensor


def class_loss(scores: Tensor, labels: Tensor) -> Tensor:
    assert (labels == scores.shape[-1] - 1).any()
    weight = torch.ones(scores.shape[-1], dtype=scores.dtype)
    weight[-1] = 0.1
    return F.cross_entropy(scores.transpose(1, 2), labels, weight=weight)


def dice_loss(masks: Tensor, shapes: Tensor) -> Tensor:
    q, t = masks.sigmoid(), shapes.double()
    return (1 - (2 * (q * t).sum(-1) + 1) / (q.sum(-1) + t.sum(-1) + 1)).sum() / len(masks)


def focal_loss(masks: Tensor, shapes: Tensor) -> Tensor:
    t = shapes.double()
    each = F.binary_cross_entropy_with_logits(masks, t, reduction="none")
    fit = masks.sigmoid() * t + (1 - masks.sigmoid()) * (1 - t)
    each = (0.25 * t + 0.75 * (1 - t)) * each * (1 - fit) ** 2
    return each.mean(1).sum() / len(masks)


def maskformer(scores: Tensor, labels: Tensor, masks: Tensor, shapes: Tensor) -> Tensor:
    return class_loss(scores, labels) + 20 * focal_loss(masks, shapes) + dice_loss(masks, shapes)


def mask2former(scores: Tensor, labels: Tensor, masks: Tensor, shapes: Tensor) -> Tensor:
    each = F.binary_cross_entropy_with_logits(masks, shapes.double(), reduction="none")
    points = each.mean(1).sum() / len(masks)
    return 2 * class_loss(scores, labels) + 5 * points + 5 * dice_loss(masks, shapes)


def segment_anything(**x: Any) -> Tensor:
    shapes = 20 * focal_loss(x["masks"], x["shapes"]) + dice_loss(x["masks"], x["shapes"])
    return shapes + F.mse_loss(x["quality"], x["overlap"])


QUERIES = {
    "scores": ("class_logits[B, Q, C]", normal(2, 6, 5)),
    "labels": ("labels[B, Q]", whole(2, 6, below=5)),
}
MASKS = {
    "masks": ("logits[N, P]", normal(5, 30)),
    "shapes": ("mask[N, P]", choice(5, 30)),
}

CASES = [
    Case("mask_class(scores, labels, 4)", QUERIES, class_loss, SINGLE),
    Case("maskformer(scores, labels, masks, shapes, 4)", {**QUERIES, **MASKS}, maskformer, SINGLE),
    Case(
        "mask_classification(scores, labels, masks, shapes, 4)",
        {**QUERIES, **MASKS},
        maskformer,
        SINGLE,
    ),
    Case(
        "mask2former(scores, labels, masks, shapes, 4)", {**QUERIES, **MASKS}, mask2former, SINGLE
    ),
    Case(
        "segment_anything(masks, shapes, quality, overlap)",
        {**MASKS, "quality": ("real[N]", uniform(5)), "overlap": ("real[N]", uniform(5))},
        segment_anything,
    ),
]
