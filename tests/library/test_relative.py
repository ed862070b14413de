"""Relative errors: against scikit-learn and torchmetrics, and with nothing to divide by."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics.functional as metrics
from laws import examples_hold, is_derivative, normal, one_graph, positive, same, takes_tensor

import lossdsl
from lossdsl.diagnostics.errors import LossError
from lossdsl.library.relative import mape, mase, msle, smape


@pytest.mark.parametrize("name", ["msle", "mape", "smape", "mase"])
def test_examples_have_their_value(name: str) -> None:
    examples_hold(name)


def test_msle_is_that_of_scikit_learn() -> None:
    p, y = positive(40, seed=1), positive(40, seed=2)
    same(msle(p, y).mean(), sklearn.metrics.mean_squared_log_error(y, p))


def test_msle_below_zero_is_that_of_zero_and_climbs_back() -> None:
    p = torch.tensor([-3.0, 0.0], dtype=torch.float64, requires_grad=True)
    value = msle(p, torch.ones(2).double())
    same(value, [np.log(2) ** 2] * 2)
    (slope,) = torch.autograd.grad(value.sum(), p)
    same(slope, [-2 * np.log(2)] * 2)


def test_mape_is_that_of_scikit_learn() -> None:
    p, y = normal(40, seed=1), normal(40, seed=2)
    same(mape(p, y).mean(), sklearn.metrics.mean_absolute_percentage_error(y, p))


@pytest.mark.parametrize("eps", [1e-6, 0.5])
def test_mape_divides_by_no_less_than_eps(eps: float) -> None:
    p, y = normal(40, seed=1), normal(40, seed=2) * (torch.arange(40) % 2)
    expected = np.abs((p - y).numpy()) / np.maximum(np.abs(y.numpy()), eps)
    same(mape(p, y, eps=eps), expected)


def test_smape_is_that_of_torchmetrics() -> None:
    p, y = normal(40, seed=1), normal(40, seed=2)
    same(smape(p, y).mean(), metrics.symmetric_mean_absolute_percentage_error(p, y))


def test_smape_of_two_zeros_is_zero() -> None:
    p = torch.tensor([0.0, 1e-30, 3.0], requires_grad=True)
    value = smape(p, torch.zeros(3))
    value.sum().backward()
    assert value.tolist() == [0.0, 2.0, 2.0]
    assert p.grad is not None
    assert p.grad.isfinite().all()
    assert p.grad[0] == 0


@pytest.mark.parametrize("season", [1, 3])
def test_mase_is_the_papers_formula(season: int) -> None:
    p, y, history = normal(2, 3, 5, seed=1), normal(2, 3, 5, seed=2), normal(2, 3, 12, seed=3)
    value = mase(p, y, history, season=season)
    for n, c in np.ndindex(2, 3):
        past = history[n, c].numpy()
        naive = np.mean([abs(past[t] - past[t - season]) for t in range(season, 12)])
        same(value[n, c], np.abs((p - y)[n, c].numpy()) / naive)


def test_a_naive_forecast_of_the_past_has_the_error_one() -> None:
    history = normal(1, 13)
    same(mase(history[:, :-1], history[:, 1:], history, season=1).mean(), 1.0)


def test_a_constant_history_scales_nothing() -> None:
    p = torch.ones(2, 3, requires_grad=True)
    value = mase(p, torch.zeros(2, 3), torch.ones(2, 9), season=2)
    value.sum().backward()
    assert not value.any()
    assert p.grad is not None
    assert not p.grad.any()


def test_a_history_is_longer_than_a_season() -> None:
    with pytest.raises(LossError, match="needs M of at least 8"):
        lossdsl.compile(
            "input p: real[B, 3]\ninput y: real[B, 3]\ninput h: real[B, 7]\n"
            "mase(p, y, h, season=7)",
            backend="eager",
        )


def test_gradients_are_derivatives() -> None:
    p, y, history = positive(4, 3, seed=1), positive(4, 3, seed=2), normal(4, 9, seed=3)
    number = torch.tensor(0.5, dtype=torch.float64)
    is_derivative(msle, p, y)
    is_derivative(lambda p, y, n: mape(p, y, eps=n), p, y, number)
    is_derivative(smape, p, y)
    is_derivative(partial(mase, season=2), p, y, history)
    takes_tensor(mape, "eps", 0.5, p, y)


@pytest.mark.parametrize("loss", [msle, mape, smape, partial(mase, season=2)])
def test_compiles_in_one_graph(loss: Any) -> None:
    count = 3 if isinstance(loss, partial) else 2
    one_graph(
        loss,
        *(
            (positive(n, 4, seed=1), positive(n, 4, seed=2), positive(n, 7, seed=3))[:count]
            for n in (4, 6)
        ),
    )
