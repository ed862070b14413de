"""Functions that move values without changing them."""

from __future__ import annotations

import math
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor

from lossdsl.functions.axes import (
    carried,
    one_axis,
    product,
    regrouped,
    resized,
    several_axes,
    untracked,
    whole_number,
)
from lossdsl.functions.numbers import is_number, is_whole
from lossdsl.functions.record import CallSite, axis_of, function
from lossdsl.functions.rules import widened
from lossdsl.types.dims import ONE, Dim
from lossdsl.types.kinds import KINDS
from lossdsl.types.shapes import Shape
from lossdsl.types.values import Tensor as TensorType
from lossdsl.types.values import Type

# --- the same values on other axes ---


def _reshape(site: CallSite) -> Type:
    tensor = site.tensor(0)
    given = site.literals["shape"]
    wanted: list[Dim | None] = [
        _wanted_size(site, size) for size in (given if isinstance(given, tuple) else (given,))
    ]
    if wanted.count(None) > 1:
        site.refuse("E206", "only one size may be -1", "shape")
    if tensor.shape.rank is None:
        site.literals["shape"] = _sizes_of(site, tensor.shape, wanted, None)
        shape = Shape(tuple(site.solver.unknown() if d is None else d for d in wanted))
        return untracked(site, tensor, shape)
    merged = None
    if None in wanted:
        rest, merged = _remaining(site, tensor.shape, [d for d in wanted if d is not None])
        dims = [rest if d is None else d for d in wanted]
    else:
        dims = [d for d in wanted if d is not None]
        if site.solver.equal(product(tensor.shape.dims), product(dims)) is False:
            _other_count(site, tensor.shape, str(Shape(tuple(dims))))
    site.literals["shape"] = _sizes_of(site, tensor.shape, wanted, merged)
    return carried(tensor, Shape(tuple(dims)), _unchanged(site, tensor.shape.dims, dims))


def _wanted_size(site: CallSite, size: Any) -> Dim | None:
    """A size as written; None for -1."""
    if isinstance(size, Dim):
        return size
    if not is_whole(size) or size < -1:
        site.refuse(
            "E206", "a size is a whole number, a dimension symbol or, at most once, -1", "shape"
        )
    return None if size == -1 else Dim.of(size)


def _other_count(site: CallSite, shape: Shape, wanted: str) -> NoReturn:
    site.refuse(
        "E401",
        f"{shape} cannot become {wanted}: the numbers of elements differ",
        "shape",
        "one size may be -1: it becomes what is left",
    )


def _remaining(
    site: CallSite, shape: Shape, known: list[Dim]
) -> tuple[Dim, tuple[int, ...] | None]:
    """The size that -1 stands for, and the axes that it merges where it is just those."""
    left = dict(enumerate(shape.dims))
    over = []
    for dim in known:
        same = next((axis for axis, size in left.items() if size == dim), None)
        if same is None:
            over.append(dim)
        else:
            del left[same]
    if all(dim == ONE for dim in over):
        return product(list(left.values())), tuple(left)
    exact = _quotient(product(list(left.values())), product(over))
    if exact is not None:
        return exact, None
    total, share = product(list(left.values())), site.solver.valued(product(over)).number
    if share and total.number is None and total // share * Dim.of(share) == total:
        return total // share, None
    count = site.solver.valued(total).number
    if count is None or share is None:
        return site.solver.unknown(), None
    if share == 0 or count % share:
        _other_count(site, shape, "a shape with sizes " + ", ".join(map(str, known)))
    return Dim.of(count // share), None


def _quotient(total: Dim, share: Dim) -> Dim | None:
    """One product of sizes divided by another, where its factors cancel."""
    if len(total.terms) != 1 or len(share.terms) != 1:
        return None
    (above, factor), (below, divisor) = total.terms[0], share.terms[0]
    left = list(above)
    for atom in below:
        if atom not in left:
            return None
        left.remove(atom)
    if factor % divisor:
        return None
    return product([Dim.of(factor // divisor), *map(Dim.of, left)])


def _factors(site: CallSite, shape: Shape, dim: Dim) -> tuple[int, ...] | None:
    """A product of sizes as a number and the axes that have the sizes."""
    axes = (*shape.before, *shape.after)
    if dim in axes:
        return (1, axis_of(site, shape, dim, "shape"))
    if len(dim.terms) != 1:
        return None
    atoms, factor = dim.terms[0]
    sizes = [Dim.of(atom) for atom in atoms]
    if not all(size in axes for size in sizes):
        return None
    return (factor, *(axis_of(site, shape, size, "shape") for size in sizes))


def _sizes_of(
    site: CallSite, shape: Shape, wanted: list[Dim | None], merged: tuple[int, ...] | None
) -> tuple[int | tuple[int, ...], ...]:
    """The sizes as torch can read them off the operand: numbers, or a number and axes to
    multiply."""
    sizes: list[int | tuple[int, ...]] = []
    for dim in wanted:
        if dim is None:
            sizes.append(-1 if merged is None else (1, *merged))
        elif dim.number is not None:
            sizes.append(dim.number)
        elif (factors := _factors(site, shape, dim)) is not None:
            sizes.append(factors)
        elif -1 not in sizes and None not in wanted:
            sizes.append(-1)
        else:
            site.refuse(
                "E408",
                f"the size of `{dim}` cannot be read off {shape}",
                "shape",
                "give it as a number, or let -1 stand for it",
            )
    return tuple(sizes)


def _unchanged(site: CallSite, old: tuple[Dim, ...], new: list[Dim]) -> list[int | None]:
    """The axes that are the same before and after: as many elements before them or behind."""
    sources: list[int | None] = []
    for axis, dim in enumerate(new):
        candidates = (
            k
            for k, size in enumerate(old)
            if k not in sources
            and site.solver.equal(size, dim) is True
            and (
                site.solver.equal(product(old[:k]), product(new[:axis])) is True
                or site.solver.equal(product(old[k + 1 :]), product(new[axis + 1 :])) is True
            )
        )
        sources.append(next(candidates, None))
    return sources


@function("reshape", _reshape, literals=("shape",), keeps=True)
def reshape(x: Tensor, shape: Any) -> Tensor:
    """The same values in the same order under other sizes, as in `reshape(x, shape=[B, -1])`.

    A size is a number, a product of numbers and of dimension symbols that are axes of `x`
    (`H*W`), or once -1 for what is left.
    """
    # A tuple is a number, and axes of `x` whose sizes it is multiplied with.
    sizes = [
        s[0] * math.prod([x.shape[a] for a in s[1:]]) if isinstance(s, tuple) else s for s in shape
    ]
    return x.reshape(sizes)


def _flatten(site: CallSite) -> Type:
    tensor = site.tensor(0)
    shape = tensor.shape
    if shape.rank == 0:
        site.literals.update(start=0, end=-1)
        return carried(tensor, Shape.of(ONE), [None])
    start = one_axis(site, shape, "start", 0)
    end = one_axis(site, shape, "end", -1)
    if shape.rank is None:
        return _flattened_open(site, tensor, start, end)
    if start > end:
        site.refuse("E404", f"axis {start} stands behind axis {end}", "start")
    dims = shape.dims
    merged = product(dims[start : end + 1])
    sources: list[int | None] = [*range(start), None, *range(end + 1, len(dims))]
    if start == end:
        sources[start] = start
    return carried(tensor, Shape((*dims[:start], merged, *dims[end + 1 :])), sources)


def _flattened_open(site: CallSite, tensor: TensorType, start: int, end: int) -> Type:
    """Of an unknown number of axes all that is known is what stands before `start`."""
    before = tensor.shape.before
    if end != -1 or not 0 <= start <= len(before):
        shape = site.solver.any_shape()
    else:
        shape = Shape((*before[:start], site.solver.unknown()))
    if tensor.axis is not None and 0 <= tensor.axis < start:
        return tensor.with_shape(shape)
    return untracked(site, tensor, shape)


@function("flatten", _flatten, literals=("start", "end"), keeps=True)
def flatten(x: Tensor, start: int = 0, end: int = -1) -> Tensor:
    """The axes from `start` to `end` merged into one."""
    return torch.flatten(x, start, end)


def _permute(site: CallSite) -> Type:
    tensor = site.tensor(0)
    given = site.literals["axes"]
    count = len(given) if isinstance(given, tuple) else 1
    if tensor.shape.rank is None:
        # A permutation names every axis, so their number is known now.
        site.unify(tensor.shape, Shape(tuple(site.solver.unknown() for _ in range(count))), "axes")
        tensor = site.tensor(0)
    axes = several_axes(site, tensor.shape, "axes")
    dims = tensor.shape.dims
    if len(axes) != len(dims):
        site.refuse(
            "E404",
            f"{tensor.shape} has {len(dims)} axes, and {len(axes)} are named",
            "axes",
            "name every axis once, in the new order",
        )
    return carried(tensor, Shape(tuple(dims[axis] for axis in axes)), axes)


@function("permute", _permute, literals=("axes",), keeps=True)
def permute(x: Tensor, axes: Any) -> Tensor:
    """All axes in another order: `permute(x, axes=[0, 3, 1, 2])`."""
    return torch.permute(x, axes)


def _transpose(site: CallSite) -> Type:
    tensor = site.tensor(0)
    shape = tensor.shape
    a, b = one_axis(site, shape, "a", -2), one_axis(site, shape, "b", -1)
    left, right = shape.axis(a), shape.axis(b)
    swapped = site.solver.any_shape()
    if left is not None and right is not None:
        swapped = shape.replaced(a, right).replaced(b, left)
    if shape.rank is None:
        return untracked(site, tensor, swapped)
    axes = list(range(shape.rank))
    axes[a], axes[b] = axes[b], axes[a]
    return carried(tensor, swapped, axes)


@function("transpose", _transpose, literals=("a", "b"), keeps=True, latex=r"\operatorname{T}")
def transpose(x: Tensor, a: int = -2, b: int = -1) -> Tensor:
    """Two axes exchanged: the last two, or `a` and `b`."""
    return torch.transpose(x, a, b)


def _movedim(site: CallSite) -> Type:
    tensor = site.tensor(0)
    shape = tensor.shape
    source = one_axis(site, shape, "source")
    destination = one_axis(site, shape, "destination")
    if shape.rank is None:
        return untracked(site, tensor, site.solver.any_shape())
    axes = [axis for axis in range(shape.rank) if axis != source]
    axes.insert(destination, source)
    return carried(tensor, Shape(tuple(shape.dims[axis] for axis in axes)), axes)


@function("movedim", _movedim, literals=("source", "destination"), keeps=True)
def movedim(x: Tensor, source: int, destination: int) -> Tensor:
    """One axis moved to another place; the others keep their order."""
    return torch.movedim(x, source, destination)


# --- the same values in another order ---


def _flip(site: CallSite) -> Type:
    tensor = site.tensor(0)
    return regrouped(tensor, several_axes(site, tensor.shape), tensor.shape)


@function("flip", _flip, literals=("over",), keeps=True)
def flip(x: Tensor, over: Any) -> Tensor:
    """The values in reverse order along an axis or several: `flip(x, over=[W])`."""
    return torch.flip(x, over)


def _roll(site: CallSite) -> Type:
    tensor = site.tensor(0)
    axes = several_axes(site, tensor.shape)
    given = site.literals["shift"]
    shifts = given if isinstance(given, tuple) else (given,)
    if not all(is_whole(shift) for shift in shifts):
        site.refuse("E206", "a shift is a whole number", "shift")
    if len(shifts) != len(axes):
        site.refuse(
            "E406", f"{len(shifts)} shifts do not match {len(axes)} axes", "shift", "one an axis"
        )
    site.literals["shift"] = shifts
    return regrouped(tensor, axes, tensor.shape)


@function("roll", _roll, literals=("shift", "over"), keeps=True)
def roll(x: Tensor, shift: Any, over: Any) -> Tensor:
    """The values moved on by `shift` places along an axis; what leaves the end enters the front."""
    return torch.roll(x, shift, over)


# --- more entries ---


def _pad(site: CallSite) -> Type:
    tensor = site.tensor(0)
    axes = several_axes(site, tensor.shape)
    before, after = (whole_number(site, key, 0, 0) for key in ("before", "after"))
    value = site.literals.get("value", 0)
    if not is_number(value):
        site.refuse("E206", "`value` of `pad` is a number", "value")
    shape: Shape | None = tensor.shape
    for axis in axes:
        size = None if shape is None else shape.axis(axis)
        grown = None if size is None else size + Dim.of(before + after)
        shape = None if shape is None or grown is None else resized(shape, axis, grown)
    kind = _padded_kind(site, tensor, axes, value)
    padded = tensor.of_kind(kind).with_shape(shape or site.solver.any_shape())
    return regrouped(padded, axes, padded.shape)


def _padded_kind(site: CallSite, tensor: TensorType, axes: tuple[int, ...], value: float) -> str:
    kind = tensor.kind
    if KINDS[kind].integer:
        ignored = kind == "labels" and value == tensor.ignore
        if value != int(value) or (value < 0 and not ignored):
            site.refuse(
                "E301",
                f"{value:g} is no value of `{kind}`",
                "value",
                f"pad with a class or with the ignored index {tensor.ignore}"
                if kind == "labels"
                else None,
            )
        return kind
    if kind == "image":
        return kind if tensor.range[0] <= value <= tensor.range[1] else "real"
    if kind in ("class_prob", "one_hot") and value == 0 and axes == (tensor.axis,):
        return kind
    return "embedding" if kind in ("embedding", "unit") else widened(kind, value)


@function("pad", _pad, literals=("over", "before", "after", "value"), keeps=True)
def pad(x: Tensor, over: Any, before: int = 0, after: int = 0, value: float = 0) -> Tensor:
    """More entries along an axis or several, all of one value: `pad(x, over=[H, W], before=1)`.

    `before` and `after` count the entries that are added at the two ends of each axis.
    """
    first = min(axis % x.dim() for axis in over)
    amounts = [0] * (2 * (x.dim() - first))
    for axis in over:
        at = 2 * (x.dim() - 1 - axis % x.dim())
        amounts[at], amounts[at + 1] = before, after
    return F.pad(x, amounts, value=value)
