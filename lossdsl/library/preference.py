"""Preferences: of two answers the chosen one is to become likelier than the rejected one.

Arguments are log-probabilities of whole answers, already added up (or averaged, where a loss says
so) over their tokens: one number an answer.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdsl.library.guarded import log_prob
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

FOUR = "real[B], real[B], real[B], real[B] -> loss[B]"
TWO = "real[B], real[B] -> loss[B]"

SUMS = "Log-probabilities are summed over an answer's tokens, the prompt's left out."
MEANS = "Log-probabilities are means over an answer's tokens, the prompt's left out."
CONSTANT = "The reference model is a constant: no gradient goes into its log-probabilities."

DPO = Reference(
    "R. Rafailov et al.",
    "Direct Preference Optimization: Your Language Model is Secretly a Reward Model",
    2023,
    "2305.18290",
)

FAVOURED = {"c": [-10.0], "r": [-12.0], "rc": [-11.0], "rr": [-11.0]}
"""The policy favours the chosen answer by 2 more than the reference does."""

ALONE = {"c": [-10.0], "r": [-12.0]}


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


@loss(
    "cpo",
    signature=TWO,
    family="preference",
    values="[0, inf)",
    latex=r"-\log \sigma\left(\beta (\log \pi(y_c) - \log \pi(y_r))\right)",
    reference=Reference(
        "H. Xu et al.",
        "Contrastive Preference Optimization: Pushing the Boundaries of LLM Performance in "
        "Machine Translation",
        2024,
        "2401.08417",
    ),
    ranges={"beta": "(0, inf)"},
    conventions=(
        "The preference alone: the paper adds the negative log-likelihood of the chosen answer.",
        SUMS,
    ),
    examples=(Example("cpo(c, r, beta=0.5)", math.log1p(math.exp(-1.0)), ALONE),),
)
def cpo(chosen: Tensor, rejected: Tensor, *, beta: Number = 0.1) -> Tensor:
    """Logistic loss of the difference in log-probability, without a reference model.

    Args:
        beta: what multiplies the difference.

    Shape:
        Two log-probabilities of [B]; one value a pair of answers.

    Example:
        `cpo(chosen, rejected) + mean(-chosen)`
    """
    return -F.logsigmoid(beta * (chosen - rejected))


@loss(
    "simpo",
    signature=TWO,
    family="preference",
    values="[0, inf)",
    latex=(
        r"-\log \sigma\left(\frac{\beta}{|y_c|} \log \pi(y_c) - "
        r"\frac{\beta}{|y_r|} \log \pi(y_r) - \gamma\right)"
    ),
    reference=Reference(
        "Y. Meng, M. Xia, D. Chen",
        "SimPO: Simple Preference Optimization with a Reference-Free Reward",
        2024,
        "2405.14734",
    ),
    ranges={"beta": "(0, inf)", "gamma": "[0, inf)"},
    conventions=(
        "gamma is the margin after beta, as in the paper's formula.",
        MEANS,
    ),
    examples=(Example("simpo(c, r, beta=2, gamma=1)", math.log1p(math.exp(-3.0)), ALONE),),
)
def simpo(chosen: Tensor, rejected: Tensor, *, beta: Number = 2.0, gamma: Number = 0.5) -> Tensor:
    """Logistic loss of the difference in mean log-probability, beyond a margin.

    Args:
        beta: what multiplies the difference.
        gamma: the margin.

    Shape:
        Two mean log-probabilities of [B]; one value a pair of answers.

    Example:
        `simpo(chosen, rejected, gamma=1)`
    """
    return -F.logsigmoid(beta * (chosen - rejected) - gamma)


@loss(
    "orpo",
    signature="log_prob[B], log_prob[B] -> loss[B]",
    family="preference",
    values="[0, inf)",
    latex=r"-\log \sigma\left(\log \frac{\mathrm{odds}(y_c)}{\mathrm{odds}(y_r)}\right),\quad "
    r"\mathrm{odds} = \frac{\pi}{1 - \pi}",
    reference=Reference(
        "J. Hong, N. Lee, J. Thorne",
        "ORPO: Monolithic Preference Optimization without Reference Model",
        2024,
        "2403.07691",
    ),
    conventions=(
        "The odds ratio alone: the paper adds it, times 0.1, to the chosen answer's negative"
        " log-likelihood.",
        MEANS,
        "log(1 - p) is never below -100 and never steeper than 1e12.",
    ),
    examples=(
        Example(
            "orpo(c, r)",
            math.log1p(0.25 / 0.75),
            {"c": [math.log(0.75)], "r": [math.log(0.5)]},
        ),
    ),
)
def orpo(chosen: Tensor, rejected: Tensor) -> Tensor:
    """Logistic loss of the log odds ratio of two answers.

    Shape:
        Two mean log-probabilities of [B]; one value a pair of answers.

    Example:
        `mean(-chosen) + 0.1*orpo(chosen, rejected)`
    """
    odds = (chosen - rejected) - (log_prob(-torch.expm1(chosen)) - log_prob(-torch.expm1(rejected)))
    return -F.logsigmoid(odds)


@loss(
    "kto",
    signature="real[B], real[B], mask[B], real[M]? -> loss[B]",
    family="preference",
    values="[0, inf)",
    latex=(
        r"\begin{cases} \lambda_D \left(1 - \sigma(\beta (r - z))\right) & \text{desirable} \\ "
        r"\lambda_U \left(1 - \sigma(\beta (z - r))\right) & \text{undesirable} \end{cases},\quad "
        r"r = \log \frac{\pi(y)}{\pi_{ref}(y)}"
    ),
    reference=Reference(
        "K. Ethayarajh, W. Xu, N. Muennighoff, D. Jurafsky, D. Kiela",
        "KTO: Model Alignment as Prospect Theoretic Optimization",
        2024,
        "2402.01306",
    ),
    ranges={
        "beta": "(0, inf)",
        "desirable_weight": "[0, inf)",
        "undesirable_weight": "[0, inf)",
    },
    conventions=(
        "z is the mean of the last argument, log-ratios of answers to other prompts, at least 0"
        " and without gradient; without that argument z is 0.",
        SUMS,
        CONSTANT,
    ),
    examples=(
        Example(
            "kto(c, rc, y, beta=1)",
            1 - 1 / (1 + math.exp(-1.0)),
            {"c": [-10.0], "rc": [-11.0], "y": [1.0]},
        ),
    ),
)
def kto(
    policy: Tensor,
    reference: Tensor,
    desirable: Tensor,
    mismatched: Tensor | None = None,
    *,
    beta: Number = 0.1,
    desirable_weight: Number = 1.0,
    undesirable_weight: Number = 1.0,
) -> Tensor:
    """Value of single answers that were found good or bad, against what is usual.

    Args:
        beta: how firmly the policy is held to the reference.
        desirable_weight: what a good answer counts.
        undesirable_weight: what a bad answer counts.

    Shape:
        policy, reference and desirable of [B]; mismatched log-ratios of [M]; one value an answer.

    Example:
        `kto(logp, ref_logp, good, kl)`
    """
    ratio = policy - reference.detach()
    usual: Number = 0.0
    if mismatched is not None:
        fixed = mismatched.detach()
        usual = (fixed.sum() / max(fixed.shape[0], 1)).clamp(min=0)
    gain = beta * (ratio - usual)
    good = desirable_weight * torch.sigmoid(-gain)
    bad = undesirable_weight * torch.sigmoid(gain)
    return desirable * good + (1 - desirable) * bad


@loss(
    "bradley_terry",
    signature="score[B], score[B] -> loss[B]",
    family="preference",
    values="[0, inf)",
    aliases=("reward_model",),
    latex=r"-\log \sigma(r_c - r_r - m)",
    reference=Reference(
        "R. A. Bradley, M. E. Terry",
        "Rank Analysis of Incomplete Block Designs: I. The Method of Paired Comparisons",
        1952,
    ),
    conventions=("Only the difference of the scores counts.",),
    examples=(
        Example("bradley_terry(c, r)", math.log1p(math.exp(-2.0)), {"c": [3.0], "r": [1.0]}),
    ),
)
def bradley_terry(chosen: Tensor, rejected: Tensor, *, margin: Number = 0.0) -> Tensor:
    """Logistic loss of the scores of two answers: what a reward model is trained with.

    Args:
        margin: by how much the chosen answer is to be better.

    Shape:
        Two scores of [B]; one value a pair of answers.

    Example:
        `bradley_terry(r_chosen, r_rejected)`
    """
    return -F.logsigmoid(chosen - rejected - margin)
