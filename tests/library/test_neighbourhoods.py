"""Neighbourhoods of masks: against inverses and determinants by NumPy."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from laws import (
    bits,
    examples_hold,
    graph_of_batches,
    is_derivative,
    same,
    takes_tensor,
    uniform,
)
from torch import Tensor

from lossdsl.library.neighbourhoods import rmi

P, Y = uniform(2, 3, 14, 15, seed=1), bits(2, 3, 14, 15, seed=2)


def coarse(x: np.ndarray, stride: int) -> np.ndarray:
    height, width = x.shape[0] // stride, x.shape[1] // stride
    cut = x[: height * stride, : width * stride]
    return cut.reshape(height, stride, width, stride).mean((1, 3))


def vectors(x: np.ndarray, window: int) -> np.ndarray:
    """One column a neighbourhood."""
    rows = np.lib.stride_tricks.sliding_window_view(x, (window, window))
    return rows.reshape(-1, window * window).T


def bound(p: np.ndarray, y: np.ndarray, window: int, stride: int, eps: float) -> float:
    q, t = (vectors(coarse(x, stride), window) for x in (p, y))
    size = window * window
    both = np.cov(np.concatenate((t, q)), bias=True)
    own, cross, known = both[:size, :size], both[:size, size:], both[size:, size:]
    one = eps * np.eye(size)
    rest = own - cross @ np.linalg.inv(known + one) @ cross.T + one
    return float(0.5 * np.linalg.slogdet(rest)[1] / size)


@pytest.mark.parametrize(("window", "stride"), [(3, 1), (2, 2), (3, 3)])
@pytest.mark.parametrize("eps", [5e-4, 0.1])
def test_rmi_is_the_papers_formula(eps: float, window: int, stride: int) -> None:
    expected = [
        [bound(p, y, window, stride, eps) for p, y in zip(*pair, strict=True)]
        for pair in zip(P.numpy(), Y.numpy(), strict=True)
    ]
    same(rmi(P, Y, window=window, stride=stride, eps=eps), expected, rtol=1e-10)


def test_a_prediction_that_tells_the_target_is_the_best() -> None:
    exact = rmi(Y, Y, stride=1)
    assert (exact < rmi(0.5 * P + 0.5 * Y, Y, stride=1)).all()
    assert (rmi(0.5 * P + 0.5 * Y, Y, stride=1) < rmi(P, Y, stride=1)).all()
    same(rmi(1 - P, Y), rmi(P, Y), rtol=1e-9)


def test_single_precision_is_enough() -> None:
    torch.testing.assert_close(
        rmi(Y.float(), Y.float(), stride=1).double(), rmi(Y, Y, stride=1), rtol=1e-3, atol=0
    )


def test_an_image_without_kept_pixels_costs_nothing() -> None:
    mask = torch.ones(2, 1, 14, 15, dtype=torch.float64)
    mask[1] = 0
    value = rmi(P, Y, mask=mask)
    same(value[0], rmi(P, Y)[0])
    same(value[1], torch.zeros_like(value[1]))


def test_masked_pixels_are_background() -> None:
    mask = bits(2, 1, 14, 15, seed=5)
    holed = torch.where(mask > 0, P, torch.nan)
    same(rmi(holed, Y, mask=mask), rmi(P * mask, Y * mask))


def test_example_has_its_value() -> None:
    examples_hold("rmi")


def test_gradients_are_derivatives() -> None:
    eps = torch.tensor(0.05, dtype=torch.float64)
    small = P[:, :1, :5, :6], uniform(2, 1, 5, 6, seed=7)
    is_derivative(lambda p, y, e: rmi(p, y, stride=1, window=2, eps=e), *small, eps)


def test_the_noise_may_move() -> None:
    takes_tensor(rmi, "eps", 0.01, P, Y)


def test_it_compiles_in_one_graph() -> None:
    def arguments(batch: int) -> tuple[Tensor, Tensor]:
        return uniform(batch, 2, 9, 9, seed=1), bits(batch, 2, 9, 9, seed=2)

    graph_of_batches(partial(rmi, stride=2), arguments)
