"""Distillation, written out in plain torch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from case import Case, normal, several, whole
from torch import Tensor


def soft(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    divergence = F.kl_div(
        F.log_softmax(student / temperature, 1),
        F.softmax(teacher.detach() / temperature, 1),
        reduction="batchmean",
    )
    return temperature**2 * divergence


def hinton(student: Tensor, teacher: Tensor, y: Tensor) -> Tensor:
    return 0.1 * F.cross_entropy(student, y) + 0.9 * soft(student, teacher, 4.0)


def distilbert(student: Tensor, teacher: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    near = F.cosine_embedding_loss(a, b.detach(), torch.ones(len(a), dtype=a.dtype))
    return 5 * soft(student, teacher, 2.0) + 2 * F.cross_entropy(student, y) + near


def attention_transfer(student: Tensor, y: Tensor, maps: Any, teacher_maps: Any) -> Tensor:
    """As in the authors' code."""

    def looks(f: Tensor) -> Tensor:
        return F.normalize(f.pow(2).mean(1).flatten(1))

    pairs = zip(maps, teacher_maps, strict=True)
    apart = [(looks(a) - looks(b.detach())).pow(2).mean() for a, b in pairs]
    return F.cross_entropy(student, y) + 1000 / 2 * torch.stack(apart).sum()


def tinybert(**x: Any) -> Tensor:
    pairs = [*zip(x["a"], x["ta"], strict=True), *zip(x["h"], x["th"], strict=True)]
    return torch.stack([F.mse_loss(s, t.detach()) for s, t in pairs]).sum()


SCORES: dict[str, Any] = {
    "student": ("class_logits[B, C]", normal(6, 5)),
    "teacher": ("class_logits[B, C]", normal(6, 5)),
    "y": ("labels[B]", whole(6, below=5)),
}
MAPS = several(normal(6, 3, 4, 4), normal(6, 5, 2, 2))
ATTENTIONS = ("list[real[B, A, T, T]; 2]", several(normal(2, 2, 3, 3), normal(2, 2, 3, 3)))
STATES = ("list[real[B, T, D]; 3]", several(*(normal(2, 3, 4) for _ in range(3))))

CASES = [
    Case("hinton(student, teacher, y)", SCORES, hinton),
    Case(
        "deit(student, distilled, teacher, y)",
        {**SCORES, "distilled": ("class_logits[B, C]", normal(6, 5))},
        lambda student, teacher, y, distilled: (
            (F.cross_entropy(student, y) + F.cross_entropy(distilled, teacher.argmax(1))) / 2
        ),
    ),
    Case(
        "distilbert(student, teacher, y, a, b)",
        {**SCORES, "a": ("embedding[N, D]", normal(7, 4)), "b": ("embedding[N, D]", normal(7, 4))},
        distilbert,
    ),
    Case(
        "fitnet(guided, hint)",
        {"guided": ("real[B, N]", normal(3, 4)), "hint": ("real[B, N]", normal(3, 4))},
        lambda guided, hint: ((guided - hint.detach()) ** 2).sum() / 2 / 3,
    ),
    Case(
        "attention_transfer(student, y, maps, teacher_maps)",
        {
            "student": SCORES["student"],
            "y": SCORES["y"],
            "maps": ("list[real[B, _, _, _]; 2]", MAPS),
            "teacher_maps": ("list[real[B, _, _, _]; 2]", MAPS),
        },
        attention_transfer,
    ),
    Case(
        "tinybert(a, ta, h, th)",
        {"a": ATTENTIONS, "ta": ATTENTIONS, "h": STATES, "th": STATES},
        tinybert,
    ),
]
