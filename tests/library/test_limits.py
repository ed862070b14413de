"""Quotients and differences at their limits: against NumPy, SciPy and products."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special
import torch
from laws import is_derivative, same

from lossdsl.library.limits import (
    NEAR,
    expm1_ratio,
    log1p_ratio,
    log_excess,
    log_gamma_rest,
    log_rise,
)


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_quotients_are_those_of_numpy() -> None:
    x = numbers(-30.0, -1.0, -NEAR, -1e-3, 1e-9, 1e-3, NEAR, 0.1, 3.0, 40.0)
    same(expm1_ratio(x), np.expm1(x.numpy()) / x.numpy(), rtol=1e-15)
    same(expm1_ratio(x), scipy.special.exprel(x.numpy()), rtol=1e-15)
    grown = x.abs()
    same(log1p_ratio(grown), np.log1p(grown.numpy()) / grown.numpy(), rtol=1e-15)
    zero = torch.zeros(1).double()
    assert expm1_ratio(zero) == 1 == log1p_ratio(zero)


@pytest.mark.parametrize("r", [0.01, 1.0, 15.9, 16.1, 1e3])
def test_log_rise_is_that_of_scipy(r: float) -> None:
    y = numbers(0.0, 0.5, 1.0, 7.0, 300.0)
    expected = scipy.special.loggamma(r + y.numpy()) - math.lgamma(r) - y.numpy() * math.log(r)
    same(log_rise(y, torch.full_like(y, 1 / r)), expected, rtol=1e-11, atol=1e-11)


def test_log_rise_of_whole_numbers_is_a_product() -> None:
    # Γ(r + y) / Γ(r) = r (r + 1) … (r + y - 1), of which r^y is taken off.
    for alpha in (1e-12, 1e-6, 1e-3, 0.05, 0.2, 3.0):
        for y in (1, 2, 9, 40):
            expected = math.fsum(math.log1p(alpha * k) for k in range(y))
            actual = log_rise(numbers(float(y)), numbers(alpha))
            same(actual, [expected], rtol=1e-12, atol=1e-13)


def test_log_gamma_rest_and_excess() -> None:
    x = numbers(1e-6, 0.3, 1.0, 15.9, 16.1, 500.0)
    expected = scipy.special.gammaln(x.numpy()) - x.numpy() * np.log(x.numpy()) + x.numpy()
    same(log_gamma_rest(x), expected, rtol=1e-12, atol=1e-12)
    t = numbers(1e-20, 0.4, 0.6, 1.0, 5.0)
    same(log_excess(t), t.numpy() - 1 - np.log(t.numpy()), atol=1e-15)
    tiny = numbers(1 + 1e-7)
    step = tiny.item() - 1
    same(log_excess(tiny), [step**2 / 2 - step**3 / 3], rtol=1e-8, atol=0)


def test_gradients_are_derivatives() -> None:
    x = numbers(-1.0, -1e-3, 0.0, 1e-3, 2.0)
    is_derivative(expm1_ratio, x)
    is_derivative(log1p_ratio, x.abs() + 1e-4)
    is_derivative(log_excess, x.exp())
    is_derivative(log_gamma_rest, (2 * x).exp())
    is_derivative(log_rise, x.exp(), numbers(1e-3, 0.01, 0.05, 0.3, 4.0))
