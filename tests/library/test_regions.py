"""Weighted and mixed overlaps: against MONAI, scikit-learn and loops over pixels."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
from laws import (
    bits,
    distribution,
    examples_hold,
    graph_of_batches,
    is_derivative,
    labels,
    same,
    uniform,
)
from monai.losses import GeneralizedDiceLoss, MCCLoss
from torch import Tensor

from lossdsl.library.overlap import dice
from lossdsl.library.regions import generalized_dice, mcc, sensitivity_specificity

LOSSES = (generalized_dice, mcc, sensitivity_specificity)


def test_examples_have_their_value() -> None:
    examples_hold("generalized_dice", "mcc", "sensitivity_specificity")


def given(*shape: int) -> tuple[Tensor, Tensor]:
    return uniform(*shape), bits(*shape)


def one_hot(classes: int, *shape: int) -> Tensor:
    return torch.nn.functional.one_hot(labels(classes, *shape), classes).movedim(-1, 1).double()


@pytest.mark.parametrize("weights", ["square", "simple", "uniform"])
@pytest.mark.parametrize("background", [True, False])
def test_generalized_dice_is_that_of_monai(weights: Any, background: bool) -> None:
    p, y = distribution(4, 3, 6, 5), one_hot(3, 4, 6, 5)
    y[0, 1] = 0
    theirs = GeneralizedDiceLoss(
        include_background=background,
        w_type=weights,
        smooth_nr=0.0,
        smooth_dr=0.0,
        reduction="none",
    )(p, y)
    value = generalized_dice(p, y, smooth=0.0, weights=weights, background=background)
    # MONAI takes the weights in single precision.
    same(value, theirs.flatten(), rtol=1e-6)


@pytest.mark.parametrize(("weights", "power"), [("square", 2), ("simple", 1), ("uniform", 0)])
@pytest.mark.parametrize("smooth", [0.0, 1e-5, 0.3])
def test_generalized_dice_is_the_papers_formula(weights: Any, power: int, smooth: float) -> None:
    p, y = given(3, 4, 5, 6)
    for over, axes in (("image", (2, 3)), ("batch", (0, 2, 3))):
        how: Any = over
        volume = y.sum(axes).numpy()
        weight = 1 / volume**power
        weight = weight / weight.max(-1, keepdims=True)
        both, whole = (p * y).sum(axes).numpy(), (p + y).sum(axes).numpy()
        expected = 1 - (2 * (weight * both).sum(-1) + smooth) / ((weight * whole).sum(-1) + smooth)
        same(generalized_dice(p, y, weights=weights, smooth=smooth, over=how), expected)


def test_generalized_dice_of_one_class_is_dice() -> None:
    p, y = given(3, 1, 5, 6)
    same(generalized_dice(p, y), dice(p, y)[:, 0])
    same(generalized_dice(p, y, over="batch"), dice(p, y, over="batch")[0])


def test_an_image_without_any_class_is_not_free() -> None:
    p = torch.full((1, 1, 4), 0.5, dtype=torch.float64, requires_grad=True)
    value = generalized_dice(p, torch.zeros(1, 1, 4, dtype=torch.float64))
    value.backward()
    same(value.detach(), [1.0], rtol=1e-4)
    assert p.grad is not None
    assert (p.grad > 0).all()
    same(generalized_dice(torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)).double(), [0.0])


def test_large_volumes_stay_in_single_precision() -> None:
    y = torch.zeros(1, 2, 1200, 1200)
    y[0, 0], y[0, 1, 0, 0] = 1, 1
    value = generalized_dice(y, y)
    same(value.double(), [0.0])


@pytest.mark.parametrize("r", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("over", ["image", "batch", "all"])
def test_sensitivity_specificity_is_the_papers_formula(
    r: float, background: bool, over: Any
) -> None:
    p, y = given(3, 4, 5, 6)
    first = 0 if background else 1
    axes: tuple[int, ...] = {"image": (2, 3), "batch": (0, 2, 3), "all": (0, 1, 2, 3)}[over]
    q, t = p.numpy()[:, first:], y.numpy()[:, first:]
    error = (t - q) ** 2
    on, off = (error * t).sum(axes) / t.sum(axes), (error * (1 - t)).sum(axes) / (1 - t).sum(axes)
    value = sensitivity_specificity(p, y, r=r, over=over, background=background)
    same(value, r * on + (1 - r) * off)


def test_a_part_without_pixels_does_not_count() -> None:
    p = uniform(1, 1, 6)
    zero, one = torch.zeros(1, 1, 6).double(), torch.ones(1, 1, 6).double()
    same(sensitivity_specificity(p, zero, r=0.3), 0.7 * (p**2).mean(2))
    same(sensitivity_specificity(p, one, r=0.3), 0.3 * ((1 - p) ** 2).mean(2))


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("background", [True, False])
def test_mcc_is_that_of_monai(batch: bool, background: bool) -> None:
    p, y = given(3, 4, 5, 6)
    theirs = MCCLoss(include_background=background, smooth_dr=0.0, batch=batch, reduction="none")(
        p, y
    )
    over: Any = "batch" if batch else "image"
    same(mcc(p, y, smooth=0.0, over=over, background=background), theirs)


def test_mcc_of_hard_masks_is_that_of_scikit_learn() -> None:
    p, y = bits(3, 2, 40, seed=1), bits(3, 2, 40)
    expected = [
        [1 - sklearn.metrics.matthews_corrcoef(y[n, c], p[n, c]) for c in range(2)]
        for n in range(3)
    ]
    same(mcc(p, y, smooth=0.0), expected)
    same(mcc(y, y), torch.zeros(3, 2))
    same(mcc(1 - y, y, smooth=0.0), torch.full((3, 2), 2.0))


def test_smooth_moves_mcc_towards_zero() -> None:
    p, y = given(1, 1, 40)
    q, t = p.numpy(), y.numpy()
    covariance = (q * t).mean() - q.mean() * t.mean()
    spread = np.sqrt(q.mean() * (1 - q.mean()) * t.mean() * (1 - t.mean()))
    same(mcc(p, y, smooth=0.1), [[1 - (covariance + 0.1) / (spread + 0.1)]])


@pytest.mark.parametrize("loss", LOSSES)
def test_masked_pixels_are_as_if_they_were_not_there(loss: Any) -> None:
    p, y = given(2, 3, 10)
    mask = (torch.arange(10) < 6).double().expand(2, 1, 10)
    same(loss(p, y, mask=mask), loss(p[:, :, :6], y[:, :, :6]))


def test_gradients_are_derivatives() -> None:
    p, y = given(2, 3, 5)
    y[:, :, 0], y[:, :, 1] = 0, 1
    number = torch.tensor(0.2, dtype=torch.float64)
    for weights in ("square", "simple"):
        is_derivative(
            lambda p, n, w=weights: generalized_dice(p, y, smooth=n, weights=w), p, number
        )
    is_derivative(lambda p, y, n: sensitivity_specificity(p, y, r=n), p, y, number)
    is_derivative(lambda p, y, n: mcc(p, y, smooth=n), p, y, number)


@pytest.mark.parametrize(
    "loss", [*LOSSES, partial(generalized_dice, over="batch"), partial(mcc, background=False)]
)
def test_compiles_in_one_graph(loss: Any) -> None:
    graph_of_batches(loss, lambda batch: given(batch, 3, 4, 5))
