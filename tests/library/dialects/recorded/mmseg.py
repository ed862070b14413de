"""mmsegmentation's losses."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import torch
from case import SINGLE, Case, choice, normal, uniform, whole
from torch import Tensor

LIBRARY = "mmseg"

SHAPE = (2, 3, 3, 2)
CLASSES: dict[str, Any] = {
    "p": ("class_logits(3)[B, 3, H, W]", normal(*SHAPE)),
    "y": ("labels[B, H, W]", whole(2, 3, 2, below=3)),
}
IGNORED: dict[str, Any] = {
    **CLASSES,
    "y": ("labels(ignore=255)[B, H, W]", lambda g: _some_ignored(g)),
}
DEPTHS: dict[str, Any] = {
    "p": ("positive[B, H, W]", uniform(2, 3, 4, low=0.5, high=2.0)),
    "y": ("real[B, H, W]", lambda g: _some_unknown(g)),
}
WEIGHT: dict[str, Any] = {"params": {"w": [1.0, 2.0, 4.0]}}
MODULES = {
    "CrossEntropyLoss": "cross_entropy_loss",
    "DiceLoss": "dice_loss",
    "TverskyLoss": "tversky_loss",
    "LovaszLoss": "lovasz_loss",
    "SiLogLoss": "silog_loss",
    "BoundaryLoss": "boundary_loss",
}


def _some_ignored(g: torch.Generator) -> Tensor:
    y = torch.randint(3, (2, 3, 2), generator=g)
    y[0, 0, 0], y[1, 2] = 255, 255
    return y


def _usual_ignored(g: torch.Generator) -> Tensor:
    y = _some_ignored(g)
    return torch.where(y == 255, -100, y)


def _some_unknown(g: torch.Generator) -> Tensor:
    y = 0.5 + torch.rand(2, 3, 4, generator=g, dtype=torch.float64)
    y[0, 0, 1], y[1, 2] = 0, 0
    return y


def theirs(name: str, call: dict[str, Any], **options: Any) -> Callable[..., Tensor]:
    def value(p: Tensor, y: Tensor) -> Tensor:
        p = p.float() if name == "LovaszLoss" else p
        module = importlib.import_module(f"{LIBRARY}.models.losses.{MODULES[name]}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result: Tensor = getattr(module, name)(**options)(p, y, **call)
        return result.double()

    return value


def same(
    name: str,
    inputs: dict[str, Any],
    tolerance: float = 1e-9,
    call: dict[str, Any] | None = None,
    **options: Any,
) -> Case:
    """`call` are what the library takes when the loss is called, not when it is made."""

    def text(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else repr(value)

    said = {**options, **(call or {})}
    if name == "LovaszLoss" and not options.get("per_image"):
        said.pop("reduction")
    written = {k: "w" if k == "class_weight" else text(v) for k, v in said.items()}
    line = f"mmseg.{name}({', '.join(['p', 'y', *(f'{k}={v}' for k, v in written.items())])})"
    more = WEIGHT if "class_weight" in options else {}
    return Case(line, inputs, theirs(name, call or {}, **options), tolerance, more)


HALF = 2e-6
"""Its Lovász loss calculates in single precision."""

CASES = [
    same("CrossEntropyLoss", CLASSES, SINGLE),
    same("CrossEntropyLoss", {**IGNORED, "y": ("labels[B, H, W]", _usual_ignored)}, SINGLE),
    same("CrossEntropyLoss", IGNORED, SINGLE, {"ignore_index": 255}),
    same("CrossEntropyLoss", IGNORED, SINGLE, {"ignore_index": 255}, avg_non_ignore=True),
    same("CrossEntropyLoss", CLASSES, SINGLE, class_weight=[1.0, 2.0, 4.0]),
    same("CrossEntropyLoss", CLASSES, reduction="sum", loss_weight=0.5),
    same("DiceLoss", CLASSES, SINGLE),
    same("DiceLoss", CLASSES, SINGLE, use_sigmoid=False, eps=0.1),
    same("DiceLoss", CLASSES, SINGLE, naive_dice=True, reduction="sum", loss_weight=2.0),
    same("TverskyLoss", CLASSES),
    same("TverskyLoss", IGNORED, alpha=0.25, beta=0.75, smooth=0.1),
    same("TverskyLoss", CLASSES, class_weight=[1.0, 2.0, 4.0], loss_weight=0.5),
    same("LovaszLoss", CLASSES, HALF, reduction="none"),
    same("LovaszLoss", CLASSES, HALF, classes="all", reduction="none", loss_weight=0.5),
    same("SiLogLoss", DEPTHS, SINGLE),
    same("SiLogLoss", DEPTHS, SINGLE, reduction="sum", loss_weight=0.5),
    Case(
        "mmseg.BoundaryLoss(p, y)",
        {
            "p": ("logits[B, 1, H, W]", normal(2, 1, 3, 4)),
            "y": ("mask[B, H, W]", choice(2, 3, 4, share=0.3)),
        },
        lambda p, y: theirs("BoundaryLoss", {})(p, y.to(p)),
        SINGLE,
    ),
]
