"""Further losses of upright boxes: against loops over pairs, and their identities."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from laws import examples_hold, graph_of_batches, is_derivative, same
from torch import Tensor

from lossdsl.library.box_shapes import alpha_iou, eiou, focal_eiou, log_iou, siou, wiou
from lossdsl.library.boxes import ciou, diou, giou, iou

NAMES = ("log_iou", "eiou", "focal_eiou", "siou", "alpha_iou", "wiou")
Loss = Callable[..., Tensor]
Box = list[float]


def random_boxes(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    low, size = torch.rand(2, *shape, 2, generator=generator, dtype=torch.float64)
    return scale * torch.cat([low, low + 0.05 + size], -1)


def grid(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Boxes with corners in {0, 1, 2, 3}: touching, nested, equal, empty, inverted."""
    generator = torch.Generator().manual_seed(11)
    p, y = torch.randint(0, 4, (2, 4000, 4), generator=generator).to(dtype)
    return p, y


def quotient(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def parts(p: Box, y: Box) -> dict[str, float]:
    """What the papers' formulas are made of, of one pair."""
    w, h = max(0.0, p[2] - p[0]), max(0.0, p[3] - p[1])
    v, g = max(0.0, y[2] - y[0]), max(0.0, y[3] - y[1])
    both_x = max(0.0, min(p[2], y[2]) - max(p[0], y[0]))
    both_y = max(0.0, min(p[3], y[3]) - max(p[1], y[1]))
    around_x = max(p[0::2] + y[0::2]) - min(p[0::2] + y[0::2])
    around_y = max(p[1::2] + y[1::2]) - min(p[1::2] + y[1::2])
    return {
        "iou": quotient(both_x * both_y, w * h + v * g - both_x * both_y),
        "dx": (p[0] + p[2]) / 2 - (y[0] + y[2]) / 2,
        "dy": (p[1] + p[3]) / 2 - (y[1] + y[3]) / 2,
        "cw": around_x,
        "ch": around_y,
        "w": w,
        "h": h,
        "v": v,
        "g": g,
    }


def paper(name: str, p: Box, y: Box) -> float:
    t = parts(p, y)
    away = t["dx"] ** 2 + t["dy"] ** 2
    diagonal = t["cw"] ** 2 + t["ch"] ** 2
    if name == "log_iou":
        return -math.log(max(t["iou"], 1e-6))
    if name == "wiou":
        return math.exp(quotient(away, diagonal)) * (1 - t["iou"])
    if name == "siou":
        sine = quotient(abs(t["dy"]), math.sqrt(away))
        angle = 1 - 2 * math.sin(math.asin(min(sine, 1.0)) - math.pi / 4) ** 2
        x, side = quotient(t["dx"], t["cw"]) ** 2, quotient(t["dy"], t["ch"]) ** 2
        distance = sum(1 - math.exp(-(2 - angle) * rho) for rho in (x, side))
        shape = sum(
            (1 - math.exp(-quotient(abs(a - b), max(a, b)))) ** 4
            for a, b in ((t["w"], t["v"]), (t["h"], t["g"]))
        )
        return 1 - t["iou"] + (distance + shape) / 2
    if name == "alpha_iou":
        return 1 - t["iou"] ** 3
    efficient = 1 - t["iou"] + quotient(away, diagonal)
    efficient += quotient(t["w"] - t["v"], t["cw"]) ** 2 + quotient(t["h"] - t["g"], t["ch"]) ** 2
    return efficient if name == "eiou" else t["iou"] ** 0.5 * efficient


LOSSES = (log_iou, eiou, focal_eiou, siou, alpha_iou, wiou)


def test_examples_have_their_value() -> None:
    examples_hold(*NAMES)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scale", [1.0, 1e-3, 640.0])
def test_value_is_the_papers(loss: Loss, scale: float) -> None:
    p, y = random_boxes(300, seed=1, scale=scale), random_boxes(300, seed=2, scale=scale)
    pairs = zip(p.tolist(), y.tolist(), strict=True)
    same(loss(p, y), [paper(loss.__name__, a, b) for a, b in pairs])


@pytest.mark.parametrize("loss", LOSSES)
def test_value_is_the_papers_at_every_coincidence_of_edges(loss: Loss) -> None:
    p, y = grid(torch.float64)
    pairs = zip(p.tolist(), y.tolist(), strict=True)
    same(loss(p, y), [paper(loss.__name__, a, b) for a, b in pairs])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e4])
def test_every_coincidence_of_edges_is_finite_in_single_precision(loss: Loss, scale: float) -> None:
    p, y = grid(torch.float32)
    p, y = (p * scale).requires_grad_(), (y * scale).requires_grad_()
    value = loss(p, y)
    value.sum().backward()
    assert value.isfinite().all()
    for box in (p, y):
        assert box.grad is not None
        assert box.grad.isfinite().all()


@pytest.mark.parametrize("loss", [log_iou, eiou, siou, alpha_iou])
def test_gradients_into_both_boxes_are_derivatives(loss: Loss) -> None:
    is_derivative(loss, random_boxes(2, 5, seed=5), random_boxes(2, 5, seed=6))


def test_gradients_of_parameters_are_derivatives() -> None:
    p, y = random_boxes(6, seed=5), random_boxes(6, seed=6)
    number = torch.tensor(2.5, dtype=torch.float64)
    is_derivative(lambda n: focal_eiou(p, y, gamma=n), number)
    is_derivative(lambda p, y, n: siou(p, y, theta=n), p, y, number)
    for penalty in ("giou", "diou"):
        is_derivative(lambda p, y, n, k=penalty: alpha_iou(p, y, alpha=n, penalty=k), p, y, number)


def test_the_weight_of_focal_eiou_has_no_gradient() -> None:
    p, y = random_boxes(40, seed=7).requires_grad_(), random_boxes(40, seed=8)
    weight = (1 - iou(p, y)).detach() ** 0.5
    (ours,) = torch.autograd.grad(focal_eiou(p, y).sum(), p)
    (theirs,) = torch.autograd.grad((weight * eiou(p, y)).sum(), p)
    same(ours, theirs)


def test_the_enclosing_box_of_wiou_has_no_gradient() -> None:
    p, y = random_boxes(40, seed=7).requires_grad_(), random_boxes(40, seed=8)
    around = torch.maximum(p[:, 2:], y[:, 2:]) - torch.minimum(p[:, :2], y[:, :2])
    diagonal = (around**2).sum(1).detach()
    away = ((p[:, :2] + p[:, 2:] - y[:, :2] - y[:, 2:]) ** 2).sum(1) / 4
    (ours,) = torch.autograd.grad(wiou(p, y).sum(), p)
    (theirs,) = torch.autograd.grad(((away / diagonal).exp() * iou(p, y)).sum(), p)
    same(ours, theirs)


def test_eiou_is_diou_for_equal_sides() -> None:
    p = random_boxes(50, seed=14)
    y = p + random_boxes(50, seed=15)[:, [0, 1, 0, 1]]
    same(eiou(p, y), diou(p, y))


def test_wiou_is_iou_for_equal_centres() -> None:
    p = random_boxes(50, seed=13)
    centre = (p[:, :2] + p[:, 2:]) / 2
    half = torch.rand(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = torch.cat([centre - half, centre + half], 1)
    same(wiou(p, y), iou(p, y))


def test_alpha_iou_with_power_one_is_the_loss_without() -> None:
    p, y = random_boxes(50, seed=16), random_boxes(50, seed=17)
    for penalty, plain in (("none", iou), ("giou", giou), ("diou", diou), ("ciou", ciou)):
        kind: Any = penalty
        same(alpha_iou(p, y, alpha=1.0, penalty=kind), plain(p, y))


def test_the_penalties_of_alpha_iou_are_powers() -> None:
    p, y = random_boxes(50, seed=16), random_boxes(50, seed=17)
    bent = 1 - (1 - iou(p, y)) ** 2.5
    for penalty, plain in (("giou", giou), ("diou", diou)):
        kind: Any = penalty
        extra = (plain(p, y) - iou(p, y)).clamp(min=0) ** 2.5
        same(alpha_iou(p, y, alpha=2.5, penalty=kind), bent + extra)
    extra = (diou(p, y) - iou(p, y)) ** 2.5 + (ciou(p, y) - diou(p, y)).clamp(min=0) ** 2.5
    same(alpha_iou(p, y, alpha=2.5, penalty="ciou"), bent + extra, rtol=1e-9)


def test_log_iou_is_the_logarithm_of_iou() -> None:
    p = random_boxes(50, seed=16)
    y = p + 0.02 * random_boxes(50, seed=17)
    overlap = 1 - iou(p, y)
    assert (overlap > 0.1).all()
    same(log_iou(p, y), -overlap.log(), rtol=1e-11)
    far = torch.tensor([[5.0, 5.0, 6.0, 6.0]], dtype=torch.float64)
    same(log_iou(p[:1], far, eps=1e-4), [-math.log(1e-4)])


@pytest.mark.parametrize("loss", LOSSES)
def test_identical_boxes_are_at_rest(loss: Loss) -> None:
    p = random_boxes(20, seed=9).requires_grad_()
    value = loss(p, p.detach().clone())
    value.sum().backward()
    same(value.detach(), torch.zeros(20))
    same(p.grad, torch.zeros(20, 4))


@pytest.mark.parametrize("loss", LOSSES)
def test_symmetric_and_free_of_place_and_scale(loss: Loss) -> None:
    p, y = random_boxes(50, seed=16), random_boxes(50, seed=17)
    same(loss(y, p), loss(p, y))
    same(loss(4 * p - 3, 4 * y - 3), loss(p, y), rtol=1e-11)


@pytest.mark.parametrize(
    "loss",
    [log_iou, eiou, focal_eiou, siou, partial(alpha_iou, penalty="ciou"), wiou],
)
def test_compiles_in_one_graph(loss: Any) -> None:
    graph_of_batches(
        loss, lambda batch: (random_boxes(batch, seed=20), random_boxes(batch, seed=21))
    )


def test_boxes_apart_are_pulled_together() -> None:
    p = torch.tensor([[0.0, 0.0, 1.0, 1.0]], requires_grad=True)
    y = torch.tensor([[3.0, 5.0, 4.0, 7.0]])
    for loss in (eiou, siou, wiou):
        (slope,) = torch.autograd.grad(loss(p, y).sum(), p)
        assert (slope[0, 2:] < 0).all(), loss.__name__
    for loss in (log_iou, focal_eiou):
        (slope,) = torch.autograd.grad(loss(p, y).sum(), p)
        np.testing.assert_array_equal(slope, 0.0)
