"""Latents and diffusion: against torch.distributions, NumPy and each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor, uniform
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from lossdsl.library.diffusion import diffusion_vlb, flow_matching, min_snr, v_prediction
from lossdsl.library.generative import kl_normal
from lossdsl.library.latents import free_bits, kl_gaussian, vq_commitment

Loss = Callable[..., Tensor]
NAMES = (
    "kl_gaussian",
    "free_bits",
    "vq_commitment",
    "v_prediction",
    "flow_matching",
    "min_snr",
    "diffusion_vlb",
)
FOUR = tuple(normal(5, 3, 2, seed=k) for k in range(4))
MU, S, NU, T = FOUR
ALPHA_BAR = 0.02 + 0.96 * uniform(5, seed=7)


def divergence() -> Tensor:
    return kl_divergence(Normal(MU, (S / 2).exp()), Normal(NU, (T / 2).exp()))


def test_kl_gaussian_is_that_of_pytorch() -> None:
    same(kl_gaussian(*FOUR), divergence().sum((1, 2)), rtol=1e-11)


def test_kl_gaussian_to_the_standard_normal_is_kl_normal() -> None:
    zero = torch.zeros_like(MU)
    same(kl_gaussian(MU, S, zero, zero), kl_normal(MU, S))
    assert not kl_gaussian(MU, S, MU, S).any()


def test_kl_gaussian_keeps_the_digits_of_close_variances() -> None:
    near = torch.full((1, 1), 1e-6, dtype=torch.float64)
    zero = torch.zeros_like(near)
    # (e^s - 1 - s) / 2 = s^2 / 4 + s^3 / 12.
    same(kl_gaussian(zero, near, zero, zero), [2.5e-13 + 1e-18 / 12], rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("size", [80.0, 1e4])
def test_kl_gaussian_is_finite_far_out(size: float) -> None:
    given = [torch.full((2, 3), x).requires_grad_() for x in (size, -size, -size, size)]
    for order in ((0, 1, 2, 3), (0, 3, 2, 1), (2, 3, 0, 1)):
        value = kl_gaussian(*(given[k] for k in order)).sum()
        assert value.isfinite()
        for slope in torch.autograd.grad(value, given):
            assert slope.isfinite().all()


def test_the_bound_is_in_bits_a_dimension() -> None:
    same(diffusion_vlb(*FOUR), divergence().mean((1, 2)) / math.log(2), rtol=1e-11)
    free = [x.clone().requires_grad_() for x in FOUR]
    slopes = torch.autograd.grad(diffusion_vlb(*free).sum(), free, allow_unused=True)
    assert [slope is None for slope in slopes] == [False, False, True, False]


@pytest.mark.parametrize("nats", [0.0, 0.3, 2.0])
def test_free_bits_is_the_papers(nats: float) -> None:
    mu, s = MU.numpy(), S.numpy()
    each = ((mu**2 + np.exp(s) - 1 - s) / 2).mean(0)
    same(free_bits(MU, S, nats=nats), np.maximum(each, nats).sum())


def test_free_bits_of_none_is_the_mean_divergence() -> None:
    same(free_bits(MU, S, nats=0.0), kl_normal(MU, S).mean())


def test_components_below_the_floor_get_no_gradient() -> None:
    mu = torch.tensor([[3.0, 0.1]], requires_grad=True)
    (slope,) = torch.autograd.grad(free_bits(mu, torch.zeros(1, 2), nats=1.0), mu)
    same(slope.double(), [[3.0, 0.0]])


@pytest.mark.parametrize("beta", [0.25, 1.0])
def test_vq_commitment_moves_both_sides(beta: float) -> None:
    z, code = MU.clone().requires_grad_(), NU.clone().requires_grad_()
    value = vq_commitment(z, code, beta=beta)
    same(value, (1 + beta) * (MU - NU) ** 2)
    to_output, to_code = torch.autograd.grad(value.sum(), (z, code))
    same(to_output, 2 * beta * (MU - NU))
    same(to_code, 2 * (NU - MU))


def test_v_prediction_is_the_papers() -> None:
    a = ALPHA_BAR.numpy()[:, None, None]
    v, x0, noise = MU.numpy(), S.numpy(), NU.numpy()
    target = np.sqrt(a) * noise - np.sqrt(1 - a) * x0
    same(v_prediction(MU, S, NU, ALPHA_BAR), (v - target) ** 2)


def test_the_velocity_gives_back_sample_and_noise() -> None:
    a = ALPHA_BAR[:, None, None]
    x0, noise = S, NU
    noised = a.sqrt() * x0 + (1 - a).sqrt() * noise
    # The rotation of (x0, noise) by the angle of the step, and back.
    v = (noise - (1 - a).sqrt() * noised) / a.sqrt()
    assert v_prediction(v, x0, noise, ALPHA_BAR).max() < 1e-24


def test_flow_matching_is_the_slope_of_the_straight_path() -> None:
    x0, x1 = S, NU
    t, h = 0.3, 1e-3
    path = [(1 - s) * x0 + s * x1 for s in (t, t + h)]
    velocity = (path[1] - path[0]) / h
    assert flow_matching(velocity, x0, x1).max() < 1e-20
    same(flow_matching(MU, x0, x1), (MU - x1 + x0) ** 2)


@pytest.mark.parametrize("gamma", [1.0, 5.0])
def test_min_snr_weighs_as_the_paper(gamma: float) -> None:
    snr = torch.tensor([0.1, 0.9, 3.0, 6.0, 40.0]).double()
    s = snr.numpy()
    square = ((MU - NU) ** 2).numpy()
    for predicts, weight in (
        ("noise", np.minimum(s, gamma) / s),
        ("v", np.minimum(s, gamma) / (s + 1)),
        ("x0", np.minimum(s, gamma)),
    ):
        value = min_snr(MU, NU, snr, gamma=gamma, predicts=predicts)
        same(value, weight[:, None, None] * square)


def test_the_three_targets_of_min_snr_agree() -> None:
    # One network's error, seen as one of the sample, of the noise and of the velocity.
    a = ALPHA_BAR[:, None, None]
    snr = ALPHA_BAR / (1 - ALPHA_BAR)
    noised, x0, guess = MU, S, NU

    def noise_of(x: Tensor) -> Tensor:
        return (noised - a.sqrt() * x) / (1 - a).sqrt()

    def velocity_of(x: Tensor) -> Tensor:
        return a.sqrt() * noise_of(x) - (1 - a).sqrt() * x

    expected = min_snr(guess, x0, snr, predicts="x0")
    same(min_snr(noise_of(guess), noise_of(x0), snr), expected, rtol=1e-10)
    velocity = min_snr(velocity_of(guess), velocity_of(x0), snr, predicts="v")
    same(velocity, expected, rtol=1e-10)


# --- gradients, compilation, records ---

SNR = ALPHA_BAR / (1 - ALPHA_BAR)


@pytest.mark.parametrize(
    ("loss", "given"),
    [
        (kl_gaussian, FOUR),
        (lambda m, s, t: diffusion_vlb(m, s, NU, t), (MU, S, T)),
        (partial(free_bits, nats=0.3), FOUR[:2]),
        (lambda v, x, e: v_prediction(v, x, e, ALPHA_BAR), FOUR[:3]),
        (flow_matching, FOUR[:3]),
        (lambda p, y: min_snr(p, y, SNR), FOUR[:2]),
    ],
)
def test_gradients_are_derivatives(loss: Loss, given: tuple[Tensor, ...]) -> None:
    is_derivative(loss, *given)


@pytest.mark.parametrize(
    ("loss", "count"),
    [
        (kl_gaussian, 4),
        (diffusion_vlb, 4),
        (free_bits, 2),
        (vq_commitment, 2),
        (flow_matching, 3),
        (lambda v, x, e: v_prediction(v, x, e, e[:, 0, 0].detach().sigmoid()), 3),
        (lambda p, y: min_snr(p, y, y[:, 0, 0].detach().exp()), 2),
    ],
)
def test_one_graph(loss: Loss, count: int) -> None:
    other = tuple(normal(3, 3, 2, seed=20 + k) for k in range(count))
    one_graph(loss, FOUR[:count], other)


def test_parameters_may_move() -> None:
    takes_tensor(free_bits, "nats", 0.3, MU, S)
    takes_tensor(vq_commitment, "beta", 0.3, MU, S)
    takes_tensor(partial(min_snr, predicts="v"), "gamma", 5.0, MU, S, SNR)


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    examples_hold(name)
