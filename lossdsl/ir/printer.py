"""The IR as text."""

from __future__ import annotations

from typing import Any

from lossdsl.ir.graph import Graph, Node


def print_graph(graph: Graph) -> str:
    """One line a node, numbered; terms last, then what the passes did."""
    numbers: dict[int, str] = {}
    lines = []
    for node in graph.nodes():
        numbers[id(node)] = f"%{len(numbers)}"
        lines.append(f"{numbers[id(node)]} = {_right_side(node, numbers)}  # {node.type}")
    for term in graph.terms:
        if term.dropped:
            lines.append(f"term {term.name} = 0")
            continue
        what = "monitor" if term.monitored else "term"
        weight, raw = numbers[id(term.weight)], numbers[id(term.raw)]
        lines.append(
            f"{what} {term.name} = {raw}"
            if term.monitored
            else f"{what} {term.name} = {weight} * {raw}"
        )
    for rewrite in graph.rewrites:
        lines.append(f"# {rewrite.by}: {rewrite.before} -> {rewrite.after}")
    return "\n".join(lines)


def _right_side(node: Node, numbers: dict[int, str]) -> str:
    if node.op in ("input", "param", "clock"):
        return f"{node.op} {node.literals['name']}"
    if node.op == "number":
        return _plain(node.literals["value"])
    keywords = node.keywords or (None,) * len(node.operands)
    parts = [
        numbers[id(x)] if key is None else f"{key}={numbers[id(x)]}"
        for x, key in zip(node.operands, keywords, strict=True)
    ]
    parts += [f"{key}={_plain(value)}" for key, value in node.literals.items()]
    return f"{node.name}({', '.join(parts)})"


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, slice):
        bounds = [value.start, value.stop] + ([value.step] if value.step else [])
        return ":".join("" if b is None else str(b) for b in bounds)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_plain, value))}]"
    return "..." if value is ... else str(value).lower() if isinstance(value, bool) else str(value)
