"""Equal calls become one."""

from __future__ import annotations

from typing import Any

from torch import fx

Key = tuple[Any, ...]


def share(graph: fx.Graph) -> None:
    """Equal calls become one. Results stay apart: they belong to different owners."""
    results = set(graph.output_node().all_input_nodes)
    known: dict[Key, fx.Node] = {}
    for node in list(graph.nodes):
        if node.op != "call_function" or node in results:
            continue
        key = (node.target, _written(node.args), _written(node.kwargs))
        first = known.setdefault(key, node)
        if first is not node:
            node.replace_all_uses_with(first)
            graph.erase_node(node)


def _written(value: Any) -> Any:
    """Arguments as something to look up. 1, 1.0 and True are not the same."""
    if isinstance(value, fx.Node):
        return id(value)
    if isinstance(value, list | tuple):
        return (type(value).__name__, *map(_written, value))
    if isinstance(value, dict):
        return tuple((key, _written(inner)) for key, inner in value.items())
    return type(value).__name__, repr(value)
