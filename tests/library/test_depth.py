"""Depth: against Eigen's formula."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from laws import examples_hold, is_derivative, one_graph, positive, same, takes_tensor, uniform

from lossdsl.library.depth import silog

P, Y = positive(3, 4, 5, seed=1), positive(3, 4, 5, seed=2)


@pytest.mark.parametrize("forgiven", [0.0, 0.5, 0.85, 1.0])
def test_silog_is_the_papers_formula(forgiven: float) -> None:
    d = (P.log() - Y.log()).numpy().reshape(3, -1)
    expected = (d**2).mean(1) - forgiven * d.mean(1) ** 2
    same(silog(P, Y, forgiven=forgiven), expected)
    same(silog(P, Y, forgiven=forgiven, root=True), np.sqrt(expected))


def test_with_all_forgiven_it_is_the_errors_of_pairs() -> None:
    ours, theirs = P.log().numpy().reshape(3, -1), Y.log().numpy().reshape(3, -1)
    expected = []
    for p, y in zip(ours, theirs, strict=True):
        pairs = (p[:, None] - p) - (y[:, None] - y)
        expected.append((pairs**2).sum() / (2 * p.size**2))
    same(silog(P, Y, forgiven=1.0), expected)
    same(silog(7 * P, Y, forgiven=1.0), expected)


def test_hidden_pixels_do_not_count() -> None:
    mask = uniform(3, 4, 5).round()
    holed = torch.where(mask > 0, P, torch.nan)
    empty = torch.where(mask > 0, Y, 0.0)
    for n in range(3):
        kept = mask[n] > 0
        expected = silog(P[n][kept][None], Y[n][kept][None])
        same(silog(holed, empty, mask=mask)[n], expected[0])
    assert not silog(P, Y, mask=torch.zeros(3, 4, 5)).any()


@pytest.mark.parametrize("root", [False, True])
def test_a_depth_that_is_met_is_at_rest(root: bool) -> None:
    p = P.clone().requires_grad_()
    value = silog(p, P, root=root)
    (slope,) = torch.autograd.grad(value.sum(), p)
    assert not value.any()
    assert not slope.any()


def test_examples_have_their_value() -> None:
    examples_hold("silog")


def test_gradients_are_derivatives() -> None:
    is_derivative(silog, P, Y)
    is_derivative(partial(silog, root=True), P, Y)


def test_the_share_may_move() -> None:
    takes_tensor(silog, "forgiven", 0.7, P, Y)


def test_it_compiles_in_one_graph() -> None:
    one_graph(silog, (P, Y), (P[:2], Y[:2]))
