"""Forecasts: against loops over members, numerical integrals of the score, and each other."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from laws import examples_hold, is_derivative, normal, one_graph, positive, same, takes_tensor

import lossdsl
from lossdsl.diagnostics.errors import LossError
from lossdsl.library.forecasts import (
    crps,
    crps_gaussian,
    crps_of_quantiles,
    energy_score,
    expectile,
    huber_quantile,
    implicit_quantile,
)
from lossdsl.library.quantiles import quantile, quantile_of_levels
from lossdsl.library.regression import huber, l1, mse

NAMES = (
    "expectile",
    "implicit_quantile",
    "huber_quantile",
    "crps",
    "crps_gaussian",
    "energy_score",
)


@pytest.mark.parametrize("name", NAMES)
def test_examples_have_their_value(name: str) -> None:
    examples_hold(name)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.8])
def test_asymmetric_losses_are_the_papers_formulas(q: float) -> None:
    p, y = normal(50, seed=1, scale=2.0), normal(50, seed=2)
    weight = np.abs(q - (y < p).numpy())
    same(expectile(p, y, q=q), weight * ((y - p) ** 2).numpy())
    for delta in (0.3, 1.0, 2.0):
        expected = weight * huber(p, y, delta=delta).numpy() / delta
        same(huber_quantile(p, y, q=q, delta=delta), expected)
    same(implicit_quantile(p, y, torch.full_like(p, q)), quantile(p, y, q=q))
    same(expectile(p, y, q=0.5), mse(p, y) / 2)
    same(huber_quantile(p, y, q=q, delta=1e-9), quantile(p, y, q=q), rtol=1e-6)


@pytest.mark.parametrize("q", [0.2, 0.9])
def test_the_mean_expectile_is_that_of_scipy(q: float) -> None:
    y = normal(200, seed=3)
    best = torch.tensor(scipy.stats.expectile(y.numpy(), q), requires_grad=True)
    (slope,) = torch.autograd.grad(expectile(best.expand(200), y, q=q).mean(), best)
    assert abs(slope.item()) < 1e-12


@pytest.mark.parametrize("fair", [False, True])
@pytest.mark.parametrize("members", [1, 2, 7])
def test_scores_of_ensembles_are_means_over_pairs(members: int, fair: bool) -> None:
    x, y = normal(5, members, 3, seed=1), normal(5, 3, seed=2)
    pairs = members * max(members - 1, 1) if fair else members**2
    for n in range(5):
        a, b = x[n].numpy(), y[n].numpy()
        error = np.mean([np.linalg.norm(u - b) for u in a])
        spread = sum(np.linalg.norm(u - v) for u in a for v in a) / pairs
        same(energy_score(x, y, fair=fair)[n], error - spread / 2)
    one = energy_score(x[..., :1], y[:, :1], fair=fair)
    same(crps(x[..., 0], y[:, 0], fair=fair), one)


def test_the_score_is_an_integral_over_thresholds() -> None:
    # By definition, of the squared difference of the distribution functions.
    x, y = np.array([-1.0, 0.5, 0.7, 2.0]), 0.6
    grid = np.sort(np.append(x, y))
    steps = np.diff(grid)
    below = np.array([np.mean(x <= t) for t in grid[:-1]])
    expected = np.sum(steps * (below - (grid[:-1] >= y)) ** 2)
    same(crps(torch.tensor(x), torch.tensor(y)), expected)


@pytest.mark.parametrize(("mean", "sd", "y"), [(0.0, 1.0, 0.3), (2.0, 0.5, -1.0), (-1.0, 3.0, 8.0)])
def test_the_normal_score_is_its_integral(mean: float, sd: float, y: float) -> None:
    left, _ = scipy.integrate.quad(lambda t: scipy.stats.norm.cdf(t, mean, sd) ** 2, -50, y)
    right, _ = scipy.integrate.quad(lambda t: scipy.stats.norm.sf(t, mean, sd) ** 2, y, 50)
    given = [torch.tensor([v], dtype=torch.float64) for v in (mean, y, sd**2)]
    same(crps_gaussian(*given), [left + right], rtol=1e-7)


def test_a_fair_score_does_not_depend_on_the_members() -> None:
    x, y = normal(40_000, 4, seed=1), normal(40_000, seed=2)
    few, many = crps(x[:, :2], y, fair=True).mean(), crps(x, y, fair=True).mean()
    # Two standard normal distributions: the score of the true forecast is 1/sqrt(pi).
    assert abs(few - np.pi**-0.5) < 0.02
    assert abs(many - np.pi**-0.5) < 0.02
    assert crps(x[:, :2], y).mean() > crps(x, y).mean() + 0.1


def test_the_score_of_quantiles_approaches_that_of_the_distribution() -> None:
    levels = [(k + 0.5) / 400 for k in range(400)]
    p = torch.tensor(scipy.stats.norm.ppf(levels))
    y = torch.tensor(0.7, dtype=torch.float64)
    exact = crps_gaussian(*(torch.tensor([v], dtype=torch.float64) for v in (0.0, 0.7, 1.0)))
    same(crps_of_quantiles(p, y, q=levels), exact[0], rtol=1e-2)
    same(crps_of_quantiles(p, y, q=levels), 2 * quantile_of_levels(p, y, q=levels).mean())
    same(crps_of_quantiles(y[None] + 1, y, q=[0.5]), l1(y + 1, y))


def test_levels_have_the_length_of_the_axis() -> None:
    loss = lossdsl.compile("crps(p, y, q=[0.2, 0.8])", backend="eager")
    p, y = normal(6, 2, seed=1), normal(6, seed=2)
    same(loss(p, y), crps_of_quantiles(p, y, q=[0.2, 0.8]).mean())
    with pytest.raises(LossError, match="has 2 numbers"):
        loss(normal(6, 3), y)


def test_a_fair_ensemble_has_two_members() -> None:
    with pytest.raises(LossError, match="needs N of at least 2"):
        lossdsl.compile("input p: real[B, 1]\ninput y: real[B]\ncrps(p, y, fair=true)")


def test_coinciding_members_do_not_pull() -> None:
    x = torch.zeros(2, 3, 4, dtype=torch.float64, requires_grad=True)
    energy_score(x, torch.zeros(2, 4).double()).sum().backward()
    assert x.grad is not None
    assert not x.grad.any()


def test_gradients_are_derivatives() -> None:
    p, y = normal(4, 3, seed=1), normal(4, 3, seed=2)
    number = torch.tensor(0.7, dtype=torch.float64)
    is_derivative(lambda p, y, n: expectile(p, y, q=n), p, y, number)
    is_derivative(lambda p, y, n: huber_quantile(p, y, q=n, delta=n), p, y, number)
    is_derivative(implicit_quantile, p, y, normal(4, 3).sigmoid())
    is_derivative(crps_gaussian, p, y, positive(4, 3))
    for fair in (False, True):
        is_derivative(partial(crps, fair=fair), p, y[:, 0])
        is_derivative(partial(energy_score, fair=fair), normal(4, 2, 3), y)
    is_derivative(partial(crps_of_quantiles, q=[0.2, 0.5, 0.7]), p, y[:, 0])
    takes_tensor(expectile, "q", 0.3, p, y)
    takes_tensor(huber_quantile, "q", 0.3, p, y)
    takes_tensor(huber_quantile, "delta", 0.3, p, y)
    below, eps = 0.01 * positive(4, 3), torch.full((4, 3), 0.3, dtype=torch.float64)
    same(crps_gaussian(p, y, below, eps=0.3), crps_gaussian(p, y, eps))


@pytest.mark.parametrize(
    ("loss", "shapes"),
    [
        (expectile, ((3,), (3,))),
        (huber_quantile, ((3,), (3,))),
        (crps, ((3, 6), (3,))),
        (partial(crps, fair=True), ((3, 6), (3,))),
        (partial(crps_of_quantiles, q=[0.1, 0.5]), ((3, 2), (3,))),
        (partial(energy_score, fair=True), ((5, 3), (3,))),
    ],
)
def test_compiles_in_one_graph(loss: Any, shapes: Any) -> None:
    one_graph(
        loss,
        *(tuple(normal(n, *shape, seed=i) for i, shape in enumerate(shapes)) for n in (4, 6)),
    )


def test_likelihood_forms_compile_in_one_graph() -> None:
    for loss in (crps_gaussian, implicit_quantile):
        one_graph(
            loss,
            *((normal(n, 3), normal(n, 3, seed=1), normal(n, 3, seed=2).sigmoid()) for n in (4, 6)),
        )
