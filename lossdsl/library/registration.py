"""Registration: images of one thing that look different, and the fields that lay one on the other.
Each is one value an image, in two dimensions or three."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.guarded import floored
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss
from lossdsl.library.windows import kept_mean, over_pixels, shared, shown, slide

IMAGES = "image|real[B, C, H, *S], image|real[B, C, H, *S] -> loss[B]"


def axes_of(x: Tensor) -> tuple[int, ...]:
    """The axes of space."""
    return tuple(range(2, x.dim()))


def boxed(x: Tensor, window: int) -> Tensor:
    """Mean of every window that lies inside; of the whole axis where that is shorter."""
    for axis in axes_of(x):
        size = min(window, x.shape[axis])
        x = slide(x, [1 / size] * size, axis)
    return x


def centres(x: Tensor, window: int) -> Tensor:
    """The pixel in the middle of each window."""
    for axis in axes_of(x):
        size = min(window, x.shape[axis])
        x = x.narrow(axis, size // 2, x.shape[axis] - size + 1)
    return x


@loss(
    "lncc",
    signature=IMAGES,
    family="image",
    values="[0, 1]",
    aliases=("local_ncc",),
    latex=(
        r"1 - \frac1N \sum_w \frac{\mathrm{cov}_w(p, y)^2}{\max(\mathrm{var}_w(p), \epsilon L^2) "
        r"\max(\mathrm{var}_w(y), \epsilon L^2)}"
    ),
    reference=Reference(
        "B. B. Avants, C. L. Epstein, M. Grossman and J. C. Gee",
        "Symmetric Diffeomorphic Image Registration with Cross-Correlation: Evaluating Automated "
        "Labeling of Elderly and Neurodegenerative Brain",
        2008,
    ),
    ranges={"window": "[2, inf)", "eps": "(0, inf)", "data_range": "(0, inf)"},
    mask="inside",
    image_range="data_range",
    conventions=(
        "The square of the correlation: dark on bright counts as bright on dark. The loss is one "
        "minus it; MONAI has minus it.",
        "Windows of equal weights lie inside the image, and span an axis that is shorter; "
        "variances divide by their size.",
        "A window that is flat in either image has no correlation, and costs 1.",
        "Every channel on its own, then the mean over channels and windows.",
        "A mask keeps the windows whose centre it keeps, and of each the pixels that it keeps.",
    ),
    pitfalls=("Large empty backgrounds cost 1 everywhere: mask them.",),
    examples=(
        Example(
            "lncc(p, y, window=2)",
            2 / 3,
            {"p": [[[[0.0, 1.0], [0.0, 0.0]]]], "y": [[[[0.0, 0.0], [1.0, 1.0]]]]},
        ),
    ),
    use="For registering images of one modality whose brightness drifts, as in the training of "
    "VoxelMorph and its like.",
    avoid="Between modalities, where no line maps one brightness to the other: "
    "`mutual_information`.",
    checked="`monai.losses.LocalNormalizedCrossCorrelationLoss` inside the border, in two "
    "dimensions and three, and NumPy loops over windows with a mask.",
    related={
        "mutual_information": "any relation of brightness, over the whole image",
        "ssim": "brightness and contrast count too",
        "bending_energy": "the smoothness of the field beside it",
    },
)
def lncc(
    pred: Tensor,
    target: Tensor,
    *,
    window: int = 9,
    eps: Number = 1e-5,
    data_range: Number = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """One minus the squared correlation of two images under a sliding window.

    Args:
        window: pixels along a window.
        eps: the variance of what counts as flat, in units of the data range.

    Shape:
        pred and target alike, [B, C, H, ...]; one value an image.

    Example:
        `lncc(warped, fixed) + bending_energy(field)`
    """
    keep = over_pixels(mask, pred)
    space, dims = axes_of(pred), tuple(range(1, pred.dim()))
    if 0 in pred.shape[1:]:
        return (0.0 * wide(pred)).sum(dims)
    shares = None if keep is None else boxed(keep, window)

    def mean(x: Tensor) -> Tensor:
        return shared(boxed(x if keep is None else x * keep, window), shares)

    def around(x: Tensor) -> Tensor:
        # No shift changes a variance, and around the mean it keeps its digits.
        x = shown(wide(x), keep) / data_range
        return x - kept_mean(x.detach(), keep, space).reshape(*x.shape[:2], *[1] * len(space))

    a, b = around(pred), around(target)
    mean_a, mean_b = mean(a), mean(b)
    covariance = mean(a * b) - mean_a * mean_b
    flat = eps * torch.ones_like(covariance)
    variance_a = torch.maximum(mean(a * a) - mean_a * mean_a, flat)
    variance_b = torch.maximum(mean(b * b) - mean_b * mean_b, flat)
    apart = floored(1 - (covariance / variance_a) * (covariance / variance_b), 0.0)
    return kept_mean(apart, None if keep is None else centres(keep, window), dims)


def memberships(x: Tensor, keep: Tensor | None, bins: int, spread: Number) -> Tensor:
    """How much each value belongs to each of evenly spaced bins, from the least to the largest
    value of its image: [B, N, bins], summing to 1 over the bins."""
    flat = x.flatten(1)
    low, high = flat, flat
    if keep is not None:
        kept = keep.expand_as(x).flatten(1) > 0
        # Where nothing is kept, one value: 0, as the hidden pixels are.
        kept = kept | ~kept.any(1, keepdim=True)
        low, high = torch.where(kept, flat, torch.inf), torch.where(kept, flat, -torch.inf)
    low, high = low.amin(1, keepdim=True), high.amax(1, keepdim=True)
    width = torch.where(high > low, high - low, 1.0)
    place = ((flat - low) / width * (bins - 1)).unsqueeze(2)
    centres = torch.arange(bins, device=x.device, dtype=x.dtype)
    return torch.softmax(-0.5 * ((place - centres) / spread) ** 2, 2)


def x_log_x(x: Tensor) -> Tensor:
    """x log x, which is 0 with slope 0 at 0."""
    none = x <= torch.finfo(x.dtype).tiny
    safe = torch.where(none, 1.0, x)
    return torch.where(none, 0.0, safe * safe.log())


@loss(
    "mutual_information",
    signature=IMAGES,
    family="image",
    values="(-inf, 0]",
    latex=(
        r"-\sum_{a, b} h_{ab} \log \frac{h_{ab}}{h_a h_b},\quad h_{ab} = \frac1N \sum_i w_a(p_i)\,"
        r" w_b(y_i),\quad w_a(x) \propto e^{-(x - c_a)^2 / 2 \sigma^2}"
    ),
    reference=Reference(
        "P. Viola and W. M. Wells III", "Alignment by Maximization of Mutual Information", 1997
    ),
    ranges={"bins": "[2, inf)", "spread": "(0, inf)"},
    mask="inside",
    conventions=(
        "Minus the mutual information, in nats: at best minus the entropy of an image, at least "
        "-log bins.",
        "Bins are spaced evenly from the least to the largest kept value of an image, over all "
        "its channels: neither brightness nor contrast matters.",
        "The joint histogram is of the pixels of an image, channels included.",
        "An image of one value shares no information: 0.",
    ),
    pitfalls=(
        "Takes memory for every pixel and bin: give it a part of the pixels, by slices or at half "
        "the size.",
    ),
    examples=(
        Example(
            "mutual_information(p, y, bins=2, spread=0.01)",
            -0.6931471805599453,
            {"p": [[[[0.0, 1.0]]]], "y": [[[[0.75, 0.25]]]]},
        ),
    ),
    use="For registering images of different modalities, CT to MR or infrared to visible: any "
    "fixed relation of brightness will do.",
    avoid="Within one modality, where `lncc` or `mse` is sharper and cheaper.",
    checked="Histograms from the definition in NumPy, in float64, and "
    "`monai.losses.GlobalMutualInformationLoss`.",
    related={
        "lncc": "a linear relation of brightness, window by window",
        "kl_div": "the divergence that it is, of two distributions",
    },
)
def mutual_information(
    pred: Tensor,
    target: Tensor,
    *,
    bins: int = 23,
    spread: Number = 0.5,
    mask: Tensor | None = None,
) -> Tensor:
    """Minus the mutual information of two images: how little one says about the other.

    Args:
        bins: how many grey values are told apart.
        spread: the standard deviation of a value, in bins.

    Shape:
        pred and target alike, [B, C, H, ...]; one value an image.

    Example:
        `mutual_information(warped, fixed) + bending_energy(field)`
    """
    keep = over_pixels(mask, pred)
    pred, target = shown(wide(pred), keep), shown(wide(target), keep)
    if 0 in pred.shape[1:]:
        return (0.0 * pred).flatten(1).sum(1)
    ours, theirs = (memberships(x, keep, bins, spread) for x in (pred, target))
    count: Number = ours.shape[1]
    if keep is not None:
        share = keep.expand_as(pred).flatten(1).unsqueeze(2)
        ours = ours * share
        count = share.sum(1, keepdim=True).clamp(min=1)
    joint = ours.transpose(1, 2) @ theirs / count
    both, single = x_log_x(joint).sum((1, 2)), x_log_x(joint.sum(2)).sum(1)
    # Rounding may rise above 0.
    return -floored(both - single - x_log_x(joint.sum(1)).sum(1), 0.0)


def shift(x: Tensor, space: Sequence[int], steps: Mapping[int, int]) -> Tensor:
    """The inner part of a field, moved by -1, 0 or 1 along axes of space."""
    return reduce(
        lambda y, axis: y.narrow(axis, 1 + steps.get(axis, 0), y.shape[axis] - 2), space, x
    )


Stencil = Sequence[tuple[float, Mapping[int, int]]]
"""A derivative: the weights of pixels, and how far each lies along which axes."""


def squared(field: Tensor, keep: Tensor | None, space: Sequence[int], stencil: Stencil) -> Tensor:
    """The mean of a derivative's square, where all the pixels in it are kept."""
    value = reduce(torch.add, [weight * shift(field, space, steps) for weight, steps in stencil])
    if keep is not None:
        keep = reduce(torch.mul, [shift(keep, space, steps) for _, steps in stencil])
    return kept_mean(value * value, keep, tuple(range(1, field.dim())))


def field_energy(
    field: Tensor, mask: Tensor | None, stencils: Callable[[Sequence[int]], Sequence[Stencil]]
) -> Tensor:
    """The sum over derivatives of their mean squares."""
    keep = over_pixels(mask, field)
    field = shown(wide(field), keep)
    space = [axis for axis in axes_of(field) if field.shape[axis] > 2]
    terms = [(0.0 * field).sum(tuple(range(1, field.dim())))]
    if 0 not in field.shape[1:]:
        terms += [squared(field, keep, space, stencil) for stencil in stencils(space)]
    return reduce(torch.add, terms)


INSIDE = (
    "Derivatives are central differences, where all the neighbours are inside; the mean over "
    "components and places. Units are pixels.",
    "A mask keeps a derivative if it keeps all the pixels in it.",
    "An axis shorter than 3 has no derivatives.",
)
FIELD = "real[B, K, H, *S] -> loss[B]"


def slopes(space: Sequence[int]) -> list[Stencil]:
    return [[(0.5, {axis: 1}), (-0.5, {axis: -1})] for axis in space]


def bends(space: Sequence[int]) -> list[Stencil]:
    """All second derivatives; a mixed one stands for two."""
    straight: list[Stencil] = [[(1.0, {a: 1}), (-2.0, {}), (1.0, {a: -1})] for a in space]
    half = 0.25 * math.sqrt(2)
    mixed: list[Stencil] = [
        [(half * da * db, {a: da, b: db}) for da in (1, -1) for db in (1, -1)]
        for a, b in itertools.combinations(space, 2)
    ]
    return straight + mixed


@loss(
    "bending_energy",
    signature=FIELD,
    family="image",
    values="[0, inf)",
    latex=r"\frac1N \sum_i \sum_{a, b} \left(\partial_a \partial_b u\right)_i^2",
    reference=Reference(
        "D. Rueckert, L. I. Sonoda, C. Hayes, D. L. G. Hill, M. O. Leach and D. J. Hawkes",
        "Nonrigid Registration Using Free-Form Deformations: Application to Breast MR Images",
        1999,
    ),
    mask="inside",
    conventions=INSIDE,
    examples=(
        Example(
            "bending_energy(u)",
            4.0,
            {"u": [[[[0.0, 1.0, 4.0]] * 3]]},
        ),
    ),
    use="For displacement fields: shifts, turns and scalings are free, bending costs.",
    avoid="Where the field has jumps, as between organs that slide or at the edges of moving "
    "things: `tv`, `edge_smoothness`.",
    checked="`monai.losses.BendingEnergyLoss`, in one to three dimensions.",
    related={
        "diffusion_energy": "first derivatives: turns and scalings cost too",
        "tv": "absolute differences, which leave jumps alone",
    },
    identities=(
        (
            "input u: real[B, 2, 8, 8]; bending_energy(u)",
            "input u: real[B, 2, 8, 8]; bending_energy(u + 1)",
        ),
    ),
)
def bending_energy(field: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Mean square of a field's second derivatives.

    Shape:
        field of [B, K, H, ...]; one value a field.

    Example:
        `lncc(warped, fixed) + 0.1*bending_energy(field)`
    """
    return field_energy(field, mask, bends)


@loss(
    "diffusion_energy",
    signature=FIELD,
    family="image",
    values="[0, inf)",
    latex=r"\frac1N \sum_i \sum_a \left(\partial_a u\right)_i^2",
    reference=Reference(
        "G. Balakrishnan, A. Zhao, M. R. Sabuncu, J. Guttag and A. V. Dalca",
        "VoxelMorph: A Learning Framework for Deformable Medical Image Registration",
        2019,
        "1809.05231",
    ),
    mask="inside",
    conventions=INSIDE,
    examples=(Example("diffusion_energy(u)", 4.0, {"u": [[[[0.0, 1.0, 4.0]] * 3]]}),),
    use="For displacement fields and other maps that should be smooth: the usual first choice.",
    avoid="Where turns and scalings should be free: `bending_energy`. Where jumps should: `tv`.",
    checked="`monai.losses.DiffusionLoss`, in one to three dimensions.",
    related={
        "bending_energy": "second derivatives",
        "tv": "absolute differences",
        "edge_smoothness": "excused by an image's edges",
    },
    identities=(
        (
            "input u: real[B, 2, 8, 8]; diffusion_energy(u)",
            "input u: real[B, 2, 8, 8]; diffusion_energy(u + 1)",
        ),
    ),
)
def diffusion_energy(field: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Mean square of a field's first derivatives.

    Shape:
        field of [B, K, H, ...]; one value a field.

    Example:
        `mse(warped, fixed) + 0.02*diffusion_energy(field)`
    """
    return field_energy(field, mask, slopes)
