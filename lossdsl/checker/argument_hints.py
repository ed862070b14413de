"""What was meant by an argument that a loss call does not take as it stands."""

from __future__ import annotations

from collections.abc import Sequence

from lossdsl.checker.declarations import literal
from lossdsl.checker.resolve import Resolver
from lossdsl.diagnostics.diagnostic import Advice
from lossdsl.diagnostics.meant import did_you_mean
from lossdsl.library import registry
from lossdsl.library.record import LossRecord, Parameter
from lossdsl.syntax import tree
from lossdsl.types.shapes import Shape
from lossdsl.types.values import Tensor


def as_keyword(resolver: Resolver, record: LossRecord, extra: tree.Expression) -> str | None:
    """Which keyword an argument was meant for that stands behind the tensors."""
    value = literal(extra)
    if isinstance(extra, tree.Name) and extra.id in resolver.declared.params:
        value = resolver.declared.params[extra.id].value
    if value is None:
        weight = "class_weight" if record.class_weight == "labels" else "weight"
        return f"parameters are named: `{weight}={extra.span.text}`"
    name = next((p.name for p in record.parameters if _admits(p, value)), None)
    return None if name is None else f"parameters are named: `{name}={extra.span.text}`"


def _admits(parameter: Parameter, value: object) -> bool:
    match parameter.kind:
        case "flag":
            return isinstance(value, bool)
        case "choice":
            return value in parameter.choices
        case "vector":
            return isinstance(value, tuple)
        case "integer" if not isinstance(value, int):
            return False
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return parameter.range is None or value in parameter.range


def word(expression: tree.Expression, choices: Sequence[str]) -> Advice | None:
    """A choice that lacks its quotes, or is misspelt."""
    match expression:
        case tree.Name(name) if name in choices:
            return _quoted(name, True)
        case tree.Nothing() if "none" in choices:
            return _quoted("none", True)
        case tree.Name(name) | tree.Text(name):
            close = did_you_mean(name, choices)
            if close is None or close.replacement is None:
                return None
            quoted = f"'{close.replacement}'"
            return Advice(f"did you mean `{quoted}`?", quoted, close.safe)
    return None


def _quoted(choice: str, safe: bool) -> Advice:
    return Advice(f"it stands in quotes: `'{choice}'`", f"'{choice}'", safe)


def weights_of_channels(resolver: Resolver, call: tree.Call, weights: tree.Expression) -> str:
    """How a list becomes weights along one axis: as a tensor with the axes of the map, or where it
    is the classes that are meant, under another name."""
    record = registry.find(call.callee.id)
    if record is not None and record.class_weight != "none":
        return f"weights of classes are called `class_weight={weights.span.text}`"
    first = call.arguments[0] if call.arguments else None
    declared = resolver.declared.inputs.get(first.id) if isinstance(first, tree.Name) else None
    shape = declared.type.shape if declared and isinstance(declared.type, Tensor) else Shape()
    length = len(weights.items) if isinstance(weights, tree.ListOf) else 1
    rank = shape.rank or 0
    sizes = [dim.number for dim in shape.dims] if rank else []
    if length in sizes:
        axis = sizes.index(length)
    elif rank > 1 and None in sizes[1:2]:
        axis = 1
    else:
        return "give it as an input with the axes of the map: `input w: real[1, 3, 1, 1]`"
    dims = ", ".join(str(length if at == axis else 1) for at in range(rank))
    return f"give it as an input, `input w: real[{dims}]`"
