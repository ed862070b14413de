"""Losses of dense detectors: against the papers' formulas, one element at a time."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from laws import (
    distribution,
    examples_hold,
    graph_of_batches,
    is_derivative,
    normal,
    same,
    uniform,
)
from torch import Tensor

from lossdsl.library.classification import bce, ce, focal
from lossdsl.library.dense_detection import (
    distribution_focal,
    distribution_focal_of_prob,
    gaussian_focal,
    gaussian_focal_of_prob,
    quality_focal,
    quality_focal_of_prob,
    varifocal,
    varifocal_of_prob,
)


def test_examples_have_their_value() -> None:
    examples_hold("quality_focal", "varifocal", "gaussian_focal", "distribution_focal")


def scored(*shape: int) -> tuple[Tensor, Tensor]:
    """Scores, and targets of which most are 0 and some exactly 1."""
    y = uniform(*shape, seed=3)
    return normal(*shape, scale=2), torch.where(y < 0.5, 0.0, torch.where(y > 0.9, 1.0, y))


def elements(z: Tensor, y: Tensor) -> Any:
    for score, target in zip(z.tolist(), y.tolist(), strict=True):
        yield 1 / (1 + math.exp(-score)), target


@pytest.mark.parametrize("beta", [0.0, 1.5, 2.0])
def test_quality_focal_is_the_papers_formula(beta: float) -> None:
    z, y = scored(60)
    expected = [
        -(abs(t - q) ** beta) * ((1 - t) * math.log(1 - q) + t * math.log(q))
        for q, t in elements(z, y)
    ]
    same(quality_focal(z, y, beta=beta), expected)
    same(quality_focal_of_prob(z.sigmoid(), y, beta=beta), expected)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.75, 2.0), (0.3, 0.5), (1.0, 0.0)])
def test_varifocal_is_the_papers_formula(alpha: float, gamma: float) -> None:
    z, y = scored(60)
    expected = [
        -t * (t * math.log(q) + (1 - t) * math.log(1 - q))
        if t > 0
        else -alpha * q**gamma * math.log(1 - q)
        for q, t in elements(z, y)
    ]
    same(varifocal(z, y, alpha=alpha, gamma=gamma), expected)
    same(varifocal_of_prob(z.sigmoid(), y, alpha=alpha, gamma=gamma), expected)


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 4.0), (0.5, 1.0), (0.0, 0.0)])
def test_gaussian_focal_is_the_papers_formula(alpha: float, beta: float) -> None:
    z, y = scored(60)
    expected = [
        -((1 - q) ** alpha) * math.log(q)
        if t == 1
        else -((1 - t) ** beta) * q**alpha * math.log(1 - q)
        for q, t in elements(z, y)
    ]
    same(gaussian_focal(z, y, alpha=alpha, beta=beta), expected)
    same(gaussian_focal_of_prob(z.sigmoid(), y, alpha=alpha, beta=beta), expected)


def test_hard_targets_give_focal_losses() -> None:
    z, y = normal(60, scale=2), uniform(60, seed=3).round()
    same(quality_focal(z, y), focal(z, y, alpha=None))
    same(gaussian_focal(z, y), focal(z, y, alpha=None))
    same(quality_focal(z, y, beta=0.0), bce(z, y))
    same(varifocal(z, y, alpha=1.0, gamma=0.0), bce(z, y))


def test_a_met_quality_costs_nothing() -> None:
    z = normal(20).requires_grad_()
    value = quality_focal(z, z.detach().sigmoid())
    value.sum().backward()
    same(value.detach(), torch.zeros(20))
    same(z.grad, torch.zeros(20))


def test_distribution_focal_is_the_papers_formula() -> None:
    z, y = normal(40, 6, scale=2), 5 * uniform(40, seed=3)
    y[:6] = torch.arange(6.0)
    expected = []
    for row, t in zip(z.softmax(1).tolist(), y.tolist(), strict=True):
        low = min(int(t), 4)
        expected.append(-(low + 1 - t) * math.log(row[low]) - (t - low) * math.log(row[low + 1]))
    same(distribution_focal(z.log_softmax(1), y), expected)
    same(distribution_focal_of_prob(z.softmax(1), y), expected)


def test_whole_distances_are_labels() -> None:
    z = normal(8, 5, 3).log_softmax(1)
    y = (5 * uniform(8, 3)).long()
    same(distribution_focal(z, y.double()), ce(z, y))


def test_distances_beyond_the_bins_are_moved_to_the_last() -> None:
    z = normal(2, 4).log_softmax(1)
    same(distribution_focal(z, torch.tensor([-3.0, 1e4]).double()), [-z[0, 0], -z[1, 3]])


def test_its_least_is_at_the_two_bins_shares() -> None:
    q = torch.tensor([[0.0, 0.3, 0.7, 0.0]], dtype=torch.float64)
    y = torch.tensor([1.7], dtype=torch.float64)
    at_rest = distribution_focal_of_prob(q, y)
    same(at_rest, [-0.3 * math.log(0.3) - 0.7 * math.log(0.7)])
    for other in distribution(20, 4).split(1):
        assert distribution_focal_of_prob(other, y) > at_rest


def test_gradients_are_derivatives() -> None:
    z, y = normal(4, 3), uniform(4, 3)
    number = torch.tensor(0.6, dtype=torch.float64)
    for loss, p in ((quality_focal, z), (quality_focal_of_prob, z.sigmoid())):
        is_derivative(lambda p, y, n, f=loss: f(p, y, beta=3 * n), p, y, number)
    for loss, p in ((varifocal, z), (varifocal_of_prob, z.sigmoid())):
        for target in (y, torch.zeros_like(y)):
            is_derivative(lambda p, n, f=loss, t=target: f(p, t, alpha=n, gamma=3 * n), p, number)
    for loss, p in ((gaussian_focal, z), (gaussian_focal_of_prob, z.sigmoid())):
        for target in (y, torch.ones_like(y)):
            is_derivative(
                lambda p, n, f=loss, t=target: f(p, t, alpha=2 * n, beta=5 * n), p, number
            )
    distances = 2 * uniform(4, 2) + 0.01
    is_derivative(distribution_focal, normal(4, 3, 2).log_softmax(1), distances)
    is_derivative(distribution_focal_of_prob, distribution(4, 3, 2), distances)


@pytest.mark.parametrize("loss", [quality_focal, varifocal, gaussian_focal, quality_focal_of_prob])
def test_compiles_in_one_graph(loss: Any) -> None:
    def arguments(batch: int) -> tuple[Tensor, Tensor]:
        z, y = scored(batch, 4)
        return (z.sigmoid() if loss is quality_focal_of_prob else z), y

    graph_of_batches(loss, arguments)


def test_distributions_compile_in_one_graph() -> None:
    graph_of_batches(
        distribution_focal,
        lambda batch: (normal(batch, 5, 3).log_softmax(1), 4 * uniform(batch, 3)),
    )
