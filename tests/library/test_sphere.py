"""Directions on a sphere: the papers' loops over pairs, and where the extremes lie."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from laws import examples_hold, is_derivative, normal, same, takes_tensor
from torch import Tensor

import lossdsl
from lossdsl.library.sphere import alignment, koleo, uniformity


@pytest.mark.parametrize("name", ["koleo", "alignment", "uniformity"])
def test_examples_have_their_value(name: str) -> None:
    examples_hold(name)


def on_sphere(x: Tensor) -> np.ndarray:
    unit: np.ndarray = x.numpy() / np.linalg.norm(x.numpy(), axis=1, keepdims=True)
    return unit


@pytest.mark.parametrize("eps", [1e-8, 0.1])
@pytest.mark.parametrize("rows", [2, 9])
def test_koleo_is_the_papers(eps: float, rows: int) -> None:
    x = normal(rows, 4, scale=3.0)
    unit = on_sphere(x)
    costs = []
    for i in range(rows):
        distances = [np.linalg.norm(unit[i] - unit[j]) for j in range(rows) if j != i]
        costs.append(-math.log(min(distances) + eps))
    same(koleo(x, eps=eps), np.mean(costs))


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 3.0])
def test_alignment_is_the_papers(alpha: float) -> None:
    a, b = normal(6, 4), normal(6, 4, seed=1)
    expected = np.linalg.norm(on_sphere(a) - on_sphere(b), axis=1) ** alpha
    same(alignment(a, b, alpha=alpha), expected)


@pytest.mark.parametrize("t", [0.5, 2.0])
def test_uniformity_is_the_papers(t: float) -> None:
    x = normal(7, 4)
    unit = on_sphere(x)
    potentials = [
        math.exp(-t * np.sum((unit[i] - unit[j]) ** 2)) for i in range(7) for j in range(i)
    ]
    same(uniformity(x, t=t), math.log(np.mean(potentials)))


@pytest.mark.parametrize("name", ["koleo", "uniformity"])
def test_masked_rows_are_not_there(name: str) -> None:
    x = normal(6, 3)
    kept = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    loss = lossdsl.compile(f"{name}(x, mask=m)", backend="eager")
    whole = lossdsl.compile(f"{name}(x)", backend="eager")
    same(loss(x=x, m=kept), whole(x=x[kept > 0]))
    one = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert loss(x=x, m=one) == 0


def test_what_is_spread_best_costs_least() -> None:
    angles = torch.arange(5).double() * (2 * math.pi / 5)
    even = torch.stack((angles.cos(), angles.sin()), 1)
    uneven = even + 0.1 * normal(5, 2)
    assert koleo(even) < koleo(uneven)
    assert uniformity(even) < uniformity(uneven)
    same(koleo(even), -math.log(2 * math.sin(math.pi / 5) + 1e-8))


def test_collapse_costs_most_and_has_finite_gradients() -> None:
    x = torch.ones(4, 3, requires_grad=True)
    assert koleo(x).item() == pytest.approx(-math.log(1e-8))
    assert uniformity(x).item() == pytest.approx(0, abs=1e-6)
    (slope,) = torch.autograd.grad(koleo(x) + uniformity(x), x)
    assert slope.isfinite().all()


def test_gradients() -> None:
    x, y = normal(6, 4), normal(6, 4, seed=1)
    is_derivative(koleo, x)
    is_derivative(uniformity, x)
    for alpha in (0.5, 1.0, 2.0):
        is_derivative(lambda a, b, alpha=alpha: alignment(a, b, alpha=alpha), x, y)
    takes_tensor(koleo, "eps", 0.1, x)
    takes_tensor(alignment, "alpha", 1.5, x, y)
    takes_tensor(uniformity, "t", 3.0, x)
