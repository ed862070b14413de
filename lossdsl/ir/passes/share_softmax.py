"""One softmax family for all terms: where the logarithm is needed anyway, the probabilities are
its exponential instead of a second sweep over the classes."""

from __future__ import annotations

from dataclasses import dataclass

from lossdsl.functions import classes
from lossdsl.functions.convert import EXP, LOG_SOFTMAX
from lossdsl.ir.graph import Builder, Graph, Node
from lossdsl.ir.passes.rewriting import rewrite


@dataclass(frozen=True, slots=True)
class ShareSoftmax:
    """`softmax(x)` is `exp(log_softmax(x))` where the graph holds both."""

    name: str = "share softmax"

    def apply(self, graph: Graph) -> Graph:
        logs = {
            (id(node.operands[0]), str(node.literals))
            for node in graph.nodes()
            if node.run is classes.log_softmax
        }
        shared = {
            id(node)
            for node in graph.nodes()
            if node.run is classes.softmax and (id(node.operands[0]), str(node.literals)) in logs
        }
        if not shared:
            return graph
        texts = {node.span for node in graph.nodes() if id(node) in shared}

        def step(node: Node, builder: Builder) -> Node | None:
            if node.run is not classes.softmax or node.span not in texts:
                return None
            logarithm = builder.make(
                LOG_SOFTMAX, node.operands, node.literals, node.type, node.span
            )
            return builder.make(EXP, (logarithm,), {}, node.type, node.span)

        return rewrite(graph, self.name, step)
