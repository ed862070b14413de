"""Trees by hand, and the parser on a text, as short as a table of tests needs them."""

from __future__ import annotations

from typing import Any

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Fragment, Source, Span
from lossdsl.syntax import parser, tree

NOWHERE = Span(Source(""), 0, 0)
"""Equality ignores places."""


# --- from a text ------------------------------------------------------------------------------


def expression(text: str) -> tree.Expression:
    return _sound(parser.parse_expression, Fragment.whole(Source(text)))


def a_type(text: str) -> tree.TypeExpression:
    return _sound(parser.parse_type, Fragment.whole(Source(text)))


def head(text: str) -> tuple[tree.Name, tuple[tree.FunctionParameter, ...]]:
    return _sound(parser.parse_function_head, Fragment.whole(Source(text)))


def program(text: str) -> tree.Program:
    return _sound(parser.parse_program, Source(text))


def statement(text: str) -> Any:
    """The first statement of a program that goes on with a result."""
    return program(f"{text}\nresult").statements[0]


def _sound(parse: Any, text: Any) -> Any:
    found = Diagnostics()
    node = parse(text, found)
    assert found.items == []
    assert node is not None
    return node


def problems(text: str) -> list[tuple[str, str]]:
    """Code and underlined text of everything wrong with a program."""
    found = Diagnostics()
    assert parser.parse_program(Source(text), found) is None
    assert found.errors
    return [(d.code, d.span.text) for d in found]


# --- by hand ----------------------------------------------------------------------------------


def name(id: str) -> tree.Name:
    return tree.Name(id, NOWHERE)


def node(value: Any) -> Any:
    """A node as it is, a word as a name, anything else as a literal."""
    match value:
        case str():
            return name(value)
        case bool():
            return tree.Truth(value, NOWHERE)
        case int() | float():
            return tree.Number(value, NOWHERE)
        case None:
            return tree.Nothing(NOWHERE)
        case list():
            return tree.ListOf(nodes(value), NOWHERE)
    return value


def nodes(values: Any) -> tuple[Any, ...]:
    return tuple(map(node, values))


def text(value: str) -> tree.Text:
    return tree.Text(value, NOWHERE)


def add(*values: Any, signs: str = "") -> tree.Sum:
    """`signs` has one sign for each operand but the first; all `+` without it."""
    return tree.Sum(nodes(values), ("+", *(signs or "+" * (len(values) - 1))), NOWHERE)


def times(*values: Any, operators: str = "") -> tree.Product:
    return tree.Product(nodes(values), tuple(operators or "*" * (len(values) - 1)), NOWHERE)


def power(base: Any, exponent: Any) -> tree.Power:
    return tree.Power(node(base), node(exponent), NOWHERE)


def unary(operator: str, operand: Any) -> tree.Unary:
    return tree.Unary(operator, node(operand), NOWHERE)


def minus(operand: Any) -> tree.Unary:
    return unary("-", operand)


def compare(left: Any, operator: str, right: Any) -> tree.Comparison:
    return tree.Comparison(node(left), operator, node(right), NOWHERE)


def logical(operator: str, *values: Any) -> tree.Logical:
    return tree.Logical(operator, nodes(values), NOWHERE)


def choice(then: Any, condition: Any, otherwise: Any) -> tree.Conditional:
    return tree.Conditional(node(then), node(condition), node(otherwise), NOWHERE)


def named(value: Any, id: str) -> tree.Named:
    return tree.Named(node(value), name(id), NOWHERE)


def call(callee: str, *arguments: Any, **keywords: Any) -> tree.Call:
    given = tuple(tree.Keyword(name(k), node(v), NOWHERE) for k, v in keywords.items())
    return tree.Call(name(callee), nodes(arguments), given, NOWHERE)


def comprehension(body: Any, targets: str, iterable: Any) -> tree.Comprehension:
    return tree.Comprehension(
        node(body), tuple(map(name, targets.split())), node(iterable), NOWHERE
    )


REST = tree.Ellipsis(NOWHERE)


def part(start: Any = "", stop: Any = "", step: Any = "") -> tree.Slice:
    """A slice; an empty string stands for a part that is not written."""
    parts = (None if x == "" else node(x) for x in (start, stop, step))
    return tree.Slice(*parts, NOWHERE)


def index(base: Any, *items: Any) -> tree.Index:
    return tree.Index(node(base), nodes(items), NOWHERE)


def field(base: Any, id: str) -> tree.Field:
    return tree.Field(node(base), name(id), NOWHERE)


def dim(value: Any) -> Any:
    match value:
        case int():
            return tree.DimNumber(value, NOWHERE)
        case str() if value.startswith("*"):
            return tree.DimRest(value[1:], NOWHERE)
        case str():
            return tree.DimName(value, NOWHERE)
    return value


def dims(left: Any, operator: str, right: Any) -> tree.DimArithmetic:
    return tree.DimArithmetic(dim(left), operator, dim(right), NOWHERE)


def kind(names: str, *arguments: Any, shape: Any = None) -> tree.KindType:
    """`arguments` are words, numbers, or pairs of a name and a number."""
    given = (a if isinstance(a, tuple) else (None, a) for a in arguments)
    return tree.KindType(
        nodes(names.split("|")),
        tuple(tree.KindArgument(None if n is None else name(n), v, NOWHERE) for n, v in given),
        None if shape is None else tuple(map(dim, shape)),
        NOWHERE,
    )


def a_list(item: Any, length: int | None = None) -> tree.ListType:
    return tree.ListType(item, length, NOWHERE)


def record(**fields: Any) -> tree.RecordType:
    return tree.RecordType(
        tuple(tree.RecordField(name(k), v, NOWHERE) for k, v in fields.items()), NOWHERE
    )


def module(*arguments: Any, to: Any, frozen: bool = False) -> tree.ModuleType:
    return tree.ModuleType(arguments, to, frozen, NOWHERE)


def an_input(id: str, type: Any, optional: bool = False) -> tree.Input:
    return tree.Input(name(id), type, optional, NOWHERE)


def param(id: str, value: Any) -> tree.Param:
    return tree.Param(name(id), node(value), NOWHERE)


def bind(id: str, value: Any) -> tree.Binding:
    return tree.Binding(name(id), node(value), NOWHERE)


def parameters(*ids: str, **defaults: Any) -> tuple[tree.FunctionParameter, ...]:
    required = (tree.FunctionParameter(name(p), None, NOWHERE) for p in ids)
    given = (tree.FunctionParameter(name(p), node(v), NOWHERE) for p, v in defaults.items())
    return (*required, *given)


def function(id: str, takes: Any, body: Any) -> tree.Function:
    return tree.Function(name(id), takes, node(body), NOWHERE)
