"""Pairs of answers judged in other ways than DPO's: anchored one by one, by squares, under noise.

Arguments are those of dpo: log-probabilities of whole answers under the policy, chosen and
rejected, then under the reference.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdsl.library.preference import CONSTANT, FAVOURED, FOUR, SUMS, advantage
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

OF_H = "h is that of dpo: the gain over the reference of the chosen answer, less the rejected's."
ANCHORED = Reference(
    "K. D'Oosterlinck et al.",
    "Anchored Preference Optimization and Contrastive Revisions: Addressing Underspecification in "
    "Alignment",
    2024,
    "2408.06266",
)


def gains(
    chosen: Tensor, rejected: Tensor, of_chosen: Tensor, of_rejected: Tensor
) -> tuple[Tensor, Tensor]:
    """How much likelier than under the reference each answer is."""
    return chosen - of_chosen.detach(), rejected - of_rejected.detach()


def sigmoid_of(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@loss(
    "dpo_robust",
    signature=FOUR,
    family="preference",
    values="(-inf, inf)",
    aliases=("rdpo",),
    latex=(
        r"\frac{-(1 - \epsilon) \log \sigma(\beta h) + \epsilon \log \sigma(-\beta h)}"
        r"{1 - 2 \epsilon}"
    ),
    reference=Reference(
        "S. R. Chowdhury, A. Kini, N. Natarajan",
        "Provably Robust DPO: Aligning Language Models with Noisy Feedback",
        2024,
        "2403.00409",
    ),
    ranges={"beta": "(0, inf)", "flipped": "[0, 0.5)"},
    conventions=(
        OF_H,
        "The flipped share is subtracted, so that its mean over the noise is the loss of clean"
        " preferences; `dpo` with label_smoothing adds it.",
        SUMS,
        CONSTANT,
    ),
    pitfalls=("It is negative, and without a lower bound, for preferences that are followed far.",),
    use="Preferences of which a known share is the wrong way round.",
    avoid="A share that nobody knows: `dpo` with label_smoothing is the calmer guess, `ipo` has"
    " no need of one.",
    checked="the paper's formula in NumPy, and the mean over flipped labels",
    related={"dpo": "label_smoothing in place of a correction", "ipo": "a margin to reach"},
    identities=(("dpo_robust(c, r, rc, rr, flipped=0)", "dpo(c, r, rc, rr)"),),
    examples=(
        Example(
            "dpo_robust(c, r, rc, rr, beta=0.5, flipped=0.25)",
            -1.5 * math.log(sigmoid_of(1.0)) + 0.5 * math.log(sigmoid_of(-1.0)),
            FAVOURED,
        ),
    ),
)
def dpo_robust(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: Number = 0.1,
    flipped: Number = 0.1,
) -> Tensor:
    """Direct preference optimisation that is right on average where some labels are flipped.

    Args:
        beta: how firmly the policy is held to the reference.
        flipped: the share of preferences that are the wrong way round.

    Shape:
        Four log-probabilities of [B]; one value a pair of answers.

    Example:
        `dpo_robust(chosen, rejected, ref_chosen, ref_rejected, flipped=0.1)`
    """
    h = beta * advantage(chosen, rejected, reference_chosen, reference_rejected)
    clean = (1 - flipped) * F.logsigmoid(h) - flipped * F.logsigmoid(-h)
    return -clean / (1 - 2 * flipped)


@loss(
    "exo",
    signature=FOUR,
    family="preference",
    values="[0, inf)",
    latex=(
        r"\mathrm{KL}\left((\sigma(\beta h), \sigma(-\beta h)),\ (1 - \epsilon, \epsilon)\right)"
    ),
    reference=Reference(
        "H. Ji et al.",
        "Towards Efficient Exact Optimization of Language Model Alignment",
        2024,
        "2402.00856",
    ),
    ranges={"beta": "(0, inf)", "label_smoothing": "(0, 0.5)"},
    conventions=(
        OF_H,
        "The paper's form for pairs: the reverse divergence from the labels' distribution, where"
        " dpo has the forward one.",
        SUMS,
        CONSTANT,
    ),
    pitfalls=(
        "Without label smoothing it would be infinite; 0.001 is the original code's.",
        "A pair that is far on the wrong side has hardly any gradient.",
    ),
    use="Preferences to be followed up to the certainty that they have, where seeking the mode of"
    " the labels is better than covering them.",
    avoid="A policy that starts on the wrong side of many pairs: `dpo` pulls hardest there.",
    checked="`scipy.special.rel_entr`",
    related={
        "dpo": "the forward divergence",
        "reverse_kl": "the same of classes",
        "ipo": "a margin to reach, not to pass",
    },
    examples=(
        Example(
            "exo(c, r, rc, rr, beta=0.5, label_smoothing=0.25)",
            sigmoid_of(1.0) * math.log(sigmoid_of(1.0) / 0.75)
            + sigmoid_of(-1.0) * math.log(sigmoid_of(-1.0) / 0.25),
            FAVOURED,
        ),
    ),
)
def exo(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: Number = 0.1,
    label_smoothing: Number = 1e-3,
) -> Tensor:
    """Divergence of the policy's own preference from the labels'.

    Args:
        beta: how firmly the policy is held to the reference.
        label_smoothing: the share of preferences taken to be wrong.

    Shape:
        Four log-probabilities of [B]; one value a pair of answers.

    Example:
        `exo(chosen, rejected, ref_chosen, ref_rejected)`
    """
    h = beta * advantage(chosen, rejected, reference_chosen, reference_rejected)
    wrong = torch.as_tensor(label_smoothing, dtype=h.dtype, device=h.device)
    right = torch.sigmoid(h) * (F.logsigmoid(h) - torch.log1p(-wrong))
    return right + torch.sigmoid(-h) * (F.logsigmoid(-h) - wrong.log())


@loss(
    "nca",
    signature=FOUR,
    family="preference",
    values="[0, inf)",
    latex=(
        r"-\log \sigma(\beta g_c) - \tfrac12 \log \sigma(-\beta g_c)"
        r" - \tfrac12 \log \sigma(-\beta g_r),\quad g = \log \frac{\pi(y)}{\pi_{ref}(y)}"
    ),
    reference=Reference(
        "H. Chen et al.",
        "Noise Contrastive Alignment of Language Models with Explicit Rewards",
        2024,
        "2402.05369",
    ),
    ranges={"beta": "(0, inf)"},
    conventions=(
        "The paper's form for pairs; g is the gain of each answer over the reference.",
        SUMS,
        CONSTANT,
    ),
    use="Preferences whose chosen answers must not become less likely, as they may under `dpo`:"
    " each answer has its own optimum.",
    avoid="Where the difference of the answers is all that counts: `dpo`. Answers without a"
    " partner: `kto`.",
    checked="`scipy.special.log_expit`",
    related={
        "dpo": "the difference alone",
        "apo_zero": "the same wish, with bounded pulls",
        "kto": "answers one by one",
    },
    examples=(
        Example(
            "nca(c, r, rc, rr, beta=1)",
            -math.log(sigmoid_of(1.0))
            - 0.5 * math.log(sigmoid_of(-1.0))
            - 0.5 * math.log(sigmoid_of(1.0)),
            FAVOURED,
        ),
    ),
)
def nca(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: Number = 0.1,
) -> Tensor:
    """Noise-contrastive alignment: each answer told from samples of the reference.

    Args:
        beta: how firmly the policy is held to the reference.

    Shape:
        Four log-probabilities of [B]; one value a pair of answers.

    Example:
        `nca(chosen, rejected, ref_chosen, ref_rejected)`
    """
    up, down = gains(chosen, rejected, reference_chosen, reference_rejected)
    noise = F.logsigmoid(-beta * up) + F.logsigmoid(-beta * down)
    return -F.logsigmoid(beta * up) - 0.5 * noise


@loss(
    "apo_zero",
    signature=FOUR,
    family="preference",
    values="[0, 2]",
    latex=r"1 - \sigma(\beta g_c) + \sigma(\beta g_r)",
    reference=ANCHORED,
    ranges={"beta": "(0, inf)"},
    conventions=("g is the gain of each answer over the reference.", SUMS, CONSTANT),
    pitfalls=("An answer far from the reference, on either side, has hardly any gradient.",),
    use="Chosen answers that are better than what the model would write: they become likelier,"
    " rejected ones less likely, each for itself.",
    avoid="A model that is better than the chosen answers: `apo_down`. Only the difference"
    " counts: `dpo`.",
    checked="`scipy.special.expit`",
    related={
        "apo_down": "both answers down, the rejected one further",
        "nca": "logarithms in place of sigmoids",
        "dpo": "the difference alone",
    },
    examples=(Example("apo_zero(c, r, rc, rr, beta=1)", 2 * (1 - sigmoid_of(1.0)), FAVOURED),),
)
def apo_zero(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: Number = 0.1,
) -> Tensor:
    """Anchored preferences: chosen answers up, rejected ones down.

    Args:
        beta: how firmly the policy is held to the reference.

    Shape:
        Four log-probabilities of [B]; one value a pair of answers.

    Example:
        `apo_zero(chosen, rejected, ref_chosen, ref_rejected)`
    """
    up, down = gains(chosen, rejected, reference_chosen, reference_rejected)
    return torch.sigmoid(-beta * up) + torch.sigmoid(beta * down)


@loss(
    "apo_down",
    signature=FOUR,
    family="preference",
    values="[0, 2]",
    latex=r"\sigma(\beta g_c) + 1 - \sigma\left(\beta (g_c - g_r)\right)",
    reference=ANCHORED,
    ranges={"beta": "(0, inf)"},
    conventions=("g is the gain of each answer over the reference.", SUMS, CONSTANT),
    pitfalls=("Chosen answers become less likely: that is its purpose.",),
    use="A model that is better than the chosen answers: both become less likely, and the rejected"
    " one further.",
    avoid="Chosen answers to learn from: `apo_zero`.",
    checked="`scipy.special.expit`",
    related={
        "apo_zero": "chosen answers up",
        "dpo": "the difference alone",
    },
    examples=(
        Example("apo_down(c, r, rc, rr, beta=1)", sigmoid_of(1.0) + sigmoid_of(-2.0), FAVOURED),
    ),
)
def apo_down(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: Number = 0.1,
) -> Tensor:
    """Anchored preferences: both answers down, the rejected one further.

    Args:
        beta: how firmly the policy is held to the reference.

    Shape:
        Four log-probabilities of [B]; one value a pair of answers.

    Example:
        `apo_down(chosen, rejected, ref_chosen, ref_rejected)`
    """
    up, down = gains(chosen, rejected, reference_chosen, reference_rejected)
    return torch.sigmoid(beta * up) + torch.sigmoid(-beta * (up - down))


@loss(
    "sppo",
    signature=FOUR,
    family="preference",
    values="[0, inf)",
    latex=(r"\left(g_c - \tfrac{1}{2 \beta}\right)^2 + \left(g_r + \tfrac{1}{2 \beta}\right)^2"),
    reference=Reference(
        "Y. Wu, Z. Sun, H. Yuan, K. Ji, Y. Yang, Q. Gu",
        "Self-Play Preference Optimization for Language Model Alignment",
        2024,
        "2405.00675",
    ),
    ranges={"beta": "(0, inf)"},
    conventions=(
        "The form for hard labels: the chosen answer wins with probability 1, the rejected one"
        " with 0. g is the gain of each answer over the reference.",
        "beta is 1/η of the paper.",
        SUMS,
        CONSTANT,
    ),
    pitfalls=("The reference is the policy of the last round, not the model before training.",),
    use="Self-play in rounds: each answer's gain is regressed onto what the preferences say, so"
    " nothing grows without end.",
    avoid="One round of training on fixed pairs: `dpo`, or `ipo` which squares the difference.",
    checked="the paper's formula in NumPy",
    related={
        "ipo": "squares the difference alone",
        "apo_zero": "the same wish, with bounded pulls",
    },
    examples=(Example("sppo(c, r, rc, rr, beta=0.25)", 2.0, FAVOURED),),
)
def sppo(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: Number = 0.1,
) -> Tensor:
    """Gains of both answers drawn to what winning and losing are worth.

    Args:
        beta: how firmly the policy is held to the reference: its inverse is the gain's range.

    Shape:
        Four log-probabilities of [B]; one value a pair of answers.

    Example:
        `sppo(chosen, rejected, ref_chosen, ref_rejected, beta=1e-3)`
    """
    up, down = gains(chosen, rejected, reference_chosen, reference_rejected)
    worth = 0.5 / beta
    return (up - worth) ** 2 + (down + worth) ** 2


@loss(
    "discopop",
    signature=FOUR,
    family="preference",
    values="[0, inf)",
    latex=(
        r"-\left(1 - \sigma(\tfrac{\beta h}{\tau})\right) \log \sigma(\beta h)"
        r" + \sigma(\tfrac{\beta h}{\tau})\, e^{-\beta h}"
    ),
    reference=Reference(
        "C. Lu et al.",
        "Discovering Preference Optimization Algorithms with and for Large Language Models",
        2024,
        "2406.08414",
    ),
    ranges={"beta": "(0, inf)", "temperature": "(0, 1)"},
    conventions=(OF_H, "temperature is the paper's τ, which is 0.05.", SUMS, CONSTANT),
    pitfalls=(
        "Not convex: at the default temperature and h = 0, where training starts, its gradient"
        " makes the rejected answer likelier.",
    ),
    use="In place of `dpo`, where a search over losses found it better on held-out tasks: logistic"
    " for pairs on the wrong side, exponential for those on the right one.",
    avoid="Where a reason is wanted for each step: `dpo` and `ipo` have theirs.",
    checked="the paper's formula in `mpmath`",
    related={
        "dpo": "its logistic part",
        "exponential": "its other part, of scores",
        "ipo": "a margin to reach, not to pass",
    },
    examples=(
        Example(
            "discopop(c, r, rc, rr, beta=0.5, temperature=0.5)",
            -sigmoid_of(-2.0) * math.log(sigmoid_of(1.0)) + sigmoid_of(2.0) * math.exp(-1.0),
            FAVOURED,
        ),
    ),
)
def discopop(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: Number = 0.1,
    temperature: Number = 0.05,
) -> Tensor:
    """A mixture of logistic and exponential loss that a language model has found.

    Args:
        beta: how firmly the policy is held to the reference.
        temperature: how sharply the one gives way to the other.

    Shape:
        Four log-probabilities of [B]; one value a pair of answers.

    Example:
        `discopop(chosen, rejected, ref_chosen, ref_rejected, beta=0.05)`
    """
    h = beta * advantage(chosen, rejected, reference_chosen, reference_rejected)
    # In one exponential: apart, one factor overflows where the other vanishes.
    right = torch.exp(F.logsigmoid(h / temperature) - h)
    return right - torch.sigmoid(-h / temperature) * F.logsigmoid(h)
