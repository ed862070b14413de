"""Losses of images: structural similarity, total variation, distance of feature maps.

Each is one value an image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, Literal

import torch
from torch import Tensor

from lossdsl.functions import adjoints
from lossdsl.functions.precision import wide
from lossdsl.library import variation
from lossdsl.library.guarded import mean_over
from lossdsl.library.record import Example, Number, Reference, Vector
from lossdsl.library.registry import loss
from lossdsl.library.windows import (
    at_centres,
    centred,
    gaussian_taps,
    halved,
    kept_mean,
    over_pixels,
    shown,
    similarity_maps,
)

WANG_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

WINDOW_RANGES = {
    "window": "[1, inf)",
    "sigma": "(0, inf)",
    "k1": "(0, inf)",
    "k2": "(0, inf)",
    "data_range": "(0, inf)",
}

WINDOW_CONVENTIONS = (
    "Windows lie inside the image (no padding); variances divide by the sum of the window's"
    " weights (no sample correction).",
    "An even window has no middle: its pixel after the middle counts as the centre.",
)


def least_side_of_ssim(parameters: Mapping[str, Any]) -> dict[str, int]:
    """One whole window."""
    return {"H": parameters["window"], "W": parameters["window"]}


def least_side_of_ms_ssim(parameters: Mapping[str, Any]) -> dict[str, int]:
    """One whole window at the coarsest scale."""
    side = (parameters["window"] - 1) * 2 ** (len(parameters["weights"]) - 1) + 1
    return {"H": side, "W": side}


@loss(
    "ssim",
    signature="image[B, C, H, W], image[B, C, H, W] -> loss[B]",
    family="image",
    values="[0, 2]",
    latex=(
        r"1 - \frac{(2\mu_p\mu_y + C_1)(2\sigma_{py} + C_2)}"
        r"{(\mu_p^2 + \mu_y^2 + C_1)(\sigma_p^2 + \sigma_y^2 + C_2)},\quad "
        r"C_i = (k_i L)^2"
    ),
    reference=Reference(
        "Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli",
        "Image Quality Assessment: From Error Visibility to Structural Similarity",
        2004,
    ),
    ranges=WINDOW_RANGES,
    mask="inside",
    image_range="data_range",
    least=least_side_of_ssim,
    conventions=(
        "1 - SSIM, in [0, 2]; half of it is called DSSIM.",
        *WINDOW_CONVENTIONS,
        "Every channel on its own, then the mean over channels and windows.",
        "A mask keeps the windows whose centre it keeps, and of each the pixels that it keeps:"
        " their weights are scaled to sum to 1.",
    ),
    pitfalls=(
        "The range of the pixels matters: declare image(0, 255) or image(-1, 1) where it applies.",
        "Images smaller than the window are an error.",
    ),
    use=(
        "Restoration, compression and depth where local structure and contrast are to be kept,"
        " beside a loss of pixels."
    ),
    avoid=(
        "Alone, colours and brightness may drift: add `l1`. Structure that is larger than the"
        " window: `ms_ssim`."
    ),
    checked=(
        "`skimage.metrics.structural_similarity` with Gaussian weights, and the paper's formula"
        " window by window in NumPy"
    ),
    related={
        "ms_ssim": "at several scales",
        "photometric": "half of it, mixed with the absolute difference",
        "perceptual": "compares features of a network",
    },
    identities=(("ssim(x, x, window=3)", "input x: image[B, C, H, W]; mse(x, x)"),),
    examples=(
        Example(
            "ssim(p, y, window=3)",
            0.1999360204734485,
            {"p": [[[[0.5] * 3] * 3]], "y": [[[[0.25] * 3] * 3]]},
        ),
    ),
)
def ssim(
    pred: Tensor,
    target: Tensor,
    *,
    window: int = 11,
    sigma: float = 1.5,
    k1: Number = 0.01,
    k2: Number = 0.03,
    data_range: Number = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """One minus the structural similarity of two images.

    Compares means, variances and the covariance under a sliding Gaussian window. Takes two
    batches of images `[B, C, H, W]` of equal range and gives `[B]`; symmetric in its arguments
    and exactly 0 for equal images.

    Example:
        `0.84*ssim(x, y) + 0.16*l1(x, y)` for restoration.
    """
    pred, target = wide(pred), wide(target)
    keep = over_pixels(mask, pred)
    images, shifts = centred(shown(pred, keep), shown(target, keep), keep)
    c1, c2 = (k1 * data_range) ** 2, (k2 * data_range) ** 2
    taps = gaussian_taps(window, sigma)
    luminance, contrast = similarity_maps(images, shifts, keep, taps, c1, c2)
    return kept_mean(1.0 - luminance * contrast, at_centres(keep, window), (1, 2, 3))


def positive_power(base: Tensor, exponent: Number) -> Tensor:
    """`max(base, 0) ** exponent`, with gradient 0 where the base is 0 up to rounding."""
    vanishes = base <= torch.finfo(base.dtype).eps
    return torch.where(vanishes, 0.0, torch.where(vanishes, 1.0, base) ** exponent)


@loss(
    "ms_ssim",
    signature="image[B, C, H, W], image[B, C, H, W] -> loss[B]",
    family="image",
    latex=r"1 - \mathrm{ssim}_M^{\beta_M} \prod_{j<M} \mathrm{cs}_j^{\beta_j}",
    reference=Reference(
        "Z. Wang, E. P. Simoncelli, A. C. Bovik",
        "Multiscale structural similarity for image quality assessment",
        2003,
    ),
    ranges=WINDOW_RANGES,
    mask="inside",
    image_range="data_range",
    least=least_side_of_ms_ssim,
    conventions=(
        "Contrast-structure at every scale, luminance at the coarsest alone; means over the"
        " windows of a channel come before the powers, the mean over channels after.",
        "Scales are halved by means of 2 x 2 blocks, at an odd border of the pixels there are;"
        " the short side must exceed (window - 1) * 2^(scales - 1): 161 pixels by default.",
        "A mean that is not positive counts as 0: the loss is then 1, without gradient.",
        *WINDOW_CONVENTIONS,
        "A mask keeps the windows whose centre it keeps, and of each the pixels that it keeps; at"
        " a coarser scale both count by the kept share of their block, and the block is the mean"
        " of its kept pixels. A scale without kept windows contributes the factor 1.",
    ),
    pitfalls=(
        "Unrelated or inverted images have a contrast below 0 and get no gradient: begin with"
        " ssim, l1 or mse, or keep one of them beside it.",
        "For small images pass fewer weights.",
    ),
    use=(
        "Images of 161 pixels and more whose structure counts at several scales:"
        " super-resolution, denoising, compression; mostly beside l1."
    ),
    avoid=(
        "Small images, or a start from noise, where the gradient may be 0: `ssim`. Colours that"
        " must be right: add `l1`."
    ),
    checked="the paper's formula in NumPy, window by window and scale by scale",
    related={
        "ssim": "one scale, with a gradient where the contrast is negative too",
        "laplacian_pyramid": "absolute differences, scale by scale",
        "lpips": "a similarity fitted to what people see",
    },
    identities=(("ms_ssim(x, x/2, window=3, weights=[1])", "ssim(x, x/2, window=3)"),),
    examples=(
        Example(
            "ms_ssim(p, y, window=3, weights=[0.5, 0.5])",
            0.10553704407250519,
            {"p": [[[[0.5] * 6] * 6]], "y": [[[[0.25] * 6] * 6]]},
        ),
    ),
)
def ms_ssim(
    pred: Tensor,
    target: Tensor,
    *,
    window: int = 11,
    sigma: float = 1.5,
    k1: Number = 0.01,
    k2: Number = 0.03,
    weights: Vector = WANG_WEIGHTS,
    data_range: Number = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """One minus the multi-scale structural similarity of two images.

    Takes two batches of images `[B, C, H, W]` of equal range and gives `[B]`, in [0, 1]. The
    exponents `weights` also say how many scales there are.

    Example:
        `ms_ssim(x, y)` at 161 pixels and more, `ms_ssim(x, y, weights=[0.3, 0.4, 0.3])` from 41.
    """
    scales = len(weights)
    pred, target = wide(pred), wide(target)
    keep = over_pixels(mask, pred)
    (a, b), shifts = centred(shown(pred, keep), shown(target, keep), keep)
    c1, c2 = (k1 * data_range) ** 2, (k2 * data_range) ** 2
    taps = gaussian_taps(window, sigma)
    similarity = torch.ones_like(pred[:, :, 0, 0])
    for scale in range(scales):
        if scale > 0:
            a, b = halved(a, keep), halved(b, keep)
            keep = None if keep is None else halved(keep)
        luminance, contrast = similarity_maps((a, b), shifts, keep, taps, c1, c2)
        coarsest = scale == scales - 1
        values = luminance * contrast if coarsest else contrast
        # The mean of 1 - values, so that no kept window means similarity 1, not 0.
        mean = 1.0 - kept_mean(1.0 - values, at_centres(keep, window), (2, 3))
        similarity = similarity * positive_power(mean, weights[scale])
    return (1.0 - similarity).mean(1)


def step(x: Tensor, dim: int) -> Tensor:
    """Differences of neighbours along one axis."""
    length = x.shape[dim] - 1
    return x.narrow(dim, 1, length) - x.narrow(dim, 0, length)


def without_last(x: Tensor, axes: Sequence[int]) -> Tensor:
    for axis in axes:
        x = x.narrow(axis, 0, x.shape[axis] - 1)
    return x


def kept_steps(mask: Tensor | None, axes: Sequence[int]) -> Tensor | None:
    """Where the mask keeps a pixel and its next neighbour along each of the axes."""
    if mask is None:
        return None
    result = without_last(mask, axes)
    for axis in axes:
        following = mask.narrow(axis, 1, mask.shape[axis] - 1)
        result = result * without_last(following, [other for other in axes if other != axis])
    return result


def slope(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Length of the forward differences, where all of them exist; gradient 0 at length 0."""
    steps = [step(without_last(x, [o for o in axes if o != axis]), axis) for axis in axes]
    square = reduce(torch.add, [difference * difference for difference in steps])
    flat = square == 0
    return torch.where(flat, 0.0, torch.where(flat, 1.0, square).sqrt())


@loss(
    "tv",
    signature="image|real[B, C, H, *S] -> loss[B]",
    family="image",
    values="[0, inf)",
    aliases=("total_variation",),
    latex=r"\sum_a \frac{1}{N_a} \sum_i \left|x_{i + e_a} - x_i\right|",
    reference=Reference(
        "L. I. Rudin, S. Osher, E. Fatemi",
        "Nonlinear total variation based noise removal algorithms",
        1992,
    ),
    mask="inside",
    conventions=(
        "Anisotropic: for every spatial axis the mean absolute difference of neighbours, over"
        " channels and positions; then the sum over the axes.",
        "isotropic=true is the paper's: the mean length of the forward differences, at the"
        " positions that have a neighbour along every axis; gradient 0 where it is flat.",
        "A mask keeps a difference if it keeps all the pixels in it; other pixels are not read.",
        "An axis of one element has no differences and contributes 0.",
    ),
    pitfalls=("A mean, not a sum: published weights of summed forms do not carry over.",),
    use=(
        "A prior that smooths an image, a depth map or a signal and lets its jumps stand:"
        " denoising, inversion, style transfer."
    ),
    avoid=(
        "Smooth ramps, which it turns into stairs: `temporal_consistency` with order=2 along"
        " time. Depth beside a picture: `edge_smoothness` spares the picture's edges."
    ),
    checked="loops over neighbours in NumPy",
    related={
        "edge_smoothness": "the same, weaker at the edges of an image",
        "temporal_consistency": "along time alone",
        "gradient_difference": "compares the differences of two images",
    },
    identities=(
        ("input x: real[B, C, T]; tv(x, isotropic=true)", "input x: real[B, C, T]; tv(x)"),
        (
            "input x: real[B, C, T]; tv(x)",
            "input x: real[B, C, T]; temporal_consistency(transpose(x))",
        ),
        ("tv(x - x)", "input x: real[B, C, H, *S]; mse(x, x)"),
    ),
    examples=(
        Example("tv(x)", 3.0, {"x": [[[[0.0, 1.0], [2.0, 3.0]]]]}),
        Example("tv(x, isotropic=true)", 5.0, {"x": [[[[0.0, 3.0], [4.0, 9.0]]]]}),
    ),
)
def tv(x: Tensor, *, isotropic: bool = False, mask: Tensor | None = None) -> Tensor:
    """Total variation: how much neighbours differ.

    Takes a batch `[B, C, ...]` with any number of spatial axes (a signal, an image, a volume) and
    gives `[B]`; 0 for constant images.

    Example:
        `0.1*tv(img)` smooths; `tv(flow, mask=valid)` ignores what is not valid.
    """
    x = wide(x)
    keep = over_pixels(mask, x)
    x = shown(x, keep)
    dims = tuple(range(1, x.dim()))
    axes = [axis for axis in dims[1:] if x.shape[axis] > 1]
    if not axes or 0 in x.shape[1:]:
        return (0.0 * x).sum(dims)
    if isotropic:
        return kept_mean(slope(x, axes), kept_steps(keep, axes), dims)
    if keep is None and adjoints.written_out() and variation.fits(x):
        return variation.variation(x)
    means = [kept_mean(step(x, axis).abs(), kept_steps(keep, [axis]), dims) for axis in axes]
    return reduce(torch.add, means)


@loss(
    "perceptual",
    signature="features, features -> loss[B]",
    family="image",
    values="[0, inf)",
    aliases=("feature_map",),
    latex=r"\sum_l \frac{w_l}{N_l} \left\lVert \phi_l(p) - \phi_l(y) \right\rVert_2^2",
    reference=Reference(
        "J. Johnson, A. Alahi, L. Fei-Fei",
        "Perceptual Losses for Real-Time Style Transfer and Super-Resolution",
        2016,
        "1603.08155",
    ),
    conventions=(
        "Mean over each map's elements, then the weighted sum over the maps; weights are 1 each"
        " unless given, and are not normalised.",
        "p='l2' is the squared difference, p='l1' the absolute one.",
        "The target's maps are constants: no gradient goes into the second argument.",
    ),
    pitfalls=(
        "The network, its layers and the range of the images that it expects are the caller's.",
    ),
    use=(
        "Super-resolution, translation and generation, where images should look alike rather"
        " than agree pixel by pixel."
    ),
    avoid=(
        "Pixels that must be right, or no network for the domain: `l1` and `ssim`. Pairs that"
        " are not aligned: `contextual`. Texture wherever it lies: `style`."
    ),
    checked="`torch.nn.functional.l1_loss` and `mse_loss` of each map",
    related={
        "feature_matching": "the maps of a discriminator, by absolute differences",
        "content": "half a sum over one map",
        "lpips": "directions of features, with learned weights",
        "contextual": "features matched without places",
    },
    identities=(
        (
            "input p: real[B, *S]; input y: real[B, *S]; perceptual([p], [y])",
            "input p: real[B, *S]; input y: real[B, *S]; mse(p, y)",
        ),
        (
            "input p: real[B, *S]; input y: real[B, *S]; perceptual([p], [y], p='l1')",
            "input p: real[B, *S]; input y: real[B, *S]; l1(p, y)",
        ),
    ),
    examples=(
        Example(
            "perceptual(f, g, weights=[1, 0.5])",
            3.0,
            {"f": [[[1.0, 1.0]], [[2.0]]], "g": [[[0.0, 0.0]], [[0.0]]]},
        ),
    ),
)
def perceptual(
    pred: Sequence[Tensor],
    target: Sequence[Tensor],
    *,
    weights: Vector | None = None,
    p: Literal["l1", "l2"] = "l2",
) -> Tensor:
    """Distance of two images in the feature maps of a fixed network.

    Takes two lists of maps `[B, ...]`, equal in length and shape by shape, and gives `[B]`.

    Example:
        `perceptual(vgg(x), vgg(y), weights=[0.1, 1], p='l1')` with a bound module `vgg`.
    """
    if len(pred) != len(target) or not pred:
        raise ValueError(
            f"perceptual needs two lists of equally many maps, got {len(pred)} and {len(target)}"
        )
    if weights is not None and len(weights) != len(pred):
        raise ValueError(f"perceptual got {len(weights)} weights for {len(pred)} maps")
    terms = []
    for layer, (ours, theirs) in enumerate(zip(pred, target, strict=True)):
        if ours.shape != theirs.shape:
            raise ValueError(
                f"perceptual got map {layer} as {list(ours.shape)} and as {list(theirs.shape)}"
            )
        difference = wide(ours - theirs.detach())
        error = difference.abs() if p == "l1" else difference * difference
        mean = mean_over(error, range(1, error.dim())) if error.dim() > 1 else error
        terms.append(mean if weights is None else mean * weights[layer])
    return reduce(torch.add, terms)
