"""Losses of labelled vectors: against pytorch_metric_learning, and loops from the papers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor
from pytorch_metric_learning import distances as their_distances
from pytorch_metric_learning import losses as their_losses
from torch import Tensor

import lossdsl
from lossdsl.library.metric import angular, circle, lifted_structure, multi_similarity, supcon
from lossdsl.library.mining import triplet_batch_all, triplet_batch_hard, triplet_semi_hard

Loss = Callable[..., Tensor]
NAMES = (
    "supcon",
    "multi_similarity",
    "circle",
    "lifted_structure",
    "angular",
    "triplet_batch_hard",
    "triplet_batch_all",
    "triplet_semi_hard",
)
FUNCTIONS = (
    supcon,
    multi_similarity,
    partial(circle, gamma=8.0),
    lifted_structure,
    angular,
    triplet_batch_hard,
    partial(triplet_batch_hard, soft=True),
    triplet_batch_all,
    partial(triplet_batch_all, over="all", squared=True),
    triplet_semi_hard,
)
LABELS = torch.tensor([0, 0, 1, 2, 1, 0, 2, 2, 1])


def vectors(seed: int = 0, count: int = 9) -> Tensor:
    return normal(count, 5, seed=seed)


# --- pytorch_metric_learning ---


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_supcon_is_theirs(temperature: float) -> None:
    x = vectors()
    expected = their_losses.SupConLoss(temperature=temperature)(x, LABELS)
    same(supcon(x, LABELS, temperature=temperature), expected, rtol=1e-10)


@pytest.mark.parametrize("parameters", [(2.0, 50.0, 0.5), (1.0, 10.0, 0.1)])
def test_multi_similarity_is_theirs(parameters: tuple[float, ...]) -> None:
    names = dict(zip(("alpha", "beta", "base"), parameters, strict=True))
    x = vectors(1)
    expected = their_losses.MultiSimilarityLoss(**names)(x, LABELS)
    same(multi_similarity(x, LABELS, **names), expected, rtol=1e-10)


@pytest.mark.parametrize(("margin", "gamma"), [(0.4, 4.0), (0.25, 16.0)])
def test_circle_is_theirs_with_its_gradient(margin: float, gamma: float) -> None:
    ours, theirs = vectors(2).requires_grad_(), vectors(2).requires_grad_()
    value = circle(ours, LABELS, margin=margin, gamma=gamma)
    expected = their_losses.CircleLoss(m=margin, gamma=gamma)(theirs, LABELS)
    same(value, expected.detach(), rtol=1e-10)
    mine, other = torch.autograd.grad(value, ours)[0], torch.autograd.grad(expected, theirs)[0]
    same(mine, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("margin", [1.0, 3.0])
def test_lifted_structure_is_theirs(margin: float) -> None:
    x = vectors(3)
    raw = their_distances.LpDistance(normalize_embeddings=False)
    expected = their_losses.LiftedStructureLoss(neg_margin=margin, distance=raw)(x, LABELS)
    # Theirs has distances of matrix products.
    same(lifted_structure(x, LABELS, margin=margin), expected, rtol=1e-6)


@pytest.mark.parametrize("degrees", [40, 45, 10])
def test_angular_is_theirs(degrees: float) -> None:
    # Theirs leaves the negatives at the length that they come with.
    x = F.normalize(vectors(4), dim=1)
    expected = their_losses.AngularLoss(alpha=degrees)(x, LABELS)
    same(angular(x, LABELS, degrees=degrees), expected, rtol=1e-6)


# --- the papers, in loops ---


def softplus(x: float) -> float:
    return float(np.logaddexp(0, x))


def relations(y: list[int]) -> tuple[list[list[int]], list[list[int]]]:
    rows = range(len(y))
    near = [[j for j in rows if y[j] == y[i] and j != i] for i in rows]
    far = [[j for j in rows if y[j] != y[i]] for i in rows]
    return near, far


def test_lifted_structure_is_the_papers() -> None:
    x, y = vectors(5).numpy(), LABELS.tolist()
    near, far = relations(y)
    costs = []
    for i in range(len(y)):
        for j in near[i]:
            inner = sum(np.exp(1 - np.linalg.norm(x[i] - x[k])) for k in far[i])
            inner += sum(np.exp(1 - np.linalg.norm(x[j] - x[k])) for k in far[j])
            costs.append(max(0, np.log(inner) + np.linalg.norm(x[i] - x[j])) ** 2 / 2)
    same(lifted_structure(torch.tensor(x), LABELS), np.mean(costs))


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("margin", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("soft", [False, True])
def test_mined_triplets_are_those_of_loops(squared: bool, margin: float, soft: bool) -> None:
    x, y = vectors(6).numpy(), LABELS.tolist()
    near, far = relations(y)
    power = 2 if squared else 1
    d = [[np.linalg.norm(a - b) ** power for b in x] for a in x]

    def cost(excess: float) -> float:
        return softplus(excess) if soft else max(0.0, excess + margin)

    rows = range(len(y))
    hard = [cost(max(d[i][j] for j in near[i]) - min(d[i][k] for k in far[i])) for i in rows]
    every = [cost(d[i][j] - d[i][k]) for i in rows for j in near[i] for k in far[i]]
    given = torch.tensor(x), LABELS
    keywords = {"squared": squared, "margin": margin}
    same(triplet_batch_hard(*given, soft=soft, **keywords), np.mean(hard))
    same(triplet_batch_all(*given, soft=soft, over="all", **keywords), np.mean(every))
    violated = [value for value in every if value > 0]
    same(triplet_batch_all(*given, soft=soft, **keywords), np.mean(violated))
    if not soft:
        semi = []
        for i in rows:
            for j in near[i]:
                beyond = [d[i][k] for k in far[i] if d[i][k] > d[i][j]]
                other = min(beyond) if beyond else max(d[i][k] for k in far[i])
                semi.append(cost(d[i][j] - other))
        same(triplet_semi_hard(*given, **keywords), np.mean(semi))


# --- laws ---


@pytest.mark.parametrize("loss", FUNCTIONS)
def test_the_order_of_the_rows_and_the_names_of_the_classes_do_not_matter(loss: Loss) -> None:
    x, order = vectors(7), torch.tensor([4, 2, 8, 0, 1, 7, 3, 6, 5])
    same(loss(x[order], LABELS[order]), loss(x, LABELS))
    same(loss(x, (LABELS + 5) % 3 * 10), loss(x, LABELS))


@pytest.mark.parametrize("loss", FUNCTIONS)
def test_a_masked_row_is_as_good_as_absent(loss: Loss) -> None:
    x = vectors(8)
    mask = torch.ones(9, 1, dtype=torch.float64)
    mask[[1, 6]] = 0
    kept = mask[:, 0] > 0
    spoilt = torch.where(kept[:, None], x, torch.nan)
    same(loss(spoilt, LABELS, mask=mask), loss(x[kept], LABELS[kept]))


@pytest.mark.parametrize("name", NAMES)
def test_an_ignored_label_is_as_good_as_absent(name: str) -> None:
    loss = lossdsl.compile(f"{name}(x, y)", backend="eager")
    x, y = vectors(9), LABELS.clone()
    y[[0, 4]] = -100
    kept = y >= 0
    same(loss(x, y), loss(x[kept], y[kept]))


def test_batches_without_pairs_cost_nothing() -> None:
    x = vectors(10, count=4).requires_grad_()
    for loss in (supcon, circle, lifted_structure, angular, triplet_batch_all, triplet_batch_hard):
        for y in (torch.arange(4), torch.zeros(4, dtype=torch.int64)):
            if loss is supcon and not y.any():
                continue
            value = loss(x, y)
            (slope,) = torch.autograd.grad(value, x)
            assert value.item() == 0
            assert not slope.any()


def test_equal_vectors_of_one_class_have_distance_zero() -> None:
    x = vectors(11, count=2).repeat_interleave(2, 0).requires_grad_()
    value = triplet_batch_hard(x, torch.tensor([0, 0, 1, 1]), margin=1.0)
    apart = (x[0] - x[2]).norm().item()
    same(value, max(0.0, 1 - apart))


# --- gradients, compilation, records ---


@pytest.mark.parametrize("loss", FUNCTIONS)
def test_gradients_are_derivatives(loss: Loss) -> None:
    if isinstance(loss, partial) and loss.func is circle:
        return  # Its weights are detached: the gradient is compared with another library's.
    is_derivative(lambda x: loss(x, LABELS), vectors(12))


@pytest.mark.parametrize("loss", FUNCTIONS)
def test_one_graph(loss: Loss) -> None:
    def labelled(x: Tensor) -> Tensor:
        return loss(x, torch.arange(x.shape[0], device=x.device) % 3)

    one_graph(labelled, (vectors(13),), (vectors(14, count=12),))


@pytest.mark.parametrize(
    ("loss", "name", "value"),
    [
        (supcon, "temperature", 0.5),
        (multi_similarity, "alpha", 2.0),
        (multi_similarity, "beta", 10.0),
        (multi_similarity, "base", 0.3),
        (circle, "margin", 0.25),
        (circle, "gamma", 8.0),
        (lifted_structure, "margin", 1.0),
        (angular, "degrees", 40.0),
        (triplet_batch_hard, "margin", 1.0),
        (triplet_batch_all, "margin", 1.0),
        (triplet_semi_hard, "margin", 1.0),
    ],
)
def test_parameters_may_move(loss: Loss, name: str, value: float) -> None:
    takes_tensor(lambda x, **given: loss(x, LABELS, **given), name, value, vectors(15))


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    examples_hold(name)
