"""A graph run on tensors that have shapes and no values: nothing is calculated, nothing moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from lossdsl.backend import runtime, torch_private


class FakeRun(fx.Interpreter):
    """Interprets a graph. The state of its networks is fake too, so that running averages do not
    move, and running means need none."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.mode = torch_private.fake_tensors()

    def on(self, values: Sequence[Any]) -> None:
        """Run it on tensors of these sizes. What autograd or a transform knows of the values is
        not asked."""
        with self.mode, torch.enable_grad():
            self.run(*torch_private.tensors_mapped(_alike_in_size, tuple(values)))

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        network = self.fetch_attr(target)
        state: dict[str, torch.Tensor] = {
            name: self.mode.from_tensor(tensor)
            for name, tensor in (*network.named_parameters(), *network.named_buffers())
        }
        return torch.func.functional_call(network, state, args, kwargs)

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        if target is runtime.running_mean:
            return runtime.averaged(args[0])
        return super().call_function(target, args, kwargs)


def _alike_in_size(value: torch.Tensor) -> torch.Tensor:
    return torch.empty(value.shape, dtype=value.dtype, device=value.device)
