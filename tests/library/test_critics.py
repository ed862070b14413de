"""Relative scores, energies and texts that do not match: the papers' formulas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor
from scipy.special import log_expit
from torch import Tensor

import lossdsl
from lossdsl.library.critics import (
    ebgan_d,
    matching_aware_d,
    pulling_away,
    ragan_d,
    ragan_g,
    rpgan_d,
    rpgan_g,
)

Loss = Callable[..., Tensor]
NAMES = (
    "ragan_d",
    "ragan_g",
    "rpgan_d",
    "rpgan_g",
    "matching_aware_d",
    "ebgan_d",
    "pulling_away",
)
REAL, FAKE = normal(4, 3, seed=1, scale=2.0), normal(4, 3, seed=2, scale=2.0)


def test_the_average_is_of_the_other_side() -> None:
    bce = F.binary_cross_entropy_with_logits
    one, zero = torch.ones_like(REAL), torch.zeros_like(REAL)
    above, below = REAL - FAKE.mean(), FAKE - REAL.mean()
    same(ragan_d(REAL, FAKE), bce(above, one) + bce(below, zero))
    same(ragan_g(REAL, FAKE), bce(below, one) + bce(above, zero))


def test_the_game_is_symmetric() -> None:
    same(ragan_g(REAL, FAKE), ragan_d(FAKE, REAL))
    same(rpgan_g(REAL, FAKE), rpgan_d(FAKE, REAL))
    for loss in (ragan_d, ragan_g, rpgan_d, rpgan_g):
        same(loss(REAL + 5, FAKE + 5), loss(REAL, FAKE))


def test_the_others_are_the_papers() -> None:
    r, f = REAL.numpy(), FAKE.numpy()
    w = normal(4, 3, seed=3)
    same(rpgan_d(REAL, FAKE), -log_expit(r - f))
    expected = -log_expit(r) - 0.5 * (log_expit(-w.numpy()) + log_expit(-f))
    same(matching_aware_d(REAL, w, FAKE), expected)
    for margin in (0.5, 10.0):
        same(ebgan_d(REAL, FAKE, margin=margin), r + np.maximum(0, margin - f))


def test_pulling_away_is_a_mean_of_squared_cosines() -> None:
    x = normal(6, 4, seed=4)
    squares = [
        F.cosine_similarity(x[i], x[j], dim=0).item() ** 2
        for i in range(6)
        for j in range(6)
        if i != j
    ]
    same(pulling_away(x), np.mean(squares))
    assert pulling_away(torch.eye(4)).item() == 0
    assert pulling_away(x[:1]).item() == 0


def test_a_mask_leaves_scores_out_of_the_means() -> None:
    loss = lossdsl.compile("ragan_d(r, f, mask=m)", backend="eager")
    kept = torch.tensor([[True, False, True]] * 4)
    expected = ragan_d(REAL[kept], FAKE[kept])
    same(loss(r=REAL, f=FAKE, m=kept), expected)
    rows = torch.tensor([[True], [False], [True], [True], [False], [True]])
    x = normal(6, 4, seed=4)
    same(pulling_away(x, mask=rows.double()), pulling_away(x[rows[:, 0]]))


@pytest.mark.parametrize("loss", [ragan_d, ragan_g, rpgan_d, rpgan_g, ebgan_d])
def test_of_pairs(loss: Loss) -> None:
    is_derivative(loss, REAL, FAKE)
    one_graph(loss, (REAL, FAKE), (normal(7, 3, seed=5), normal(7, 3, seed=6)))


def test_of_one_and_of_three() -> None:
    is_derivative(pulling_away, REAL)
    is_derivative(matching_aware_d, REAL, FAKE, REAL + FAKE)
    one_graph(pulling_away, (REAL,), (normal(7, 3, seed=5),))
    one_graph(matching_aware_d, (REAL, FAKE, REAL), (REAL[:2], FAKE[:2], REAL[:2]))


def test_the_margin_may_move() -> None:
    takes_tensor(ebgan_d, "margin", 2.0, REAL, FAKE)


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    examples_hold(name)
