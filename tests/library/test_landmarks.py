"""Heat maps and keypoints: against loops over the papers' formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor, uniform

import lossdsl
from lossdsl.library.landmarks import adaptive_wing, oks

P, Y = normal(5, 8), uniform(5, 8)
POINTS, TRUE, AREA = normal(4, 3, 2, seed=1), normal(4, 3, 2, seed=2), 0.5 + uniform(4)
SPREAD = [0.5, 0.7, 1.0]


def test_examples_have_their_value() -> None:
    examples_hold("adaptive_wing", "oks")


@pytest.mark.parametrize(
    ("omega", "theta", "epsilon", "alpha"), [(14, 0.5, 1, 2.1), (3, 1.5, 0.5, 3), (10, 0.2, 2, 2)]
)
def test_adaptive_wing_is_the_papers_formula(
    omega: float, theta: float, epsilon: float, alpha: float
) -> None:
    expected = []
    for p, y in zip(P.flatten().tolist(), Y.flatten().tolist(), strict=True):
        d, power = abs(p - y), alpha - y
        ratio = theta / epsilon
        a = omega / (1 + ratio**power) * power * ratio ** (power - 1) / epsilon
        c = theta * a - omega * math.log(1 + ratio**power)
        near = omega * math.log(1 + (d / epsilon) ** power)
        expected.append(near if d < theta else a * d - c)
    value = adaptive_wing(P, Y, omega=omega, theta=theta, epsilon=epsilon, alpha=alpha)
    same(value.flatten(), expected)


@pytest.mark.parametrize("y", [0.0, 0.5, 1.0])
def test_value_and_slope_are_continuous_at_theta(y: float) -> None:
    edges = y + 0.5 + torch.tensor([-1e-9, 1e-9], dtype=torch.float64)
    p = edges.requires_grad_()
    value = adaptive_wing(p, torch.full_like(p, y))
    (slope,) = torch.autograd.grad(value.sum(), p)
    torch.testing.assert_close(value[0], value[1], rtol=0, atol=1e-6)
    torch.testing.assert_close(slope[0], slope[1], rtol=0, atol=1e-6)


def test_a_heat_map_that_is_met_is_at_rest() -> None:
    p = Y.clone().requires_grad_()
    value = adaptive_wing(p, Y)
    (slope,) = torch.autograd.grad(value.sum(), p)
    assert not value.any()
    assert not slope.any()


def test_oks_is_cocos_formula() -> None:
    expected = np.zeros((4, 3))
    for n, (points, true, area) in enumerate(
        zip(POINTS.tolist(), TRUE.tolist(), AREA.tolist(), strict=True)
    ):
        for k, (point, target) in enumerate(zip(points, true, strict=True)):
            variance = (2 * SPREAD[k]) ** 2
            square = sum((a - b) ** 2 for a, b in zip(point, target, strict=True))
            expected[n, k] = 1 - math.exp(-square / variance / area / 2)
    same(oks(POINTS, TRUE, AREA, spread=SPREAD), expected)


def test_oks_does_not_change_with_the_unit() -> None:
    same(
        oks(7 * POINTS, 7 * TRUE, 49 * AREA, spread=SPREAD), oks(POINTS, TRUE, AREA, spread=SPREAD)
    )


def test_hidden_points_do_not_count() -> None:
    visible = torch.tensor([[1, 0, 1], [1, 1, 1], [0, 0, 0], [0, 1, 0]])
    loss = lossdsl.compile(
        f"input p: real[B, K, 2]\ninput y: real[B, K, 2]\ninput a: positive[B]\n"
        f"input v: mask[B, K]\noks(p, y, a, spread={SPREAD}, mask=v)",
        backend="eager",
    )
    holed = torch.where(visible[..., None] > 0, POINTS, torch.nan)
    value = oks(POINTS, TRUE, AREA, spread=SPREAD)
    same(loss(holed, TRUE, AREA, visible), value[visible > 0].mean())


def test_gradients_are_derivatives() -> None:
    is_derivative(lambda p, y: adaptive_wing(p, y, alpha=2.5), P, Y)
    is_derivative(lambda p, y, a: oks(p, y, a, spread=SPREAD), POINTS, TRUE, AREA)
    numbers = [torch.tensor(n, dtype=torch.float64) for n in (9.0, 0.6, 1.2, 2.3)]
    is_derivative(
        lambda w, t, e, a: adaptive_wing(P, Y, omega=w, theta=t, epsilon=e, alpha=a), *numbers
    )


@pytest.mark.parametrize(
    ("name", "value"), [("omega", 10.0), ("theta", 0.4), ("epsilon", 0.8), ("alpha", 2.2)]
)
def test_parameters_may_move(name: str, value: float) -> None:
    takes_tensor(adaptive_wing, name, value, P, Y)


def test_losses_compile_in_one_graph() -> None:
    one_graph(adaptive_wing, (P, Y), (P[:3], Y[:3]))
    one_graph(
        lambda p, y, a: oks(p, y, a, spread=SPREAD),
        (POINTS, TRUE, AREA),
        (POINTS[:3], TRUE[:3], AREA[:3]),
    )
