"""Ordered classes: against loops over the papers' formulas."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from laws import examples_hold, graph_of_batches, is_derivative, labels, normal, same

import lossdsl
from lossdsl.library.levels import coral, corn

STEPS = 4
P, Y = normal(9, STEPS, scale=2), labels(STEPS + 1, 9)


def cross_entropy(score: float, above: bool) -> float:
    q = 1 / (1 + math.exp(-score))
    return -math.log(q) if above else -math.log(1 - q)


def test_examples_have_their_value() -> None:
    examples_hold("coral", "corn")


def test_coral_is_the_papers_formula() -> None:
    assert set(Y.tolist()) == set(range(STEPS + 1))
    expected = [
        sum(cross_entropy(score, label > k) for k, score in enumerate(scores)) / STEPS
        for scores, label in zip(P.tolist(), Y.tolist(), strict=True)
    ]
    same(coral(P, Y), expected)


def test_corn_is_the_papers_formula() -> None:
    costs = [
        cross_entropy(score, label > k)
        for scores, label in zip(P.tolist(), Y.tolist(), strict=True)
        for k, score in enumerate(scores)
        if label >= k
    ]
    same(corn(P, Y), sum(costs) / len(costs))


def test_corn_is_the_likelihood_of_levels() -> None:
    """The product of conditional probabilities up to a level."""
    q = P.sigmoid()
    reached = torch.cat((torch.ones(9, 1, dtype=torch.float64), q.cumprod(1)), 1)
    stays = torch.cat((1 - q, torch.ones(9, 1, dtype=torch.float64)), 1)
    likelihood = (reached * stays).gather(1, Y[:, None])
    same((reached * stays).sum(1), torch.ones(9))
    same(corn(P, Y), -likelihood.log().sum() / (Y + 1).clamp(max=STEPS).sum())


@pytest.mark.parametrize("name", ["coral", "corn"])
def test_labels_reach_the_number_of_steps_and_may_be_ignored(name: str) -> None:
    loss = lossdsl.compile(
        f"input p: logits[B, K]\ninput y: labels[B]\n{name}(p, y, ignore_index=9)", backend="eager"
    )
    y = torch.cat((Y, torch.tensor([9, 9])))
    p = torch.cat((P, torch.full((2, STEPS), torch.nan)))
    expected = corn(P, Y) if name == "corn" else coral(P, Y).mean()
    same(loss(p, y), expected)


@pytest.mark.parametrize("loss", [coral, corn])
def test_gradients_are_derivatives(loss: Any) -> None:
    is_derivative(lambda p: loss(p, Y), P)


@pytest.mark.parametrize("loss", [coral, corn])
def test_compiles_in_one_graph(loss: Any) -> None:
    graph_of_batches(loss, lambda batch: (normal(batch, STEPS), labels(STEPS + 1, batch)))
