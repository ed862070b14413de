"""Weights by how unusual an element is: against loops over the papers' formulas."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest
import torch
import torch.nn.functional as F
from laws import bits, examples_hold, graph_of_batches, is_derivative, normal, same, uniform
from torch import Tensor

import lossdsl
from lossdsl.library.box_shapes import wiou
from lossdsl.library.boxes import iou
from lossdsl.library.outliers import ghm_c, ghm_c_of_prob, ghm_r, wiou_v3

P, Y = normal(5, 9, scale=2), bits(5, 9)


def boxes(count: int, seed: int) -> Tensor:
    made = uniform(count, 4, seed=seed)
    return torch.cat((made[:, :2], made[:, :2] + 0.05 + made[:, 2:]), 1)


def mean_of_means(pairs: list[tuple[float, float]], bins: int) -> float:
    """Of costs and gradient lengths: the mean over bins that are not empty."""
    found = defaultdict(list)
    for cost, length in pairs:
        found[min(int(length * bins), bins - 1)].append(cost)
    return sum(sum(costs) / len(costs) for costs in found.values()) / len(found)


def cross_entropies(p: Tensor, y: Tensor) -> list[tuple[float, float]]:
    pairs = []
    for score, target in zip(p.flatten().tolist(), y.flatten().tolist(), strict=True):
        q = 1 / (1 + math.exp(-score))
        cost = -target * math.log(q) - (1 - target) * math.log(1 - q)
        pairs.append((cost, abs(q - target)))
    return pairs


def residuals(p: Tensor, y: Tensor, mu: float) -> list[tuple[float, float]]:
    return [
        (math.sqrt(d * d + mu * mu) - mu, abs(d) / math.sqrt(d * d + mu * mu))
        for d in (p - y).flatten().tolist()
    ]


def test_examples_have_their_value() -> None:
    examples_hold("ghm_c", "ghm_r", "wiou_v3")


@pytest.mark.parametrize("bins", [1, 10, 30])
def test_ghm_c_is_the_papers_formula(bins: int) -> None:
    for y in (Y, uniform(5, 9)):
        expected = mean_of_means(cross_entropies(P, y), bins)
        same(ghm_c(P, y, bins=bins), expected)
        same(ghm_c_of_prob(P.sigmoid(), y, bins=bins), expected)


@pytest.mark.parametrize("bins", [1, 10])
@pytest.mark.parametrize("mu", [0.02, 1.0])
def test_ghm_r_is_the_papers_formula(mu: float, bins: int) -> None:
    y = normal(5, 9, seed=3)
    same(ghm_r(P, y, mu=mu, bins=bins), mean_of_means(residuals(P, y, mu), bins))


def test_masked_elements_are_in_no_bin() -> None:
    mask = bits(5, 9, seed=8)
    holed = torch.where(mask > 0, P, torch.nan)
    for name, first in (("ghm_c", "logits"), ("ghm_r", "real")):
        loss = lossdsl.compile(
            f"input p: {first}[B, N]\ninput y: mask[B, N]\ninput m: mask[B, N]\n"
            f"{name}(p, y, mask=m)",
            backend="eager",
        )
        whole = ghm_c if name == "ghm_c" else ghm_r
        same(loss(holed, Y, mask), whole(P[mask > 0], Y[mask > 0]))


@pytest.mark.parametrize(("typical", "alpha", "delta"), [(0.5, 1.9, 3.0), (0.9, 1.4, 5.0)])
def test_wiou_v3_is_the_papers_formula(typical: float, alpha: float, delta: float) -> None:
    p, y = boxes(30, 1), boxes(30, 2)
    expected = []
    for overlap, first in zip(iou(p, y).tolist(), wiou(p, y).tolist(), strict=True):
        beta = overlap / typical
        expected.append(beta / (delta * alpha ** (beta - delta)) * first)
    same(wiou_v3(p, y, typical=typical, alpha=alpha, delta=delta), expected)


def test_the_weight_has_no_gradient() -> None:
    p, y = boxes(30, 1).requires_grad_(), boxes(30, 2)
    weight = (wiou_v3(p, y, typical=0.5) / wiou(p, y)).detach()
    (slope,) = torch.autograd.grad(wiou_v3(p, y, typical=0.5).sum(), p)
    (expected,) = torch.autograd.grad((weight * wiou(p, y)).sum(), p)
    same(slope, expected)


def test_the_usual_value_may_be_the_batchs() -> None:
    p, y = boxes(30, 1), boxes(30, 2)
    loss = lossdsl.compile(
        "input p: boxes[N, 4]\ninput y: boxes[N, 4]\n"
        "wiou_v3(p, y, typical=detach(mean(iou(p, y))))",
        backend="eager",
    )
    same(loss(p, y), wiou_v3(p, y, typical=iou(p, y).mean().item()).mean())
    assert loss(p, p) == 0


def test_one_bin_is_cross_entropy() -> None:
    same(ghm_c(P, Y, bins=1), F.binary_cross_entropy_with_logits(P, Y))


def test_gradients_are_derivatives() -> None:
    is_derivative(lambda p: ghm_c(p, Y), P)
    is_derivative(lambda p: ghm_c_of_prob(p, Y), P.sigmoid())
    mu = torch.tensor(0.5, dtype=torch.float64)
    is_derivative(lambda p, y, m: ghm_r(p, y, mu=m), P, normal(5, 9, seed=3), mu)


def test_losses_compile_in_one_graph() -> None:
    graph_of_batches(ghm_c, lambda batch: (normal(batch, 9), bits(batch, 9)))
    graph_of_batches(ghm_c_of_prob, lambda batch: (uniform(batch, 9), bits(batch, 9)))
    graph_of_batches(ghm_r, lambda batch: (normal(batch, 9), normal(batch, 9, seed=3)))
    graph_of_batches(
        lambda p, y: wiou_v3(p, y, typical=0.5), lambda batch: (boxes(batch, 1), boxes(batch, 2))
    )
