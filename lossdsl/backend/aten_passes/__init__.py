"""What is done to a graph of torch operators before Inductor makes kernels of it. One idea a file.

Inductor fuses what it finds beside each other. It does not find again what two terms calculate
alike, it adds a sum to the loop of a gradient only where the gradient comes first, and it knows
nothing of labels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import fx

from lossdsl.backend.aten_passes.chosen import sum_chosen
from lossdsl.backend.aten_passes.exponentials import share_exponentials
from lossdsl.backend.aten_passes.labels import labels_as_floats
from lossdsl.backend.aten_passes.order import order_by_results
from lossdsl.backend.aten_passes.share import share
from lossdsl.backend.aten_passes.sums import sum_at_once

FILES = tuple(str(file) for file in sorted(Path(__file__).parent.glob("*.py")))
"""What the passes are written in: a graph that other ones made is another graph."""

_OF_SIZES = ("_operator", "builtins", "math")
"""Where the functions come from that calculate with sizes, and take results apart."""


def tidy(graph: fx.Graph) -> None:
    """Run all passes. A graph that does more than calculate is left as it is."""
    if all(map(_pure, graph.nodes)):
        graph.eliminate_dead_code()
        share(graph)
        share_exponentials(graph)
        sum_chosen(graph)
        sum_at_once(graph)
        labels_as_floats(graph)
        order_by_results(graph)


def _pure(node: fx.Node) -> bool:
    """Whether a call does nothing but calculate, the same at every call."""
    if node.op in ("placeholder", "get_attr", "output"):
        return True
    if getattr(node.target, "__module__", "") in _OF_SIZES:
        return True
    schema = getattr(node.target, "_schema", None)
    return schema is not None and not schema.is_mutable and not _random(node.target)


def _random(operator: Any) -> bool:
    return any(tag.name == "nondeterministic_seeded" for tag in getattr(operator, "tags", ()))
