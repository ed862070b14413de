"""Spectra. They are complex: `abs`, `real` and `imag` make numbers of them that losses take."""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.axes import several_axes, whole_number
from lossdsl.functions.precision import wide
from lossdsl.functions.record import CallSite, Rule, function
from lossdsl.functions.rules import floating
from lossdsl.types.dims import Dim
from lossdsl.types.shapes import Shape
from lossdsl.types.values import Tensor as TensorType
from lossdsl.types.values import Type

COMPLEX = "complex"


def _transform(*, half: bool) -> Rule:
    def rule(site: CallSite) -> Type:
        shape = floating(site, 0).shape
        if shape.rank == 0:
            site.refuse("E402", f"`{site.name}` needs an axis, and this is one number", 0)
        site.literals.setdefault("over", -1)
        over = several_axes(site, shape)
        if not over:
            site.refuse("E404", f"`{site.name}` transforms at least one axis", "over")
        if not half:
            return TensorType(COMPLEX, shape)
        size = shape.axis(over[-1])
        if size is None:
            return TensorType(COMPLEX, site.solver.any_shape())
        return TensorType(COMPLEX, shape.replaced(over[-1], size // 2 + Dim.of(1)))

    return rule


@function("fft", _transform(half=False), literals=("over", "ortho"))
def fft(x: Tensor, over: tuple[int, ...] = (-1,), ortho: bool = False) -> Tensor:
    """Discrete Fourier transform along axes, the last one by default; `ortho` keeps the energy."""
    spectrum: Tensor = torch.fft.fftn(wide(x), dim=over, norm="ortho" if ortho else "backward")
    return spectrum


@function("rfft", _transform(half=True), literals=("over", "ortho"))
def rfft(x: Tensor, over: tuple[int, ...] = (-1,), ortho: bool = False) -> Tensor:
    """The half of `fft` that says all of real values: n//2 + 1 entries of the last of the axes."""
    spectrum: Tensor = torch.fft.rfftn(wide(x), dim=over, norm="ortho" if ortho else "backward")
    return spectrum


def _frames(site: CallSite) -> Type:
    shape = floating(site, 0).shape
    window = whole_number(site, "window", None, least=2)
    hop = whole_number(site, "hop", max(window // 4, 1), least=1)
    if shape.rank == 0:
        site.refuse("E402", f"`{site.name}` needs an axis of time, and this is one number", 0)
    time = shape.axis(-1)
    if time is None:
        return TensorType(COMPLEX, site.solver.any_shape())
    if time.number is not None and time.number <= window // 2:
        site.refuse(
            "E401",
            f"a window of {window} mirrors {window // 2} values at both ends, and there are "
            f"{time.number}",
            0,
            "take a shorter window",
        )
    ends = (Dim.of(window // 2 + 1), time // hop + Dim.of(1))
    if shape.rest is None:
        return TensorType(COMPLEX, Shape((*shape.before[:-1], *ends)))
    return TensorType(COMPLEX, Shape(shape.before, shape.rest, (*shape.after[:-1], *ends)))


@function("stft", _frames, literals=("window", "hop"))
def stft(x: Tensor, window: int, hop: int = 0) -> Tensor:
    """Short-time Fourier transform of the last axis: `[…, window//2 + 1, T//hop + 1]`.

    Hann windows, centred with the ends mirrored, a quarter of a window apart by default.
    """
    x = wide(x)
    weights = torch.hann_window(window, dtype=x.dtype, device=x.device)
    frames = torch.stft(
        x.reshape(-1, x.shape[-1]), window, hop, window=weights, return_complex=True
    )
    return frames.reshape(*x.shape[:-1], *frames.shape[-2:])


def _imaginary(site: CallSite) -> Type:
    tensor = site.tensor(0)
    if tensor.kind != COMPLEX:
        site.refuse("E301", f"`imag` takes a spectrum, and this is `{tensor.kind}`", 0)
    return TensorType("real", tensor.shape)


@function("imag", _imaginary, latex=r"\operatorname{Im}")
def imaginary(x: Tensor) -> Tensor:
    """The imaginary part of a spectrum. The real part is `real(x)`."""
    return x.imag
