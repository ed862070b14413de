"""kornia's own losses, on the same tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from case import Case, Draw, choice, normal, uniform, whole
from kornia import losses
from torch import Tensor

SHAPE = (2, 4, 5, 6)
LABELS = {
    "p": ("class_logits(4)[B, 4, H, W]", normal(*SHAPE)),
    "y": ("labels[B, H, W]", whole(2, 5, 6, below=3)),
}
IMAGES = {
    "p": ("image[B, C, H, W]", uniform(2, 3, 13, 12)),
    "y": ("image[B, C, H, W]", uniform(2, 3, 13, 12)),
}
REALS = {"p": ("real[B, N]", normal(3, 4, scale=2)), "y": ("real[B, N]", normal(3, 4))}
WEIGHT: dict[str, Any] = {"params": {"w": [1.0, 2.0, 0.0, 4.0]}}


def ignored(g: torch.Generator) -> Tensor:
    y = torch.randint(3, (2, 5, 6), generator=g)
    y[0, 1, 2], y[1, :, 3] = -100, -100
    return y


def heat(*shape: int) -> Draw:
    """Maps that sum to 1, with zeros."""

    def draw(g: torch.Generator) -> Tensor:
        x = torch.rand(shape, generator=g, dtype=torch.float64)
        x[..., 0] = 0
        return x / x.sum((2, 3), keepdim=True)

    return draw


def one_ignored(g: torch.Generator) -> Tensor:
    y = torch.randint(3, (2, 5, 6), generator=g)
    y[0] = -100
    return y


ALL_IGNORED = {**LABELS, "y": ("labels[B, H, W]", one_ignored)}
DARK = {
    "p": ("image[B, C, H, W]", uniform(2, 3, 13, 12, high=0.02)),
    "y": ("image[B, C, H, W]", uniform(2, 3, 13, 12, high=0.02)),
}
IGNORED = {**LABELS, "y": ("labels[B, H, W]", ignored)}
HEAT = {"p": ("real[B, C, H, W]", heat(2, 3, 4, 4)), "y": ("real[B, C, H, W]", heat(2, 3, 4, 4))}


def theirs(name: str, **options: Any) -> Callable[..., Tensor]:
    if options.get("weight") == "w":
        options["weight"] = torch.tensor([1.0, 2.0, 0.0, 4.0], dtype=torch.float64)
    found = getattr(losses, name)

    def value(**given: Tensor) -> Tensor:
        tensors = [x.to(torch.float64) if x.dtype == torch.bool else x for x in given.values()]
        is_class = isinstance(found, type)
        result: Tensor = found(**options)(*tensors) if is_class else found(*tensors, **options)
        return result

    return value


def same(name: str, inputs: dict[str, Any], tolerance: float = 1e-9, **options: Any) -> Case:
    texts = {k: "w" if v == "w" else "none" if v is None else repr(v) for k, v in options.items()}
    arguments = ", ".join([*inputs, *(f"{k}={v}" for k, v in texts.items())])
    more = WEIGHT if options.get("weight") == "w" else {}
    return Case(f"kornia.{name}({arguments})", inputs, theirs(name, **options), tolerance, more)


def summed(case: Case) -> Case:
    """A case of a loss that is not reduced: some sum of its map."""
    inner = case.expected
    return Case(
        f"sum(({case.call})**2)",
        case.inputs,
        lambda **x: (inner(**x) ** 2).sum(),
        case.tolerance,
        case.options,
    )


BINARY = {
    "p": ("logits[B, 4, H, W]", normal(*SHAPE)),
    "y": ("mask[B, 4, H, W]", choice(*SHAPE)),
}

SINGLE_WINDOW = 2e-6
"""kornia makes the windows of its multi-scale similarity in single precision."""

CASES = [
    *(
        same("DiceLoss", inputs, **options)
        for inputs in (LABELS, IGNORED, ALL_IGNORED)
        for options in ({}, {"average": "macro"}, {"average": "macro", "eps": 0.1})
    ),
    same("DiceLoss", IGNORED, weight="w"),
    same("DiceLoss", LABELS, weight="w", average="macro"),
    same("TverskyLoss", LABELS, alpha=0.3, beta=0.7),
    same("TverskyLoss", IGNORED, alpha=0.5, beta=0.5, eps=0.1),
    same("TverskyLoss", ALL_IGNORED, alpha=0.5, beta=0.5),
    summed(same("FocalLoss", LABELS, alpha=0.25)),
    same("FocalLoss", IGNORED, alpha=0.4, gamma=1.5, reduction="mean"),
    same("FocalLoss", LABELS, alpha=None, reduction="sum", weight="w"),
    summed(same("BinaryFocalLossWithLogits", BINARY, alpha=0.25)),
    same("BinaryFocalLossWithLogits", BINARY, alpha=None, gamma=1.0, reduction="mean"),
    same("BinaryFocalLossWithLogits", BINARY, alpha=0.3, reduction="mean", weight="w"),
    same(
        "LovaszHingeLoss",
        {
            "p": ("logits[B, 1, H, W]", normal(2, 1, 5, 6)),
            "y": ("mask[B, H, W]", choice(2, 5, 6)),
        },
    ),
    same("LovaszSoftmaxLoss", LABELS),
    same("SSIMLoss", IMAGES, window_size=5),
    same("SSIMLoss", IMAGES, window_size=11, max_val=2.0, reduction="sum"),
    same("SSIMLoss", IMAGES, window_size=7, padding="valid"),
    same("MS_SSIMLoss", IMAGES, SINGLE_WINDOW),
    same("MS_SSIMLoss", DARK, 2e-5),
    same("MS_SSIMLoss", IMAGES, SINGLE_WINDOW, data_range=2.0, alpha=0.5, compensation=1.0),
    same("PSNRLoss", IMAGES, max_val=2.0),
    summed(same("TotalVariation", {"p": IMAGES["p"]})),
    summed(same("total_variation", {"p": IMAGES["p"]})),
    summed(same("total_variation", {"p": IMAGES["p"]}, reduction="mean")),
    same(
        "InverseDepthSmoothnessLoss",
        {"d": ("positive[B, 1, H, W]", uniform(2, 1, 13, 12)), "image": IMAGES["p"]},
    ),
    *(
        case
        for name in ("CharbonnierLoss", "CauchyLoss", "GemanMcclureLoss", "WelschLoss")
        for case in (
            summed(same(name, REALS)),
            same(name, REALS, reduction="mean"),
            same(name, REALS, reduction="sum"),
        )
    ),
    same("kl_div_loss_2d", {**HEAT, "p": ("prob[B, C, H, W]", uniform(2, 3, 4, 4, low=0.1))}),
    same("js_div_loss_2d", HEAT),
    same("js_div_loss_2d", HEAT, reduction="sum"),
]
