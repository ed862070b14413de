"""A record's interval holds what the loss gives, at ordinary and at extreme values."""

from __future__ import annotations

import pytest
import torch
from arguments import calls
from legal_values import extreme, ordinary

import lossdsl

CALLS = {name: call for name, call in calls().items() if call.record.values is not None}


@pytest.mark.parametrize("name", CALLS)
def test_the_map_lies_in_the_interval(name: str) -> None:
    call = CALLS[name]
    interval = call.record.values
    assert interval is not None
    # One number is all that a loss returns: the least and the largest of its map.
    text = call.text(', reduction="none"')
    first, _, expression = text.rpartition("\n")
    ends = [
        lossdsl.compile(f"{first}\n{end}({expression})", backend="eager") for end in ("min", "max")
    ]
    for seed in range(5):
        for values in (ordinary(call, torch.float64, seed), extreme(call, torch.float64)):
            low, high = (end(values).item() for end in ends)
            assert low >= interval.low - 1e-9
            assert high <= interval.high + 1e-9


def test_most_losses_say_what_they_give() -> None:
    silent = {r.name for r in lossdsl.losses().values() if r.values is None and r.family != "user"}
    assert silent == {
        "gaussian_nll",
        "poisson_nll",
        "neg_binomial_nll",
        "tweedie",
        "exponential_nll",
        "gamma_nll",
        "laplace_nll",
        "student_t_nll",
        "lognormal_nll",
        "crps",
        "energy_score",
        "soft_dtw",
        "dilate",
        "sinkhorn",
        "poly1",
        "boundary",
        "ms_ssim",
        "wgan_d",
        "wgan_g",
        "hinge_gan_g",
        "psnr",
        "snr",
        "si_sdr",
        "sd_sdr",
        "ebgan_d",
        "proxy_nca",
        "lpips",
        "attention_target",
        "distance_map_ce",
        "pixel_softmax_ce",
    }
