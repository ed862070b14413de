"""Proportions: against PyTorch's beta distribution and SciPy's beta function."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import torch
from laws import examples_hold, is_derivative, one_graph, positive, same, uniform
from torch.distributions import Beta

import lossdsl
from lossdsl.library.proportions import beta_nll

A, B, Y = positive(4, 9, seed=1), positive(4, 9, seed=2), 0.01 + 0.98 * uniform(4, 9)


def test_beta_nll_is_that_of_pytorchs_distribution() -> None:
    same(beta_nll(A, Y, B), -Beta(A, B).log_prob(Y), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3, 1e6])
def test_large_and_small_parameters_keep_their_digits(size: float) -> None:
    a, b = size * A, size * B
    # At y = 1/2 the density is 2^(2 - a - b)/B(a, b).
    expected = scipy.special.betaln(a.numpy(), b.numpy()) + (a + b - 2).numpy() * np.log(2)
    half = torch.full_like(a, 0.5)
    same(beta_nll(a, half, b), expected, rtol=1e-9, atol=1e-9)


def test_even_shapes_are_the_uniform_distribution() -> None:
    one = torch.ones_like(Y)
    same(beta_nll(one, Y, one), torch.zeros_like(Y))


def test_ends_are_bounded() -> None:
    y = torch.tensor([0.0, 1.0], requires_grad=True)
    a = torch.tensor([0.5, 2.0], requires_grad=True)
    value = beta_nll(a, y, torch.tensor([3.0, 0.5]))
    slopes = torch.autograd.grad(value.sum(), (a, y))
    assert value.isfinite().all()
    assert all(slope.isfinite().all() for slope in slopes)


def test_the_other_beta_nll_is_a_weight() -> None:
    loss = lossdsl.compile("gaussian_nll(m, y, v, weight=detach(v)**0.5)", backend="eager")
    m, y = uniform(6, seed=3), uniform(6, seed=4)
    v = positive(6).requires_grad_()
    value = loss(m=m, y=y, v=v)
    likelihood = torch.nn.functional.gaussian_nll_loss(m, y, v.detach(), reduction="none")
    same(value, (v.detach().sqrt() * likelihood).mean())
    (slope,) = torch.autograd.grad(value, v)
    same(slope, v.detach().sqrt() * 0.5 * (1 / v - ((m - y) / v) ** 2).detach() / 6)


def test_examples_have_their_value() -> None:
    examples_hold("beta_nll")


def test_the_gradient_is_the_derivative() -> None:
    is_derivative(beta_nll, A, Y, B)


def test_it_compiles_in_one_graph() -> None:
    one_graph(beta_nll, (A, Y, B), (A[:2], Y[:2], B[:2]))
