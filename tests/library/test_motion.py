"""Tracking and motion: against SciPy, kornia, NumPy loops, and as laws."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import kornia
import numpy as np
import pytest
import scipy.ndimage
import scipy.spatial.distance
import torch
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor, uniform
from torch import Tensor

import lossdsl
from lossdsl.library.flow import edge_smoothness, epe, motion_consistency
from lossdsl.library.image import tv
from lossdsl.library.motion import cross_correlation, mahalanobis, temporal_consistency

Loss = Callable[..., Tensor]
NAMES = (
    "mahalanobis",
    "cross_correlation",
    "temporal_consistency",
    "epe",
    "edge_smoothness",
    "motion_consistency",
)
A, B = normal(6, 4, seed=1), normal(6, 4, seed=2)
ROOT = normal(4, 4, seed=3)
S = ROOT @ ROOT.T + torch.eye(4)
FIELD, IMAGE = normal(2, 2, 6, 7, seed=4), uniform(2, 3, 6, 7, seed=5)
BEFORE, FLOW = uniform(2, 3, 6, 7, seed=6), normal(2, 2, 6, 7, seed=7)


def test_mahalanobis_is_that_of_scipy() -> None:
    inverse = np.linalg.inv(S.numpy())
    expected = [
        scipy.spatial.distance.mahalanobis(a, b, inverse)
        for a, b in zip(A.numpy(), B.numpy(), strict=True)
    ]
    same(mahalanobis(A, B, S, squared=False), expected, rtol=1e-11)
    same(mahalanobis(A, B, S), np.square(expected), rtol=1e-11)
    same(mahalanobis(A, B, torch.eye(4).double()), ((A - B) ** 2).sum(1))


def test_mahalanobis_does_not_know_the_units() -> None:
    change = normal(4, 4, seed=8)
    same(mahalanobis(A @ change.T, B @ change.T, change @ S @ change.T), mahalanobis(A, B, S), 1e-9)


def test_the_distance_at_the_mean_has_gradient_zero() -> None:
    x = A.clone().requires_grad_()
    (slope,) = torch.autograd.grad(mahalanobis(x, A, S, squared=False).sum(), x)
    assert not slope.any()


@pytest.mark.parametrize("balanced", [False, True])
def test_cross_correlation_is_a_logistic_loss(balanced: bool) -> None:
    p = normal(3, 1, 5, 6, seed=9)
    y = torch.where(uniform(3, 1, 5, 6, seed=10) > 0.8, 1.0, -1.0).double()
    expected = []
    for v, sign in zip(p.numpy(), y.numpy(), strict=True):
        cost = np.logaddexp(0, -sign * v)
        parts = (cost[sign > 0].mean(), cost[sign < 0].mean())
        expected.append(np.mean(parts) if balanced else cost.mean())
    same(cross_correlation(p, y, balanced=balanced), expected)


def test_a_map_of_one_sign_is_a_plain_mean() -> None:
    p = normal(3, 1, 5, 6, seed=9)
    for sign in (1.0, -1.0):
        y = torch.full_like(p, sign)
        same(cross_correlation(p, y), cross_correlation(p, y, balanced=False))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("p", ["l1", "l2"])
def test_temporal_consistency_is_a_mean_of_differences(order: int, p: str) -> None:
    x = normal(2, 6, 3, 2, seed=11)
    difference = np.diff(x.numpy(), n=order, axis=1)
    size = np.abs(difference) if p == "l1" else difference**2
    same(temporal_consistency(x, order=order, p=p), size.mean((1, 2, 3)))


def test_steady_motion_is_consistent() -> None:
    t = torch.arange(5).double()[None, :, None]
    assert temporal_consistency(2 * t + 1, order=2).item() == 0
    assert temporal_consistency(2 * t + 1).item() == 2
    for order in (1, 2):
        assert temporal_consistency(t[:, :order], order=order).item() == 0


def test_temporal_consistency_counts_whole_differences() -> None:
    x = normal(1, 6, 1, seed=12)
    mask = torch.tensor([1.0, 1, 0, 1, 1, 1]).double()[None, :, None]
    steps = np.abs(np.diff(x[0, :, 0].numpy()))
    same(temporal_consistency(x, mask=mask), [steps[[0, 3, 4]].mean()])
    second = np.abs(np.diff(x[0, :, 0].numpy(), n=2))
    same(temporal_consistency(x, order=2, mask=mask), [second[3]])


def test_epe_is_a_mean_of_lengths() -> None:
    target = normal(2, 2, 6, 7, seed=13)
    length = np.linalg.norm((FIELD - target).numpy(), axis=1)
    same(epe(FIELD, target), length.mean((1, 2)))
    mask = (uniform(2, 1, 6, 7, seed=14) > 0.5).double()
    kept = mask[:, 0].numpy() > 0
    expected = [part[keep].mean() for part, keep in zip(length, kept, strict=True)]
    same(epe(FIELD, target, mask=mask), expected)
    x = FIELD.clone().requires_grad_()
    (slope,) = torch.autograd.grad(epe(x, FIELD).sum(), x)
    assert not slope.any()


def test_edge_smoothness_is_that_of_kornia() -> None:
    depth, image = uniform(1, 1, 6, 7, seed=15), IMAGE[:1]
    expected = kornia.losses.inverse_depth_smoothness_loss(depth, image)
    same(edge_smoothness(depth, image)[0], expected)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 10.0])
def test_edge_smoothness_is_that_of_loops(alpha: float) -> None:
    field, image = FIELD.numpy(), IMAGE.numpy()
    expected = np.zeros(2)
    for axis in (2, 3):
        edges = np.abs(np.diff(image, axis=axis)).mean(1, keepdims=True)
        cost = np.abs(np.diff(field, axis=axis)) * np.exp(-alpha * edges)
        expected += cost.mean((1, 2, 3))
    same(edge_smoothness(FIELD, IMAGE, alpha=alpha), expected)
    same(edge_smoothness(FIELD, 255 * IMAGE, alpha=alpha, data_range=255.0), expected)


def test_smoothness_without_an_image_is_total_variation() -> None:
    same(edge_smoothness(FIELD, IMAGE, alpha=0.0), tv(FIELD))
    same(edge_smoothness(FIELD, torch.ones_like(IMAGE)), tv(FIELD))


def test_motion_consistency_reads_between_pixels() -> None:
    rows, columns = np.mgrid[0:6, 0:7].astype(float)
    expected = []
    for current, previous, flow in zip(IMAGE.numpy(), BEFORE.numpy(), FLOW.numpy(), strict=True):
        y, x = rows + flow[1], columns + flow[0]
        inside = (x >= 0) & (x <= 6) & (y >= 0) & (y <= 5)
        read = np.array(
            [scipy.ndimage.map_coordinates(c, [y, x], order=1, mode="nearest") for c in previous]
        )
        expected.append(np.abs(current - read)[:, inside].mean())
    same(motion_consistency(IMAGE, BEFORE, FLOW), expected, rtol=1e-11)


def test_without_motion_frames_are_compared_in_place() -> None:
    still = torch.zeros(2, 2, 6, 7).double()
    same(motion_consistency(IMAGE, BEFORE, still), (IMAGE - BEFORE).abs().mean((1, 2, 3)))
    shifted = IMAGE.roll(1, -1)
    right = torch.stack([torch.ones(6, 7), torch.zeros(6, 7)]).double().expand(2, 2, 6, 7)
    same(motion_consistency(IMAGE, shifted, right), [0.0, 0.0], atol=1e-14)


def test_a_flow_out_of_the_frame_does_not_count() -> None:
    away = torch.full((2, 2, 6, 7), 100.0).double()
    assert not motion_consistency(IMAGE, BEFORE, away).any()


def test_a_mask_is_one_of_pixels() -> None:
    loss = lossdsl.compile("epe(u, v, mask=m)", backend="eager")
    u, v = FIELD, normal(2, 2, 6, 7, seed=13)
    m = uniform(2, 6, 7, seed=14) > 0.5
    same(loss(u=u, v=v, m=m), epe(u, v, mask=m[:, None].double()).mean())


# --- gradients, compilation, records ---


def signed(p: Tensor) -> Tensor:
    return cross_correlation(p, torch.where(p.detach() > 0.3, 1.0, -1.0))


CASES = (
    (mahalanobis, (A, B, S)),
    (partial(mahalanobis, squared=False), (A, B, S)),
    (signed, (FIELD,)),
    (partial(temporal_consistency, order=2, p="l2"), (FIELD,)),
    (temporal_consistency, (FIELD,)),
    (epe, (FIELD, FLOW)),
    (lambda d: edge_smoothness(d, IMAGE), (FIELD,)),
    (motion_consistency, (IMAGE, BEFORE, FLOW)),
)


@pytest.mark.parametrize(("loss", "given"), CASES)
def test_gradients_are_derivatives(loss: Loss, given: tuple[Tensor, ...]) -> None:
    is_derivative(loss, *given)


@pytest.mark.parametrize(
    ("loss", "count"),
    [
        (signed, 1),
        (partial(temporal_consistency, order=2), 1),
        (epe, 2),
        (edge_smoothness, 2),
        (lambda x, f: motion_consistency(x, x.flip(0), f), 2),
    ],
)
def test_one_graph(loss: Loss, count: int) -> None:
    others = normal(3, 2, 5, 8, seed=16), normal(3, 2, 5, 8, seed=17)
    one_graph(loss, (FIELD, FLOW)[:count], others[:count])


def test_mahalanobis_is_one_graph() -> None:
    one_graph(mahalanobis, (A, B, S), (A[:3], B[:3], S))


def test_parameters_may_move() -> None:
    takes_tensor(edge_smoothness, "alpha", 2.0, FIELD, IMAGE)
    takes_tensor(edge_smoothness, "data_range", 2.0, FIELD, IMAGE)


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    examples_hold(name)
