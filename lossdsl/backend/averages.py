"""The state of running means: made when a call or a state dict tells their shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from lossdsl.backend import runtime
from lossdsl.backend.fake_run import FakeRun
from lossdsl.backend.names import AVERAGING, counter
from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.diagnostics.errors import LossInputError
from lossdsl.source import Span


def reserve(owner: nn.Module, averages: Mapping[str, str]) -> None:
    """Make room for the running means of a graph."""
    for name in averages.values():
        for buffer in (name, counter(name)):
            if buffer not in owner._buffers:
                owner.register_buffer(buffer, None)
    if averages and AVERAGING not in owner._buffers:
        owner.register_buffer(AVERAGING, torch.tensor(owner.training), persistent=False)


def prepare(owner: nn.Module, graph: fx.GraphModule, values: Sequence[Any]) -> None:
    """Give running means that have none yet their memory, by the shapes of these inputs.

    Raises:
        LossInputError: what is averaged has another shape than before.
    """
    run = _Averaged(graph)
    run.on(values)
    problems = []
    for name, (like, span) in run.found.items():
        kept = owner._buffers[name]
        if kept is None:
            dtype, device = like.dtype, like.device
            owner._buffers[name] = torch.zeros(like.shape, dtype=dtype, device=device)
            owner._buffers[counter(name)] = torch.zeros((), dtype=torch.int64, device=device)
        elif kept.shape != like.shape:
            message = (
                f"`{span.text}` keeps a mean of shape {list(kept.shape)}, and {list(like.shape)} "
                "came"
            )
            help = "average what has one shape at every call, such as `mean(x, over=[0])`"
            problems.append(Diagnostic("E603", message, span, (), help))
    if problems:
        raise LossInputError(problems)


def load(owner: nn.Module, state: Mapping[str, Any], prefix: str) -> None:
    """Make the memory of the running means that a state dict brings."""
    for name, buffer in list(owner._buffers.items()):
        saved = state.get(prefix + name)
        if buffer is None and isinstance(saved, Tensor):
            device = next(b.device for b in owner._buffers.values() if b is not None)
            owner._buffers[name] = torch.zeros(saved.shape, dtype=saved.dtype, device=device)


class _Averaged(FakeRun):
    """Keeps what is averaged, and where the text says so."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.found: dict[str, tuple[Tensor, Span]] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.target is runtime.running_mean:
            kept = n.args[1]
            assert isinstance(kept, fx.Node)
            self.found[str(kept.target)] = result, n.meta["lossdsl_span"]
        return result
