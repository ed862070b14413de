"""The IR before and after the passes, and what each rewrite did."""

from __future__ import annotations

import dataclasses

from lossdsl.backend.pipeline import Stages
from lossdsl.checker.contract import Naming
from lossdsl.inspect.sizes import contract_names
from lossdsl.ir.graph import Graph, Node, topological
from lossdsl.ir.printer import print_graph


def ir_text(stages: Stages) -> str:
    """Three parts: before the passes, after them, and the rewrites in between."""
    naming = contract_names(stages.checked)
    before = print_graph(named(stages.graph, naming))
    after = print_graph(named(dataclasses.replace(stages.optimised, rewrites=()), naming))
    done = [f"{r.by}: {r.before} -> {r.after}" for r in stages.optimised.rewrites]
    parts = {
        "before the passes": before,
        "after the passes": "the same" if after == before else after,
        "rewrites": "\n".join(done) or "none",
    }
    return "\n\n".join(f"# {heading}\n{text}" for heading, text in parts.items())


def named(graph: Graph, naming: Naming) -> Graph:
    """The graph with the contract's names in its types."""
    new: dict[int, Node] = {}
    for node in topological(graph.roots()):
        new[id(node)] = dataclasses.replace(
            node,
            operands=tuple(new[id(operand)] for operand in node.operands),
            type=naming.type(node.type),
        )
    terms = tuple(
        term
        if term.dropped
        else dataclasses.replace(term, weight=new[id(term.weight)], raw=new[id(term.raw)])
        for term in graph.terms
    )
    return Graph(terms, graph.rewrites)
