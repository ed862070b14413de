"""Signals: against torchmetrics, SciPy's spectra and torch's, and as laws of scale."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import scipy.signal
import torch
from laws import examples_hold, is_derivative, normal, one_graph, same, takes_tensor
from torch import Tensor
from torchmetrics.functional.audio import (
    scale_invariant_signal_distortion_ratio,
    signal_noise_ratio,
)

import lossdsl
from lossdsl.library.signals import (
    mr_stft,
    sd_sdr,
    si_sdr,
    snr,
    spectral_convergence,
    stft_magnitude,
)

Loss = Callable[..., Tensor]
NAMES = ("snr", "si_sdr", "sd_sdr", "spectral_convergence", "stft_magnitude", "mr_stft")
Y = normal(2, 3, 40, seed=1) + 0.3
P = Y + 0.4 * normal(2, 3, 40, seed=2)


@pytest.mark.parametrize("zero_mean", [False, True])
def test_ratios_are_those_of_torchmetrics(zero_mean: bool) -> None:
    keywords = {"zero_mean": zero_mean}
    same(snr(P, Y, eps=1e-18, **keywords), -signal_noise_ratio(P, Y, zero_mean), rtol=1e-10)
    expected = -scale_invariant_signal_distortion_ratio(P, Y, zero_mean)
    same(si_sdr(P, Y, eps=1e-18, **keywords), expected, rtol=1e-10)


def test_sd_sdr_is_the_papers() -> None:
    p, y = P.numpy(), Y.numpy()
    a = (p * y).sum(-1) / (y * y).sum(-1)
    ratio = ((a[..., None] * y) ** 2).sum(-1) / ((y - p) ** 2).sum(-1)
    same(sd_sdr(P, Y, eps=1e-18), -10 * np.log10(ratio))


@pytest.mark.parametrize("scale", [1e-15, 1e-3, -2.0, 1e15])
def test_no_scale_changes_si_sdr(scale: float) -> None:
    for value in (si_sdr(scale * P, Y), si_sdr(P, scale * Y)):
        same(value, si_sdr(P, Y), rtol=1e-11)
    for loss in (snr, sd_sdr):
        same(loss(scale * P, scale * Y), loss(P, Y), rtol=1e-11)


def test_the_ratio_is_bounded() -> None:
    x = normal(1, 50, seed=3)
    same(si_sdr(x, 3 * x, eps=1e-8, zero_mean=False), [-80.0], rtol=1e-6)
    same(snr(x, x, eps=1e-8), [10 * math.log10(2e-8)], rtol=1e-6)
    orthogonal = torch.tensor([[1.0, -1.0]]).double()
    same(si_sdr(orthogonal, torch.ones(1, 2).double(), zero_mean=False), [80.0], rtol=1e-6)


@pytest.mark.parametrize("loss", [snr, si_sdr, sd_sdr])
def test_silence_is_finite(loss: Loss) -> None:
    zero, x = torch.zeros(1, 8), normal(1, 8).float()
    for given in ((zero, zero), (zero, x), (x, zero), (x, x)):
        free = [signal.clone().requires_grad_() for signal in given]
        value = loss(*free).sum()
        assert value.isfinite()
        for slope in torch.autograd.grad(value, free):
            assert slope.isfinite().all()
    assert loss(zero, zero).item() == 0


# --- spectra ---


def spectrogram(x: Tensor, window: int) -> np.ndarray:
    """Magnitudes of [T] as SciPy has them, before its scaling, [bins, frames]."""
    shape = scipy.signal.get_window("hann", window)
    step = max(window // 4, 1)
    frames = [x.numpy()[i : i + window] * shape for i in range(0, len(x) - window + 1, step)]
    return np.abs(np.fft.rfft(np.array(frames), axis=1)).T


@pytest.mark.parametrize("window", [4, 7, 16])
def test_spectra_are_the_papers(window: int) -> None:
    for p, y in zip(P.flatten(0, 1), Y.flatten(0, 1), strict=True):
        ours, theirs = spectrogram(p, window), spectrogram(y, window)
        ratio = np.linalg.norm(theirs - ours) / np.linalg.norm(theirs)
        same(spectral_convergence(p, y, window=window), ratio, rtol=1e-11)
        plain = np.mean(np.abs(ours - theirs))
        same(stft_magnitude(p, y, window=window, log=False), plain, rtol=1e-11)
        logs = np.mean(np.abs(np.log(ours + 1e-3) - np.log(theirs + 1e-3)))
        same(stft_magnitude(p, y, window=window, eps=1e-3), logs, rtol=1e-10)


def test_frames_are_those_of_torch() -> None:
    window = torch.hann_window(16, dtype=torch.float64)
    ours, theirs = (
        torch.stft(x[0], 16, 4, window=window, center=False, return_complex=True).abs()
        for x in (P, Y)
    )
    expected = (ours - theirs).abs().mean((1, 2))
    same(stft_magnitude(P[0], Y[0], window=16, log=False), expected)


def test_several_resolutions_are_a_mean() -> None:
    terms = [
        spectral_convergence(P, Y, window=w) + stft_magnitude(P, Y, window=w, eps=1e-4)
        for w in (16, 8, 4)
    ]
    same(mr_stft(P, Y, window=16, scales=3, eps=1e-4), sum(terms) / 3)


def test_a_signal_shorter_than_the_window_is_an_error() -> None:
    text = "input p: real[B, 100]\ninput y: real[B, 100]\nspectral_convergence(p, y)"
    assert [d.code for d in lossdsl.check(text).errors] == ["E401"]


# --- gradients, compilation, records ---

LOSSES = (
    snr,
    si_sdr,
    sd_sdr,
    partial(spectral_convergence, window=8),
    partial(stft_magnitude, window=8, eps=0.1),
    partial(mr_stft, window=8, scales=2, eps=0.1),
)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_derivatives(loss: Loss) -> None:
    is_derivative(loss, P[0, :2, :12], Y[0, :2, :12])


@pytest.mark.parametrize("loss", LOSSES)
def test_one_graph(loss: Loss) -> None:
    one_graph(loss, (P[0], Y[0]), (P[0, :2, :24], Y[0, :2, :24]))


@pytest.mark.parametrize("loss", [*LOSSES[:3], *LOSSES[4:]])
def test_eps_may_move(loss: Loss) -> None:
    takes_tensor(loss, "eps", 0.01, P, Y)


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    examples_hold(name)
