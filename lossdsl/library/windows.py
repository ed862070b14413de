"""Sliding Gaussian windows over images: what SSIM compares.

A mask gives each pixel a share in [0, 1]. What is not kept has no share in any window, so a
window at its border is the part of it that is kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lossdsl.functions import adjoints
from lossdsl.library.record import Number

Pair = tuple[Tensor, Tensor]


def gaussian_taps(window: int, sigma: float) -> list[float]:
    """Weights of a one-dimensional Gaussian window, as numbers so that they are constants."""
    offsets = [k - (window - 1) / 2 for k in range(window)]
    weights = [math.exp(-0.5 * (offset / sigma) * (offset / sigma)) for offset in offsets]
    total = sum(weights)
    return [weight / total for weight in weights]


def slide(x: Tensor, taps: Sequence[float], dim: int) -> Tensor:
    """Weighted sums of neighbours along one axis, as shifted slices.

    A one-channel convolution is several times slower on a CPU, and slices need no padding.
    """
    length = x.shape[dim] - len(taps) + 1
    result = x.narrow(dim, 0, length) * taps[0]
    for shift, tap in enumerate(taps[1:], start=1):
        result = result + x.narrow(dim, shift, length) * tap
    return result


class Slide(torch.autograd.Function):
    """Windowed means along one axis with their adjoint written out, for compiled code.

    The derivative of slices is a sum of zero-padded pieces, which a compiler evaluates anew for
    every tap. As the taps are symmetric, the adjoint is the same filter on a gradient padded with
    zeros; padded by concatenation, it is stored once.
    """

    @staticmethod
    def forward(x: Tensor, taps: Sequence[float], dim: int) -> Tensor:
        return slide(x, taps, dim)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.taps, ctx.dim = inputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        shape = list(grad.shape)
        shape[ctx.dim] = len(ctx.taps) - 1
        border = grad.new_zeros(shape)
        return slide(torch.cat([border, grad, border], ctx.dim), ctx.taps, ctx.dim), None, None


def blur(x: Tensor, taps: Sequence[float]) -> Tensor:
    """Windowed mean of every full window, `[..., H, W]` to `[..., H - n + 1, W - n + 1]`."""
    for dim in (-2, -1):
        x = Slide.apply(x, taps, dim) if adjoints.written_out() else slide(x, taps, dim)  # type: ignore[no-untyped-call]
    return x


def over_pixels(mask: Tensor | None, image: Tensor) -> Tensor | None:
    """The mask as one number a pixel, for all channels or for each."""
    if mask is None:
        return None
    # One number for all has no axes yet.
    first = (1, 1) if mask.dim() == 0 else (-1, -1)
    return mask.to(image.dtype).expand(*first, *image.shape[2:])


def shown(image: Tensor, keep: Tensor | None) -> Tensor:
    """The image with 0 where the mask hides it, whatever stands there."""
    return image if keep is None else torch.where(keep > 0, image, 0.0)


def centred(a: Tensor, b: Tensor, keep: Tensor | None) -> tuple[Pair, Pair]:
    """Two images, each around the mean of its kept pixels, and the means.

    A variance taken as E[x^2] - E[x]^2 loses its digits on bright flat areas (SSIM would be off
    by a third in float32). Around the mean it keeps them, and no shift changes a variance, so
    the mean needs no gradient.
    """
    shifts = centre(a.detach(), keep), centre(b.detach(), keep)
    return (a - shifts[0], b - shifts[1]), shifts


def centre(image: Tensor, keep: Tensor | None) -> Tensor:
    """The mean of each channel's kept pixels."""
    return kept_mean(image, keep, (-2, -1))[..., None, None]


def shared(sums: Tensor, shares: Tensor | None) -> Tensor:
    """Means from sums of which only some addends had a share; 0 where none had."""
    return sums if shares is None else sums / torch.where(shares > 0, shares, 1.0)


def similarity_maps(
    images: Pair, shifts: Pair, keep: Tensor | None, taps: Sequence[float], c1: Number, c2: Number
) -> Pair:
    """Luminance and contrast-structure of every window, of images given around their shifts.

    Only the sum of the two variances is used, so four filtered maps are enough.
    """
    a, b = images
    shares = None if keep is None else blur(keep, taps)

    def mean(x: Tensor) -> Tensor:
        return shared(blur(x if keep is None else x * keep, taps), shares)

    mean_a, mean_b, squares, products = mean(a), mean(b), mean(a * a + b * b), mean(a * b)
    variances = squares - (mean_a * mean_a + mean_b * mean_b)
    covariance = products - mean_a * mean_b
    contrast = (2.0 * covariance + c2) / (variances + c2)
    mean_a, mean_b = mean_a + shifts[0], mean_b + shifts[1]
    luminance = (2.0 * (mean_a * mean_b) + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
    return luminance, contrast


def at_centres(keep: Tensor | None, window: int) -> Tensor | None:
    """What the mask says at the centre of every window."""
    if keep is None:
        return None
    low, high = window // 2, (window - 1) // 2
    height, width = keep.shape[-2:]
    return keep[..., low : height - high, low : width - high]


def halved(image: Tensor, keep: Tensor | None = None) -> Tensor:
    """Means of 2 x 2 blocks, of the kept pixels; at an odd border of the pixels there are."""
    if keep is None:
        return F.avg_pool2d(image, 2, ceil_mode=True)
    return shared(halved(image * keep), halved(keep))


def kept_mean(values: Tensor, keep: Tensor | None, dims: tuple[int, ...]) -> Tensor:
    """Mean over the kept values, 0 where none is kept."""
    if keep is None:
        return values.mean(dims)
    keep = keep.expand_as(values)
    count = keep.sum(dims).clamp(min=torch.finfo(values.dtype).tiny)
    return (values * keep).sum(dims) / count
