"""Rows with a covariance each: against SciPy, row by row."""

from __future__ import annotations

import math

import pytest
import scipy.spatial.distance
import scipy.stats
import torch
from laws import examples_hold, is_derivative, normal, same
from torch import Tensor

import lossdsl
from lossdsl.library.covariances import mahalanobis_each, mvn_nll
from lossdsl.library.motion import mahalanobis

ROWS, WIDTH = 5, 3


def rows() -> tuple[Tensor, Tensor, Tensor]:
    factor = normal(ROWS, WIDTH, WIDTH, seed=2)
    covariance = factor @ factor.mT + 0.1 * torch.eye(WIDTH, dtype=torch.float64)
    return normal(ROWS, WIDTH), normal(ROWS, WIDTH, seed=1), covariance


@pytest.mark.parametrize("name", ["mahalanobis_each", "mvn_nll"])
def test_examples_have_their_value(name: str) -> None:
    examples_hold(name)


def test_the_distance_is_scipys() -> None:
    x, mean, covariance = rows()
    expected = [
        scipy.spatial.distance.mahalanobis(a, b, torch.linalg.inv(s).numpy())
        for a, b, s in zip(x.numpy(), mean.numpy(), covariance, strict=True)
    ]
    same(mahalanobis_each(x, mean, covariance, squared=False), expected, rtol=1e-11)
    same(mahalanobis_each(x, mean, covariance), torch.tensor(expected) ** 2, rtol=1e-11)


def test_one_covariance_for_all_is_mahalanobis() -> None:
    x, mean, covariance = rows()
    alike = covariance[:1].expand(ROWS, WIDTH, WIDTH)
    for squared in (False, True):
        expected = mahalanobis(x, mean, covariance[0], squared=squared)
        same(mahalanobis_each(x, mean, alike, squared=squared), expected, rtol=1e-11)


def test_the_likelihood_is_scipys() -> None:
    mean, target, covariance = rows()
    expected = [
        -scipy.stats.multivariate_normal(m, s).logpdf(y)
        for m, y, s in zip(mean.numpy(), target.numpy(), covariance.numpy(), strict=True)
    ]
    same(mvn_nll(mean, target, covariance, full=True), expected, rtol=1e-11)
    difference = mvn_nll(mean, target, covariance, full=True) - mvn_nll(mean, target, covariance)
    constant = -scipy.stats.multivariate_normal([0.0] * WIDTH).logpdf([0.0] * WIDTH)
    same(difference, [constant] * ROWS)


def test_independent_components_are_gaussian_nll() -> None:
    mean, target, _ = rows()
    variance = normal(ROWS, WIDTH, seed=4).exp()
    each = lossdsl.compile("gaussian_nll(m, y, v, reduction='sum')", backend="eager")
    same(
        mvn_nll(mean, target, torch.diag_embed(variance)).sum(),
        each(m=mean, y=target, v=variance),
    )


def test_gradients_at_rest_and_elsewhere() -> None:
    x, mean, covariance = rows()
    for loss in (mahalanobis_each, mvn_nll):
        # Also in directions that are not symmetric.
        is_derivative(loss, x, mean, covariance)
    is_derivative(lambda *v: mahalanobis_each(*v, squared=False), x, mean, covariance)
    still = x.clone().requires_grad_()
    root = mahalanobis_each(still, x, covariance, squared=False)
    (slope,) = torch.autograd.grad(root.sum(), still)
    assert not root.any()
    assert not slope.any()


def test_a_learned_factor_makes_a_covariance() -> None:
    loss = lossdsl.compile(
        "input m: real[B, D]\ninput y: real[B, D]\ninput l: real[B, D, D]\n"
        "mvn_nll(m, y, l @ transpose(l) + 1e-3*eye(l))",
        backend="eager",
    )
    m, y, _ = rows()
    factor = torch.zeros(ROWS, WIDTH, WIDTH, dtype=torch.float64, requires_grad=True)
    value = loss(m=m, y=y, l=factor)
    square = ((m - y) ** 2).sum(1) / 1e-3
    same(value, (0.5 * square + 0.5 * WIDTH * math.log(1e-3)).mean())
    value.backward()
    assert factor.grad is not None
    assert factor.grad.isfinite().all()
