"""Boundary equilibrium: the paper's formulas, and a game that they describe."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from laws import examples_hold, positive, same, takes_tensor

import lossdsl
from lossdsl.library.equilibrium import began_d, began_measure


@pytest.mark.parametrize("name", ["began_d", "began_measure"])
def test_examples_have_their_value(name: str) -> None:
    examples_hold(name)


@pytest.mark.parametrize("k", [0.0, 0.3, 1.0])
def test_the_critics_loss_is_the_papers(k: float) -> None:
    real, fake = positive(6), positive(6, seed=1)
    same(began_d(real, fake, k=k), real.numpy() - k * fake.numpy())
    takes_tensor(began_d, "k", k, real, fake)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_the_measure_is_the_papers(gamma: float) -> None:
    real, fake = positive(6).numpy(), positive(6, seed=1).numpy()
    expected = real.mean() + np.abs(gamma * real.mean() - fake.mean())
    same(began_measure(positive(6), positive(6, seed=1), gamma=gamma), expected)


def test_the_balance_is_a_param_and_the_measure_a_monitor() -> None:
    loss = lossdsl.compile(
        "input x: real[B, D]\ninput rx: real[B, D]\ninput f: real[B, D]\ninput rf: real[B, D]\n"
        "param k = 0.0\n"
        "began_d(l1(rx, x, reduction='batch'), l1(rf, f, reduction='batch'), k=k)",
        backend="eager",
    )
    values = [torch.full((2, 3), float(value)) for value in (0, 1, 0, 3)]
    for k in (0.0, 0.5):
        loss.set(k=k)
        assert loss(*values).item() == 1 - 3 * k
