"""Distances of samples: against SciPy, loops over pairs and linear programs."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import torch
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor

import lossdsl
from lossdsl.diagnostics.errors import LossError
from lossdsl.library.samples import energy_distance, mmd, sinkhorn, wasserstein_1d

NAMES = ("wasserstein_1d", "energy_distance", "mmd", "sinkhorn")


@pytest.mark.parametrize("name", NAMES)
def test_examples_have_their_value(name: str) -> None:
    examples_hold(name)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
def test_wasserstein_is_the_best_assignment(p: float) -> None:
    x, y = normal(3, 8, seed=1), normal(3, 8, seed=2)
    expected = []
    for a, b in zip(x.numpy(), y.numpy(), strict=True):
        cost = np.abs(a[:, None] - b[None]) ** p
        expected.append(cost[scipy.optimize.linear_sum_assignment(cost)].mean())
    same(wasserstein_1d(x, y, p=p), expected)
    if p == 1:
        distances = [scipy.stats.wasserstein_distance(a, b) for a, b in zip(x, y, strict=True)]
        same(wasserstein_1d(x, y), distances)


def test_energy_distance_in_one_dimension_is_that_of_scipy() -> None:
    x, y = normal(9, seed=1), normal(7, seed=2) + 1
    expected = scipy.stats.energy_distance(x.numpy(), y.numpy()) ** 2
    same(energy_distance(x[:, None], y[:, None]), expected)


def test_energy_distance_is_a_mean_over_pairs() -> None:
    x, y = normal(5, 3, seed=1), normal(4, 3, seed=2)

    def mean(a: Any, b: Any) -> Any:
        return np.mean([np.linalg.norm(u - v) for u in a.numpy() for v in b.numpy()])

    same(energy_distance(x, y), 2 * mean(x, y) - mean(x, x) - mean(y, y))


@pytest.mark.parametrize("bandwidth", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
def test_mmd_is_the_papers_formula(kernel: Any, unbiased: bool, bandwidth: float) -> None:
    x, y = normal(5, 3, seed=1), normal(4, 3, seed=2)

    def likeness(u: Any, v: Any) -> Any:
        d = np.linalg.norm(u - v) / bandwidth
        return np.exp(-d * d / 2) if kernel == "gaussian" else np.exp(-d)

    def mean(a: Any, b: Any, own: bool) -> Any:
        return np.mean(
            [
                likeness(u, v)
                for i, u in enumerate(a.numpy())
                for j, v in enumerate(b.numpy())
                if not (own and unbiased and i == j)
            ]
        )

    expected = mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)
    same(mmd(x, y, bandwidth=bandwidth, kernel=kernel, unbiased=unbiased), expected)


def entropic(cost: Any, eps: float) -> float:
    """The primal minimum, by plain Sinkhorn scaling to convergence."""
    n, m = cost.shape
    kernel, v = np.exp(-cost / eps) / (n * m), np.ones(m)
    for _ in range(5000):
        u = (1 / n) / (kernel @ v)
        v = (1 / m) / (kernel.T @ u)
    plan = u[:, None] * kernel * v
    return float((plan * cost).sum() + eps * (plan * np.log(plan * n * m)).sum())


@pytest.mark.parametrize("eps", [0.3, 1.0, 10.0])
def test_sinkhorn_is_the_entropic_minimum(eps: float) -> None:
    x, y = normal(6, 2, seed=1), normal(4, 2, seed=2)

    def least(a: Any, b: Any) -> float:
        return entropic(((a[:, None] - b[None]) ** 2).sum(-1), eps)

    a, b = x.numpy(), y.numpy()
    plain = sinkhorn(x, y, eps=eps, iterations=1500, debias=False)
    same(plain, least(a, b), rtol=1e-9)
    divergence = sinkhorn(x, y, eps=eps, iterations=1500)
    same(divergence, least(a, b) - (least(a, a) + least(b, b)) / 2, rtol=1e-8)


def test_a_cold_sinkhorn_is_the_best_assignment() -> None:
    x, y = normal(6, 2, seed=1), normal(6, 2, seed=2)
    cost = ((x[:, None] - y[None]) ** 2).sum(-1).numpy()
    best = cost[scipy.optimize.linear_sum_assignment(cost)].mean()
    same(sinkhorn(x, y, eps=0.01, iterations=2000), best, rtol=0.02)


def test_a_hot_sinkhorn_compares_means() -> None:
    x, y = normal(6, 2, seed=1), normal(5, 2, seed=2)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum()
    same(sinkhorn(x, y, eps=1e6), expected, rtol=1e-4)


@pytest.mark.parametrize("loss", [energy_distance, mmd, partial(sinkhorn, eps=0.5)])
def test_laws_of_distances(loss: Any) -> None:
    x, y = normal(7, 3, seed=1), normal(5, 3, seed=2)
    same(loss(x, x), 0.0)
    same(loss(x, y), loss(y, x), rtol=1e-5)
    same(loss(x.flip(0), y), loss(x, y))
    same(loss(x + 3, y + 3), loss(x, y), rtol=1e-9)
    assert loss(x, y) > 0
    batch = loss(torch.stack((x, x + 1)), torch.stack((y, y)))
    same(batch, torch.stack((loss(x, y), loss(x + 1, y))))


def test_equal_points_do_not_pull() -> None:
    for loss in (energy_distance, partial(mmd, kernel="laplacian"), mmd, sinkhorn):
        x = torch.ones(3, 2, dtype=torch.float64, requires_grad=True)
        loss(x, torch.ones(4, 2).double()).backward()
        assert x.grad is not None
        assert not x.grad.any()


def test_a_sample_without_points_costs_nothing() -> None:
    x, y = torch.zeros(0, 2), torch.ones(3, 2)
    for loss in (energy_distance, mmd, sinkhorn):
        assert loss(x, y) == 0
        assert loss(y, x) == 0


def test_without_bias_there_are_two_points() -> None:
    with pytest.raises(LossError, match="needs N of at least 2"):
        lossdsl.compile(
            "input x: real[1, D]\ninput y: real[4, D]\nmmd(x, y, unbiased=true)", backend="eager"
        )


def test_gradients_are_derivatives() -> None:
    x, y = normal(2, 4, 3, seed=1), normal(2, 5, 3, seed=2)
    number = torch.tensor(0.7, dtype=torch.float64)
    for p in (1.0, 2.0, 3.0):
        is_derivative(partial(wasserstein_1d, p=p), x[..., 0], y[:, :4, 0])
    is_derivative(energy_distance, x, y)
    for options in ({}, {"kernel": "laplacian"}, {"unbiased": True}):
        is_derivative(lambda x, y, n, o=options: mmd(x, y, bandwidth=n, **o), x, y, number)
    # Exact where the rounds suffice, in eps too.
    for debias in (False, True):
        is_derivative(
            lambda x, y, n, d=debias: sinkhorn(x, y, eps=2 * n, iterations=400, debias=d),
            x,
            y,
            number,
        )
    takes_tensor(mmd, "bandwidth", 0.7, x, y)
    takes_tensor(sinkhorn, "eps", 0.7, x, y)


@pytest.mark.parametrize(
    "loss", [energy_distance, mmd, partial(mmd, kernel="laplacian", unbiased=True), sinkhorn]
)
def test_compiles_in_one_graph(loss: Any) -> None:
    one_graph(loss, *((normal(n, 3, seed=1), normal(n + 1, 3, seed=2)) for n in (4, 6)))


def test_wasserstein_compiles_in_one_graph() -> None:
    one_graph(wasserstein_1d, *((normal(n, 3, seed=1), normal(n, 3, seed=2)) for n in (4, 6)))
