"""Probability of a pixel: integrals with 60 digits, and sums over all levels."""

from __future__ import annotations

import mpmath
import pytest
import torch
from laws import examples_hold, is_derivative, normal, same
from torch import Tensor

import lossdsl
from lossdsl.library.decoder import LEAST_LOGVAR, NARROW, decoder_nll

LOGVARS = [-19.0, -9.0, -4.0, -1.4, -1.2, 0.0, 3.0, 30.0]


def pixels(places: list[int], levels: int = 256) -> Tensor:
    values = [[-1 + 2 * place / (levels - 1)] for place in places]
    return torch.tensor(values, dtype=torch.float64)


def by_digits(mean: float, x: float, logvar: float, levels: int) -> float:
    """Bits of one pixel between -1 and 1, with 60 digits."""
    with mpmath.workdps(60):
        half = mpmath.mpf(1) / (levels - 1)
        spread = mpmath.exp(mpmath.mpf(logvar) / 2)
        low = -mpmath.inf if x < -1 + half else (mpmath.mpf(x) - half - mean) / spread
        high = mpmath.inf if x > 1 - half else (mpmath.mpf(x) + half - mean) / spread
        if low > 0:
            low, high = -high, -low
        return float(-mpmath.log(mpmath.ncdf(high) - mpmath.ncdf(low), 2))


def test_examples_have_their_value() -> None:
    examples_hold("decoder_nll")


@pytest.mark.parametrize("logvar", LOGVARS)
@pytest.mark.parametrize("mean", [-3.0, -1.0, -0.2, 0.01, 1.5])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_a_pixel_keeps_its_digits(
    logvar: float, mean: float, dtype: torch.dtype, close: float
) -> None:
    x = pixels([0, 1, 100, 127, 128, 254, 255]).to(dtype)
    given = [torch.full_like(x, value) for value in (mean, logvar)]
    value = decoder_nll(given[0], x, given[1])
    expected = [
        by_digits(given[0][0].item(), own, given[1][0].item(), 256) for own in x[:, 0].tolist()
    ]
    torch.testing.assert_close(
        value.double(), torch.tensor(expected, dtype=torch.float64), rtol=close, atol=close
    )


@pytest.mark.parametrize("levels", [2, 5, 256])
@pytest.mark.parametrize("logvar", LOGVARS)
def test_all_levels_add_up_to_one(levels: int, logvar: float) -> None:
    x = pixels(list(range(levels)), levels)
    for mean in (-1.3, 0.123):
        bits = decoder_nll(torch.full_like(x, mean), x, torch.full_like(x, logvar), levels=levels)
        same(torch.exp2(-bits).sum(), 1.0, rtol=1e-9)


def test_the_two_forms_of_a_bin_meet() -> None:
    """Around the width at which one takes over from the other."""
    x = pixels([150])
    edge = 2 * torch.log(torch.tensor(2 / 255 / NARROW, dtype=torch.float64))
    for mean in (-4.0, 0.0, 0.17):
        sides = [
            decoder_nll(torch.full_like(x, mean), x, torch.full_like(x, float(edge + side)))
            for side in (-1e-12, 1e-12)
        ]
        torch.testing.assert_close(*sides, rtol=1e-9, atol=0.0)


def test_below_the_least_variance_nothing_changes_but_it_can_return() -> None:
    x, mean = pixels([40]), torch.zeros(1, 1, dtype=torch.float64)
    low = torch.full_like(x, LEAST_LOGVAR - 100).requires_grad_()
    value = decoder_nll(mean, x, low)
    same(value, decoder_nll(mean, x, torch.full_like(x, LEAST_LOGVAR)))
    (slope,) = torch.autograd.grad(value.sum(), low)
    assert slope.item() < 0


def test_gradients() -> None:
    x = pixels([0, 3, 100, 128, 200, 255]).T.contiguous()
    for logvar in (-7.0, -2.0, 1.0):
        spread = logvar + 0.1 * normal(1, 6, seed=2)
        is_derivative(lambda m, s: decoder_nll(m, x, s), 0.3 * normal(1, 6), spread)


def test_the_bound_of_a_whole_batch() -> None:
    """The first step where it is due, the divergence elsewhere."""
    loss = lossdsl.compile(
        "input t: count[B]\ninput x0: real[B, D]\ninput m: real[B, D]\ninput s: real[B, D]\n"
        "input q: real[B, D]\ninput r: real[B, D]\n"
        "mean(where(t == 0, decoder_nll(detach(m), x0, s, reduction='none'), "
        "diffusion_vlb(q, r, m, s, reduction='none')))",
        backend="eager",
    )
    x0 = torch.cat((pixels([3, 77]).T, pixels([255, 0]).T))
    m, s, q, r = (0.5 * normal(2, 2, seed=seed) for seed in range(4))
    free = m.clone().requires_grad_(), s.clone().requires_grad_()
    value = loss(t=torch.tensor([0, 5]), x0=x0, m=free[0], s=free[1], q=q, r=r)
    first = sum(
        by_digits(a, b, c, 256)
        for a, b, c in zip(*(v[0].tolist() for v in (m, x0, s)), strict=True)
    )
    later = 0.5 * (s[1] - r[1] - 1 + torch.exp(r[1] - s[1]) + (q[1] - m[1]) ** 2 * torch.exp(-s[1]))
    same(value, (first / 2 + later.mean().item() / 0.6931471805599453) / 2, rtol=1e-9)
    value.backward()
    assert free[0].grad is None
    assert free[1].grad is not None
    assert free[1].grad.all()
