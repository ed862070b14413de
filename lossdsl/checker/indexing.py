"""Indexing: what `x[:, 0]`, `x[..., 1:]` and `x[:, none]` do to shape, kind and class axis."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from lossdsl.checker import nodes
from lossdsl.checker.typed import Typed
from lossdsl.types.dims import ONE, Dim
from lossdsl.types.kinds import CLASS_KINDS
from lossdsl.types.shapes import Shape
from lossdsl.types.values import Tensor

if TYPE_CHECKING:
    from lossdsl.checker.typing import Typing


def index(typing: Typing, node: nodes.Index) -> Typed:
    """The typed indexing of a tensor."""
    base = typing.of(node.base)
    if not isinstance(base.type, Tensor):
        typing.refuse("E308", f"`{base.span.text}` is not a tensor", base.span)
    tensor = base.tensor.with_shape(typing.solver.shape(base.tensor.shape))
    type = _indexed(typing, node, tensor)
    return Typed("index", (base,), {"items": node.items}, type, node.span)


def _indexed(typing: Typing, node: nodes.Index, tensor: Tensor) -> Tensor:
    """Shape, kind and class axis after indexing."""
    shape = tensor.shape
    used = sum(1 for item in node.items if item is not None and item is not ...)
    if shape.rank is None and (... in node.items or used > len(shape.before)):
        axis = 1 if tensor.kind in CLASS_KINDS else None
        return dataclasses.replace(tensor, shape=typing.solver.any_shape(), axis=axis)
    if shape.rank is not None and used > shape.rank:
        typing.refuse(
            "E404", f"`{node.base.span.text}` has {shape.rank} axes, not {used}", node.span
        )
    items = list(node.items)
    if ... in items:
        at = items.index(...)
        items[at : at + 1] = [slice(None)] * ((shape.rank or 0) - used)
    dims: list[Dim] = []
    axis, class_axis, kind = 0, None, tensor.kind
    for item in items:
        if item is None:
            dims.append(ONE)
            continue
        here = tensor.axis == axis
        dim = shape.before[axis]
        axis += 1
        if isinstance(item, slice):
            class_axis = len(dims) if here else class_axis
            dims.append(_sliced(typing, dim, item, node))
        else:
            _check_position(typing, dim, item, node)
            if here:
                kind = {"class_logits": "logits", "one_hot": "mask"}.get(kind, "prob")
                kind = "log_prob" if tensor.kind == "class_log_prob" else kind
    if tensor.axis is not None and tensor.axis >= axis:
        class_axis = tensor.axis - axis + len(dims)
    elif tensor.axis is not None and tensor.axis < 0:
        class_axis = tensor.axis
    rest = Shape((*dims, *shape.before[axis:]), shape.rest, shape.after)
    return dataclasses.replace(
        tensor, kind=kind, shape=rest, axis=class_axis if kind in CLASS_KINDS else None
    )


def _check_position(typing: Typing, dim: Dim, item: int, node: nodes.Index) -> None:
    number = typing.solver.valued(dim).number
    if number is not None and not -number <= item < number:
        typing.refuse("E404", f"the axis has {number} entries: {item} is not one", node.span)


def _check_bounds(typing: Typing, dim: Dim, item: slice, node: nodes.Index) -> None:
    """`x[:k]` has k entries, so it asks for an axis of at least k: torch would give fewer."""
    number = typing.solver.valued(dim).number
    least = max((abs(part) for part in (item.start, item.stop) if part is not None), default=0)
    if number is not None and number < least:
        typing.refuse(
            "E404",
            f"the axis has {number} entries, and `{node.span.text}` asks for {least}",
            node.span,
        )


def _sliced(typing: Typing, dim: Dim, item: slice, node: nodes.Index) -> Dim:
    _check_bounds(typing, dim, item, node)
    number = dim.number
    if number is not None:
        return Dim.of(len(range(*item.indices(number))))
    step = item.step or 1
    start, stop = item.start or 0, item.stop
    if step == 1:
        if start >= 0 and stop is None:
            return dim - Dim.of(start)
        if start >= 0 and stop is not None and stop >= 0:
            return Dim.of(max(stop - start, 0))
        if start >= 0 and stop is not None and stop < 0:
            return dim - Dim.of(start - stop)
        if start < 0 and stop is None:
            return Dim.of(-start)
    elif start >= 0 and stop is None:
        return (dim - Dim.of(start) + Dim.of(step - 1)) // step
    return typing.solver.unknown()
