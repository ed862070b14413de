"""Warping: against the recursion and all paths, one by one, with derivatives of both orders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor
from torch import Tensor

import lossdsl
from lossdsl.library.alignment import cells, expected_visits, skewed, soft_paths
from lossdsl.library.warping import dilate, soft_dtw, squared_distances

SIZES = [(1, 1, 1), (1, 5, 2), (5, 1, 2), (2, 2, 1), (4, 7, 3), (7, 4, 3), (6, 6, 1)]
Path = tuple[tuple[int, int], ...]


def by_recursion(cost: Any, gamma: float) -> float:
    """The papers' recursion, cell by cell."""
    rows, columns = cost.shape
    table = np.full((rows + 1, columns + 1), np.inf)
    table[0, 0] = 0
    for i in range(rows):
        for j in range(columns):
            reached = -np.array([table[i, j + 1], table[i + 1, j], table[i, j]]) / gamma
            table[i + 1, j + 1] = cost[i, j] - gamma * np.logaddexp.reduce(reached)
    return float(table[-1, -1])


def paths(rows: int, columns: int) -> Iterator[Path]:
    """All alignments, from the last cell back."""
    last = (rows - 1, columns - 1)
    if last == (0, 0):
        yield (last,)
        return
    for i, j in ((rows - 1, columns), (rows, columns - 1), (rows - 1, columns - 1)):
        if i and j:
            yield from ((*path, last) for path in paths(i, j))


def test_paths_are_counted_by_delannoy() -> None:
    assert [sum(1 for _ in paths(n, n)) for n in (1, 2, 3, 4)] == [1, 3, 13, 63]
    zeros = torch.zeros(1, 4, 1, dtype=torch.float64)
    same(soft_dtw(zeros, zeros), [-np.log(63)])


@pytest.mark.parametrize("name", ["soft_dtw", "dilate"])
def test_examples_have_their_value(name: str) -> None:
    examples_hold(name)


@pytest.mark.parametrize(("rows", "columns", "width"), SIZES)
@pytest.mark.parametrize("gamma", [0.01, 1.0, 20.0])
def test_soft_dtw_is_the_papers_recursion(
    rows: int, columns: int, width: int, gamma: float
) -> None:
    x, y = normal(3, rows, width, seed=1), normal(3, columns, width, seed=2)
    expected = [
        by_recursion(((a[:, None] - b[None]) ** 2).sum(-1), gamma)
        for a, b in zip(x.numpy(), y.numpy(), strict=True)
    ]
    same(soft_dtw(x, y, gamma=gamma), expected)
    own = (soft_dtw(x, x, gamma=gamma) + soft_dtw(y, y, gamma=gamma)) / 2
    same(soft_dtw(x, y, gamma=gamma, divergence=True), np.array(expected) - own.numpy(), atol=1e-11)


@pytest.mark.parametrize("gamma", [0.01, 0.5, 3.0])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_losses_are_means_over_all_paths(gamma: float, alpha: float) -> None:
    x, y = normal(2, 4, 2, seed=1), normal(2, 4, 2, seed=2)
    expected = []
    for a, b in zip(x.numpy(), y.numpy(), strict=True):
        cost = ((a[:, None] - b[None]) ** 2).sum(-1)
        routes = list(paths(4, 4))
        costs = np.array([sum(cost[cell] for cell in route) for route in routes])
        shape = -gamma * np.logaddexp.reduce(-costs / gamma)
        chance = np.exp((shape - costs) / gamma)
        delay = np.array([sum((i - j) ** 2 for i, j in route) for route in routes])
        expected.append(alpha * shape + (1 - alpha) * (chance * delay).sum() / 16)
    same(dilate(x, y, alpha=alpha, gamma=gamma), expected, rtol=1e-11)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 4), (3, 5), (5, 3)])
def test_visits_are_the_derivative_by_the_costs(rows: int, columns: int) -> None:
    cost = normal(2, rows, columns, seed=3).requires_grad_()
    table = soft_paths(skewed(cost))
    (slope,) = torch.autograd.grad(table[:, -1, -1].sum(), cost)
    inside = cells(rows + columns - 1, rows, cost.device)
    visits = expected_visits(table)
    same(visits, skewed(slope))
    assert not visits[:, ~inside].any()
    same(visits[:, 0, 0], torch.ones(2))


@pytest.mark.parametrize(("rows", "columns", "width"), SIZES)
def test_gradients_are_derivatives_of_both_orders(rows: int, columns: int, width: int) -> None:
    x, y = normal(2, rows, width, seed=1), normal(2, columns, width, seed=2)
    for gamma in (0.3, 2.0):
        number = torch.tensor(gamma, dtype=torch.float64)

        def cost(x: Tensor, y: Tensor, n: Tensor) -> Tensor:
            return soft_dtw(x, y, gamma=n)

        is_derivative(cost, x, y, number)
        free = [v.clone().requires_grad_() for v in (x, y, number)]
        assert torch.autograd.gradgradcheck(cost, free)
        is_derivative(lambda x, y: soft_dtw(x, y, divergence=True), x, y)
        z = normal(2, rows, width, seed=3)
        is_derivative(lambda x, z, n: dilate(x, z, alpha=n / 3, gamma=n), x, z, number)


def test_a_sharp_minimum_is_the_best_alignment() -> None:
    x = torch.tensor([0.0, 0.0, 1.0, 2.0, 2.0]).double()[None, :, None]
    y = torch.tensor([0.0, 1.0, 1.0, 1.0, 2.0]).double()[None, :, None]
    # The same shape, delayed: an alignment without cost exists.
    assert abs(soft_dtw(x, y, gamma=1e-3)) < 1e-2
    assert squared_distances(x, y).diagonal(dim1=1, dim2=2).sum() > 1
    assert dilate(x, y, alpha=0.0, gamma=1e-3) > 0
    assert abs(dilate(x, x, alpha=0.0, gamma=1e-3)) < 0.1


def test_laws() -> None:
    x, y = normal(3, 6, 2, seed=1), normal(3, 8, 2, seed=2)
    same(soft_dtw(x, y), soft_dtw(y, x))
    same(soft_dtw(x.flip(1), y.flip(1)), soft_dtw(x, y))
    same(soft_dtw(3 * x, 3 * y, gamma=9.0), 9 * soft_dtw(x, y))
    same(soft_dtw(x, x, divergence=True), torch.zeros(3))
    assert (soft_dtw(x, y, divergence=True) > 0).all()
    takes_tensor(soft_dtw, "gamma", 0.5, x, y)
    takes_tensor(dilate, "alpha", 0.5, x, x + 1)
    takes_tensor(dilate, "gamma", 0.5, x, x + 1)


def test_far_series_stay_finite_in_single_precision() -> None:
    x = 1e4 * normal(2, 30, 3, seed=1).sign().float().requires_grad_()
    y = 1e4 * normal(2, 20, 3, seed=2).sign().float()
    for gamma in (1e-4, 1.0, 1e4):
        value = soft_dtw(x, y, gamma=gamma)
        (slope,) = torch.autograd.grad(value.sum(), x)
        assert value.isfinite().all()
        assert slope.isfinite().all()
        assert slope.any()


@pytest.mark.parametrize("loss", [soft_dtw, dilate])
def test_compiles_in_one_graph(loss: Any) -> None:
    one_graph(loss, *((normal(n, 5, 2, seed=1), normal(n, 5, 2, seed=2)) for n in (4, 3, 2)))


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_a_compiled_loss_has_the_values_of_eager(backend: str) -> None:
    text = "soft_dtw(p, y, gamma=0.3) + dilate(p, y)"
    compiled, eager = (lossdsl.compile(text, backend=b) for b in (backend, "eager"))
    for batch in (3, 5):
        p, y = normal(batch, 12, 2, seed=1), normal(batch, 12, 2, seed=2)
        ours, theirs = p.clone().requires_grad_(), p.clone().requires_grad_()
        value, expected = compiled(p=ours, y=y), eager(p=theirs, y=y)
        value.backward()
        expected.backward()
        same(value, expected.detach())
        assert ours.grad is not None
        same(ours.grad, theirs.grad, atol=1e-11)
