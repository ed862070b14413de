"""Everything in the order in which the results need it."""

from __future__ import annotations

from collections.abc import Iterable

from torch import fx


def order_by_results(graph: fx.Graph) -> None:
    """Whatever the first result needs comes first, then what else the second one needs, and so on:
    a graph that returns gradients and then the value adds up the value beside its gradients."""
    output = graph.output_node()
    for node in list(_in_order(output.all_input_nodes)):
        if node.op != "placeholder":
            output.prepend(node)


def _in_order(roots: Iterable[fx.Node]) -> Iterable[fx.Node]:
    """Nodes behind what they need, in the order in which the roots need them."""
    done: set[fx.Node] = set()
    for root in roots:
        stack = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                yield node
            elif node not in done:
                done.add(node)
                stack.append((node, True))
                stack.extend((below, False) for below in reversed(node.all_input_nodes))
