"""What a mask leaves out is replaced before the formula sees it, and before what stands in front
of the formula: the derivative of an activation at NaN is NaN, and 0 times that is still NaN."""

from __future__ import annotations

import dataclasses

from lossdsl.checker.typed import Typed
from lossdsl.functions import classes, convert, pointwise
from lossdsl.types.kinds import CLASS_KINDS, KINDS
from lossdsl.types.signature import Signature, Slot

_ACTIVATIONS = frozenset(
    {
        pointwise.sigmoid,
        pointwise.logsigmoid,
        pointwise.exp,
        classes.softmax,
        classes.log_softmax,
        classes.unit_vectors,
    }
)


def by_element(slot: Slot, signature: Signature) -> bool:
    """Whether an argument has one value an element of the map, or one a class of it."""
    if KINDS[slot.delivered].integer:
        return False
    per_class = slot.delivered in CLASS_KINDS and slot.shape_text.startswith("B, C")
    own = slot.shape_text.replace("B, C", "B", 1) if per_class else slot.shape_text
    return signature.map_text in (own, slot.shape_text)


def by_vector(slot: Slot, signature: Signature) -> bool:
    """Whether an argument has one vector an element of the map, along further axes."""
    return not KINDS[slot.delivered].integer and slot.shape_text.startswith(
        f"{signature.map_text}, "
    )


def rows(value: Typed) -> Typed:
    """The argument for a mask that lacks its last axis."""
    return dataclasses.replace(value, type=dataclasses.replace(value.tensor, axis=-1))


def has_partner(value: Typed) -> bool:
    """Whether an argument is made in the shape of another one."""
    return value.op in (convert.ONE_HOT, convert.FILLED_LIKE, convert.FILLED_ROWS)


def beside(value: Typed, made: dict[int, Typed]) -> Typed:
    """The argument with its partner as that one is now."""
    if not has_partner(value):
        return value
    operands = tuple(made.get(id(operand), operand) for operand in value.operands)
    return dataclasses.replace(value, operands=operands)


def source_of(value: Typed) -> Typed:
    """What an argument was before its activation and the move of its class axis."""
    while _is_activation(value) or value.op is convert.MOVE_CLASS_AXIS:
        value = value.operands[0]
    return value


def _is_activation(value: Typed) -> bool:
    return not isinstance(value.op, str) and value.op.run in _ACTIVATIONS


def hidden(value: Typed, mask: Typed, fill: float) -> Typed:
    """The argument made of a source that has a harmless number where the mask is 0."""
    if _is_activation(value):
        return dataclasses.replace(value, operands=(hidden(value.operands[0], mask, 0.0),))
    if value.op is convert.MOVE_CLASS_AXIS:
        if mask.tensor.shape.rank != 0:
            back = {
                "source": value.literals["destination"],
                "destination": value.literals["source"],
            }
            mask = Typed(convert.MOVE_CLASS_AXIS, (mask,), back, mask.type, mask.span)
        return dataclasses.replace(value, operands=(hidden(value.operands[0], mask, fill),))
    return Typed(convert.HIDDEN, (value, mask), {"fill": fill}, value.type, value.span)
