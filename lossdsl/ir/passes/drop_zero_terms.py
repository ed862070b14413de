"""A term with weight 0 is not computed. It keeps its row in the ledger, as 0."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from lossdsl.ir.graph import Graph, Rewrite, Term
from lossdsl.ir.passes.rewriting import written


@dataclass(frozen=True, slots=True)
class DropZeroTerms:
    """Take terms out of the computation whose weight is the literal 0."""

    name: str = "drop zero terms"

    def apply(self, graph: Graph) -> Graph:
        done = []
        terms: list[Term] = []
        for term in graph.terms:
            weight = term.weight
            if weight.op == "number" and weight.literals["value"] == 0 and not term.monitored:
                done.append(Rewrite(self.name, f"0 * {written(term.raw)}", "0"))
                terms.append(dataclasses.replace(term, dropped=True))
            else:
                terms.append(term)
        return Graph(tuple(terms), (*graph.rewrites, *done))
