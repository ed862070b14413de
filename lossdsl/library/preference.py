"""Preferences: of two answers the chosen one is to become likelier than the rejected one, by more
than a reference model has it.

Arguments are log-probabilities of whole answers, already added up over their tokens: one number
an answer.
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

FOUR = "real[B], real[B], real[B], real[B] -> loss[B]"

SUMS = "Log-probabilities are summed over an answer's tokens, the prompt's left out."
CONSTANT = "The reference model is a constant: no gradient goes into its log-probabilities."

DPO = Reference(
    "R. Rafailov et al.",
    "Direct Preference Optimization: Your Language Model is Secretly a Reward Model",
    2023,
    "2305.18290",
)

FAVOURED = {"c": [-10.0], "r": [-12.0], "rc": [-11.0], "rr": [-11.0]}
"""The policy favours the chosen answer by 2 more than the reference does."""


def advantage(chosen: Tensor, rejected: Tensor, of_chosen: Tensor, of_rejected: Tensor) -> Tensor:
    """By how much the policy prefers the chosen answer more than the reference does."""
    return (chosen - of_chosen.detach()) - (rejected - of_rejected.detach())


@loss(
    "dpo",
    signature=FOUR,
    family="preference",
    values="[0, inf)",
    latex=(
        r"-(1 - \epsilon) \log \sigma(\beta h) - \epsilon \log \sigma(-\beta h),\quad "
        r"h = \log \frac{\pi(y_c)}{\pi_{ref}(y_c)} - \log \frac{\pi(y_r)}{\pi_{ref}(y_r)}"
    ),
    reference=DPO,
    ranges={"beta": "(0, inf)", "label_smoothing": "[0, 0.5)"},
    conventions=(
        "label_smoothing is the chance that a preference is wrong; 0 is the paper's loss.",
        SUMS,
        CONSTANT,
    ),
    pitfalls=("Both answers may become less likely while their difference grows.",),
    use=(
        "Alignment of a language model with pairs of a chosen and a rejected answer, held to a"
        " reference model, without a reward model."
    ),
    avoid=(
        "Certain preferences, which it follows without end: `ipo`. Single answers that are good"
        " or bad: `kto`. No memory for a reference model: `simpo` or `orpo`."
    ),
    checked="`scipy.special.log_expit`, with and without label smoothing",
    related={
        "ipo": "a margin to reach, not to pass",
        "dpo_hinge": "no gradient beyond the margin",
        "cpo": "without a reference model",
        "bradley_terry": "the same loss of scores",
    },
    identities=(
        ("dpo(c, r, 0, 0)", "cpo(c, r)"),
        (
            "dpo(c, r, rc, rr)",
            "input c: real[B]; input r: real[B]; input rc: real[B]; input rr: real[B]; "
            "cpo(c - rc, r - rr)",
        ),
    ),
    examples=(Example("dpo(c, r, rc, rr, beta=0.5)", math.log1p(math.exp(-1.0)), FAVOURED),),
)
def dpo(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: Number = 0.1,
    label_smoothing: Number = 0.0,
) -> Tensor:
    """Direct preference optimisation: a logistic loss of the change in preference.

    Args:
        beta: how firmly the policy is held to the reference.
        label_smoothing: the share of preferences taken to be wrong.

    Shape:
        Four log-probabilities of [B]; one value a pair of answers.

    Example:
        `dpo(chosen, rejected, ref_chosen, ref_rejected, beta=0.1)`
    """
    h = beta * advantage(chosen, rejected, reference_chosen, reference_rejected)
    return -((1 - label_smoothing) * F.logsigmoid(h) + label_smoothing * F.logsigmoid(-h))


@loss(
    "dpo_hinge",
    signature=FOUR,
    family="preference",
    values="[0, inf)",
    aliases=("rso",),
    latex=r"\max(0, 1 - \beta h)",
    reference=Reference(
        "T. Liu et al.",
        "Statistical Rejection Sampling Improves Preference Optimization",
        2023,
        "2309.06657",
    ),
    ranges={"beta": "(0, inf)"},
    conventions=("h is that of dpo.", SUMS, CONSTANT),
    use=(
        "Preferences that need not be followed beyond a margin: answers that are told apart well"
        " are left alone."
    ),
    avoid="Noisy preferences: `dpo` with label smoothing, or `ipo`. No reference model: `simpo`.",
    checked="the paper's formula in NumPy",
    related={
        "dpo": "smooth: the pull never ends",
        "ipo": "also draws back beyond its margin",
        "hinge": "the same of scores",
    },
    identities=(
        (
            "dpo_hinge(c, r, rc, rr)",
            "input c: real[B]; input r: real[B]; input rc: real[B]; input rr: real[B]; "
            "hinge(0.1*(c - rc - r + rr), 1)",
        ),
    ),
    examples=(Example("dpo_hinge(c, r, rc, rr, beta=0.1)", 0.8, FAVOURED),),
)
def dpo_hinge(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: Number = 0.1,
) -> Tensor:
    """Hinge of the change in preference: no gradient once the margin is kept.

    Args:
        beta: 1 over the margin.

    Shape:
        Four log-probabilities of [B]; one value a pair of answers.

    Example:
        `dpo_hinge(chosen, rejected, ref_chosen, ref_rejected)`
    """
    h = advantage(chosen, rejected, reference_chosen, reference_rejected)
    return F.relu(1 - beta * h)


@loss(
    "ipo",
    signature=FOUR,
    family="preference",
    values="[0, inf)",
    latex=r"\left(h - \frac{1}{2 \beta}\right)^2",
    reference=Reference(
        "M. G. Azar et al.",
        "A General Theoretical Paradigm to Understand Learning from Human Preferences",
        2023,
        "2310.12036",
    ),
    ranges={"beta": "(0, inf)"},
    conventions=(
        "h is that of dpo; beta is the paper's tau.",
        f"{SUMS} Some codes give means.",
        CONSTANT,
    ),
    use=(
        "Preferences that are certain or few, on which dpo drifts ever farther from the"
        " reference: the gain is drawn to one value."
    ),
    avoid=(
        "Many noisy preferences whose gains differ in truth: `dpo` with label smoothing. No"
        " reference model: `simpo`."
    ),
    checked="the paper's formula in NumPy",
    related={
        "dpo": "rewards any gain",
        "dpo_hinge": "one-sided",
        "mse": "the same of the gain itself",
    },
    identities=(
        (
            "ipo(c, r, rc, rr)",
            "input c: real[B]; input r: real[B]; input rc: real[B]; input rr: real[B]; "
            "mse(c - rc - r + rr, 5)",
        ),
    ),
    examples=(Example("ipo(c, r, rc, rr, beta=0.1)", 9.0, FAVOURED),),
)
def ipo(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: Number = 0.1,
) -> Tensor:
    """Squared distance of the change in preference to a margin: it does not grow without end.

    Args:
        beta: 1 over twice the margin.

    Shape:
        Four log-probabilities of [B]; one value a pair of answers.

    Example:
        `ipo(chosen, rejected, ref_chosen, ref_rejected)`
    """
    h = advantage(chosen, rejected, reference_chosen, reference_rejected)
    return (h - 0.5 / beta) ** 2
