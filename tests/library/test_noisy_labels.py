"""Losses for wrong labels, and certainty: against the papers' formulas and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from laws import (
    distribution,
    examples_hold,
    graph_of_batches,
    is_derivative,
    labels,
    normal,
    same,
)
from torch import Tensor

from lossdsl.library.classification import ce
from lossdsl.library.noisy_labels import (
    confidence_penalty,
    confidence_penalty_of_prob,
    gce,
    gce_of_prob,
    gini,
    sce,
    sce_of_prob,
)


def own_probability(z: Tensor, y: Tensor) -> Any:
    q = scipy.special.softmax(z.numpy(), axis=1)
    return np.take_along_axis(q, y.unsqueeze(1).numpy(), 1)[:, 0]


def test_examples_have_their_value() -> None:
    examples_hold("gce", "sce", "confidence_penalty", "gini")


@pytest.mark.parametrize("q", [0.1, 0.7, 1.0])
def test_gce_is_the_papers_formula(q: float) -> None:
    z, y = normal(5, 3, 4, scale=2), labels(3, 5, 4)
    expected = (1 - own_probability(z, y) ** q) / q
    same(gce(z.log_softmax(1), y, q=q), expected)
    same(gce_of_prob(z.softmax(1), y, q=q), expected)


def test_gce_lies_between_cross_entropy_and_absolute_error() -> None:
    z, y = normal(5, 3, 4, scale=2).log_softmax(1), labels(3, 5, 4)
    one_hot = torch.nn.functional.one_hot(y, 3).movedim(-1, 1)
    same(gce(z, y, q=1.0), (one_hot - z.exp()).abs().sum(1) / 2)
    same(gce(z, y, q=1e-9), ce(z, y), rtol=1e-7)


@pytest.mark.parametrize(("alpha", "beta", "log_zero"), [(0.1, 1.0, -4.0), (6.0, 0.3, -6.0)])
def test_sce_is_the_papers_formula(alpha: float, beta: float, log_zero: float) -> None:
    z, y = normal(6, 4, scale=2), labels(4, 6)
    expected = []
    for row, label in zip(scipy.special.softmax(z.numpy(), axis=1), y.tolist(), strict=True):
        target = [1.0 if c == label else 0.0 for c in range(4)]
        logs = [0.0 if t else log_zero for t in target]
        reverse = -sum(q * log for q, log in zip(row, logs, strict=True))
        expected.append(-alpha * np.log(row[label]) + beta * reverse)
    options = {"alpha": alpha, "beta": beta, "log_zero": log_zero}
    same(sce(z.log_softmax(1), y, **options), expected)
    same(sce_of_prob(z.softmax(1), y, **options), expected)


def test_certainty_is_that_of_scipy() -> None:
    q = distribution(6, 4)
    q[0] = torch.tensor([0.0, 1.0, 0.0, 0.0])
    expected = -scipy.stats.entropy(q.numpy(), axis=1)
    same(confidence_penalty_of_prob(q), expected)
    z = normal(6, 4, scale=2)
    same(confidence_penalty(z.log_softmax(1)), -scipy.stats.entropy(z.softmax(1), axis=1))
    same(gini(q), 1 - (q.numpy() ** 2).sum(1))


def test_gini_is_how_often_two_draws_differ() -> None:
    q = distribution(2, 3)
    for n in range(2):
        differ = sum(q[n, a] * q[n, b] for a in range(3) for b in range(3) if a != b)
        same(gini(q)[n], differ)


def test_an_impossible_label_bounds_the_loss() -> None:
    z, y = torch.tensor([[1e4, -1e4]], requires_grad=True), torch.tensor([1])
    value = gce(z.log_softmax(1), y, q=0.5)
    value.sum().backward()
    assert value.item() == 2
    assert z.grad is not None
    assert not z.grad.any()


def test_gradients_are_derivatives() -> None:
    z, y = normal(4, 3, 2), labels(3, 4, 2)
    number = torch.tensor(0.6, dtype=torch.float64)
    for loss, p in ((gce, z.log_softmax(1)), (gce_of_prob, z.softmax(1))):
        is_derivative(lambda p, n, f=loss: f(p, y, q=n), p, number)
    for loss, p in ((sce, z.log_softmax(1)), (sce_of_prob, z.softmax(1))):
        is_derivative(lambda p, n, f=loss: f(p, y, alpha=n, beta=2 * n, log_zero=-5 * n), p, number)
    is_derivative(confidence_penalty, z.log_softmax(1))
    is_derivative(confidence_penalty_of_prob, z.softmax(1))
    is_derivative(gini, z.softmax(1))


@pytest.mark.parametrize("loss", [gce, sce])
def test_losses_of_labels_compile_in_one_graph(loss: Any) -> None:
    graph_of_batches(loss, lambda batch: (normal(batch, 3, 4).log_softmax(1), labels(3, batch, 4)))


@pytest.mark.parametrize(
    "loss", [gce_of_prob, sce_of_prob, lambda p, y: gini(p), lambda p, y: confidence_penalty(p)]
)
def test_losses_of_probabilities_compile_in_one_graph(loss: Any) -> None:
    graph_of_batches(loss, lambda batch: (distribution(batch, 3, 4), labels(3, batch, 4)))
