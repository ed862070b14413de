"""Attention maps: against loops over the papers' sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor
from torch import Tensor

import lossdsl
from lossdsl.library.attention import attention_ranking, attention_target


def maps(*shape: int, seed: int = 0) -> Tensor:
    return normal(*shape, seed=seed).softmax(-1)


def test_examples_have_their_value() -> None:
    examples_hold("attention_target", "attention_ranking")


@pytest.mark.parametrize("token", [0, 3])
def test_attention_target_is_that_of_loops(token: int) -> None:
    layers = [maps(2, 3, 5, 5, seed=k) for k in range(4)]
    expected = np.zeros(2)
    for b in range(2):
        for layer in layers:
            total = 0.0
            for h in range(3):
                for i in range(5):
                    total += layer[b, h, i, token].item()
            expected[b] -= math.log(total)
    same(attention_target(layers, token=token), expected)
    loss = lossdsl.compile(f"attention_target(maps, token={token})", backend="eager")
    same(loss(maps=layers), expected.mean())


def test_attention_target_takes_a_single_layer() -> None:
    a = maps(2, 3, 5, 5)
    loss = lossdsl.compile("attention_target([a], token=2)", backend="eager")
    same(loss(a=a), -a[..., 2].sum((1, 2)).log().mean())


def test_attention_target_without_attention_is_bounded() -> None:
    a = torch.zeros(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    cost = attention_target([a], token=0)
    (slope,) = torch.autograd.grad(cost.sum(), a)
    same(cost, [100.0])
    assert (slope[..., 0] < 0).all()
    assert slope.isfinite().all()


def test_a_token_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="no token 3 among 3"):
        attention_target([maps(1, 2, 4, 4), maps(1, 2, 3, 3)], token=3)


def ranked(p: np.ndarray, y: np.ndarray, margin: float) -> float:
    """The paper's sum over the pairs of a row."""
    total = 0.0
    for i in range(len(p)):
        for j in range(i + 1, len(p)):
            total += max(0.0, margin - (p[i] - p[j]) * np.sign(y[i] - y[j]))
    return total


@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_attention_ranking_is_the_papers_sum_over_pairs(margin: float) -> None:
    p, y = maps(2, 3, 6, seed=1), maps(2, 3, 6, seed=2)
    y[0, 0, 1] = y[0, 0, 4]
    expected = np.zeros((2, 3))
    for b, h in np.ndindex(2, 3):
        expected[b, h] = ranked(p[b, h].numpy(), y[b, h].numpy(), margin) / 15
    same(attention_ranking(p, y, margin=margin), expected)


def test_attention_in_the_right_order_costs_nothing() -> None:
    y = maps(2, 3, 6)
    assert not attention_ranking(y**3, y).any()
    assert attention_ranking(-y, y).min() > 0


def test_a_row_of_one_token_has_no_pairs() -> None:
    assert not attention_ranking(maps(2, 1), maps(2, 1), margin=0.5).any()


def test_gradients_are_derivatives() -> None:
    is_derivative(
        lambda a, b: attention_target([a, b], token=1), maps(2, 2, 3, 3), maps(2, 1, 3, 3)
    )
    y = maps(2, 4, seed=2)
    is_derivative(lambda p: attention_ranking(p, y, margin=0.3), maps(2, 4))


def test_the_margin_may_move() -> None:
    takes_tensor(attention_ranking, "margin", 0.1, maps(2, 4), maps(2, 4, seed=1))


def test_losses_compile_in_one_graph() -> None:
    one_graph(attention_ranking, *((maps(n, 4), maps(n, 4, seed=1)) for n in (3, 5)))
    one_graph(lambda a: attention_target([a], token=1), *((maps(n, 2, 4, 4),) for n in (3, 5)))
