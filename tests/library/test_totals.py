"""Sums of squares: against NumPy, and at vanishing errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from laws import examples_hold, is_derivative, normal, one_graph, same

from lossdsl.library.registry import find
from lossdsl.library.regression import mse
from lossdsl.library.totals import euclidean, rel_l2, sse


@pytest.mark.parametrize("name", ["euclidean", "sse", "rel_l2"])
def test_examples_have_their_value(name: str) -> None:
    examples_hold(name)


@pytest.mark.parametrize("shape", [(6,), (6, 3), (6, 3, 4, 2)])
def test_values_are_those_of_numpy(shape: tuple[int, ...]) -> None:
    p, y = normal(*shape, seed=1), normal(*shape, seed=2)
    flat, target = p.numpy().reshape(6, -1), y.numpy().reshape(6, -1)
    distance = np.linalg.norm(flat - target, axis=1)
    same(euclidean(p, y), distance**2 / 2)
    same(rel_l2(p, y), distance / np.linalg.norm(target, axis=1))
    same(sse(p, y), (distance**2).sum())


def test_sums_are_multiples_of_the_mean() -> None:
    p, y = normal(5, 8, seed=1), normal(5, 8, seed=2)
    same(euclidean(p, y).mean(), 4 * mse(p, y).mean())
    same(sse(p, y), 40 * mse(p, y).mean())
    assert find("pmse") is find("mse")


def test_a_mask_leaves_terms_out_of_the_sum() -> None:
    p, y = normal(5, 8, seed=1), normal(5, 8, seed=2)
    kept = torch.arange(8) % 3 > 0
    same(sse(p, y, mask=kept.double()), sse(p[:, kept], y[:, kept]))


def test_relative_error_does_not_depend_on_the_scale() -> None:
    p, y = normal(5, 8, seed=1), normal(5, 8, seed=2)
    same(rel_l2(1e-7 * p, 1e-7 * y), rel_l2(p, y))


def test_gradients_are_derivatives_and_vanish_with_the_error() -> None:
    p, y = normal(4, 3, seed=1), normal(4, 3, seed=2)
    for loss in (euclidean, sse, rel_l2):
        is_derivative(loss, p, y)
        equal = y.clone().requires_grad_()
        loss(equal, y).sum().backward()
        assert equal.grad is not None
        assert not equal.grad.any()


@pytest.mark.parametrize("loss", [euclidean, sse, rel_l2])
def test_compiles_in_one_graph(loss: object) -> None:
    one_graph(loss, *((normal(n, 3, seed=1), normal(n, 3, seed=2)) for n in (4, 6)))
