"""Label sets: several labels of a sample, as a mask over the classes. One value a sample."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import mean_over
from lossdsl.library.margins import COX
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

# What the identities below declare.
ONE = "input p: logits[B, 1]; input y: mask[B, 1]; "


@loss(
    "multilabel_soft_margin",
    signature="logits[B, C], prob[B, C] -> loss[B]",
    family="classification",
    values="[0, inf)",
    latex=r"-\frac{1}{C} \sum_c \left[y_c \log \sigma(p_c) + (1 - y_c) \log(1 - \sigma(p_c))"
    r"\right]",
    reference=COX,
    conventions=("The mean of bce over the classes: one value a sample, as in PyTorch.",),
    examples=(
        Example(
            "multilabel_soft_margin(p, y)", 0.6931471805599453, {"p": [[0.0, 0.0]], "y": [[1, 0]]}
        ),
    ),
    use=(
        "Tags of a sample with one value a sample, for weights by sample or the mining of hard "
        "ones."
    ),
    avoid=(
        "Elements that are weighed or masked one by one: `bce`. Hundreds of tags, most of them "
        "absent: `asymmetric_focal` or `zlpr`."
    ),
    checked="`torch.nn.functional.multilabel_soft_margin_loss`.",
    related={
        "bce": "one value a tag",
        "zlpr": "sets present tags against absent ones",
        "multilabel_margin": "ranks them, with a margin",
    },
    identities=(("multilabel_soft_margin(p, y)", "bce(p, y)"),),
)
def multilabel_soft_margin(p: Tensor, y: Tensor) -> Tensor:
    """Binary cross entropy averaged over the labels of a sample.

    Shape:
        p and y with the classes last; one value a sample.

    Example:
        `multilabel_soft_margin(p, tags)`
    """
    return mean_over(-(y * F.logsigmoid(p) + (1 - y) * F.logsigmoid(-p)), [1])


@loss(
    "multilabel_margin",
    signature="score[B, C], mask[B, C] -> loss[B]",
    family="classification",
    values="[0, inf)",
    latex=r"\frac{1}{C} \sum_{i : y_i = 1} \sum_{j : y_j = 0} \max(0,\ m - (p_i - p_j))",
    reference=Reference(
        "A. Elisseeff and J. Weston", "A Kernel Method for Multi-Labelled Classification", 2001
    ),
    ranges={"margin": "[0, inf)"},
    conventions=(
        "The target is a mask over the classes; PyTorch takes a list of indices.",
        "The sum over pairs is divided by the number of classes, as in PyTorch.",
    ),
    pitfalls=("Compares all pairs of classes: memory grows with their square.",),
    examples=(Example("multilabel_margin(p, y)", 0.75, {"p": [[1.0, 0.5]], "y": [[0.0, 1.0]]}),),
    use="Present tags above absent ones, where the order of the scores is all that is used.",
    avoid=(
        "A threshold to decide by: `zlpr` has it at 0, `bce` at a probability of ½. Thousands of "
        "tags, since memory grows with their square."
    ),
    checked="`torch.nn.functional.multilabel_margin_loss`, and loops over pairs of tags.",
    related={
        "zlpr": "smooth, with a threshold",
        "multi_margin": "one label a sample",
        "bce": "each tag on its own",
    },
    identities=(
        ("multilabel_margin(2*p, y, margin=2)", "2*multilabel_margin(p, y)"),
        ("multilabel_margin(p, y)", "multilabel_margin(-p, 1 - y)"),
    ),
)
def multilabel_margin(p: Tensor, y: Tensor, *, margin: Number = 1.0) -> Tensor:
    """By how much absent labels come closer to present ones than the margin.

    Args:
        margin: by how much each present label should lead each absent one.

    Shape:
        p and y with the classes last; one value a sample.

    Example:
        `multilabel_margin(p, tags)`
    """
    short = (margin - p.unsqueeze(2) + p.unsqueeze(1)).relu()
    pairs = (y > 0).unsqueeze(2) & (y <= 0).unsqueeze(1)
    return wide(torch.where(pairs, short, 0.0)).sum((1, 2)) / max(p.shape[1], 1)


@loss(
    "zlpr",
    signature="logits[B, C], mask[B, C] -> loss[B]",
    family="classification",
    values="[0, inf)",
    latex=r"\log\Big(1 + \sum_{c : y_c = 1} e^{-p_c}\Big) + \log\Big(1 + \sum_{c : y_c = 0} "
    r"e^{p_c}\Big)",
    reference=Reference(
        "J. Su, M. Zhu, A. Murtadha, S. Pan, B. Wen and Y. Liu",
        "ZLPR: A Novel Loss for Multi-label Classification",
        2022,
        "2208.02955",
    ),
    conventions=("Present labels belong above 0 and absent ones below: that is the threshold.",),
    examples=(Example("zlpr(p, y)", 1.3862943611198906, {"p": [[0.0, 0.0]], "y": [[1.0, 0.0]]}),),
    use="Many tags of which few are present: nothing to weigh, and the threshold is a score of 0.",
    avoid=(
        "Probabilities of single tags: `bce`. Tags that are missing in the data, of which the "
        "worst dominates: `asymmetric_focal` with its shift."
    ),
    checked="The paper's formula in NumPy, sample by sample.",
    related={
        "bce": "each tag on its own",
        "multilabel_margin": "pairs with a margin, without a threshold",
        "asymmetric_focal": "tolerates tags that are missing",
    },
    identities=(
        ("zlpr(p, y)", "zlpr(-p, 1 - y)"),
        (f"{ONE}zlpr(p, y)", f"{ONE}bce(p, y)"),
    ),
)
def zlpr(p: Tensor, y: Tensor) -> Tensor:
    """Log-sum-exp over pairs of labels, with a threshold of 0 between present and absent ones.

    Shape:
        p and y with the classes last; one value a sample.

    Example:
        `zlpr(p, tags)`
    """
    p = wide(p)
    present = y > 0
    none, zero = torch.finfo(p.dtype).min, p.new_zeros(p.shape[0], 1)
    missed = torch.cat((zero, torch.where(present, -p, none)), 1)
    extra = torch.cat((zero, torch.where(present, none, p)), 1)
    return missed.logsumexp(1) + extra.logsumexp(1)
