"""What tokens cost besides their likelihood: against 60 digits, and by the papers' gradients."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from laws import examples_hold, normal, same
from torch import Tensor

import lossdsl
from lossdsl.library.tokens import dft, unlikelihood


@pytest.mark.parametrize("name", ["unlikelihood", "dft"])
def test_examples_have_their_value(name: str) -> None:
    examples_hold(name)


def scores(scale: float) -> Tensor:
    return normal(2, 5, 3, scale=scale)


def marks() -> Tensor:
    return (normal(2, 5, 3, seed=8) > 0).double()


def by_digits(p: Tensor, negatives: Tensor) -> list[list[float]]:
    """The paper's formula with 60 digits."""
    with mpmath.workdps(60):
        result = []
        for row, own in zip(p.tolist(), negatives.tolist(), strict=True):
            line = []
            for position in range(p.shape[2]):
                powers = [mpmath.exp(value[position]) for value in row]
                shares = [power / mpmath.fsum(powers) for power in powers]
                terms = [mpmath.log(1 - q) * n[position] for q, n in zip(shares, own, strict=True)]
                line.append(float(-mpmath.fsum(terms)))
            result.append(line)
    return result


@pytest.mark.parametrize("scale", [0.01, 1.0, 6.0])
def test_unlikelihood_keeps_its_digits(scale: float) -> None:
    p, negatives = scores(scale), marks()
    same(unlikelihood(p, negatives), by_digits(p, negatives))


def test_unlikelihood_of_probabilities_is_that_of_their_scores() -> None:
    p, negatives = scores(1.0), marks()
    loss = lossdsl.compile(
        "input p: class_prob(C)[B, C, T]\ninput n: mask[B, C, T]\nunlikelihood(p, n)",
        backend="eager",
    )
    same(loss(p=p.softmax(1), n=negatives), unlikelihood(p, negatives).mean())


def test_unlikelihood_of_a_certain_class_is_bounded_and_falls() -> None:
    p = torch.tensor([[900.0, 0.0, -900.0]], dtype=torch.float64, requires_grad=True)
    cost = unlikelihood(p, torch.tensor([[1.0, 0.0, 1.0]]).double())
    same(cost, [100.0])
    mild = torch.tensor([[50.0, 0.0, -900.0]], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(unlikelihood(mild, torch.eye(3).double()[:1]).sum(), mild)
    # Of p0 - p1, all but the last digits.
    same(slope, [[1.0, -1.0, 0.0]])


@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_dft_is_cross_entropy_weighed_by_its_probability(scale: float) -> None:
    p = scores(scale).requires_grad_()
    y = torch.tensor([[0, 4, 1], [2, 2, 3]])
    cost = F.cross_entropy(p, y, reduction="none")
    value = lossdsl.compile("sum(dft(p, y, reduction='none'))", backend="eager")(p=p, y=y)
    same(value, (cost * torch.exp(-cost)).sum().detach())
    # The gradient is that of 1 - q.
    (slope,) = torch.autograd.grad(value, p)
    (expected,) = torch.autograd.grad((1 - torch.exp(-cost)).sum(), p)
    same(slope, expected)
    log_q = F.log_softmax(p.detach(), 1)
    same(dft(log_q, y), (cost * torch.exp(-cost)).detach())


def test_dft_of_probabilities() -> None:
    p = scores(1.0).softmax(1).requires_grad_()
    y = torch.tensor([[0, 4, 1], [2, 2, 3]])
    loss = lossdsl.compile(
        "input p: class_prob(C)[B, C, T]\ninput y: labels[B, T]\ndft(p, y, reduction='sum')",
        backend="eager",
    )
    value = loss(p=p, y=y)
    q = np.take_along_axis(p.detach().numpy(), y[:, None].numpy(), 1)
    same(value, -(q * np.log(q)).sum())
    (slope,) = torch.autograd.grad(value, p)
    same(slope, -torch.zeros_like(p).scatter(1, y[:, None], 1.0))
