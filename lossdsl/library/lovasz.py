"""The Lovász extension of the Jaccard index: overlap as a piecewise linear function of errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import mean_over
from lossdsl.library.overlap import share
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss

# What the identities below declare.
PAIR = "input p: mask[B, C, *S]; input y: mask[B, C, *S]; "
HARD = "input p: one_hot[B, C, H, W]; input y: labels[B, H, W]; "


@loss(
    "lovasz_softmax",
    signature="class_logits|class_prob[B, C, *S], labels[B, *S] -> loss[]",
    family="overlap",
    values="[0, inf)",
    latex=(
        r"\frac{1}{\lvert C \rvert} \sum_{c \in C} \overline{\Delta_{J_c}}(m(c)), \quad"
        r" m_i(c) = \lvert [y_i = c] - q_{ic} \rvert, \quad q = \mathrm{softmax}(p)"
    ),
    reference=Reference(
        "M. Berman, A. Rannen Triki and M. B. Blaschko",
        "The Lovász-Softmax loss: A tractable surrogate for the optimization of the "
        "intersection-over-union measure in neural networks",
        2018,
        "1705.08790",
    ),
    conventions=(
        "classes='present' averages over the classes that occur among the kept labels, 'all' over "
        "every class.",
        "per_image=true takes the loss of each image and averages; an image without a kept pixel "
        "counts as 0.",
        "Masked pixels do not count.",
    ),
    examples=(
        Example(
            "lovasz_softmax(class_prob(p), y)",
            0.35,
            {"p": [[[0.6, 0.2], [0.4, 0.8]]], "y": [[0, 1]]},
        ),
    ),
    mask="inside",
    use="Fine-tuning for the mean intersection over union, after `ce` or beside it.",
    avoid=(
        "Training from scratch, which `ce` begins better. Masks that may overlap: `lovasz_hinge`. "
        "Many classes, each of which is sorted: `jaccard`."
    ),
    checked=(
        "Its definition by sets of pixels, and `sklearn.metrics.jaccard_score` on hard predictions."
    ),
    related={
        "jaccard": "soft counts: no sorting",
        "lovasz_hinge": "of masks, from scores",
        "ce": "every pixel on its own",
    },
    identities=(
        (
            f"{HARD}lovasz_softmax(p, y, classes='all')",
            f"{HARD}jaccard(p, y, over='batch', smooth=0)",
        ),
    ),
)
def lovasz_softmax(
    p: Tensor,
    y: Tensor,
    *,
    classes: Literal["present", "all"] = "present",
    per_image: bool = False,
    mask: Tensor | None = None,
) -> Tensor:
    """Convex extension of the Jaccard loss of each class, averaged over classes.

    The errors of a class are sorted; each counts as much as the Jaccard loss grows when its
    pixel turns wrong after all those with a larger error.

    Args:
        classes: which classes are averaged.
        per_image: whether each image has its own loss, or the batch is one large image.

    Shape:
        p has the class axis, y is labels without it; one value for the batch.

    Example:
        `ce(p, y) + lovasz_softmax(p, y, per_image=true)`
    """
    count = p.shape[1]
    labels = y.unsqueeze(1) == torch.arange(count, device=p.device).reshape(-1, *[1] * (y.ndim - 1))
    kept = torch.ones_like(labels) if mask is None else (mask > 0).expand_as(p)
    # Half precision counts no further than 65504 pixels.
    p = wide(p if mask is None else torch.where(kept, p, 0.0))

    def rows(x: Tensor) -> Tensor:
        x = x.reshape(x.shape[0], count, math.prod(x.shape[2:]))
        return x if per_image else x.transpose(0, 1).flatten(1).unsqueeze(0)

    own, kept = rows(labels & kept), rows(kept)
    errors, order = (own.to(p.dtype) - rows(p)).abs().sort(stable=True, dim=-1, descending=True)
    present = own.any(-1)
    own, kept = own.gather(-1, order), kept.gather(-1, order)
    value = (errors * jaccard_growth(own, kept, p.dtype)).sum(-1)
    if classes == "all":
        return mean_over(value, [0, 1])
    return mean_over(share((value * present).sum(-1), present.sum(-1).to(p.dtype)), [0])


def jaccard_growth(own: Tensor, kept: Tensor, dtype: torch.dtype) -> Tensor:
    """By how much a class's Jaccard loss grows when each pixel in turn, along the last axis,
    turns wrong: pixels of the class leave the intersection, others join the union.

    In closed form, since differences of ratios this close to 1 have few digits left. Counts are
    integers, exact for any number of pixels.
    """
    total = own.sum(-1, keepdim=True)
    intersection = (total - own.cumsum(-1)).to(dtype)
    union = (total + (kept & ~own).cumsum(-1)).to(dtype)
    leaving = 1 / union
    # A union of 1 after a foreign pixel was empty before: the loss jumps from 0 to 1.
    joining = torch.where(union > 1, intersection / (union * (union - 1)), 1.0)
    return torch.where(own, leaving, joining) * kept


def hinge_type(parameters: Mapping[str, Any]) -> str:
    return "loss[B, C]" if parameters.get("per_image", True) else "loss[C]"


@loss(
    "lovasz_hinge",
    signature="logits[B, C, *S], mask[B, C, *S] -> loss[B, C]",
    result=hinge_type,
    family="overlap",
    values="[0, inf)",
    latex=r"\overline{\Delta_J}(m), \quad m_i = \max(0,\ 1 - (2 y_i - 1) p_i)",
    reference=Reference(
        "J. Yu and M. B. Blaschko",
        "The Lovász Hinge: A Novel Convex Surrogate for Submodular Losses",
        2015,
        "1512.07797",
    ),
    conventions=(
        "Each channel is a mask of its own, as with dice; libraries flatten one channel.",
        "per_image=false takes the loss of each channel over the batch.",
        "Errors below 0 count as 0, as in the authors' code.",
        "Masked pixels do not count.",
    ),
    pitfalls=("Takes logits only: probabilities have no margin.",),
    examples=(Example("lovasz_hinge(p, y)", 1.25, {"p": [[[0.0, 0.5]]], "y": [[[1.0, 0.0]]]}),),
    mask="inside",
    class_weight="classes",
    use="Fine-tuning of binary masks for intersection over union.",
    avoid=(
        "Probabilities, since its scores are margins: `bce` beside it. Classes that exclude each "
        "other: `lovasz_softmax`."
    ),
    checked="Its definition by sets of pixels, and `kornia.losses.lovasz_hinge_loss`.",
    related={
        "lovasz_softmax": "of classes, from probabilities",
        "jaccard": "soft counts: no sorting",
        "hinge": "every pixel on its own",
    },
    identities=((f"{PAIR}lovasz_hinge(2*p - 1, y)", f"{PAIR}2*jaccard(p, y, smooth=0)"),),
)
def lovasz_hinge(
    p: Tensor, y: Tensor, *, per_image: bool = True, mask: Tensor | None = None
) -> Tensor:
    """Convex extension of the Jaccard loss of a mask, of hinge errors.

    Args:
        per_image: whether each image has its own loss, or the batch is one large image.

    Shape:
        p and y alike with the class axis; one value an image and class.

    Example:
        `bce(p, y) + lovasz_hinge(p, y)`
    """
    kept = torch.ones_like(y, dtype=torch.bool) if mask is None else (mask > 0).expand_as(p)
    p = wide(p if mask is None else torch.where(kept, p, 0.0))

    def rows(x: Tensor) -> Tensor:
        x = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
        return x if per_image else x.transpose(0, 1).flatten(1)

    own, kept = (y > 0) & kept, rows(kept)
    errors = torch.where(kept, rows(torch.where(own, 1 - p, 1 + p)), 0.0)
    errors, order = errors.sort(stable=True, dim=-1, descending=True)
    own, kept = rows(own).gather(-1, order), kept.gather(-1, order)
    return (errors.relu() * jaccard_growth(own, kept, p.dtype)).sum(-1)
