"""Detail of restored images: pyramids, frequencies, structure.

Each is one value an image.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdsl.functions.precision import wide
from lossdsl.library.image import ssim
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss
from lossdsl.library.restoration import ALL, IMAGES
from lossdsl.library.windows import kept_mean, over_pixels, shown, slide

BURT_TAPS = (0.05, 0.25, 0.4, 0.25, 0.05)


def smoothed(x: Tensor) -> Tensor:
    """Burt and Adelson's blur, with the border repeated."""
    padded = F.pad(x, (2, 2, 2, 2), mode="replicate")
    return slide(slide(padded, BURT_TAPS, -2), BURT_TAPS, -1)


def without_detail(x: Tensor, coarse: Tensor) -> Tensor:
    """The coarse image at the size of the fine one: blurred from the pixels that it has, their
    weights scaled to sum to 1, so that a constant stays one up to the border."""
    height, width = x.shape[-2:]
    spread = coarse.repeat_interleave(2, -2).repeat_interleave(2, -1)[..., :height, :width]
    row = torch.arange(height, device=x.device) % 2 == 0
    column = torch.arange(width, device=x.device) % 2 == 0
    there = row[:, None] & column
    shares = smoothed(there.to(x.dtype)[None, None])
    return smoothed(torch.where(there, spread, 0.0)) / shares


def pyramid(x: Tensor, levels: int) -> list[Tensor]:
    """What each scale has that the next coarser one lacks, and the coarsest image."""
    parts = []
    for _ in range(levels):
        coarse = smoothed(x)[..., ::2, ::2]
        parts.append(x - without_detail(x, coarse))
        x = coarse
    return [*parts, x]


@loss(
    "edge",
    signature=IMAGES,
    family="image",
    values="[0, inf)",
    latex=r"\frac1N \sum_i \sqrt{\left(\Delta p - \Delta y\right)_i^2 + \epsilon^2}",
    reference=Reference(
        "S. W. Zamir et al.",
        "Multi-Stage Progressive Image Restoration",
        2021,
        "2102.02808",
    ),
    ranges={"eps": "(0, inf)"},
    mask="none",
    conventions=(
        "The Laplacian is what an image has more than its own half-size version: the finest level"
        " of a Laplacian pyramid, borders repeated.",
        "Charbonnier's root of the difference, at least eps.",
    ),
    use=(
        "Deblurring, deraining, denoising: fine detail, which is lost first; with a small weight"
        " beside charbonnier."
    ),
    avoid=(
        "Alone: coarse errors are invisible; add `charbonnier`, or use `laplacian_pyramid`,"
        " which has all scales."
    ),
    checked="a pyramid of loops over pixels in NumPy",
    related={
        "laplacian_pyramid": "all scales, by absolute differences",
        "charbonnier": "the same root of the pixels themselves",
        "gradient_difference": "the size of neighbours' differences",
    },
    examples=(Example("edge(p, y)", 1e-3, {"p": [[[[0.5, 0.5]]]], "y": [[[[0.5, 0.5]]]]}),),
)
def edge(pred: Tensor, target: Tensor, *, eps: Number = 1e-3) -> Tensor:
    """Robust difference of the fine detail of two images.

    Args:
        eps: the size of a difference that counts as none.

    Shape:
        pred and target alike, [B, C, H, W]; one value an image.

    Example:
        `charbonnier(x, y) + 0.05*edge(x, y)`
    """
    if 0 in pred.shape:
        return (0.0 * wide(pred)).sum(ALL)
    # The pyramid is linear.
    detail = pyramid(wide(pred) - wide(target), 1)[0]
    return (detail * detail + eps * eps).sqrt().mean(ALL)


@loss(
    "laplacian_pyramid",
    signature=IMAGES,
    family="image",
    values="[0, inf)",
    aliases=("lap",),
    latex=r"\sum_j \frac{1}{N_j} \left\lVert L_j(p) - L_j(y) \right\rVert_1",
    reference=Reference(
        "P. Bojanowski, A. Joulin, D. Lopez-Paz, A. Szlam",
        "Optimizing the Latent Space of Generative Networks",
        2017,
        "1707.05776",
    ),
    ranges={"levels": "[1, inf)"},
    mask="none",
    conventions=(
        "The mean over each level, then the sum: the paper's sums, weighed by 4^j, over the number"
        " of pixels.",
        "The coarsest image is the last level.",
        "Borders are repeated; a constant has no detail.",
    ),
    use=(
        "Generators without a discriminator, matting and frame interpolation: edges and broad"
        " colours both count, each at its scale."
    ),
    avoid=(
        "Frequencies that the network leaves out: `focal_frequency`. How it looks to people:"
        " `lpips`. One scale is enough: `l1`."
    ),
    checked=(
        "a pyramid of loops over pixels in NumPy; inside the border the one of Burt and Adelson"
    ),
    related={
        "edge": "the finest scale alone",
        "ms_ssim": "structural similarity, scale by scale",
        "l1": "without scales",
    },
    examples=(
        Example("laplacian_pyramid(p, y, levels=1)", 1.0, {"p": [[[[1.0]]]], "y": [[[[0.0]]]]}),
    ),
)
def laplacian_pyramid(pred: Tensor, target: Tensor, *, levels: int = 3) -> Tensor:
    """Absolute difference of two images, scale by scale.

    Args:
        levels: how often the size is halved.

    Shape:
        pred and target alike, [B, C, H, W]; one value an image.

    Example:
        `laplacian_pyramid(x, y)`
    """
    if 0 in pred.shape:
        return (0.0 * wide(pred)).sum(ALL)
    parts = pyramid(wide(pred) - wide(target), levels)
    return reduce(torch.add, [part.abs().mean(ALL) for part in parts])


@loss(
    "focal_frequency",
    signature=IMAGES,
    family="image",
    values="[0, inf)",
    latex=(
        r"\frac{1}{N} \sum_u w_u \left|\hat p_u - \hat y_u\right|^2,\quad "
        r"w_u = \frac{\left|\hat p_u - \hat y_u\right|^\alpha}"
        r"{\max_v \left|\hat p_v - \hat y_v\right|^\alpha}"
    ),
    reference=Reference(
        "L. Jiang, B. Dai, W. Wu, C. C. Loy",
        "Focal Frequency Loss for Image Reconstruction and Synthesis",
        2020,
        "2012.12821",
    ),
    ranges={"alpha": "[0, inf)"},
    mask="none",
    conventions=(
        "The orthonormal transform of every channel of the whole image; the largest weight of a"
        " channel is 1.",
        "The weights carry no gradient.",
        "alpha=0 is the mean squared error of an image.",
    ),
    use=(
        "Generators and autoencoders that leave frequencies out, seen as blur, ringing or"
        " chessboards; beside a loss of pixels."
    ),
    avoid=(
        "Images that are not aligned, whose phases differ: `perceptual`. Alone: a local error"
        " spreads over all frequencies; add `l1`."
    ),
    checked="`numpy.fft.fft2` and the paper's formula",
    related={
        "mse": "the same without weights, by Parseval's theorem",
        "laplacian_pyramid": "bands of frequencies in place",
        "mr_stft": "magnitudes of sounds, without phases",
    },
    identities=(
        (
            "focal_frequency(x, y, alpha=0)",
            "input x: image[B, C, H, W]; input y: image[B, C, H, W]; mse(x, y)",
        ),
    ),
    examples=(
        Example("focal_frequency(p, y)", 1.0, {"p": [[[[1.0, 1.0]]]], "y": [[[[0.0, 0.0]]]]}),
    ),
)
def focal_frequency(pred: Tensor, target: Tensor, *, alpha: Number = 1.0) -> Tensor:
    """Squared difference of spectra in which the worst frequencies count most.

    Args:
        alpha: how much more; 0 is no difference.

    Shape:
        pred and target alike, [B, C, H, W]; one value an image.

    Example:
        `l1(x, y) + focal_frequency(x, y)`
    """
    difference = wide(pred) - wide(target)
    if 0 in difference.shape:
        return (0.0 * difference).sum(ALL)
    spectrum = torch.view_as_real(torch.fft.fft2(difference, norm="ortho"))
    square = (spectrum * spectrum).sum(-1)
    size = square.detach().sqrt()
    most = size.amax((2, 3), keepdim=True)
    weight = (size / torch.where(most > 0, most, 1.0)) ** alpha
    return (weight * square).mean(ALL)


def least_window(parameters: Mapping[str, Any]) -> dict[str, int]:
    """One whole window."""
    return {"H": parameters["window"], "W": parameters["window"]}


@loss(
    "photometric",
    signature=IMAGES,
    family="image",
    values="[0, inf)",
    latex=r"\alpha\, \frac{1 - \mathrm{SSIM}(p, y)}{2} + (1 - \alpha) \frac{|p - y|}{L}",
    reference=Reference(
        "C. Godard, O. Mac Aodha, G. J. Brostow",
        "Unsupervised Monocular Depth Estimation with Left-Right Consistency",
        2016,
        "1609.03677",
    ),
    ranges={"alpha": "[0, 1]", "window": "[1, inf)", "data_range": "(0, inf)"},
    mask="inside",
    image_range="data_range",
    least=least_window,
    conventions=(
        "The similarity is that of `ssim` with a window of 3 and sigma 1.5; the paper's window of"
        " equal weights differs little.",
        "The absolute difference is in units of the data range, over channels and kept pixels.",
    ),
    use=(
        "Depth, flow and new views learned from images alone: a warped image against the one"
        " that it should be."
    ),
    avoid=(
        "True depth or flow at hand: `epe` or `l1`. What is hidden in one view must be masked; a"
        " textureless wall needs `edge_smoothness` beside it."
    ),
    checked="a mixture of the tested `ssim` and of PyTorch's absolute difference, at three weights",
    related={
        "ssim": "the structural part alone",
        "motion_consistency": "warps by itself, absolute difference alone",
        "edge_smoothness": "what it goes beside",
    },
    identities=(
        (
            "photometric(x, y, alpha=0)",
            "input x: image[B, C, H, W]; input y: image[B, C, H, W]; l1(x, y)",
        ),
        ("photometric(x, y, alpha=1)", "0.5*ssim(x, y, window=3)"),
        ("photometric(x, y)", "0.425*ssim(x, y, window=3) + 0.15*l1(x, y)"),
    ),
    examples=(
        Example(
            "photometric(p, y, alpha=0)",
            0.25,
            {"p": [[[[0.5] * 3] * 3]], "y": [[[[0.25] * 3] * 3]]},
        ),
        Example(
            "photometric(p, y, alpha=1)",
            0.1999360204734485 / 2,
            {"p": [[[[0.5] * 3] * 3]], "y": [[[[0.25] * 3] * 3]]},
        ),
    ),
)
def photometric(
    pred: Tensor,
    target: Tensor,
    *,
    alpha: Number = 0.85,
    window: int = 3,
    data_range: Number = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """Structural and absolute difference of a warped image, for depth and flow without labels.

    Args:
        alpha: the share of the structural part.
        window: pixels along a window.

    Shape:
        pred and target alike, [B, C, H, W]; one value an image.

    Example:
        `photometric(warped, img, mask=visible) + 1e-3*edge_smoothness(depth, img)`
    """
    keep = over_pixels(mask, pred)
    difference = (shown(wide(pred), keep) - shown(wide(target), keep)).abs() / data_range
    structure = ssim(pred, target, window=window, data_range=data_range, mask=mask)
    return 0.5 * alpha * structure + (1 - alpha) * kept_mean(difference, keep, ALL)
