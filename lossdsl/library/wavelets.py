"""Wavelets: images compared by detail at each place and scale at once."""

from __future__ import annotations

from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss

ALL = (1, 2, 3)


def even(x: Tensor) -> Tensor:
    """The image with its last row and column repeated where it has an odd number of them."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, width % 2, 0, height % 2), mode="replicate")


def haar(x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Half sums of 2 x 2 blocks with all signs: the coarse image, and the three of its detail."""
    x = even(x)
    top, bottom = x[..., ::2, :], x[..., 1::2, :]
    plus, minus = top + bottom, top - bottom
    parts = [(y[..., ::2], y[..., 1::2]) for y in (plus, minus)]
    (a, b), (c, d) = parts
    return 0.5 * (a + b), [0.5 * (a - b), 0.5 * (c + d), 0.5 * (c - d)]


@loss(
    "wavelet",
    signature="image[B, C, H, W], image[B, C, H, W] -> loss[B]",
    family="image",
    values="[0, inf)",
    aliases=("haar",),
    latex=r"\frac1N \left\lVert W p - W y \right\rVert_1",
    reference=Reference("A. Haar", "Zur Theorie der orthogonalen Funktionensysteme", 1910),
    ranges={"levels": "[0, inf)"},
    mask="none",
    conventions=(
        "W is the orthonormal Haar transform; the mean is over all of its coefficients, in every "
        "band alike.",
        "An odd side is continued by its last row or column, at every level.",
        "levels=0 is the mean absolute error of an image.",
    ),
    pitfalls=(
        "Differences of brightness count once a block, with a factor 2 a level, where l1 counts "
        "every pixel: the value is smaller for smooth errors.",
    ),
    examples=(
        Example(
            "wavelet(p, y, levels=1)",
            0.25,
            {"p": [[[[1.0, 0.0], [0.0, 0.0]]]], "y": [[[[0.5, 0.0], [0.0, 0.0]]]]},
        ),
        Example(
            "wavelet(p, y, levels=1)",
            0.5,
            {"p": [[[[1.0, 1.0], [1.0, 1.0]]]], "y": [[[[0.0, 0.0], [0.0, 0.0]]]]},
        ),
    ),
    use="For super-resolution and denoising in place of `l1`: smooth errors cost less and lost "
    "detail, at every scale, costs more.",
    avoid="Where brightness matters most, or pixels are masked: `l1`, `laplacian_pyramid`.",
    checked="Products of matrices: the orthonormal Haar matrix by NumPy, in float64.",
    related={
        "laplacian_pyramid": "smooth scales, with more coefficients than pixels",
        "focal_frequency": "scales without place",
        "l1": "pixels",
    },
    identities=(
        (
            "input x: image[B, C, 8, 8]; input y: image[B, C, 8, 8]; wavelet(x, y, levels=0)",
            "input x: image[B, C, 8, 8]; input y: image[B, C, 8, 8]; l1(x, y)",
        ),
    ),
)
def wavelet(pred: Tensor, target: Tensor, *, levels: int = 3) -> Tensor:
    """Mean absolute difference of Haar coefficients.

    Args:
        levels: how often the coarse image is taken apart.

    Shape:
        pred and target alike, [B, C, H, W]; one value an image.

    Example:
        `l1(x, y) + 0.5*wavelet(x, y)`
    """
    rest = wide(pred) - wide(target)
    if 0 in rest.shape:
        return (0.0 * rest).sum(ALL)
    bands: list[Tensor] = []
    for _ in range(levels):
        rest, detail = haar(rest)
        bands += detail
    bands.append(rest)
    count = sum(band.shape[1] * band.shape[2] * band.shape[3] for band in bands)
    return reduce(torch.add, [band.abs().sum(ALL) for band in bands]) / count
