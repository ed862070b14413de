"""Margins of scores: against PyTorch, scikit-learn and loops over classes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.special
import sklearn.metrics
import torch
import torch.nn.functional as F
from laws import (
    bits,
    examples_hold,
    graph_of_batches,
    is_derivative,
    labels,
    normal,
    same,
    signs,
    uniform,
)
from torch import Tensor

from lossdsl.library.classification import bce
from lossdsl.library.label_sets import multilabel_margin, multilabel_soft_margin, zlpr
from lossdsl.library.margins import (
    exponential,
    hinge,
    logistic,
    multi_margin,
    perceptron,
    squared_hinge,
)

NAMES = (
    "logistic",
    "perceptron",
    "squared_hinge",
    "exponential",
    "multi_margin",
    "multilabel_soft_margin",
    "multilabel_margin",
    "zlpr",
)


def test_examples_have_their_value() -> None:
    examples_hold(*NAMES)


def test_losses_of_signs_are_the_formulas() -> None:
    p, y = normal(40, scale=3), signs(40)
    z = (p * y).numpy()
    same(logistic(p, y), np.logaddexp(0, -z))
    same(logistic(p, y), F.soft_margin_loss(p, y, reduction="none"))
    same(perceptron(p, y), np.maximum(0, -z))
    same(exponential(p, y), np.exp(-z))
    for margin in (0.0, 1.0, 2.5):
        same(squared_hinge(p, y, margin=margin), np.maximum(0, margin - z) ** 2)


def test_identities_of_losses_of_signs() -> None:
    p, y = normal(40, scale=3), signs(40)
    same(logistic(p, y), bce(p, (y + 1) / 2))
    same(perceptron(p, y), hinge(p, y, margin=0.0))
    same(squared_hinge(p, y, margin=0.7), hinge(p, y, margin=0.7) ** 2)


def test_the_exponential_goes_on_along_its_tangent() -> None:
    p = torch.tensor([-1e4, -60.0, -44.0], requires_grad=True)
    value = exponential(p, torch.ones(3))
    value.sum().backward()
    edge = 0.5 * np.log(np.finfo(np.float32).max)
    expected = np.exp(edge) * (1 + np.array([1e4, 60.0]) - edge)
    np.testing.assert_allclose(value.detach()[:2], expected, rtol=1e-5)
    assert p.grad is not None
    np.testing.assert_allclose(p.grad, [-np.exp(edge)] * 2 + [-np.exp(44)], rtol=1e-5)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("margin", [0.0, 1.0, 3.0])
def test_multi_margin_is_that_of_pytorch(power: int, margin: float) -> None:
    p, y = normal(6, 4, scale=2), labels(4, 6)
    expected = F.multi_margin_loss(p, y, p=power, margin=margin, reduction="none")
    same(multi_margin(p, y, power=power, margin=margin), expected)


@pytest.mark.parametrize("power", [1, 2])
def test_multi_margin_of_maps_is_that_of_each_pixel(power: int) -> None:
    p, y = normal(3, 4, 2, 5, scale=2), labels(4, 3, 2, 5)
    for over in ("all", "hardest"):
        value = multi_margin(p, y, power=power, over=over)
        for n, i, j in np.ndindex(3, 2, 5):
            alone = multi_margin(p[n, :, i, j][None], y[n, i, j][None], power=power, over=over)
            same(value[n, i, j], alone[0])


def test_the_hardest_class_gives_the_hinge_of_scikit_learn() -> None:
    p, y = normal(30, 4, scale=2), labels(4, 30)
    expected = sklearn.metrics.hinge_loss(y, p, labels=range(4))
    same(multi_margin(p, y, over="hardest").mean(), expected)


def test_multilabel_soft_margin_is_that_of_pytorch() -> None:
    p, y = normal(6, 4, scale=2), bits(6, 4)
    expected = F.multilabel_soft_margin_loss(p, y, reduction="none")
    same(multilabel_soft_margin(p, y), expected)
    soft = uniform(6, 4)
    same(multilabel_soft_margin(p, soft), bce(p, soft).mean(1))


def test_multilabel_margin_is_that_of_pytorch() -> None:
    p, y = normal(8, 5, scale=2), bits(8, 5)
    y[0], y[1] = 0, 1
    indices = torch.full((8, 5), -1)
    for n in range(8):
        (present,) = torch.nonzero(y[n], as_tuple=True)
        indices[n, : len(present)] = present
    expected = F.multilabel_margin_loss(p, indices, reduction="none")
    same(multilabel_margin(p, y), expected)
    expected = [
        sum(
            max(0.0, 2.5 - float(p[n, i] - p[n, j]))
            for i in range(5)
            for j in range(5)
            if y[n, i] == 1 and y[n, j] == 0
        )
        / 5
        for n in range(8)
    ]
    same(multilabel_margin(p, y, margin=2.5), expected)


def test_zlpr_is_the_papers_formula() -> None:
    p, y = normal(8, 5, scale=3), bits(8, 5)
    y[0], y[1] = 0, 1
    z = p.numpy()
    expected = [
        np.log1p(sum(np.exp(-s) for s, t in zip(row, own, strict=True) if t))
        + np.log1p(sum(np.exp(s) for s, t in zip(row, own, strict=True) if not t))
        for row, own in zip(z, y.tolist(), strict=True)
    ]
    same(zlpr(p, y), expected)


def test_zlpr_of_one_label_is_the_logistic_loss() -> None:
    p, y = normal(20, 1, scale=3), bits(20, 1)
    same(zlpr(p, y), np.logaddexp(0, ((1 - 2 * y) * p).numpy())[:, 0])


def test_gradients_are_derivatives() -> None:
    p, y = normal(4, 3, scale=2), signs(4, 3)
    number = torch.tensor(0.8, dtype=torch.float64)
    for loss in (logistic, perceptron, exponential):
        is_derivative(loss, p, y)
    is_derivative(lambda p, y, m: squared_hinge(p, y, margin=m), p, y, number)
    own = labels(3, 4)
    for options in ({}, {"power": 2}, {"over": "hardest"}):
        given: dict[str, Any] = dict(options)
        is_derivative(lambda p, m, g=given: multi_margin(p, own, margin=m, **g), p, number)
    is_derivative(multilabel_soft_margin, p, uniform(4, 3))
    tags = bits(4, 3)
    is_derivative(lambda p, m: multilabel_margin(p, tags, margin=m), p, number)
    is_derivative(lambda p: zlpr(p, tags), p)


def test_the_gradient_at_a_kink_is_zero() -> None:
    p = torch.zeros(2, requires_grad=True)
    perceptron(p, torch.tensor([1.0, -1.0])).sum().backward()
    assert p.grad is not None
    assert not p.grad.any()


def with_labels(batch: int) -> tuple[Tensor, ...]:
    return normal(batch, 4, 3), labels(4, batch, 3)


def with_signs(batch: int) -> tuple[Tensor, ...]:
    return normal(batch, 4), signs(batch, 4)


def with_tags(batch: int) -> tuple[Tensor, ...]:
    return normal(batch, 4), bits(batch, 4)


@pytest.mark.parametrize(
    ("loss", "arguments"),
    [
        *((loss, with_signs) for loss in (logistic, perceptron, squared_hinge, exponential)),
        (multi_margin, with_labels),
        (partial(multi_margin, over="hardest", power=2), with_labels),
        *((loss, with_tags) for loss in (multilabel_soft_margin, multilabel_margin, zlpr)),
    ],
)
def test_compiles_in_one_graph(loss: Any, arguments: Any) -> None:
    graph_of_batches(loss, arguments)


def test_scores_far_out_keep_their_digits() -> None:
    p = torch.tensor([800.0, -800.0], dtype=torch.float64)
    y = torch.ones(2, dtype=torch.float64)
    same(logistic(p, y), [0.0, 800.0])
    same(zlpr(p[None], torch.tensor([[1.0, 0.0]])), [scipy.special.log1p(np.exp(-800)) * 2])
