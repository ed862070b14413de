"""Margins: how far a score stands on its target's side, of one score or of one class over others.

Targets of single scores are signs.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.library.chosen import at_label
from lossdsl.library.guarded import mean_over
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

# What the identities below declare.
BITS = "input p: logits[*S]; input y: mask[*S]; "
TWO = "input p: class_logits[B, 2]; input y: labels[B]; "
SIGNED = "input p: score[*S]; input y: mask[*S]; "

SIGNS = "Targets are -1 and 1; a mask of 0 and 1 becomes them."

COX = Reference("D. R. Cox", "The Regression Analysis of Binary Sequences", 1958)


@loss(
    "hinge",
    signature="score[*S], sign[*S] -> loss[*S]",
    family="classification",
    values="[0, inf)",
    latex=r"\max(0,\ m - y p)",
    reference=Reference("C. Cortes and V. Vapnik", "Support-Vector Networks", 1995),
    ranges={"margin": "[0, inf)"},
    conventions=("Targets are -1 and 1; on the margin itself the gradient is 0.",),
    examples=(Example("hinge(p, y)", 1.0, {"p": [0.5, 0.5], "y": [1.0, -1.0]}),),
    use=(
        "Classifiers that need a decision and no probability, such as support vector machines: "
        "samples beyond the margin are left alone."
    ),
    avoid=(
        "Probabilities: `logistic` or `bce`. Several classes: `multi_margin`. Discriminators: "
        "`hinge_gan_d`."
    ),
    checked="`sklearn.metrics.hinge_loss`.",
    related={
        "squared_hinge": "its square",
        "perceptron": "without a margin",
        "logistic": "its smooth form",
        "multi_margin": "of several classes",
    },
    identities=(
        ("hinge(p, y, margin=0)", "perceptron(p, y)"),
        ("hinge(p, y, margin=2)", "2*hinge(p/2, y)"),
    ),
)
def hinge(p: Tensor, y: Tensor, *, margin: Number = 1.0) -> Tensor:
    """How far a score falls short of the margin on its target's side.

    Args:
        margin: the score from which an element costs nothing; 0 is the perceptron's loss.

    Shape:
        p and y alike, any shape; one value an element.

    Example:
        `hinge(score, y)`
    """
    return (margin - y * p).relu()


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
    use=(
        "Scores against targets of -1 and 1, as in tracking; the sigmoid of the score is a "
        "probability."
    ),
    avoid=(
        "Targets of 0 and 1, or soft ones: `bce`. Wrong labels, which pull at full slope however "
        "far they are: `gce` lets go."
    ),
    checked="`torch.nn.functional.soft_margin_loss`, and NumPy's logaddexp.",
    related={
        "bce": "targets of 0 and 1",
        "hinge": "no pull beyond the margin",
        "exponential": "far mistakes dominate",
        "ranknet": "of differences of scores",
    },
    identities=(
        (f"{BITS}logistic(score(p), y)", f"{BITS}bce(p, y)"),
        ("logistic(p, y)", "mean(softplus(-y*p))"),
    ),
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
    use="The historical rule, and comparisons with it: only samples on the wrong side count.",
    avoid=(
        "Classifiers that should generalise, since scores of 0 satisfy it: `hinge` asks for a "
        "margin, `logistic` for ever more."
    ),
    checked="The formula in NumPy.",
    related={
        "hinge": "with a margin",
        "margin_ranking": "the same of a difference of two scores",
    },
    identities=(
        ("perceptron(p, y)", "hinge(p, y, margin=0)"),
        ("perceptron(p, y)", "margin_ranking(p, 0, y, margin=0)"),
    ),
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
    use="Linear support vector machines with solvers that need a continuous slope.",
    avoid="Wrong labels, whose squares dominate: `hinge`. Probabilities: `logistic`.",
    checked="The formula in NumPy.",
    related={
        "hinge": "its root: less pull from far mistakes",
        "multi_margin": "of several classes, its square with power=2",
    },
    identities=(("squared_hinge(p, y)", "mean(hinge(p, y, reduction='none')**2)"),),
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
    use="What AdaBoost minimises: boosting, and comparisons with it.",
    avoid=(
        "Wrong labels, of which one outweighs all others: `logistic` grows linearly, and gives "
        "probabilities."
    ),
    checked="The formula in NumPy.",
    related={
        "logistic": "linear for far mistakes",
        "hinge": "no pull beyond the margin",
    },
    identities=((f"{SIGNED}exponential(p, y)", f"{SIGNED}exponential(-p, 1 - y)"),),
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
    use=(
        "Classification by scores alone, with a lead over the other classes: linear models and "
        "small heads on fixed features."
    ),
    avoid="Probabilities: `ce`. Embeddings whose classes are directions: `cosface` or `arcface`.",
    checked="`torch.nn.functional.multi_margin_loss` and `sklearn.metrics.hinge_loss`.",
    related={
        "hinge": "of two classes",
        "ce": "its smooth form",
        "multilabel_margin": "several labels a sample",
        "ldam": "margins that depend on the class",
    },
    identities=(
        (f"{TWO}multi_margin(p, y)", f"{TWO}0.5*hinge(score(p[:, 1] - p[:, 0]), y == 1)"),
        (
            f"{TWO}multi_margin(p, y, over='hardest')",
            f"{TWO}hinge(score(p[:, 1] - p[:, 0]), y == 1)",
        ),
    ),
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
