"""What a loss says, as an equation: the summands of its result, and what the names in it mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lossdsl.syntax import tree


@dataclass(frozen=True, slots=True)
class Summand:
    """One term as it is written, with the name under which it is logged where it was given one."""

    sign: str
    value: tree.Expression
    name: str | None


@dataclass(frozen=True, slots=True)
class Definition:
    """A binding or a function that the equation uses."""

    name: str
    parameters: tuple[str, ...] | None
    value: tree.Expression


@dataclass(frozen=True, slots=True)
class Equation:
    """The result of a program, and the definitions that it needs, in the order of the text."""

    summands: tuple[Summand, ...]
    definitions: tuple[Definition, ...]
    functions: frozenset[str]


def equation(program: tree.Program) -> Equation:
    """Split the result into its terms; a binding that is a summand is written out there."""
    bound = {s.name.id: s for s in program.statements if isinstance(s, tree.Binding | tree.Term)}
    functions = {s.name.id: s for s in program.statements if isinstance(s, tree.Function)}
    summands = tuple(_summands(program.result, bound))
    used: set[str] = set()
    waiting: list[tree.Node] = [summand.value for summand in summands]
    while waiting:
        node = waiting.pop()
        name = _refers_to(node, bound, functions)
        if name is not None and name not in used:
            used.add(name)
            waiting.append(functions[name].body if name in functions else bound[name].value)
        waiting.extend(tree.children(node))
    return Equation(summands, tuple(_definitions(program, used)), frozenset(functions))


def _summands(
    result: tree.Expression, bound: dict[str, tree.Binding | tree.Term]
) -> Iterator[Summand]:
    stack = [Summand("+", result, None)]
    while stack:
        part = stack.pop()
        match part.value:
            case tree.Sum(operands, signs) if part.name is None:
                stack.extend(
                    Summand(_times(part.sign, sign), operand, None)
                    for sign, operand in reversed(list(zip(signs, operands, strict=True)))
                )
            case tree.Unary("-" | "+" as sign, operand):
                stack.append(Summand(_times(part.sign, sign), operand, part.name))
            case tree.Product((tree.Unary("-", first), *rest)):
                unsigned = replace(part.value, operands=(first, *rest))
                stack.append(Summand(_times(part.sign, "-"), unsigned, part.name))
            case tree.Named(value, name):
                stack.append(Summand(part.sign, value, part.name or name.id))
            case tree.Name(name) if name in bound:
                statement = bound[name]
                # A binding names a term only where it is one: a sum of terms has no name.
                keeps = isinstance(statement, tree.Term) or not _splits(statement.value)
                stack.append(
                    Summand(part.sign, statement.value, part.name or (name if keeps else None))
                )
            case _:
                yield part


def _times(left: str, right: str) -> str:
    return "+" if left == right else "-"


def _splits(value: tree.Expression) -> bool:
    return isinstance(value, tree.Sum)


def _refers_to(
    node: tree.Node,
    bound: dict[str, tree.Binding | tree.Term],
    functions: dict[str, tree.Function],
) -> str | None:
    match node:
        case tree.Name(name) if name in bound:
            return name
        case tree.Call(tree.Name(name)) if name in functions:
            return name
    return None


def _definitions(program: tree.Program, used: set[str]) -> Iterator[Definition]:
    for statement in program.statements:
        match statement:
            case tree.Binding(name, value) | tree.Term(name, value) if name.id in used:
                yield Definition(name.id, None, value)
            case tree.Function(name, parameters, body) if name.id in used:
                yield Definition(name.id, tuple(p.name.id for p in parameters), body)
