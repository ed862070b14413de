"""Compounds of overlap and cross entropy: against the papers' formulas, image by image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from laws import (
    bits,
    distribution,
    examples_hold,
    graph_of_batches,
    is_derivative,
    labels,
    normal,
    same,
)
from monai.losses import AsymmetricUnifiedFocalLoss
from torch import Tensor

from lossdsl.library.classification import bce
from lossdsl.library.compound import (
    combo,
    combo_of_prob,
    exp_log,
    exp_log_of_prob,
    unified_focal,
    unified_focal_of_prob,
)
from lossdsl.library.overlap import dice

FREQUENCY = [0.9, 0.09, 0.01]


def one_hot(classes: int, *shape: int) -> Tensor:
    return torch.nn.functional.one_hot(labels(classes, *shape), classes).movedim(-1, 1).double()


def test_examples_have_their_value() -> None:
    examples_hold("combo", "exp_log", "unified_focal")


@pytest.mark.parametrize(("alpha", "beta", "smooth"), [(0.5, 0.5, 1e-5), (0.3, 0.8, 1.0)])
def test_combo_is_the_papers_formula(alpha: float, beta: float, smooth: float) -> None:
    z, y = normal(3, 2, 4, 5, scale=2), bits(3, 2, 4, 5)
    expected = np.empty((3, 2))
    for n, c in np.ndindex(3, 2):
        p, t = z.sigmoid()[n, c].numpy(), y[n, c].numpy()
        entropy = -(beta * t * np.log(p) + (1 - beta) * (1 - t) * np.log(1 - p)).mean()
        overlap = (2 * (p * t).sum() + smooth) / (p.sum() + t.sum() + smooth)
        # The paper's value, and what is added to keep it above 0.
        expected[n, c] = alpha * entropy - (1 - alpha) * overlap + (1 - alpha)
    options = {"alpha": alpha, "beta": beta, "smooth": smooth}
    same(combo(z, y, **options), expected)
    same(combo_of_prob(z.sigmoid(), y, **options), expected)


def test_combo_is_a_sum_of_two_losses() -> None:
    z, y = normal(3, 2, 20), bits(3, 2, 20)
    same(combo(z, y), 0.25 * bce(z, y).mean(2) + 0.5 * dice(z.sigmoid(), y))
    same(combo(z, y, alpha=0.0), dice(z.sigmoid(), y))
    same(combo(z, y, alpha=1.0), 0.5 * bce(z, y).mean(2))


@pytest.mark.parametrize("share", [0.8, 0.0, 1.0])
@pytest.mark.parametrize(("gamma_dice", "gamma_ce"), [(0.3, 0.3), (1.0, 2.0)])
@pytest.mark.parametrize("frequency", [None, FREQUENCY])
def test_exp_log_is_the_papers_formula(
    share: float, gamma_dice: float, gamma_ce: float, frequency: list[float] | None
) -> None:
    z, y = normal(4, 3, 5, 6, scale=2), one_hot(3, 4, 5, 6)
    weight = [1.0] * 3 if frequency is None else [math.sqrt(1.0 / f) for f in FREQUENCY]
    expected = []
    for n in range(4):
        p, t = z.softmax(1)[n].numpy(), y[n].numpy()
        overlap = [(2 * (p[c] * t[c]).sum() + 1) / ((p[c] + t[c]).sum() + 1) for c in range(3)]
        region = np.mean([(-math.log(d)) ** gamma_dice for d in overlap])
        cost = np.mean(
            [
                weight[int(t[:, i, j].argmax())]
                * (-math.log(p[t[:, i, j].argmax(), i, j])) ** gamma_ce
                for i, j in np.ndindex(5, 6)
            ]
        )
        expected.append(share * region + (1 - share) * cost)
    options: dict[str, Any] = {
        "dice_share": share,
        "gamma_dice": gamma_dice,
        "gamma_ce": gamma_ce,
        "frequency": frequency,
    }
    same(exp_log(z.log_softmax(1), y, **options), expected)
    same(exp_log_of_prob(z.softmax(1), y, **options), expected)


@pytest.mark.parametrize(
    ("weight", "delta", "gamma"), [(0.5, 0.6, 0.5), (0.2, 0.7, 0.0), (1, 0.3, 0.9)]
)
@pytest.mark.parametrize("classes", [2, 4])
def test_unified_focal_is_the_papers_formula(
    weight: float, delta: float, gamma: float, classes: int
) -> None:
    z, y = normal(3, classes, 5, 6, scale=2), one_hot(classes, 3, 5, 6)
    smooth = 1e-5
    expected = []
    for n in range(3):
        p, t = z.softmax(1)[n].numpy(), y[n].numpy()
        entropy = -t * np.log(p)
        entropy[0] *= (1 - delta) * (1 - p[0]) ** gamma
        entropy[1:] *= delta
        index = []
        for c in range(classes):
            both, missed = (p[c] * t[c]).sum(), (t[c] * (1 - p[c])).sum()
            extra = (p[c] * (1 - t[c])).sum()
            ratio = (both + smooth) / (both + delta * missed + (1 - delta) * extra + smooth)
            index.append((1 - ratio) ** (1 if c == 0 else 1 - gamma))
        expected.append(weight * entropy.sum(0).mean() + (1 - weight) * np.mean(index))
    options = {"weight_ce": weight, "delta": delta, "gamma": gamma, "smooth": smooth}
    same(unified_focal(z.log_softmax(1), y, **options), expected)
    same(unified_focal_of_prob(z.softmax(1), y, **options), expected)


def test_unified_focal_is_that_of_monai() -> None:
    p, y = distribution(1, 2, 8, 8), one_hot(2, 1, 8, 8)
    # MONAI's cross entropy is the mean over classes, which is half of the sum over two.
    theirs = AsymmetricUnifiedFocalLoss(weight=0.5, gamma=0.5, delta=0.7)(p, y)
    region = unified_focal_of_prob(p, y, weight_ce=0.0, delta=0.7)
    pixelwise = unified_focal_of_prob(p, y, weight_ce=1.0, delta=0.7)
    same((0.5 * pixelwise / 2 + 0.5 * region)[0], theirs, rtol=1e-5)


@pytest.mark.parametrize("loss", [combo, exp_log_of_prob, unified_focal_of_prob])
def test_masked_pixels_are_as_if_they_were_not_there(loss: Any) -> None:
    p = normal(2, 3, 10) if loss is combo else distribution(2, 3, 10)
    y = one_hot(3, 2, 10)
    mask = (torch.arange(10) < 6).double().expand(2, 1, 10)
    same(loss(p, y, mask=mask), loss(p[:, :, :6], y[:, :, :6]))


@pytest.mark.parametrize("loss", [exp_log, unified_focal])
def test_a_perfect_match_costs_nothing_and_pulls_nowhere(loss: Any) -> None:
    y = one_hot(3, 2, 10)
    z = (2e4 * y - 1e4).requires_grad_()
    value = loss(z.log_softmax(1), y)
    value.sum().backward()
    same(value.detach(), [0.0, 0.0])
    same(z.grad, torch.zeros(2, 3, 10))


def test_gradients_are_derivatives() -> None:
    z, y = normal(2, 3, 4), one_hot(3, 2, 4)
    number = torch.tensor(0.6, dtype=torch.float64)
    for loss, p in ((combo, z), (combo_of_prob, z.sigmoid())):
        is_derivative(lambda p, n, f=loss: f(p, y, alpha=n, beta=n / 2, smooth=n), p, number)
    for loss, p in ((exp_log, z.log_softmax(1)), (exp_log_of_prob, z.softmax(1))):
        is_derivative(
            lambda p, n, f=loss: f(p, y, dice_share=n, gamma_dice=n, gamma_ce=n, smooth=n),
            p,
            number,
        )
    for loss, p in ((unified_focal, z.log_softmax(1)), (unified_focal_of_prob, z.softmax(1))):
        is_derivative(
            lambda p, n, f=loss: f(p, y, weight_ce=n, delta=n, gamma=n, smooth=n), p, number
        )


@pytest.mark.parametrize("loss", [combo_of_prob, exp_log_of_prob, unified_focal_of_prob])
def test_compiles_in_one_graph(loss: Any) -> None:
    graph_of_batches(loss, lambda batch: (distribution(batch, 3, 4), one_hot(3, batch, 4)))


@pytest.mark.parametrize("loss", [combo, exp_log, unified_focal])
def test_scores_compile_in_one_graph(loss: Any) -> None:
    graph_of_batches(loss, lambda batch: (normal(batch, 3, 4).log_softmax(1), one_hot(3, batch, 4)))
