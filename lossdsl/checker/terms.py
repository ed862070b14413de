"""The result as terms: what is logged, under which name, with which weight."""

from __future__ import annotations

from dataclasses import dataclass

from lossdsl.checker import nodes
from lossdsl.checker.nodes import Node, is_coefficient
from lossdsl.checker.resolve import Resolver
from lossdsl.source import Span


@dataclass(frozen=True, slots=True)
class TermPlan:
    """One summand: its value is `weight * raw`."""

    name: str
    weight: Node
    raw: Node
    span: Span


@dataclass(frozen=True, slots=True)
class _Part:
    """A node still to be split, with the factors collected on the way down."""

    node: Node
    factors: tuple[tuple[str, Node], ...]
    sign: int
    name: str | None
    written: Span | None
    whole: bool
    span: Span


def split_terms(resolver: Resolver, result: Node) -> list[TermPlan]:
    """Split at top-level `+` and `-`, through bindings and products with numbers."""
    known: dict[int, bool] = {}
    stack = [_Part(result, (), 1, None, None, False, result.span)]
    found: list[_Part] = []
    while stack:
        part = stack.pop()
        below = _open(part, known)
        if below is None:
            found.append(part)
        else:
            stack.extend(reversed(below))
    names = _names(found, resolver)
    for name, part in zip(names, found, strict=True):
        _report_zero(resolver, name, part)
    return [
        TermPlan(name, _weight(resolver, part), part.node, part.span)
        for name, part in zip(names, found, strict=True)
    ]


def _open(part: _Part, known: dict[int, bool]) -> list[_Part] | None:
    """The parts of a part, or None where it is one term."""
    node = part.node
    match node:
        case nodes.Label(value, name, "as" | "key", span, named_at):
            if part.written is not None:
                return [_with(part, value, whole=True)]
            return [_with(part, value, name=name, written=named_at, whole=True, span=span)]
        case nodes.Label(value, name, "binding"):
            return [_with(part, value, name=part.name if part.written else name)]
        case nodes.Label():
            return None
    if is_coefficient(node, known):
        return None
    match node:
        case nodes.Total(operands, signs) if not part.whole:
            return [
                _with(part, operand, sign=-part.sign if sign == "-" else part.sign, at=operand.span)
                for sign, operand in zip(signs, operands, strict=True)
            ]
        case nodes.Apply(function, (inner,)) if function.name == "neg":
            return [_with(part, inner, sign=-part.sign)]
        case nodes.Apply(function, (left, right)) if function.name in ("*", "/"):
            if is_coefficient(right, known):
                return [_with(part, left, factor=(function.name, right))]
            if function.name == "*" and is_coefficient(left, known):
                return [_with(part, right, factor=("*", left))]
    return None


def _with(
    part: _Part,
    node: Node,
    *,
    name: str | None = None,
    written: Span | None = None,
    whole: bool | None = None,
    sign: int | None = None,
    factor: tuple[str, Node] | None = None,
    span: Span | None = None,
    at: Span | None = None,
) -> _Part:
    keep_span = part.written or part.name is not None
    return _Part(
        node,
        part.factors if factor is None else (*part.factors, factor),
        part.sign if sign is None else sign,
        part.name if name is None else name,
        part.written if written is None else written,
        part.whole if whole is None else whole,
        span or (at if at is not None and not keep_span else part.span),
    )


def _weight(resolver: Resolver, part: _Part) -> Node:
    """The product of the factors, folded where they are literals."""
    span = part.factors[0][1].span if part.factors else part.span
    weight: Node = resolver.make(nodes.Constant(1.0 * part.sign, span))
    for operator, factor in part.factors:
        known = nodes.literal(factor)
        if operator == "/" and known is not None and known.value == 0:
            resolver.found.add(
                "E310", "a division by 0", factor.span, help="divide by another number"
            )
            continue
        one = isinstance(weight, nodes.Constant) and weight.value == 1
        if one and operator == "*":
            weight = factor
        else:
            weight = resolver.apply(operator, (weight, factor), span)
    return weight


def _report_zero(resolver: Resolver, name: str, part: _Part) -> None:
    """A written 0 is most likely a mistake; one that folding produced was asked for."""
    known = [nodes.literal(factor) for operator, factor in part.factors if operator == "*"]
    zeros = [factor for factor in known if factor is not None and factor.value == 0]
    if not zeros:
        return
    written = not zeros[0].span.text.strip("0._")
    resolver.found.add(
        "W202" if written else "N201",
        f"the term `{name}` has weight 0: it is not computed",
        zeros[0].span,
        help="remove the term, or make its weight a param" if written else None,
    )


def _names(parts: list[_Part], resolver: Resolver) -> list[str]:
    """Written names first; the others follow, counted where they repeat."""
    taken: dict[str, Span] = {}
    for part in parts:
        if part.written and part.name is not None:
            if part.name in taken:
                resolver.found.add(
                    "E210",
                    f"two terms are called `{part.name}`",
                    part.written,
                    labels=[(taken[part.name], "the other one")],
                )
            taken[part.name] = part.written
    names = []
    numbers: dict[str, int] = {}
    for part in parts:
        if part.written and part.name is not None:
            names.append(part.name)
            continue
        plain = part.name or called(part.node) or "term"
        name, number = plain, numbers.get(plain, 2)
        while name in taken:
            name, number = f"{plain}_{number}", number + 1
        numbers[plain] = number
        taken[name] = part.span
        names.append(name)
    return names


def called(node: Node) -> str | None:
    """The outermost called loss or function."""
    queue = [node]
    while queue:
        current = queue.pop(0)
        match current:
            case nodes.LossCall(_, name):
                return name
            case nodes.Label(_, name, "call" | "comprehension"):
                return name
            case nodes.Apply(function) if function.name.isidentifier():
                if function.name not in ("neg", "where", "and", "or", "not"):
                    return function.name
            case nodes.ModuleCall(module):
                return module
        queue.extend(nodes.operands(current))
    return None
