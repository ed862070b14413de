"""Priors of images: against SciPy's filters."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from laws import examples_hold, is_derivative, one_graph, same, takes_tensor, uniform
from scipy.ndimage import minimum_filter

from lossdsl.library.priors import dark_channel

X = uniform(2, 3, 9, 12)


@pytest.mark.parametrize("window", [1, 3, 4, 7, 30])
def test_dark_channel_is_scipys_minimum(window: int) -> None:
    expected = [minimum_filter(x.min(0), window, mode="nearest").mean() for x in X.numpy()]
    if window == 30:
        expected = X.flatten(1).min(1).values.tolist()
    same(dark_channel(X, window=window), expected)
    same(dark_channel(255 * X, window=window, data_range=255.0), expected)


def test_masked_pixels_are_in_no_window() -> None:
    mask = uniform(2, 1, 9, 12, seed=3).round()
    holed = torch.where(mask > 0, X, torch.nan)
    bright = np.where(mask.numpy()[:, 0] > 0, X.numpy().min(1), 2.0)
    expected = [
        minimum_filter(x, 3, mode="nearest")[m > 0].mean()
        for x, m in zip(bright, mask.numpy()[:, 0], strict=True)
    ]
    same(dark_channel(holed, window=3, mask=mask), expected)
    assert not dark_channel(X, mask=torch.zeros(2, 1, 9, 12)).any()


def test_haze_costs_what_it_adds() -> None:
    same(dark_channel(0.5 * X + 0.5), 0.5 * dark_channel(X) + 0.5)


def test_example_has_its_value() -> None:
    examples_hold("dark_channel")


def test_the_gradient_is_the_derivative() -> None:
    is_derivative(partial(dark_channel, window=3), X[:, :, :4, :5])


def test_the_range_may_move() -> None:
    takes_tensor(dark_channel, "data_range", 2.0, X)


def test_it_compiles_in_one_graph() -> None:
    one_graph(partial(dark_channel, window=3), (X,), (X[:1],))
