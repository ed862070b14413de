"""Proxies: distances to one learned vector a class stand in for distances between samples, so that
no pairs need to be found."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossdsl.library.class_vectors import (
    BY_CLASS,
    OWNED,
    THREE_FOUR,
    cosine_to,
    is_own,
    own_cross_entropy,
)
from lossdsl.library.metric import log_sum_exp, mean_where, softplus
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss


@loss(
    "proxy_nca",
    signature=BY_CLASS,
    family="embedding",
    latex=r"-\log \frac{e^{-s\, d(x, p_y)}}{\sum_{c \ne y} e^{-s\, d(x, p_c)}}",
    reference=Reference(
        "Y. Movshovitz-Attias, A. Toshev, T. K. Leung, S. Ioffe, S. Singh",
        "No Fuss Distance Metric Learning using Proxies",
        2017,
        "1703.07464",
    ),
    ranges={"scale": "(0, inf)"},
    class_weight="labels",
    conventions=(
        "d is the squared Euclidean distance of vectors scaled to length 1.",
        "As in the paper the own proxy is not in the denominator, so the value may be negative;"
        " own=true puts it there, as most code does.",
        "With a single class and own=false there is nothing to part: the loss is 0.",
    ),
    pitfalls=OWNED,
    use="Retrieval without finding pairs: one learned proxy a class, and fast progress.",
    avoid=(
        "Hard samples that should weigh more: `proxy_anchor` compares those of the batch."
        " Recognition by cosines with a margin: `cosface`."
    ),
    checked=(
        "`pytorch_metric_learning.losses.ProxyNCALoss` with own=true, and the paper's formula in"
        " NumPy"
    ),
    related={
        "proxy_anchor": "each proxy against all vectors of the batch",
        "cosface": "a scale and a margin of cosines",
        "supcon": "samples in place of proxies",
    },
    examples=(
        Example("proxy_nca(x, y, w)", 0.8 - 0.4, THREE_FOUR),
        Example("proxy_nca(x, y, w, own=true)", math.log1p(math.exp(0.4)), THREE_FOUR),
    ),
)
def proxy_nca(
    x: Tensor, y: Tensor, proxies: Tensor, *, scale: Number = 1.0, own: bool = False
) -> Tensor:
    """Log-ratio of nearness to the own class's proxy and to those of all others.

    Args:
        scale: what multiplies the squared distance.
        own: whether the own proxy is in the denominator.

    Shape:
        x of [N, D], y labels of [N], proxies of [C, D]; one value a vector.

    Example:
        `proxy_nca(x, y, proxies, scale=9, own=true)`
    """
    # Of unit vectors the squared distance is 2 - 2 cos; the 2 cancels in the ratio.
    score, mine = 2 * scale * cosine_to(x, proxies), is_own(y, proxies)
    if own:
        return own_cross_entropy(score, mine)
    if proxies.shape[0] < 2:
        return 0.0 * score.sum(1)
    return log_sum_exp(score, ~mine, 1) - torch.where(mine, score, 0.0).sum(1)


@loss(
    "proxy_anchor",
    signature="embedding[N, D], labels[N], embedding[C, D] -> loss[]",
    family="embedding",
    values="[0, inf)",
    latex=(
        r"\frac{1}{|P^+|} \sum_{p \in P^+} \log\left(1 + \sum_{x \in X_p^+} "
        r"e^{-\alpha (s(x, p) - \delta)}\right) + \frac1C \sum_p \log\left(1 + "
        r"\sum_{x \in X_p^-} e^{\alpha (s(x, p) + \delta)}\right)"
    ),
    reference=Reference(
        "S. Kim, D. Kim, M. Cho, S. Kwak",
        "Proxy Anchor Loss for Deep Metric Learning",
        2020,
        "2003.13911",
    ),
    ranges={"scale": "(0, inf)", "margin": "[0, inf)"},
    mask="inside",
    conventions=(
        "The first mean is over proxies whose class occurs in the batch, the second over all.",
        "s is the cosine.",
        "A masked row, and one whose label is ignored, is left out.",
    ),
    pitfalls=(
        "The value depends on the batch: halves of a batch do not add up to the whole.",
        *OWNED,
    ),
    use=(
        "Retrieval with many classes: as fast as proxies are, and hard samples of the batch"
        " weigh more."
    ),
    avoid=(
        "So many classes that their proxies do not fit into memory: `multi_similarity` and"
        " `supcon` need none."
    ),
    checked="`pytorch_metric_learning.losses.ProxyAnchorLoss`",
    related={
        "proxy_nca": "each vector by itself",
        "multi_similarity": "the same soft maxima among samples",
        "arcface": "a softmax over classes with a margin",
    },
    examples=(
        Example(
            "proxy_anchor(x, y, w, margin=0, scale=1)",
            math.log1p(math.exp(-0.6)) + 0.5 * math.log1p(math.exp(0.8)),
            THREE_FOUR,
        ),
    ),
)
def proxy_anchor(
    x: Tensor,
    y: Tensor,
    proxies: Tensor,
    *,
    margin: Number = 0.1,
    scale: Number = 32.0,
    mask: Tensor | None = None,
) -> Tensor:
    """Each proxy as an anchor against all vectors of the batch.

    Args:
        margin: δ, how far positives are above and negatives below similarity 0.
        scale: α, how sharp the soft maxima are.

    Shape:
        x of [N, D], y labels of [N], proxies of [C, D]; one value for the batch.

    Example:
        `proxy_anchor(x, y, proxies)`
    """
    kept = torch.ones_like(x, dtype=torch.bool) if mask is None else (mask > 0).expand_as(x)
    kept = kept.all(1, keepdim=True)
    s, own = cosine_to(torch.where(kept, x, 0.0), proxies), is_own(y, proxies)
    near, far = own & kept, ~own & kept
    pull = softplus(log_sum_exp(scale * (margin - s), near, 0))
    push = softplus(log_sum_exp(scale * (s + margin), far, 0))
    return mean_where(pull, near.any(0)) + push.mean()
