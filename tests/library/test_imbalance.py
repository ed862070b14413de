"""Losses for rare classes: against the papers' formulas, one sample at a time."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from laws import (
    bits,
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
from lossdsl.diagnostics.errors import LossError
from lossdsl.library.classification import bce, ce, focal
from lossdsl.library.imbalance import (
    class_balanced,
    class_balanced_of_prob,
    ldam,
    seesaw,
)
from lossdsl.library.rare_positives import (
    asymmetric_focal,
    asymmetric_focal_of_prob,
    balanced_bce,
    balanced_bce_of_prob,
)

COUNTS = [900.0, 50.0, 7.0]


def test_examples_have_their_value() -> None:
    examples_hold("class_balanced", "ldam", "seesaw", "asymmetric_focal", "balanced_bce")


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.9999])
@pytest.mark.parametrize("space", [(), (4,)])
def test_class_balanced_is_the_papers_formula(beta: float, space: tuple[int, ...]) -> None:
    z, y = normal(8, 3, *space, scale=2), labels(3, 8, *space)
    weights = np.array([(1 - beta) / (1 - beta**n) for n in COUNTS])
    weights = weights / weights.sum() * 3
    expected = weights[y.numpy()] * F.cross_entropy(z, y, reduction="none").numpy()
    # beta**n itself has lost digits.
    same(class_balanced(z.log_softmax(1), y, counts=COUNTS, beta=beta), expected, rtol=1e-11)
    same(class_balanced_of_prob(z.softmax(1), y, counts=COUNTS, beta=beta), expected, rtol=1e-11)


def test_class_balanced_without_beta_is_cross_entropy() -> None:
    z, y = normal(8, 3).log_softmax(1), labels(3, 8)
    same(class_balanced(z, y, counts=COUNTS, beta=0.0), ce(z, y))


def test_weights_keep_their_digits_in_single_precision() -> None:
    z, y = normal(3, 3).log_softmax(1), torch.arange(3)
    exact = class_balanced(z, y, counts=[1.0, 2.0, 3.0], beta=0.99999)
    value = class_balanced(z.float(), y, counts=[1.0, 2.0, 3.0], beta=0.99999)
    torch.testing.assert_close(value.double(), exact, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("margin", "scale"), [(0.5, 30.0), (0.0, 1.0), (0.3, 5.0)])
def test_ldam_is_the_papers_formula(margin: float, scale: float) -> None:
    z, y = uniform(8, 3) * 2 - 1, labels(3, 8)
    strongest = max(n**-0.25 for n in COUNTS)
    expected = []
    for row, label in zip(z.tolist(), y.tolist(), strict=True):
        held = list(row)
        held[label] -= margin * COUNTS[label] ** -0.25 / strongest
        powers = [math.exp(scale * s) for s in held]
        expected.append(-math.log(powers[label] / sum(powers)))
    same(ldam(z, y, counts=COUNTS, margin=margin, scale=scale), expected, rtol=1e-9)


def test_ldam_of_maps_is_that_of_each_pixel() -> None:
    z, y = uniform(4, 3, 5), labels(3, 4, 5)
    value = ldam(z, y, counts=COUNTS)
    for i in range(5):
        same(value[:, i], ldam(z[:, :, i], y[:, i], counts=COUNTS))


@pytest.mark.parametrize(("mitigation", "compensation"), [(0.8, 2.0), (0.0, 1.0), (0.5, 0.0)])
def test_seesaw_is_the_papers_formula(mitigation: float, compensation: float) -> None:
    z, y = normal(8, 3, scale=3), labels(3, 8)
    expected = []
    for row, label in zip(z.tolist(), y.tolist(), strict=True):
        powers = [math.exp(s) for s in row]
        q = [power / sum(powers) for power in powers]
        own = max(q[label], 1e-2)
        factors = [
            min(1.0, COUNTS[c] / COUNTS[label]) ** mitigation * max(1.0, q[c] / own) ** compensation
            if c != label
            else 1.0
            for c in range(3)
        ]
        total = sum(factor * power for factor, power in zip(factors, powers, strict=True))
        expected.append(-math.log(powers[label] / total))
    value = seesaw(z, y, counts=COUNTS, mitigation=mitigation, compensation=compensation)
    same(value, expected, rtol=1e-10)


def test_seesaw_without_factors_is_cross_entropy() -> None:
    z, y = normal(8, 3, 2), labels(3, 8, 2)
    value = seesaw(z, y, counts=COUNTS, mitigation=0.0, compensation=0.0)
    same(value, ce(z.log_softmax(1), y))


def test_the_factors_of_seesaw_have_no_gradient() -> None:
    z, y = normal(8, 3, scale=2).requires_grad_(), labels(3, 8)
    seesaw(z, y, counts=COUNTS).sum().backward()
    q = z.detach().log_softmax(1)
    own = q.gather(1, y[:, None]).clamp(min=math.log(1e-2))
    n = torch.tensor(COUNTS, dtype=torch.float64).log()
    factors = 0.8 * (n - n[y][:, None]).clamp(max=0) + 2 * (q - own).clamp(min=0)
    factors.scatter_(1, y[:, None], 0.0)
    expected = (z.detach() + factors).softmax(1) - F.one_hot(y, 3)
    same(z.grad, expected)


def test_a_class_without_samples_counts_as_one() -> None:
    z, y = normal(8, 3), labels(3, 8)
    for loss in (class_balanced, ldam, seesaw):
        same(loss(z, y, counts=[9.0, 1.0, 0.0]), loss(z, y, counts=[9.0, 1.0, 1.0]))


@pytest.mark.parametrize("name", ["class_balanced", "ldam", "seesaw"])
def test_counts_are_as_many_as_classes(name: str) -> None:
    program = f"input p: class_logits[B, 3]\ninput y: labels[B]\n{name}(p, y, counts=[5, 1])"
    with pytest.raises(LossError, match="`counts`"):
        lossdsl.compile(program, backend="eager")


@pytest.mark.parametrize(
    ("gamma_pos", "gamma_neg", "shift"),
    [(0.0, 4.0, 0.05), (1.0, 4.0, 0.05), (2.0, 2.0, 0.0), (0.5, 3.0, 0.3)],
)
def test_asymmetric_focal_is_the_papers_formula(
    gamma_pos: float, gamma_neg: float, shift: float
) -> None:
    z, y = normal(40, scale=3), bits(40)
    expected = []
    for score, target in zip(z.tolist(), y.tolist(), strict=True):
        p = 1 / (1 + math.exp(-score))
        low = max(p - shift, 0.0)
        positive = (1 - p) ** gamma_pos * math.log(p)
        negative = low**gamma_neg * math.log(1 - low)
        expected.append(-(positive if target else negative))
    options = {"gamma_pos": gamma_pos, "gamma_neg": gamma_neg, "shift": shift}
    same(asymmetric_focal(z, y, **options), expected, rtol=1e-11)
    same(asymmetric_focal_of_prob(z.sigmoid(), y, **options), expected, rtol=1e-11)


def test_asymmetric_focal_contains_bce_and_focal() -> None:
    z, y = normal(40, scale=3), bits(40)
    same(asymmetric_focal(z, y, gamma_neg=0.0, shift=0.0), bce(z, y))
    value = asymmetric_focal(z, y, gamma_pos=2.0, gamma_neg=2.0, shift=0.0)
    same(value, focal(z, y, alpha=None))


def test_easy_negatives_have_no_gradient() -> None:
    z = torch.tensor([-4.0, -2.0], dtype=torch.float64, requires_grad=True)
    asymmetric_focal(z, torch.zeros(2, dtype=torch.float64)).sum().backward()
    assert z.grad is not None
    assert (z.grad != 0).tolist() == [False, True]


def balanced(p: Any, y: Any, beta: float | None) -> float:
    share = (1 - y).sum() / y.size if beta is None else beta
    cost = share * y * np.log(p) + (1 - share) * (1 - y) * np.log(1 - p)
    return float(-cost.sum() / y.size)


@pytest.mark.parametrize("beta", [None, 0.2])
@pytest.mark.parametrize("space", [(6,), (3, 4)])
def test_balanced_bce_is_the_papers_formula(beta: float | None, space: tuple[int, ...]) -> None:
    z, y = normal(5, *space, scale=2), (uniform(5, *space, seed=3) > 0.7).double()
    p = z.sigmoid().numpy()
    expected = [balanced(p[n], y[n].numpy(), beta) for n in range(5)]
    same(balanced_bce(z, y, beta=beta), expected)
    same(balanced_bce_of_prob(z.sigmoid(), y, beta=beta), expected)


def test_balanced_bce_is_bce_with_a_positive_weight() -> None:
    z, y = normal(1, 30), bits(1, 30)
    beta = 1 - y.mean().item()
    weighted = bce(z, y, pos_weight=beta / (1 - beta)).mean(1)
    same(balanced_bce(z, y), (1 - beta) * weighted)


def test_a_mask_counts_for_the_balance() -> None:
    z, y = normal(2, 9), bits(2, 9)
    mask = (torch.arange(9) < 5).double().expand(2, 9)
    same(balanced_bce(z, y, mask=mask), balanced_bce(z[:, :5], y[:, :5]))
    none = torch.zeros(2, 9, dtype=torch.float64)
    same(balanced_bce(z, y, mask=none), [0.0, 0.0])


def test_gradients_are_derivatives() -> None:
    z, y = normal(4, 3, 2), labels(3, 4, 2)
    number = torch.tensor(0.6, dtype=torch.float64)
    counts = torch.tensor([9.0, 4.0, 2.0], dtype=torch.float64)
    for loss, p in ((class_balanced, z.log_softmax(1)), (class_balanced_of_prob, z.softmax(1))):
        is_derivative(lambda p, n, c, f=loss: f(p, y, counts=c, beta=n), p, number, counts)
    is_derivative(lambda p, n, c: ldam(p, y, counts=c, margin=n, scale=5 * n), z, number, counts)
    target = uniform(4, 3)
    for loss, p in (
        (asymmetric_focal, normal(4, 3)),
        (asymmetric_focal_of_prob, normal(4, 3).sigmoid()),
    ):
        is_derivative(
            lambda p, t, n, f=loss: f(p, t, gamma_pos=n, gamma_neg=4 * n, shift=n / 10),
            p,
            target,
            number,
        )
    for loss, p in ((balanced_bce, normal(4, 3)), (balanced_bce_of_prob, normal(4, 3).sigmoid())):
        is_derivative(lambda p, n, f=loss: f(p, bits(4, 3), beta=n), p, number)
        is_derivative(lambda p, f=loss: f(p, bits(4, 3)), p)


def with_labels(batch: int) -> tuple[Tensor, ...]:
    return normal(batch, 3, 4), labels(3, batch, 4)


def with_masks(batch: int) -> tuple[Tensor, ...]:
    return normal(batch, 3, 4), bits(batch, 3, 4)


@pytest.mark.parametrize(
    ("loss", "arguments"),
    [
        *((partial(f, counts=COUNTS), with_labels) for f in (class_balanced, ldam, seesaw)),
        (asymmetric_focal, with_masks),
        (balanced_bce, with_masks),
    ],
)
def test_compiles_in_one_graph(loss: Any, arguments: Any) -> None:
    graph_of_batches(loss, arguments)
