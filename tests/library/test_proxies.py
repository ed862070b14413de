"""Losses of class vectors: against pytorch_metric_learning, and the papers' formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor
from pytorch_metric_learning import losses as their_losses
from torch import Tensor

import lossdsl
from lossdsl.library.class_vectors import arcface, center, cosface, multiple_angle, sphereface
from lossdsl.library.proxies import proxy_anchor, proxy_nca

Loss = Callable[..., Tensor]
NAMES = ("center", "arcface", "cosface", "sphereface", "proxy_nca", "proxy_anchor")
FUNCTIONS = (
    center,
    partial(arcface, scale=4.0),
    partial(cosface, scale=4.0),
    sphereface,
    proxy_nca,
    partial(proxy_nca, own=True),
    proxy_anchor,
)
Y = torch.tensor([0, 2, 1, 2, 0, 3, 1, 2])
X, W = normal(8, 5, seed=1), normal(4, 5, seed=2)


def theirs(loss: Any, attribute: str, weight: Tensor = W) -> Any:
    setattr(loss, attribute, torch.nn.Parameter(weight.clone()))
    return loss


@pytest.mark.parametrize("margin", [0.0, 0.3, 0.5, 1.5])
def test_arcface_is_theirs(margin: float) -> None:
    made = their_losses.ArcFaceLoss(4, 5, margin=math.degrees(margin), scale=16)
    expected = theirs(made, "W", W.T)(X, Y)
    same(arcface(X, Y, W, margin=margin, scale=16.0).mean(), expected, rtol=1e-9)


def test_arcface_goes_on_falling_behind_the_turn() -> None:
    angle = torch.linspace(0.01, math.pi - 0.01, 50, dtype=torch.float64)
    x = torch.stack([angle.cos(), angle.sin()], 1)
    w = torch.tensor([[1.0, 0.0], [0.0, -1.0]]).double()
    y = torch.zeros(50, dtype=torch.int64)
    own = torch.where(
        angle + 0.5 <= math.pi, (angle + 0.5).cos(), angle.cos() - 0.5 * math.sin(0.5)
    )
    scores = torch.stack([own, -angle.sin()], 1)
    same(arcface(x, y, w, scale=1.0), F.cross_entropy(scores, y, reduction="none"))


@pytest.mark.parametrize("margin", [0.0, 0.35])
def test_cosface_is_theirs(margin: float) -> None:
    expected = theirs(their_losses.CosFaceLoss(4, 5, margin=margin, scale=16), "W", W.T)(X, Y)
    same(cosface(X, Y, W, margin=margin, scale=16.0).mean(), expected, rtol=1e-9)


@pytest.mark.parametrize("margin", [1, 2, 3, 4, 7])
def test_sphereface_is_the_papers(margin: int) -> None:
    cosine = (F.normalize(X, dim=1) @ F.normalize(W, dim=1).T).numpy()
    expected = []
    for row, label, length in zip(cosine, Y.tolist(), X.norm(dim=1).tolist(), strict=True):
        angle = math.acos(row[label])
        turns = min(int(angle * margin / math.pi), margin - 1)
        scores = length * row
        scores[label] = length * ((-1) ** turns * math.cos(margin * angle) - 2 * turns)
        expected.append(np.logaddexp.reduce(scores) - scores[label])
    same(sphereface(X, Y, W, margin=margin), expected)


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
def test_sphereface_is_theirs() -> None:
    expected = theirs(their_losses.SphereFaceLoss(4, 5, margin=4), "W", W.T)(X, Y)
    same(sphereface(X, Y, W).mean(), expected, rtol=1e-9)


@pytest.mark.parametrize("times", [1, 2, 5, 8])
def test_the_cosine_of_a_multiple_angle(times: int) -> None:
    angle = torch.linspace(0, math.pi, 20, dtype=torch.float64)
    same(multiple_angle(angle.cos(), times), (times * angle).cos(), rtol=1e-10)


@pytest.mark.parametrize("scale", [1.0, 9.0])
def test_proxy_nca_with_its_own_proxy_is_theirs(scale: float) -> None:
    made = their_losses.ProxyNCALoss(4, 5, softmax_scale=scale)
    expected = theirs(made, "proxies")(X, Y)
    same(proxy_nca(X, Y, W, scale=scale, own=True).mean(), expected, rtol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_proxy_nca_is_the_papers(scale: float) -> None:
    x, w = F.normalize(X, dim=1).numpy(), F.normalize(W, dim=1).numpy()
    expected = []
    for vector, label in zip(x, Y.tolist(), strict=True):
        near = [math.exp(-scale * np.sum((vector - proxy) ** 2)) for proxy in w]
        others = sum(near) - near[label]
        expected.append(-math.log(near[label] / others))
    same(proxy_nca(X, Y, W, scale=scale), expected, rtol=1e-10)


@pytest.mark.parametrize(("margin", "scale"), [(0.1, 32.0), (0.3, 4.0)])
def test_proxy_anchor_is_theirs(margin: float, scale: float) -> None:
    made = their_losses.ProxyAnchorLoss(4, 5, margin=margin, alpha=scale)
    for y in (Y, Y.clamp(max=1)):
        expected = theirs(made, "proxies")(X, y)
        same(proxy_anchor(X, y, W, margin=margin, scale=scale), expected, rtol=1e-9)


def test_center_is_half_the_squared_distance() -> None:
    expected = [
        0.5 * np.sum((x - W.numpy()[label]) ** 2)
        for x, label in zip(X.numpy(), Y.tolist(), strict=True)
    ]
    same(center(X, Y, W), expected)


# --- laws ---


def test_without_a_margin_all_are_softmax() -> None:
    cosine = F.normalize(X, dim=1) @ F.normalize(W, dim=1).T
    expected = F.cross_entropy(8 * cosine, Y, reduction="none")
    same(arcface(X, Y, W, margin=0.0, scale=8.0), expected)
    same(cosface(X, Y, W, margin=0.0, scale=8.0), expected)
    same(proxy_nca(X, Y, W, scale=4.0, own=True), expected)
    plain = X @ F.normalize(W, dim=1).T
    same(sphereface(X, Y, W, margin=1), F.cross_entropy(plain, Y, reduction="none"))


def test_a_larger_margin_costs_more() -> None:
    for loss in (arcface, cosface):
        assert (loss(X, Y, W, margin=0.4) > loss(X, Y, W, margin=0.2)).all()


def test_class_weights_go_by_the_labels() -> None:
    loss = lossdsl.compile(
        "input x: embedding[N, D]\ninput y: labels[N]\ninput w: embedding[C, D]\n"
        "center(x, y, w, class_weight=[1, 2, 3, 4])",
        backend="eager",
    )
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0])[Y].double()
    same(loss(X, Y, W), (weight * center(X, Y, W)).sum() / weight.sum())


@pytest.mark.parametrize("name", NAMES)
def test_an_ignored_label_is_as_good_as_absent(name: str) -> None:
    loss = lossdsl.compile(f"{name}(x, y, w)", backend="eager")
    y = Y.clone()
    y[[0, 5]] = -100
    kept = y >= 0
    same(loss(x=X, y=y, w=W), loss(x=X[kept], y=y[kept], w=W))


@pytest.mark.parametrize("aligned", [1.0, -1.0])
def test_a_vector_in_line_with_its_class_is_finite(aligned: float) -> None:
    x = (aligned * W[Y]).float().requires_grad_()
    w = W.float().requires_grad_()
    for loss in FUNCTIONS:
        value = loss(x, Y, w).sum()
        assert value.isfinite()
        for slope in torch.autograd.grad(value, (x, w)):
            assert slope.isfinite().all()


# --- gradients, compilation, records ---


@pytest.mark.parametrize("loss", FUNCTIONS)
def test_gradients_are_derivatives(loss: Loss) -> None:
    is_derivative(lambda x, w: loss(x, Y, w), X, W)


@pytest.mark.parametrize("loss", FUNCTIONS)
def test_one_graph(loss: Loss) -> None:
    def labelled(x: Tensor, w: Tensor) -> Tensor:
        return loss(x, torch.arange(x.shape[0], device=x.device) % 3, w)

    one_graph(labelled, (X, W), (normal(11, 5, seed=3), W))


@pytest.mark.parametrize(
    ("loss", "name", "value"),
    [
        (arcface, "margin", 0.5),
        (arcface, "scale", 8.0),
        (cosface, "margin", 0.5),
        (cosface, "scale", 8.0),
        (proxy_nca, "scale", 2.0),
        (proxy_anchor, "margin", 0.1),
        (proxy_anchor, "scale", 8.0),
    ],
)
def test_parameters_may_move(loss: Loss, name: str, value: float) -> None:
    takes_tensor(lambda x, w, **given: loss(x, Y, w, **given), name, value, X, W)


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    examples_hold(name)
