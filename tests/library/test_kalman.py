"""Overlap of boxes as distributions: against the Kalman gain of matrices."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from laws import examples_hold, graph_of_batches, is_derivative, same, uniform
from torch import Tensor

from lossdsl.library.kalman import kfiou

FORMS = ("linear", "exp", "log")


def rotated(count: int, seed: int) -> Tensor:
    made = uniform(count, 5, seed=seed)
    return torch.cat((4 * made[:, :2], 0.3 + 3 * made[:, 2:4], 4 * made[:, 4:] - 2), 1)


P, Y = rotated(60, 1), rotated(60, 2)


def covariance(box: Any) -> Any:
    _, _, w, h, angle = box
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ np.diag([w**2 / 4, h**2 / 4]) @ turn.T


def area(sigma: Any) -> float:
    return float(4 * np.sqrt(np.linalg.det(sigma)))


def overlap(a: Any, b: Any) -> float:
    first, second = covariance(a), covariance(b)
    gain = first @ np.linalg.inv(first + second)
    shared = area(first - gain @ first)
    return shared / (area(first) + area(second) - shared)


def test_examples_have_their_value() -> None:
    examples_hold("kfiou")


def test_the_overlap_is_that_of_the_kalman_filter() -> None:
    expected = np.array([overlap(a, b) for a, b in zip(P.numpy(), Y.numpy(), strict=True)])
    same(kfiou(P, Y), 1 - expected, rtol=1e-11)
    same(kfiou(P, Y, f="exp"), np.exp(1 - expected) - 1, rtol=1e-11)
    same(kfiou(P, Y, f="log"), -np.log(expected), rtol=1e-11)


def test_no_overlap_is_larger_than_that_of_equal_boxes() -> None:
    same(kfiou(P, P), np.full(60, 2 / 3))
    assert (kfiou(P, Y) >= 2 / 3).all()


def test_centres_turns_and_names_of_sides_do_not_matter() -> None:
    moved = torch.tensor([7.0, -3.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    same(kfiou(P + moved, Y), kfiou(P, Y))
    both = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.7], dtype=torch.float64)
    same(kfiou(P + both, Y + both), kfiou(P, Y), rtol=1e-11)
    quarter = torch.tensor([0.0, 0.0, 0.0, 0.0, math.pi / 2], dtype=torch.float64)
    same(kfiou(P[:, [0, 1, 3, 2, 4]] + quarter, Y), kfiou(P, Y), rtol=1e-11)
    same(kfiou(Y, P), kfiou(P, Y))


@pytest.mark.parametrize("f", FORMS)
def test_boxes_without_area_are_finite(f: Any) -> None:
    sides = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1e4, 1e4], [1e4, 0.0]])
    boxes = torch.cat((torch.zeros(4, 2), sides, torch.rand(4, 1)), 1)
    p, y = boxes.repeat(4, 1).requires_grad_(), boxes.repeat_interleave(4, 0)
    value = kfiou(p, y, f=f)
    (slope,) = torch.autograd.grad(value.sum(), p)
    assert value.isfinite().all()
    assert slope.isfinite().all()


@pytest.mark.parametrize("f", FORMS)
def test_gradients_are_derivatives(f: Any) -> None:
    is_derivative(partial(kfiou, f=f), P[:8], Y[:8])


@pytest.mark.parametrize("f", FORMS)
def test_compiles_in_one_graph(f: Any) -> None:
    graph_of_batches(partial(kfiou, f=f), lambda batch: (rotated(batch, 20), rotated(batch, 21)))
