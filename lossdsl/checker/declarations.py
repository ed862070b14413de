"""What a program declares: inputs, params, functions, options. Read before any expression is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lossdsl.checker.options import Options, read_options
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.diagnostics.meant import did_you_mean
from lossdsl.functions.numbers import is_number, is_whole
from lossdsl.library import registry
from lossdsl.source import Fragment, Source, Span
from lossdsl.syntax import tree
from lossdsl.syntax.parser import parse_type
from lossdsl.types.declared import TypeReader
from lossdsl.types.solve import Solver
from lossdsl.types.values import Type

CLOCKS = ("step", "epoch")
"""What a loss counts itself."""

RESERVED_INPUTS = frozenset({"denominators", "scale", *CLOCKS})

ParamValue = float | int | str | bool | tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """How a learnable tensor begins: an initialiser of `torch.nn.init`, its sizes and options."""

    initialiser: str
    sizes: tuple[int, ...]
    options: tuple[tuple[str, float], ...] = ()


INITIALISERS: Mapping[str, tuple[str, ...]] = {
    "zeros": (),
    "ones": (),
    "normal": ("mean", "std"),
    "uniform": ("a", "b"),
    "xavier_normal": ("gain",),
    "xavier_uniform": ("gain",),
    "orthogonal": ("gain",),
}
"""Initialisers of learnable tensors, with the options of each."""

_MATRICES = frozenset({"xavier_normal", "xavier_uniform", "orthogonal"})


@dataclass(frozen=True, slots=True)
class Param:
    """A param: a buffer that `set()` changes, a learnable weight, or fixed at compile time.

    A learnable tensor says how it is `drawn`; its value is the place of that in the text.
    """

    name: str
    role: Literal["buffer", "learnable", "fixed"]
    value: ParamValue
    span: Span
    low: float | None = None
    high: float | None = None
    drawn: Drawn | None = None

    @property
    def bounds(self) -> str:
        """Between what a learnable is kept, as a sentence says it."""
        if self.low is None or self.high is None:
            return f"at most {self.high:g}" if self.low is None else f"at least {self.low:g}"
        return f"from {self.low:g} to {self.high:g}"

    def outside(self, value: ParamValue) -> float | None:
        """The first number of a value that is not between the bounds."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        numbers = value if isinstance(value, tuple) else (value,)
        return next((n for n in numbers if is_number(n) and not low <= n <= high), None)


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
    """Everything that stands before the bindings. `brought` came from other files."""

    solver: Solver
    inputs: dict[str, DeclaredInput] = field(default_factory=dict)
    params: dict[str, Param] = field(default_factory=dict)
    functions: dict[str, tree.Function] = field(default_factory=dict)
    symbols: dict[str, Span] = field(default_factory=dict)
    misread: set[str] = field(default_factory=set)
    brought: frozenset[str] = frozenset()
    closed: bool = False
    options: Options = field(default_factory=Options)


def read_declarations(
    program: tree.Program,
    found: Diagnostics,
    *,
    inputs: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
) -> Declarations:
    """Collect the declarations of a program and those that the caller adds or replaces."""
    result = Declarations(Solver(), brought=program.brought)
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
                read_type = _read(name.id, written, reader, result)
                result.inputs[name.id] = DeclaredInput(name.id, read_type, optional, name.span)
            case tree.Param(name, value):
                _once(name, names, found)
                no_clock(name, found)
                read = read_param(name.id, value, name.span, found)
                if read is not None:
                    result.params[name.id] = read
            case tree.Function(name, parameters):
                _parameters_once(parameters, found)
                _hides_nothing(name, found)
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
        read_type = _read(key, written, reader, result)
        result.inputs[key] = DeclaredInput(key, read_type, False, written.span, written=False)
    result.symbols = {name: program.span for name in reader.names if name != "_"}
    _replace_params(result, params or {}, found)
    result.options = read_options(program, found)
    return result


def _read(
    name: str, written: tree.TypeExpression, reader: TypeReader, declared: Declarations
) -> Type:
    """The type of an input. One that says something wrong is reported, and judges nothing."""
    before = len(reader.found.items)
    type = reader.read(written)
    if len(reader.found.items) > before:
        declared.misread.add(name)
    return type


def _parameters_once(parameters: tuple[tree.FunctionParameter, ...], found: Diagnostics) -> None:
    first: dict[str, Span] = {}
    for parameter in parameters:
        name = parameter.name
        if name.id in first:
            found.add(
                "E203",
                f"two parameters are called `{name.id}`",
                name.span,
                labels=[(first[name.id], "the other one")],
                help="give one of them another name",
            )
        first.setdefault(name.id, name.span)


def no_clock(name: tree.Name, found: Diagnostics) -> None:
    """Refuse a name that would hide a clock: schedules would stand still."""
    if name.id in CLOCKS:
        found.add(
            "E203",
            f"`{name.id}` is a clock of the loss, which schedules read",
            name.span,
            help="choose another name",
        )


def _hides_nothing(name: tree.Name, found: Diagnostics) -> None:
    """Warn of a function that hides one that every reader knows. It is no error, so that a text
    keeps its meaning when the language gets more of them."""
    meaning = registry.meaning(name.id)
    if meaning is not None:
        found.add(
            "W204",
            f"`{name.id}` is {meaning} too, which this function hides",
            name.span,
            help=f"choose another name, such as `my_{name.id}`",
        )


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
    if len(node.arguments) == 1 and isinstance(node.arguments[0], tree.Call):
        return _drawn(name, node, node.arguments[0], span, found)
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
        if bounds.get("min", -math.inf) > bounds.get("max", math.inf):
            message = f"no number is at least {bounds['min']:g} and at most {bounds['max']:g}"
            found.add("E206", message, keyword.span, help="exchange the bounds")
            return None
    init = literal(node.arguments[0]) if len(node.arguments) == 1 else None
    if init is None or isinstance(init, str | bool):
        found.add(
            "E204",
            "`learnable` takes one initial value",
            node.span,
            help="write `learnable(0.0)` or `learnable(0.0, min=-5, max=5)`",
        )
        return None
    param = Param(name, "learnable", init, span, bounds.get("min"), bounds.get("max"))
    return param if _starts_inside(param, node.arguments[0].span, found) else None


def _drawn(
    name: str, node: tree.Call, call: tree.Call, span: Span, found: Diagnostics
) -> Param | None:
    """A learnable tensor: `learnable(xavier_normal(10, 64))`."""
    initialiser = call.callee.id
    options = INITIALISERS.get(initialiser)
    if options is None:
        help = did_you_mean(initialiser, INITIALISERS) or f"there are {', '.join(INITIALISERS)}"
        message = f"there is no initialiser `{initialiser}`"
        found.add("E202", message, call.callee.span, help=help)
        return None
    if node.keywords:
        message = "a learnable tensor has no bounds"
        found.add("E205", message, node.keywords[0].span, help="clamp it where it is used")
        return None
    sizes = tuple(literal(size) for size in call.arguments)
    least = 2 if initialiser in _MATRICES else 1
    whole = all(is_whole(size) and size > 0 for size in sizes)
    if len(sizes) < least or not whole:
        message = f"`{initialiser}` takes the sizes of the tensor, {least} or more whole numbers"
        found.add("E204", message, call.span, help=f"write `{initialiser}(10, 64)`")
        return None
    given: dict[str, float] = {}
    for keyword in call.keywords:
        key, value = keyword.name.id, literal(keyword.value)
        if key not in options:
            help = did_you_mean(key, options) or f"it has {', '.join(options) or 'none'}"
            message = f"`{initialiser}` has no option `{key}`"
            found.add("E205", message, keyword.name.span, help=help)
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            found.add("E209", f"`{key}` is a number", keyword.value.span)
            return None
        given[key] = float(value)
    whole_sizes = tuple(int(size) for size in sizes if isinstance(size, int | float))
    drawn = Drawn(initialiser, whole_sizes, tuple(given.items()))
    return Param(name, "learnable", call.span.text, span, drawn=drawn)


def _starts_inside(param: Param, place: Span, found: Diagnostics) -> bool:
    """Whether a learnable begins between its bounds."""
    outside = param.outside(param.value)
    if outside is not None:
        message = f"the initial value of `{param.name}` is {param.bounds}, not {outside:g}"
        labels = [(param.span, "declared here")] if param.span.source is not place.source else []
        found.add("E206", message, place, labels=labels)
    return outside is None


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
        elif name in declared.inputs:
            found.add(
                "E203",
                f"`{name}` is an input, and no param",
                span,
                labels=[(declared.inputs[name].span, "declared here")],
            )
        elif before is not None and before.drawn is not None:
            found.add(
                "E504",
                f"the learnable tensor `{name}` is drawn, and takes no value here",
                span,
                labels=[(before.span, "declared here")],
                help="load it: `loss.load_state_dict(…)`, or copy it into the Parameter",
            )
        elif before is not None and before.role == "learnable":
            replace_learnable(declared, before, plain, source.span(len(name) + 3), found)
        else:
            no_clock(tree.Name(name, span), found)
            role: Literal["buffer", "fixed"] = (
                "fixed" if isinstance(plain, bool | str) else "buffer"
            )
            declared.params[name] = Param(name, role, plain, before.span if before else span)


def replace_learnable(
    declared: Declarations, before: Param, value: ParamValue, place: Span, found: Diagnostics
) -> None:
    """Let a learnable begin with a value that the caller gives."""
    if isinstance(value, bool | str):
        found.add(
            "E504",
            f"the initial value of the learnable `{before.name}` is a number or a list of numbers",
            place,
            labels=[(before.span, "declared here")],
        )
        return
    param = replace(before, value=value)
    if _starts_inside(param, place, found):
        declared.params[before.name] = param


def plain_value(value: Any) -> ParamValue | None:
    """A Python value as a param's value: numbers (NumPy's too), lists of them, texts, bools."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, list | tuple):
        items = [None if isinstance(item, bool) else _finite(item) for item in value]
        return None if None in items else tuple(float(item) for item in items if item is not None)
    return _finite(value)


def _finite(value: Any) -> float | int | None:
    """One finite number; None for anything else."""
    if isinstance(value, str | bytes | bytearray):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None
    if not math.isfinite(number):
        return None
    return value if isinstance(value, int | float) else number
