"""Levels: classes in an order, predicted by one score for each step from one to the next."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import mean_over
from lossdsl.library.overlap import share
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss

STEPS = (
    "K scores for the steps between K + 1 levels: score k says that the level is above k. "
    "Labels count from 0 to K."
)


def step_costs(p: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropy of each step, and the steps' numbers."""
    numbers = torch.arange(p.shape[1], device=p.device)
    above = y.unsqueeze(1) > numbers
    return -F.logsigmoid(torch.where(above, p, -p)), numbers


@loss(
    "coral",
    signature="logits[B, K], labels[B] -> loss[B]",
    family="classification",
    values="[0, inf)",
    aliases=("ordinal",),
    latex=r"-\frac1K \sum_{k=0}^{K-1} \left[t_k \log \sigma(p_k) + (1 - t_k) \log(1 - "
    r"\sigma(p_k))\right], \quad t_k = [y > k]",
    reference=Reference(
        "W. Cao, V. Mirjalili and S. Raschka",
        "Rank Consistent Ordinal Regression for Neural Networks with Application to Age Estimation",
        2020,
        "1901.07884",
    ),
    conventions=(STEPS, "The mean over the steps, where the paper has a sum with weights."),
    pitfalls=(
        "Scores fall with k only if the network makes them so: one score with K biases, as in "
        "the paper.",
        "Predict the number of steps with a score above 0.",
    ),
    examples=(
        Example("coral(p, y)", 0.6931471805599453, {"p": [[0.0, 0.0]], "y": [1]}),
        Example(
            "coral(p, y)",
            (0.28768207245178085 + 1.3862943611198906) / 2,
            {"p": [[1.0986122886681098, 1.0986122886681098]], "y": [1]},
        ),
    ),
    use="For classes in an order (ages, grades, stages of a disease) with a network that shares "
    "one score among all steps: a miss by two levels costs more than one by one.",
    avoid="With free scores a step, which may contradict each other: `corn`. For classes without "
    "an order: `ce`.",
    checked="Loops over samples and steps from the paper in NumPy, in float64.",
    related={
        "corn": "each step given the one before",
        "ce": "classes without an order",
        "mse": "levels as numbers, evenly spaced",
    },
)
def coral(p: Tensor, y: Tensor) -> Tensor:
    """Cross entropy of the steps up to an ordered label.

    Shape:
        p of [B, K], y of [B] with labels from 0 to K; one value a sample.

    Example:
        `coral(score[:, none] + biases, y)`
    """
    cost, _ = step_costs(p, y)
    return mean_over(cost, [1])


@loss(
    "corn",
    signature="logits[B, K], labels[B] -> loss[]",
    family="classification",
    values="[0, inf)",
    latex=r"-\frac{1}{n} \sum_i \sum_{k \le y_i} \left[t_{ik} \log \sigma(p_{ik}) + (1 - t_{ik}) "
    r"\log(1 - \sigma(p_{ik}))\right], \quad t_{ik} = [y_i > k],\ n = \sum_i \min(y_i + 1, K)",
    reference=Reference(
        "X. Shi, W. Cao and S. Raschka",
        "Deep Neural Networks for Rank-Consistent Ordinal Regression Based On Conditional "
        "Probabilities",
        2021,
        "2111.08851",
    ),
    mask="inside",
    conventions=(
        STEPS,
        "A step counts for the samples that reached it; the mean over all that count, as in the "
        "authors' code.",
    ),
    pitfalls=(
        "The scores are conditional: the probability of a level above k is the product of the "
        "sigmoids up to k.",
    ),
    examples=(
        Example("corn(p, y)", 0.6931471805599453, {"p": [[0.0, 0.0]], "y": [0]}),
        Example(
            "corn(p, y)",
            (2 * 1.3862943611198906 + 0.28768207245178085) / 3,
            {"p": [[1.0986122886681098] * 2, [1.0986122886681098] * 2], "y": [0, 1]},
        ),
    ),
    use="For classes in an order with any network: probabilities of levels never contradict each "
    "other.",
    avoid="With few samples of the upper levels, whose steps only they train: `coral`.",
    checked="Loops over samples and steps from the paper in NumPy, in float64.",
    related={
        "coral": "every step for every sample",
        "ce": "classes without an order",
    },
)
def corn(p: Tensor, y: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Cross entropy of each step for the samples that reached it.

    Shape:
        p of [B, K], y of [B] with labels from 0 to K; one value for the batch.

    Example:
        `corn(p, y)`
    """
    kept = torch.ones_like(p, dtype=torch.bool) if mask is None else (mask > 0).expand_as(p)
    cost, numbers = step_costs(torch.where(kept, wide(p), 0.0), y)
    counted = (kept & (y.unsqueeze(1) >= numbers)).to(cost.dtype)
    return share((counted * cost).sum(), counted.sum())
