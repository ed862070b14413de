"""Re-identification, written out in plain torch, one anchor at a time."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from case import Case, normal
from torch import Tensor


def hard_triplets(features: Tensor, labels: Tensor, margin: float) -> Tensor:
    found = []
    for i in range(len(features)):
        apart = (features[i] - features).norm(dim=1)
        own = (labels == labels[i]) & (torch.arange(len(labels)) != i)
        found.append((apart[own].max() - apart[labels != labels[i]].min() + margin).clamp(min=0))
    return torch.stack(found).mean()


def bag_of_tricks(scores: Tensor, features: Tensor, labels: Tensor, centers: Tensor) -> Tensor:
    centre = ((features - centers[labels]) ** 2).sum() / 2
    triplets = hard_triplets(features, labels, 0.3)
    named = F.cross_entropy(scores, labels, label_smoothing=0.1)
    return named + triplets + 0.0005 * centre


def agw(scores: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    """Equations 4 to 6 of the survey; an anchor is among its own positives, as in its code."""
    apart = torch.stack([(x - features).square().sum(1) for x in features])
    apart = torch.where(apart > 0, apart.clamp(min=1e-300).sqrt(), 0.0)
    total = F.cross_entropy(scores, labels)
    for d, y in zip(apart, labels, strict=True):
        near, far = d[labels == y], d[labels != y]
        gap = (near.exp() / near.exp().sum() * near).sum()
        gap = gap - ((-far).exp() / (-far).exp().sum() * far).sum()
        total = total + torch.log(1 + torch.exp(gap)) / len(labels)
    return total


PEOPLE: dict[str, Any] = {
    "scores": ("class_logits[N, C]", normal(9, 5)),
    "features": ("embedding[N, D]", normal(9, 4)),
    "labels": ("labels[N]", lambda g: torch.arange(3).repeat_interleave(3)),
}

CASES = [
    Case(
        "id_triplet(scores, features, labels)",
        PEOPLE,
        lambda scores, features, labels: (
            F.cross_entropy(scores, labels) + hard_triplets(features, labels, 0.3)
        ),
    ),
    Case(
        "reid(scores, features, labels, margin=0.5, triplet=2)",
        PEOPLE,
        lambda scores, features, labels: (
            F.cross_entropy(scores, labels) + 2 * hard_triplets(features, labels, 0.5)
        ),
    ),
    Case(
        "bag_of_tricks(scores, features, labels, centers)",
        {**PEOPLE, "centers": ("embedding[K, D]", normal(5, 4))},
        bag_of_tricks,
    ),
    Case("agw(scores, features, labels)", PEOPLE, agw),
]
