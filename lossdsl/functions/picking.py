"""Functions that pick values out, or put them in order."""

from __future__ import annotations

import torch
from torch import Tensor

from lossdsl.functions.axes import PICKED, carried, one_axis, untracked, whole_number
from lossdsl.functions.precision import wide
from lossdsl.functions.record import CallSite, function
from lossdsl.functions.rules import floating
from lossdsl.types.dims import Dim
from lossdsl.types.kinds import CLASS_KINDS, KINDS
from lossdsl.types.shapes import Shape
from lossdsl.types.values import Tensor as TensorType
from lossdsl.types.values import Type


def _gather(site: CallSite) -> Type:
    tensor, index = site.tensor(0), site.tensor(1)
    if not KINDS[index.kind].integer:
        site.refuse(
            "E301",
            f"`gather` picks by `labels`, and this is `{index.kind}`",
            1,
            f"say what it is: `labels({site.texts[1]})`",
        )
    shape = tensor.shape
    usual = tensor.axis if tensor.axis is not None else int(shape.rank != 1)
    axis = one_axis(site, shape, default=usual)
    if shape.rank is None or index.shape.rank is None:
        if tensor.axis is not None and axis < tensor.axis:
            return untracked(site, tensor, site.solver.any_shape())
        return _apart(site, tensor, axis, site.solver.any_shape())
    if index.shape.rank == shape.rank:
        site.unify(shape.replaced(axis, site.solver.unknown()), index.shape, 1)
        return _apart(site, tensor, axis, site.solver.shape(index.shape))
    if index.shape.rank != shape.rank - 1:
        site.refuse(
            "E402",
            f"`gather` of {shape} by {index.shape}: the axes differ",
            1,
            "the index has the axes of the values, with or without the axis picked along",
        )
    site.unify(shape.without(axis), index.shape, 1)
    picked = site.solver.shape(index.shape)
    if tensor.axis is None or tensor.axis == axis:
        return _apart(site, tensor, axis, picked)
    others = [k for k in range(shape.rank) if k != axis]
    return carried(_apart(site, tensor, axis, shape), picked, others)


# What is left of a kind where elements are picked along one axis, each on its own.
_APART = {
    "class_prob": "prob",
    "class_log_prob": "log_prob",
    "one_hot": "mask",
    "unit": "real",
    "embedding": "real",
    "boxes": "real",
    "series": "real",
}


def _apart(site: CallSite, tensor: TensorType, axis: int, shape: Shape) -> TensorType:
    """Elements picked along an axis: along the class axis they are no longer class scores."""
    if tensor.kind in CLASS_KINDS and tensor.axis in (None, axis):
        return tensor.of_kind(PICKED[tensor.kind]).with_shape(shape)
    if tensor.axis is not None and tensor.shape.rank is None and (axis < 0) != (tensor.axis < 0):
        return untracked(site, tensor, shape)
    return tensor.of_kind(_APART.get(tensor.kind, tensor.kind)).with_shape(shape)


@function("gather", _gather, literals=("over",), takes={1: "labels"})
def gather(x: Tensor, index: Tensor, over: int = 1) -> Tensor:
    """The values that an index names along the class axis (or `over`): `gather(log(p), y)`.

    The index has the axes of `x` without the one picked along, or all of them. Where it names no
    entry, as the ignored index does, the result is 0.
    """
    over = min(over, x.dim() - 1)
    places = index.unsqueeze(over) if index.dim() < x.dim() else index
    known = (places >= 0) & (places < x.shape[over])
    values = torch.gather(x, over, torch.where(known, places, 0))
    values = torch.where(known, values, 0)
    return values.squeeze(over) if index.dim() < x.dim() else values


def _diagonal(site: CallSite) -> Type:
    tensor = site.tensor(0)
    shape = tensor.shape
    rows, columns = shape.axis(-2), shape.axis(-1)
    if shape.rank is not None and shape.rank < 2:
        site.refuse("E402", f"`diagonal` takes square matrices, and this is {shape}", 0)
    if rows is None or columns is None:
        return untracked(site, tensor, site.solver.any_shape())
    if not site.solver.unify(rows, columns):
        site.refuse("E401", f"`diagonal` takes square matrices, and this is {shape}", 0)
    shape = site.solver.shape(shape.without(-2))
    if shape.rank is None:
        return untracked(site, tensor, shape)
    return carried(tensor, shape, [*range(shape.rank - 1), None])


@function("diagonal", _diagonal, keeps=True, latex=r"\operatorname{diag}")
def diagonal(x: Tensor) -> Tensor:
    """The diagonal of each square matrix in the last two axes."""
    return torch.diagonal(x, dim1=-2, dim2=-1)


def _cumsum(site: CallSite) -> Type:
    tensor = floating(site, 0)
    one_axis(site, tensor.shape)
    kind = "positive" if tensor.kind == "positive" else "real"
    return TensorType(kind, tensor.shape)


@function("cumsum", _cumsum, literals=("over",))
def cumsum(x: Tensor, over: int) -> Tensor:
    """Running sums along an axis."""
    return torch.cumsum(wide(x), dim=over)


def _sort(site: CallSite) -> Type:
    tensor = floating(site, 0)
    axis = one_axis(site, tensor.shape, default=-1)
    return _apart(site, tensor, axis, tensor.shape)


@function("sort", _sort, literals=("over", "descending"))
def sort(x: Tensor, over: int = -1, descending: bool = False) -> Tensor:
    """The values in rising order along the last axis (or `over`); falling with `descending`."""
    return torch.sort(x, dim=over, descending=descending, stable=True).values


def _argsort(site: CallSite) -> Type:
    tensor = floating(site, 0)
    one_axis(site, tensor.shape, default=-1)
    return TensorType("count", tensor.shape)


@function("argsort", _argsort, literals=("over", "descending"))
def argsort(x: Tensor, over: int = -1, descending: bool = False) -> Tensor:
    """Where the sorted values stand: `gather(y, argsort(x), over=-1)` orders `y` by `x`.

    Equal values keep their order. Without gradient.
    """
    return torch.argsort(x, dim=over, descending=descending, stable=True)


def _topk(site: CallSite) -> Type:
    tensor = floating(site, 0)
    count = whole_number(site, "k", None, 1)
    axis = one_axis(site, tensor.shape, default=-1)
    size = tensor.shape.axis(axis)
    known = None if size is None else site.solver.valued(size).number
    if known is not None and known < count:
        site.refuse("E404", f"the axis has {known} entries: there are no {count} largest", "k")
    shape = site.solver.any_shape()
    if size is not None:
        shape = tensor.shape.replaced(axis, Dim.of(count))
    return _apart(site, tensor, axis, shape)


@function("topk", _topk, literals=("k", "over"))
def topk(x: Tensor, k: int, over: int = -1) -> Tensor:
    """The `k` largest values along the last axis (or `over`), the largest first."""
    return torch.topk(x, k, dim=over).values
