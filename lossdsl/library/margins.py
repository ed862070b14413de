"""Margins: how far a score stands on its target's side, of one score or of one class over others.

Targets of single scores are signs, those of several labels at once are masks over the classes.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.classification import at_label
from lossdsl.library.guarded import mean_over
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

SIGNS = "Targets are -1 and 1; a mask of 0 and 1 becomes them."

COX = Reference("D. R. Cox", "The Regression Analysis of Binary Sequences", 1958)


@loss(
    "logistic",
    signature="score[*S], sign[*S] -> loss[*S]",
    family="classification",
    values="[0, inf)",
    aliases=("soft_margin",),
    latex=r"\log\left(1 + e^{-y p}\right)",
    reference=COX,
    conventions=(SIGNS, "The same number as bce of the score and the mask."),
    examples=(Example("logistic(p, y)", 0.6931471805599453, {"p": [0.0], "y": [1.0]}),),
)
def logistic(p: Tensor, y: Tensor) -> Tensor:
    """Logistic loss of a score and a sign.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `logistic(score, y)`
    """
    return -F.logsigmoid(y * p)


@loss(
    "perceptron",
    signature="score[*S], sign[*S] -> loss[*S]",
    family="classification",
    values="[0, inf)",
    latex=r"\max(0,\ -y p)",
    reference=Reference(
        "F. Rosenblatt",
        "The Perceptron: A Probabilistic Model for Information Storage and Organization in the "
        "Brain",
        1958,
    ),
    conventions=(SIGNS, "At a score of 0 the gradient is 0."),
    pitfalls=("Scores of 0 cost nothing, whatever the target: hinge asks for a margin.",),
    examples=(Example("perceptron(p, y)", 1.0, {"p": [2.0, 2.0], "y": [1.0, -1.0]}),),
)
def perceptron(p: Tensor, y: Tensor) -> Tensor:
    """How far a score lies on the wrong side of 0.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `perceptron(score, y)`
    """
    return (-y * p).relu()


@loss(
    "squared_hinge",
    signature="score[*S], sign[*S] -> loss[*S]",
    family="classification",
    values="[0, inf)",
    latex=r"\max(0,\ m - y p)^2",
    reference=Reference(
        "C.-P. Lee and C.-J. Lin",
        "A Study on L2-Loss (Squared Hinge-Loss) Multiclass SVM",
        2013,
    ),
    ranges={"margin": "[0, inf)"},
    conventions=(SIGNS, "Without a factor ½."),
    examples=(Example("squared_hinge(p, y)", 1.25, {"p": [0.5, 0.5], "y": [1.0, -1.0]}),),
)
def squared_hinge(p: Tensor, y: Tensor, *, margin: Number = 1.0) -> Tensor:
    """Square of how far a score falls short of the margin: differentiable at the margin.

    Args:
        margin: the score from which an element costs nothing.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `squared_hinge(score, y)`
    """
    return (margin - y * p).relu() ** 2


@loss(
    "exponential",
    signature="score[*S], sign[*S] -> loss[*S]",
    family="classification",
    values="[0, inf)",
    latex=r"e^{-y p}",
    reference=Reference(
        "Y. Freund and R. E. Schapire",
        "A Decision-Theoretic Generalization of On-Line Learning and an Application to Boosting",
        1997,
    ),
    conventions=(
        SIGNS,
        "An exponent above half of the largest (44 in float32) goes on along its tangent.",
    ),
    pitfalls=("One wrong target outweighs all others: logistic grows linearly there.",),
    examples=(
        Example("exponential(p, y)", 1.25, {"p": [0.6931471805599453] * 2, "y": [1.0, -1.0]}),
    ),
)
def exponential(p: Tensor, y: Tensor) -> Tensor:
    """Exponential of the negative margin, as boosting minimises it.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `exponential(score, y)`
    """
    short = -y * p
    held = short.clamp(max=0.5 * math.log(torch.finfo(p.dtype).max))
    return held.exp() * (1 + (short - held))


@loss(
    "multi_margin",
    signature="class_logits[B, C, *S], labels[B, *S] -> loss[B, *S]",
    family="classification",
    values="[0, inf)",
    aliases=("multiclass_hinge",),
    latex=r"\frac{1}{C} \sum_{c \ne y} \max(0,\ m - p_y + p_c)^k",
    reference=Reference(
        "J. Weston and C. Watkins",
        "Support Vector Machines for Multi-Class Pattern Recognition",
        1999,
    ),
    ranges={"power": "[1, 2]", "margin": "[0, inf)"},
    conventions=(
        "over='all' divides the sum over the wrong classes by the number of all classes, as "
        "PyTorch does; over='hardest' is the largest of its terms, as Keras and Crammer and "
        "Singer have it.",
        "The mean with class weights divides by the labels' weights; PyTorch's by the number of "
        "positions.",
    ),
    examples=(
        Example("multi_margin(p, y)", 0.375, {"p": [[2.0, 1.5, 2.0, 0.0]], "y": [0]}),
        Example("multi_margin(p, y, over='hardest')", 1.0, {"p": [[2.0, 1.5, 2.0, 0.0]], "y": [0]}),
    ),
    class_weight="labels",
)
def multi_margin(
    p: Tensor,
    y: Tensor,
    *,
    margin: Number = 1.0,
    power: int = 1,
    over: Literal["all", "hardest"] = "all",
) -> Tensor:
    """By how much other classes come closer to the own one's score than the margin.

    Args:
        margin: by how much the own class should lead.
        power: 1 for a hinge, 2 for its square.
        over: whether all wrong classes count, or the closest.

    Shape:
        p has the class axis, y is labels without it; one value a position.

    Example:
        `multi_margin(p, y, power=2)`
    """
    numbers = torch.arange(p.shape[1], device=p.device).reshape(-1, *[1] * (p.ndim - 2))
    short = (margin - at_label(p, y).unsqueeze(1) + p).relu()
    short = torch.where(numbers == y.unsqueeze(1), 0.0, short)
    if power == 2:
        short = short * short
    return short.amax(1) if over == "hardest" else mean_over(short, [1])


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
