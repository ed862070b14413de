"""Images and texts, written out in plain torch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from case import Case, normal, whole
from torch import Tensor


def pairs(image: Tensor, text: Tensor) -> Tensor:
    scores = F.normalize(image, dim=1) @ F.normalize(text, dim=1).T / 0.07
    places = torch.arange(len(image))
    return (F.cross_entropy(scores, places) + F.cross_entropy(scores.T, places)) / 2


def caption(scores: Tensor, tokens: Tensor) -> Tensor:
    return F.cross_entropy(scores[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


INPUTS: dict[str, Any] = {
    "image": ("embedding[N, D]", normal(4, 5)),
    "text": ("embedding[N, D]", normal(4, 5)),
    "scores": ("class_logits(V)[B, T, V]", normal(3, 6, 7)),
    "tokens": ("labels[B, T]", whole(3, 6, below=7)),
}

CASES = [
    Case(
        "blip(image, text, match, matched, scores, tokens)",
        {
            **INPUTS,
            "match": ("class_logits(2)[M, 2]", normal(6, 2)),
            "matched": ("labels[M]", whole(6, below=2)),
        },
        lambda image, text, match, matched, **x: (
            pairs(image, text) + F.cross_entropy(match, matched) + caption(**x)
        ),
    ),
    Case(
        "coca(image, text, scores, tokens)",
        INPUTS,
        lambda image, text, **x: pairs(image, text) + 2 * caption(**x),
    ),
]
