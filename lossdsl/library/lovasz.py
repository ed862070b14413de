"""The Lovász extension of the Jaccard index: overlap as a piecewise linear function of errors."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from lossdsl.library.overlap import share
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss


@loss(
    "lovasz_softmax",
    signature="class_logits|class_prob[B, C, *S], labels[B, *S] -> loss[]",
    family="overlap",
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

    def rows(x: Tensor) -> Tensor:
        x = x.reshape(x.shape[0], count, -1)
        return x if per_image else x.transpose(0, 1).flatten(1).unsqueeze(0)

    own, kept = rows(labels & kept), rows(kept)
    errors, order = (own.to(p.dtype) - rows(p)).abs().sort(stable=True, dim=-1, descending=True)
    present = own.any(-1)
    own, kept = own.gather(-1, order), kept.gather(-1, order)
    value = (errors * jaccard_growth(own, kept, p.dtype)).sum(-1)
    if classes == "all":
        return value.mean()
    return share((value * present).sum(-1), present.sum(-1).to(p.dtype)).mean()


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
