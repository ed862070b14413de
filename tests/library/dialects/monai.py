"""MONAI's own losses, on the same tensors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from case import SINGLE, Case, choice, normal, uniform, whole
from monai import losses
from monai.losses.unified_focal_loss import AsymmetricUnifiedFocalLoss
from torch import Tensor

SHAPE = (2, 3, 5, 4)  # a list of class weights has its three in the types, too
MANY = {"p": ("real[B, 3, H, W]", normal(*SHAPE)), "y": ("mask[B, 3, H, W]", choice(*SHAPE))}
SCORES = {**MANY, "p": ("class_logits(3)[B, 3, H, W]", normal(*SHAPE))}
LOGITS = {**MANY, "p": ("logits[B, 3, H, W]", normal(*SHAPE))}
LABELS = {**SCORES, "y": ("labels[B, 1, H, W]", whole(2, 1, 5, 4, below=3))}
PROBS = {**MANY, "p": ("prob[B, 3, H, W]", uniform(*SHAPE))}
FIELD = {"p": ("real[B, 2, H, W]", normal(2, 2, 5, 6))}
IMAGES = {
    "p": ("image[B, C, H, W]", uniform(2, 3, 13, 12)),
    "y": ("image[B, C, H, W]", uniform(2, 3, 13, 12)),
}
DARK = {
    "p": ("image[B, C, H, W]", uniform(2, 3, 13, 12, high=0.02)),
    "y": ("image[B, C, H, W]", uniform(2, 3, 13, 12, high=0.02)),
}
VECTORS = {"p": ("embedding[N, D]", normal(5, 4)), "y": ("embedding[N, D]", normal(5, 4))}
WEIGHT: dict[str, Any] = {"params": {"w": [1.0, 2.0, 4.0]}}


def theirs(name: str, **options: Any) -> Callable[..., Tensor]:
    """The library's loss; class weights and targets in the precision of the predictions."""
    if options.get("weight") == "w":
        options["weight"] = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    loss = getattr(losses, name)(**options)

    def value(**given: Tensor) -> Tensor:
        p, *others = given.values()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Using a non-tuple sequence")
            result: Tensor = loss(p, *(y if y.dtype == torch.int64 else y.to(p) for y in others))
        return result.double()

    return value


def written(options: dict[str, Any]) -> str:
    def literal(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return "w" if value == "w" else repr(value)

    return "".join(f", {name}={literal(value)}" for name, value in options.items())


def same(name: str, inputs: dict[str, Any], tolerance: float = 1e-9, **options: Any) -> Case:
    more = WEIGHT if options.get("weight") == "w" else {}
    call = f"monai.{name}({', '.join(inputs)}{written(options)})"
    return Case(call, inputs, theirs(name, **options), tolerance, more)


def patch(scores: Tensor, **options: Any) -> Tensor:
    loss = losses.PatchAdversarialLoss(criterion=options.pop("criterion", "least_squares"))
    value: Tensor = loss(scores, **options)
    return value


def first_class_alone(g: torch.Generator) -> Tensor:
    return torch.arange(3).view(-1, 1, 1).expand(SHAPE) == 0


HALF = 2e-6
"""MONAI's focal losses calculate in single precision."""

OVERLAP = [
    (name, inputs, options)
    for name in ("DiceLoss", "GeneralizedDiceLoss", "TverskyLoss", "MCCLoss")
    for inputs, options in (
        (PROBS, {}),
        (LOGITS, {"sigmoid": True, "include_background": False}),
        (SCORES, {"softmax": True, "batch": True}),
        (LABELS, {"softmax": True, "to_onehot_y": True, "reduction": "sum"}),
    )
]

CASES = [
    *(same(name, inputs, HALF if "General" in name else 1e-9, **o) for name, inputs, o in OVERLAP),
    same("DiceLoss", PROBS, squared_pred=True, smooth_nr=0.0, smooth_dr=0.1),
    same("DiceLoss", PROBS, jaccard=True),
    same("DiceLoss", PROBS, weight="w"),
    same("TverskyLoss", PROBS, alpha=0.3, beta=0.7),
    same("GeneralizedDiceLoss", PROBS, HALF, w_type="simple"),
    same("GeneralizedDiceLoss", PROBS, HALF, w_type="uniform"),
    Case(
        "monai.GeneralizedDiceLoss(p, y)",
        {**PROBS, "y": ("mask[B, 3, H, W]", first_class_alone)},
        theirs("GeneralizedDiceLoss"),
        HALF,
    ),
    same("DiceCELoss", LABELS, softmax=True, to_onehot_y=True),
    same("DiceCELoss", LABELS, softmax=True, to_onehot_y=True, weight="w", lambda_ce=0.5),
    same(
        "DiceCELoss",
        LABELS,
        softmax=True,
        to_onehot_y=True,
        weight="w",
        include_background=False,
        label_smoothing=0.1,
    ),
    same("DiceCELoss", SCORES, softmax=True, squared_pred=True, lambda_dice=0.3),
    same("DiceFocalLoss", SCORES, HALF, softmax=True),
    same("DiceFocalLoss", LABELS, HALF, to_onehot_y=True, alpha=0.25, lambda_focal=0.5),
    same("GeneralizedDiceFocalLoss", SCORES, HALF, softmax=True),
    same("GeneralizedDiceFocalLoss", SCORES, HALF, softmax=True, gamma=1.5),
    same("FocalLoss", LOGITS, HALF),
    same("FocalLoss", LOGITS, HALF, alpha=0.25, gamma=1.0, include_background=False),
    same("FocalLoss", LOGITS, HALF, reduction="sum", weight="w"),
    same("FocalLoss", LABELS, HALF, to_onehot_y=True, use_softmax=True),
    same("FocalLoss", SCORES, HALF, use_softmax=True, alpha=0.3),
    same("HausdorffDTLoss", PROBS, SINGLE),
    same("HausdorffDTLoss", LOGITS, SINGLE, sigmoid=True, include_background=True, alpha=1.0),
    same("LogHausdorffDTLoss", PROBS, SINGLE),
    Case(
        "monai.AsymmetricUnifiedFocalLoss(p, y)",
        {
            "p": ("prob[B, 2, H, W]", uniform(2, 2, 5, 4)),
            "y": ("mask[B, 2, H, W]", choice(2, 2, 5, 4)),
        },
        lambda p, y: AsymmetricUnifiedFocalLoss()(p, y.to(p)),
    ),
    *(
        Case(
            f"monai.NACLLoss(p, y, distance_type='{distance}')",
            {
                "p": ("class_logits(3)[B, 3, H, W]", normal(*SHAPE)),
                "y": ("labels[B, H, W]", whole(2, 5, 4, below=3)),
            },
            lambda p, y, distance=distance: losses.NACLLoss(3, 2, distance_type=distance)(p, y),
            HALF,
        )
        for distance in ("l1", "l2")
    ),
    Case("monai.SSIMLoss(p, y)", IMAGES, theirs("SSIMLoss", spatial_dims=2), HALF),
    Case("monai.SSIMLoss(p, y)", DARK, theirs("SSIMLoss", spatial_dims=2), 1e-4),
    Case(
        "monai.SSIMLoss(p, y, data_range=2.0, win_size=7, reduction='sum')",
        IMAGES,
        theirs("SSIMLoss", spatial_dims=2, data_range=2.0, win_size=7, reduction="sum"),
        HALF,
    ),
    *(
        Case(
            f"monai.LocalNormalizedCrossCorrelationLoss(p, y, kernel_size={k})",
            IMAGES,
            lambda p, y, k=k: losses.LocalNormalizedCrossCorrelationLoss(2, kernel_size=k)(p, y),
        )
        for k in (3, 7)
    ),
    Case(
        "monai.LocalNormalizedCrossCorrelationLoss(p, y)",
        DARK,
        theirs("LocalNormalizedCrossCorrelationLoss", spatial_dims=2),
    ),
    same("ContrastiveLoss", VECTORS, SINGLE),
    same("ContrastiveLoss", VECTORS, SINGLE, temperature=0.1),
    same("BarlowTwinsLoss", VECTORS, SINGLE),
    same("BendingEnergyLoss", FIELD),
    same("BendingEnergyLoss", FIELD, reduction="sum"),
    same("DiffusionLoss", FIELD),
    *(
        Case(
            f"monai.PatchAdversarialLoss(p, {str(real).lower()}, true, criterion='{criterion}')",
            {"p": ("score[B, H]", normal(3, 4))},
            lambda p, real=real, criterion=criterion: patch(
                p, target_is_real=real, for_discriminator=True, criterion=criterion
            ),
        )
        for criterion in ("least_squares", "bce", "hinge")
        for real in (True, False)
    ),
    Case(
        "monai.PatchAdversarialLoss(p, true, false)",
        {"p": ("score[B, H]", normal(3, 4))},
        lambda p: patch(p, target_is_real=True, for_discriminator=False),
    ),
]
