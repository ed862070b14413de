"""Casts: a kind's name applied to a value, `logits(x)`, says how to read it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from lossdsl.checker import nodes
from lossdsl.checker.typed import Typed, unwrapped
from lossdsl.functions import convert
from lossdsl.types.dims import Dim, Symbol
from lossdsl.types.kinds import CLASS_KINDS, KINDS
from lossdsl.types.values import Tensor

if TYPE_CHECKING:
    from lossdsl.checker.typing import Typing


def cast(typing: Typing, node: nodes.Cast) -> Typed:
    """The value, read as another kind."""
    value = typing.of(node.value)
    if not isinstance(value.type, Tensor):
        typing.refuse("E308", f"`{value.span.text}` is not a tensor", value.span)
    old = value.tensor
    kind = node.type.kind
    if old.kind == "complex":
        if kind != "real":
            typing.real_valued(value)
        return Typed(convert.REAL_PART, (value,), {}, node.type.with_shape(old.shape), node.span)
    axis = None
    if kind in CLASS_KINDS:
        axis = _cast_axis(typing, node, old)
    type = dataclasses.replace(node.type, shape=old.shape, axis=axis)
    if KINDS[kind].integer and not KINDS[old.kind].integer:
        return Typed(convert.AS_INDEX, (unwrapped(value),), {}, type, node.span)
    if KINDS[old.kind].integer and not KINDS[kind].integer:
        return Typed(convert.AS_FLOAT, (value,), {}, type, node.span)
    return dataclasses.replace(value, type=type, span=node.span)


def _cast_axis(typing: Typing, node: nodes.Cast, old: Tensor) -> int:
    shape = typing.solver.shape(old.shape)
    wanted = node.explicit_axis
    if wanted is not None:
        dim = Dim.of(Symbol(wanted)) if isinstance(wanted, str) else Dim.of(wanted)
        for index, size in enumerate(shape.before):
            if size == dim:
                return index
        for index, size in enumerate(shape.after):
            if size == dim:
                return index - len(shape.after)
        typing.refuse("E306", f"`{wanted}` is not an axis of {shape}", node.span)
    if old.axis is not None:
        return old.axis
    for index, size in enumerate(shape.before):
        if size == Dim.of(Symbol("C")):
            return index
    return 0 if shape.rank == 1 else 1
