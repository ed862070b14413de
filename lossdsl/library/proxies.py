"""Vectors against one learned vector a class: centres, proxies, and margins between directions.

The class vectors are an argument of [C, D], a parameter of the caller's model. Distances to them
stand in for distances between samples, so that no pairs need to be found.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdsl.functions.classes import unit_vectors
from lossdsl.functions.precision import wide
from lossdsl.library.metric import log_sum_exp, mean_where, softplus
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

BY_CLASS = "embedding[N, D], labels[N], embedding[C, D] -> loss[N]"

OWNED = (
    "The class vectors are the caller's: a parameter of shape [C, D], in the optimiser of its"
    " choice.",
)
ANGLES = "Both the vectors and the class vectors are scaled to length 1."

THREE_FOUR = {"x": [[3.0, 4.0]], "y": [0], "w": [[1.0, 0.0], [0.0, 1.0]]}
"""One vector with the cosines 0.6 and 0.8 to two classes, of the first."""


def is_own(y: Tensor, classes: Tensor) -> Tensor:
    """Which of the [N, C] pairs are a vector and its own class."""
    return y[:, None] == torch.arange(classes.shape[0], device=y.device)


def cosine_to(x: Tensor, classes: Tensor) -> Tensor:
    """Cosines of all vectors and class vectors, [N, C]."""
    return unit_vectors(wide(x)) @ unit_vectors(wide(classes)).T


def own_cross_entropy(scores: Tensor, own: Tensor) -> Tensor:
    """Cross entropy of each row of scores against its own class."""
    return torch.where(own, -F.log_softmax(scores, 1), 0.0).sum(1)


def cosine_of(angle: Number) -> Number:
    return torch.cos(angle) if isinstance(angle, Tensor) else math.cos(angle)


def sine_of(angle: Number) -> Number:
    return torch.sin(angle) if isinstance(angle, Tensor) else math.sin(angle)


@loss(
    "center",
    signature=BY_CLASS,
    family="embedding",
    values="[0, inf)",
    latex=r"\tfrac12 \left\lVert x - c_y \right\rVert_2^2",
    reference=Reference(
        "Y. Wen, K. Zhang, Z. Li, Y. Qiao",
        "A Discriminative Feature Learning Approach for Deep Face Recognition",
        2016,
    ),
    class_weight="labels",
    conventions=(
        "Summed over the components, one value a vector; the paper sums over the batch as well.",
        "The centres get the gradient of the loss; the paper moves them by a rule of its own.",
    ),
    pitfalls=("Alone it is smallest when all vectors coincide: use it beside ce.", *OWNED),
    examples=(Example("center(x, y, w)", 10.0, THREE_FOUR),),
)
def center(x: Tensor, y: Tensor, centers: Tensor) -> Tensor:
    """Half the squared distance of each vector to the centre of its class.

    Shape:
        x of [N, D], y labels of [N], centers of [C, D]; one value a vector.

    Example:
        `ce(p, y) + 0.003*center(x, y, centers)`
    """
    difference = wide(x) - wide(centers)[y]
    return 0.5 * (difference * difference).sum(1)


@loss(
    "arcface",
    signature=BY_CLASS,
    family="embedding",
    values="[0, inf)",
    latex=(
        r"-\log \frac{e^{s \cos(\theta_y + m)}}"
        r"{e^{s \cos(\theta_y + m)} + \sum_{c \ne y} e^{s \cos \theta_c}}"
    ),
    reference=Reference(
        "J. Deng, J. Guo, N. Xue, S. Zafeiriou",
        "ArcFace: Additive Angular Margin Loss for Deep Face Recognition",
        2018,
        "1801.07698",
    ),
    ranges={"margin": "[0, 3.14159265]", "scale": "(0, inf)"},
    class_weight="labels",
    conventions=(
        "The margin is in radians; other libraries take degrees (0.5 is 28.6).",
        "Beyond an angle of pi - margin, cos(theta) - margin sin(margin) goes on falling.",
        "A vector in line with its class vector has no direction to turn: the sine has gradient 0.",
        ANGLES,
    ),
    pitfalls=OWNED,
    examples=(
        Example(
            "arcface(x, y, w, margin=0.5, scale=1)",
            math.log1p(math.exp(0.8 - math.cos(math.acos(0.6) + 0.5))),
            THREE_FOUR,
        ),
    ),
)
def arcface(
    x: Tensor, y: Tensor, classes: Tensor, *, margin: Number = 0.5, scale: Number = 64.0
) -> Tensor:
    """Softmax of cosines in which the own class's angle counts as larger by a margin.

    Args:
        margin: the angle that is added, in radians.
        scale: the length of the vectors before the softmax.

    Shape:
        x of [N, D], y labels of [N], classes of [C, D]; one value a vector.

    Example:
        `arcface(x, y, head, margin=0.3)`
    """
    cosine, own = cosine_to(x, classes), is_own(y, classes)
    square = (1 - cosine) * (1 + cosine)
    aligned = square <= torch.finfo(square.dtype).eps
    sine = torch.where(aligned, 0.0, torch.where(aligned, 1.0, square).sqrt())
    turned = cosine * cosine_of(margin) - sine * sine_of(margin)
    fallen = cosine - margin * sine_of(margin)
    turned = torch.where(cosine >= -1.0 * cosine_of(margin), turned, fallen)
    return own_cross_entropy(scale * torch.where(own, turned, cosine), own)


@loss(
    "cosface",
    signature=BY_CLASS,
    family="embedding",
    values="[0, inf)",
    aliases=("am_softmax",),
    latex=(
        r"-\log \frac{e^{s (\cos \theta_y - m)}}"
        r"{e^{s (\cos \theta_y - m)} + \sum_{c \ne y} e^{s \cos \theta_c}}"
    ),
    reference=Reference(
        "H. Wang et al.",
        "CosFace: Large Margin Cosine Loss for Deep Face Recognition",
        2018,
        "1801.09414",
    ),
    ranges={"margin": "[0, inf)", "scale": "(0, inf)"},
    class_weight="labels",
    conventions=("margin=0 is the softmax of scaled cosines.", ANGLES),
    pitfalls=OWNED,
    examples=(
        Example("cosface(x, y, w, margin=0.35, scale=1)", math.log1p(math.exp(0.55)), THREE_FOUR),
    ),
)
def cosface(
    x: Tensor, y: Tensor, classes: Tensor, *, margin: Number = 0.35, scale: Number = 64.0
) -> Tensor:
    """Softmax of cosines in which the own class's cosine counts as smaller by a margin.

    Args:
        margin: what is taken from the own cosine.
        scale: the length of the vectors before the softmax.

    Shape:
        x of [N, D], y labels of [N], classes of [C, D]; one value a vector.

    Example:
        `cosface(x, y, head, scale=30)`
    """
    cosine, own = cosine_to(x, classes), is_own(y, classes)
    return own_cross_entropy(scale * torch.where(own, cosine - margin, cosine), own)


def multiple_angle(cosine: Tensor, times: int) -> Tensor:
    """cos(times * theta) from cos(theta): the Chebyshev polynomial, smooth everywhere."""
    before, value = torch.ones_like(cosine), cosine
    for _ in range(times - 1):
        before, value = value, 2 * cosine * value - before
    return value


@loss(
    "sphereface",
    signature=BY_CLASS,
    family="embedding",
    values="[0, inf)",
    aliases=("a_softmax",),
    latex=(
        r"-\log \frac{e^{\lVert x \rVert \psi(\theta_y)}}{e^{\lVert x \rVert \psi(\theta_y)} + "
        r"\sum_{c \ne y} e^{\lVert x \rVert \cos \theta_c}},\quad "
        r"\psi(\theta) = (-1)^k \cos(m \theta) - 2k"
    ),
    reference=Reference(
        "W. Liu et al.",
        "SphereFace: Deep Hypersphere Embedding for Face Recognition",
        2017,
        "1704.08063",
    ),
    ranges={"margin": "[1, 20]"},
    class_weight="labels",
    conventions=(
        "Class vectors are scaled to length 1, the vectors keep their length.",
        "k is the number of whole angles pi/m in theta, without gradient.",
    ),
    pitfalls=(
        "Hard to start with: papers blend it with the plain softmax at first, margin=1 here.",
        *OWNED,
    ),
    examples=(
        Example(
            "sphereface(x, y, w, margin=2)",
            math.log1p(math.exp(5 * (0.8 - (2 * 0.36 - 1)))),
            THREE_FOUR,
        ),
    ),
)
def sphereface(x: Tensor, y: Tensor, classes: Tensor, *, margin: int = 4) -> Tensor:
    """Softmax in which the angle to the own class counts m times.

    Args:
        margin: the factor m of the angle.

    Shape:
        x of [N, D], y labels of [N], classes of [C, D]; one value a vector.

    Example:
        `sphereface(x, y, head, margin=2)`
    """
    cosine, own = cosine_to(x, classes), is_own(y, classes)
    angle = cosine.detach().clamp(-1, 1).acos()
    turns = torch.floor(angle * (margin / math.pi)).clamp(max=margin - 1)
    sign = 1 - 2 * (turns % 2)
    spread = sign * multiple_angle(cosine, margin) - 2 * turns
    x = wide(x)
    square = (x * x).sum(1, keepdim=True)
    none = square <= torch.finfo(square.dtype).tiny
    length = torch.where(none, 0.0, torch.where(none, 1.0, square).sqrt())
    return own_cross_entropy(length * torch.where(own, spread, cosine), own)


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
