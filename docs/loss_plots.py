"""Which losses have a curve, and the programs that draw it.

A loss has one if each value of its map depends on one number of its prediction, which its signature
tells; so has a loss of class scores, by the score of the label against one other class.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

import lossdsl
from lossdsl.inspect.curves import Curve, axis_of, curve
from lossdsl.inspect.plot import draw_curves
from lossdsl.library.page import written
from lossdsl.library.record import LossRecord, Parameter
from lossdsl.types.kinds import KINDS
from lossdsl.types.signature import Signature, read_signature

_TARGETS = {
    "real": ("0",),
    "score": ("0",),
    "positive": ("1",),
    "log_prob": ("-1",),
    "prob": ("0", "1"),
    "mask": ("0", "1"),
    "sign": ("-1", "1"),
}
"""What stands for the argument behind the prediction, by kind: a curve for each."""

_SETTINGS = {**_TARGETS, "prob": ("0.1", "0.9"), "mask": ("1",), "sign": ("-1", "1")}
"""The same for the arguments behind that one: a level or a scale is no target."""

_SHIFTS = ("0", "1.5", "20")

_TWO_CLASSES = """\
input z: real[B]
scores = class_logits(stack(z, 0*z, over=1))
label = argmax(stack(0*z + 1, 0*z, over=1), over=1)
{call}"""

_VISIBLE = 0.02
"""How much of the drawing's height a parameter has to move the curve, to be shown."""


@dataclass(frozen=True)
class Plot:
    """The curves of a loss: their labels with the programs behind them, and the axis below."""

    programs: dict[str, str]
    over: str


def has_plot(record: LossRecord) -> bool:
    """Whether a loss of the library has a curve."""
    signature = read_signature(record.overloads[0].signature)
    named = any(parameter.required for parameter in record.parameters)
    return not named and (_is_elementwise(signature) or _is_of_scores(signature))


def caption(record: LossRecord) -> str:
    """What the drawing does not say of itself."""
    if _is_of_scores(read_signature(record.overloads[0].signature)):
        return "Of two classes: the label's score is on the axis, the other score is 0."
    return ""


def plot_of(record: LossRecord) -> Plot:
    """The curves of a loss that has some."""
    signature = read_signature(record.overloads[0].signature)
    return _of_scores(record) if _is_of_scores(signature) else _elementwise(record, signature)


def draw(record: LossRecord) -> bytes:
    """The drawing of a loss as SVG."""
    plot = plot_of(record)
    return draw_curves([_curve(label, text) for label, text in plot.programs.items()], plot.over)


@cache
def _curve(label: str, text: str) -> Curve:
    loss = lossdsl.compile(text, backend="eager", checks="never")
    axis = axis_of(loss, label)
    return curve(loss, label, axis, axis.places(*axis.usual()))


# --- what a signature tells ---------------------------------------------------------------------


def _is_elementwise(signature: Signature) -> bool:
    """Whether each value of the map belongs to one number of every argument. Where an axis has a
    name of its own, neighbours count."""
    shapes = {slot.shape_text for slot in signature.slots}
    prediction, *others = (slot.kinds[0] for slot in signature.slots)
    kind = KINDS[prediction]
    return (
        shapes == {signature.map_text}
        and signature.map_text in ("*S", "B", "B, *S")
        and kind.number is not None
        and not kind.integer
        and all(other in _TARGETS for other in others)
    )


def _is_of_scores(signature: Signature) -> bool:
    """Whether a position has scores of the classes, a label, and a value of the map."""
    kinds = [slot.kinds[0] for slot in signature.slots]
    return kinds == ["class_logits", "labels"] and (
        signature.slots[1].shape_text == signature.map_text
    )


# --- programs -----------------------------------------------------------------------------------


def _of_scores(record: LossRecord) -> Plot:
    programs = {
        f"{record.name}({', '.join((*record.inputs, *given))})": _TWO_CLASSES.format(
            call=f"{record.name}({', '.join(('scores', 'label', *given))})"
        )
        for given in _variants(record)
    }
    return Plot(_telling(programs), "score of the label")


def _elementwise(record: LossRecord, signature: Signature) -> Plot:
    prediction, *others = record.inputs
    kinds = [slot.kinds[0] for slot in signature.slots]
    over = f"{prediction}: {kinds[0]}"
    if not others:
        return Plot(_programs(record, [()]), over)
    targets = [*_numbers(kinds[1:])]
    if kinds[0] == kinds[1] in ("real", "score"):
        if _is_of_residual(record, targets[0][1:]):
            over = f"{prediction} − {others[0]}"
        elif kinds[1] == "real":
            # Relative errors and logarithms mean nothing against 0.
            targets = [("1", *settings) for _, *settings in targets]
    return Plot(_programs(record, targets), over)


def _numbers(kinds: list[str]) -> Iterator[tuple[str, ...]]:
    """The numbers for the arguments behind the prediction, once for each curve."""
    target, *settings = kinds
    yield from product(_TARGETS[target], *(_SETTINGS[kind] for kind in settings))


def _is_of_residual(record: LossRecord, settings: tuple[str, ...]) -> bool:
    """Whether only the difference of the first two arguments counts: shifting both is nothing."""
    at = (-2.0, -0.7, -0.1, 0.3, 1.0, 2.5)
    shifted = []
    for target in _SHIFTS:
        text = f"{record.name}({', '.join((record.inputs[0], target, *settings))})"
        loss = lossdsl.compile(text, backend="eager", checks="never")
        places = [place + float(target) for place in at]
        shifted.append(curve(loss, text, axis_of(loss, text), places).values)
    return all(
        math.isclose(value, values[0], rel_tol=1e-9, abs_tol=1e-9)
        for values in zip(*shifted, strict=True)
        for value in values
    )


def _programs(record: LossRecord, targets: list[tuple[str, ...]]) -> dict[str, str]:
    """One program for each target; of a single target, one for each value of a parameter."""
    variants = _variants(record) if len(targets) == 1 else [()]
    calls = [
        f"{record.name}({', '.join((record.inputs[0], *target, *given))})"
        for target in targets
        for given in variants
    ]
    programs = {call: call for call in calls}
    return _telling(programs) if len(targets) == 1 else programs


# --- a parameter that moves the curve -----------------------------------------------------------


def _variants(record: LossRecord) -> list[tuple[str, ...]]:
    """The call as it is, and with the first numeric parameter smaller and larger."""
    parameter = next((p for p in record.parameters if p.kind == "number"), None)
    if parameter is None or parameter.default is None:
        return [()]
    return [
        () if value == parameter.default else (f"{parameter.name}={written(value)}",)
        for value in _around(parameter)
    ]


def _around(parameter: Parameter) -> list[float]:
    """The default between two others: half-way to the ends of the range, or half and double."""
    default, range = float(parameter.default), parameter.range
    low = -math.inf if range is None else range.low
    high = math.inf if range is None else range.high
    below = (low + default) / 2 if math.isfinite(low) else default - max(1.0, abs(default))
    above = (default + high) / 2 if math.isfinite(high) else max(2 * default, 1.0)
    return sorted({below, default, above})


def _telling(programs: dict[str, str]) -> dict[str, str]:
    """The programs, or only the plain one where the others draw almost the same."""
    curves = [_curve(label, text) for label, text in programs.items()]
    values = [value for curve in curves for value in curve.values if math.isfinite(value)]
    height = max(values) - min(values)
    plain = min(curves, key=lambda curve: len(curve.label))
    kept = {
        curve.label
        for curve in curves
        if curve is plain
        or max(abs(a - b) for a, b in zip(curve.values, plain.values, strict=True))
        > _VISIBLE * height
    }
    return {label: text for label, text in programs.items() if label in kept}
