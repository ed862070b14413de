"""What a program declares: inputs, params, functions, options. Read before any expression is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Fragment, Source, Span
from lossdsl.syntax import tree
from lossdsl.syntax.parser import parse_type
from lossdsl.types.declared import TypeReader
from lossdsl.types.solve import Solver
from lossdsl.types.values import Type

RESERVED_INPUTS = frozenset({"denominators", "scale", "step", "epoch"})

ParamValue = float | int | str | bool | tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Param:
    """A param: a buffer that `set()` changes, a learnable weight, or fixed at compile time."""

    name: str
    role: Literal["buffer", "learnable", "fixed"]
    value: ParamValue
    span: Span
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class DeclaredInput:
    """An input with a type. `written` is false where the caller declared it, not the text."""

    name: str
    type: Type
    optional: bool
    span: Span
    written: bool = True


@dataclass
class Declarations:
    """Everything that stands before the bindings."""

    solver: Solver
    inputs: dict[str, DeclaredInput] = field(default_factory=dict)
    params: dict[str, Param] = field(default_factory=dict)
    functions: dict[str, tree.Function] = field(default_factory=dict)
    symbols: dict[str, Span] = field(default_factory=dict)
    closed: bool = False
    reduction: str = "mean"
    compute_dtype: str = "float32"


OPTIONS: dict[str, tuple[str, ...]] = {
    "reduction": ("mean", "sum"),
    "compute_dtype": ("float32", "input"),
}


def read_declarations(
    program: tree.Program,
    found: Diagnostics,
    *,
    inputs: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
) -> Declarations:
    """Collect the declarations of a program and those that the caller adds or replaces."""
    result = Declarations(Solver())
    reader = TypeReader(result.solver, found)
    given = _given_types(inputs or {}, found)
    names: dict[str, Span] = {}
    for statement in program.statements:
        match statement:
            case tree.Input(name, type, optional):
                result.closed = True
                _once(name, names, found)
                _reserved(name, found)
                written = given.pop(name.id, type)
                result.inputs[name.id] = DeclaredInput(
                    name.id, reader.read(written), optional, name.span
                )
            case tree.Param(name, value):
                _once(name, names, found)
                read = read_param(name.id, value, name.span, found)
                if read is not None:
                    result.params[name.id] = read
            case tree.Function(name):
                if name.id in result.functions:
                    found.add(
                        "E203",
                        f"the function `{name.id}` is defined twice",
                        name.span,
                        labels=[(result.functions[name.id].name.span, "first here")],
                    )
                result.functions.setdefault(name.id, statement)
    for key, written in given.items():
        _reserved(tree.Name(key, written.span), found)
        result.inputs[key] = DeclaredInput(
            key, reader.read(written), False, written.span, written=False
        )
    result.symbols = {name: program.span for name in reader.names if name != "_"}
    _replace_params(result, params or {}, found)
    _read_options(program, result, found)
    return result


def _given_types(inputs: Mapping[str, str], found: Diagnostics) -> dict[str, tree.TypeExpression]:
    types = {}
    for name, text in inputs.items():
        source = Source(str(text), f"<inputs: {name}>")
        node = parse_type(Fragment.whole(source), found)
        if node is not None:
            types[name] = node
    return types


def _once(name: tree.Name, names: dict[str, Span], found: Diagnostics) -> None:
    if name.id in names:
        found.add(
            "E203",
            f"`{name.id}` is declared twice",
            name.span,
            labels=[(names[name.id], "first here")],
        )
    names.setdefault(name.id, name.span)


def _reserved(name: tree.Name, found: Diagnostics) -> None:
    if name.id in RESERVED_INPUTS:
        found.add(
            "E203",
            f"`{name.id}` is a reserved name of the call",
            name.span,
            help=f"reserved are {', '.join(sorted(RESERVED_INPUTS))}",
        )


# --- params -----------------------------------------------------------------------------------


def read_param(name: str, node: tree.Expression, span: Span, found: Diagnostics) -> Param | None:
    """A param's value: a number, a list of numbers, `learnable(…)`, a text or a truth value."""
    if isinstance(node, tree.Call) and node.callee.id == "learnable":
        return _learnable(name, node, span, found)
    value = literal(node)
    if value is None:
        found.add(
            "E504",
            f"the value of the param `{name}` is not a literal",
            node.span,
            help="a param is a number, a list of numbers, `learnable(init)`, a text or true/false",
        )
        return None
    if isinstance(value, bool | str):
        return Param(name, "fixed", value, span)
    return Param(name, "buffer", value, span)


def _learnable(name: str, node: tree.Call, span: Span, found: Diagnostics) -> Param | None:
    bounds: dict[str, float] = {}
    for keyword in node.keywords:
        bound = literal(keyword.value)
        known = keyword.name.id in ("min", "max")
        if not known or isinstance(bound, bool) or not isinstance(bound, int | float):
            found.add(
                "E205" if not known else "E209",
                f"`learnable` does not take `{keyword.span.text}`",
                keyword.span,
                help="write `learnable(init, min=…, max=…)`",
            )
            return None
        bounds[keyword.name.id] = float(bound)
    init = literal(node.arguments[0]) if len(node.arguments) == 1 else None
    if init is None or isinstance(init, str | bool):
        found.add(
            "E204",
            "`learnable` takes one initial value",
            node.span,
            help="write `learnable(0.0)` or `learnable(0.0, min=-5, max=5)`",
        )
        return None
    low, high = bounds.get("min"), bounds.get("max")
    for number in init if isinstance(init, tuple) else (init,):
        if (low is not None and number < low) or (high is not None and number > high):
            found.add(
                "E206",
                f"the initial value {number:g} is outside [{low}, {high}]",
                node.arguments[0].span,
            )
            return None
    return Param(name, "learnable", init, span, low, high)


def literal(node: tree.Expression) -> ParamValue | None:
    """The value of a literal expression, or None."""
    match node:
        case tree.Number(value) | tree.Text(value) | tree.Truth(value):
            return value
        case tree.Unary(("-" | "+") as sign, operand):
            inner = literal(operand)
            if isinstance(inner, int | float) and not isinstance(inner, bool):
                return -inner if sign == "-" else inner
        case tree.ListOf(items):
            numbers = [literal(item) for item in items]
            if all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
                return tuple(float(n) for n in numbers if isinstance(n, int | float))
    return None


def _replace_params(declared: Declarations, params: Mapping[str, Any], found: Diagnostics) -> None:
    """Values that the caller gives: they replace the text's, or declare a new param."""
    for name, value in params.items():
        source = Source(f"{name} = {value!r}", "<params>")
        span = source.span(0, len(name))
        before = declared.params.get(name)
        plain = plain_value(value)
        if plain is None:
            found.add(
                "E504",
                f"the value of the param `{name}` is not a finite number, a list, a text or a bool",
                source.span(len(name) + 3),
            )
        elif before is not None and before.role == "learnable":
            declared.params[name] = Param(
                name, "learnable", plain, before.span, before.low, before.high
            )
        else:
            role: Literal["buffer", "fixed"] = (
                "fixed" if isinstance(plain, bool | str) else "buffer"
            )
            declared.params[name] = Param(name, role, plain, before.span if before else span)


def plain_value(value: Any) -> ParamValue | None:
    """A Python value as a param's value: numbers (NumPy's too), lists of them, texts, bools."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, list | tuple):
        items = [plain_value(item) for item in value]
        if any(isinstance(item, bool) or not isinstance(item, int | float) for item in items):
            return None
        return tuple(float(item) for item in items if isinstance(item, int | float))
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if not math.isfinite(number):
        return None
    return value if isinstance(value, int | float) else number


# --- options ----------------------------------------------------------------------------------


def _read_options(program: tree.Program, declared: Declarations, found: Diagnostics) -> None:
    for option in program.options:
        value = option.value
        word = value.id if isinstance(value, tree.Name) else literal(value)
        choices = OPTIONS.get(option.name.id)
        if choices is None:
            found.add(
                "E509",
                f"there is no option `{option.name.id}`",
                option.name.span,
                help=f"the options are {', '.join(OPTIONS)}",
            )
        elif word not in choices:
            found.add(
                "E509",
                f"the option `{option.name.id}` cannot be `{value.span.text}`",
                value.span,
                help=f"choose one of {', '.join(choices)}",
            )
        else:
            setattr(declared, option.name.id, word)
