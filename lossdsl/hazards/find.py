"""The hazards of a loss, and derivatives that cannot be taken: one walk over its optimised graph.

After the passes, because those cure some: `log(sigmoid(x))` runs as `logsigmoid(x)`.
"""

from __future__ import annotations

from collections.abc import Mapping

from lossdsl.checker.declarations import Param
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.hazards.derivatives import judge_derivatives
from lossdsl.hazards.gradients import CUTS, passing, trained
from lossdsl.hazards.rules import RULES, Place
from lossdsl.hazards.values import Value, values_of
from lossdsl.ir.graph import Graph, Node, Term
from lossdsl.source import Span

# Half precision overflows at 65504, and below half of 2^-24 a number is 0.
_LARGEST = {"float32": 88.7, "input": 11.0}
_SMALLEST = {"float32": 7.1e-46, "input": 2.98e-8}
_FORMATS = {"float32": "f", "input": "e"}


def find_hazards(
    graph: Graph, params: Mapping[str, Param], compute_dtype: str, found: Diagnostics
) -> None:
    """Warn of what can become NaN or infinite, and of terms that train nothing."""
    judge_derivatives(graph, found)
    nodes = graph.nodes()
    values = values_of(nodes, params, _SMALLEST[compute_dtype], _FORMATS[compute_dtype])
    learnable = frozenset(name for name, param in params.items() if param.role == "learnable")
    reached = trained(nodes, learnable)
    for node in nodes:
        rule = RULES.get(node.run)
        if rule is None:
            continue
        operands = [values[id(operand)] for operand in node.operands]
        if any(value.judged for value in operands):
            finding = rule(Place(node, operands, id(node) in reached, _LARGEST[compute_dtype]))
            if finding is not None:
                place = finding.node.span
                # A binding or an argument stands apart from the operation that it harms.
                labels = [] if _inside(place, node.span) else [(node.span, "it comes in here")]
                found.add(finding.code, finding.message, place, labels=labels, help=finding.help)
    for term in graph.terms:
        if not term.monitored and not term.dropped:
            _judge_term(term, reached, values, found)


def _inside(part: Span, whole: Span) -> bool:
    same = part.source is whole.source
    return same and whole.start <= part.start and part.end <= whole.end


def _judge_term(
    term: Term, reached: set[int], values: Mapping[int, Value], found: Diagnostics
) -> None:
    """A term that depends on tensors, and through which nothing learns."""
    if id(term.raw) in reached or id(term.weight) in reached or not values[id(term.raw)].judged:
        return
    cut = _cut(term.raw)
    what = f"`{cut.name}` has the gradient 0" if cut is not None else "it reads targets alone"
    found.add(
        "W807",
        f"nothing learns from the term `{term.name}`: {what}",
        cut.span if cut is not None else term.raw.span,
        help="log it under `monitor:` of a loss file, or use a smooth form of it",
    )


def _cut(root: Node) -> Node | None:
    """The first function on the way down that lets no gradient through."""
    stack = [root]
    while stack:
        node = stack.pop()
        if node.run in CUTS:
            return node
        stack.extend(reversed(passing(node)))
    return None
