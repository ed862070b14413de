"""Neighbourhoods of a mask: pixels compared together with those around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss, overload


def least_sides(parameters: Mapping[str, Any]) -> dict[str, int]:
    """Two neighbourhoods along each side, at the coarse size."""
    side = parameters["stride"] * (parameters["window"] + 1)
    return {"H": side, "W": side}


def patches(x: Tensor, window: int) -> Tensor:
    """All neighbourhoods inside, around their mean: [B, C, window², N]."""
    height, width = x.shape[2] - window + 1, x.shape[3] - window + 1
    moved = [
        x.narrow(2, dy, height).narrow(3, dx, width).flatten(2)
        for dy in range(window)
        for dx in range(window)
    ]
    stacked = torch.stack(moved, 2)
    return stacked - stacked.mean(3, keepdim=True)


def log_det(matrix: Tensor) -> Tensor:
    """Of symmetric matrices with eigenvalues above 0."""
    root: Tensor = torch.linalg.cholesky_ex(matrix).L
    return 2 * root.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def covariance(x: Tensor, eps: Number) -> Tensor:
    """Of the rows, with eps on the diagonal."""
    size = x.shape[2]
    one = torch.eye(size, dtype=x.dtype, device=x.device)
    return x @ x.transpose(2, 3) / x.shape[3] + eps * one


@overload(
    "rmi",
    signature="class_logits|class_prob[B, C, H, W], labels|one_hot|class_prob[B, C, H, W]"
    " -> loss[B, C]",
)
@loss(
    "rmi",
    signature="logits|prob[B, C, H, W], prob[B, C, H, W] -> loss[B, C]",
    family="overlap",
    values="(-inf, 1]",
    aliases=("region_mutual_information",),
    latex=r"\frac{1}{2 k^2} \log \det\left(\Sigma_y - \Sigma_{yq} (\Sigma_q + \epsilon I)^{-1} "
    r"\Sigma_{yq}^\top + \epsilon I\right)",
    reference=Reference(
        "S. Zhao, Y. Wang, Z. Yang and D. Cai",
        "Region Mutual Information Loss for Semantic Segmentation",
        2019,
        "1910.12037",
    ),
    ranges={"window": "[1, inf)", "stride": "[1, inf)", "eps": "[1e-6, 1]"},
    conventions=(
        "Neighbourhoods of k x k pixels at a coarse size, by means of stride x stride blocks.",
        "Covariances are means over the neighbourhoods of an image, so eps means the same at any "
        "size; the authors' code has sums.",
        "The lower bound of minus the mutual information, up to the target's entropy; divided by "
        "the pixels of a neighbourhood, as the authors do.",
        "Masked pixels count as background in both; an image of which none is left costs 0.",
    ),
    pitfalls=(
        "Blind to a prediction turned into its negative: keep bce or ce beside it.",
        "Below 0 for good predictions: what counts is that it falls.",
    ),
    examples=(
        Example(
            "rmi(prob(p), y, stride=1)",
            -3.800451229771041,
            {"p": [[[[0.5] * 4] * 4]], "y": [[[[1.0] * 4] * 4]]},
        ),
    ),
    mask="inside",
    class_weight="classes",
    least=least_sides,
    use="Beside `bce` or `ce` for segmentation: it asks for the right relation of neighbouring "
    "pixels, so that thin and small parts come out whole.",
    avoid="Alone, and for images of a few pixels: `dice` or `ssim` see regions too.",
    checked="Inverses and determinants of covariances by NumPy, from the paper, in float64.",
    related={
        "bce": "pixel by pixel, its usual partner",
        "dice": "a region as a whole",
        "mutual_information": "of grey values instead of neighbourhoods",
    },
)
def rmi(
    p: Tensor,
    y: Tensor,
    *,
    window: int = 3,
    stride: int = 3,
    eps: Number = 5e-4,
    mask: Tensor | None = None,
) -> Tensor:
    """How much a target's neighbourhoods vary where those of the prediction are known.

    Args:
        window: pixels along the side of a neighbourhood.
        stride: how much coarser the masks are made before.
        eps: the variance of noise that is added to both.

    Shape:
        p and y with the class axis, y also as labels; one value an image and class.

    Example:
        `0.5*bce(p, y) + 0.5*rmi(p, y)`
    """
    if mask is not None:
        p, y = torch.where(mask > 0, p, 0.0), torch.where(mask > 0, y, 0.0)
    known, wanted = (patches(F.avg_pool2d(wide(x), stride), window) for x in (p, y))
    # The determinant of both together is that of one times that of the rest of the other.
    both = log_det(covariance(torch.cat((known, wanted), 2), eps))
    value = 0.5 * (both - log_det(covariance(known, eps))) / (window * window)
    if mask is None:
        return value
    return torch.where((mask > 0).flatten(1).any(1)[:, None], value, 0.0)
