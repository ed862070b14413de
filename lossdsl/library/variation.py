"""Total variation of a batch of images as one stencil over its rows.

All images are one table of rows, in which each pixel's four neighbours lie at fixed distances, so
that value and derivative are shifted reads of one tensor. What is no neighbour (at the left of a
row, or above the first row of an image) has the weight 0. The first and the last row of the table,
which lack a row beside them, stand apart.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

LEAST = 4096
"""Pixels of an image from which on the stencil is faster: its edges and weights are some twenty
tensors more."""


def fits(x: Tensor) -> bool:
    """Whether the stencil can be laid over `x` with profit: contiguous images, not too small."""
    if x.dim() != 4 or x.shape[2] < 3 or x.shape[3] < 2:
        return False
    return x.shape[2] * x.shape[3] >= LEAST and x.is_contiguous()


def variation(x: Tensor) -> Tensor:
    """The mean absolute difference of neighbours in a row plus that in a column, for each image."""
    value: Tensor = _Variation.apply(x)  # type: ignore[no-untyped-call]
    return value


class _Variation(torch.autograd.Function):
    """For compiled code: the derivative of slices is a sum of padded pieces, which Inductor tests
    for every tap at every pixel."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        rows = _Rows(x)
        across, down = rows.weights(x.new_ones(x.shape[0]))
        inner = (rows.here - rows.left).abs() * across.inner * rows.first
        inner = inner + (rows.here - rows.above).abs() * down.inner
        top = _steps(rows.top).abs() * across.top
        bottom = _steps(rows.bottom).abs() * across.bottom
        last = (rows.bottom - rows.before_bottom).abs() * down.bottom
        totals = torch.cat([top.sum(1), inner.sum(1), bottom.sum(1) + last.sum(1)])
        return totals.view(x.shape[0], x.shape[1] * x.shape[2]).sum(1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        rows = _Rows(x)
        across, down = rows.weights(upstream)
        inner = torch.sign(rows.here - rows.left) * rows.first
        inner = inner - torch.sign(rows.right - rows.here) * rows.last
        inner = inner * across.inner + torch.sign(rows.here - rows.above) * down.inner
        inner = inner - torch.sign(rows.below - rows.here) * down.after_inner
        top = _ends(rows.top) * across.top
        top = top - torch.sign(rows.after_top - rows.top) * down.after_top
        bottom = _ends(rows.bottom) * across.bottom
        bottom = bottom + torch.sign(rows.bottom - rows.before_bottom) * down.bottom
        return torch.cat([top, inner, bottom]).view(x.shape)


class _Weights:
    """One number a row: of the first row, those between, and the last."""

    def __init__(self, of_rows: Tensor) -> None:
        rows = of_rows.shape[0]
        self.top, self.inner, self.bottom = of_rows.split_with_sizes([1, rows - 2, 1])
        _, self.after_top, _ = of_rows.split_with_sizes([1, 1, rows - 2])
        _, self.after_inner = of_rows.split_with_sizes([2, rows - 2])


class _Rows:
    """The table: its first and last row, the rows between, and the neighbours of each."""

    def __init__(self, x: Tensor) -> None:
        self.shape = x.shape
        batch, channels, height, width = x.shape
        rows = batch * channels * height
        count = (rows - 2) * width
        flat = x.reshape(-1)
        table = flat.view(rows, width)
        # Split, because the end of a slice of unknown length would be another unknown.
        self.top, self.here, self.bottom = table.split_with_sizes([1, rows - 2, 1])
        self.above, self.before_bottom, _ = table.split_with_sizes([rows - 2, 1, 1])
        _, self.after_top, self.below = table.split_with_sizes([1, 1, rows - 2])
        self.left = flat.split_with_sizes([width - 1, count, width + 1])[1].view(rows - 2, width)
        self.right = flat.split_with_sizes([width + 1, count, width - 1])[1].view(rows - 2, width)
        # Joined tensors are stored, where a comparison would run for every pixel.
        end, others = x.new_zeros(1), x.new_ones(width - 1)
        self.first = torch.cat([end, others])
        self.last = torch.cat([others, end])

    def weights(self, of_image: Tensor) -> tuple[_Weights, _Weights]:
        """What a difference within each row counts, and one to the row above."""
        batch, channels, height, width = self.shape
        images = of_image[:, None, None]
        across = (images / (channels * height * (width - 1))).expand(batch, channels, height)
        down = (images / (channels * (height - 1) * width)).expand(batch, channels, height - 1)
        down = torch.cat([down.new_zeros(batch, channels, 1), down], 2)
        return _Weights(across.reshape(-1, 1)), _Weights(down.reshape(-1, 1))


def _steps(row: Tensor) -> Tensor:
    length = row.shape[1] - 1
    return row.split_with_sizes([1, length], 1)[1] - row.split_with_sizes([length, 1], 1)[0]


def _ends(row: Tensor) -> Tensor:
    """The derivative of the absolute differences within one row."""
    signs = torch.sign(_steps(row))
    end = signs.new_zeros(1, 1)
    return torch.cat([end, signs], 1) - torch.cat([signs, end], 1)
