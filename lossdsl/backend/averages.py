"""The state of running means: made when a call or a state dict tells their shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from lossdsl.backend import runtime, torch_private
from lossdsl.backend.names import AVERAGING, counter


def reserve(owner: nn.Module, averages: Mapping[str, str]) -> None:
    """Make room for the running means of a graph."""
    for name in averages.values():
        for buffer in (name, counter(name)):
            if buffer not in owner._buffers:
                owner.register_buffer(buffer, None)
    if averages and AVERAGING not in owner._buffers:
        owner.register_buffer(AVERAGING, torch.tensor(owner.training), persistent=False)


def make(owner: nn.Module, graph: fx.GraphModule, values: Sequence[Any]) -> None:
    """Give running means that have none yet their memory, by the shapes of these inputs."""
    mode = torch_private.fake_tensors()
    shapes = _Shapes(graph)
    with mode, torch.no_grad():
        shapes.run(*torch_private.tensors_mapped(mode.from_tensor, tuple(values)))
    for name, (shape, dtype, device) in shapes.found.items():
        if owner._buffers[name] is None:
            _create(owner, name, shape, dtype, device)


def load(owner: nn.Module, state: Mapping[str, Any], prefix: str) -> None:
    """Make the memory of the running means that a state dict brings."""
    for name, buffer in list(owner._buffers.items()):
        saved = state.get(prefix + name)
        if buffer is None and isinstance(saved, Tensor):
            device = next(b.device for b in owner._buffers.values() if b is not None)
            owner._buffers[name] = torch.zeros(saved.shape, dtype=saved.dtype, device=device)


def missing(owner: nn.Module, averages: Mapping[str, str]) -> bool:
    return any(owner._buffers[name] is None for name in averages.values())


def _create(
    owner: nn.Module, name: str, shape: torch.Size, dtype: torch.dtype, device: torch.device
) -> None:
    owner._buffers[name] = torch.zeros(shape, dtype=dtype, device=device)
    owner._buffers[counter(name)] = torch.zeros((), dtype=torch.int64, device=device)


class _Shapes(fx.Interpreter):
    """Runs a graph on fake tensors and keeps what is averaged."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.found: dict[str, tuple[torch.Size, torch.dtype, torch.device]] = {}

    def run_node(self, n: fx.Node) -> Any:
        if n.op == "call_function" and n.target is runtime.running_mean:
            x = self.env[n.args[0]]  # type: ignore[index]
            kept = n.args[1]
            assert isinstance(kept, fx.Node)
            dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
            self.found[str(kept.target)] = (x.shape, dtype, x.device)
            return x.detach().to(dtype)
        return super().run_node(n)

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        return getattr(self.module, target, None)
