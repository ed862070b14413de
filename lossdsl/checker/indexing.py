"""Indexing: what `x[:, 0]`, `x[..., 1:]` and `x[:, none]` do to shape, kind and class axis."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

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
    cut = node.items.index(...) if ... in node.items else len(node.items)
    head, tail = node.items[:cut], node.items[cut + 1 :]
    used = [sum(1 for item in part if item is not None) for part in (head, tail)]
    if shape.rank is not None and sum(used) > shape.rank:
        typing.refuse(
            "E404", f"`{node.base.span.text}` has {shape.rank} axes, not {sum(used)}", node.span
        )
    if shape.rank is None and (used[0] > len(shape.before) or used[1] > len(shape.after)):
        return dataclasses.replace(tensor, shape=typing.solver.any_shape(), axis=None)
    if shape.rank is None:
        before, after = shape.before, shape.after
    else:
        before = shape.before[: shape.rank - used[1]]
        after = shape.before[shape.rank - used[1] :]
    front = _Part(typing, node, tensor.kind, _from_front(tensor, len(before), shape.rank))
    back = _Part(typing, node, front.kind, _from_back(tensor, len(after), shape.rank))
    new_before = (*front.run(head, before), *before[used[0] :])
    kept = after[: len(after) - used[1]]
    back.kind = front.kind
    new_after = (*kept, *back.run(tail, after[len(kept) :], skip=len(kept)))
    kind = back.kind
    axis = None
    if kind in CLASS_KINDS:
        axis = front.axis
        if axis is None and back.axis is not None:
            axis = back.axis - len(new_after)
    if shape.rest is None:
        whole = (*new_before, *new_after)
        axis = axis + len(whole) if axis is not None and axis < 0 else axis
        return dataclasses.replace(tensor, kind=kind, shape=Shape(whole), axis=axis)
    rest = Shape(new_before, shape.rest, new_after)
    return dataclasses.replace(tensor, kind=kind, shape=rest, axis=axis)


def _from_front(tensor: Tensor, size: int, rank: int | None) -> int | None:
    """The class axis among the first `size` axes."""
    axis = tensor.axis
    if axis is not None and axis < 0 and rank is not None:
        axis += rank
    return axis if axis is not None and 0 <= axis < size else None


def _from_back(tensor: Tensor, size: int, rank: int | None) -> int | None:
    """The class axis among the last `size` axes, counted from the first of them."""
    axis = tensor.axis
    if axis is not None and axis >= 0 and rank is not None:
        axis -= rank
    return axis + size if axis is not None and -size <= axis < 0 else None


class _Part:
    """Indexing of the axes on one side of the `...`. `axis` is where the class axis is, before
    and after."""

    def __init__(self, typing: Typing, node: nodes.Index, kind: str, axis: int | None) -> None:
        self.typing = typing
        self.node = node
        self.kind = kind
        self.axis = axis

    def run(self, items: tuple[Any, ...], axes: tuple[Dim, ...], skip: int = 0) -> list[Dim]:
        dims: list[Dim] = []
        found: int | None = None
        position = 0
        for item in items:
            if item is None:
                dims.append(ONE)
                continue
            dim = axes[position]
            here = self.axis == position + skip
            position += 1
            if isinstance(item, slice):
                found = len(dims) + skip if here else found
                dims.append(_sliced(self.typing, dim, item, self.node))
                continue
            _check_position(self.typing, dim, item, self.node)
            if here:
                self.kind = _of_one_class(self.kind)
        if self.axis is not None and self.axis >= position + skip:
            found = self.axis - position + len(dims)
        elif self.axis is not None and self.axis < skip:
            found = self.axis
        self.axis = found
        return dims


def _of_one_class(kind: str) -> str:
    """The kind of a single class's values."""
    kinds = {"class_logits": "logits", "one_hot": "mask", "class_log_prob": "log_prob"}
    return kinds.get(kind, "prob")


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
