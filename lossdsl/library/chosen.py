"""The entry of each position's own class."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossdsl.functions import adjoints


def at_label(scores: Tensor, y: Tensor) -> Tensor:
    """The entry of each position's own class; the class axis, axis 1, goes away."""
    if adjoints.written_out():
        chosen: Tensor = _AtLabel.apply(scores, y)  # type: ignore[no-untyped-call]
        return chosen
    return _at(scores, y)


FEW = 32
"""Up to so many classes a comparison with each of them, which goes over many positions at once,
is faster than to fetch one entry a position."""


def _at(scores: Tensor, y: Tensor) -> Tensor:
    return scores.gather(1, y.unsqueeze(1)).squeeze(1)


class _AtLabel(torch.autograd.Function):
    """For compiled code: comparisons with every class, which join the loop of whatever else goes
    over the classes. What autograd writes goes into a tensor of zeros, one entry after the other.
    """

    @staticmethod
    def forward(scores: Tensor, y: Tensor) -> Tensor:
        if scores.shape[1] > FEW:
            return _at(scores, y)
        chosen = torch.where(_own(y, scores.shape[1]), scores, 0.0).sum(1)
        # A label that no class has must not pass for a loss of 0.
        return torch.where((y >= 0) & (y < scores.shape[1]), chosen, torch.nan)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        scores, y = inputs
        ctx.classes = scores.shape[1]
        ctx.save_for_backward(y)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        return torch.where(_own(y, ctx.classes), upstream.unsqueeze(1), 0.0), None


def _own(y: Tensor, classes: int) -> Tensor:
    """Which class is each position's own."""
    numbers = torch.arange(classes, device=y.device, dtype=y.dtype)
    return y.unsqueeze(1) == numbers.view(-1, *[1] * (y.dim() - 1))
