"""Answers preferred without a reference model, judged one by one, or scored.

Log-probabilities are of whole answers, already added up (or averaged, where a loss says so) over
their tokens: one number an answer.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdsl.library.guarded import log_prob
from lossdsl.library.preference import CONSTANT, SUMS
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

TWO = "real[B], real[B] -> loss[B]"

MEANS = "Log-probabilities are means over an answer's tokens, the prompt's left out."

ALONE = {"c": [-10.0], "r": [-12.0]}


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
    use=(
        "Preferences without a reference model, as in machine translation, beside the chosen"
        " answer's negative log-likelihood."
    ),
    avoid=(
        "Answers of different lengths, of which the short ones win: `simpo` takes means. A"
        " policy that must stay near its start: `dpo`."
    ),
    checked="`scipy.special.log_expit`",
    related={
        "dpo": "held to a reference model",
        "simpo": "means over tokens, and a margin",
        "orpo": "odds in place of likelihoods",
    },
    identities=(
        (
            "input c: real[B]; input r: real[B]; cpo(c, r, beta=1)",
            "input c: real[B]; input r: real[B]; bradley_terry(c, r)",
        ),
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
    use=(
        "Preferences without a reference model whose answers differ in length: mean"
        " log-probabilities, beyond a margin."
    ),
    avoid=(
        "A policy that must stay near its start: `dpo` or `ipo`. Instruction tuning in the same"
        " step: `orpo`."
    ),
    checked="`scipy.special.log_expit`",
    related={
        "cpo": "sums and no margin",
        "dpo": "held to a reference model",
        "orpo": "odds, beside the likelihood",
    },
    identities=(
        (
            "input c: real[B]; input r: real[B]; simpo(c, r, beta=0.1, gamma=0)",
            "input c: real[B]; input r: real[B]; cpo(c, r, beta=0.1)",
        ),
        (
            "input c: real[B]; input r: real[B]; simpo(c, r, beta=1, gamma=2)",
            "input c: real[B]; input r: real[B]; bradley_terry(c, r, margin=2)",
        ),
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
    use=(
        "Instruction tuning and preferences in one step: with weight 0.1 beside the chosen"
        " answer's negative log-likelihood, no reference model."
    ),
    avoid=(
        "A tuned model that is only to be aligned: `dpo` or `simpo`. Alone: it has no pull"
        " towards likely answers."
    ),
    checked="odds in NumPy",
    related={
        "simpo": "mean log-probabilities in place of odds",
        "cpo": "summed log-probabilities",
        "dpo": "held to a reference model",
    },
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
    use="Single answers that were found good or bad, thumbs up or down, with no pairs.",
    avoid=(
        "Pairs at hand, which say more: `dpo`. Batches with no estimate of what is usual: give"
        " the mismatched log-ratios, or take `dpo` on pairs."
    ),
    checked="`scipy.special.expit` and the paper's formula in NumPy",
    related={
        "dpo": "pairs of answers",
        "bce": "logarithms: single errors are not bounded",
    },
    identities=(
        ("kto(p, q, 1)", "input p: real[B]; input q: real[B]; mean(sigmoid(-0.1*(p - q)))"),
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
    use="Reward models, and any score that is learned from comparisons of two.",
    avoid=(
        "Lists with graded relevance: `ranknet` or `lambdarank`. A policy without a reward"
        " model: `dpo`."
    ),
    checked="`scipy.special.log_expit`",
    related={
        "bpr": "the same formula of rankings, in any shape",
        "dpo": "the policy's own log-ratios are the scores",
        "margin_ranking": "a hinge in place of the logistic function",
    },
    identities=(("bradley_terry(c, r)", "input c: score[B]; input r: score[B]; bpr(c, r)"),),
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
