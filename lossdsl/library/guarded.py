"""Functions that stay finite, in value and gradient, where the textbook's form does not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.record import Number

LOWEST_LOG = -100.0
SMALLEST_PROB = 1e-12
"""The least value of a probability's logarithm, and where its slope stops growing: as in
PyTorch's binary cross entropy."""


def least_prob(p: Tensor) -> float:
    """Where the slope of log(p) stops growing. Half precision ends before 1e-12."""
    return max(SMALLEST_PROB, torch.finfo(p.dtype).tiny)


def mean_over(x: Tensor, dims: Sequence[int]) -> Tensor:
    """Mean along some axes; that of nothing is 0. Half precision adds up in single."""
    sums = wide(x).sum(tuple(dims))
    return sums / max(math.prod([x.shape[dim] for dim in dims]), 1)


def floored(x: Tensor, low: Number) -> Tensor:
    """`x`, raised to `low` where it lies below. The gradient is that of `x` as it stands there:
    cut off, a value that has fallen below could never climb back."""
    return x.clamp(min=low).detach() + (x - x.detach())


def log_cosh_of(x: Tensor) -> Tensor:
    """log(cosh(x)), exact to the last digits near 0 and without overflow far from it.

    The far form cancels near 0, in value and slope; the near form overflows far out.
    """
    size = x.abs()
    near = size < 1
    half = torch.sinh(torch.where(near, x, 0.0) / 2)
    far = size + torch.log1p(torch.exp(-2 * size)) - math.log(2)
    return torch.where(near, torch.log1p(2 * half * half), far)


def power(base: Tensor, exponent: Number) -> Tensor:
    """base ** exponent for base >= 0; at 0 the gradient is 0 whatever the exponent."""
    none = base <= torch.finfo(base.dtype).tiny
    return torch.where(none, 0.0**exponent, torch.where(none, 1.0, base) ** exponent)


def log_prob(p: Tensor) -> Tensor:
    """log(p) for p in [0, 1]. Below 1e-12 the slope stays 1e12, and at 0 the value is -100."""
    least = least_prob(p)
    tiny = p < least
    value = p.detach().clamp(min=0).log().clamp(min=LOWEST_LOG)
    bounded = value + (p - p.detach()) / least
    return torch.where(tiny, bounded, torch.where(tiny, 1.0, p).log())


def log_complement(p: Tensor) -> Tensor:
    """log(1 - p) for p in [0, 1], bounded near 1 as `log_prob` is near 0."""
    least = least_prob(p)
    tiny = 1 - p < least
    value = (-p.detach().clamp(max=1)).log1p().clamp(min=LOWEST_LOG)
    bounded = value - (p - p.detach()) / least
    return torch.where(tiny, bounded, (-torch.where(tiny, 0.0, p)).log1p())
