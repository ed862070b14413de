"""Quotients of two things that vanish together, and differences of two that grow together: exact
in value and slope at the limit too."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

NEAR = 0.02
"""Where the quotients' series take over: nine terms give all digits there, and beyond it the
quotients themselves lose at most two."""

FAR = 16.0
"""From where Stirling's series gives the logarithm of the gamma function to all digits."""

STIRLING = (0.0, 1 / 12, 0.0, -1 / 360, 0.0, 1 / 1260, 0.0, -1 / 1680, 0.0, 1 / 1188)
"""The series itself, in powers of 1/x: log Γ(x) less (x - ½) log x - x + ½ log 2π."""


def polynomial(x: Tensor, coefficients: Sequence[float]) -> Tensor:
    """Horner's rule, the constant first."""
    value = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


def expm1_ratio(x: Tensor) -> Tensor:
    """(e^x - 1) / x, which is 1 at 0."""
    near = x.abs() < NEAR
    far = torch.where(near, 1.0, x)
    series = polynomial(torch.where(near, x, 0.0), [1 / math.factorial(n) for n in range(1, 10)])
    return torch.where(near, series, torch.expm1(far) / far)


def log1p_ratio(x: Tensor) -> Tensor:
    """log(1 + x) / x for x >= 0, which is 1 at 0."""
    near = x.abs() < NEAR
    far = torch.where(near, 1.0, x)
    series = polynomial(torch.where(near, x, 0.0), [(-1) ** n / (n + 1) for n in range(9)])
    return torch.where(near, series, torch.log1p(far) / far)


def log_rise(y: Tensor, alpha: Tensor) -> Tensor:
    """log Γ(r + y) - log Γ(r) - y log r with r = 1/alpha, for y >= 0 and alpha > 0.

    It vanishes with alpha, where the three terms grow without bound; Stirling's series then
    gives their difference without them.
    """
    far = alpha < 1 / FAR
    small = torch.where(far, alpha, 1 / FAR)
    step = small * y
    # (r + y - 1/2) log(1 + y/r) - y, then the differences of 1/(12 r), 1/(360 r³), …
    leading = y * ((1 + step) * log1p_ratio(step) - 1) - 0.5 * torch.log1p(step)
    shrunk = small / (1 + step)
    series = leading + polynomial(shrunk, STIRLING) - polynomial(small, STIRLING)
    count = 1 / torch.where(far, 1.0, alpha)
    direct = torch.lgamma(count + y) - torch.lgamma(count) - y * count.log()
    return torch.where(far, series, direct)


def log_gamma_rest(x: Tensor) -> Tensor:
    """log Γ(x) - x log x + x for x > 0: what is left of the logarithm of the gamma function."""
    far = x > FAR
    large = torch.where(far, x, FAR)
    series = 0.5 * (2 * math.pi / large).log() + polynomial(1 / large, STIRLING)
    small = torch.where(far, 1.0, x)
    return torch.where(far, series, torch.lgamma(small) - small * small.log() + small)


def log_excess(x: Tensor) -> Tensor:
    """x - 1 - log(x) for x > 0, which is 0 at 1."""
    near = x > 0.5
    step = torch.where(near, x, 1.0) - 1
    far = torch.where(near, 1.0, x)
    return torch.where(near, step - torch.log1p(step), far - 1 - far.log())
