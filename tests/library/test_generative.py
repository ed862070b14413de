"""Generative losses: against quadrature, PyTorch's distributions and the formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from lossdsl.library import generative
from lossdsl.library.generative import kl_normal, noise_prediction
from lossdsl.library.registry import find

Loss = Callable[[Tensor, Tensor], Tensor]


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


# --- values ---


@pytest.mark.parametrize(("mu", "logvar"), [(0.0, 0.0), (0.7, -1.5), (-2.0, 0.4), (0.1, 1.2)])
def test_kl_normal_is_the_integral(mu: float, logvar: float) -> None:
    posterior = scipy.stats.norm(mu, np.exp(logvar / 2))

    def integrand(x: float) -> float:
        difference = posterior.logpdf(x) - scipy.stats.norm.logpdf(x)
        return float(posterior.pdf(x) * difference)

    expected, _ = scipy.integrate.quad(integrand, -25, 25, epsabs=1e-12, limit=200)
    given = torch.tensor([[[mu]], [[logvar]]], dtype=torch.float64)
    assert kl_normal(*given).item() == pytest.approx(expected, rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("shape", [(5,), (5, 8), (5, 2, 3, 3)])
def test_kl_normal_is_that_of_pytorch_summed_over_the_latent_axes(shape: tuple[int, ...]) -> None:
    mu, logvar = normal(*shape, seed=1), normal(*shape, seed=2)
    divergence = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0))
    expected = divergence.reshape(5, -1).sum(1)
    torch.testing.assert_close(kl_normal(mu, logvar), expected, rtol=1e-12, atol=0)


def test_kl_normal_keeps_its_digits_next_to_the_prior() -> None:
    logvar = torch.tensor([[1e-3], [-1e-3]])
    exact = [0.5 * (s**2 / 2 + s**3 / 6 + s**4 / 24) for s in logvar.double()[:, 0].tolist()]
    np.testing.assert_allclose(kl_normal(torch.zeros(2, 1), logvar), exact, rtol=2e-4)


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 3, 2, 2)])
def test_noise_prediction_is_the_squared_error(shape: tuple[int, ...]) -> None:
    predicted, noise = normal(*shape, seed=3), normal(*shape, seed=4)
    expected = F.mse_loss(predicted, noise, reduction="none")
    torch.testing.assert_close(noise_prediction(predicted, noise), expected, rtol=1e-15, atol=0)


# --- laws, extremes, gradients ---


def test_kl_normal_is_zero_and_least_at_the_prior() -> None:
    mu = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    logvar = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    value = kl_normal(mu, logvar)
    value.sum().backward()
    assert not value.any()
    assert mu.grad is not None
    assert not mu.grad.any()
    assert logvar.grad is not None
    assert not logvar.grad.any()
    assert (kl_normal(normal(50, 4, seed=5), normal(50, 4, seed=6)) > 0).all()


@pytest.mark.parametrize("logvar", [-80.0, -1e-8, 0.0, 80.0])
@pytest.mark.parametrize("mu", [0.0, -1e4, 1e4])
def test_kl_normal_is_finite_in_single_precision(mu: float, logvar: float) -> None:
    mean = torch.full((1, 512), mu, requires_grad=True)
    spread = torch.full((1, 512), logvar, requires_grad=True)
    value = kl_normal(mean, spread)
    value.sum().backward()
    assert value.isfinite().all()
    for given in (mean, spread):
        assert given.grad is not None
        assert given.grad.isfinite().all()


@pytest.mark.parametrize("loss", [kl_normal, noise_prediction])
def test_gradients_are_derivatives(loss: Loss) -> None:
    a, b = normal(2, 3, 2, seed=7).requires_grad_(), normal(2, 3, 2, seed=8).requires_grad_()
    assert torch.autograd.gradcheck(loss, (a, b))
    assert torch.autograd.gradgradcheck(loss, (a, b))


# --- compiled, recorded ---


@pytest.mark.parametrize("loss", [kl_normal, noise_prediction])
def test_compiles_in_one_graph(loss: Loss) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    for batch in (3, 6):
        a, b = normal(batch, 4, 2, seed=9), normal(batch, 4, 2, seed=10)
        ours = [a.clone().requires_grad_(), b.clone().requires_grad_()]
        theirs = [a.clone().requires_grad_(), b.clone().requires_grad_()]
        value, expected = compiled(*ours), loss(*theirs)
        value.sum().backward()
        expected.sum().backward()
        torch.testing.assert_close(value, expected, rtol=1e-13, atol=1e-15)
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", ["kl_normal", "noise_prediction"])
def test_examples_have_their_value(name: str) -> None:
    record = find(name)
    assert record is not None
    assert record.function is getattr(generative, name)
    assert record.examples
    for example in record.examples:
        inputs: dict[str, Any] = {
            key: torch.tensor(value, dtype=torch.float64) for key, value in example.inputs.items()
        }
        value = eval(example.text, {name: record.function}, inputs).mean()
        assert value.item() == pytest.approx(example.value, rel=1e-12)
