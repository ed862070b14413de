"""Distances from edges and centre lines: against SciPy and MONAI."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
from laws import bits, examples_hold, graph_of_batches, is_derivative, labels, same, uniform
from monai.losses import BoundaryLoss, HausdorffDTLoss, SoftclDiceLoss
from torch import Tensor

import lossdsl
from lossdsl.library.contours import boundary, cldice, edge_distances, hausdorff_dt

SPACES = [(9,), (7, 9), (4, 5, 6)]


def blobs(*shape: int, seed: int = 0) -> Tensor:
    """Masks of a few connected parts."""
    noise = uniform(*shape, seed=seed).numpy()
    smooth = scipy.ndimage.gaussian_filter(noise, (0, 0, *[1] * (len(shape) - 2)))
    return torch.from_numpy((smooth > np.median(smooth)).astype(float))


def distances(inside: Any) -> tuple[Any, Any]:
    """Distance to the mask outside, and to the outside within it."""
    if inside.all() or not inside.any():
        return np.zeros(inside.shape), np.zeros(inside.shape)
    edt = scipy.ndimage.distance_transform_edt
    return edt(~inside), edt(inside)


def test_examples_have_their_value() -> None:
    examples_hold("boundary", "hausdorff_dt", "cldice")


@pytest.mark.parametrize("space", SPACES)
def test_distances_are_those_of_scipy(space: tuple[int, ...]) -> None:
    for inside in (blobs(2, 3, *space).bool(), uniform(2, 3, *space) > 0.95):
        outer, inner = edge_distances(inside, torch.float64)
        for n, c in np.ndindex(2, 3):
            ours, theirs = distances(inside[n, c].numpy())
            same(outer[n, c].sqrt(), ours)
            same(inner[n, c].sqrt(), theirs)


def test_masks_without_an_edge_have_no_distance() -> None:
    inside = torch.stack((torch.zeros(2, 4, 4), torch.ones(2, 4, 4))).bool()
    for side in edge_distances(inside, torch.float64):
        assert not side.any()


@pytest.mark.parametrize("space", SPACES)
def test_boundary_is_that_of_the_authors(space: tuple[int, ...]) -> None:
    p, y = uniform(2, 3, *space, seed=1), blobs(2, 3, *space)
    value = boundary(p, y)
    for n, c in np.ndindex(2, 3):
        inside = y[n, c].numpy() > 0
        edt = scipy.ndimage.distance_transform_edt
        signed = edt(~inside) * ~inside - (edt(inside) - 1) * inside
        same(value[n, c], p[n, c].numpy() * signed)
    if len(space) > 1:
        theirs = BoundaryLoss(reduction="none")(p, y)
        same(value.flatten(2).mean(2), theirs, rtol=1e-6)


@pytest.mark.parametrize("alpha", [1.0, 2.0, 3.5])
def test_hausdorff_dt_is_the_papers_formula(alpha: float) -> None:
    p, y = uniform(2, 3, 7, 9, seed=1), blobs(2, 3, 7, 9)
    value = hausdorff_dt(p, y, alpha=alpha)
    for n, c in np.ndindex(2, 3):
        fields = [sum(distances(x[n, c].numpy() > 0.5)) for x in (p, y)]
        error = (p[n, c].numpy() - y[n, c].numpy()) ** 2
        same(value[n, c], error * (fields[0] ** alpha + fields[1] ** alpha))
    theirs = HausdorffDTLoss(alpha=alpha, include_background=True, reduction="none")(p, y)
    same(value.flatten(2).mean(2), theirs.flatten(1), rtol=1e-6)


@pytest.mark.parametrize("iterations", [0, 3, 10])
@pytest.mark.parametrize("space", SPACES[1:])
def test_cldice_is_that_of_monai(iterations: int, space: tuple[int, ...]) -> None:
    p, y = uniform(3, 1, *space, seed=1), blobs(3, 1, *space)
    theirs = SoftclDiceLoss(iter_=iterations, smooth=1e-300, reduction="none")(p, y)
    same(cldice(p, y, iterations=iterations)[:, 0], theirs)


def test_cldice_sees_a_gap_that_dice_hardly_sees() -> None:
    y = torch.zeros(1, 1, 9, 40, dtype=torch.float64)
    y[..., 3:6, :] = 1
    gap, thin = y.clone(), y.clone()
    gap[..., 19:22] = 0
    thin[..., 5, :] = 0
    same(cldice(y, y), [[0.0]])
    assert cldice(gap, y) > 0.03
    assert cldice(thin, y) < 1e-12


def test_cldice_of_lines_has_their_values_along_one_axis() -> None:
    p, y = uniform(2, 3, 9, seed=1), bits(2, 3, 9)
    wide = [x.unsqueeze(2).expand(2, 3, 3, 9) for x in (p, y)]
    tall = [x.unsqueeze(3).expand(2, 3, 9, 3) for x in (p, y)]
    same(cldice(*wide, smooth=3.0), cldice(*tall, smooth=3.0))


@pytest.mark.parametrize("name", ["boundary", "hausdorff_dt", "cldice"])
def test_labels_are_masks_of_classes(name: str) -> None:
    p, y = uniform(2, 3, 5, 6), labels(3, 2, 5, 6)
    hot = torch.nn.functional.one_hot(y, 3).movedim(-1, 1).double()
    declared = "input p: class_prob[B, C, H, W]\ninput y: {}\n" + f"{name}(p, y)"
    p = p / p.sum(1, keepdim=True)
    by_label = lossdsl.compile(declared.format("labels[B, H, W]"), backend="eager")(p, y)
    by_mask = lossdsl.compile(declared.format("one_hot[B, C, H, W]"), backend="eager")(p, hot)
    same(by_label, by_mask.item())


def test_gradients_are_derivatives() -> None:
    p, y = uniform(2, 2, 4, 5, seed=1), blobs(2, 2, 4, 5)
    number = torch.tensor(1.5, dtype=torch.float64)
    is_derivative(lambda p: boundary(p, y), p)
    is_derivative(lambda p, n: hausdorff_dt(p, y, alpha=n), p, number)
    is_derivative(lambda p, y, n: cldice(p, y, smooth=n), p, uniform(2, 2, 4, 5), number)


@pytest.mark.parametrize("loss", [boundary, hausdorff_dt, partial(cldice, iterations=2)])
def test_compiles_in_one_graph(loss: Any) -> None:
    def arguments(batch: int) -> tuple[Tensor, Tensor]:
        return uniform(batch, 2, 5, 6, seed=1), blobs(batch, 2, 5, 6)

    graph_of_batches(loss, arguments)
