"""Sparse and heavy-tailed predictions: against their definitions, with thresholds by SciPy's root
finder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from laws import (
    distribution,
    examples_hold,
    graph_of_batches,
    is_derivative,
    labels,
    normal,
    same,
)
from scipy.optimize import brentq
from torch import Tensor

import lossdsl
from lossdsl.library.classification import ce, soft_ce
from lossdsl.library.simplex import (
    bi_tempered,
    bi_tempered_bce,
    entmax15,
    half_sparse,
    shifted,
    soft_bi_tempered,
    soft_entmax15,
    soft_sparsemax,
    sparsemax,
    sparsest,
    tempered_log_prob,
)

Vector = Any
Z, Y = normal(6, 5, scale=1.5), labels(5, 6)


def by_threshold(z: Vector, part: Callable[[Vector], Vector], low: float, high: float) -> Vector:
    """The distribution part(z - threshold) of one row of scores, which sums to 1."""
    threshold = brentq(lambda t: part(z - t).sum() - 1, low, high, xtol=1e-15, rtol=1e-15)
    return part(z - threshold)


def nearest(z: Vector) -> Vector:
    return by_threshold(z, lambda x: np.maximum(x, 0), z.max() - 1, z.max())


def half_way(z: Vector) -> Vector:
    return by_threshold(z / 2, lambda x: np.maximum(x, 0) ** 2, z.max() / 2 - 1, z.max() / 2)


def log_t(x: Vector, t: float) -> Vector:
    return np.log(x) if t == 1 else (x ** (1 - t) - 1) / (1 - t)


def tempered(z: Vector, t: float) -> Vector:
    def exp_t(x: Vector) -> Vector:
        return np.exp(x) if t == 1 else np.maximum(1 + (1 - t) * x, 0) ** (1 / (1 - t))

    # Where all scores are equal to the largest, the threshold is as high as it can be.
    return by_threshold(z, exp_t, z.max(), z.max() - log_t(1 / len(z), t) + 1e-9)


def one_hot(y: Tensor, classes: int) -> Vector:
    return F.one_hot(y, classes).double().numpy()


def sparse_loss(z: Vector, y: Vector) -> float:
    p = nearest(z)
    return float((p - y) @ z + 0.5 * (y @ y - p @ p))


def half_sparse_loss(z: Vector, y: Vector) -> float:
    p = half_way(z)
    return float((p - y) @ z + ((y**1.5).sum() - (p**1.5).sum()) / 0.75)


def bregman(z: Vector, y: Vector, t1: float, t2: float) -> float:
    q, kept = tempered(z, t2), y > 0
    own = (y[kept] * (log_t(y[kept], t1) - log_t(q[kept], t1))).sum()
    return float(own - ((y ** (2 - t1)).sum() - (q ** (2 - t1)).sum()) / (2 - t1))


def test_examples_have_their_value() -> None:
    examples_hold("sparsemax", "entmax15", "bi_tempered", "bi_tempered_bce")


@pytest.mark.parametrize(
    ("loss", "formula"), [(sparsemax, sparse_loss), (entmax15, half_sparse_loss)]
)
def test_sparse_losses_of_labels_are_their_definition(loss: Any, formula: Any) -> None:
    for scale in (0.1, 1.0, 10.0):
        z = scale * Z
        rows = zip(z.numpy(), one_hot(Y, 5), strict=True)
        same(loss(z, Y), [formula(*row) for row in rows], atol=1e-12)


@pytest.mark.parametrize(
    ("loss", "formula"), [(soft_sparsemax, sparse_loss), (soft_entmax15, half_sparse_loss)]
)
def test_sparse_losses_of_distributions_are_their_definition(loss: Any, formula: Any) -> None:
    y = distribution(6, 5)
    y[0] = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])
    rows = zip(Z.numpy(), y.numpy(), strict=True)
    same(loss(Z, y), [formula(*row) for row in rows], atol=1e-12)


@pytest.mark.parametrize("loss", [sparsemax, entmax15])
def test_the_gradient_is_the_prediction_less_the_label(loss: Any) -> None:
    z = Z.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(z, Y).sum(), z)
    find = nearest if loss is sparsemax else half_way
    expected = np.array([find(row) for row in Z.numpy()]) - one_hot(Y, 5)
    same(slope, expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [1, 2, 1000])
def test_sparse_predictions_sum_to_one(classes: int, seed: int) -> None:
    for scale in (1e-3, 1.0, 1e3):
        z = shifted(normal(20, classes, seed=seed, scale=scale))
        same(sparsest(z).sum(1), torch.ones(20))
        same((half_sparse(z) ** 2).sum(1), torch.ones(20))
    ties = torch.zeros(2, classes, dtype=torch.float64)
    same(sparsest(ties), torch.full_like(ties, 1 / classes))
    same(half_sparse(ties) ** 2, torch.full_like(ties, 1 / classes))


@pytest.mark.parametrize("t1", [0.0, 0.8, 1.0])
@pytest.mark.parametrize("t2", [1.0, 1.2, 2.0, 4.0])
def test_bi_tempered_is_the_papers_formula(t1: float, t2: float) -> None:
    hard, soft = one_hot(Y, 5), distribution(6, 5)
    rows = list(zip(Z.numpy(), hard, soft.numpy(), strict=True))
    expected = [bregman(z, y, t1, t2) for z, y, _ in rows]
    same(bi_tempered(Z, Y, t1=t1, t2=t2), expected, rtol=1e-11)
    expected = [bregman(z, y, t1, t2) for z, _, y in rows]
    same(soft_bi_tempered(Z, soft, t1=t1, t2=t2), expected, rtol=1e-11, atol=1e-12)
    pairs = [(np.array([z, 0.0]), np.array([y, 1 - y])) for z, y in zip(Z[0], soft[0], strict=True)]
    expected = [bregman(z, y, t1, t2) for z, y in pairs]
    same(bi_tempered_bce(Z[0], soft[0], t1=t1, t2=t2), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("t2", [1.0, 1.01, 1.5, 2.0, 4.0])
@pytest.mark.parametrize("classes", [2, 100, 30_000])
def test_tempered_predictions_sum_to_one(classes: int, t2: float) -> None:
    for scale in (0.0, 1.0, 30.0, 1e4):
        z = shifted(normal(5, classes, scale=scale))
        same(tempered_log_prob(z, t2).exp().sum(1), torch.ones(5), rtol=1e-11)


def test_at_temperatures_of_one_it_is_cross_entropy() -> None:
    y = distribution(6, 5)
    same(bi_tempered(Z, Y, t1=1.0, t2=1.0), ce(Z.log_softmax(1), Y))
    entropy = -(y * y.log()).sum(1)
    same(soft_bi_tempered(Z, y, t1=1.0, t2=1.0), soft_ce(Z.log_softmax(1), y) - entropy)


def test_a_hopelessly_wrong_label_costs_the_bound() -> None:
    z = torch.tensor([[1e30, 0.0]], dtype=torch.float64)
    assert bi_tempered(z, torch.tensor([1]), t1=0.5, t2=1.5).item() == pytest.approx(2)


@pytest.mark.parametrize("name", ["sparsemax", "entmax15", "bi_tempered"])
def test_class_weights_of_hard_and_soft_targets_agree(name: str) -> None:
    weights, soft = [0.5, 2.0, 1.0, 3.0, 1.0], torch.from_numpy(one_hot(Y, 5))
    text = f"{name}(p, y, class_weight={weights}, reduction='sum')"
    own = f"input p: class_logits[B, C]\ninput y: class_prob[B, C]\n{text}"
    hard = lossdsl.compile(text, backend="eager")(p=Z, y=Y)
    same(hard, lossdsl.compile(own, backend="eager")(Z, soft))


@pytest.mark.parametrize("loss", [sparsemax, entmax15, bi_tempered])
def test_gradients_of_labels_are_derivatives(loss: Any) -> None:
    z, y = normal(4, 3, 2), labels(3, 4, 2)
    is_derivative(lambda p: loss(p, y), z)
    assert torch.autograd.gradgradcheck(lambda p: loss(p, y), (z.requires_grad_(),))


def test_gradients_of_distributions_are_derivatives() -> None:
    z, y = normal(4, 3), 0.1 + 0.7 * distribution(4, 3)
    for loss in (soft_sparsemax, soft_entmax15, soft_bi_tempered):
        is_derivative(loss, z, y)
    one, two = torch.tensor(0.7, dtype=torch.float64), torch.tensor(1.4, dtype=torch.float64)
    is_derivative(lambda p, a, b: bi_tempered(p, labels(3, 4), t1=a, t2=b), z, one, two)
    is_derivative(bi_tempered_bce, z, y)


@pytest.mark.parametrize("loss", [sparsemax, entmax15, bi_tempered])
def test_losses_of_labels_compile_in_one_graph(loss: Any) -> None:
    graph_of_batches(loss, lambda batch: (normal(batch, 3, 4), labels(3, batch, 4)))


@pytest.mark.parametrize(
    "loss", [soft_sparsemax, soft_entmax15, partial(soft_bi_tempered, t2=1.4), bi_tempered_bce]
)
def test_losses_of_distributions_compile_in_one_graph(loss: Any) -> None:
    graph_of_batches(loss, lambda batch: (normal(batch, 3, 4), distribution(batch, 3, 4)))


def test_a_certain_lead_costs_nothing() -> None:
    z = torch.tensor([[3.0, 0.0, 0.5]], requires_grad=True)
    for loss in (sparsemax, entmax15):
        value = loss(z, torch.tensor([0]))
        (slope,) = torch.autograd.grad(value.sum(), z)
        assert value.item() == 0
        assert not slope.any()
