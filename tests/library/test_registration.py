"""Registration: against MONAI, and definitions in NumPy."""

from __future__ import annotations

from functools import partial
from typing import Any

import monai
import numpy as np
import pytest
import torch
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor, uniform
from torch import Tensor

from lossdsl.library.registration import (
    bending_energy,
    diffusion_energy,
    lncc,
    mutual_information,
)

SPACES = ((11,), (9, 12), (7, 8, 9))
X, Y = uniform(2, 3, 9, 12, seed=1), uniform(2, 3, 9, 12, seed=2)


# --- correlation in windows ---


@pytest.mark.parametrize("window", [3, 5])
@pytest.mark.parametrize("space", SPACES)
def test_lncc_is_monais_inside_the_border(space: tuple[int, ...], window: int) -> None:
    x, y = uniform(2, 2, *space, seed=1), uniform(2, 2, *space, seed=2)
    theirs = monai.losses.LocalNormalizedCrossCorrelationLoss(
        len(space), window, reduction="none", smooth_dr=1e-9
    ).double()(x, y)
    border = slice(window // 2, -(window // 2))
    inside = theirs[(..., *[border] * len(space))]
    same(lncc(x, y, window=window), 1 + inside.flatten(1).mean(1), rtol=1e-10)


def windows_of(
    x: np.ndarray, y: np.ndarray, mask: np.ndarray, size: int, eps: float
) -> list[float]:
    costs = []
    for i in range(x.shape[0] - size + 1):
        for j in range(x.shape[1] - size + 1):
            if not mask[i + size // 2, j + size // 2]:
                continue
            place = (slice(i, i + size), slice(j, j + size))
            kept = mask[place] > 0
            a, b = x[place][kept], y[place][kept]
            covariance = (a * b).mean() - a.mean() * b.mean()
            costs.append(1 - covariance**2 / max(a.var(), eps) / max(b.var(), eps))
    return costs


@pytest.mark.parametrize("window", [3, 4])
def test_lncc_of_kept_pixels_is_that_of_loops(window: int) -> None:
    mask = (uniform(2, 1, 9, 12, seed=5) > 0.3).double()
    holed = torch.where(mask > 0, X, torch.nan)
    for eps in (1e-5, 0.05):
        expected = [
            np.mean([windows_of(p, q, m[0], window, eps) for p, q in zip(x, y, strict=True)])
            for x, y, m in zip(X.numpy(), Y.numpy(), mask.numpy(), strict=True)
        ]
        same(lncc(holed, Y, window=window, eps=eps, mask=mask), expected, rtol=1e-10)


def test_lncc_knows_no_brightness_contrast_or_sign() -> None:
    same(lncc(3 * X + 1, Y, window=5), lncc(X, Y, window=5), rtol=1e-10)
    assert (lncc(1 - 0.5 * X, X, window=5) < 1e-12).all()
    same(lncc(255 * X, 255 * Y, window=5, data_range=255.0), lncc(X, Y, window=5))


def test_bright_flat_images_keep_their_digits() -> None:
    x, y = 1000 + 0.1 * X, 1000 + 0.1 * Y
    torch.testing.assert_close(
        lncc(x.float(), y.float(), window=5).double(), lncc(x, y, window=5), rtol=0, atol=5e-3
    )


# --- mutual information ---


def information(x: np.ndarray, y: np.ndarray, bins: int, spread: float) -> float:
    def shares(values: np.ndarray) -> np.ndarray:
        place = (values - values.min()) / (values.max() - values.min()) * (bins - 1)
        weight = np.exp(-((place[:, None] - np.arange(bins)) ** 2) / (2 * spread**2))
        return weight / weight.sum(1, keepdims=True)

    joint = shares(x).T @ shares(y) / len(x)
    independent = joint.sum(1)[:, None] * joint.sum(0)
    kept = joint > 0
    return float((joint[kept] * np.log(joint[kept] / independent[kept])).sum())


@pytest.mark.parametrize(("bins", "spread"), [(23, 0.5), (5, 1.0), (8, 0.2)])
def test_mutual_information_is_that_of_histograms(bins: int, spread: float) -> None:
    y = 0.7 * X + 0.3 * Y
    expected = [
        -information(a.ravel(), b.ravel(), bins, spread)
        for a, b in zip(X.numpy(), y.numpy(), strict=True)
    ]
    same(mutual_information(X, y, bins=bins, spread=spread), expected, rtol=1e-11)


def test_mutual_information_is_monais_up_to_its_smoothing() -> None:
    x, y = X[:1].clone(), (0.7 * X + 0.3 * Y)[:1]
    for image in (x, y):
        # MONAI's bins lie from 0 to 1.
        image -= image.min()
        image /= image.max()
    theirs = monai.losses.GlobalMutualInformationLoss(smooth_nr=1e-14, smooth_dr=1e-14).double()(
        x, y
    )
    same(mutual_information(x, y)[0], theirs, rtol=1e-6)


def test_any_relation_of_brightness_will_do() -> None:
    x = uniform(1, 1, 30, 30).mul(4).round() / 4
    other = torch.tensor([0.6, 0.0, 1.0, 0.2, 0.4], dtype=torch.float64)[(4 * x).long()]
    sharp = partial(mutual_information, bins=6, spread=0.05)
    counts = np.unique(x.numpy(), return_counts=True)[1] / 900
    entropy = -(counts * np.log(counts)).sum()
    # The values of the one lie on bins, and those of the other too.
    same(mutual_information(x, x, bins=5, spread=0.05), [-entropy])
    same(sharp(other, other), [-entropy])


def test_kept_pixels_alone_make_the_histogram() -> None:
    mask = (uniform(2, 1, 9, 12, seed=5) > 0.3).double()
    holed = torch.where(mask > 0, X, torch.nan)
    y = 0.7 * X + 0.3 * Y
    expected = []
    for a, b, m in zip(X.numpy(), y.numpy(), mask.numpy(), strict=True):
        kept = np.broadcast_to(m, a.shape) > 0
        expected.append(-information(a[kept], b[kept], 23, 0.5))
    same(mutual_information(holed, y, mask=mask), expected, rtol=1e-11)
    assert not mutual_information(X, y, mask=torch.zeros(2, 1, 9, 12)).any()


def test_an_image_of_one_value_says_nothing() -> None:
    x = torch.full_like(X, 0.5).requires_grad_()
    value = mutual_information(x, Y)
    (slope,) = torch.autograd.grad(value.sum(), x)
    same(value, [0.0, 0.0])
    assert slope.isfinite().all()


# --- fields ---


# MONAI's own way to index.
@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
@pytest.mark.parametrize("space", SPACES)
def test_energies_are_monais(space: tuple[int, ...]) -> None:
    field = normal(2, len(space), *space)
    for ours, theirs in (
        (bending_energy, monai.losses.BendingEnergyLoss(reduction="none")),
        (diffusion_energy, monai.losses.DiffusionLoss(reduction="none")),
    ):
        same(ours(field), theirs(field).flatten(1).mean(1))


def test_short_axes_have_no_derivatives() -> None:
    field = normal(2, 2, 9)
    for energy in (bending_energy, diffusion_energy):
        same(energy(field[:, :, None]), energy(field))
        both = torch.stack((field, normal(2, 2, 9, seed=1)), 2)
        same(energy(both), (energy(both[:, :, 0]) + energy(both[:, :, 1])) / 2)


def test_straight_fields_are_free() -> None:
    row, column = torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")
    field = torch.stack((2 * row - column + 3, row + 0.5 * column))[None].double()
    same(bending_energy(field), [0.0])
    same(diffusion_energy(field), [(4 + 1 + 1 + 0.25) / 2])


def test_a_derivative_counts_with_all_its_pixels() -> None:
    field = normal(1, 2, 6, 7)
    mask = torch.ones(1, 1, 6, 7)
    mask[..., 4:] = 0
    holed = torch.where(mask > 0, field, torch.nan)
    same(bending_energy(holed, mask=mask)[0], mixed_and_straight(field[0].numpy(), 4))


def mixed_and_straight(field: np.ndarray, width: int) -> float:
    """The energy of a field of which the first columns are kept, term by term."""
    u = field[:, :, :width]
    down = (u[:, 2:] - 2 * u[:, 1:-1] + u[:, :-2])[:, :, 1:]
    along = (u[:, :, 2:] - 2 * u[:, :, 1:-1] + u[:, :, :-2])[:, 1:-1]
    mixed = (u[:, 2:, 2:] - u[:, 2:, :-2] - u[:, :-2, 2:] + u[:, :-2, :-2]) / 4
    return float((down**2).mean() + (along**2).mean() + 2 * (mixed**2).mean())


# --- all ---

CALLS: list[tuple[Any, tuple[Tensor, ...]]] = [
    (partial(lncc, window=3), (X, Y)),
    (mutual_information, (X, Y)),
    (bending_energy, (X,)),
    (diffusion_energy, (X,)),
]


@pytest.mark.parametrize(
    "name", ["lncc", "mutual_information", "bending_energy", "diffusion_energy"]
)
def test_examples_have_their_value(name: str) -> None:
    examples_hold(name)


@pytest.mark.parametrize(("loss", "inputs"), CALLS)
def test_gradients_are_derivatives(loss: Any, inputs: tuple[Tensor, ...]) -> None:
    small = [x[:, :2, :4, :5].contiguous() for x in inputs]
    is_derivative(loss, *small)


@pytest.mark.parametrize(("loss", "inputs"), CALLS)
def test_losses_compile_in_one_graph(loss: Any, inputs: tuple[Tensor, ...]) -> None:
    one_graph(loss, inputs, tuple(x[:1] for x in inputs))


def test_parameters_may_move() -> None:
    for name, value in (("eps", 1e-3), ("data_range", 2.0)):
        takes_tensor(partial(lncc, window=3), name, value, X, Y)
    takes_tensor(mutual_information, "spread", 0.6, X, Y)
