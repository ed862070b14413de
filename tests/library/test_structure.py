"""Structure of images: against SciPy's filters and loops over the papers' formulas."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from laws import examples_hold, is_derivative, one_graph, same, takes_tensor, uniform
from scipy.signal import correlate2d
from torch import Tensor

from lossdsl.library.structure import census, gmsd

X, Y = uniform(2, 3, 12, 15, seed=1), uniform(2, 3, 12, 15, seed=2)


def halves(image: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 blocks, of the pixels there are."""
    height, width = image.shape
    return np.array(
        [
            [image[i : i + 2, j : j + 2].mean() for j in range(0, width, 2)]
            for i in range(0, height, 2)
        ]
    )


def strength(image: np.ndarray) -> np.ndarray:
    prewitt = np.array([[-1.0, 0.0, 1.0]] * 3) / 3
    across = correlate2d(image, prewitt, mode="valid")
    return np.hypot(across, correlate2d(image, prewitt.T, mode="valid"))


def deviation(x: np.ndarray, y: np.ndarray, c: float) -> float:
    p, q = strength(halves(x)), strength(halves(y))
    return float(((2 * p * q + c) / (p**2 + q**2 + c)).std())


@pytest.mark.parametrize("c", [170 / 255**2, 0.5])
@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_gmsd_is_the_papers_formula(data_range: float, c: float) -> None:
    expected = [
        np.mean([deviation(p, q, c) for p, q in zip(x, y, strict=True)])
        for x, y in zip(X.numpy(), Y.numpy(), strict=True)
    ]
    same(gmsd(data_range * X, data_range * Y, c=c, data_range=data_range), expected)


def test_gmsd_of_equal_images_is_at_rest() -> None:
    for x in (X.clone(), torch.full_like(X, 0.5)):
        x.requires_grad_()
        value = gmsd(x, x.detach().clone())
        (slope,) = torch.autograd.grad(value.sum(), x)
        assert not value.any()
        assert not slope.any()


def test_gmsd_is_blind_to_brightness() -> None:
    same(gmsd(X + 0.3, Y), gmsd(X, Y), rtol=1e-11)


def sign(step: float) -> float:
    return step / np.sqrt(0.81 + step**2)


def mismatch(x: np.ndarray, y: np.ndarray, window: int, mask: np.ndarray | None = None) -> float:
    """The mean over every pixel and each other one in its window, both ways."""
    low, high = window // 2, (window - 1) // 2
    costs = []
    for c, i, j in np.ndindex(x.shape):
        for dy in range(-low, high + 1):
            for dx in range(-low, high + 1):
                k, m = i + dy, j + dx
                inside = 0 <= k < x.shape[1] and 0 <= m < x.shape[2]
                if (
                    not inside
                    or (dy, dx) == (0, 0)
                    or (mask is not None and not mask[i, j] * mask[k, m])
                ):
                    continue
                apart = sign(255 * (x[c, k, m] - x[c, i, j])) - sign(
                    255 * (y[c, k, m] - y[c, i, j])
                )
                costs.append(apart**2 / (0.1 + apart**2))
    return float(np.mean(costs))


@pytest.mark.parametrize("window", [3, 5])
@pytest.mark.parametrize("scale", [1.0, 0.02])
def test_census_is_that_of_loops(scale: float, window: int) -> None:
    x, y = scale * X[:, :2, :6, :7], scale * Y[:, :2, :6, :7]
    pairs = zip(x.numpy(), y.numpy(), strict=True)
    same(census(x, y, window=window), [mismatch(p, q, window) for p, q in pairs])
    same(census(2 * x, 2 * y, window=window, data_range=2.0), census(x, y, window=window))


def test_census_of_kept_pairs() -> None:
    x, y = X[:1, :1, :6, :7], Y[:1, :1, :6, :7]
    mask = uniform(1, 1, 6, 7, seed=4).round()
    expected = mismatch(x[0].numpy(), y[0].numpy(), 3, mask[0, 0].numpy())
    same(census(x, y, window=3, mask=mask)[0], expected)


def test_census_is_blind_to_light() -> None:
    same(census(X + 0.3, Y), census(X, Y), rtol=1e-9)
    x = X.round(decimals=1)
    assert (census(0.5 * x, x) < 1e-3).all()


def test_examples_have_their_value() -> None:
    for name in ("gmsd", "census"):
        examples_hold(name)


def small(images: Tensor) -> Tensor:
    return images[:, :, :7, :8]


def test_gradients_are_derivatives() -> None:
    is_derivative(gmsd, small(X), small(Y))
    dim = 0.02 * small(X), 0.02 * small(Y)
    is_derivative(partial(census, window=3), *dim)


def test_parameters_may_move() -> None:
    takes_tensor(gmsd, "c", 0.01, X, Y)
    takes_tensor(gmsd, "data_range", 2.0, X, Y)
    takes_tensor(partial(census, window=3), "data_range", 2.0, X, Y)


def test_losses_compile_in_one_graph() -> None:
    batches = ((X, Y), (X[:1], Y[:1]))
    one_graph(gmsd, *batches)
    one_graph(partial(census, window=3), *batches)
