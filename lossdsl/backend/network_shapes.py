"""What bound networks return for these inputs, found without running them.

The text does not say it, or says it wrongly, and a loss of [B, 1] against [B] must be refused
whoever made the [B, 1]. The graph is interpreted on fake tensors: shapes only, no side effects.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from torch import fx

from lossdsl.backend import torch_private
from lossdsl.backend.fake_run import FakeRun
from lossdsl.source import Span


def network_shapes(graph: fx.GraphModule, values: Sequence[Any]) -> dict[Span, Any]:
    """The results of the networks by the place of their call, as fake tensors in whatever
    containers they came. A place that is called twice with different shapes is left out."""
    if not any(node.op == "call_module" for node in graph.graph.nodes):
        return {}
    recorder = _Recorder(graph)
    # What fails here (a network that returns a tuple where a tensor is meant) is told by the
    # rules that read the results; what they accept fails again in the call itself.
    with contextlib.suppress(Exception), torch_private.silent():
        recorder.on(values)
    return {place: seen[0] for place, seen in recorder.results.items() if _alike(seen)}


class _Recorder(FakeRun):
    """Keeps what each network returned."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.results: dict[Span, list[Any]] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.op == "call_module":
            self.results.setdefault(n.meta["lossdsl_span"], []).append(result)
        return result


def _alike(seen: list[Any]) -> bool:
    shapes = [[x.shape for x in torch_private.leaves(result)] for result in seen]
    return all(shape == shapes[0] for shape in shapes)
