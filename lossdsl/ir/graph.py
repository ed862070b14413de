"""The IR: an immutable, hash-consed graph. Equal computations are one node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lossdsl.functions.op import Op
from lossdsl.source import Span
from lossdsl.types.values import Type


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One computation. `op` is an operation or, for leaves, a word such as `input`."""

    op: Op | str
    operands: tuple[Node, ...]
    literals: Mapping[str, Any]
    keywords: tuple[str | None, ...]
    type: Type
    span: Span

    @property
    def name(self) -> str:
        return self.op if isinstance(self.op, str) else self.op.name

    @property
    def run(self) -> Any:
        """The torch function, which says what the node is (`None` for leaves)."""
        return None if isinstance(self.op, str) else self.op.run


@dataclass(frozen=True, slots=True)
class Term:
    """One summand: `weight * raw`. A monitor is logged and not summed; a dropped term is 0."""

    name: str
    weight: Node
    raw: Node
    span: Span
    monitored: bool = False
    dropped: bool = False


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What a pass did, for whoever inspects the graph."""

    by: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A loss: its terms, and what the passes did to it."""

    terms: tuple[Term, ...]
    rewrites: tuple[Rewrite, ...] = ()

    def roots(self) -> Iterable[Node]:
        for term in self.terms:
            if not term.dropped:
                yield term.weight
                yield term.raw

    def nodes(self) -> list[Node]:
        """All nodes that the terms need, each behind its operands."""
        return topological(self.roots())


def is_python_number(node: Node) -> bool:
    """Whether a value is a Python number when the graph runs: literals, sizes, and the operators
    of those. Everything else is a tensor."""
    known: dict[int, bool] = {}
    for part in topological((node,)):
        operators = not isinstance(part.op, str) and part.op.group == "function"
        known[id(part)] = part.op in ("number", "size") or (
            operators
            and part.run.__module__.endswith(".operators")
            and all(known[id(operand)] for operand in part.operands)
        )
    return known[id(node)]


def topological(roots: Iterable[Node]) -> list[Node]:
    """Nodes behind their operands, in order of first use; without recursion."""
    order: list[Node] = []
    seen: set[int] = set()
    for root in roots:
        stack: list[tuple[Node, bool]] = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                order.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                stack.append((node, True))
                stack.extend((operand, False) for operand in reversed(node.operands))
    return order


@dataclass
class Builder:
    """Makes nodes; an equal one is returned instead of a second."""

    table: dict[tuple[Any, ...], Node] = field(default_factory=dict)

    def make(
        self,
        op: Op | str,
        operands: tuple[Node, ...],
        literals: Mapping[str, Any],
        type: Type,
        span: Span,
        keywords: tuple[str | None, ...] = (),
    ) -> Node:
        # Two operations are the same when they run the same function, whoever inserted them.
        keywords = keywords if any(keywords) else ()
        if not isinstance(op, str) and not op.pure:
            return Node(op, operands, dict(literals), keywords, type, span)
        identity = op if isinstance(op, str) or op.group == "module" else op.run
        key = (identity, tuple(map(id, operands)), repr(sorted(literals.items())), keywords)
        node = self.table.get(key)
        if node is None:
            node = Node(op, operands, dict(literals), keywords, type, span)
            self.table[key] = node
        return node

    def rebuilt(self, node: Node, operands: tuple[Node, ...]) -> Node:
        """The node on other operands."""
        return self.make(node.op, operands, node.literals, node.type, node.span, node.keywords)
