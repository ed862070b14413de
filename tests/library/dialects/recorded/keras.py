"""Keras's losses, on its torch back end."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from case import Case, choice, normal, uniform, whole
from torch import Tensor

LIBRARY = "keras"

REALS: dict[str, Any] = {"y": ("real[B, N]", normal(4, 3)), "p": ("real[B, N]", normal(4, 3))}
ABOVE: dict[str, Any] = {
    "y": ("real[B, N]", uniform(4, 3, high=3.0)),
    "p": ("positive[B, N]", uniform(4, 3, low=0.1, high=3.0)),
}
BINARY: dict[str, Any] = {"y": ("mask[B, N]", choice(4, 3)), "p": ("prob[B, N]", uniform(4, 3))}
LOGITS: dict[str, Any] = {**BINARY, "p": ("logits[B, N]", normal(4, 3))}
SIGNS: dict[str, Any] = {
    "y": ("sign[B, N]", lambda g: 2.0 * torch.randint(2, (4, 3), generator=g).double() - 1),
    "p": ("score[B, N]", normal(4, 3)),
}


def rows(g: torch.Generator) -> Tensor:
    return torch.softmax(torch.randn(4, 3, generator=g, dtype=torch.float64), 1)


def kinds(g: torch.Generator) -> Tensor:
    return torch.eye(3, dtype=torch.bool)[torch.randint(3, (4,), generator=g)]


SHARES: dict[str, Any] = {"y": ("real[B, C]", rows), "p": ("real[B, C]", rows)}
ONE_HOT: dict[str, Any] = {"y": ("one_hot[B, C]", kinds), "p": ("class_prob[B, C]", rows)}
SCORES: dict[str, Any] = {**ONE_HOT, "p": ("class_logits[B, C]", normal(4, 3))}
LABELS: dict[str, Any] = {
    "y": ("labels[B, T]", whole(2, 4, below=3)),
    "p": ("class_logits[B, T, C]", normal(2, 4, 3)),
}
LABELLED: dict[str, Any] = {
    **LABELS,
    "p": (
        "class_prob[B, T, C]",
        lambda g: torch.softmax(torch.randn(2, 4, 3, generator=g, dtype=torch.float64), 2),
    ),
}


SUMS = 5e-7
"""Its torch back end takes means in single precision."""


def theirs(name: str, **options: Any) -> Callable[..., Tensor]:
    def value(y: Tensor, p: Tensor) -> Tensor:
        losses = importlib.import_module(f"{LIBRARY}.losses")
        result: Tensor = getattr(losses, name)(**options)(y, p)
        return result

    return value


def same(name: str, inputs: dict[str, Any], tolerance: float = SUMS, **options: Any) -> Case:
    def text(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else repr(value)

    written = ", ".join(["y", "p", *(f"{k}={text(v)}" for k, v in options.items())])
    return Case(f"keras.{name}({written})", inputs, theirs(name, **options), tolerance)


SURE: dict[str, Any] = {
    "y": ("mask[B, N]", choice(4, 3, share=1.0)),
    "p": ("prob[B, N]", lambda g: torch.tensor([[0.0, 1.0, 0.5]] * 4, dtype=torch.float64)),
}
HINGES: dict[str, Any] = {"y": ("one_hot[B, N]", kinds), "p": ("real[B, N]", normal(4, 3))}
KINDS: dict[str, dict[str, Any]] = {
    "MeanSquaredError": REALS,
    "MeanAbsoluteError": REALS,
    "MeanAbsolutePercentageError": ABOVE,
    "MeanSquaredLogarithmicError": ABOVE,
    "Huber": REALS,
    "LogCosh": REALS,
    "CosineSimilarity": REALS,
    "KLDivergence": SHARES,
    "Poisson": ABOVE,
    "Hinge": SIGNS,
    "SquaredHinge": SIGNS,
    "CategoricalHinge": HINGES,
    "BinaryCrossentropy": BINARY,
    "BinaryFocalCrossentropy": BINARY,
    "CategoricalCrossentropy": ONE_HOT,
    "CategoricalFocalCrossentropy": ONE_HOT,
    "SparseCategoricalCrossentropy": LABELLED,
}

CASES = [
    *(
        same(name, inputs, **options)
        for name, inputs in KINDS.items()
        for options in ({}, {"reduction": "sum"})
    ),
    same("Huber", REALS, delta=0.3),
    same("BinaryCrossentropy", LOGITS, from_logits=True),
    same("BinaryCrossentropy", LOGITS, from_logits=True, label_smoothing=0.1),
    same("BinaryCrossentropy", BINARY, label_smoothing=0.1),
    same("BinaryCrossentropy", SURE, 2e-6),
    same("BinaryFocalCrossentropy", LOGITS, from_logits=True, apply_class_balancing=True),
    same("BinaryFocalCrossentropy", BINARY, apply_class_balancing=True, alpha=0.4, gamma=1.5),
    same("BinaryFocalCrossentropy", BINARY, label_smoothing=0.1),
    same("CategoricalCrossentropy", SCORES, from_logits=True),
    same("CategoricalCrossentropy", SCORES, from_logits=True, label_smoothing=0.1),
    same("CategoricalFocalCrossentropy", SCORES, from_logits=True, alpha=0.5, gamma=1.5),
    same("CategoricalFocalCrossentropy", ONE_HOT, label_smoothing=0.1),
    same("SparseCategoricalCrossentropy", LABELS, from_logits=True),
    same("Dice", BINARY),
    same("Tversky", BINARY),
    same("Tversky", BINARY, alpha=0.3, beta=0.7),
]
