"""What a loss differentiates while it is calculated: `grad(u, x)` and penalties on critics."""

from __future__ import annotations

from collections.abc import Iterator

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.hazards.gradients import passing
from lossdsl.ir.graph import Graph, Node
from lossdsl.source import Span


def differentiated(graph: Graph) -> dict[str, Span]:
    """The inputs that must carry a gradient, whatever the caller wants of them, with the place of
    the derivative."""
    inputs: dict[str, Span] = {}
    for node in _derivatives(graph):
        for below in _reached(node.operands[1]):
            if below.op == "input":
                inputs.setdefault(below.literals["name"], node.span)
    return inputs


def judge_derivatives(graph: Graph, found: Diagnostics) -> None:
    """Refuse derivatives by what is not on the way."""
    for node in _derivatives(graph):
        value, point = node.operands[:2]
        if any(below is point for below in _reached(value)):
            if not any(below.op == "input" for below in _reached(point)):
                found.add(
                    "E312",
                    f"no gradient comes to `{point.span.text}`, so nothing can be differentiated "
                    "by it",
                    point.span,
                    help="differentiate by an input, or by what is made of inputs without `detach`",
                )
            continue
        found.add(
            "E312",
            f"`{value.span.text}` does not depend on `{point.span.text}`: the derivative is 0",
            node.span,
            labels=[(point.span, "this is not on the way")],
            help="differentiate by the very value that the other is calculated from",
        )


def _derivatives(graph: Graph) -> Iterator[Node]:
    for node in graph.nodes():
        if not isinstance(node.op, str) and node.op.differentiates:
            yield node


def _reached(root: Node) -> Iterator[Node]:
    """What a gradient comes to from a value, itself first."""
    stack, seen = [root], {id(root)}
    while stack:
        node = stack.pop()
        yield node
        for below in passing(node):
            if id(below) not in seen:
                seen.add(id(below))
                stack.append(below)
