"""Cross entropy by outlines: against SciPy's distances and loops over windows."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
import torch.nn.functional as F
from laws import bits, examples_hold, is_derivative, labels, normal, one_graph, same, takes_tensor
from torch import Tensor

import lossdsl
from lossdsl.library.outlines import (
    distance_map_ce,
    shape_aware,
    shape_aware_of_classes,
    ssl_seg,
    ssl_seg_of_prob,
)

Array = Any
SPACES = [(9,), (7, 8), (4, 5, 6)]
EDT = scipy.ndimage.distance_transform_edt


def test_examples_have_their_value() -> None:
    examples_hold("distance_map_ce", "shape_aware", "ssl_seg")


# --- distance maps ---


def reversed_map(y: Array) -> Array:
    """Distances to the nearest pixel of another class, taken from the largest."""
    if (y == y.flat[0]).all():
        return np.zeros(y.shape)
    distance = sum(EDT(y == c) for c in np.unique(y))
    return distance.max() - distance


@pytest.mark.parametrize("space", SPACES)
def test_distance_map_ce_is_dearest_at_the_edges(space: tuple[int, ...]) -> None:
    p, y = normal(3, 4, *space), labels(3, 3, *space)
    y[2] = 1
    cost = F.cross_entropy(p, y, reduction="none")
    weight = torch.from_numpy(np.stack([1 + reversed_map(each.numpy()) for each in y]))
    same(distance_map_ce(p.log_softmax(1), y), weight * cost)
    dims = "HWD"[: len(space)]
    axes = ", ".join(dims)
    declared = f"input p: class_prob[B, C, {axes}]\ninput y: labels[B, {axes}]\n"
    loss = lossdsl.compile(f"{declared}distance_map_ce(p, y)", backend="eager")
    same(loss(p=p.softmax(1), y=y), (weight * cost).mean())


def test_a_map_may_be_given() -> None:
    p, y, w = normal(2, 3, 5), labels(3, 2, 5), normal(2, 5, seed=4).abs()
    expected = (1 + w) * F.cross_entropy(p, y, reduction="none")
    same(distance_map_ce(p.log_softmax(1), y, w), expected)
    loss = lossdsl.compile("distance_map_ce(p, y, distance_map=w)", backend="eager")
    same(loss(p=p, y=y, w=w), expected.mean())


# --- shapes ---


def outline(mask: Array) -> Array:
    """Pixels of the mask with a pixel of the image outside it next to them."""
    return mask & ~scipy.ndimage.binary_erosion(mask, border_value=1)


def strayed(ours: Array, theirs: Array) -> list[float]:
    ours, theirs = outline(ours), outline(theirs)
    return list(EDT(~theirs)[ours]) if theirs.any() else []


def mean(numbers: list[float]) -> float:
    return float(np.mean(numbers)) if numbers else 0.0


@pytest.mark.parametrize("space", SPACES)
def test_shape_aware_weighs_an_image_by_how_far_its_outline_strayed(
    space: tuple[int, ...],
) -> None:
    p, y = normal(3, 2, *space), bits(3, 2, *space)
    y[1, 0], y[1, 1], p[2, 0] = 0, 1, -1
    cost = F.binary_cross_entropy_with_logits(p, y, reduction="none")
    expected = cost.clone()
    for b, c in np.ndindex(3, 2):
        expected[b, c] *= 1 + mean(strayed(p[b, c].numpy() > 0, y[b, c].numpy() > 0))
    same(shape_aware(p, y), expected)


def test_shape_aware_of_classes_is_the_mean_over_all_outlines() -> None:
    p, y = normal(3, 4, 6, 7), labels(3, 3, 6, 7)
    expected = F.cross_entropy(p, y, reduction="none")
    for b in range(3):
        best = p[b].argmax(0).numpy()
        expected[b] *= 1 + mean(
            [d for c in range(4) for d in strayed(best == c, y[b].numpy() == c)]
        )
    same(shape_aware_of_classes(p.log_softmax(1), y), expected)
    declared = "input p: {}[B, C, H, W]\ninput y: labels[B, H, W]\nshape_aware(p, y)"
    for kind, given in {"class_logits": p, "class_prob": p.softmax(1)}.items():
        loss = lossdsl.compile(declared.format(kind), backend="eager")
        same(loss(p=given, y=y), expected.mean())


def test_the_right_shape_costs_its_cross_entropy() -> None:
    y = bits(2, 2, 6, 7)
    p = 2 * y - 1
    same(shape_aware(p, y), F.binary_cross_entropy_with_logits(p, y, reduction="none"))


# --- neighbourhoods ---


def standard(x: Array, mask: Array, window: int, c: float) -> Array:
    low, high = window // 2, (window - 1) // 2
    result = np.zeros(x.shape)
    for i, j in np.ndindex(x.shape):
        values, weights = [], []
        for dy in range(-low, high + 1):
            for dx in range(-low, high + 1):
                k, m = i + dy, j + dx
                if 0 <= k < x.shape[0] and 0 <= m < x.shape[1] and mask[k, m]:
                    off = np.array([dy, dx]) + (low - high) / 2
                    values.append(x[k, m])
                    weights.append(np.exp(-(off**2).sum() / (2 * 1.5**2)))
        if values:
            mu = np.average(values, weights=weights)
            sigma = np.sqrt(np.average((np.array(values) - mu) ** 2, weights=weights))
            result[i, j] = (x[i, j] - mu + c) / (sigma + c)
    return result


def structural(q: Array, y: Array, mask: Array, beta: float, c: float, window: int) -> float:
    error = mask * np.abs(standard(y, mask, window, c) - standard(q, mask, window, c))
    chosen = error > beta * error.max()
    cost = -(y * np.log(q) + (1 - y) * np.log(1 - q))
    return float((chosen * error * cost).sum() / chosen.sum()) if chosen.any() else 0.0


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("beta", "c", "window"), [(0.1, 0.01, 3), (0.0, 0.01, 5), (0.6, 0.5, 4), (0.1, 0.01, 1)]
)
def test_ssl_seg_is_that_of_loops(beta: float, c: float, window: int, masked: bool) -> None:
    p, y = normal(2, 2, 5, 6), bits(2, 2, 5, 6)
    mask = bits(2, 1, 5, 6, seed=9) if masked else None
    options: dict[str, Any] = {"beta": beta, "c": c, "window": window, "mask": mask}
    expected = np.zeros((2, 2))
    for b, k in np.ndindex(2, 2):
        kept = np.ones((5, 6)) if mask is None else mask[b, 0].numpy()
        parts = (p[b, k].sigmoid().numpy() * kept, y[b, k].numpy() * kept, kept)
        if mask is not None:
            parts = (np.where(kept > 0, p[b, k].sigmoid().numpy(), 0.5), y[b, k].numpy(), kept)
        expected[b, k] = structural(*parts, beta, c, window)
    same(ssl_seg(p, y, **options), expected, atol=1e-12)
    same(ssl_seg_of_prob(p.sigmoid(), y, **options), expected, atol=1e-11)


def test_ssl_seg_takes_its_weights_as_constants() -> None:
    p, y = normal(1, 1, 4, 5).requires_grad_(), bits(1, 1, 4, 5)
    (slope,) = torch.autograd.grad(ssl_seg(p, y).sum(), p)
    ones = np.ones((4, 5))
    q = p.detach()[0, 0].sigmoid().numpy()
    error = np.abs(standard(y[0, 0].numpy(), ones, 3, 0.01) - standard(q, ones, 3, 0.01))
    chosen = error > 0.1 * error.max()
    same(slope[0, 0], chosen * error * (q - y[0, 0].numpy()) / chosen.sum(), atol=1e-12)


def test_ssl_seg_of_labels_is_that_of_masks() -> None:
    p, y = normal(2, 3, 4, 5), labels(3, 2, 4, 5)
    loss = lossdsl.compile(
        "input p: class_logits[B, C, H, W]\ninput y: labels[B, H, W]\nssl_seg(p, y)",
        backend="eager",
    )
    hot = F.one_hot(y, 3).movedim(-1, 1).double()
    same(loss(p=p, y=y), ssl_seg_of_prob(p.softmax(1), hot).mean())


def test_gradients_are_derivatives() -> None:
    y = labels(3, 2, 4, 5)
    is_derivative(lambda p: distance_map_ce(p.log_softmax(1), y), normal(2, 3, 4, 5))
    is_derivative(lambda p: shape_aware_of_classes(p.log_softmax(1), y), normal(2, 3, 4, 5))
    mask = bits(1, 2, 4, 5)
    is_derivative(lambda p: shape_aware(p, mask), normal(1, 2, 4, 5))


def test_parameters_may_move() -> None:
    p, y = normal(1, 2, 4, 5), bits(1, 2, 4, 5)
    takes_tensor(ssl_seg, "c", 0.1, p, y)
    same(ssl_seg(p, y, beta=torch.tensor(0.3, dtype=torch.float64)), ssl_seg(p, y, beta=0.3))


def test_losses_compile_in_one_graph() -> None:
    def batch(rows: int) -> tuple[Tensor, Tensor]:
        return normal(rows, 2, 4, 5), bits(rows, 2, 4, 5)

    def of_classes(rows: int) -> tuple[Tensor, Tensor]:
        return normal(rows, 3, 4, 5).log_softmax(1), labels(3, rows, 4, 5)

    one_graph(shape_aware, batch(3), batch(5))
    one_graph(partial(ssl_seg, window=3), batch(3), batch(5))
    one_graph(distance_map_ce, of_classes(3), of_classes(5))
    one_graph(shape_aware_of_classes, of_classes(3), of_classes(5))
