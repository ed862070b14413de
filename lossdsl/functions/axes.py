"""What a value still means when its axes have moved.

Most kinds speak of each element alone. Class kinds have a class axis, boxes and vectors their
last axis, series the first two: such a kind stays where these axes stay whole, and becomes a
weaker one where they do not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from lossdsl.functions.numbers import is_whole
from lossdsl.functions.record import CallSite, axis_of
from lossdsl.types.dims import ONE, Dim
from lossdsl.types.kinds import CLASS_KINDS
from lossdsl.types.shapes import Shape
from lossdsl.types.values import Tensor

PICKED: Mapping[str, str] = {
    "class_logits": "logits",
    "class_prob": "prob",
    "class_log_prob": "log_prob",
    "one_hot": "mask",
}
"""What entries of a class axis are on their own, as in `p[:, 0]`."""

MIXED: Mapping[str, str] = {
    "class_prob": "prob",
    "class_log_prob": "log_prob",
    "one_hot": "mask",
    "unit": "embedding",
}
"""What is left where elements of several tensors stand side by side: nothing sums to 1."""

_MERGED: Mapping[str, str] = {**PICKED, "class_logits": "real"}

# The axes of the operand that must stay where they are, from the back or the front.
_LAST = frozenset({"boxes", "embedding", "unit"})
_FIRST_TWO = frozenset({"series"})

Sources = Sequence[int | None]
"""For each axis of a result the axis of the operand that it is; None where it is none."""


def one_axis(site: CallSite, shape: Shape, key: str = "over", default: Any = None) -> int:
    """The single axis that a literal names; the literal becomes its number."""
    given = site.literals.get(key, default)
    if isinstance(given, tuple) and len(given) == 1:
        given = given[0]
    if isinstance(given, tuple):
        site.refuse("E404", f"`{site.name}` works along one axis", key)
    axis = axis_of(site, shape, given, key)
    site.literals[key] = axis
    return axis


def several_axes(site: CallSite, shape: Shape, key: str = "over") -> tuple[int, ...]:
    """The axes that a literal names, one or a list; the literal becomes their numbers."""
    given = site.literals[key]
    axes = given if isinstance(given, tuple) else (given,)
    numbers = tuple(axis_of(site, shape, axis, key) for axis in axes)
    if len(set(numbers)) != len(numbers):
        site.refuse("E404", "an axis is named twice", key)
    site.literals[key] = numbers
    return numbers


def carried(
    tensor: Tensor, shape: Shape, sources: Sources, lost: Mapping[str, str] = _MERGED
) -> Tensor:
    """The tensor with its axes moved; `lost` says what a kind becomes without its class axis."""
    kind, axis = tensor.kind, None
    if kind in CLASS_KINDS and tensor.axis is not None:
        if tensor.axis in sources:
            axis = sources.index(tensor.axis)
        else:
            kind = lost[kind]
    elif (kind in _LAST and not (sources and sources[-1] == (tensor.shape.rank or 0) - 1)) or (
        kind in _FIRST_TWO and tuple(sources[:2]) != (0, 1)
    ):
        kind = "real"
    return dataclasses.replace(tensor, kind=kind, shape=shape, axis=axis)


def untracked(site: CallSite, tensor: Tensor, shape: Shape) -> Tensor:
    """The same where the number of axes is unknown. A class axis that nothing names yet stays
    unnamed; one that is named is lost, and guessing would be wrong silently."""
    if tensor.kind in CLASS_KINDS and tensor.axis is not None:
        text = site.texts[0]
        site.refuse(
            "E306",
            f"`{site.name}` may move the class axis, and the axes of `{text}` are not known",
            0,
            f"declare them: `input {text}: {tensor.kind}[B, C, H, W]`"
            if text.isidentifier()
            else "declare the shapes of the inputs",
        )
    kind = "real" if tensor.kind in _LAST | _FIRST_TWO else tensor.kind
    return dataclasses.replace(tensor, kind=kind, shape=shape)


def regrouped(tensor: Tensor, axes: Sequence[int], shape: Shape) -> Tensor:
    """The tensor with other entries along some axes: four coordinates of a box are no longer
    those of one box. Axes are counted from the back where their number is unknown."""
    last = -1 if tensor.shape.rank is None else tensor.shape.rank - 1
    kind = "real" if tensor.kind == "boxes" and last in axes else tensor.kind
    return dataclasses.replace(tensor, kind=kind, shape=shape)


def resized(shape: Shape, axis: int, size: Dim) -> Shape | None:
    """The shape with another size at an axis; None where the axis is not known."""
    return None if shape.axis(axis) is None else shape.replaced(axis, size)


def product(dims: Sequence[Dim]) -> Dim:
    total = ONE
    for dim in dims:
        total = total * dim
    return total


def whole_number(site: CallSite, key: str, default: int | None, least: int) -> int:
    """A literal whole number, checked; the literal is set."""
    value = site.literals.get(key, default)
    if not is_whole(value) or value < least:
        site.refuse("E206", f"`{key}` of `{site.name}` is a whole number from {least}", key)
    site.literals[key] = value
    return value
