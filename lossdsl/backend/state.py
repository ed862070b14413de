"""A loss but for its call: what it is, and what it keeps from call to call (networks, params,
clocks and running means)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from lossdsl.backend import averages
from lossdsl.backend.graphs import Graphs
from lossdsl.backend.names import AVERAGING, CLOCKS
from lossdsl.backend.params import config_error, register, settable
from lossdsl.backend.pipeline import Recipe
from lossdsl.checker.declarations import Param
from lossdsl.checker.program import Variant
from lossdsl.diagnostics.diagnostic import Diagnostic, Diagnostics
from lossdsl.diagnostics.errors import LossConfigError
from lossdsl.types.values import Module

_REMADE = ("_first", "_graphs")
"""What a copy makes anew from the recipe."""


class LossState(nn.Module):
    """What a loss is, and its state.

    Params and the clocks are buffers, learnable weights are Parameters of shape [1] (FSDP refuses
    0-dim ones); all stand in the state dict under their names. The buffers of running means are
    made with the first call, or the first state dict.
    """

    def __init__(self, recipe: Recipe, modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self._recipe = recipe
        self._whole = recipe.program.span
        self._bound = frozenset(modules)
        self._compile()
        self._take_modules(modules)
        self._freeze()
        for name, param in self._params.items():
            register(self, self._first.names.params[name], param)
        for clock in CLOCKS.values():
            self.register_buffer(clock, torch.zeros((), dtype=torch.int64))
        averages.reserve(self, self._first.names.averages)

    def _compile(self) -> None:
        """Check the program. Its graphs are made when they are needed."""
        self._graphs = Graphs(self._recipe, self, self._bound)
        self._first = self._graphs.stages(Variant())

    @property
    def _params(self) -> dict[str, Param]:
        return self._first.checked.declared.params

    def _take_modules(self, modules: Mapping[str, nn.Module]) -> None:
        """Own the bound networks; those declared frozen neither train nor change mode."""
        for name, module in modules.items():
            if not isinstance(module, nn.Module):
                raise config_error("E510", f"the module `{name}` is not an nn.Module", name)
            self.add_module(self._first.names.modules[name], module)

    def _freeze(self) -> None:
        for name, entry in self._first.checked.declared.inputs.items():
            if isinstance(entry.type, Module) and entry.type.frozen and name in self._bound:
                module = self.get_submodule(self._first.names.modules[name])
                module.eval()
                module.requires_grad_(False)

    def train(self, mode: bool = True) -> LossState:
        """Set the training mode; frozen modules stay in evaluation mode, and running means stand
        still in it."""
        super().train(mode)
        self._freeze()
        averaging = self._buffers.get(AVERAGING)
        if averaging is not None:
            averaging.fill_(mode)
        return self

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        averages.load(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LossState:
        """Move the state. A param of 0.1 stays exactly that under `.half()`."""
        exact = {
            name: buffer.clone()
            for name, buffer in self._buffers.items()
            if buffer is not None and buffer.dtype == torch.float64
        }
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, before in exact.items():
            moved = self._buffers[name]
            if moved is not None and moved.dtype != torch.float64:
                self._buffers[name] = before.to(moved.device)
        return self

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        return {key: value for key, value in state.items() if key not in _REMADE}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._compile()

    # --- what moves ---

    def step(self, *, epoch: int | None = None) -> None:
        """Advance the schedules: `step` by one, or with `epoch=` set the epoch and leave `step`."""
        with torch.no_grad():
            if epoch is None:
                self.get_buffer(CLOCKS["step"]).add_(1)
            else:
                self.get_buffer(CLOCKS["epoch"]).fill_(epoch)

    def set(self, **params: Any) -> None:
        """Change params. Nothing is compiled again, whatever the values.

        Raises:
            LossConfigError: no such param, one that is fixed at compile time, or a bad value.
        """
        values = {name: settable(self._params, name, value) for name, value in params.items()}
        found = Diagnostics()
        self._first.checked.judge_params(values, found)
        if found.failed:
            raise LossConfigError(found.errors)
        with torch.no_grad():
            for name, value in params.items():
                attribute = self._first.names.params[name]
                target = self._buffers.get(attribute)
                if target is None:
                    target = self.get_parameter(attribute)
                target.copy_(torch.as_tensor(value, dtype=target.dtype).reshape(target.shape))

    # --- what it is ---

    @property
    def source(self) -> str:
        """The text that the loss came from."""
        return self._recipe.program.span.source.text

    @property
    def name(self) -> str:
        """The loss's name: from its file, from `compile(name=…)`, or `loss`."""
        return self._recipe.name or self._recipe.program.name or "loss"

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that were not errors."""
        return self._first.warnings

    @property
    def graph_module(self) -> fx.GraphModule:
        """The graph as a module that runs on its own: the contract's inputs in, the loss out."""
        graph = fx.Graph()
        lowered = self._first.lowered
        copies: dict[fx.Node, fx.Node] = {}
        graph.graph_copy(lowered.graph, copies)
        graph.output(copies[lowered.value])
        made = self._graphs.generated(graph)
        # Whether a bound network may be dropped is asked of the module that holds it.
        made.graph.eliminate_dead_code()
        made.recompile()
        return made

    def extra_repr(self) -> str:
        """The loss's text, for `print(model)`."""
        return self.source.strip()
