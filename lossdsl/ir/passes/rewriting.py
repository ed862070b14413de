"""How a pass walks the graph: bottom up, one function from node to node."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from lossdsl.ir.graph import Builder, Graph, Node, Rewrite, topological

Step = Callable[[Node, Builder], Node | None]


def rewrite(graph: Graph, name: str, step: Step) -> Graph:
    """Replace nodes where `step` gives another; unchanged parts stay shared."""
    builder = Builder()
    new: dict[int, Node] = {}
    done: list[Rewrite] = []
    for node in topological(graph.roots()):
        rebuilt = builder.rebuilt(node, tuple(new[id(operand)] for operand in node.operands))
        replaced = step(rebuilt, builder)
        if replaced is not None:
            done.append(Rewrite(name, written(rebuilt), written(replaced)))
        new[id(node)] = replaced or rebuilt
    terms = tuple(
        term
        if term.dropped
        else dataclasses.replace(term, weight=new[id(term.weight)], raw=new[id(term.raw)])
        for term in graph.terms
    )
    return Graph(terms, (*graph.rewrites, *done))


def written(node: Node, levels: int = 2) -> str:
    """A node as an expression, down to a few levels."""
    if node.op == "input" or node.op == "param" or node.op == "clock":
        return str(node.literals["name"])
    if node.op == "number":
        return str(node.literals["value"])
    if levels == 0:
        return "…"
    skip = node.name in ("as_float", "as_floating", "as_index")
    if skip and len(node.operands) == 1:
        return written(node.operands[0], levels)
    inside = ", ".join(written(operand, levels - 1) for operand in node.operands)
    return f"{node.name}({inside})"
