"""The Lovász hinge: against kornia, sets of pixels and the Jaccard loss."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from kornia.losses import lovasz_hinge_loss
from laws import bits, examples_hold, graph_of_batches, is_derivative, normal, same
from torch import Tensor

from lossdsl.library.lovasz import lovasz_hinge


def test_examples_have_their_value() -> None:
    examples_hold("lovasz_hinge")


def extension(errors: Any, own: Any) -> float:
    """Errors in descending order, each times the growth of the Jaccard loss of the wrong set."""
    wrong: set[int] = set()
    value, before = 0.0, 0.0
    for i in np.argsort(-errors, kind="stable"):
        wrong.add(int(i))
        union = {int(j) for j in np.nonzero(own)[0]} | wrong
        loss = len(wrong) / len(union)
        value += max(0.0, errors[i]) * (loss - before)
        before = loss
    return value


def test_it_is_the_extension_of_the_jaccard_loss() -> None:
    p, y = normal(3, 2, 4, 5, scale=2), bits(3, 2, 4, 5)
    y[0, 0], y[0, 1] = 0, 1
    errors = (1 - p * (2 * y - 1)).numpy().reshape(3, 2, -1)
    own = y.numpy().reshape(3, 2, -1)
    expected = [[extension(errors[n, c], own[n, c]) for c in range(2)] for n in range(3)]
    same(lovasz_hinge(p, y), expected)
    flat = [np.moveaxis(x, 1, 0).reshape(2, -1) for x in (errors, own)]
    expected_of_batch = [extension(flat[0][c], flat[1][c]) for c in range(2)]
    same(lovasz_hinge(p, y, per_image=False), expected_of_batch)


def test_it_is_that_of_kornia() -> None:
    p, y = normal(4, 1, 6, 5, scale=2), bits(4, 1, 6, 5)
    theirs = lovasz_hinge_loss(p, y[:, 0].long())
    same(lovasz_hinge(p, y).mean(), theirs, rtol=1e-9)


def test_confident_masks_cost_twice_the_jaccard_loss_of_their_errors() -> None:
    p, y = bits(3, 2, 20, seed=1), bits(3, 2, 20)
    both, union = (p * y).sum(2), torch.maximum(p, y).sum(2)
    same(lovasz_hinge(2 * p - 1, y), 2 * (1 - both / union))


def test_masked_pixels_are_as_if_they_were_not_there() -> None:
    p, y = normal(2, 3, 10), bits(2, 3, 10)
    mask = (torch.arange(10) < 6).double().expand(2, 1, 10)
    same(lovasz_hinge(p, y, mask=mask), lovasz_hinge(p[:, :, :6], y[:, :, :6]))


def test_gradients_are_derivatives() -> None:
    p, y = normal(2, 3, 6), bits(2, 3, 6)
    is_derivative(lambda p: lovasz_hinge(p, y), p)
    is_derivative(lambda p: lovasz_hinge(p, y, per_image=False), p)


@pytest.mark.parametrize("loss", [lovasz_hinge, partial(lovasz_hinge, per_image=False)])
def test_compiles_in_one_graph(loss: Any) -> None:
    def arguments(batch: int) -> tuple[Tensor, Tensor]:
        return normal(batch, 2, 5, 6), bits(batch, 2, 5, 6)

    graph_of_batches(loss, arguments)
