"""Preferences of answers: the papers' formulas in NumPy, and what they have in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor
from scipy.special import expit, log_expit
from torch import Tensor

from lossdsl.library.answers import bradley_terry, cpo, kto, orpo, simpo
from lossdsl.library.preference import dpo, dpo_hinge, ipo

Loss = Callable[..., Tensor]
NAMES = ("dpo", "dpo_hinge", "ipo", "cpo", "simpo", "orpo", "kto", "bradley_terry")
FOUR = tuple(-normal(20, seed=k, scale=5.0).abs() for k in range(4))
TWO = FOUR[:2]
GOOD = (torch.arange(20) % 3 == 0).double()


def advantage() -> np.ndarray:
    c, r, rc, rr = (x.numpy() for x in FOUR)
    return np.asarray((c - r) - (rc - rr))


@pytest.mark.parametrize("beta", [0.1, 1.0])
@pytest.mark.parametrize("wrong", [0.0, 0.2])
def test_dpo(beta: float, wrong: float) -> None:
    h = beta * advantage()
    expected = -(1 - wrong) * log_expit(h) - wrong * log_expit(-h)
    same(dpo(*FOUR, beta=beta, label_smoothing=wrong), expected)


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_losses_of_the_same_difference(beta: float) -> None:
    h = advantage()
    same(dpo_hinge(*FOUR, beta=beta), np.maximum(0, 1 - beta * h))
    same(ipo(*FOUR, beta=beta), (h - 1 / (2 * beta)) ** 2)
    difference = (TWO[0] - TWO[1]).numpy()
    same(cpo(*TWO, beta=beta), -log_expit(beta * difference))
    same(simpo(*TWO, beta=beta, gamma=0.7), -log_expit(beta * difference - 0.7))
    same(bradley_terry(*TWO, margin=beta), -log_expit(difference - beta))


def test_orpo_compares_odds() -> None:
    c, r = (np.exp(x.numpy()) for x in TWO)
    ratio = (c / (1 - c)) / (r / (1 - r))
    same(orpo(*TWO), -np.log(ratio / (1 + ratio)), rtol=1e-11)


def test_orpo_of_tiny_log_probabilities() -> None:
    # 1 - p of p = exp(-1e-10) keeps its digits: the odds are 1e10 and 1e9.
    c, r = (torch.tensor([x], dtype=torch.float64) for x in (-1e-10, -1e-9))
    same(orpo(c, r), [math.log1p(0.1)], rtol=1e-8)


@pytest.mark.parametrize("beta", [0.1, 2.0])
@pytest.mark.parametrize("mean", [None, -1.0, 0.5])
def test_kto(beta: float, mean: float | None) -> None:
    policy, reference = (x.numpy() for x in TWO)
    other = None if mean is None else normal(6, seed=9) + mean
    usual = 0.0 if other is None else max(0.0, other.mean().item())
    gain = beta * (policy - reference - usual)
    expected = np.where(GOOD.numpy() > 0, 1.5 * (1 - expit(gain)), 0.5 * (1 - expit(-gain)))
    value = kto(*TWO, GOOD, other, beta=beta, desirable_weight=1.5, undesirable_weight=0.5)
    same(value, expected)


# --- laws ---


def test_dpo_of_a_constant_reference_is_cpo() -> None:
    level = torch.zeros(20).double()
    same(dpo(*TWO, level, level, beta=0.3), cpo(*TWO, beta=0.3))
    same(cpo(*TWO, beta=1.0), bradley_terry(*TWO))
    same(simpo(*TWO, beta=0.3, gamma=0.0), cpo(*TWO, beta=0.3))


def test_the_reference_gets_no_gradient() -> None:
    for loss in (dpo, dpo_hinge, ipo):
        free = [x.clone().requires_grad_() for x in FOUR]
        slopes = torch.autograd.grad(loss(*free).sum(), free, allow_unused=True)
        assert [slope is None for slope in slopes] == [False, False, True, True]
    policy, reference = (x.clone().requires_grad_() for x in TWO)
    slopes = torch.autograd.grad(
        kto(policy, reference, GOOD).sum(), (policy, reference), allow_unused=True
    )
    assert slopes[1] is None


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e4, 1e30])
def test_certain_and_impossible_answers_are_finite(size: float) -> None:
    c = torch.tensor([-size, 0.0, -size]).requires_grad_()
    r = torch.tensor([0.0, -size, -size]).requires_grad_()
    value = orpo(c, r)
    assert value.isfinite().all()
    for slope in torch.autograd.grad(value.sum(), (c, r)):
        assert slope.isfinite().all()


# --- gradients, compilation, records ---

CASES = (
    (partial(dpo, label_smoothing=0.1), TWO),
    (dpo_hinge, TWO),
    (ipo, TWO),
    (cpo, TWO),
    (simpo, TWO),
    (orpo, TWO),
    (bradley_terry, TWO),
)


def with_reference(loss: Loss) -> Loss:
    function = loss.func if isinstance(loss, partial) else loss
    if function in (dpo, dpo_hinge, ipo):
        return lambda c, r: loss(c, r, 0 * c.detach() - 1, 0 * r.detach() - 2)
    return loss


@pytest.mark.parametrize(("loss", "given"), CASES)
def test_gradients_are_derivatives(loss: Loss, given: tuple[Tensor, ...]) -> None:
    is_derivative(with_reference(loss), *given)


def test_the_gradient_of_kto_is_a_derivative() -> None:
    is_derivative(lambda policy: kto(policy, TWO[1], GOOD, TWO[0]), TWO[0])


@pytest.mark.parametrize(("loss", "given"), CASES)
def test_one_graph(loss: Loss, given: tuple[Tensor, ...]) -> None:
    one_graph(with_reference(loss), given, tuple(x[:7] for x in given))


def test_kto_is_one_graph() -> None:
    def judged(policy: Tensor) -> Tensor:
        return kto(policy, 0.5 * policy, (policy < -3).double(), policy)

    one_graph(judged, (TWO[0],), (TWO[0][:7],))


@pytest.mark.parametrize(
    ("loss", "name", "value"),
    [
        (dpo, "beta", 0.1),
        (dpo, "label_smoothing", 0.1),
        (dpo_hinge, "beta", 0.1),
        (ipo, "beta", 0.1),
        (cpo, "beta", 0.1),
        (simpo, "beta", 2.0),
        (simpo, "gamma", 0.5),
        (bradley_terry, "margin", 0.5),
    ],
)
def test_parameters_may_move(loss: Loss, name: str, value: float) -> None:
    takes_tensor(loss, name, value, *(FOUR if loss in (dpo, dpo_hinge, ipo) else TWO))


@pytest.mark.parametrize("name", ["beta", "desirable_weight", "undesirable_weight"])
def test_parameters_of_kto_may_move(name: str) -> None:
    takes_tensor(kto, name, 0.5, *TWO, GOOD)


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    examples_hold(name)
