"""segmentation_models_pytorch's losses."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from case import SINGLE, Case, choice, normal, uniform, whole
from torch import Tensor

LIBRARY = "segmentation_models_pytorch"

SHAPE = (2, 3, 3, 2)
CLASSES: dict[str, Any] = {
    "p": ("class_logits(3)[B, 3, H, W]", normal(*SHAPE)),
    "y": ("labels[B, H, W]", whole(2, 3, 2, below=2)),
}
IGNORED: dict[str, Any] = {
    **CLASSES,
    "y": ("labels(ignore=9)[B, H, W]", lambda g: _some_ignored(g)),
}
MANY: dict[str, Any] = {
    "p": ("logits[B, 3, H, W]", normal(*SHAPE)),
    "y": ("mask[B, 3, H, W]", choice(*SHAPE)),
}
ONE: dict[str, Any] = {
    "p": ("logits[B, 1, H, W]", normal(2, 1, 3, 2)),
    "y": ("mask[B, 1, H, W]", choice(2, 1, 3, 2)),
}
PROBS: dict[str, Any] = {**ONE, "p": ("prob[B, 1, H, W]", uniform(2, 1, 3, 2))}
WEIGHT: dict[str, Any] = {"params": {"w": [1.0, 2.0, 4.0]}}


def _some_ignored(g: torch.Generator) -> Tensor:
    y = torch.randint(3, (2, 3, 2), generator=g)
    y[0, 0, 0], y[1, 2] = 9, 9
    return y


def _usual_ignored(g: torch.Generator) -> Tensor:
    y = _some_ignored(g)
    return torch.where(y == 9, -100, y)


def theirs(name: str, **options: Any) -> Callable[..., Tensor]:
    def value(p: Tensor, y: Tensor) -> Tensor:
        p = p.float() if name == "LovaszLoss" else p
        losses = importlib.import_module(f"{LIBRARY}.losses")
        loss = getattr(losses, name)(**options)
        result: Tensor = loss(p, y.to(p) if y.dtype == torch.bool else y)
        return result.double()

    return value


def same(name: str, inputs: dict[str, Any], tolerance: float = 1e-9, **options: Any) -> Case:
    def text(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else repr(value)

    written = {k: "w" if k == "class_weights" else text(v) for k, v in options.items()}
    call = f"smp.{name}({', '.join(['p', 'y', *(f'{k}={v}' for k, v in written.items())])})"
    more = WEIGHT if "class_weights" in options else {}
    return Case(call, inputs, theirs(name, **options), tolerance, more)


HALF = 2e-6
"""Its Lovász loss calculates in single precision."""

CASES = [
    *(
        same(name, inputs, mode=mode, **options)
        for name in ("DiceLoss", "JaccardLoss", "TverskyLoss")
        for inputs, mode, options in (
            (CLASSES, "multiclass", {}),
            (MANY, "multilabel", {"smooth": 0.5, "log_loss": True}),
            (ONE, "binary", {}),
            (PROBS, "binary", {"from_logits": False, "eps": 0.1}),
            (IGNORED, "multiclass", {"ignore_index": 9}),
            (CLASSES, "multiclass", {"class_weights": [1.0, 2.0, 4.0]}),
        )
    ),
    same("TverskyLoss", CLASSES, mode="multiclass", alpha=0.3, beta=0.7, gamma=1.5),
    same("FocalLoss", CLASSES, mode="multiclass"),
    same("FocalLoss", IGNORED, mode="multiclass", ignore_index=9),
    same("FocalLoss", CLASSES, mode="multiclass", reduction="sum", gamma=1.0),
    same("FocalLoss", MANY, mode="multilabel", alpha=0.25),
    same("FocalLoss", ONE, mode="binary", alpha=0.3, reduction="sum"),
    same("LovaszLoss", CLASSES, HALF, mode="multiclass"),
    same("LovaszLoss", CLASSES, HALF, mode="multiclass", per_image=True),
    same("LovaszLoss", ONE, HALF, mode="binary"),
    same("LovaszLoss", ONE, HALF, mode="binary", per_image=True),
    same("SoftBCEWithLogitsLoss", MANY),
    same("SoftBCEWithLogitsLoss", MANY, SINGLE, smooth_factor=0.1, reduction="sum"),
    same("SoftCrossEntropyLoss", CLASSES, smooth_factor=0.0),
    same(
        "SoftCrossEntropyLoss",
        {**IGNORED, "y": ("labels[B, H, W]", _usual_ignored)},
        smooth_factor=0.1,
    ),
    same("SoftCrossEntropyLoss", CLASSES, smooth_factor=0.1, reduction="sum"),
    same("SoftCrossEntropyLoss", IGNORED, smooth_factor=0.1, ignore_index=9),
    same("MCCLoss", PROBS),
    same("MCCLoss", PROBS, eps=0.1),
]
