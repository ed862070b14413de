"""Numbers that only the shape of a tensor decides: sizes, positions, the identity."""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.axes import one_axis
from lossdsl.functions.precision import wide
from lossdsl.functions.record import CallSite, function
from lossdsl.types.dims import ONE
from lossdsl.types.shapes import Shape
from lossdsl.types.values import NUMBER, Type
from lossdsl.types.values import Tensor as TensorType


def _size(site: CallSite) -> Type:
    one_axis(site, site.tensor(0).shape)
    return NUMBER


@function("size", _size, literals=("over",))
def size(x: Tensor, over: int) -> Tensor:
    """How many entries an axis has, as a number to calculate with."""
    dtype = wide(x).dtype if x.is_floating_point() else torch.get_default_dtype()
    return torch.full((), x.shape[over], dtype=dtype, device=x.device)


def _arange(site: CallSite) -> Type:
    shape = site.tensor(0).shape
    axis = one_axis(site, shape, default=0)
    size = shape.axis(axis)
    if shape.rank is None or size is None:
        return TensorType("count", site.solver.any_shape())
    return TensorType("count", Shape((ONE,) * shape.rank).replaced(axis, size))


@function("arange", _arange, literals=("over",))
def arange(x: Tensor, over: int = 0) -> Tensor:
    """0, 1, 2 … along an axis of `x`, the others of size 1: `arange(p, over=T) < n[:, none]`."""
    shape = [1] * x.dim()
    shape[over] = x.shape[over]
    return torch.arange(x.shape[over], device=x.device).reshape(shape)


def _eye(site: CallSite) -> Type:
    shape = site.tensor(0).shape
    if shape.rank is not None and shape.rank < 2:
        site.refuse("E402", f"`eye` takes matrices, and this is {shape}", 0)
    return TensorType("mask", shape)


@function("eye", _eye)
def eye(x: Tensor) -> Tensor:
    """The identity matrix in the shape of `x`: 1 on the diagonal of the last two axes, else 0."""
    rows, columns = (torch.arange(n, device=x.device) for n in x.shape[-2:])
    dtype = x.dtype if x.is_floating_point() else torch.get_default_dtype()
    return (rows[:, None] == columns).to(dtype).expand(x.shape)
