"""Sound and other signals along the last axis: ratios of signal to error, and spectra."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from lossdsl.functions.precision import wide
from lossdsl.library.embedding import guarded_root
from lossdsl.library.guarded import mean_over
from lossdsl.library.record import Example, Number, Reference
from lossdsl.library.registry import loss

PAIRED = "real[*S, T], real[*S, T] -> loss[*S]"
DECIBEL = 10 / math.log(10)

OF_RATIOS = (
    "Negative decibels: smaller is better.",
    "zero_mean=true takes the mean off both signals first.",
    "eps times the energy of both signals is added to both parts of the ratio: it bounds the"
    " value, near 10 log10 eps for an exact match.",
)

WRONG = {"p": [[2.0, 0.0]], "y": [[1.0, 1.0]]}
"""The target, with an error as large as the target at a right angle to it."""

LE_ROUX = Reference(
    "J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey",
    "SDR - half-baked or well done?",
    2018,
    "1811.02508",
)


def prepared(x: Tensor, zero_mean: bool) -> Tensor:
    x = wide(x)
    return x - x.sum(-1, keepdim=True) / max(x.shape[-1], 1) if zero_mean else x


def largest(x: Tensor) -> Tensor:
    """The largest size of a signal, to divide by: 1 of silence."""
    if not x.shape[-1]:
        return x.detach().sum(-1, keepdim=True) + 1
    size = x.detach().abs().amax(-1, keepdim=True)
    return torch.where(size > 0, size, 1.0)


def alike_in_size(p: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both divided by the larger of their sizes: their energies stay in the range of floats."""
    size = torch.maximum(largest(p), largest(y))
    return p / size, y / size


def energy(x: Tensor) -> Tensor:
    return (x * x).sum(-1)


def negative_decibels(signal: Tensor, error: Tensor, eps: Number, whole: Tensor) -> Tensor:
    """-10 log10 of the ratio of two energies, each with a share of the whole's. 0 of silence."""
    floor = eps * torch.where(whole > 0, whole, 1.0)
    return DECIBEL * (torch.log(error + floor) - torch.log(signal + floor))


def projected(p: Tensor, y: Tensor) -> Tensor:
    """The part of p along y."""
    size = energy(y)
    size = torch.where(size > 0, size, 1.0)
    return ((p * y).sum(-1) / size)[..., None] * y


@loss(
    "snr",
    signature=PAIRED,
    family="audio",
    latex=r"-10 \log_{10} \frac{\lVert y \rVert^2}{\lVert y - p \rVert^2}",
    reference=LE_ROUX,
    ranges={"eps": "(0, 1)"},
    conventions=OF_RATIOS,
    pitfalls=("A quiet estimate is a safe one: silence costs 0 decibels.",),
    use=(
        "Speech and other signals whose loudness must be right: enhancement, separation with"
        " known scale."
    ),
    avoid=(
        "Outputs of any scale: `si_sdr`. Quiet starts, as silence costs 0 decibels: `l1` or"
        " `mr_stft` beside it."
    ),
    checked="`torchmetrics.functional.audio.signal_noise_ratio`",
    related={
        "si_sdr": "whatever the scale",
        "sd_sdr": "a wrong scale costs more",
        "psnr": "of images, in units of their range",
    },
    identities=(("snr(2*p, 2*y)", "snr(p, y)"),),
    examples=(
        Example("snr(p, y)", 0.0, WRONG),
        Example("snr(p, y, eps=1e-20)", -20.0, {"p": [[1.1, -1.1]], "y": [[1.0, -1.0]]}),
    ),
)
def snr(p: Tensor, y: Tensor, *, zero_mean: bool = False, eps: Number = 1e-8) -> Tensor:
    """Negative signal-to-noise ratio of an estimated signal.

    Args:
        zero_mean: whether the means are taken off.
        eps: the share of the energy that bounds the ratio.

    Shape:
        p and y alike, time along the last axis; one value a signal.

    Example:
        `snr(voice, clean)`
    """
    p, y = alike_in_size(prepared(p, zero_mean), prepared(y, zero_mean))
    return negative_decibels(energy(y), energy(y - p), eps, energy(p) + energy(y))


@loss(
    "si_sdr",
    signature=PAIRED,
    family="audio",
    aliases=("si_snr",),
    latex=(
        r"-10 \log_{10} \frac{\lVert a y \rVert^2}{\lVert a y - p \rVert^2},\quad "
        r"a = \frac{p \cdot y}{\lVert y \rVert^2}"
    ),
    reference=LE_ROUX,
    ranges={"eps": "(0, 1)"},
    conventions=(
        "Negative decibels: smaller is better.",
        "zero_mean=true, the default, takes the mean off both signals first, as si_snr does.",
        "eps times the energy of p is added to both parts of the ratio: the value lies between"
        " 10 log10 eps and its negative, and no scale of p or y changes it.",
    ),
    pitfalls=("Blind to the loudness and to the sign of the estimate.",),
    use="Separation and enhancement of speech, where the scale of the output does not matter.",
    avoid=(
        "Loudness or sign that must be right: `snr` or `sd_sdr`. Sound that need not agree in"
        " phase: `mr_stft`."
    ),
    checked="`torchmetrics.functional.audio.scale_invariant_signal_distortion_ratio`",
    related={
        "snr": "the scale counts",
        "sd_sdr": "the scale counts as distortion",
        "cosine_distance": "the angle between signals itself",
    },
    identities=(("si_sdr(-2*p, 3*y)", "si_sdr(p, y)"),),
    examples=(
        Example("si_sdr(p, y, zero_mean=false)", 0.0, WRONG),
        Example(
            "si_sdr(p, y, zero_mean=false, eps=1e-20)",
            -20.0,
            {"p": [[11.0, 9.0]], "y": [[2.0, 2.0]]},
        ),
    ),
)
def si_sdr(p: Tensor, y: Tensor, *, zero_mean: bool = True, eps: Number = 1e-8) -> Tensor:
    """Negative signal-to-distortion ratio, whatever the scale of the estimate.

    Args:
        zero_mean: whether the means are taken off.
        eps: the share of the energy that bounds the ratio.

    Shape:
        p and y alike, time along the last axis; one value a signal.

    Example:
        `si_sdr(voice, clean)`
    """
    p, y = prepared(p, zero_mean), prepared(y, zero_mean)
    p, y = p / largest(p), y / largest(y)
    along = projected(p, y)
    return negative_decibels(energy(along), energy(p - along), eps, energy(p))


@loss(
    "sd_sdr",
    signature=PAIRED,
    family="audio",
    latex=(
        r"-10 \log_{10} \frac{\lVert a y \rVert^2}{\lVert y - p \rVert^2},\quad "
        r"a = \frac{p \cdot y}{\lVert y \rVert^2}"
    ),
    reference=LE_ROUX,
    ranges={"eps": "(0, 1)"},
    conventions=OF_RATIOS,
    use=(
        "Separation where both the shape and the scale of a signal must be right: a wrong scale"
        " costs more than in snr."
    ),
    avoid="Outputs of any scale: `si_sdr`. Signals that are nearly silent at first: `l1`.",
    checked="the paper's formula in NumPy",
    related={
        "si_sdr": "whatever the scale",
        "snr": "the target's energy in place of its part in the estimate",
    },
    examples=(Example("sd_sdr(p, y)", 0.0, WRONG),),
)
def sd_sdr(p: Tensor, y: Tensor, *, zero_mean: bool = False, eps: Number = 1e-8) -> Tensor:
    """Negative signal-to-distortion ratio in which a wrong scale is an error, too.

    Args:
        zero_mean: whether the means are taken off.
        eps: the share of the energy that bounds the ratio.

    Shape:
        p and y alike, time along the last axis; one value a signal.

    Example:
        `sd_sdr(voice, clean)`
    """
    p, y = alike_in_size(prepared(p, zero_mean), prepared(y, zero_mean))
    whole = energy(p) + energy(y)
    return negative_decibels(energy(projected(p, y)), energy(y - p), eps, whole)


def hann(window: int, like: Tensor) -> Tensor:
    """The periodic Hann window."""
    place = torch.arange(window, device=like.device, dtype=like.dtype)
    return 0.5 - 0.5 * torch.cos(place * (2 * math.pi / window))


def magnitudes(x: Tensor, window: int) -> Tensor:
    """Sizes of the short-time spectra of [..., T], [..., frames, bins]; gradient 0 at 0."""
    frames = x.unfold(-1, window, max(window // 4, 1)) * hann(window, x)
    if 0 in frames.shape:
        return 0.0 * frames[..., : window // 2 + 1]
    spectrum = torch.view_as_real(torch.fft.rfft(frames))
    return guarded_root((spectrum * spectrum).sum(-1), 2)


def least_length(parameters: Mapping[str, Any]) -> dict[str, int]:
    """One whole window."""
    return {"T": parameters["window"]}


OF_SPECTRA = (
    "Periodic Hann windows, a quarter of a window apart, inside the signal: no padding.",
    "Signals shorter than a window are an error.",
)


def ratio_of(p: Tensor, y: Tensor) -> Tensor:
    """Length of the difference of spectra, in units of the target's; 0 of two silences."""
    error = guarded_root(((p - y) ** 2).flatten(-2).sum(-1), 2)
    size = guarded_root((y * y).flatten(-2).sum(-1), 2)
    return error / torch.where(size > 0, size, 1.0)


def log_distance(p: Tensor, y: Tensor, eps: Number) -> Tensor:
    """Mean absolute difference of the logarithms of spectra."""
    return mean_over((torch.log(p + eps) - torch.log(y + eps)).abs(), (-2, -1))


PARALLEL_WAVEGAN = Reference(
    "R. Yamamoto, E. Song, J.-M. Kim",
    "Parallel WaveGAN: A fast waveform generation model based on generative adversarial networks "
    "with multi-resolution spectrogram",
    2019,
    "1910.11480",
)
ALTERNATING = {"p": [[2.0, -2.0, 2.0, -2.0]], "y": [[1.0, -1.0, 1.0, -1.0]]}
"""A signal of one frequency, and twice as much of it."""


@loss(
    "spectral_convergence",
    signature=PAIRED,
    family="audio",
    values="[0, inf)",
    latex=r"\frac{\lVert |Y| - |P| \rVert_F}{\lVert |Y| \rVert_F}",
    reference=PARALLEL_WAVEGAN,
    ranges={"window": "[1, inf)"},
    least=least_length,
    conventions=(
        *OF_SPECTRA,
        "The target's spectrum divides; silence divides by 1.",
    ),
    use=(
        "Vocoders and synthesis, in early training above all: loud partials are put in place first."
    ),
    avoid=(
        "Quiet detail, which it hardly sees: `stft_magnitude`. One window fits either time or"
        " frequency: `mr_stft`."
    ),
    checked="SciPy's Hann window and `numpy.fft.rfft`",
    related={
        "stft_magnitude": "logarithms: what is quiet counts",
        "mr_stft": "both at several resolutions",
        "rel_l2": "the same ratio of the signals themselves",
    },
    examples=(Example("spectral_convergence(p, y, window=4)", 1.0, ALTERNATING),),
)
def spectral_convergence(p: Tensor, y: Tensor, *, window: int = 1024) -> Tensor:
    """Relative error of a spectrogram's magnitudes: what is loud counts.

    Args:
        window: samples in a window.

    Shape:
        p and y alike, time along the last axis; one value a signal.

    Example:
        `spectral_convergence(voice, clean, window=512)`
    """
    return ratio_of(magnitudes(wide(p), window), magnitudes(wide(y), window))


@loss(
    "stft_magnitude",
    signature=PAIRED,
    family="audio",
    values="[0, inf)",
    latex=r"\frac{1}{N} \sum_{t, f} \left|\log |P| - \log |Y|\right|",
    reference=PARALLEL_WAVEGAN,
    ranges={"window": "[1, inf)", "eps": "(0, inf)"},
    least=least_length,
    conventions=(
        *OF_SPECTRA,
        "eps is added to the magnitudes before the logarithm; log=false compares them as they are.",
    ),
    use="Quiet detail of speech and music that the ear hears: harmonics, reverberation.",
    avoid=(
        "Alone at the start, as loud parts count no more than noise: `mr_stft` adds"
        " `spectral_convergence`. Phases that matter: `si_sdr`."
    ),
    checked="SciPy's Hann window and `numpy.fft.rfft`, and `torch.stft`",
    related={
        "spectral_convergence": "what is loud counts",
        "mr_stft": "both at several resolutions",
        "focal_frequency": "of images, with phases",
    },
    examples=(Example("stft_magnitude(p, y, window=4, log=false)", (1 + 2) / 3, ALTERNATING),),
)
def stft_magnitude(
    p: Tensor, y: Tensor, *, window: int = 1024, log: bool = True, eps: Number = 1e-5
) -> Tensor:
    """Mean difference of the logarithms of a spectrogram's magnitudes: what is quiet counts.

    Args:
        window: samples in a window.
        log: whether logarithms are compared.
        eps: what is quieter than this counts as silent.

    Shape:
        p and y alike, time along the last axis; one value a signal.

    Example:
        `stft_magnitude(voice, clean, window=512)`
    """
    ours, theirs = magnitudes(wide(p), window), magnitudes(wide(y), window)
    return log_distance(ours, theirs, eps) if log else mean_over((ours - theirs).abs(), (-2, -1))


@loss(
    "mr_stft",
    signature=PAIRED,
    family="audio",
    values="[0, inf)",
    aliases=("multi_scale_spectral",),
    latex=(
        r"\frac1M \sum_m \left[\frac{\lVert |Y_m| - |P_m| \rVert_F}{\lVert |Y_m| \rVert_F} + "
        r"\frac{1}{N_m} \left\lVert \log |P_m| - \log |Y_m| \right\rVert_1\right]"
    ),
    reference=PARALLEL_WAVEGAN,
    ranges={"window": "[1, inf)", "scales": "[1, inf)", "eps": "(0, inf)"},
    least=least_length,
    conventions=(
        "The mean over the scales of spectral_convergence and stft_magnitude together; each scale"
        " halves the window.",
        *OF_SPECTRA,
        "eps is added to the magnitudes before the logarithm.",
    ),
    use="Generated sound that need not agree in phase: vocoders, codecs, music synthesis.",
    avoid=(
        "Waveforms that must agree sample by sample: `si_sdr` or `snr`. Signals shorter than the"
        " longest window: a smaller one, or `l1`."
    ),
    checked="the mean of its tested parts over the windows",
    related={
        "spectral_convergence": "one window: what is loud",
        "stft_magnitude": "one window: what is quiet",
        "laplacian_pyramid": "of images, scale by scale",
    },
    identities=(
        (
            "mr_stft(p, y, window=8, scales=1)",
            "spectral_convergence(p, y, window=8) + stft_magnitude(p, y, window=8)",
        ),
        (
            "mr_stft(p, y, window=8, scales=2)",
            "0.5*mr_stft(p, y, window=8, scales=1) + 0.5*mr_stft(p, y, window=4, scales=1)",
        ),
    ),
    examples=(
        Example(
            "mr_stft(p, y, window=4, scales=1, eps=1e-12)",
            1 + 2 * math.log(2) / 3,
            ALTERNATING,
        ),
    ),
)
def mr_stft(
    p: Tensor, y: Tensor, *, window: int = 2048, scales: int = 3, eps: Number = 1e-5
) -> Tensor:
    """Distance of spectrograms at several resolutions in time and frequency.

    Args:
        window: samples in the longest window.
        scales: how many windows, each half of the one before.
        eps: what is quieter than this counts as silent.

    Shape:
        p and y alike, time along the last axis; one value a signal.

    Example:
        `l1(voice, clean) + mr_stft(voice, clean)`
    """
    p, y = wide(p), wide(y)
    terms = []
    for scale in range(scales):
        length = max(window >> scale, 1)
        ours, theirs = magnitudes(p, length), magnitudes(y, length)
        terms.append(ratio_of(ours, theirs) + log_distance(ours, theirs, eps))
    return reduce(torch.add, terms) / scales
