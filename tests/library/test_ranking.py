"""Learning to rank: against PyTorch, scikit-learn and loops over pairs and orders."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.special
import sklearn.metrics
import torch
import torch.nn.functional as F
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor
from torch import Tensor

import lossdsl
from lossdsl.library.listwise import (
    approx_ndcg,
    lambdarank,
    listmle,
    listnet,
    pairwise_hinge,
    ranknet,
)
from lossdsl.library.ranking import bpr, margin_ranking

LISTS = (ranknet, pairwise_hinge, listnet, listmle, lambdarank, approx_ndcg)
NAMES = (
    "margin_ranking",
    "bpr",
    "ranknet",
    "pairwise_hinge",
    "listnet",
    "listmle",
    "lambdarank",
    "approx_ndcg",
)


def lists(rows: int = 4, size: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    relevance = torch.randint(0, 4, (rows, size), generator=generator).double()
    return normal(rows, size, seed=1, scale=2.0), relevance


def pairs(relevance: Any) -> list[tuple[int, int]]:
    n = len(relevance)
    return [(i, j) for i in range(n) for j in range(n) if relevance[i] > relevance[j]]


@pytest.mark.parametrize("name", NAMES)
def test_examples_have_their_value(name: str) -> None:
    examples_hold(name)


@pytest.mark.parametrize("margin", [0.0, 0.5, 2.0])
def test_margin_ranking_is_that_of_pytorch(margin: float) -> None:
    a, b, t = normal(30, seed=1), normal(30, seed=2), normal(30, seed=3).sign()
    expected = F.margin_ranking_loss(a, b, t, margin=margin, reduction="none")
    same(margin_ranking(a, b, t, margin=margin), expected)


def test_bpr_is_ranknet_of_two_items() -> None:
    a, b = normal(30, seed=1), normal(30, seed=2)
    same(bpr(a, b), np.logaddexp(0, (b - a).numpy()))
    relevance = torch.tensor([1.0, 0.0]).double().expand(30, 2)
    same(ranknet(torch.stack((a, b), 1), relevance), bpr(a, b))


@pytest.mark.parametrize("margin", [0.0, 1.0, 2.5])
def test_pairwise_losses_are_means_over_pairs(margin: float) -> None:
    p, y = lists()
    logistic, hinge = [], []
    for s, r in zip(p.numpy(), y.numpy(), strict=True):
        gaps = np.array([s[i] - s[j] for i, j in pairs(r)])
        logistic.append(np.logaddexp(0, -gaps).mean())
        hinge.append(np.maximum(0, margin - gaps).mean())
    same(ranknet(p, y), logistic)
    same(pairwise_hinge(p, y, margin=margin), hinge)


def test_listnet_is_a_cross_entropy_of_two_softmaxes() -> None:
    p, y = lists()
    chance = scipy.special.softmax(y.numpy(), axis=1)
    same(listnet(p, y), -(chance * scipy.special.log_softmax(p.numpy(), axis=1)).sum(1))


def test_listmle_is_a_likelihood_of_orders() -> None:
    p = normal(1, 4, seed=1)
    total = 0.0
    for order in itertools.permutations(range(4)):
        rest, likelihood = list(range(4)), 1.0
        for item in order:
            likelihood *= math.exp(p[0, item]) / sum(math.exp(p[0, k]) for k in rest)
            rest.remove(item)
        relevance = torch.zeros(1, 4).double()
        relevance[0, list(order)] = torch.arange(4, 0, -1).double()
        same(listmle(p, relevance), [-math.log(likelihood)])
        total += likelihood
    assert total == pytest.approx(1)


def test_items_of_equal_relevance_come_in_the_order_of_the_list() -> None:
    p = normal(3, 5, seed=1)
    falling = torch.arange(5, 0, -1).double().expand(3, 5)
    same(listmle(p, torch.ones(3, 5).double()), listmle(p, falling))


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_lambdarank_weighs_pairs_by_what_a_swap_changes(sigma: float) -> None:
    p, y = lists()
    expected = []
    for s, r in zip(p.numpy(), y.numpy(), strict=True):
        gain = 2**r - 1
        total = 0.0
        for i, j in pairs(r):
            # A list in which the two have changed their scores.
            swapped = s.copy()
            swapped[[i, j]] = s[[j, i]]
            change = sklearn.metrics.ndcg_score([gain], [s]) - sklearn.metrics.ndcg_score(
                [gain], [swapped]
            )
            total += abs(change) * np.logaddexp(0, -sigma * (s[i] - s[j]))
        expected.append(total)
    same(lambdarank(p, y, sigma=sigma), expected, rtol=1e-11)


def test_lambdaranks_weights_have_no_gradient() -> None:
    p, y = lists(1)
    p.requires_grad_()
    (slope,) = torch.autograd.grad(lambdarank(p, y).sum(), p)
    step = 1e-6 * normal(1, 6, seed=5)
    # Small steps change no rank, so the weights are constant there.
    change = lambdarank(p + step, y) - lambdarank(p - step, y)
    same(change, 2 * (slope * step).sum(1), rtol=1e-6)


def test_approximate_ndcg_becomes_that_of_scikit_learn() -> None:
    p, y = lists()
    ndcg = [
        sklearn.metrics.ndcg_score([2**r - 1], [s])
        for s, r in zip(p.numpy(), y.numpy(), strict=True)
    ]
    same(approx_ndcg(p, y, temperature=1e-4), 1 - np.array(ndcg))


@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
def test_approximate_ndcg_is_the_papers_formula(temperature: float) -> None:
    p, y = lists()
    expected = []
    for s, r in zip(p.numpy(), y.numpy(), strict=True):
        rank = np.array(
            [
                1 + sum(scipy.special.expit((b - a) / temperature) for b in np.delete(s, i))
                for i, a in enumerate(s)
            ]
        )
        best = ((2 ** np.sort(r)[::-1] - 1) / np.log2(np.arange(2, len(r) + 2))).sum()
        expected.append(1 - ((2**r - 1) / np.log2(1 + rank)).sum() / best)
    same(approx_ndcg(p, y, temperature=temperature), expected)


@pytest.mark.parametrize("loss", LISTS)
def test_masked_items_take_part_in_nothing(loss: Any) -> None:
    p, y = lists()
    mask = torch.ones(4, 6).double()
    mask[0, 4:], mask[1, 2], mask[2, :] = 0, 0, 0
    padded = torch.where(mask > 0, p, torch.nan)
    relevance = torch.where(mask > 0, y, torch.inf)
    value = loss(padded, relevance, mask=mask)
    same(value[0], loss(p[:1, :4], y[:1, :4])[0])
    rest = [0, 1, 3, 4, 5]
    same(value[1], loss(p[1:2, rest], y[1:2, rest])[0])
    assert value[2] == 0
    same(value[3], loss(p[3:], y[3:])[0])


@pytest.mark.parametrize("loss", LISTS)
def test_the_order_of_a_list_and_a_shift_of_its_scores_do_not_matter(loss: Any) -> None:
    p, _ = lists()
    y = normal(4, 6, seed=2).abs()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    same(loss(p[:, order], y[:, order]), loss(p, y))
    same(loss(p + 7, y), loss(p, y), rtol=1e-11, atol=1e-11)


def test_lists_without_an_order_cost_nothing() -> None:
    p, _ = lists()
    for loss in (ranknet, pairwise_hinge, lambdarank):
        assert not loss(p, torch.ones(4, 6).double()).any()
    assert not approx_ndcg(p, torch.zeros(4, 6).double()).any()
    one = p[:, :1]
    for loss in LISTS:
        assert not loss(one, torch.zeros_like(one)).any()


def test_the_right_order_costs_less() -> None:
    _, y = lists()
    for loss in LISTS:
        assert (loss(3 * y, y) < loss(-3 * y, y)).all()


def test_relevance_beyond_the_exponential() -> None:
    y = torch.tensor([[3000.0, 2999.0, 0.0]])
    p = torch.tensor([[0.0, 1.0, 2.0]], requires_grad=True)
    for loss in LISTS:
        value = loss(p, y)
        (slope,) = torch.autograd.grad(value.sum(), p)
        assert value.isfinite().all()
        assert slope.isfinite().all()
    # Half the gain of the first, and the third has none.
    ndcg = (1 / 2 + 0.5 / math.log2(3)) / (1 + 0.5 / math.log2(3))
    same(approx_ndcg(p, y, temperature=0.01).double(), [1 - ndcg], rtol=1e-6)


def test_gradients_are_derivatives() -> None:
    p, y = lists(2, 4)
    number = torch.tensor(0.7, dtype=torch.float64)
    is_derivative(lambda a, b, n: margin_ranking(a, b, (y > 1) * 2.0 - 1, margin=n), p, -p, number)
    is_derivative(bpr, p, normal(2, 4, seed=9))
    for loss in (ranknet, listnet, listmle):
        is_derivative(lambda p, f=loss: f(p, y), p)
    is_derivative(lambda p, n: pairwise_hinge(p, y, margin=n), p, number)
    is_derivative(lambda p, n: lambdarank(p, y, sigma=n), p, number)
    is_derivative(lambda p, n: approx_ndcg(p, y, temperature=n), p, number)
    is_derivative(listnet, p, y)
    takes_tensor(pairwise_hinge, "margin", 0.7, p, y)
    takes_tensor(lambdarank, "sigma", 0.7, p, y)
    takes_tensor(approx_ndcg, "temperature", 0.7, p, y)


@pytest.mark.parametrize("loss", [*LISTS, bpr])
def test_compiles_in_one_graph(loss: Any) -> None:
    one_graph(loss, lists(4), lists(3), lists(2))


def test_masks_compile_in_one_graph() -> None:
    for loss in LISTS:
        masked = partial(lambda f, p, y: f(p, y, mask=(y != 2).to(p.dtype)), loss)
        one_graph(masked, lists(4), lists(3))


def test_a_mask_of_the_language_keeps_items() -> None:
    p, y = lists()
    m = torch.tensor([[1, 1, 1, 0, 0, 0]] * 4)
    loss = lossdsl.compile("ranknet(p, y, mask=m)", backend="eager")
    same(loss(p=p, y=y, m=m), ranknet(p[:, :3], y[:, :3]).mean())
