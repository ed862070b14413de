"""Likelihoods: against SciPy's densities and scikit-learn's deviances, and at their limits."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
import torch
from laws import examples_hold, is_derivative, normal, one_graph, positive, same, takes_tensor
from torch import Tensor

from lossdsl.library.densities import gaussian_nll
from lossdsl.library.likelihood import (
    exponential_nll,
    gamma_nll,
    laplace_nll,
    lognormal_nll,
    neg_binomial_nll,
    student_t_nll,
    tweedie,
    tweedie_of_mean,
)

NAMES = (
    "neg_binomial_nll",
    "tweedie",
    "exponential_nll",
    "gamma_nll",
    "laplace_nll",
    "student_t_nll",
    "lognormal_nll",
)


def counts(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 9, shape, generator=generator).double()


def filled(value: float, like: Tensor) -> Tensor:
    return torch.full_like(like, value)


@pytest.mark.parametrize("name", NAMES)
def test_examples_have_their_value(name: str) -> None:
    examples_hold(name)


@pytest.mark.parametrize("alpha", [1e-4, 0.05, 0.3, 1.0, 20.0])
def test_neg_binomial_is_that_of_scipy(alpha: float) -> None:
    y, mean = counts(60), positive(60, seed=1)
    expected = -scipy.stats.nbinom.logpmf(y.numpy(), 1 / alpha, 1 / (1 + alpha * mean.numpy()))
    # Where alpha is small, SciPy subtracts large logarithms of the gamma function.
    same(neg_binomial_nll(mean, y, filled(alpha, y)), expected, rtol=1e-9, atol=1e-10)


def test_neg_binomial_without_dispersion_is_poissons() -> None:
    y, mean = counts(60), positive(60, seed=1)
    expected = -scipy.stats.poisson.logpmf(y.numpy(), mean.numpy())
    same(neg_binomial_nll(mean, y, filled(1e-8, y)), expected, rtol=1e-6)
    single = neg_binomial_nll(mean.float(), y.float(), filled(1e-8, y).float()).double()
    same(single, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("alpha", [1e-6, 1e-3, 0.2])
def test_the_slope_in_the_dispersion_survives_single_precision(alpha: float) -> None:
    y, mean = counts(60), positive(60, seed=1)

    def slope(dtype: torch.dtype) -> Tensor:
        a = filled(alpha, y).to(dtype).requires_grad_()
        neg_binomial_nll(mean.to(dtype), y.to(dtype), a).sum().backward()
        assert a.grad is not None
        return a.grad.double()

    same(slope(torch.float32), slope(torch.float64), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("power", [1.1, 1.5, 1.9])
def test_tweedie_is_half_the_deviance_of_scikit_learn(power: float) -> None:
    z, y = normal(40, seed=1), counts(40)
    best = np.where(y > 0, y, 1.0) ** (2 - power) * (y > 0).numpy() / ((1 - power) * (2 - power))
    deviance = [
        sklearn.metrics.mean_tweedie_deviance([t], [m], power=power)
        for t, m in zip(y.tolist(), z.exp().tolist(), strict=True)
    ]
    expected = np.array(deviance) / 2 - np.asarray(best)
    same(tweedie(z, y, power=power), expected, rtol=1e-11, atol=1e-11)
    same(tweedie_of_mean(z.exp(), y, power=power), expected, rtol=1e-11, atol=1e-11)


def test_tweedie_is_smallest_at_the_target() -> None:
    y = (counts(40) + 1).requires_grad_(False)
    z = y.log().requires_grad_()
    (slope,) = torch.autograd.grad(tweedie(z, y, power=1.3).sum(), z)
    same(slope, torch.zeros(40))


def test_positive_amounts_are_those_of_scipy() -> None:
    y, rate, shape = positive(60, seed=1), positive(60, seed=2), 3 * positive(60, seed=3)
    same(exponential_nll(rate, y), -scipy.stats.expon.logpdf(y.numpy(), scale=1 / rate.numpy()))
    expected = -scipy.stats.gamma.logpdf(y.numpy(), shape.numpy(), scale=1 / rate.numpy())
    same(gamma_nll(shape, y, rate), expected, rtol=1e-11)
    same(gamma_nll(torch.ones(60).double(), y, rate), exponential_nll(rate, y))
    mean = normal(60, seed=4)
    expected = -scipy.stats.lognorm.logpdf(
        y.numpy(), shape.sqrt().numpy(), scale=mean.exp().numpy()
    )
    same(lognormal_nll(mean, y, shape), expected, rtol=1e-11)
    same(lognormal_nll(mean, y, shape), gaussian_nll(mean, y.log(), shape, full=True) + y.log())


def test_a_large_gamma_shape_keeps_its_digits_in_single_precision() -> None:
    shape = torch.tensor([1e5, 1e5])
    y = torch.tensor([1.0, 1.01])
    expected = -scipy.stats.gamma.logpdf(y.double().numpy(), 1e5, scale=1e-5)
    same(gamma_nll(shape, y, shape).double(), expected, rtol=1e-3)


def test_heavy_tails_are_those_of_scipy() -> None:
    p, y, scale = normal(60, seed=1), normal(60, seed=2, scale=5.0), positive(60, seed=3)
    expected = -scipy.stats.laplace.logpdf(y.numpy(), p.numpy(), scale.numpy())
    same(laplace_nll(p, y, scale), expected)
    for df in (0.3, 1.0, 4.0, 31.0, 33.0, 1e3):
        expected = -scipy.stats.t.logpdf(y.numpy(), df, p.numpy(), scale.numpy())
        same(student_t_nll(p, y, scale, filled(df, p)), expected, rtol=1e-11, atol=1e-11)


def test_student_without_tails_is_normal() -> None:
    p, y, scale = normal(60, seed=1), normal(60, seed=2), 0.5 + positive(60, seed=3)
    expected = -scipy.stats.norm.logpdf(y.numpy(), p.numpy(), scale.numpy())
    same(student_t_nll(p, y, scale, filled(1e13, p)), expected, rtol=1e-10)
    single = student_t_nll(p.float(), y.float(), scale.float(), filled(1e13, p).float())
    same(single.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("loss", "inputs"),
    [
        (neg_binomial_nll, (positive(2, 3), counts(2, 3), positive(2, 3, seed=1))),
        (exponential_nll, (positive(2, 3), positive(2, 3, seed=1))),
        (gamma_nll, (positive(2, 3), positive(2, 3, seed=1), positive(2, 3, seed=2))),
        (laplace_nll, (normal(2, 3), normal(2, 3, seed=1), positive(2, 3, seed=2))),
        (
            student_t_nll,
            (normal(2, 3), normal(2, 3, seed=1), positive(2, 3), 9 * positive(2, 3, seed=2)),
        ),
        (lognormal_nll, (normal(2, 3), positive(2, 3, seed=1), positive(2, 3, seed=2))),
        (partial(tweedie, power=1.4), (normal(2, 3), counts(2, 3))),
        (partial(tweedie_of_mean, power=1.4), (positive(2, 3), counts(2, 3))),
    ],
)
def test_gradients_are_derivatives_in_one_graph(loss: Any, inputs: tuple[Tensor, ...]) -> None:
    fixed = {i: x for i, x in enumerate(inputs) if loss is neg_binomial_nll and i == 1}

    def free(*given: Tensor) -> Tensor:
        values = iter(given)
        return loss(*(fixed[i] if i in fixed else next(values) for i in range(len(inputs))))

    is_derivative(free, *(x for i, x in enumerate(inputs) if i not in fixed))
    one_graph(loss, inputs, tuple(torch.cat((x, x)) for x in inputs))


def test_parameters_may_move() -> None:
    takes_tensor(tweedie, "power", 1.3, normal(9), counts(9))
    takes_tensor(tweedie_of_mean, "power", 1.3, positive(9), counts(9))


def test_a_scale_below_eps_counts_as_eps() -> None:
    p, y, below = normal(9), normal(9, seed=1), 1e-3 * positive(9)
    eps = filled(0.1, below)
    for given in (0.1, torch.tensor(0.1, dtype=torch.float64)):
        same(laplace_nll(p, y, below, eps=given), laplace_nll(p, y, eps))
        df = filled(3.0, p)
        same(student_t_nll(p, y, below, df, eps=given), student_t_nll(p, y, eps, df))
        same(lognormal_nll(p, y.exp(), below, eps=given), lognormal_nll(p, y.exp(), eps))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_smallest_legal_parameters_stay_finite(dtype: torch.dtype) -> None:
    least = torch.tensor([1e-45, 1e-38, 1e-20], dtype=dtype)
    one = torch.ones(3, dtype=dtype)
    for loss, inputs in (
        (neg_binomial_nll, (least, one, least)),
        (exponential_nll, (least, one)),
        (gamma_nll, (least, least, least)),
        (laplace_nll, (one, 2 * one, least)),
        (student_t_nll, (one, 2 * one, least, least)),
        (lognormal_nll, (one, least, least)),
        (tweedie_of_mean, (least, one)),
    ):
        given = [x.clone().requires_grad_() for x in inputs]
        value = loss(*given)
        value.sum().backward()
        assert value.isfinite().all(), loss
        assert all(x.grad is not None and x.grad.isfinite().all() for x in given), loss
