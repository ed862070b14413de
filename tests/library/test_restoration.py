"""Restored images: against scikit-image, kornia, NumPy's Fourier transform, and loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import kornia
import numpy as np
import pytest
import torch
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor, uniform
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from lossdsl.library.detail import (
    edge,
    focal_frequency,
    laplacian_pyramid,
    photometric,
    pyramid,
    smoothed,
)
from lossdsl.library.image import ssim
from lossdsl.library.restoration import context, gradient_difference, psnr

Loss = Callable[..., Tensor]
NAMES = (
    "psnr",
    "gradient_difference",
    "context",
    "edge",
    "laplacian_pyramid",
    "focal_frequency",
    "photometric",
)
X, Y = uniform(2, 3, 9, 12, seed=1), uniform(2, 3, 9, 12, seed=2)
LOSSES = (
    psnr,
    gradient_difference,
    edge,
    laplacian_pyramid,
    focal_frequency,
    photometric,
)


@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_psnr_is_that_of_scikit_image(data_range: float) -> None:
    x, y = data_range * X, data_range * Y
    expected = [
        -peak_signal_noise_ratio(b.numpy(), a.numpy(), data_range=data_range)
        for a, b in zip(x, y, strict=True)
    ]
    same(psnr(x, y, data_range=data_range), expected)
    whole = kornia.losses.psnr_loss(x[:1], y[:1], data_range)
    same(psnr(x[:1], y[:1], data_range=data_range)[0], whole, rtol=1e-9)


def test_psnr_is_bounded_and_its_slope_ends() -> None:
    x = X.clone().requires_grad_()
    value = psnr(x, X, best=60.0)
    same(value, [-60.0, -60.0])
    assert not torch.autograd.grad(value.sum(), x)[0].any()
    near = (X + 1e-5).requires_grad_()
    (slope,) = torch.autograd.grad(psnr(near, X, best=60.0).sum(), near)
    # As at 60 decibels, where the mean square is 1e-6.
    same(slope, torch.full_like(X, 10 / math.log(10) * 2e-5 / X[0].numel() / 1e-6), rtol=1e-4)


@pytest.mark.parametrize("alpha", [1.0, 2.0, 0.5])
def test_gradient_difference_is_that_of_loops(alpha: float) -> None:
    x, y = X.numpy(), Y.numpy()
    expected = np.zeros(2)
    for axis in (2, 3):
        difference = np.abs(np.diff(y, axis=axis)), np.abs(np.diff(x, axis=axis))
        expected += (np.abs(difference[0] - difference[1]) ** alpha).mean((1, 2, 3))
    same(gradient_difference(X, Y, alpha=alpha), expected)


def test_gradient_difference_is_blind_to_brightness_and_sign() -> None:
    assert gradient_difference(X + 0.3, X).max() < 1e-14
    assert gradient_difference(1 - X, X).max() < 1e-14


def test_context_is_the_error_where_the_image_is_known() -> None:
    known = uniform(2, 1, 9, 12, seed=3) > 0.4
    holed = torch.where(known, X, torch.nan).requires_grad_()
    value = context(holed, Y, known.double())
    for b in range(2):
        kept = known[b].expand(3, 9, 12)
        same(value[b], torch.nn.functional.l1_loss(X[b][kept], Y[b][kept]))
    (slope,) = torch.autograd.grad(value.sum(), holed)
    assert slope.isfinite().all()
    assert not slope[~known.expand_as(slope)].any()


def test_context_of_nothing_known_is_zero() -> None:
    x = X.clone().requires_grad_()
    value = context(x, Y, torch.zeros(2, 1, 9, 12, dtype=torch.float64))
    assert not value.any()
    assert not torch.autograd.grad(value.sum(), x)[0].any()


# --- pyramids ---

TAPS = np.array([0.05, 0.25, 0.4, 0.25, 0.05])


def blurred(x: np.ndarray) -> np.ndarray:
    padded = np.pad(x, 2, mode="edge")
    kernel = np.outer(TAPS, TAPS)
    return np.array(
        [
            [(padded[i : i + 5, j : j + 5] * kernel).sum() for j in range(x.shape[1])]
            for i in range(x.shape[0])
        ]
    )


def levels_of(x: np.ndarray, count: int) -> list[np.ndarray]:
    parts = []
    for _ in range(count):
        coarse = blurred(x)[::2, ::2]
        spread, there = np.zeros_like(x), np.zeros_like(x)
        spread[::2, ::2], there[::2, ::2] = coarse, 1
        parts.append(x - blurred(spread) / blurred(there))
        x = coarse
    return [*parts, x]


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_pyramid_is_that_of_loops(levels: int) -> None:
    ours = pyramid(X, levels)
    for b in range(2):
        expected = levels_of(X[b, 1].numpy(), levels)
        for level, part in zip(ours, expected, strict=True):
            same(level[b, 1], part, atol=1e-12)
    difference = [level.abs().mean((1, 2, 3)) for level in pyramid(X - Y, levels)]
    same(laplacian_pyramid(X, Y, levels=levels), sum(difference))


def test_inside_the_pyramid_is_that_of_burt_and_adelson() -> None:
    x = uniform(1, 1, 24, 24, seed=4)
    coarse = smoothed(x)[..., ::2, ::2]
    spread = torch.zeros_like(x)
    spread[..., ::2, ::2] = 4 * coarse
    expected = x - smoothed(spread)
    same(pyramid(x, 1)[0][..., 4:-4, 4:-4], expected[..., 4:-4, 4:-4])


def test_a_constant_has_no_detail() -> None:
    flat = torch.full((1, 1, 9, 12), 0.75, dtype=torch.float64)
    for part in pyramid(flat, 3)[:-1]:
        assert part.abs().max() < 1e-15
    same(pyramid(flat, 3)[-1], torch.full((1, 1, 2, 2), 0.75))


@pytest.mark.parametrize("eps", [1e-3, 0.1])
def test_edge_is_a_root_of_the_finest_level(eps: float) -> None:
    detail = np.array([[levels_of(c, 1)[0] for c in image] for image in (X - Y).numpy()])
    same(edge(X, Y, eps=eps), np.sqrt(detail**2 + eps**2).mean((1, 2, 3)))


# --- frequencies and structure ---


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
def test_focal_frequency_is_the_papers(alpha: float) -> None:
    size = np.abs(np.fft.fft2((X - Y).numpy(), norm="ortho"))
    weight = (size / size.max((2, 3), keepdims=True)) ** alpha
    same(focal_frequency(X, Y, alpha=alpha), (weight * size**2).mean((1, 2, 3)), rtol=1e-11)


def test_focal_frequency_without_weights_is_the_squared_error() -> None:
    # Parseval's theorem.
    same(focal_frequency(X, Y, alpha=0.0), ((X - Y) ** 2).mean((1, 2, 3)))


def test_the_weights_of_frequencies_are_constants() -> None:
    x = X.clone().requires_grad_()
    (slope,) = torch.autograd.grad(focal_frequency(x, Y).sum(), x)
    spectrum = torch.fft.fft2(X - Y, norm="ortho")
    weight = spectrum.abs() / spectrum.abs().amax((2, 3), keepdim=True)
    expected = 2 * torch.fft.ifft2(weight * spectrum, norm="ortho").real / X[0].numel()
    same(slope, expected, rtol=1e-10)


@pytest.mark.parametrize("alpha", [0.0, 0.85, 1.0])
def test_photometric_is_a_mixture(alpha: float) -> None:
    structure = ssim(X, Y, window=3)
    absolute = (X - Y).abs().mean((1, 2, 3))
    same(photometric(X, Y, alpha=alpha), alpha * structure / 2 + (1 - alpha) * absolute)


# --- laws, gradients, compilation, records ---


@pytest.mark.parametrize("loss", LOSSES[1:])
def test_equal_images_cost_the_least(loss: Loss) -> None:
    least = 1e-3 if loss is edge else 0.0
    same(loss(X, X), [least, least])
    assert (loss(X, Y) > 0.01).all()


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss is not focal_frequency])
def test_gradients_are_derivatives(loss: Loss) -> None:
    is_derivative(loss, X[:1, :1, :5, :6], Y[:1, :1, :5, :6])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_one_graph(loss: Loss) -> None:
    one_graph(loss, (X, Y), (uniform(3, 2, 11, 8, seed=3), uniform(3, 2, 11, 8, seed=4)))


@pytest.mark.parametrize(
    ("loss", "name", "value"),
    [
        (partial(psnr), "data_range", 2.0),
        (gradient_difference, "alpha", 1.5),
        (edge, "eps", 0.01),
        (focal_frequency, "alpha", 1.5),
        (photometric, "alpha", 0.5),
    ],
)
def test_parameters_may_move(loss: Loss, name: str, value: float) -> None:
    takes_tensor(loss, name, value, X, Y)


def test_shades_of_noise_are_told_apart() -> None:
    noise = normal(*X.shape, seed=5)
    for loss in LOSSES:
        values = [loss(X + size * noise, X).mean().item() for size in (0.01, 0.1, 0.5)]
        assert values == sorted(values)


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    examples_hold(name)
