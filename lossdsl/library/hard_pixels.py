"""Cross entropy of the positions that are hardest at the moment; the others do not count."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.chosen import at_label
from lossdsl.library.classification import OF_PROBABILITIES
from lossdsl.library.guarded import log_prob
from lossdsl.library.overlap import share
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss, overload

SCORES = "class_logits|class_log_prob[B, C, *S], labels[B, *S] -> loss[]"
PROBS = "class_prob[B, C, *S], labels[B, *S] -> loss[]"
THREE = {"p": [[0.5, 0.5], [0.75, 0.25], [0.25, 0.75]], "y": [0, 0, 0]}


def result_type(parameters: Mapping[str, Any]) -> str:
    return "loss[B]" if parameters.get("per_image", False) else "loss[]"


def rows(cost: Tensor, mask: Tensor | None, per_image: bool) -> tuple[Tensor, Tensor]:
    """Costs in descending order, one row an image or one for all, and which of them count."""
    kept = torch.ones_like(cost) if mask is None else (mask > 0).to(cost.dtype).squeeze(1)
    count = math.prod(cost.shape[1:])
    shape = (cost.shape[0], count) if per_image else (1, cost.shape[0] * count)
    kept = wide(kept.expand_as(cost).reshape(shape))
    cost = wide(torch.where(kept.reshape(cost.shape) > 0, cost, 0.0).reshape(shape))
    order = torch.where(kept > 0, cost.detach(), -1.0).argsort(dim=-1, descending=True, stable=True)
    return cost.gather(-1, order), kept.gather(-1, order)


def shown(own: Tensor, mask: Tensor | None) -> Tensor:
    """The labels' probabilities with 1 where the mask is 0: a logarithm's slope at NaN is NaN."""
    return own if mask is None else torch.where(mask.squeeze(1) > 0, own, 1.0)


def chosen_mean(cost: Tensor, chosen: Tensor, per_image: bool) -> Tensor:
    mean = share((cost * chosen).sum(-1), chosen.sum(-1))
    return mean if per_image else mean.squeeze(0)


def hardest(log_p: Tensor, keep: Number, per_image: bool, mask: Tensor | None) -> Tensor:
    """The mean of the largest costs, from the labels' log-probabilities."""
    cost, kept = rows(-log_p, mask, per_image)
    place = torch.arange(cost.shape[-1], device=cost.device, dtype=cost.dtype)
    wanted = (keep * kept.sum(-1, keepdim=True)).clamp(min=1)
    return chosen_mean(cost, kept * (place + 0.5 < wanted).to(cost.dtype), per_image)


@loss(
    "topk_ce",
    signature=SCORES,
    result=result_type,
    family="classification",
    values="[0, inf)",
    aliases=("bootstrapped_ce",),
    latex=r"\frac{1}{k} \sum_{i \in \mathrm{top}_k} -\log \mathrm{softmax}(p_i)_{y_i}, \quad k = "
    r"\mathrm{round}(r n)",
    reference=Reference(
        "Z. Wu, C. Shen and A. van den Hengel",
        "Bridging Category-level and Instance-level Semantic Image Segmentation",
        2016,
        "1605.06885",
    ),
    ranges={"keep": "(0, 1]"},
    conventions=(
        "keep is a share of the kept positions, at least one of them; libraries give percent.",
        "Over the batch; per_image=true takes the hardest of each image.",
        "Masked and ignored positions neither count nor are chosen.",
        *OF_PROBABILITIES,
    ),
    pitfalls=("A wrong label is hard for ever: with noisy labels these are what is learnt.",),
    examples=(Example("topk_ce(class_prob(p), y, keep=0.33)", 1.3862943611198906, THREE),),
    mask="inside",
    use=(
        "Segmentation in which most pixels are soon easy: a fixed share keeps thin structures and "
        "borders in the gradient. Let keep fall from 1."
    ),
    avoid=(
        "Wrong labels, which stay the hardest: `ce` or `gce`. A share that follows how hard the "
        "batch is: `ohem_ce`."
    ),
    checked="Sorted values of `torch.nn.functional.cross_entropy`.",
    related={
        "ohem_ce": "a threshold in place of a share",
        "softmax_focal": "fades easy positions instead of dropping them",
        "ce": "all positions",
    },
    identities=(("topk_ce(p, y, keep=1)", "ce(p, y)"),),
)
def topk_ce(
    p: Tensor,
    y: Tensor,
    *,
    keep: Number = 0.1,
    per_image: bool = False,
    mask: Tensor | None = None,
) -> Tensor:
    """Cross entropy of the hardest share of all positions.

    Args:
        keep: the share of positions that counts.
        per_image: whether each image has its own hardest positions.

    Shape:
        p has the class axis, y is labels without it; one value for the batch, or one an image.

    Example:
        `topk_ce(p, y, keep=linear(step, 1, 0.1, 0, 5000))`
    """
    return hardest(at_label(p, y), keep, per_image, mask)


@overload("topk_ce", signature=PROBS, result=result_type)
def topk_ce_of_prob(
    p: Tensor,
    y: Tensor,
    *,
    keep: Number = 0.1,
    per_image: bool = False,
    mask: Tensor | None = None,
) -> Tensor:
    """The hardest share, of class probabilities."""
    return hardest(log_prob(shown(at_label(p, y), mask)), keep, per_image, mask)


def mined(
    log_p: Tensor, threshold: Number, min_kept: int, per_image: bool, mask: Tensor | None
) -> Tensor:
    """The mean over uncertain positions, from the labels' log-probabilities."""
    cost, kept = rows(-log_p, mask, per_image)
    place = torch.arange(cost.shape[-1], device=cost.device)
    chosen = (place < min_kept) | (torch.exp(-cost.detach()) < threshold)
    return chosen_mean(cost, kept * chosen.to(cost.dtype), per_image)


@loss(
    "ohem_ce",
    signature=SCORES,
    result=result_type,
    family="classification",
    values="[0, inf)",
    latex=r"\frac{1}{\lvert M \rvert} \sum_{i \in M} -\log q_{i y_i}, \quad M = \{i : q_{i y_i} < "
    r"t\} \cup \mathrm{top}_k",
    reference=Reference(
        "A. Shrivastava, A. Gupta and R. Girshick",
        "Training Region-based Object Detectors with Online Hard Example Mining",
        2016,
        "1604.03540",
    ),
    ranges={"threshold": "[0, 1]", "min_kept": "[0, inf)"},
    conventions=(
        "The mean over the chosen positions; mmsegmentation divides by all of them.",
        "Over the batch; per_image=true chooses in each image.",
        "Masked and ignored positions neither count nor are chosen.",
        *OF_PROBABILITIES,
    ),
    pitfalls=("min_kept is a number of positions: at the default, small batches keep all.",),
    examples=(
        Example(
            "ohem_ce(class_prob(p), y, threshold=0.6, min_kept=1)",
            (1.3862943611198906 + 0.6931471805599453) / 2,
            THREE,
        ),
    ),
    mask="inside",
    use=(
        "Street scenes and other segmentation in which easy has a meaning: pixels drop out as they "
        "pass the threshold."
    ),
    avoid=(
        "Wrong labels, which never pass it: `ce` or `gce`. Small batches at the default min_kept, "
        "where it is `ce`: lower that."
    ),
    checked="Sorted values of `torch.nn.functional.cross_entropy`.",
    related={
        "topk_ce": "a share in place of a threshold",
        "softmax_focal": "fades easy positions instead of dropping them",
        "ce": "all positions",
    },
    identities=(("ohem_ce(p, y, threshold=0, min_kept=1)", "max(ce(p, y, reduction='none'))"),),
)
def ohem_ce(
    p: Tensor,
    y: Tensor,
    *,
    threshold: Number = 0.7,
    min_kept: int = 100_000,
    per_image: bool = False,
    mask: Tensor | None = None,
) -> Tensor:
    """Cross entropy of positions whose label is less likely than a threshold.

    Args:
        threshold: the probability of the label from which a position is easy.
        min_kept: how many positions count at least, the hardest.
        per_image: whether positions are chosen image by image.

    Shape:
        p has the class axis, y is labels without it; one value for the batch, or one an image.

    Example:
        `ohem_ce(p, y, min_kept=10000)`
    """
    return mined(at_label(p, y), threshold, min_kept, per_image, mask)


@overload("ohem_ce", signature=PROBS, result=result_type)
def ohem_ce_of_prob(
    p: Tensor,
    y: Tensor,
    *,
    threshold: Number = 0.7,
    min_kept: int = 100_000,
    per_image: bool = False,
    mask: Tensor | None = None,
) -> Tensor:
    """Online hard example mining, of class probabilities."""
    return mined(log_prob(shown(at_label(p, y), mask)), threshold, min_kept, per_image, mask)
