"""Consistency: predictions of one sample that should be one, whatever was dropped or changed.

Gradients go into all of them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.classification import finite
from lossdsl.library.guarded import floored
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss

SUMMED = "Classes are summed; one value a position."


@loss(
    "r_drop",
    signature="class_logits|class_log_prob[B, C, *S], class_logits|class_log_prob[B, C, *S]"
    " -> loss[B, *S]",
    family="classification",
    values="[0, inf)",
    latex=r"\tfrac12 \left[\mathrm{KL}(q_1, q_2) + \mathrm{KL}(q_2, q_1)\right] = \tfrac12 \sum_c "
    r"(q_1 - q_2)_c (\log q_1 - \log q_2)_c",
    reference=Reference(
        "X. Liang, L. Wu, J. Li, Y. Wang, Q. Meng, T. Qin, W. Chen, M. Zhang and T.-Y. Liu",
        "R-Drop: Regularized Dropout for Neural Networks",
        2021,
        "2106.14448",
    ),
    conventions=(SUMMED, "Without the paper's weight alpha and its cross entropies."),
    pitfalls=(
        "The network is called twice on the same batch, in training mode: without dropout or "
        "another noise both are equal, and the loss is 0.",
    ),
    examples=(
        Example(
            "r_drop(p, q)",
            0.13732653608351372,
            {"p": [[0.0, 0.0]], "q": [[0.0, 1.0986122886681098]]},
        ),
    ),
    use="For fine-tuning transformers and other networks with dropout: the two passes are pulled "
    "together, beside `ce` of each, with a weight of 1 to 5.",
    avoid="With a teacher or an average of weights, of which one side should not move: `kd`, or "
    "`symmetric_kl` with a target.",
    checked="`torch.nn.functional.kl_div` in both directions.",
    related={
        "symmetric_kl": "the same with a distribution as target",
        "kd": "towards a teacher that does not move",
        "augmix": "of three predictions, bounded",
    },
    identities=(
        (
            "input p: class_logits[B, C]; input q: class_logits[B, C]; r_drop(p, q)",
            "input p: class_logits[B, C]; input q: class_logits[B, C]; symmetric_kl(p, softmax(q))",
        ),
        (
            "input p: class_logits[B, C]; input q: class_logits[B, C]; r_drop(p, q)",
            "input p: class_logits[B, C]; input q: class_logits[B, C]; r_drop(q, p)",
        ),
    ),
)
def r_drop(p: Tensor, q: Tensor) -> Tensor:
    """Mean of the two divergences between predictions of two passes.

    Shape:
        p and q alike with the class axis; one value a position.

    Example:
        `ce(p, y) + ce(q, y) + 2*r_drop(p, q)`
    """
    return 0.5 * wide((p.exp() - q.exp()) * (finite(p) - finite(q))).sum(1)


@loss(
    "augmix",
    signature="class_logits|class_log_prob[B, C, *S], class_logits|class_log_prob[B, C, *S], "
    "class_logits|class_log_prob[B, C, *S] -> loss[B, *S]",
    family="classification",
    values="[0, 1.0986122886681100]",
    aliases=("jsd_consistency",),
    latex=r"\tfrac13 \sum_{k=1}^3 \mathrm{KL}(q_k, m), \quad m = \tfrac13 (q_1 + q_2 + q_3)",
    reference=Reference(
        "D. Hendrycks, N. Mu, E. D. Cubuk, B. Zoph, J. Gilmer and B. Lakshminarayanan",
        "AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty",
        2019,
        "1912.02781",
    ),
    conventions=(SUMMED, "Natural logarithm: between 0 and log 3."),
    examples=(
        Example(
            "augmix(p, q, r)",
            1.0986122886681098 / 3 + 2 * 0.4054651081081644 / 3,
            {"p": [[9999.0, 0.0]], "q": [[0.0, 9999.0]], "r": [[0.0, 9999.0]]},
        ),
    ),
    use="For robustness to corrupted images: the clean image and two augmented ones get one "
    "prediction, beside `ce` of the clean one, with a weight of 12 in the paper.",
    avoid="With two predictions: `js` or `r_drop`.",
    checked="SciPy's relative entropies.",
    related={
        "js": "of two distributions",
        "r_drop": "of two, unbounded",
    },
)
def augmix(p: Tensor, q: Tensor, r: Tensor) -> Tensor:
    """Jensen-Shannon divergence of three predictions.

    Shape:
        All three alike with the class axis; one value a position.

    Example:
        `ce(p, y) + 12*augmix(p, p1, p2)`
    """
    predictions = [finite(wide(x)) for x in (p, q, r)]
    log_mean = torch.stack(predictions).logsumexp(0) - math.log(3)
    each = sum(x.exp() * (x - log_mean) for x in predictions)
    assert isinstance(each, Tensor)
    # Rounding may fall below 0.
    return floored(each.sum(1) / 3, 0.0)
