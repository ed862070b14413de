"""Priors of images: what a clear one is like, with no target beside it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss
from lossdsl.library.windows import kept_mean, over_pixels


@loss(
    "dark_channel",
    signature="image[B, C, H, W] -> loss[B]",
    family="image",
    values="[0, inf)",
    latex=r"\frac1N \sum_i \left| \min_{j \in W_i} \min_c x_{cj} \right|",
    reference=Reference(
        "K. He, J. Sun and X. Tang", "Single Image Haze Removal Using Dark Channel Prior", 2009
    ),
    ranges={"window": "[1, inf)", "data_range": "(0, inf)"},
    mask="inside",
    image_range="data_range",
    conventions=(
        "The least value over all channels and a window, a part of one at the border; the mean "
        "of its size over pixels, in units of the data range.",
        "A mask keeps the windows whose centre it keeps, and of each the pixels that it keeps.",
    ),
    pitfalls=(
        "Black is 0: bring images of another range there first, `(x + 1)/2` for image(-1, 1).",
        "Sky, snow and white walls are bright in every channel: mask them, or keep the weight "
        "small.",
    ),
    examples=(
        Example(
            "dark_channel(x, window=3)",
            0.25,
            {"x": [[[[0.5, 0.75]], [[0.25, 1.0]]]]},
        ),
    ),
    use="For dehazing and deblurring with unpaired or no targets, as a small term that pulls "
    "every neighbourhood of the output towards having something dark.",
    avoid="With paired targets, where `l1` and `ssim` say more.",
    checked="SciPy's minimum filter, in float64.",
    related={
        "tv": "a prior of smoothness",
        "l1": "with a target",
    },
)
def dark_channel(
    x: Tensor, *, window: int = 15, data_range: Number = 1.0, mask: Tensor | None = None
) -> Tensor:
    """How bright the darkest value around each pixel is: near 0 in clear outdoor images.

    Args:
        window: pixels along the side of the neighbourhood.

    Shape:
        x of [B, C, H, W]; one value an image.

    Example:
        `l1(x, y) + 1e-2*dark_channel(x)`
    """
    keep = over_pixels(mask, x)
    x = wide(x) / data_range
    if 0 in x.shape:
        return (0.0 * x).sum((1, 2, 3))
    if keep is not None:
        x = torch.where(keep > 0, x, torch.inf)
        keep = keep.amax(1, keepdim=True)
    darkest = x.amin(1, keepdim=True)
    # An even window has one pixel more before its centre.
    least = -F.max_pool2d(-darkest, window, stride=1, padding=window // 2)
    least = least[..., : x.shape[2], : x.shape[3]].abs()
    if keep is not None:
        least = torch.where(keep > 0, least, 0.0)
    return kept_mean(least, keep, (1, 2, 3))
