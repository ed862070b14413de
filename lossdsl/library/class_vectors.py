"""Vectors against one learned vector a class: centres, and margins between directions.

The class vectors are an argument of [C, D], a parameter of the caller's model.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdsl.functions.classes import unit_vectors
from lossdsl.functions.precision import wide
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

BY_CLASS = "embedding[N, D], labels[N], embedding[C, D] -> loss[N]"

OWNED = (
    "The class vectors are learnt: `param w = learnable(xavier_normal(10, 64))` makes them a"
    " Parameter of the loss, which an optimiser must hold; or an input gives them.",
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
    use="Beside ce, to draw the features of a class together: faces, open sets of classes.",
    avoid=(
        "Alone: all vectors fall onto one point. Classes that must keep apart: `arcface` or"
        " `cosface` do both at once."
    ),
    checked="half the squared distance in NumPy",
    related={
        "ce": "what it goes beside",
        "arcface": "parts the classes as well, by angles",
        "proxy_nca": "nearness to the own proxy over nearness to the others",
    },
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
    use=(
        "Recognition with many identities: faces, products, landmarks; features are compared by"
        " their cosine afterwards."
    ),
    avoid=(
        "A closed set of classes: `ce`. Wrong labels, or a margin that keeps it from converging:"
        " `cosface` is easier to train."
    ),
    checked=(
        "`pytorch_metric_learning.losses.ArcFaceLoss`; beyond the turn"
        " `torch.nn.functional.cross_entropy` of the angles"
    ),
    related={
        "cosface": "the margin is on the cosine",
        "sphereface": "the angle is multiplied, vectors keep their length",
        "proxy_nca": "without a margin",
    },
    identities=(("arcface(x, y, w, margin=0)", "cosface(x, y, w, margin=0)"),),
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
    use=(
        "Recognition with many identities, by a margin on the cosine: the easiest of the margins"
        " to train."
    ),
    avoid=(
        "A closed set of classes: `ce`. Few samples a class and hard ones in each batch:"
        " `proxy_anchor`."
    ),
    checked="`pytorch_metric_learning.losses.CosFaceLoss`",
    related={
        "arcface": "the margin is on the angle",
        "proxy_nca": "distances to proxies, without a margin",
        "ce": "without a margin, of any scores",
    },
    identities=(
        ("cosface(x, y, w, margin=0, scale=8)", "proxy_nca(x, y, w, scale=4, own=true)"),
        (
            "cosface(x, y, w, margin=0, scale=8)",
            "input x: embedding[N, D]; input y: labels[N]; input w: embedding[C, D]; "
            "ce(8*normalize(x)@transpose(normalize(w)), y)",
        ),
    ),
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
    use="Faces as in SphereFace: vectors keep their length, which may say how clear an image is.",
    avoid=(
        "A fresh start: the multiplied angle hardly trains without blending; `arcface` and"
        " `cosface` do."
    ),
    checked="`pytorch_metric_learning.losses.SphereFaceLoss`, and the paper's formula in NumPy",
    related={
        "arcface": "a margin is added to the angle",
        "cosface": "a margin is taken from the cosine",
    },
    identities=(
        (
            "sphereface(x, y, w, margin=1)",
            "input x: embedding[N, D]; input y: labels[N]; input w: embedding[C, D]; "
            "ce(x@transpose(normalize(w)), y)",
        ),
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
