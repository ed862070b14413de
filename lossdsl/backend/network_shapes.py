"""What bound networks return for these inputs, found without running them.

The text does not say it, or says it wrongly, and a loss of [B, 1] against [B] must be refused
whoever made the [B, 1]. The graph is interpreted on fake tensors: shapes only, no side effects.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from lossdsl.backend import torch_private
from lossdsl.source import Span


def network_shapes(graph: fx.GraphModule, values: Sequence[Any]) -> dict[Span, Any]:
    """The results of the networks by the place of their call, as fake tensors in whatever
    containers they came. A place that is called twice with different shapes is left out."""
    if not any(node.op == "call_module" for node in graph.graph.nodes):
        return {}
    mode = torch_private.fake_tensors()
    recorder = _Recorder(graph, mode)
    with mode, torch.no_grad():
        # Made from their sizes: what autograd or a transform knows of the values is not asked.
        fakes = torch_private.tensors_mapped(_alike_in_size, tuple(values))
        # What fails here (a network that returns a tuple where a tensor is meant) is told by the
        # rules that read the results; what they accept fails again in the call itself.
        with contextlib.suppress(Exception), torch_private.silent():
            recorder.run(*fakes)
    return {place: seen[0] for place, seen in recorder.results.items() if _alike(seen)}


class _Recorder(fx.Interpreter):
    """Runs the graph on fake tensors and keeps what each network returned. The networks' own
    state is fake too, so that running averages do not move."""

    def __init__(self, graph: fx.GraphModule, mode: Any) -> None:
        super().__init__(graph)
        self.mode = mode
        self.results: dict[Span, list[Any]] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.op == "call_module":
            self.results.setdefault(n.meta["lossdsl_span"], []).append(result)
        return result

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        network = self.fetch_attr(target)
        state: dict[str, torch.Tensor] = {
            name: self.mode.from_tensor(tensor)
            for name, tensor in (*network.named_parameters(), *network.named_buffers())
        }
        return torch.func.functional_call(network, state, args, kwargs)


def _alike_in_size(value: torch.Tensor) -> torch.Tensor:
    return torch.empty(value.shape, dtype=value.dtype, device=value.device)


def _alike(seen: list[Any]) -> bool:
    shapes = [[x.shape for x in torch_private.leaves(result)] for result in seen]
    return all(shape == shapes[0] for shape in shapes)
