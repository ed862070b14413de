"""Restored images against the true ones, by pixels and their neighbours.

Each is one value an image.
"""

from __future__ import annotations

import math
from functools import reduce

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import floored, power
from lossdsl.library.image import kept_steps, step
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss
from lossdsl.library.windows import kept_mean, over_pixels, shown

IMAGES = "image[B, C, H, W], image[B, C, H, W] -> loss[B]"
ALL = (1, 2, 3)

DECIBEL = 10 / math.log(10)


@loss(
    "psnr",
    signature=IMAGES,
    family="image",
    latex=r"10 \log_{10} \frac{\mathrm{MSE}}{L^2}",
    reference=Reference(
        "L. Chen, X. Lu, J. Zhang, X. Chu, C. Chen",
        "HINet: Half Instance Normalization Network for Image Restoration",
        2021,
        "2105.06086",
    ),
    ranges={"data_range": "(0, inf)", "best": "(0, inf)"},
    mask="inside",
    image_range="data_range",
    conventions=(
        "The negative peak signal-to-noise ratio in decibels: smaller is better.",
        "The mean square is that of an image, over its channels and kept pixels; the mean over"
        " images comes after the logarithm.",
        "A ratio above `best` decibels counts as that, and the slope grows no further.",
    ),
    pitfalls=(
        "The range of the pixels matters: declare image(0, 255) or image(-1, 1) where it applies.",
    ),
    use=(
        "Restoration that is scored by the signal-to-noise ratio: the logarithm keeps the"
        " gradient up as the error falls."
    ),
    avoid=(
        "Images that differ in how hard they are: one that is nearly exact gets the steepest"
        " slope; `charbonnier` and `l1` are even. How it looks: `ssim`."
    ),
    checked="`skimage.metrics.peak_signal_noise_ratio` and `kornia.losses.psnr_loss`",
    related={
        "mse": "the error inside the logarithm",
        "snr": "of signals, in units of the target",
        "charbonnier": "robust, without a logarithm",
    },
    identities=(
        (
            "psnr(x, y)",
            "input x: image[B, C, H, W]; input y: image[B, C, H, W]; "
            "mean(10/log(10)*log(maximum(mse(x, y, reduction='batch'), 1e-10)))",
        ),
    ),
    examples=(
        Example("psnr(p, y)", -20.0, {"p": [[[[0.1, 0.1]]]], "y": [[[[0.0, 0.2]]]]}),
        Example("psnr(p, y)", -100.0, {"p": [[[[0.5]]]], "y": [[[[0.5]]]]}),
    ),
)
def psnr(
    pred: Tensor,
    target: Tensor,
    *,
    best: Number = 100.0,
    data_range: Number = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """Negative peak signal-to-noise ratio.

    Args:
        best: the ratio that is good enough, in decibels.

    Shape:
        pred and target alike, [B, C, H, W]; one value an image.

    Example:
        `psnr(x, y)`
    """
    keep = over_pixels(mask, pred)
    if 0 in pred.shape:
        return (0.0 * wide(pred)).sum(ALL)
    difference = (shown(wide(pred), keep) - shown(wide(target), keep)) / data_range
    square = kept_mean(difference * difference, keep, ALL)
    value = DECIBEL * floored(square, 10.0 ** (-0.1 * best)).log()
    if keep is None:
        return value
    # An image of which nothing is kept costs 0, as everywhere.
    return torch.where(keep.expand_as(difference).sum(ALL) > 0, value, 0.0)


@loss(
    "gradient_difference",
    signature=IMAGES,
    family="image",
    values="[0, inf)",
    latex=(
        r"\sum_a \frac{1}{N_a} \sum_i \left|\left|\partial_a y_i\right| - "
        r"\left|\partial_a p_i\right|\right|^\alpha"
    ),
    reference=Reference(
        "M. Mathieu, C. Couprie, Y. LeCun",
        "Deep multi-scale video prediction beyond mean square error",
        2015,
        "1511.05440",
    ),
    ranges={"alpha": "(0, inf)"},
    mask="inside",
    conventions=(
        "For both axes the mean over channels and differences of neighbours, then the sum; the"
        " paper has sums.",
        "An equal difference has gradient 0, whatever alpha.",
        "A mask keeps a difference if it keeps both pixels.",
    ),
    pitfalls=("Blind to the sign of an edge and to brightness: use it beside l1 or mse.",),
    use="Sharper edges in video prediction and super-resolution, beside mse or l1.",
    avoid=(
        "Alone: it sees neither brightness nor the sign of an edge; add `l1`. Detail at several"
        " scales: `laplacian_pyramid`."
    ),
    checked="`numpy.diff` of both images",
    related={
        "tv": "the differences of one image alone",
        "edge": "fine detail with its sign",
        "laplacian_pyramid": "detail at every scale",
    },
    identities=(
        ("gradient_difference(x, 0*x)", "input x: image[B, C, H, W]; tv(x)"),
        ("gradient_difference(1 - x, y)", "gradient_difference(x, y)"),
    ),
    examples=(
        Example(
            "gradient_difference(p, y)",
            1.0,
            {"p": [[[[0.0, 0.0]]]], "y": [[[[1.0, 0.0]]]]},
        ),
    ),
)
def gradient_difference(
    pred: Tensor, target: Tensor, *, alpha: Number = 1.0, mask: Tensor | None = None
) -> Tensor:
    """Difference in the sharpness of edges.

    Args:
        alpha: the power of the difference.

    Shape:
        pred and target alike, [B, C, H, W]; one value an image.

    Example:
        `mse(x, y) + gradient_difference(x, y)`
    """
    keep = over_pixels(mask, pred)
    pred, target = shown(wide(pred), keep), shown(wide(target), keep)
    terms = [(0.0 * pred).sum(ALL)]
    for axis in (2, 3):
        if pred.shape[axis] > 1 and 0 not in pred.shape[1:]:
            cost = power((step(target, axis).abs() - step(pred, axis).abs()).abs(), alpha)
            terms.append(kept_mean(cost, kept_steps(keep, [axis]), ALL))
    return reduce(torch.add, terms)


@loss(
    "context",
    signature="image[B, C, H, W], image[B, C, H, W], mask[B, 1, H, W] -> loss[B]",
    family="image",
    values="[0, inf)",
    aliases=("known_region",),
    latex=r"\frac{\sum_i m_i \lvert p_i - y_i \rvert}{\sum_i m_i}",
    reference=Reference(
        "R. A. Yeh, C. Chen, T. Y. Lim, A. G. Schwing, M. Hasegawa-Johnson, M. N. Do",
        "Semantic Image Inpainting with Deep Generative Models",
        2016,
        "1607.07539",
    ),
    conventions=(
        "The third argument is 1 where the image is known; holes are 0.",
        "The mean over the known pixels of an image and their channels, then over images. An image"
        " of which nothing is known costs 0.",
        "Known pixels weigh alike; the paper raises those next to a hole.",
    ),
    pitfalls=("Not contextual, which compares features wherever they are.",),
    use="Inpainting by a generator: its image is to agree with what is known, and an adversary or"
    " `perceptual` judges the holes.",
    avoid="Holes whose true content is given: `l1` of the whole image learns from it.",
    checked="`torch.nn.functional.l1_loss` of the known pixels, image by image",
    related={
        "l1": "with mask=, all known pixels of the batch weigh alike",
        "contextual": "features wherever they are",
        "perceptual": "features in place of pixels",
    },
    identities=(
        (
            "input p: image[1, C, H, W]; input y: image[1, C, H, W]; input m: mask[1, 1, H, W]; "
            "context(p, y, m)",
            "input p: image[1, C, H, W]; input y: image[1, C, H, W]; input m: mask[1, 1, H, W]; "
            "l1(p, y, mask=m)",
        ),
    ),
    examples=(
        Example(
            "context(p, y, known)",
            0.5,
            {
                "p": [[[[0.0, 1.0, 9.0]]]],
                "y": [[[[0.0, 0.0, 0.0]]]],
                "known": [[[[1.0, 1.0, 0.0]]]],
            },
        ),
    ),
)
def context(pred: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Absolute error where the image is known.

    Shape:
        pred and target alike, [B, C, H, W], known [B, 1, H, W]; one value an image.

    Example:
        `context(x, y, known) + 0.003*gan_g(D(x))`
    """
    keep = (known > 0).expand_as(pred)
    # What stands in a hole does not matter, not even as not a number.
    apart = torch.where(keep, pred, 0.0) - torch.where(keep, target, 0.0)
    error = wide(apart).abs()
    return kept_mean(error, keep.to(error.dtype), ALL)
