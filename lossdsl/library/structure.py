"""Structure of images: where they have edges and which of two neighbours is the brighter, whatever
the light. Each is one value an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.embedding import guarded_root
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss
from lossdsl.library.windows import halved, over_pixels, shown, slide

ALL = (1, 2, 3)
THIRDS = (1 / 3, 1 / 3, 1 / 3)
IMAGES = "image[B, C, H, W], image[B, C, H, W] -> loss[B]"
CHANNELS = "Every channel on its own, then the mean over channels."


def least_of_gmsd(parameters: Mapping[str, Any]) -> dict[str, int]:
    """Two filters of three pixels along each side, at half the size."""
    return {"H": 7, "W": 7}


def edge_strength(x: Tensor) -> Tensor:
    """Length of Prewitt's gradient, where its filter lies inside the image."""
    rows, columns = slide(x, THIRDS, -2), slide(x, THIRDS, -1)
    across = rows[..., 2:] - rows[..., :-2]
    down = columns[..., 2:, :] - columns[..., :-2, :]
    return guarded_root(across * across + down * down, 2)


@loss(
    "gmsd",
    signature=IMAGES,
    family="image",
    values="[0, 0.5]",
    latex=(
        r"\sqrt{\frac1N \sum_i \left(s_i - \bar s\right)^2},\quad s = "
        r"\frac{2 m_p m_y + c L^2}{m_p^2 + m_y^2 + c L^2},\quad m_x = \left\lVert \nabla x "
        r"\right\rVert"
    ),
    reference=Reference(
        "W. Xue, L. Zhang, X. Mou and A. C. Bovik",
        "Gradient Magnitude Similarity Deviation: A Highly Efficient Perceptual Image Quality "
        "Index",
        2013,
        "1308.3052",
    ),
    ranges={"c": "(0, inf)", "data_range": "(0, inf)"},
    mask="none",
    image_range="data_range",
    least=least_of_gmsd,
    conventions=(
        "At half the size, by means of 2 x 2 blocks, with Prewitt's filter divided by 3, inside "
        "the image: the authors' code continues it with zeros.",
        CHANNELS + " The paper's index is of brightness alone.",
        "No gradient where the similarity is the same everywhere, as in equal images.",
    ),
    pitfalls=(
        "Blind to brightness and to errors that are the same all over the image: keep l1 or mse "
        "beside it.",
    ),
    examples=(
        Example(
            "gmsd(p, y, c=1)",
            0.0,
            {"p": [[[[0.0] * 8] * 8]], "y": [[[[0.125 * k for k in range(8)]] * 8]]},
        ),
    ),
    use="For restoration and compression judged by people, beside `l1`: errors that are worse in "
    "one place than in another cost most.",
    avoid="Alone, and as the first loss of a network: `ssim` sees contrast and brightness too.",
    checked="SciPy's filters and the paper's formula, in float64.",
    related={
        "ssim": "means and variances instead of edges",
        "gradient_difference": "the edges' plain difference",
        "edge": "fine detail with its sign",
    },
)
def gmsd(
    pred: Tensor, target: Tensor, *, c: Number = 170 / 255**2, data_range: Number = 1.0
) -> Tensor:
    """How unevenly two images agree in the strength of their edges.

    Args:
        c: what counts as no edge, squared, in units of the data range.

    Shape:
        pred and target alike, [B, C, H, W]; one value an image.

    Example:
        `l1(x, y) + 0.5*gmsd(x, y)`
    """
    ours = edge_strength(halved(wide(pred) / data_range))
    theirs = edge_strength(halved(wide(target) / data_range))
    # One minus the similarity: it spreads alike, and keeps the digits of small differences.
    apart = (ours - theirs) ** 2 / (ours * ours + theirs * theirs + c)
    away = apart - apart.mean((2, 3), keepdim=True)
    return guarded_root((away * away).mean((2, 3)), 2).mean(1)


SOFT_SIGN, SOFT_COUNT = 0.81, 0.1
"""The paper's softness of a comparison, of pixels from 0 to 255, and of a mismatch."""


def comparisons(window: int) -> list[tuple[int, int]]:
    """Offsets from a pixel to its neighbours, one of each pair of opposite ones."""
    low, high = window // 2, (window - 1) // 2
    places = [(y, x) for y in range(-low, high + 1) for x in range(-low, high + 1)]
    return [place for place in places if place > (0, 0) or (-place[0], -place[1]) not in places]


def at_both(x: Tensor, dy: int, dx: int) -> tuple[Tensor, Tensor]:
    """Every pixel whose neighbour at an offset exists, and that neighbour."""
    height, width = x.shape[-2:]
    rows, columns = height - abs(dy), width - abs(dx)
    here = x.narrow(-2, max(-dy, 0), rows).narrow(-1, max(-dx, 0), columns)
    there = x.narrow(-2, max(dy, 0), rows).narrow(-1, max(dx, 0), columns)
    return here, there


@loss(
    "census",
    signature=IMAGES,
    family="image",
    values="[0, 1]",
    latex=(
        r"\frac1N \sum_{i, o} \frac{\delta_{io}^2}{0.1 + \delta_{io}^2},\quad \delta_{io} = "
        r"t(p_{i+o} - p_i) - t(y_{i+o} - y_i),\quad t(d) = \frac{d}{\sqrt{0.81 + d^2}}"
    ),
    reference=Reference(
        "S. Meister, J. Hur and S. Roth",
        "UnFlow: Unsupervised Learning of Optical Flow with a Bidirectional Census Loss",
        2018,
        "1711.07837",
    ),
    ranges={"window": "[2, inf)", "data_range": "(0, inf)"},
    mask="inside",
    image_range="data_range",
    conventions=(
        "Differences are taken of pixels from 0 to 255, whatever the range.",
        "The mean over all pairs of a pixel and one in the window around it, each pair once; at "
        "the border the pairs that there are.",
        CHANNELS + " The paper compares grey images, and puts a robust power around the count.",
        "A mask keeps a pair if it keeps both pixels.",
    ),
    pitfalls=("Flat regions say nothing: add edge_smoothness for what is estimated there.",),
    examples=(
        Example(
            "census(p, y)",
            4 / (0.1 * (0.81 + 65025) / 65025 + 4),
            {"p": [[[[0.0, 1.0]]]], "y": [[[[1.0, 0.0]]]]},
        ),
        Example("census(p, y)", 0.0, {"p": [[[[0.5, 0.5]]]], "y": [[[[0.25, 0.25]]]]}),
    ),
    use="For optical flow, stereo and depth without labels: warped images are compared by their "
    "pattern, so shadows and exposure do not matter.",
    avoid="Where colours are to be right, as in restoration: `l1`, `photometric` or `ssim`.",
    checked="Loops over pixels and windows from the paper in NumPy, in float64.",
    related={
        "photometric": "colours and structure, which a change of light disturbs",
        "ssim": "contrast counts too",
        "motion_consistency": "warps a frame and compares colours",
    },
    identities=(
        (
            "input x: image[B, C, 8, 8]; input y: image[B, C, 8, 8]; census(x, y)",
            "input x: image[B, C, 8, 8]; input y: image[B, C, 8, 8]; census(y, x + 0.25)",
        ),
    ),
)
def census(
    pred: Tensor,
    target: Tensor,
    *,
    window: int = 7,
    data_range: Number = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """Share of neighbours that are brighter in one image and darker in the other.

    Args:
        window: pixels along the side of the neighbourhood.

    Shape:
        pred and target alike, [B, C, H, W]; one value an image.

    Example:
        `census(warped, img, mask=visible) + 1e-3*edge_smoothness(flow, img)`
    """
    keep = over_pixels(mask, pred)
    images = [255 * shown(wide(x), keep) / data_range for x in (pred, target)]
    height, width = pred.shape[2:]
    total = (0.0 * images[0]).sum(ALL)
    count = torch.zeros_like(total)
    for dy, dx in comparisons(window):
        if height <= abs(dy) or width <= abs(dx):
            continue
        signs = []
        for image in images:
            here, there = at_both(image, dy, dx)
            step = there - here
            signs.append(step / (SOFT_SIGN + step * step).sqrt())
        square = (signs[0] - signs[1]) ** 2
        cost = square / (SOFT_COUNT + square)
        kept = torch.ones_like(cost)
        if keep is not None:
            here, there = at_both(keep, dy, dx)
            kept = (here * there).expand_as(cost)
        total = total + (kept * cost).sum(ALL)
        count = count + kept.sum(ALL)
    return total / count.clamp(min=1)
