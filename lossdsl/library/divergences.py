"""Further divergences of two distributions over classes, and distillation by one of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.classification import OF_PROBABILITIES, finite
from lossdsl.library.guarded import floored, log_prob
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss, overload

# What the identities below declare.
PROBS = "input p: class_prob[B, C, *S]; input q: class_prob[B, C, *S]; "

FROM_SCORES = "class_logits|class_log_prob[B, C, *S], class_prob[B, C, *S] -> loss[B, *S]"
FROM_PROBS = "class_prob[B, C, *S], class_prob[B, C, *S] -> loss[B, *S]"

KULLBACK = Reference("S. Kullback and R. A. Leibler", "On Information and Sufficiency", 1951)


@loss(
    "kd",
    signature="class_logits[B, C, *S], class_logits[B, C, *S] -> loss[B, *S]",
    family="classification",
    values="[0, inf)",
    aliases=("distill_kl",),
    latex=r"T^2 \sum_c t_c (\log t_c - \log s_c), \quad t = \mathrm{softmax}(\mathrm{teacher} / T),"
    r"\ s = \mathrm{softmax}(\mathrm{student} / T)",
    reference=Reference(
        "G. Hinton, O. Vinyals and J. Dean",
        "Distilling the Knowledge in a Neural Network",
        2015,
        "1503.02531",
    ),
    ranges={"temperature": "(0, inf)"},
    conventions=(
        "The factor T² keeps the gradient's size at every temperature.",
        "Classes are summed, so the mean over [B, C] inputs is PyTorch's 'batchmean'; mmdetection "
        "divides by the number of classes too.",
        "The teacher gets no gradient.",
    ),
    examples=(
        Example(
            "kd(s, t, temperature=2)",
            0.5232481437645479,
            {"s": [[0.0, 0.0]], "t": [[2.1972245773362196, 0.0]]},
        ),
    ),
    use=(
        "A student that learns from a teacher's scores, beside `ce` on the labels: temperatures "
        "above 1 show it the small classes."
    ),
    avoid=(
        "Targets that are probabilities already: `kl_div`. Features rather than scores: `mse` or "
        "`cosine_distance`."
    ),
    checked="`torch.nn.functional.kl_div` of both softened, times T².",
    related={
        "kl_div": "at temperature 1",
        "reverse_kl": "a student that picks one mode",
        "generalized_js": "between the two directions",
    },
    identities=(
        ("kd(p, z, temperature=1)", "kl_div(p, softmax(z))"),
        ("kd(p, z, temperature=2)", "4*kl_div(p/2, softmax(z/2))"),
    ),
)
def kd(student: Tensor, teacher: Tensor, *, temperature: Number = 4.0) -> Tensor:
    """Knowledge distillation: divergence of softened predictions from a teacher's.

    Args:
        temperature: what both scores are divided by; higher shows more of the small classes.

    Shape:
        student and teacher alike with the class axis; one value a position.

    Example:
        `0.1*ce(p, y) + 0.9*kd(p, teacher)`
    """
    target = F.log_softmax(teacher.detach() / temperature, 1)
    log_q = F.log_softmax(student / temperature, 1)
    # A moving temperature may be learnt; the square follows it.
    each = target.exp() * (finite(target) - finite(log_q))
    return temperature * temperature * wide(each).sum(1)


@loss(
    "reverse_kl",
    signature=FROM_SCORES,
    family="classification",
    values="[0, inf)",
    latex=r"\sum_c q_c (\log q_c - \log y_c), \quad q = \mathrm{softmax}(p)",
    reference=KULLBACK,
    conventions=(
        "The divergence of the target from the prediction: KL(prediction, target).",
        "Classes are summed.",
        *OF_PROBABILITIES,
    ),
    pitfalls=("A target of 0 costs up to 100: smooth the target or use js.",),
    examples=(
        Example("reverse_kl(p, y)", 0.14384103622589045, {"p": [[0.0, 0.0]], "y": [[0.25, 0.75]]}),
    ),
    use=(
        "A small student of a broad teacher, such as a language model: it settles on one mode "
        "rather than on the average of all."
    ),
    avoid=(
        "All modes of the target: `kl_div`. Targets with exact zeros, of which each costs up to "
        "100: `js`."
    ),
    checked="`scipy.special.rel_entr`.",
    related={
        "kl_div": "the other direction: covers all modes",
        "symmetric_kl": "a mixture of both",
        "js": "bounded",
    },
    identities=(
        ("reverse_kl(p, q)", "symmetric_kl(p, q, ratio=1)"),
        (f"{PROBS}reverse_kl(p, q)", f"{PROBS}kl_div(q, p)"),
    ),
)
def reverse_kl(p: Tensor, y: Tensor) -> Tensor:
    """Kullback-Leibler divergence of a target from a prediction: it seeks one mode of the target.

    Shape:
        p and y alike with the class axis; one value a position.

    Example:
        `reverse_kl(student, softmax(teacher))`
    """
    return wide(p.exp() * (finite(p) - log_prob(y))).sum(1)


@overload("reverse_kl", signature=FROM_PROBS)
def reverse_kl_of_prob(p: Tensor, y: Tensor) -> Tensor:
    """Reverse divergence between class probabilities."""
    return wide(p * (log_prob(p) - log_prob(y))).sum(1)


@loss(
    "symmetric_kl",
    signature=FROM_SCORES,
    family="classification",
    values="[0, inf)",
    aliases=("jeffreys",),
    latex=r"(1 - r)\, \mathrm{KL}(y, q) + r\, \mathrm{KL}(q, y)",
    reference=Reference(
        "H. Jeffreys", "An Invariant Form for the Prior Probability in Estimation Problems", 1946
    ),
    ranges={"ratio": "[0, 1]"},
    conventions=("ratio=0.5 is half of Jeffreys' sum of the two divergences.", *OF_PROBABILITIES),
    examples=(
        Example(
            "symmetric_kl(p, y)", 0.13732653608351372, {"p": [[0.0, 0.0]], "y": [[0.25, 0.75]]}
        ),
    ),
    use="Two predictions of equal standing, such as two passes with dropout, that should agree.",
    avoid=(
        "Predictions that may contradict each other wholly, since it is unbounded: `js`. A target "
        "that is fixed: `kl_div`."
    ),
    checked="`scipy.special.rel_entr`, in both directions.",
    related={
        "js": "bounded",
        "kl_div": "ratio = 0",
        "reverse_kl": "ratio = 1",
    },
    identities=(
        ("symmetric_kl(p, q)", "0.5*kl_div(p, q) + 0.5*reverse_kl(p, q)"),
        (f"{PROBS}symmetric_kl(p, q)", f"{PROBS}symmetric_kl(q, p)"),
    ),
)
def symmetric_kl(p: Tensor, y: Tensor, *, ratio: Number = 0.5) -> Tensor:
    """A mixture of the two Kullback-Leibler divergences.

    Args:
        ratio: the share of the reverse one; 0 is `kl_div`, 1 is `reverse_kl`.

    Shape:
        p and y alike with the class axis; one value a position.

    Example:
        `symmetric_kl(p, softmax(q))`
    """
    share = (1 - ratio) * y - ratio * p.exp()
    return wide(share * (log_prob(y) - finite(p))).sum(1)


@overload("symmetric_kl", signature=FROM_PROBS)
def symmetric_kl_of_prob(p: Tensor, y: Tensor, *, ratio: Number = 0.5) -> Tensor:
    """The mixture between class probabilities."""
    share = (1 - ratio) * y - ratio * p
    return wide(share * (log_prob(y) - log_prob(p))).sum(1)


@overload(
    "generalized_js",
    signature=(
        "class_logits|class_prob[B, C, *S], class_logits|class_prob[B, C, *S] -> loss[B, *S]"
    ),
)
@loss(
    "generalized_js",
    signature=FROM_PROBS,
    family="classification",
    values="[0, inf)",
    latex=r"\beta\, \mathrm{KL}(y, m) + (1 - \beta)\, \mathrm{KL}(p, m), \quad"
    r" m = \beta y + (1 - \beta) p",
    reference=Reference("J. Lin", "Divergence Measures Based on the Shannon Entropy", 1991),
    ranges={"beta": "[0, 1]"},
    conventions=(
        "beta weighs the target, in the mixture and in the sum; 0.5 is js.",
        "At beta = 0 and 1 the value is 0; libraries put a Kullback-Leibler divergence there.",
        *OF_PROBABILITIES,
    ),
    examples=(
        Example(
            "generalized_js(p, y, beta=0.25)",
            0.5623351446188083,
            {"p": [[1.0, 0.0]], "y": [[0.0, 1.0]]},
        ),
    ),
    use=(
        "Distillation of language models on their own samples: a small beta acts like `kl_div`, a "
        "large one like `reverse_kl`, and both stay bounded."
    ),
    avoid=(
        "A beta near 0 or 1 without a weight to make up for it, since value and slope fade there: "
        "`kl_div` and `reverse_kl` are those ends."
    ),
    checked="`scipy.special.rel_entr` to the mixture.",
    related={
        "js": "beta = 0.5",
        "kl_div": "its slope, in units of beta, near beta = 0",
        "reverse_kl": "the same near beta = 1",
    },
    identities=(
        ("generalized_js(p, q)", "js(p, q)"),
        ("generalized_js(p, q, beta=0.2)", "generalized_js(q, p, beta=0.8)"),
    ),
)
def generalized_js(p: Tensor, y: Tensor, *, beta: Number = 0.5) -> Tensor:
    """Jensen-Shannon divergence with unequal weights.

    Args:
        beta: the target's weight.

    Shape:
        p and y alike with the class axis; one value a position.

    Example:
        `generalized_js(softmax(student), softmax(teacher), beta=0.1)`
    """
    log_m = log_prob(beta * y + (1 - beta) * p)
    each = beta * y * (log_prob(y) - log_m) + (1 - beta) * p * (log_prob(p) - log_m)
    return floored(wide(each).sum(1), 0.0)


@overload(
    "tvd",
    signature=(
        "class_logits|class_prob[B, C, *S], class_logits|class_prob[B, C, *S] -> loss[B, *S]"
    ),
)
@loss(
    "tvd",
    signature=FROM_PROBS,
    family="classification",
    values="[0, 1]",
    aliases=("total_variation_distance",),
    latex=r"\tfrac12 \sum_c \lvert p_c - y_c \rvert",
    reference="The largest difference in probability that two distributions give to an event.",
    pitfalls=("Of distributions; the total variation of images is tv.",),
    examples=(Example("tvd(p, y)", 0.25, {"p": [[0.5, 0.5]], "y": [[0.25, 0.75]]}),),
    use=(
        "A bounded distance in probability: reports, and distillation from teachers whose small "
        "probabilities are noise."
    ),
    avoid=(
        "Predictions that start far off, where its slope vanishes through the softmax: `kl_div`. "
        "Images: `tv`."
    ),
    checked="The largest difference over all events, one by one.",
    related={
        "js": "smooth where the two are equal",
        "kl_div": "bounds it from above, by Pinsker's inequality",
        "l1": "twice this over the number of classes",
    },
    identities=(
        ("tvd(p, q)", "tvd(q, p)"),
        ("tvd(p, q)", "0.5*size(p, 1)*l1(p, q)"),
    ),
)
def tvd(p: Tensor, y: Tensor) -> Tensor:
    """Total variation distance of two distributions.

    Shape:
        p and y alike with the class axis; one value a position.

    Example:
        `tvd(softmax(student), softmax(teacher))`
    """
    return 0.5 * wide(torch.abs(p - y)).sum(1)
