"""Losses of the hardest positions: against sorted lists of PyTorch's cross entropies."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from laws import examples_hold, graph_of_batches, is_derivative, labels, normal, same

import lossdsl
from lossdsl.library.classification import ce
from lossdsl.library.hard_pixels import ohem_ce, ohem_ce_of_prob, topk_ce, topk_ce_of_prob


def costs(z: Any, y: Any) -> Any:
    return F.cross_entropy(z, y, reduction="none").numpy()


def hardest(cost: Any, keep: float) -> float:
    count = max(1, round(keep * cost.size))
    return float(np.sort(cost.flatten())[::-1][:count].mean())


def uncertain(cost: Any, threshold: float, least: int) -> float:
    ordered = np.sort(cost.flatten())[::-1]
    easy = np.exp(-ordered) >= threshold
    easy[:least] = False
    return float(ordered[~easy].mean()) if (~easy).any() else 0.0


def test_examples_have_their_value() -> None:
    examples_hold("topk_ce", "ohem_ce")


@pytest.mark.parametrize("keep", [0.01, 0.1, 0.33, 1.0])
@pytest.mark.parametrize("space", [(), (7,), (5, 6)])
def test_topk_ce_is_the_mean_of_the_largest(keep: float, space: tuple[int, ...]) -> None:
    z, y = normal(4, 3, *space, scale=2), labels(3, 4, *space)
    cost = costs(z, y)
    for loss, p in ((topk_ce, z.log_softmax(1)), (topk_ce_of_prob, z.softmax(1))):
        same(loss(p, y, keep=keep), hardest(cost, keep))
        expected = [hardest(cost[n], keep) for n in range(4)]
        same(loss(p, y, keep=keep, per_image=True), expected)


@pytest.mark.parametrize(
    ("threshold", "least"), [(0.7, 0), (0.2, 3), (0.0, 5), (1.0, 0), (0.5, 99)]
)
@pytest.mark.parametrize("space", [(), (5, 6)])
def test_ohem_ce_is_the_mean_of_the_uncertain(
    threshold: float, least: int, space: tuple[int, ...]
) -> None:
    z, y = normal(4, 3, *space, scale=2), labels(3, 4, *space)
    cost = costs(z, y)
    options = {"threshold": threshold, "min_kept": least}
    for loss, p in ((ohem_ce, z.log_softmax(1)), (ohem_ce_of_prob, z.softmax(1))):
        given: Any = options
        same(loss(p, y, **given), uncertain(cost, threshold, least))
        expected = [uncertain(cost[n], threshold, least) for n in range(4)]
        same(loss(p, y, per_image=True, **given), expected)


def test_all_positions_give_cross_entropy() -> None:
    z, y = normal(4, 3, 5).log_softmax(1), labels(3, 4, 5)
    same(topk_ce(z, y, keep=1.0), ce(z, y).mean())
    same(ohem_ce(z, y), ce(z, y).mean())


def test_ignored_and_masked_positions_are_as_if_they_were_not_there() -> None:
    z, y = normal(2, 3, 10), labels(3, 2, 10)
    mask = (torch.arange(10) < 6).double().expand(2, 1, 10)
    for loss in (partial(topk_ce, keep=0.5), partial(ohem_ce, min_kept=2)):
        p = z.log_softmax(1)
        same(loss(p, y, mask=mask), loss(p[:, :, :6], y[:, :6]))
        image = partial(loss, per_image=True)
        same(image(p, y, mask=mask), image(p[:, :, :6], y[:, :6]))
        same(loss(p, y, mask=torch.zeros(2, 1, 10).double()), 0.0)
    ignored = torch.where(mask[:, 0] > 0, y, -100)
    value = lossdsl.compile("topk_ce(p, y, keep=0.5)", backend="eager")(p=z, y=ignored)
    same(value, topk_ce(z.log_softmax(1)[:, :, :6], y[:, :6], keep=0.5))


def test_easy_positions_have_no_gradient() -> None:
    z, y = normal(1, 3, 10).requires_grad_(), labels(3, 1, 10)
    topk_ce(z.log_softmax(1), y, keep=0.3).backward()
    assert z.grad is not None
    moved = (z.grad.abs().sum(1)[0] > 0).nonzero()[:, 0].tolist()
    assert moved == sorted(costs(z.detach(), y)[0].argsort()[-3:].tolist())


def test_gradients_are_derivatives() -> None:
    z, y = normal(2, 3, 5), labels(3, 2, 5)
    for loss, p in ((topk_ce, z.log_softmax(1)), (topk_ce_of_prob, z.softmax(1))):
        is_derivative(lambda p, f=loss: f(p, y, keep=0.4), p)
    for loss, p in ((ohem_ce, z.log_softmax(1)), (ohem_ce_of_prob, z.softmax(1))):
        is_derivative(lambda p, f=loss: f(p, y, min_kept=2, threshold=0.3), p)


@pytest.mark.parametrize(
    "loss",
    [topk_ce, partial(topk_ce, keep=0.5, per_image=True), partial(ohem_ce, min_kept=2)],
)
def test_compiles_in_one_graph(loss: Any) -> None:
    graph_of_batches(loss, lambda batch: (normal(batch, 3, 4).log_softmax(1), labels(3, batch, 4)))
