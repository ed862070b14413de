"""pytorch-metric-learning's own losses, on the same vectors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from case import SINGLE, Case, normal
from pytorch_metric_learning import losses
from torch import Tensor

VECTORS: dict[str, Any] = {
    "x": ("embedding[N, D]", normal(9, 5)),
    "y": ("labels[N]", lambda g: torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 3])),
}
PAIRED: dict[str, Any] = {
    **VECTORS,
    "y": ("labels[N]", lambda g: torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2])),
}
CLASSES = {**VECTORS, "W": ("real[D, C]", normal(5, 6))}
PROXIES = {**VECTORS, "proxies": ("embedding[C, D]", normal(6, 5))}


def theirs(name: str, **options: Any) -> Callable[..., Tensor]:
    """The library's loss; where it owns vectors of classes, those of the call."""

    def value(x: Tensor, y: Tensor, **owned: Tensor) -> Tensor:
        sizes = {"num_classes": 6, "embedding_size": 5} if owned else {}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "__array_wrap__ must accept", DeprecationWarning)
            loss = getattr(losses, name)(**sizes, **options)
            for attribute, vectors in owned.items():
                del loss._parameters[attribute]
                # Their code writes to `.data`, which would otherwise be the test's own tensor.
                setattr(loss, attribute, vectors * 1)
            result: Tensor = loss(x, y)
        return result

    return value


def same(name: str, inputs: dict[str, Any], tolerance: float = 1e-9, **options: Any) -> Case:
    texts = [f"{k}={str(v).lower()}" for k, v in options.items()]
    call = f"pml.{name}({', '.join([*inputs, *texts])})"
    return Case(call, inputs, theirs(name, **options), tolerance)


def views(**options: Any) -> Callable[..., Tensor]:
    return lambda a, b: losses.VICRegLoss(**options)(a, ref_emb=b)


DEGREES = 1e-7
"""Angles that the library turns into radians in single precision."""

CASES = [
    same("ContrastiveLoss", VECTORS),
    same("ContrastiveLoss", VECTORS, pos_margin=0.8, neg_margin=1.2),
    same("SignalToNoiseRatioContrastiveLoss", VECTORS),
    same("SignalToNoiseRatioContrastiveLoss", VECTORS, neg_margin=2.0),
    same("TripletMarginLoss", VECTORS),
    same("TripletMarginLoss", VECTORS, margin=0.3, swap=True),
    same("TripletMarginLoss", VECTORS, smooth_loss=True),
    same("NTXentLoss", VECTORS),
    same("NTXentLoss", VECTORS, temperature=0.5),
    same("SupConLoss", VECTORS),
    same("MultiSimilarityLoss", VECTORS),
    same("MultiSimilarityLoss", VECTORS, alpha=1.0, beta=4.0, base=0.2),
    same("CircleLoss", VECTORS),
    same("CircleLoss", VECTORS, m=0.25, gamma=16.0),
    same("LiftedStructureLoss", VECTORS),
    same("LiftedStructureLoss", VECTORS, neg_margin=1.5, pos_margin=0.2),
    same("GeneralizedLiftedStructureLoss", PAIRED),
    same("GeneralizedLiftedStructureLoss", PAIRED, neg_margin=0.5, pos_margin=0.2),
    same("AngularLoss", VECTORS, DEGREES),
    same("AngularLoss", VECTORS, DEGREES, alpha=30.0),
    same("TupletMarginLoss", VECTORS),
    same("TupletMarginLoss", VECTORS, margin=10.0, scale=8.0),
    same("IntraPairVarianceLoss", VECTORS),
    same("IntraPairVarianceLoss", VECTORS, pos_eps=0.1, neg_eps=0.2),
    same("NCALoss", VECTORS),
    same("NCALoss", VECTORS, softmax_scale=3.0),
    same("MarginLoss", VECTORS, SINGLE),
    same("MarginLoss", VECTORS, SINGLE, margin=0.4, beta=0.9),
    same("ArcFaceLoss", CLASSES),
    same("ArcFaceLoss", CLASSES, margin=10.0, scale=8.0),
    same("CosFaceLoss", CLASSES),
    same("CosFaceLoss", CLASSES, margin=0.1, scale=8.0),
    same("SphereFaceLoss", CLASSES),
    same("SphereFaceLoss", CLASSES, margin=2),
    same("NormalizedSoftmaxLoss", CLASSES),
    same("NormalizedSoftmaxLoss", CLASSES, temperature=0.5),
    same("ProxyAnchorLoss", PROXIES),
    same("ProxyAnchorLoss", PROXIES, margin=0.3, alpha=8.0),
    same("ProxyNCALoss", PROXIES),
    same("ProxyNCALoss", PROXIES, softmax_scale=4.0),
    Case(
        "pml.InstanceLoss(x)",
        {"x": VECTORS["x"]},
        lambda x: losses.InstanceLoss()(x, torch.arange(9)),
    ),
    Case(
        "pml.VICRegLoss(a, b)",
        {"a": ("embedding[N, D]", normal(9, 5)), "b": ("embedding[N, D]", normal(9, 5))},
        views(),
    ),
    Case(
        "pml.VICRegLoss(a, b, invariance_lambda=1, variance_mu=2, covariance_v=3, eps=0.01)",
        {"a": ("embedding[N, D]", normal(9, 5)), "b": ("embedding[N, D]", normal(9, 5))},
        views(invariance_lambda=1, variance_mu=2, covariance_v=3, eps=0.01),
    ),
]
