"""Cross entropy that looks at outlines: dear where the target has its edges, where the predicted
edge has strayed, or where the neighbourhood of a pixel looks unlike the target's."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.classification import OF_PROBABILITIES, bce, bce_of_prob, ce
from lossdsl.library.contours import EDGES, MEMORY, edge_distances, squared_distance
from lossdsl.library.guarded import log_prob
from lossdsl.library.overlap import share
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.regions import pixels, without
from lossdsl.library.registry import loss, overload
from lossdsl.library.windows import gaussian_taps

LN2 = math.log(2)

# What the identities below declare.
PIXELS = "input p: class_logits[B, C, H, W]; input y: labels[B, H, W]; "
MAP = f"{PIXELS}input w: real[B, H, W]; "
MASKS = "input p: logits[B, C, H, W]; input y: mask[B, C, H, W]; "

SIGMA = 1.5
"""Of the Gaussian window, as in SSIM."""

SHARE = 1 / (1 + math.exp(0.5 / SIGMA**2))
"""What a pixel's only neighbour has in its window."""

BELOW = "Below a mask prediction and target count as class 0, or as background."


def masks(y: Tensor, classes: int) -> Tensor:
    """One mask a class, [B, C, *S]."""
    each = torch.arange(classes, device=y.device).reshape(-1, *[1] * (y.ndim - 1))
    return y.unsqueeze(1) == each


def spread(x: Tensor, like: Tensor) -> Tensor:
    """With axes of size 1 behind its own, as many as another tensor has."""
    return x.reshape(*x.shape, *[1] * (like.ndim - x.ndim))


def nearness(y: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """How much nearer to another class a pixel lies than the innermost pixel of its image."""
    _, inner = edge_distances(masks(y, classes), dtype)
    distance = inner.sum(1).sqrt()
    if 0 in distance.shape:
        return distance
    largest = distance
    for axis in range(1, distance.ndim):
        largest = largest.amax(axis, keepdim=True)
    return largest - distance


@loss(
    "distance_map_ce",
    signature="class_logits|class_log_prob[B, C, *S], labels[B, *S], real[B, *S]? -> loss[B, *S]",
    family="classification",
    latex=r"-(1 + \Phi) \log \mathrm{softmax}(p)_y",
    reference=Reference(
        "F. Caliva, C. Iriondo, A. Morales Martinez, S. Majumdar and V. Pedoia",
        "Distance Map Loss Penalty Term for Semantic Segmentation",
        2019,
        "1908.03679",
    ),
    conventions=(
        "The map is largest at the edges: the largest distance in the image less the pixel's own,"
        " which is that to the nearest pixel of another class. A map that is given replaces it.",
        "The mean divides by the pixels, not by their weights.",
        EDGES,
        BELOW,
        MEMORY,
        *OF_PROBABILITIES,
    ),
    pitfalls=(
        "The weight is in pixels, so it grows with the objects: a factor in front, or a map that is"
        " scaled.",
    ),
    class_weight="labels",
    use="Segmentation whose errors lie along the edges, as of bones and cartilage: mistakes there"
    " cost more than those in the middle.",
    avoid="Many small objects, where everything is an edge: `dice` beside `ce`. Edges that are"
    " judged by their distance: `boundary` or `hausdorff_dt`.",
    checked="`scipy.ndimage.distance_transform_edt` and `torch.nn.functional.cross_entropy`",
    related={
        "shape_aware": "one weight an image, by how far the predicted edge strayed",
        "pixel_softmax_ce": "a map that is made beforehand",
        "boundary": "signed distances, without a logarithm",
        "hausdorff_dt": "of the prediction's edges too",
    },
    identities=((f"{MAP}distance_map_ce(p, y, w)", f"{MAP}ce(p, y) + pixel_softmax_ce(p, y, w)"),),
    examples=(
        Example(
            "distance_map_ce(p, y)",
            LN2 * (3 + 3 + 2 + 1) / 4,
            {"p": [[[0.0] * 4] * 2], "y": [[1, 0, 0, 0]]},
        ),
        Example(
            "distance_map_ce(p, y, w)",
            2 * LN2,
            {"p": [[[0.0, 0.0], [0.0, 0.0]]], "y": [[0, 1]], "w": [[0.0, 2.0]]},
        ),
    ),
)
def distance_map_ce(p: Tensor, y: Tensor, distance_map: Tensor | None = None) -> Tensor:
    """Cross entropy that is dearest at the target's edges.

    Shape:
        p has the class axis, y is labels without it, distance_map is like y; one value a pixel.

    Example:
        `distance_map_ce(p, y)`
    """
    cost = wide(ce(p, y))
    if distance_map is None:
        distance_map = nearness(y, p.shape[1], cost.dtype)
    return (1 + wide(distance_map)) * cost


@overload(
    "distance_map_ce",
    signature="class_prob[B, C, *S], labels[B, *S], real[B, *S]? -> loss[B, *S]",
)
def distance_map_ce_of_prob(p: Tensor, y: Tensor, distance_map: Tensor | None = None) -> Tensor:
    """Cross entropy of probabilities, dearest at the target's edges."""
    return distance_map_ce(log_prob(p), y, distance_map)


def outline(inside: Tensor) -> Tensor:
    """The pixels of a mask that have a pixel outside it next to them, along an axis."""
    core = inside
    for axis in range(2, inside.ndim):
        size = inside.shape[axis]
        first, last = inside.narrow(axis, 0, 1), inside.narrow(axis, size - 1, 1)
        before = torch.cat((first, inside.narrow(axis, 0, size - 1)), axis)
        after = torch.cat((inside.narrow(axis, 1, size - 1), last), axis)
        core = core & before & after
    return inside & ~core


def strayed(ours: Tensor, theirs: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Distances of the points of our outline from theirs, summed by image and class, and how many
    points these are. A mask without an outline has none."""
    if 0 in ours.shape or ours.ndim == 2:
        none = torch.zeros(ours.shape[:2], dtype=dtype, device=ours.device)
        return none, none
    ours, theirs = outline(ours), outline(theirs)
    counted = ours & spread(theirs.flatten(2).any(2), theirs)
    distance = torch.where(counted, squared_distance(theirs, dtype).sqrt(), 0.0)
    return distance.flatten(2).sum(2), counted.to(dtype).flatten(2).sum(2)


def dearer(cost: Tensor, inside: Tensor, y: Tensor) -> Tensor:
    """The cost of each pixel times 1 and how far the edge of its image and class strayed."""
    cost = wide(cost)
    away = share(*strayed(inside.detach(), y.detach() > 0.5, cost.dtype))
    return (1 + spread(away, cost)) * cost


@loss(
    "shape_aware",
    signature="logits[B, C, *S], mask[B, C, *S] -> loss[B, C, *S]",
    family="classification",
    values="[0, inf)",
    latex=r"(1 + E)\, \mathrm{bce}(p, y), \quad "
    r"E = \frac{1}{\lvert \partial q \rvert} \sum_{i \in \partial q} d(i, \partial y)",
    reference=Reference(
        "S. M. M. R. Al Arif, K. Knapp and G. Slabaugh",
        "Shape-Aware Deep Convolutional Neural Network for Vertebrae Segmentation",
        2018,
    ),
    conventions=(
        "E is one number an image and class: the mean distance of the predicted outline's pixels"
        " from the true outline, without gradient. The prediction is cut at 0.5; of classes that"
        " exclude each other it is the likeliest, and E is the mean over the outlines of all.",
        "An outline is the pixels of a mask with a pixel outside it next to them, in the image."
        " Where the truth or the prediction has none, E is 0.",
        "Distances are Euclidean, between centres of pixels, one unit apart along every axis.",
        BELOW,
        MEMORY,
        *OF_PROBABILITIES,
    ),
    pitfalls=("An empty prediction has no outline, so nothing makes it dearer: add `dice`.",),
    use="One object of a known shape an image, such as a vertebra: predictions whose outline lies"
    " far off learn more.",
    avoid="Weights that should say where in the image the error is: `distance_map_ce`."
    " Gradients of the distance itself: `boundary`.",
    checked="`scipy.ndimage.distance_transform_edt` and PyTorch's cross entropies",
    related={
        "distance_map_ce": "a weight a pixel, from the truth alone",
        "boundary": "signed distances, without a logarithm",
        "hausdorff_dt": "squared errors by distance",
    },
    identities=((f"{MASKS}shape_aware(p, y)", f"{MASKS}shape_aware(sigmoid(p), y)"),),
    examples=(
        Example(
            "shape_aware(p, y)",
            LN2,
            {"p": [[[0.0, 0.0, 0.0]]], "y": [[[1.0, 0.0, 0.0]]]},
        ),
        Example(
            "shape_aware(prob(p), y)",
            math.log(4) + math.log(4 / 3),
            {"p": [[[0.25, 0.25, 0.75, 0.75]]], "y": [[[1.0, 0.0, 0.0, 1.0]]]},
        ),
    ),
)
def shape_aware(p: Tensor, y: Tensor) -> Tensor:
    """Cross entropy that is dearer the farther the predicted outline lies from the true one.

    Shape:
        p and y with the class axis, or class scores and labels; one value a pixel.

    Example:
        `shape_aware(p, y) + dice(p, y)`
    """
    return dearer(bce(p, y), p > 0, y)


@overload("shape_aware", signature="prob[B, C, *S], mask[B, C, *S] -> loss[B, C, *S]")
def shape_aware_of_prob(p: Tensor, y: Tensor) -> Tensor:
    """Shape-aware loss of probabilities."""
    return dearer(bce_of_prob(p, y), p > 0.5, y)


@overload(
    "shape_aware",
    signature="class_logits|class_log_prob[B, C, *S], labels[B, *S] -> loss[B, *S]",
)
def shape_aware_of_classes(p: Tensor, y: Tensor) -> Tensor:
    """Shape-aware loss of classes that exclude each other."""
    cost, classes = wide(ce(p, y)), p.shape[1]
    sums, counts = strayed(masks(p.argmax(1), classes), masks(y, classes), cost.dtype)
    return (1 + spread(share(sums.sum(1), counts.sum(1)), cost)) * cost


@overload("shape_aware", signature="class_prob[B, C, *S], labels[B, *S] -> loss[B, *S]")
def shape_aware_of_class_prob(p: Tensor, y: Tensor) -> Tensor:
    """Shape-aware loss of class probabilities."""
    return shape_aware_of_classes(log_prob(p), y)


def around(x: Tensor, window: int) -> list[Tensor]:
    """The neighbours of each pixel in a window, place by place, 0 beyond the image."""
    low, high = window // 2, (window - 1) // 2
    for axis in (-2, -1):
        shape = list(x.shape)
        shape[axis] = window - 1
        border = x.new_zeros(shape)
        x = torch.cat((border.narrow(axis, 0, low), x, border.narrow(axis, 0, high)), axis)
    height, width = x.shape[-2] - window + 1, x.shape[-1] - window + 1
    return [
        x.narrow(-2, dy, height).narrow(-1, dx, width)
        for dy in range(window)
        for dx in range(window)
    ]


def standard(x: Tensor, keep: Tensor, window: int, c: Number) -> Tensor:
    """Each pixel by the mean and the deviation of the kept pixels around it."""
    taps = gaussian_taps(window, SIGMA)
    weights = [a * b for a in taps for b in taps]
    shares = [w * k for w, k in zip(weights, around(keep, window), strict=True)]
    total = torch.stack(shares).sum(0)
    values = around(x, window)
    mean = share(torch.stack([s * v for s, v in zip(shares, values, strict=True)]).sum(0), total)
    squares = [s * (v - mean) ** 2 for s, v in zip(shares, values, strict=True)]
    deviation = share(torch.stack(squares).sum(0), total).sqrt()
    return (x - mean + c) / (deviation + c)


def unlike(
    cost: Tensor, pair: tuple[Tensor, Tensor], kept: Tensor, beta: Number, c: Number, window: int
) -> Tensor:
    """The mean cost of the pixels whose neighbourhoods are most unlike, each times how much."""
    if 0 in cost.shape:
        return cost.flatten(2).sum(2)
    q, y = (standard(wide(x.detach()), kept, window, c) for x in pair)
    error = kept * (q - y).abs()
    chosen = (error > beta * error.amax((2, 3), keepdim=True)).to(cost.dtype)
    return share((chosen * error * cost).sum((2, 3)), chosen.sum((2, 3)))


@loss(
    "ssl_seg",
    signature="logits[B, C, H, W], prob[B, C, H, W] -> loss[B, C]",
    family="overlap",
    values="[0, inf)",
    aliases=("structural_similarity_seg",),
    latex=r"\frac{1}{\sum f} \sum f\, e\, \mathrm{bce}(p, y), \quad e = \left\lvert "
    r"\frac{y - \mu_y + c}{\sigma_y + c} - \frac{q - \mu_q + c}{\sigma_q + c} \right\rvert,\ "
    r"f = [e > \beta \max e]",
    reference=Reference(
        "S. Zhao, B. Wu, W. Chu, Y. Hu and D. Cai",
        "Correlation Maximized Structural Similarity Loss for Semantic Segmentation",
        2019,
        "1910.08711",
    ),
    ranges={"beta": "[0, 1)", "c": "(0, inf)", "window": "[1, inf)"},
    conventions=(
        "e and f are weights without gradient; the largest e is that of the image and class.",
        "Means and deviations are those of a Gaussian window of deviation 1.5, as far as it lies in"
        " the image.",
        "The structural term alone: the paper adds it to the cross entropy.",
        "Masked pixels are left out of every window and sum.",
        *OF_PROBABILITIES,
    ),
    pitfalls=("Pixels whose neighbourhood agrees with the target get no gradient: add `bce`.",),
    mask="inside",
    class_weight="classes",
    use="Segmentation that breaks up thin or patterned parts, beside `bce`: it goes for the pixels"
    " whose surroundings look wrong.",
    avoid="Alone. Compact objects: `dice`. The statistics of whole neighbourhoods: `rmi`.",
    checked="loops over windows from the paper in NumPy",
    related={
        "rmi": "compares whole neighbourhoods by their covariance",
        "ssim": "of images",
        "topk_ce": "chooses pixels by their cost alone",
        "bce": "what it goes beside",
    },
    identities=((f"{MASKS}ssl_seg(p, y)", f"{MASKS}ssl_seg(sigmoid(p), y)"),),
    examples=(
        Example("ssl_seg(prob(p), y)", 0.0, {"p": [[[[1.0, 0.0]]]], "y": [[[[1.0, 0.0]]]]}),
        # Of two pixels, next to each other, the second's neighbourhood is most unlike.
        Example(
            "ssl_seg(p, y)",
            LN2 * (1 + (SHARE - 0.01) / (math.sqrt(SHARE * (1 - SHARE)) + 0.01)),
            {"p": [[[[0.0, 0.0]]]], "y": [[[[1.0, 0.0]]]]},
        ),
    ),
)
def ssl_seg(
    p: Tensor,
    y: Tensor,
    *,
    beta: Number = 0.1,
    c: Number = 0.01,
    window: int = 3,
    mask: Tensor | None = None,
) -> Tensor:
    """Cross entropy of the pixels whose surroundings correlate least with the target's.

    Args:
        beta: pixels whose error is below this share of the largest are left out.
        c: keeps flat neighbourhoods from dividing by 0.
        window: pixels along the side of a neighbourhood.

    Shape:
        p and y with the class axis; one value an image and class.

    Example:
        `bce(p, y) + ssl_seg(p, y)`
    """
    p, y = without(mask, p, y)
    cost = wide(bce(p, y))
    return unlike(cost, (p.sigmoid(), y), pixels(mask, cost), beta, c, window)


@overload(
    "ssl_seg",
    signature="class_logits|class_prob[B, C, H, W], labels|one_hot|class_prob[B, C, H, W]"
    " -> loss[B, C]",
)
@overload("ssl_seg", signature="prob[B, C, H, W], prob[B, C, H, W] -> loss[B, C]")
def ssl_seg_of_prob(
    p: Tensor,
    y: Tensor,
    *,
    beta: Number = 0.1,
    c: Number = 0.01,
    window: int = 3,
    mask: Tensor | None = None,
) -> Tensor:
    """Structural loss of probabilities."""
    p, y = without(mask, p, y)
    cost = wide(bce_of_prob(p, y))
    return unlike(cost, (p, y), pixels(mask, cost), beta, c, window)
