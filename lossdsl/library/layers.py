"""Comparison of images by the feature maps of a network: content, style, learned similarity.

The network is the caller's, bound as a module; its maps are the arguments. A target's maps are
constants.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Literal

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import mean_over
from lossdsl.library.image import perceptual
from lossdsl.library.record import Example, Number, Reference, Vector
from lossdsl.library.registry import loss

FIXED = "The target's maps are constants: no gradient goes into the second argument."
LAYERS = ("The network, its layers and the range of the images that it expects are the caller's.",)

GATYS = Reference(
    "L. A. Gatys, A. S. Ecker, M. Bethge",
    "A Neural Algorithm of Artistic Style",
    2015,
    "1508.06576",
)


@loss(
    "content",
    signature="real[B, *S], real[B, *S] -> loss[B]",
    family="image",
    values="[0, inf)",
    latex=r"\tfrac12 \sum_i \left(\phi(p) - \phi(y)\right)_i^2",
    reference=GATYS,
    conventions=(
        "Half the sum of squares over a map, not a mean: perceptual is the mean.",
        "The target's map is a constant: no gradient goes into the second argument.",
    ),
    pitfalls=LAYERS,
    use=(
        "Style transfer as Gatys had it: one deep map keeps what is in the picture, while style"
        " sets how it is painted."
    ),
    avoid=(
        "Several layers, or a weight that should not depend on the size of the map: `perceptual`"
        " takes means."
    ),
    checked="half a sum of squares in NumPy",
    related={
        "perceptual": "means of squares, of several maps",
        "style": "texture without places: the other half of style transfer",
        "euclidean": "the same number of any tensors, with gradients into both",
    },
    identities=(("content(p, y)", "euclidean(p, y)"),),
    examples=(Example("content(p, y)", 12.5, {"p": [[3.0, 4.0]], "y": [[0.0, 0.0]]}),),
)
def content(p: Tensor, y: Tensor) -> Tensor:
    """Half the squared distance of one feature map.

    Shape:
        p and y alike, [B, ...]; one value an image.

    Example:
        `content(vgg(x)[3], vgg(y)[3]) + 1e3*style(vgg(x), vgg(art))`
    """
    difference = wide(p) - wide(y.detach())
    square = 0.5 * difference * difference
    return square.flatten(1).sum(1) if square.dim() > 1 else square


def layer_weights(weights: Vector | None, count: int) -> list[Number]:
    if weights is None:
        return [1.0] * count
    return [weights[layer] for layer in range(count)]


def same_maps(name: str, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> None:
    if len(ours) != len(theirs) or not ours:
        raise ValueError(
            f"{name} needs two lists of equally many maps, got {len(ours)} and {len(theirs)}"
        )


def gram(maps: Tensor) -> Tensor:
    """Inner products of the channels of [B, C, ...], over the number of channels and places."""
    flat = wide(maps).flatten(2) if maps.dim() > 2 else wide(maps)[..., None]
    return flat @ flat.transpose(1, 2) / max(flat.shape[1] * flat.shape[2], 1)


@loss(
    "style",
    signature="features, features -> loss[B]",
    family="image",
    values="[0, inf)",
    latex=(
        r"\sum_l w_l \left\lVert G_l(p) - G_l(y) \right\rVert_F^2,\quad "
        r"G = \frac{\phi \phi^\top}{C H W}"
    ),
    reference=GATYS,
    conventions=(
        "scale='johnson', the default, is the formula; 'gatys' is a quarter of it, the first"
        " paper's; 'mean' takes the mean over the C^2 entries in place of their sum, as much code"
        " does.",
        "The weighted sum over the maps; weights are 1 each unless given, and are not normalised.",
        FIXED,
    ),
    pitfalls=(
        "Published weights belong to one of the three scales: at 512 channels they differ by"
        " 262144.",
        *LAYERS,
    ),
    use=(
        "Style transfer, texture synthesis and inpainting: which features occur together, not"
        " where."
    ),
    avoid=(
        "A layout that matters: it does not know places; `perceptual` does. Features to be"
        " matched one by one: `contextual`."
    ),
    checked="Gram matrices by `numpy.einsum`, with the normalisations of both papers",
    related={
        "content": "keeps places: the other half of style transfer",
        "perceptual": "maps compared place by place",
        "contextual": "each feature against its nearest",
    },
    identities=(
        (
            "input f: real[B, C, H, W]; input g: real[B, C, H, W]; style([f], [g], scale='gatys')",
            "input f: real[B, C, H, W]; input g: real[B, C, H, W]; 0.25*style([f], [g])",
        ),
    ),
    examples=(
        Example(
            "style([f], [g])",
            (2.5 - 0.0) ** 2,
            {"f": [[[1.0, 2.0]]], "g": [[[0.0, 0.0]]]},
        ),
    ),
)
def style(
    pred: Sequence[Tensor],
    target: Sequence[Tensor],
    *,
    weights: Vector | None = None,
    scale: Literal["gatys", "johnson", "mean"] = "johnson",
) -> Tensor:
    """Distance of the correlations of a network's channels: texture, wherever it is.

    Takes two lists of maps `[B, C, ...]`, equal in length and channel by channel (a style image
    may have another size), and gives `[B]`.

    Args:
        weights: one weight a map.
        scale: whose normalisation.

    Example:
        `style(vgg(x), vgg(art), weights=[0.2, 0.2, 0.2, 0.2, 0.2], scale='gatys')`
    """
    same_maps("style", pred, target)
    terms = []
    for ours, theirs, weight in zip(pred, target, layer_weights(weights, len(pred)), strict=True):
        difference = gram(ours) - gram(theirs.detach())
        entries = 4.0 if scale == "gatys" else 1.0
        if scale == "mean":
            entries = max(difference.shape[1] ** 2, 1)
        terms.append((difference * difference).sum((1, 2)) * (weight / entries))
    return reduce(torch.add, terms)


@loss(
    "feature_matching",
    signature="features, features -> loss[B]",
    family="image",
    values="[0, inf)",
    latex=r"\sum_l \frac{w_l}{N_l} \left\lVert D_l(p) - D_l(y) \right\rVert_1",
    reference=Reference(
        "T.-C. Wang et al.",
        "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs",
        2017,
        "1711.11585",
    ),
    conventions=(
        "The maps of a discriminator; perceptual with p='l1' is the same formula.",
        "Mean over each map's elements, then the weighted sum over the maps.",
        FIXED,
    ),
    pitfalls=("The discriminator gets no gradient to want from it: keep it out of its loss.",),
    use=(
        "The generator of a GAN with paired data (pix2pixHD, vocoders): the real sample's"
        " features in the discriminator steady it."
    ),
    avoid=(
        "Without a discriminator: `perceptual` of a fixed network. Without pairs: `mmd` of the"
        " features compares whole batches."
    ),
    checked="means of absolute differences of each layer in NumPy",
    related={
        "perceptual": "the same of a fixed network, by squares",
        "hinge_gan_g": "the score that it goes beside",
        "gan_g": "the score that it goes beside",
    },
    identities=(("feature_matching(f, g)", "perceptual(f, g, p='l1')"),),
    examples=(
        Example(
            "feature_matching(f, g)",
            3.0,
            {"f": [[[1.0, 1.0]], [[2.0]]], "g": [[[0.0, 0.0]], [[0.0]]]},
        ),
    ),
)
def feature_matching(
    pred: Sequence[Tensor], target: Sequence[Tensor], *, weights: Vector | None = None
) -> Tensor:
    """Distance of a fake and a real image in the layers of a discriminator.

    Takes two lists of maps `[B, ...]`, equal in length and shape by shape, and gives `[B]`.

    Args:
        weights: one weight a map.

    Example:
        `hinge_gan_g(D(fake).score) + 10*feature_matching(D(fake).maps, D(img).maps)`
    """
    same_maps("feature_matching", pred, target)
    return perceptual(pred, target, weights=weights, p="l1")


def unit_channels(x: Tensor) -> Tensor:
    """Vectors along axis 1 scaled to length 1; of length 0 they stay, with gradient 0."""
    square = (x * x).sum(1, keepdim=True)
    none = square <= torch.finfo(x.dtype).tiny
    return torch.where(none, 0.0, x / torch.where(none, 1.0, square).sqrt())


@loss(
    "lpips",
    signature="features, features, real[K]? -> loss[B]",
    family="image",
    latex=(
        r"\sum_l \frac{1}{H_l W_l} \sum_{h, w} \sum_c w_{lc} "
        r"\left(\hat\phi_l(p) - \hat\phi_l(y)\right)_{hwc}^2"
    ),
    reference=Reference(
        "R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang",
        "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
        2018,
        "1801.03924",
    ),
    conventions=(
        "Maps are scaled to length 1 along the channels at every place.",
        "The learned weights of the channels, of one map after the other in a single vector, are"
        " an argument; without it all are 1. They weigh the squared difference.",
        "Gradients go into both lists of maps.",
    ),
    pitfalls=(
        "No network comes with it: give the maps of the one that the weights were learned with,"
        " of images in its range.",
    ),
    use=(
        "Generation and restoration of photographs, with weights that were fitted to what people"
        " find similar."
    ),
    avoid=(
        "Other images than the network's (medical, scientific), or pixels that must be right:"
        " `ssim` and `l1`. No learned weights: `perceptual`."
    ),
    checked="the paper's formula by `numpy.einsum`, with and without learned weights",
    related={
        "perceptual": "raw features, each map's mean",
        "contextual": "directions too, but matched without places",
        "ms_ssim": "without a network",
    },
    examples=(
        Example("lpips([f], [g])", 2.0, {"f": [[[3.0], [0.0]]], "g": [[[0.0], [2.0]]]}),
        Example(
            "lpips([f], [g], w)",
            0.75,
            {"f": [[[3.0], [0.0]]], "g": [[[0.0], [2.0]]], "w": [0.5, 0.25]},
        ),
    ),
)
def lpips(
    pred: Sequence[Tensor], target: Sequence[Tensor], weights: Tensor | None = None
) -> Tensor:
    """Learned perceptual similarity: weighted distance of directions in feature space.

    Takes two lists of maps `[B, C, ...]`, equal in length and shape by shape, optionally the
    weights of all their channels, `[C1 + C2 + ...]`, and gives `[B]`.

    Example:
        `lpips(alex(x), alex(y), w)`
    """
    same_maps("lpips", pred, target)
    total = sum(map_.shape[1] for map_ in pred)
    if weights is not None and weights.shape[0] != total:
        raise ValueError(f"lpips got {weights.shape[0]} weights for {total} channels")
    terms, start = [], 0
    for ours, theirs in zip(pred, target, strict=True):
        difference = unit_channels(wide(ours)) - unit_channels(wide(theirs))
        square = difference * difference
        channels = square.shape[1]
        if weights is not None:
            own = wide(weights).narrow(0, start, channels)
            square = square * own.reshape(-1, *[1] * (square.dim() - 2))
        place = square.sum(1)
        terms.append(mean_over(place, range(1, place.dim())) if place.dim() > 1 else place)
        start += channels
    return reduce(torch.add, terms)


def normalised_distances(p: Tensor, y: Tensor) -> Tensor:
    """Cosine distance of all places of p and of y, around the mean of y's places, [B, I, J]."""
    mean = mean_over(y, [0, 2])[None, :, None]
    ours, theirs = unit_channels(p - mean), unit_channels(y - mean)
    return (1 - ours.transpose(1, 2) @ theirs).clamp(min=0)


@loss(
    "contextual",
    signature="real[B, C, *S], real[B, C, *S] -> loss[B]",
    family="image",
    values="[0, inf)",
    aliases=("cx",),
    latex=(
        r"-\log \frac1J \sum_j \max_i \frac{w_{ij}}{\sum_k w_{ik}},\quad "
        r"w_{ij} = e^{(1 - d_{ij} / (\min_k d_{ik} + \epsilon)) / h}"
    ),
    reference=Reference(
        "R. Mechrez, I. Talmi, L. Zelnik-Manor",
        "The Contextual Loss for Image Transformation with Non-Aligned Data",
        2018,
        "1803.02077",
    ),
    ranges={"bandwidth": "(0, inf)", "eps": "(0, inf)"},
    mask="none",
    conventions=(
        "d is the cosine distance of the features at place i of p and j of y, both around the"
        " mean of y's features over the batch.",
        "The target's map is a constant: no gradient goes into the second argument.",
        "One layer a call.",
    ),
    pitfalls=("Takes memory for every pair of places: use deep or small maps.", *LAYERS),
    use=(
        "Image translation without aligned pairs: semantic style transfer, super-resolution from"
        " shifted photographs."
    ),
    avoid=(
        "Aligned pairs: `perceptual` and `lpips` know the places and cost far less. Large maps:"
        " it takes memory for every pair of places."
    ),
    checked="the paper's formula in NumPy",
    related={
        "perceptual": "maps compared place by place",
        "style": "which features occur together, without matching",
        "sinkhorn": "matches whole samples by optimal transport",
    },
    examples=(
        Example(
            "contextual(p, y, eps=1)",
            math.log1p(math.exp(-4.0)),
            {"p": [[[1.0, -1.0], [0.0, 0.0]]], "y": [[[1.0, -1.0], [0.0, 0.0]]]},
        ),
    ),
)
def contextual(p: Tensor, y: Tensor, *, bandwidth: Number = 0.5, eps: Number = 1e-5) -> Tensor:
    """Similarity of two images as sets of features, which need not be aligned.

    Args:
        bandwidth: the h of the formula; small ones leave the best match alone.
        eps: added to the smallest distance.

    Shape:
        p and y alike, [B, C, ...]; one value an image.

    Example:
        `contextual(vgg(x)[2], vgg(y)[2])`
    """
    p, y = wide(p), wide(y.detach())
    p, y = (x.flatten(2) if x.dim() > 2 else x[..., None] for x in (p, y))
    if 0 in p.shape:
        return (0.0 * p).sum((1, 2))
    apart = normalised_distances(p, y)
    relative = apart / (apart.amin(2, keepdim=True) + eps)
    share = torch.log_softmax((1 - relative) / bandwidth, 2)
    best = share.amax(1)
    return math.log(best.shape[1]) - torch.logsumexp(best, 1)
