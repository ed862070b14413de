"""Further losses of pairs of answers: the papers' formulas, and what they are made for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from laws import examples_hold, is_derivative, normal, same, takes_tensor
from scipy.special import expit, log_expit, rel_entr
from torch import Tensor

from lossdsl.library.preference import dpo
from lossdsl.library.verdicts import apo_down, apo_zero, discopop, dpo_robust, exo, nca, sppo

ALL: dict[str, Callable[..., Tensor]] = {
    "dpo_robust": dpo_robust,
    "exo": exo,
    "nca": nca,
    "apo_zero": apo_zero,
    "apo_down": apo_down,
    "sppo": sppo,
    "discopop": discopop,
}
BETAS = [0.1, 1.0]


def answers() -> tuple[Tensor, ...]:
    return tuple(-10 + 3 * normal(20, seed=seed) for seed in range(4))


def gains() -> tuple[Any, Any]:
    chosen, rejected, of_chosen, of_rejected = (v.numpy() for v in answers())
    return chosen - of_chosen, rejected - of_rejected


@pytest.mark.parametrize("name", ALL)
def test_examples_have_their_value(name: str) -> None:
    examples_hold(name)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("flipped", [0.0, 0.2, 0.45])
def test_robust_dpo_is_the_papers_and_right_on_average(beta: float, flipped: float) -> None:
    up, down = gains()
    h = beta * (up - down)
    expected = -((1 - flipped) * log_expit(h) - flipped * log_expit(-h)) / (1 - 2 * flipped)
    value = dpo_robust(*answers(), beta=beta, flipped=flipped)
    same(value, expected)
    # The mean over labels that are flipped as often as it says is the loss of the clean ones.
    chosen, rejected, of_chosen, of_rejected = answers()
    other = dpo_robust(rejected, chosen, of_rejected, of_chosen, beta=beta, flipped=flipped)
    same((1 - flipped) * value + flipped * other, dpo(*answers(), beta=beta), rtol=1e-10)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("wrong", [1e-3, 0.3])
def test_exo_is_a_divergence(beta: float, wrong: float) -> None:
    up, down = gains()
    h = beta * (up - down)
    expected = rel_entr(expit(h), 1 - wrong) + rel_entr(expit(-h), wrong)
    same(exo(*answers(), beta=beta, label_smoothing=wrong), expected, atol=1e-12)


@pytest.mark.parametrize("beta", BETAS)
def test_anchored_losses_are_the_papers(beta: float) -> None:
    up, down = gains()
    noise = log_expit(-beta * up) + log_expit(-beta * down)
    same(nca(*answers(), beta=beta), -log_expit(beta * up) - noise / 2)
    same(apo_zero(*answers(), beta=beta), 1 - expit(beta * up) + expit(beta * down))
    same(apo_down(*answers(), beta=beta), expit(beta * up) + 1 - expit(beta * (up - down)))
    same(sppo(*answers(), beta=beta), (up - 0.5 / beta) ** 2 + (down + 0.5 / beta) ** 2)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_discopop_keeps_its_digits(beta: float, temperature: float) -> None:
    up, down = gains()
    expected = []
    with mpmath.workdps(60):
        for h in (beta * (up - down)).tolist():
            share = 1 / (1 + mpmath.exp(-mpmath.mpf(h) / temperature))
            logistic = mpmath.log(1 + mpmath.exp(-mpmath.mpf(h)))
            expected.append(float(logistic * (1 - share) + mpmath.exp(-mpmath.mpf(h)) * share))
    same(discopop(*answers(), beta=beta, temperature=temperature), expected, rtol=1e-11)


def slopes(loss: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
    """By the chosen and the rejected answer, where the policy is the reference."""
    start = torch.full((1,), -10.0, dtype=torch.float64)
    chosen, rejected = start.clone().requires_grad_(), start.clone().requires_grad_()
    return torch.autograd.grad(loss(chosen, rejected, start, start).sum(), (chosen, rejected))


@pytest.mark.parametrize("name", [name for name in ALL if name != "discopop"])
def test_where_the_answers_go(name: str) -> None:
    chosen, rejected = (-slope.item() for slope in slopes(ALL[name]))
    assert rejected < 0
    assert chosen > rejected


def test_discopop_starts_the_wrong_way() -> None:
    chosen, rejected = (-slope.item() for slope in slopes(discopop))
    assert chosen < 0 < rejected


@pytest.mark.parametrize("name", ALL)
def test_gradients(name: str) -> None:
    chosen, rejected, of_chosen, of_rejected = (v[:6] for v in answers())
    is_derivative(lambda c, r: ALL[name](c, r, of_chosen, of_rejected), chosen, rejected)
    takes_tensor(ALL[name], "beta", 0.3, *answers())


def test_other_parameters_may_move() -> None:
    takes_tensor(dpo_robust, "flipped", 0.3, *answers())
    takes_tensor(exo, "label_smoothing", 0.3, *answers())
    takes_tensor(discopop, "temperature", 0.3, *answers())


@pytest.mark.parametrize("name", ALL)
def test_answers_far_from_the_reference_are_finite(name: str) -> None:
    far = torch.tensor([1e4, -1e4]).requires_grad_()
    value = ALL[name](far, -far, -far.detach(), far.detach())
    (slope,) = torch.autograd.grad(value.sum(), far)
    assert np.isfinite(value.detach().numpy()).all()
    assert slope.isfinite().all()
