"""Robust regression: against statsmodels, kornia and the papers, and between each other."""

from __future__ import annotations

import math
from typing import Any

import kornia.losses
import numpy as np
import pytest
import statsmodels.robust.norms
import torch
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor
from torch import Tensor

from lossdsl.library.regression import charbonnier, huber, l1, mse
from lossdsl.library.robust import (
    balanced_l1,
    barron,
    cauchy,
    epsilon_insensitive,
    geman_mcclure,
    tukey,
    wing,
)

NAMES = (
    "epsilon_insensitive",
    "tukey",
    "cauchy",
    "geman_mcclure",
    "barron",
    "balanced_l1",
    "wing",
)
LOSSES = (epsilon_insensitive, tukey, cauchy, geman_mcclure, barron, balanced_l1, wing)


def pair(scale: float = 4.0) -> tuple[Tensor, Tensor]:
    return normal(4, 30, seed=1, scale=scale), normal(4, 30, seed=2)


@pytest.mark.parametrize("name", NAMES)
def test_examples_have_their_value(name: str) -> None:
    examples_hold(name)


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
def test_errors_within_the_tube_are_free(epsilon: float) -> None:
    p, y = pair()
    same(
        epsilon_insensitive(p, y, epsilon=epsilon), np.maximum(0, np.abs((p - y).numpy()) - epsilon)
    )
    if not epsilon:
        same(epsilon_insensitive(p, y, epsilon=0.0), l1(p, y))


@pytest.mark.parametrize("c", [0.5, 2.0, 4.685])
def test_tukey_is_that_of_statsmodels(c: float) -> None:
    p, y = pair()
    same(tukey(p, y, c=c), statsmodels.robust.norms.TukeyBiweight(c=c).rho((p - y).numpy()))
    slope = torch.func.grad(lambda p: tukey(p, y, c=c).sum())(p)
    same(slope, statsmodels.robust.norms.TukeyBiweight(c=c).psi((p - y).numpy()))


@pytest.mark.parametrize("c", [0.5, 1.0, 3.0])
def test_cauchy_and_geman_mcclure_are_those_of_kornia(c: float) -> None:
    p, y = pair()
    same(cauchy(p, y, c=c), kornia.losses.cauchy_loss(p / c, y / c, reduction="none"))
    expected = kornia.losses.geman_mcclure_loss(p / c, y / c, reduction="none")
    same(geman_mcclure(p, y, c=c), expected)


@pytest.mark.parametrize("alpha", [-7.0, -2.0, -0.3, 1e-3, 0.5, 1.0, 1.7, 1.999])
@pytest.mark.parametrize("c", [0.3, 1.0, 2.5])
def test_barron_is_the_papers_formula(alpha: float, c: float) -> None:
    p, y = pair()
    gap = abs(alpha - 2)
    square = ((p - y).numpy() / c) ** 2
    expected = gap / alpha * ((square / gap + 1) ** (alpha / 2) - 1)
    # The formula as printed loses digits near alpha = 0.
    same(barron(p, y, alpha=alpha, c=c), expected, rtol=1e-12 / min(1, abs(alpha)))


def test_barron_passes_through_its_members() -> None:
    p, y = pair()
    for c in (0.4, 1.0, 3.0):
        same(barron(p, y, alpha=2.0, c=c), mse(p, y) / (2 * c * c))
        same(barron(p, y, alpha=1.0, c=c), charbonnier(p / c, y / c, eps=1.0) - 1)
        same(barron(p, y, alpha=0.0, c=c), cauchy(p, y, c=c))
        same(barron(p, y, alpha=-2.0, c=c), geman_mcclure(p, y, c=c))
        welsch = -torch.expm1(-0.5 * ((p - y) / c) ** 2)
        same(barron(p, y, alpha=-1e9, c=c), welsch, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 2.0])
def test_barron_is_continuous_at_its_limits(alpha: float) -> None:
    p, y = pair()
    limit = barron(p, y, alpha=alpha)
    for step in (1e-6, 1e-10, 1e-14):
        near = barron(p, y, alpha=torch.tensor(alpha - step, dtype=torch.float64))
        same(near, limit, rtol=100 * step * math.log(1 / step) + 1e-12)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.5, 1.5), (0.2, 1.0), (1.0, 1.0)])
def test_balanced_l1_is_the_papers_formula(alpha: float, gamma: float) -> None:
    p, y = pair(1.0)
    b = math.exp(gamma / alpha) - 1
    size = np.abs((p - y).numpy())
    near = alpha / b * (b * size + 1) * np.log(b * size + 1) - alpha * size
    expected = np.where(size < 1, near, gamma * size + gamma / b - alpha)
    same(balanced_l1(p, y, alpha=alpha, gamma=gamma), expected, rtol=1e-11)
    scaled = balanced_l1(3 * p, 3 * y, alpha=alpha, gamma=gamma, beta=3.0)
    same(scaled, 3 * expected, rtol=1e-11)


@pytest.mark.parametrize(("width", "epsilon"), [(10.0, 2.0), (5.0, 0.5), (1.0, 3.0)])
def test_wing_is_the_papers_formula(width: float, epsilon: float) -> None:
    p, y = pair(8.0)
    size = np.abs((p - y).numpy())
    joint = width - width * np.log(1 + width / epsilon)
    expected = np.where(size < width, width * np.log(1 + size / epsilon), size - joint)
    same(wing(p, y, width=width, epsilon=epsilon), expected)


@pytest.mark.parametrize("loss", [tukey, geman_mcclure, barron])
def test_small_errors_cost_half_their_square(loss: Any) -> None:
    x = torch.tensor([1e-5, -3e-6], dtype=torch.float64)
    same(loss(x, torch.zeros(2).double()), huber(x, torch.zeros(2).double()), rtol=1e-9, atol=0)


def test_a_perfect_match_costs_nothing_and_pulls_nowhere() -> None:
    for loss in LOSSES:
        x = torch.ones(3, requires_grad=True)
        value = loss(x, torch.ones(3))
        value.sum().backward()
        assert not value.any()
        assert x.grad is not None
        assert not x.grad.any()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("extreme", [1e-30, 1e4, 1e15])
def test_stays_finite(loss: Any, extreme: float) -> None:
    x = torch.tensor([extreme, -extreme], requires_grad=True)
    value = loss(x, torch.zeros(2))
    value.sum().backward()
    assert value.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("loss", "parameters"),
    [
        (epsilon_insensitive, {"epsilon": 0.3}),
        (tukey, {"c": 3.0}),
        (cauchy, {"c": 0.7}),
        (geman_mcclure, {"c": 0.7}),
        (barron, {"alpha": 0.9, "c": 0.7}),
        (barron, {"alpha": 0.0, "c": 0.7}),
        (barron, {"alpha": -1.5, "c": 2.0}),
        (balanced_l1, {"alpha": 0.5, "gamma": 1.2, "beta": 0.8}),
        (wing, {"width": 3.0, "epsilon": 0.5}),
    ],
)
def test_gradients_are_derivatives(loss: Any, parameters: dict[str, float]) -> None:
    p, y = normal(3, 4, seed=1, scale=2.0), normal(3, 4, seed=2)
    numbers = [torch.tensor(v, dtype=torch.float64) for v in parameters.values()]
    is_derivative(
        lambda p, y, *n: loss(p, y, **dict(zip(parameters, n, strict=True))), p, y, *numbers
    )
    for name, value in parameters.items():
        takes_tensor(loss, name, value, p, y)


@pytest.mark.parametrize("loss", LOSSES)
def test_compiles_in_one_graph(loss: Any) -> None:
    one_graph(loss, *((normal(n, 3, seed=1, scale=3.0), normal(n, 3, seed=2)) for n in (4, 6)))
