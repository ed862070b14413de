"""Boxes as distributions: against matrix roots, inverses and PyTorch's distributions."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from laws import examples_hold, graph_of_batches, is_derivative, same
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

import lossdsl
from lossdsl.library.gaussian_boxes import gwd, kld_box, nwd, prob_iou

ROTATED = (gwd, kld_box, prob_iou)


def rotated(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    made = torch.rand(*shape, 5, generator=generator, dtype=torch.float64)
    centre, sides, angle = made.split((2, 2, 1), -1)
    return torch.cat((4 * centre, 0.3 + 3 * sides, 4 * angle - 2), -1)


def covariance(box: Any, share: float) -> Any:
    """R diag(w² share, h² share) Rᵀ."""
    _, _, w, h, angle = box
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ np.diag([w**2 * share, h**2 * share]) @ turn.T


def squared_wasserstein(a: Any, b: Any) -> float:
    first, second = covariance(a, 0.25), covariance(b, 0.25)
    root = scipy.linalg.sqrtm(first)
    cross = scipy.linalg.sqrtm(root @ second @ root).real
    return float(((a[:2] - b[:2]) ** 2).sum() + np.trace(first + second - 2 * cross))


def divergence(a: Any, b: Any) -> float:
    """KL of the second box from the first."""
    first, second = (
        MultivariateNormal(torch.tensor(x[:2]), torch.tensor(covariance(x, 0.25))) for x in (a, b)
    )
    return float(kl_divergence(second, first))


def bhattacharyya(a: Any, b: Any) -> float:
    first, second = covariance(a, 1 / 12), covariance(b, 1 / 12)
    middle = (first + second) / 2
    away = a[:2] - b[:2]
    sizes = np.sqrt(np.linalg.det(first) * np.linalg.det(second))
    return float(
        away @ np.linalg.inv(middle) @ away / 8 + 0.5 * np.log(np.linalg.det(middle) / sizes)
    )


def test_examples_have_their_value() -> None:
    examples_hold("gwd", "kld_box", "prob_iou", "nwd")


@pytest.mark.parametrize("tau", [1.0, 2.5])
def test_distances_of_rotated_boxes_are_those_of_matrices(tau: float) -> None:
    p, y = rotated(60, seed=1), rotated(60, seed=2)
    pairs = list(zip(p.numpy(), y.numpy(), strict=True))
    for loss, distance in ((gwd, squared_wasserstein), (kld_box, divergence)):
        exact = np.array([distance(a, b) for a, b in pairs])
        same(loss(p, y, tau=tau), 1 - 1 / (tau + np.log1p(exact)), rtol=1e-10)
        same(loss(p, y, tau=tau, f="sqrt"), 1 - 1 / (tau + np.sqrt(exact)), rtol=1e-10)
    exact = np.array([bhattacharyya(a, b) for a, b in pairs])
    same(prob_iou(p, y), np.sqrt(1 - np.exp(-exact)), rtol=1e-10)


def test_gwd_of_upright_boxes_is_the_closed_form() -> None:
    p, y = rotated(60, seed=1), rotated(60, seed=2)
    p[:, 4] = y[:, 4] = 0
    d = ((p[:, :2] - y[:, :2]) ** 2).sum(1) + ((p[:, 2:4] - y[:, 2:4]) ** 2).sum(1) / 4
    same(gwd(p, y), 1 - 1 / (1 + torch.log1p(d)))


@pytest.mark.parametrize("scale", [12.8, 3.0])
def test_nwd_is_the_papers_formula(scale: float) -> None:
    p, y = rotated(60, seed=1), rotated(60, seed=2)
    halved = torch.tensor([1.0, 1.0, 0.5, 0.5], dtype=torch.float64)
    away = torch.linalg.vector_norm((p[:, :4] - y[:, :4]) * halved, dim=1)
    corners = [torch.cat((x[:, :2] - x[:, 2:4] / 2, x[:, :2] + x[:, 2:4] / 2), 1) for x in (p, y)]
    same(nwd(*corners, scale=scale), 1 - torch.exp(-away / scale))


@pytest.mark.parametrize("loss", ROTATED)
def test_names_of_sides_and_half_turns_do_not_matter(loss: Any) -> None:
    p, y = rotated(60, seed=1), rotated(60, seed=2)
    quarter = torch.tensor([0, 0, 0, 0, math.pi / 2], dtype=torch.float64)
    turned = p[:, [0, 1, 3, 2, 4]] + quarter
    same(loss(turned, y), loss(p, y), rtol=1e-11)
    same(loss(p + 2 * quarter, y), loss(p, y), rtol=1e-11)
    same(loss(p * torch.tensor([1, 1, -1, 1, 1]), y), loss(p, y))


@pytest.mark.parametrize("loss", ROTATED)
def test_turning_the_plane_changes_nothing(loss: Any) -> None:
    p, y = rotated(60, seed=1), rotated(60, seed=2)

    def turn(x: Tensor) -> Tensor:
        cosine, sine = math.cos(0.7), math.sin(0.7)
        a, b, w, h, angle = x.unbind(1)
        return torch.stack((cosine * a - sine * b, sine * a + cosine * b, w, h, angle + 0.7), 1)

    same(loss(turn(p), turn(y)), loss(p, y), rtol=1e-11)


@pytest.mark.parametrize("loss", [gwd, prob_iou])
def test_symmetric(loss: Any) -> None:
    p, y = rotated(60, seed=1), rotated(60, seed=2)
    same(loss(y, p), loss(p, y))


@pytest.mark.parametrize("loss", [*ROTATED, partial(gwd, f="sqrt"), partial(kld_box, f="sqrt")])
def test_identical_boxes_are_at_rest(loss: Any) -> None:
    for dtype in (torch.float64, torch.float32):
        p = rotated(60, seed=1).to(dtype).requires_grad_()
        value = loss(p, p.detach().clone())
        value.sum().backward()
        assert p.grad is not None
        assert value.abs().max() < 1e-3
        assert p.grad.isfinite().all()
        if dtype == torch.float64 and loss in (gwd, kld_box):
            same(value, torch.zeros(60), atol=1e-14)
            same(p.grad, torch.zeros(60, 5), atol=1e-13)


def test_gwd_keeps_its_digits_where_boxes_nearly_agree() -> None:
    p = rotated(60, seed=1)
    y = p + 1e-3 * (rotated(60, seed=2) - 1)
    p, y = p.float(), y.float()
    torch.testing.assert_close(gwd(p, y).double(), gwd(p.double(), y.double()), rtol=1e-5, atol=0)


@pytest.mark.parametrize("loss", [*ROTATED, partial(gwd, f="sqrt"), partial(kld_box, f="sqrt")])
@pytest.mark.parametrize("far", [1.0, 1e4])
def test_boxes_without_area_are_finite(loss: Any, far: float) -> None:
    boxes = torch.tensor(
        [
            [0.0, 0.0, 0.0, 0.0, 0.0],
            [far, far, 0.0, 0.0, 1.0],
            [far, 0.0, 1.0, 0.0, 0.5],
            [0.0, far, 0.0, 1.0, 0.5],
            [0.0, far, far, 1.0, -0.5],
        ]
    )
    p, y = boxes.repeat(5, 1).requires_grad_(), boxes.repeat_interleave(5, 0).requires_grad_()
    value = loss(p, y)
    value.sum().backward()
    assert value.isfinite().all()
    for box in (p, y):
        assert box.grad is not None
        assert box.grad.isfinite().all()


def test_gradients_are_derivatives() -> None:
    p, y = rotated(8, seed=1), rotated(8, seed=2)
    number = torch.tensor(1.5, dtype=torch.float64)
    for loss in (gwd, kld_box):
        for f in ("log1p", "sqrt"):
            is_derivative(lambda p, y, n, g=loss, f=f: g(p, y, tau=n, f=f), p, y, number)
    is_derivative(prob_iou, p, y)
    upright = [torch.cat((x[:, :2], x[:, :2] + x[:, 2:4]), 1) for x in (p, y)]
    is_derivative(lambda p, y, n: nwd(p, y, scale=n), *upright, number)


@pytest.mark.parametrize("loss", [*ROTATED, partial(gwd, f="sqrt")])
def test_compiles_in_one_graph(loss: Any) -> None:
    graph_of_batches(loss, lambda batch: (rotated(batch, seed=20), rotated(batch, seed=21)))


def test_nwd_compiles_in_one_graph() -> None:
    def arguments(batch: int) -> tuple[Tensor, Tensor]:
        p, y = rotated(batch, seed=20), rotated(batch, seed=21)
        return (
            torch.cat((p[:, :2], p[:, :2] + p[:, 2:4]), 1),
            torch.cat((y[:, :2], y[:, :2] + y[:, 2:4]), 1),
        )

    graph_of_batches(nwd, arguments)


def test_declared_rotated_boxes_are_taken() -> None:
    loss = lossdsl.compile(
        "input p: boxes(xywhr)[N, 5]\ninput y: boxes(xywhr)[N, 5]\ngwd(p, y)", backend="eager"
    )
    p, y = rotated(6, seed=1), rotated(6, seed=2)
    same(loss(p, y), gwd(p, y).mean())
