"""Policies trained by reward: a step that may not go far from the policy that made the samples.

Log-probabilities are of single tokens or actions, [B, T]. Which of them are averaged with which is
the reduction's affair, and half of what tells the methods of language models apart: the mean
over all tokens (DAPO), `mean(grpo(…, reduction='batch'))` for the mean of each answer's mean
(GRPO), `per=` a constant for no mean at all (Dr. GRPO).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.latents import expm1_less, exponential
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

TOKENS = (
    "Log-probabilities of the tokens or actions that were taken: of the policy, then of the one"
    " that made the samples, which is a constant."
)
FIXED = "Advantages are constants: no gradient goes into them."
BENT = "The ratio goes on along its tangent where it would overflow (e^44 in float32)."
MASKED = "Prompt and padding must be masked: every token of the map counts."

TWO_STEPS = {"p": [[-1.0, -1.0]], "o": [[-1.0, -1.0 - math.log(2)]]}
"""Ratios of 1 and 2."""


def by_answer(value: Tensor, like: Tensor) -> Tensor:
    """One number an answer, for all its tokens."""
    return value.reshape(-1, *[1] * (like.dim() - 1))


def held(ratio: Tensor, advantage: Tensor, clip: Number, clip_high: Number | None) -> Tensor:
    """The pessimistic surrogate, negated: a gain ends at the clip, a loss does not."""
    high = 1 + (clip if clip_high is None else clip_high)
    gain = torch.where(ratio < high, ratio, high)
    cost = torch.where(ratio > 1 - clip, ratio, 1 - clip)
    return -advantage * torch.where(advantage > 0, gain, cost)


@loss(
    "policy_gradient",
    signature="real[B, *S], real[B, *S] -> loss[B, *S]",
    family="preference",
    values="(-inf, inf)",
    aliases=("reinforce",),
    latex=r"-A \log \pi(a)",
    reference=Reference(
        "R. J. Williams",
        "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning",
        1992,
    ),
    conventions=(
        "Log-probabilities of the actions that were taken, then their advantages.",
        FIXED,
        "What is subtracted from the reward is the caller's: the mean of the others is RLOO.",
    ),
    pitfalls=(
        "Its value says nothing about progress: watch the reward.",
        "One step for each sample: the policy that acted must be the policy that learns.",
        MASKED,
    ),
    use="Rewards that cannot be derived, with one step on fresh samples: the simplest of its kind,"
    " for sequences, discrete choices, hard attention.",
    avoid="Several steps on the same samples: `ppo`, or `grpo` for answers of a language model.",
    checked="the derivative of the expected reward of a softmax policy, action by action",
    related={
        "ppo": "several steps on the same samples",
        "cispo": "corrects for the policy that acted",
        "dft": "the model's own probability as the reward",
    },
    examples=(Example("policy_gradient(p, a)", 3.0, {"p": [-1.5], "a": [2.0]}),),
)
def policy_gradient(logp: Tensor, advantage: Tensor) -> Tensor:
    """Log-likelihood of the taken actions, weighed by what they were worth.

    Shape:
        Both alike, [B, ...]; one value an action.

    Example:
        `policy_gradient(logp, reward - mean(reward))`
    """
    return -advantage.detach() * logp


@loss(
    "ppo",
    signature="real[B, *S], real[B, *S], real[B, *S] -> loss[B, *S]",
    family="preference",
    values="(-inf, inf)",
    latex=(
        r"-\min\left(\rho A,\ \mathrm{clip}(\rho, 1 - \epsilon, 1 + \epsilon) A\right),\quad"
        r" \rho = \pi(a) / \pi_{old}(a)"
    ),
    reference=Reference(
        "J. Schulman, F. Wolski, P. Dhariwal, A. Radford, O. Klimov",
        "Proximal Policy Optimization Algorithms",
        2017,
        "1707.06347",
    ),
    ranges={"clip": "[0, 1]", "clip_high": "[0, inf)"},
    conventions=(
        TOKENS,
        FIXED,
        "clip_high is another ε above 1, as in DAPO (0.28); none is the same on both sides.",
        "GSPO's one ratio an answer is `ppo(mean(logp, over=[T], where=m), mean(old, over=[T],"
        " where=m), a, clip=3e-4, clip_high=4e-4)`.",
        BENT,
    ),
    pitfalls=(
        "Its value says nothing about progress: watch the reward.",
        MASKED,
    ),
    use="Reinforcement learning with an advantage for each action, from a critic: several epochs"
    " on the same samples, each step held near the policy that made them.",
    avoid="One advantage for a whole answer and no critic: `grpo`. Rare tokens whose ratio is"
    " clipped at once: `cispo` keeps their gradient.",
    checked="the paper's formula in NumPy, with the gradient of each side of the clip",
    related={
        "grpo": "one advantage an answer, and a pull to a reference",
        "cispo": "clips the weight and keeps the gradient",
    },
    examples=(
        Example("ppo(p, o, a)", -1.1, {**TWO_STEPS, "a": [[1.0, 1.0]]}),
        Example("ppo(p, o, a)", 1.5, {**TWO_STEPS, "a": [[-1.0, -1.0]]}),
        Example("ppo(p, o, a, clip_high=0.28)", -1.14, {**TWO_STEPS, "a": [[1.0, 1.0]]}),
    ),
)
def ppo(
    logp: Tensor,
    old: Tensor,
    advantage: Tensor,
    *,
    clip: Number = 0.2,
    clip_high: Number | None = None,
) -> Tensor:
    """Clipped surrogate of a policy's gain over the policy that acted.

    Args:
        clip: how far below 1 a ratio counts, and above it unless clip_high says otherwise.
        clip_high: how far above 1 a ratio counts.

    Shape:
        All three alike, [B, ...]; one value an action.

    Example:
        `ppo(logp, old_logp, advantage, mask=taken)`
    """
    ratio = exponential(wide(logp) - wide(old).detach())
    return held(ratio, wide(advantage).detach(), clip, clip_high)


@loss(
    "grpo",
    signature="real[B, *S], real[B, *S], real[B], real[B, *S]? -> loss[B, *S]",
    family="preference",
    values="(-inf, inf)",
    latex=(
        r"-\min\left(\rho A,\ \mathrm{clip}(\rho, 1 - \epsilon, 1 + \epsilon) A\right) + \beta"
        r" \left(\tfrac{\pi_{ref}}{\pi} - \log \tfrac{\pi_{ref}}{\pi} - 1\right)"
    ),
    reference=Reference(
        "Z. Shao et al.",
        "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models",
        2024,
        "2402.03300",
    ),
    ranges={"beta": "[0, inf)", "clip": "[0, 1]", "clip_high": "[0, inf)"},
    conventions=(
        TOKENS,
        "One advantage an answer: its reward, less the mean of its group, over the group's"
        " spread; Dr. GRPO leaves the spread out.",
        FIXED,
        "The last argument is the reference policy's; without it beta has nothing to weigh.",
        BENT,
    ),
    pitfalls=(
        "The default mean is over all tokens of the batch, as in DAPO; the paper's is"
        " `mean(grpo(…, reduction='batch'))`, in which tokens of long answers count less.",
        MASKED,
    ),
    use="Language models trained by a reward of whole answers, such as a right solution: several"
    " answers a prompt take the place of a critic.",
    avoid="Preferences between answers, without a reward: `dpo`. Mixtures of experts, whose"
    " tokens' ratios jump: `ppo` of whole answers.",
    checked="the paper's formula in NumPy, with the gradient of each side of the clip",
    related={
        "ppo": "an advantage for each token",
        "cispo": "clips the weight and keeps the gradient",
        "dpo": "pairs of answers in place of rewards",
    },
    identities=(
        (
            "input p: real[B, T]; input o: real[B, T]; input a: real[B]; grpo(p, o, a)",
            "input p: real[B, T]; input o: real[B, T]; input a: real[B]; "
            "ppo(p, o, a[:, none] + 0*p)",
        ),
    ),
    examples=(
        Example("grpo(p, o, a)", -1.1, {**TWO_STEPS, "a": [1.0]}),
        Example(
            "grpo(p, o, a, r, beta=1)",
            -1.1 + (1 - math.log(2)) / 2,
            {**TWO_STEPS, "a": [1.0], "r": [[-1.0, -1.0 + math.log(2)]]},
        ),
    ),
)
def grpo(
    logp: Tensor,
    old: Tensor,
    advantage: Tensor,
    reference: Tensor | None = None,
    *,
    beta: Number = 0.04,
    clip: Number = 0.2,
    clip_high: Number | None = None,
) -> Tensor:
    """Clipped surrogate with one advantage an answer, and a pull to a reference policy.

    Args:
        beta: how firmly the policy is held to the reference.
        clip: how far below 1 a ratio counts, and above it unless clip_high says otherwise.
        clip_high: how far above 1 a ratio counts.

    Shape:
        Log-probabilities alike, [B, T], and advantages of [B]; one value a token.

    Example:
        `mean(grpo(logp, old_logp, advantage, ref_logp, mask=answer, reduction='batch'))`
    """
    logp = wide(logp)
    ratio = exponential(logp - wide(old).detach())
    cost = held(ratio, by_answer(wide(advantage).detach(), logp), clip, clip_high)
    if reference is None:
        return cost
    return cost + beta * expm1_less(wide(reference).detach() - logp)


@loss(
    "cispo",
    signature="real[B, *S], real[B, *S], real[B] -> loss[B, *S]",
    family="preference",
    values="(-inf, inf)",
    latex=r"-\mathrm{sg}\left(\min(\rho, c)\right) A \log \pi(a)",
    reference=Reference(
        "MiniMax",
        "MiniMax-M1: Scaling Test-Time Compute Efficiently with Lightning Attention",
        2025,
        "2506.13585",
    ),
    ranges={"most": "(0, inf)"},
    conventions=(
        TOKENS,
        "One advantage an answer, as in grpo.",
        FIXED,
        "The ratio is a weight without gradient; there is no bound below, as in the paper.",
    ),
    pitfalls=(
        "The paper does not say its bound; 5 is common since.",
        MASKED,
    ),
    use="Language models trained by a reward, where the rare tokens that turn an answer must learn"
    " although their ratio is far from 1.",
    avoid="Steps that must stay near the old policy: `ppo` and `grpo` stop at the clip.",
    checked="the paper's formula in NumPy, with its gradient",
    related={
        "grpo": "no gradient beyond the clip",
        "ppo": "no gradient beyond the clip, and an advantage for each token",
    },
    examples=(
        Example("cispo(p, o, a, most=1.5)", 1.25, {**TWO_STEPS, "a": [1.0]}),
        Example("cispo(p, o, a)", -1.5, {**TWO_STEPS, "a": [-1.0]}),
    ),
)
def cispo(logp: Tensor, old: Tensor, advantage: Tensor, *, most: Number = 5.0) -> Tensor:
    """Log-likelihood of the taken tokens, weighed by advantage and a bounded importance.

    Args:
        most: the largest importance of a token.

    Shape:
        Log-probabilities alike, [B, T], and advantages of [B]; one value a token.

    Example:
        `cispo(logp, old_logp, advantage, mask=answer)`
    """
    logp = wide(logp)
    ratio = exponential(logp.detach() - wide(old).detach())
    weight = torch.where(ratio < most, ratio, most)
    return -weight * by_answer(wide(advantage).detach(), logp) * logp
