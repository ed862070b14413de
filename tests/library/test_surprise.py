"""The logarithm of a label's probability and its bent forms: against PyTorch and loops over the
papers' formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from laws import (
    bits,
    distribution,
    examples_hold,
    graph_of_batches,
    is_derivative,
    labels,
    normal,
    same,
    uniform,
)
from torch import Tensor

import lossdsl
from lossdsl.library.surprise import (
    focal_star,
    nll,
    nll_of_prob,
    poly1_bce,
    poly1_bce_of_prob,
    reduced_focal,
    reduced_focal_of_prob,
)

Z, Y = normal(4, 7, scale=2), bits(4, 7)


def element_by_element(formula: Callable[[float, float], float], z: Tensor, y: Tensor) -> Any:
    """The formula of a target's probability and of its score, for targets of 0 and 1."""
    rows = zip(z.flatten().tolist(), y.flatten().tolist(), strict=True)
    values = []
    for score, target in rows:
        own = score if target == 1 else -score
        values.append(formula(1 / (1 + math.exp(-own)), own))
    return np.array(values).reshape(z.shape)


def test_examples_have_their_value() -> None:
    examples_hold("nll", "poly1_bce", "reduced_focal", "focal_star")


def test_nll_is_pytorchs() -> None:
    p, y = normal(5, 3, 4).log_softmax(1), labels(3, 5, 4)
    same(nll(p, y), F.nll_loss(p, y, reduction="none"))
    same(nll_of_prob(p.exp(), y), F.nll_loss(p, y, reduction="none"))
    weight = [0.5, 2.0, 3.0]
    loss = lossdsl.compile(f"nll(p, y, class_weight={weight})", backend="eager")
    expected = F.nll_loss(p, y, weight=torch.tensor(weight, dtype=torch.float64))
    same(loss(p=p, y=y), expected)
    y[0, 0] = -100
    same(lossdsl.compile("nll(p, y)", backend="eager")(p=p, y=y), F.nll_loss(p, y))


def test_nll_takes_what_is_undeclared_for_log_probabilities() -> None:
    p, y = normal(5, 3).log_softmax(1) - 1, labels(3, 5)
    same(lossdsl.compile("nll(p, y)", backend="eager")(p=p, y=y), F.nll_loss(p, y))
    scores = lossdsl.compile(
        "input p: class_logits[B, C]\ninput y: labels[B]\nnll(p, y)", backend="eager"
    )
    same(scores(p, y), F.cross_entropy(p, y))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("eps", [-1.0, 0.0, 2.0])
def test_poly1_bce_is_the_papers_formula(eps: float, gamma: float) -> None:
    expected = element_by_element(
        lambda q, _: -((1 - q) ** gamma) * math.log(q) + eps * (1 - q) ** (gamma + 1), Z, Y
    )
    same(poly1_bce(Z, Y, eps=eps, gamma=gamma), expected)
    same(poly1_bce_of_prob(Z.sigmoid(), Y, eps=eps, gamma=gamma), expected, rtol=1e-11)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_reduced_focal_is_the_papers_formula(gamma: float, threshold: float) -> None:
    def formula(q: float, _: float) -> float:
        weight = 1.0 if q < threshold else ((1 - q) / threshold) ** gamma
        return -weight * math.log(q)

    expected = element_by_element(formula, Z, Y)
    options = {"gamma": gamma, "threshold": threshold}
    same(reduced_focal(Z, Y, **options), expected)
    same(reduced_focal_of_prob(Z.sigmoid(), Y, **options), expected, rtol=1e-11)


def test_hard_elements_keep_the_whole_weight() -> None:
    z = torch.tensor([-1.0, -9.0, -100.0])
    torch.testing.assert_close(reduced_focal(z, torch.ones(3)), F.softplus(-z))


@pytest.mark.parametrize(("gamma", "beta"), [(2.0, 1.0), (4.0, 0.0), (0.5, -1.0)])
def test_focal_star_is_the_papers_formula(gamma: float, beta: float) -> None:
    expected = element_by_element(
        lambda _, x: math.log(1 + math.exp(-(gamma * x + beta))) / gamma, Z, Y
    )
    same(focal_star(Z, Y, gamma=gamma, beta=beta), expected)


@pytest.mark.parametrize("loss", [poly1_bce, reduced_focal, focal_star])
def test_soft_targets_mix(loss: Any) -> None:
    y = uniform(4, 7)
    mixed = y * loss(Z, torch.ones_like(Z)) + (1 - y) * loss(Z, torch.zeros_like(Z))
    same(loss(Z, y), mixed)


def test_gradients_are_derivatives() -> None:
    one, two = torch.tensor(0.7, dtype=torch.float64), torch.tensor(1.3, dtype=torch.float64)
    soft = 0.2 + 0.6 * uniform(4, 7)
    is_derivative(lambda p: nll(p, labels(3, 5, 4)), normal(5, 3, 4).log_softmax(1))
    is_derivative(lambda p: nll_of_prob(p, labels(3, 5, 4)), distribution(5, 3, 4))
    for loss, p in ((poly1_bce, Z), (poly1_bce_of_prob, Z.sigmoid())):
        is_derivative(lambda p, y, e, g, f=loss: f(p, y, eps=e, gamma=g), p, soft, one, two)
    for other, p in ((reduced_focal, Z), (reduced_focal_of_prob, Z.sigmoid())):
        is_derivative(lambda p, y, g, f=other: f(p, y, gamma=g), p, soft, two)
    is_derivative(lambda p, y, g, b: focal_star(p, y, gamma=g, beta=b), Z, soft, two, one)


@pytest.mark.parametrize("loss", [poly1_bce, reduced_focal, focal_star])
def test_losses_of_scores_compile_in_one_graph(loss: Any) -> None:
    graph_of_batches(loss, lambda batch: (normal(batch, 7), bits(batch, 7)))


@pytest.mark.parametrize("loss", [poly1_bce_of_prob, reduced_focal_of_prob])
def test_losses_of_probabilities_compile_in_one_graph(loss: Any) -> None:
    graph_of_batches(loss, lambda batch: (uniform(batch, 7), bits(batch, 7)))


@pytest.mark.parametrize("loss", [nll, nll_of_prob])
def test_likelihoods_compile_in_one_graph(loss: Any) -> None:
    graph_of_batches(loss, lambda batch: (distribution(batch, 3, 4), labels(3, batch, 4)))
