"""Adversarial losses: against PyTorch's cross entropies and the papers' formulas, and as games."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.library import adversarial
from lossdsl.library.adversarial import (
    gan_d,
    gan_g,
    hinge_gan_d,
    hinge_gan_g,
    lsgan_d,
    lsgan_g,
    wgan_d,
    wgan_g,
)
from lossdsl.library.registry import find

NAMES = (
    "gan_d",
    "gan_g",
    "lsgan_d",
    "lsgan_g",
    "wgan_d",
    "wgan_g",
    "hinge_gan_d",
    "hinge_gan_g",
)
DISCRIMINATORS = (gan_d, lsgan_d, wgan_d, hinge_gan_d)
GENERATORS = (gan_g, lsgan_g, wgan_g, hinge_gan_g)
Loss = Callable[..., Tensor]


def scores(*shape: int, seed: int = 0, scale: float = 3.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


def arguments(loss: Loss, *shape: int, seed: int = 0) -> list[Tensor]:
    count = 2 if loss in DISCRIMINATORS else 1
    return [scores(*shape, seed=seed + k) for k in range(count)]


# --- values ---


def test_gan_is_the_binary_cross_entropy_of_labels() -> None:
    real, fake = scores(4, 3, seed=1), scores(4, 3, seed=2)
    one, zero = torch.ones_like(real), torch.zeros_like(fake)
    bce = F.binary_cross_entropy_with_logits
    expected = bce(real, one, reduction="none") + bce(fake, zero, reduction="none")
    torch.testing.assert_close(gan_d(real, fake), expected, rtol=1e-13, atol=0)
    torch.testing.assert_close(gan_g(fake), bce(fake, one, reduction="none"), rtol=1e-13, atol=0)


def test_gan_keeps_the_digits_of_a_sure_discriminator() -> None:
    score = np.array([20.0, 35.0, 300.0, 700.0])
    expected = np.log1p(np.exp(-score))
    np.testing.assert_allclose(gan_g(torch.tensor(score)), expected, rtol=1e-14)
    np.testing.assert_allclose(
        gan_d(torch.tensor(score), torch.tensor(-score)), 2 * expected, rtol=1e-14
    )


def test_the_other_games_are_the_papers() -> None:
    real, fake = scores(4, 3, seed=3), scores(4, 3, seed=4)
    r, f = real.numpy(), fake.numpy()
    np.testing.assert_allclose(lsgan_d(real, fake), ((r - 1) ** 2 + f**2) / 2, rtol=1e-14)
    np.testing.assert_allclose(lsgan_g(fake), (f - 1) ** 2 / 2, rtol=1e-14)
    np.testing.assert_array_equal(wgan_d(real, fake), f - r)
    np.testing.assert_array_equal(wgan_g(fake), -f)
    np.testing.assert_allclose(
        hinge_gan_d(real, fake), np.maximum(0, 1 - r) + np.maximum(0, 1 + f), rtol=1e-14
    )
    np.testing.assert_array_equal(hinge_gan_g(fake), -f)


# --- laws ---


@pytest.mark.parametrize("loss", DISCRIMINATORS)
def test_a_discriminator_learns_to_raise_real_and_to_lower_fake(loss: Loss) -> None:
    real = torch.zeros(2, requires_grad=True)
    fake = torch.full((2,), 0.5, requires_grad=True)
    loss(real, fake).sum().backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()


@pytest.mark.parametrize("loss", GENERATORS)
def test_a_generator_learns_to_raise_its_scores(loss: Loss) -> None:
    fake = torch.full((2,), -5.0, requires_grad=True)
    loss(fake).sum().backward()
    assert fake.grad is not None
    assert (fake.grad < -0.99).all()  # none saturates where the discriminator is sure


def test_a_discriminator_at_its_optimum_rests() -> None:
    for loss, best in ((lsgan_d, (1.0, 0.0)), (hinge_gan_d, (1.0, -1.0))):
        real = torch.tensor([best[0]], requires_grad=True)
        fake = torch.tensor([best[1]], requires_grad=True)
        value = loss(real, fake)
        value.sum().backward()
        assert value.item() == 0
        assert real.grad is not None
        assert real.grad.item() == 0
        assert fake.grad is not None
        assert fake.grad.item() == 0


# --- extremes, gradients ---


@pytest.mark.parametrize("loss", DISCRIMINATORS + GENERATORS)
@pytest.mark.parametrize("score", [-1e4, -1.0, 0.0, 1.0, 1e4])
def test_finite_at_every_score(loss: Loss, score: float) -> None:
    for other in (-1e4, 0.0, 1e4):
        values = [torch.tensor([score], requires_grad=True)]
        if loss in DISCRIMINATORS:
            values.append(torch.tensor([other], requires_grad=True))
        value = loss(*values)
        value.sum().backward()
        assert value.isfinite().all()
        for given in values:
            assert given.grad is not None
            assert given.grad.isfinite().all()


def test_the_gradient_of_gan_at_zero_is_a_half() -> None:
    real, fake = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    gan_d(real, fake).sum().backward()
    assert real.grad is not None
    assert real.grad.item() == -0.5
    assert fake.grad is not None
    assert fake.grad.item() == 0.5


@pytest.mark.parametrize("loss", DISCRIMINATORS + GENERATORS)
def test_gradients_are_derivatives(loss: Loss) -> None:
    given = [score.requires_grad_() for score in arguments(loss, 3, 4, seed=5)]
    assert torch.autograd.gradcheck(loss, given)
    assert torch.autograd.gradgradcheck(loss, given)


# --- compiled, recorded ---


@pytest.mark.parametrize("loss", DISCRIMINATORS + GENERATORS)
def test_compiles_in_one_graph(loss: Loss) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    for batch in (3, 6):
        ours = [score.requires_grad_() for score in arguments(loss, batch, 2)]
        theirs = [score.detach().clone().requires_grad_() for score in ours]
        value, expected = compiled(*ours), loss(*theirs)
        value.sum().backward()
        expected.sum().backward()
        torch.testing.assert_close(value, expected, rtol=1e-13, atol=1e-15)
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_examples_have_their_value(name: str) -> None:
    record = find(name)
    assert record is not None
    assert record.function is getattr(adversarial, name)
    assert record.inputs == (("real", "fake") if name.endswith("_d") else ("fake",))
    assert record.examples
    for example in record.examples:
        inputs: dict[str, Any] = {
            key: torch.tensor(value, dtype=torch.float64) for key, value in example.inputs.items()
        }
        value = eval(example.text, {name: record.function}, inputs).mean()
        assert value.item() == pytest.approx(example.value, rel=1e-12)
