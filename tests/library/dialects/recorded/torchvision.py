"""torchvision's losses."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from case import Case, boxes, choice, normal
from torch import Tensor

LIBRARY = "torchvision"

SCORES: dict[str, Any] = {"p": ("logits[N, K]", normal(4, 3)), "y": ("mask[N, K]", choice(4, 3))}
BOXES: dict[str, Any] = {"p": ("boxes[N, 4]", boxes(5)), "y": ("boxes[N, 4]", boxes(5))}
EPS = 2e-6
"""torchvision adds 1e-7 to every denominator."""

MODULES = {
    "sigmoid_focal_loss": "focal_loss",
    "generalized_box_iou_loss": "giou_loss",
    "distance_box_iou_loss": "diou_loss",
    "complete_box_iou_loss": "ciou_loss",
}


def theirs(name: str, **options: Any) -> Callable[..., Tensor]:
    def value(p: Tensor, y: Tensor) -> Tensor:
        module = importlib.import_module(f"{LIBRARY}.ops.{MODULES[name]}")
        result: Tensor = getattr(module, name)(p, y.to(p), **options)
        return (result**2).sum() if result.ndim else result

    return value


def same(name: str, inputs: dict[str, Any], tolerance: float = 1e-9, **options: Any) -> Case:
    written = ", ".join(["p", "y", *(f"{k}={v!r}" for k, v in options.items())])
    call = f"torchvision.{name}({written})"
    whole = "reduction" in options
    return Case(call if whole else f"sum({call}**2)", inputs, theirs(name, **options), tolerance)


CASES = [
    same("sigmoid_focal_loss", SCORES),
    same("sigmoid_focal_loss", SCORES, alpha=-1.0, gamma=1.5),
    same("sigmoid_focal_loss", SCORES, alpha=0.5, reduction="mean"),
    *(
        same(f"{name}_box_iou_loss", BOXES, EPS, **options)
        for name in ("generalized", "distance", "complete")
        for options in ({}, {"reduction": "mean"}, {"reduction": "sum"})
    ),
]
