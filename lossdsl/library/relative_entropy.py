"""Relative entropy: how far a predicted distribution over classes is from another, one way or
both ways."""

from __future__ import annotations

from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.classification import OF_PROBABILITIES, finite
from lossdsl.library.guarded import floored, log_prob
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss, overload

# What the identities below declare.
MIXED = "input p: class_logits[B, C, *S]; input q: class_prob[B, C, *S]; "
PROBS = "input p: class_prob[B, C, *S]; input q: class_prob[B, C, *S]; "


@loss(
    "kl_div",
    signature="class_logits|class_log_prob[B, C, *S], class_prob[B, C, *S] -> loss[B, *S]",
    family="classification",
    values="[0, inf)",
    latex=r"\sum_c y_c (\log y_c - \log q_c), \quad q = \mathrm{softmax}(p)",
    reference=Reference("S. Kullback and R. A. Leibler", "On Information and Sufficiency", 1951),
    conventions=(
        "The divergence of the prediction from the target: KL(target, prediction).",
        "Classes are summed, so the mean over [B, C] inputs is PyTorch's 'batchmean'.",
        "A target of 0 contributes 0.",
        *OF_PROBABILITIES,
    ),
    pitfalls=("Not symmetric: with the arguments swapped it seeks one mode of the target.",),
    examples=(Example("kl_div(p, y)", 0.6931471805599453, {"p": [[0.0, 0.0]], "y": [[1.0, 0.0]]}),),
    use=(
        "A target that is a distribution: soft labels, a teacher at temperature 1, the consistency "
        "of two views of which one is detached."
    ),
    avoid=(
        "Distillation at other temperatures: `kd` has their factor. Distributions that hardly "
        "overlap, where it is huge: `js` is bounded."
    ),
    checked="`scipy.special.rel_entr`, and `torch.nn.functional.kl_div` with its batchmean.",
    related={
        "ce": "plus the target's own entropy",
        "reverse_kl": "the other direction",
        "kd": "softened by a temperature",
        "js": "symmetric and bounded",
    },
    identities=(
        (f"{MIXED}kl_div(p, q)", f"{MIXED}ce(p, q) + confidence_penalty(q)"),
        ("kl_div(p, q)", "symmetric_kl(p, q, ratio=0)"),
        (f"{PROBS}kl_div(p, q)", f"{PROBS}reverse_kl(q, p)"),
    ),
)
def kl_div(p: Tensor, y: Tensor) -> Tensor:
    """Kullback-Leibler divergence of a predicted distribution from a target distribution.

    Cross entropy less the target's own entropy: the same gradient, and 0 at a perfect match.

    Shape:
        p and y alike with the class axis; one value a position.

    Example:
        `4*kl_div(student/2, softmax(teacher/2))`
    """
    return wide(y * (log_prob(y) - finite(p))).sum(1)


@overload("kl_div", signature="class_prob[B, C, *S], class_prob[B, C, *S] -> loss[B, *S]")
def kl_div_of_prob(p: Tensor, y: Tensor) -> Tensor:
    """Kullback-Leibler divergence between class probabilities."""
    return kl_div(log_prob(p), y)


@overload(
    "js",
    signature=(
        "class_logits|class_prob[B, C, *S], class_logits|class_prob[B, C, *S] -> loss[B, *S]"
    ),
)
@loss(
    "js",
    signature="class_prob[B, C, *S], class_prob[B, C, *S] -> loss[B, *S]",
    family="classification",
    values="[0, inf)",
    latex=(
        r"\tfrac12 \sum_c \left[p_c \log \frac{p_c}{m_c} + y_c \log \frac{y_c}{m_c}\right],"
        r" \quad m = \tfrac12 (p + y)"
    ),
    reference=Reference("J. Lin", "Divergence Measures Based on the Shannon Entropy", 1991),
    conventions=(
        "Natural logarithm: between 0 and log 2.",
        "The divergence itself; the Jensen-Shannon distance is its root.",
        *OF_PROBABILITIES,
    ),
    examples=(Example("js(p, y)", 0.6931471805599453, {"p": [[1.0, 0.0]], "y": [[0.0, 1.0]]}),),
    use=(
        "Predictions that should agree without one being the target, as under augmentation: "
        "symmetric, and at most log 2."
    ),
    avoid=(
        "Predictions that start far apart, between which it is flat: `kl_div`. A teacher and a "
        "student: `kd`."
    ),
    checked="The square of `scipy.spatial.distance.jensenshannon`.",
    related={
        "generalized_js": "with unequal weights",
        "symmetric_kl": "symmetric and unbounded",
        "tvd": "linear in the difference",
    },
    identities=(
        ("js(p, q)", "js(q, p)"),
        ("js(p, q)", "generalized_js(p, q, beta=0.5)"),
        (
            f"{PROBS}js(p, q)",
            f"{PROBS}m = class_prob(0.5*p + 0.5*q); 0.5*kl_div(m, p) + 0.5*kl_div(m, q)",
        ),
    ),
)
def js(p: Tensor, y: Tensor) -> Tensor:
    """Jensen-Shannon divergence: how far two distributions are from their mean.

    Symmetric and bounded, also where one of them is 0.

    Shape:
        p and y alike with the class axis; one value a position.

    Example:
        `ce(p, y) + js(softmax(p), softmax(q))`
    """
    log_m = log_prob((p + y) / 2)
    each = p * (log_prob(p) - log_m) + y * (log_prob(y) - log_m)
    # Rounding may fall below 0, and callers take the root.
    return 0.5 * floored(wide(each).sum(1), 0.0)
