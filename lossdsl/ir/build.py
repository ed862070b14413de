"""From the typed tree to the IR."""

from __future__ import annotations

from lossdsl.checker.typed import Typed, TypedProgram
from lossdsl.ir.graph import Builder, Graph, Node, Term


def build(program: TypedProgram) -> Graph:
    """The graph of a checked program, before any pass."""
    builder = Builder()
    made: dict[int, Node] = {}
    terms = []
    for term in program.terms:
        weight, raw = (_lower(value, builder, made) for value in (term.weight, term.raw))
        terms.append(Term(term.name, weight, raw, term.span, term.monitored))
    return Graph(tuple(terms))


def _lower(root: Typed, builder: Builder, made: dict[int, Node]) -> Node:
    stack = [root]
    while stack:
        value = stack[-1]
        if id(value) in made:
            stack.pop()
            continue
        missing = [x for x in value.operands if id(x) not in made]
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        made[id(value)] = builder.make(
            value.op,
            tuple(made[id(x)] for x in value.operands),
            value.literals,
            value.type,
            value.span,
            value.keywords,
        )
    return made[id(root)]
