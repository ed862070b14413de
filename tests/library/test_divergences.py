"""Divergences: against SciPy, PyTorch and each other."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.special
import torch
import torch.nn.functional as F
from laws import distribution, examples_hold, graph_of_batches, is_derivative, normal, same

from lossdsl.library.divergences import (
    generalized_js,
    kd,
    reverse_kl,
    reverse_kl_of_prob,
    symmetric_kl,
    symmetric_kl_of_prob,
    tvd,
)
from lossdsl.library.relative_entropy import js, kl_div


def divergence(a: Any, b: Any) -> Any:
    return scipy.special.rel_entr(np.asarray(a), np.asarray(b)).sum(1)


def test_examples_have_their_value() -> None:
    examples_hold("kd", "reverse_kl", "symmetric_kl", "generalized_js", "tvd")


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_kd_is_that_of_pytorch(temperature: float) -> None:
    s, t = normal(6, 4, 3, scale=3), normal(6, 4, 3, seed=1, scale=3)
    expected = temperature**2 * F.kl_div(
        (s / temperature).log_softmax(1),
        (t / temperature).log_softmax(1),
        reduction="none",
        log_target=True,
    ).sum(1)
    same(kd(s, t, temperature=temperature), expected)


def test_kd_at_temperature_1_is_the_divergence() -> None:
    s, t = normal(6, 4), normal(6, 4, seed=1)
    same(kd(s, t, temperature=1.0), kl_div(s.log_softmax(1), t.softmax(1)))
    same(kd(t, t), torch.zeros(6))


def test_at_high_temperatures_kd_compares_centred_scores() -> None:
    # The paper's limit: T² times the divergence is the squared error of scores, over 2 C.
    s, t = normal(6, 4), normal(6, 4, seed=1)
    centred = (s - s.mean(1, keepdim=True)) - (t - t.mean(1, keepdim=True))
    same(kd(s, t, temperature=1e5), (centred**2).sum(1) / 8, rtol=1e-4)


def test_the_teacher_gets_no_gradient() -> None:
    s, t = normal(6, 4).requires_grad_(), normal(6, 4, seed=1).requires_grad_()
    kd(s, t).sum().backward()
    assert t.grad is None
    assert s.grad is not None


def test_reverse_and_symmetric_divergences_are_those_of_scipy() -> None:
    z, y = normal(6, 4, scale=2), distribution(6, 4, seed=1)
    q = z.softmax(1)
    reverse, forward = divergence(q, y), divergence(y, q)
    for value in (reverse_kl(z.log_softmax(1), y), reverse_kl_of_prob(q, y)):
        same(value, reverse)
    for ratio in (0.0, 0.3, 1.0):
        expected = (1 - ratio) * forward + ratio * reverse
        same(symmetric_kl(z.log_softmax(1), y, ratio=ratio), expected)
        same(symmetric_kl_of_prob(q, y, ratio=ratio), expected)
    same(2 * symmetric_kl_of_prob(q, y), 2 * symmetric_kl_of_prob(y, q))


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.8])
def test_generalized_js_is_that_of_scipy(beta: float) -> None:
    p, y = distribution(6, 4), distribution(6, 4, seed=1)
    y[0] = torch.tensor([0.0, 0.0, 0.3, 0.7])
    m = beta * y + (1 - beta) * p
    expected = beta * divergence(y, m) + (1 - beta) * divergence(p, m)
    same(generalized_js(p, y, beta=beta), expected, atol=1e-15)
    same(generalized_js(y, p, beta=1 - beta), expected, atol=1e-15)


def test_generalized_js_of_one_alone_is_zero() -> None:
    p, y = distribution(6, 4), distribution(6, 4, seed=1)
    y[0] = torch.tensor([0.0, 0.0, 0.3, 0.7])
    for beta in (0.0, 1.0):
        same(generalized_js(p, y, beta=beta), torch.zeros(6))


def test_generalized_js_with_equal_weights_is_js() -> None:
    p, y = distribution(6, 4), distribution(6, 4, seed=1)
    same(generalized_js(p, y), js(p, y))


def test_tvd_is_the_largest_difference_of_an_event() -> None:
    p, y = distribution(3, 4), distribution(3, 4, seed=1)
    events = torch.tensor([[int(b) for b in f"{k:04b}"] for k in range(16)]).double()
    same(tvd(p, y), ((p - y) @ events.T).abs().amax(1))
    same(tvd(torch.eye(2).double(), torch.eye(2).double().flip(0)), [1.0, 1.0])


def test_pinsker_bounds_the_distance() -> None:
    p, y = distribution(50, 4), distribution(50, 4, seed=1)
    assert (2 * tvd(p, y).numpy() ** 2 <= divergence(p, y) + 1e-15).all()


def test_gradients_are_derivatives() -> None:
    z, y = normal(3, 4, 2), distribution(3, 4, 2, seed=1)
    number = torch.tensor(0.6, dtype=torch.float64)
    teacher = normal(3, 4, 2, seed=1)
    is_derivative(lambda s, n: kd(s, teacher, temperature=3 * n), z, number)
    is_derivative(reverse_kl, z.log_softmax(1), y)
    is_derivative(reverse_kl_of_prob, z.softmax(1), y)
    is_derivative(lambda p, y, n: symmetric_kl(p, y, ratio=n), z.log_softmax(1), y, number)
    is_derivative(lambda p, y, n: symmetric_kl_of_prob(p, y, ratio=n), z.softmax(1), y, number)
    is_derivative(lambda p, y, n: generalized_js(p, y, beta=n), z.softmax(1), y, number)
    is_derivative(tvd, z.softmax(1), y)


@pytest.mark.parametrize(
    "loss",
    [
        kd,
        reverse_kl_of_prob,
        symmetric_kl_of_prob,
        partial(generalized_js, beta=0.2),
        tvd,
    ],
)
def test_compiles_in_one_graph(loss: Any) -> None:
    def arguments(batch: int) -> Any:
        made = distribution if loss is not kd else normal
        return made(batch, 4, 3), made(batch, 4, 3, seed=1)

    graph_of_batches(loss, arguments)
