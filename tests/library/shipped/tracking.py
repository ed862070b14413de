"""Trackers, written out in plain torch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from case import Case, boxes, choice, normal, uniform, whole
from torch import Tensor


def giou_loss(p: Tensor, y: Tensor) -> Tensor:
    low, high = torch.maximum(p[:, :2], y[:, :2]), torch.minimum(p[:, 2:], y[:, 2:])
    both = (high - low).clamp(min=0).prod(1)
    union = (p[:, 2:] - p[:, :2]).prod(1) + (y[:, 2:] - y[:, :2]).prod(1) - both
    around = torch.maximum(p[:, 2:], y[:, 2:]) - torch.minimum(p[:, :2], y[:, :2])
    return (1 - both / union + 1 - union / around.prod(1)).mean()


def stark(b: Tensor, t: Tensor) -> Tensor:
    return 2 * giou_loss(b, t) + 5 * (b - t).abs().mean()


def ostrack(heat: Tensor, peaks: Tensor, b: Tensor, t: Tensor) -> Tensor:
    p = heat.sigmoid()
    at = (1 - p) ** 2 * p.log()
    around = (1 - peaks) ** 4 * p**2 * (1 - p).log()
    map_loss = -torch.where(peaks == 1, at, around).sum() / (peaks == 1).sum()
    return map_loss + stark(b, t)


def siamrpn(**x: Any) -> Tensor:
    seen, hit = x["sampled"], x["labels"] == 1
    scores = x["scores"].movedim(1, -1)[seen]
    apart = (x["deltas"] - x["targets"]).abs().sum(-1)[hit].sum() / hit.sum()
    return F.cross_entropy(scores, x["labels"][seen]) + 1.2 * apart


def peaked(g: torch.Generator) -> Tensor:
    heat = 0.9 * torch.rand(2, 1, 4, 4, generator=g, dtype=torch.float64)
    heat[0, 0, 1, 2] = heat[1, 0, 3, 0] = 1
    return heat


BOXES = {"b": ("boxes[B, 4]", boxes(2)), "t": ("boxes[B, 4]", boxes(2))}

CASES = [
    Case(
        "ostrack(heat, peaks, b, t)",
        {
            **BOXES,
            "heat": ("logits[B, 1, H, W]", normal(2, 1, 4, 4)),
            "peaks": ("prob[B, 1, H, W]", peaked),
        },
        ostrack,
    ),
    Case("stark(b, t)", BOXES, stark),
    Case(
        "siamrpn(scores, labels, sampled, deltas, targets)",
        {
            "scores": ("class_logits(2)[B, 2, A]", normal(2, 2, 12)),
            "labels": ("labels[B, A]", whole(2, 12, below=2)),
            "sampled": ("mask[B, A]", choice(2, 12, share=0.7)),
            "deltas": ("real[B, A, 4]", normal(2, 12, 4)),
            "targets": ("real[B, A, 4]", normal(2, 12, 4)),
        },
        siamrpn,
    ),
    Case(
        "fairmot(l1(p, y), mse(p, y), s, t)",
        {
            "p": ("real[B]", normal(5)),
            "y": ("real[B]", uniform(5)),
            "s": ("real[]", normal()),
            "t": ("real[]", normal()),
        },
        lambda p, y, s, t: (
            0.5
            * (torch.exp(-s) * (p - y).abs().mean() + torch.exp(-t) * ((p - y) ** 2).mean() + s + t)
        ),
    ),
]
