"""The first step of a diffusion model, which ends in pixels: their probability, not a density."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.special import log_ndtr

from lossdsl.functions.precision import wide
from lossdsl.library.diffusion import LN2
from lossdsl.library.guarded import floored, mean_over
from lossdsl.library.record import Example, Reference
from lossdsl.library.registry import loss

NARROW = 0.02
"""Below that width, in standard deviations, a bin's probability is its width times the density in
its middle, corrected for the slope there, to 1e-8; a difference of two distribution functions
has lost half of its digits by then."""

LEAST_LOGVAR = -20.0


def log_sinhc(x: Tensor) -> Tensor:
    """log(sinh(x) / x) for x >= 0."""
    near = x < 0.1
    small = torch.where(near, x, 0.0)
    square = small * small
    large = torch.where(near, 1.0, x)
    far = large + torch.log1p(-torch.exp(-2 * large)) - math.log(2) - large.log()
    return torch.where(near, square / 6 - square * square / 180, far)


def log_between(low: Tensor, high: Tensor) -> Tensor:
    """log(Phi(high) - Phi(low)) of the normal distribution, where they are not close."""
    # In the left half both logarithms are exact; the normal distribution is symmetric.
    turned = low + high > 0
    low, high = torch.where(turned, -high, low), torch.where(turned, -low, high)
    upper: Tensor = log_ndtr(high)
    lower: Tensor = log_ndtr(low)
    # log(1 - e^-d), by whichever of two forms keeps its digits.
    drop = upper - lower
    close = drop < LN2
    near = torch.log(-torch.expm1(-torch.where(close, drop, 1.0)))
    far = torch.log1p(-torch.exp(-torch.where(close, 1.0, drop)))
    return upper + torch.where(close, near, far)


def log_of_bin(middle: Tensor, width: Tensor, log_width: Tensor) -> Tensor:
    """log-probability of an interval of the normal distribution, in standard deviations."""
    narrow = width < NARROW
    thin = torch.where(narrow, width, 0.0)
    density = -0.5 * middle * middle - 0.5 * math.log(2 * math.pi)
    slope = log_sinhc(0.5 * (middle * thin).abs()) - thin * thin / 24
    thick = torch.where(narrow, 1.0, width)
    return torch.where(
        narrow,
        density + log_width + slope,
        log_between(middle - 0.5 * thick, middle + 0.5 * thick),
    )


@loss(
    "decoder_nll",
    signature="real[B, *S], real[B, *S], real[B, *S] -> loss[B]",
    family="generative",
    values="[0, inf)",
    aliases=("discretized_gaussian_nll",),
    latex=(
        r"-\frac{1}{D \log 2} \sum_d \log \int_{x_d - \delta/2}^{x_d + \delta/2}"
        r" \mathcal{N}(u;\ \mu_d, e^{s_d})\, du"
    ),
    reference=Reference(
        "J. Ho, A. Jain, P. Abbeel", "Denoising Diffusion Probabilistic Models", 2020, "2006.11239"
    ),
    ranges={"levels": "[2, inf)"},
    conventions=(
        "Mean, pixels, log-variance; in bits a dimension, as diffusion_vlb.",
        "The bins of the lowest and of the highest level reach to infinity, so that all add up"
        " to 1.",
        "A log-variance below -20 counts as -20, with the gradient that it has there.",
        "The normal distribution is exact: the code of guided diffusion takes an approximation by"
        " a tanh, and bounds the probability by 1e-12.",
    ),
    pitfalls=(
        "Pixels must lie on the levels: low, high and equal steps between them.",
        "Nothing is detached inside: detach the mean where the bound trains the variance alone.",
    ),
    use="The last term of a diffusion model's variational bound, at the time step that gives the"
    " image; the likelihood of any decoder of 8-bit images.",
    avoid="All other time steps: `diffusion_vlb`. Values that are not discrete: `gaussian_nll`.",
    checked="the integral in `mpmath` with 60 digits, and the sum over all levels",
    related={
        "diffusion_vlb": "the other time steps",
        "gaussian_nll": "a density, which may exceed 1",
        "noise_prediction": "trains the mean",
    },
    examples=(
        # Two levels meet at 0, where the distribution has its middle.
        Example("decoder_nll(m, x, s, levels=2)", 1.0, {"m": [[0.0]], "x": [[1.0]], "s": [[3.0]]}),
        # Of three levels the one in the middle reaches from -1/2 to 1/2.
        Example(
            "decoder_nll(m, x, s, levels=3)",
            -math.log2(math.erf(0.5 / math.sqrt(2))),
            {"m": [[0.0]], "x": [[0.0]], "s": [[0.0]]},
        ),
    ),
)
def decoder_nll(
    mean: Tensor,
    x: Tensor,
    logvar: Tensor,
    *,
    low: float = -1.0,
    high: float = 1.0,
    levels: int = 256,
) -> Tensor:
    """Negative log-likelihood of discrete pixels under a normal distribution, in bits a dimension.

    Args:
        low: the value of the lowest level.
        high: the value of the highest level.
        levels: how many values a pixel may have.

    Shape:
        All three alike, [B, ...]; one value a sample.

    Example:
        `mean(where(t == 0, decoder_nll(detach(p_mean), x0, p_logvar, reduction='none'),
        diffusion_vlb(q_mean, q_logvar, p_mean, p_logvar, reduction='none')))`
    """
    mean, x, logvar = wide(mean), wide(x), floored(wide(logvar), LEAST_LOGVAR)
    step = (high - low) / (levels - 1)
    scale = torch.exp(-0.5 * logvar)
    away = x - mean
    log_width = -0.5 * logvar + math.log(step)
    inside = log_of_bin(away * scale, step * scale, log_width)
    below = log_ndtr((away + 0.5 * step) * scale)
    above = log_ndtr(-(away - 0.5 * step) * scale)
    log_prob = torch.where(
        x < low + 0.5 * step, below, torch.where(x > high - 0.5 * step, above, inside)
    )
    bits = -log_prob / LN2
    return mean_over(bits, range(1, bits.dim())) if bits.dim() > 1 else bits
