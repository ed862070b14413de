"""Spectra against NumPy and SciPy, and what refuses them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch

import lossdsl
from lossdsl import LossTypeError

X = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def value(text: str, x: torch.Tensor = X) -> float:
    return float(lossdsl.compile(text, backend="eager")(x=x))


def test_a_spectrum_is_numpys() -> None:
    spectrum = np.fft.fft(X.numpy())
    assert value("sum(abs(fft(x)))") == pytest.approx(np.abs(spectrum).sum(), rel=1e-12)
    assert value("sum(real(fft(x))**3)") == pytest.approx((spectrum.real**3).sum(), rel=1e-12)
    assert value("sum(imag(fft(x))**2)") == pytest.approx((spectrum.imag**2).sum(), rel=1e-12)


def test_half_a_spectrum_over_several_axes_is_numpys() -> None:
    spectrum = np.fft.rfftn(X.numpy(), axes=(1, 2), norm="ortho")
    text = "sum(abs(rfft(x, over=[1, 2], ortho=true)))"
    assert value(text) == pytest.approx(np.abs(spectrum).sum(), rel=1e-12)


def test_parseval() -> None:
    assert value("sum(abs(fft(x, ortho=true))**2) - sum(x**2)") == pytest.approx(0, abs=1e-11)


def test_frames_are_scipys() -> None:
    hann = scipy.signal.get_window("hann", 8, fftbins=True)
    padded = np.pad(X.numpy(), ((0, 0), (0, 0), (4, 4)), mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 8, axis=-1)[..., ::2, :]
    spectrum = np.fft.rfft(frames * hann)
    assert value("sum(abs(stft(x, 8)))") == pytest.approx(np.abs(spectrum).sum(), rel=1e-12)


def test_the_gradient_of_a_magnitude_is_finite_where_it_is_zero() -> None:
    x = torch.zeros(2, 8, requires_grad=True)
    lossdsl.compile("mean(abs(fft(x)))", backend="eager")(x).backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.zeros(2, 8))


@pytest.mark.parametrize(
    "text",
    ["mean(fft(x))", "mse(fft(x), x)", "fft(x)", "sum(fft(x)*fft(x))", "mean(prob(fft(x)))"],
)
def test_a_spectrum_is_no_number(text: str) -> None:
    with pytest.raises(LossTypeError, match="spectrum"):
        lossdsl.compile(text)


def test_a_spectrum_is_no_input() -> None:
    with pytest.raises(LossTypeError, match="is no input"):
        lossdsl.compile("input x: complex[B]\nmean(abs(x))")


def test_only_spectra_have_an_imaginary_part() -> None:
    with pytest.raises(LossTypeError, match="`imag` takes a spectrum"):
        lossdsl.compile("mean(imag(x))")


def test_a_series_shorter_than_its_window_is_refused() -> None:
    with pytest.raises(lossdsl.LossInputError, match="window of 8 mirrors 4 values"):
        lossdsl.compile("mean(abs(stft(x, 8)))", backend="eager")(torch.zeros(2, 4))
