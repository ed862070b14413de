"""The graphs of one loss: one for each variant, made when it is needed first."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx, nn

from lossdsl.backend import one_pass, torch_private
from lossdsl.backend.arguments import arranged, list_lengths, places
from lossdsl.backend.one_pass import OnePass, Opened
from lossdsl.backend.pipeline import Recipe, Stages, run
from lossdsl.checker.program import Variant
from lossdsl.checker.suggest import closest
from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.diagnostics.errors import LossConfigError
from lossdsl.source import Source
from lossdsl.types.values import Type

_warned = False


class Graphs:
    """`owner` is the module that holds the state, `bound` the names of its networks."""

    def __init__(self, recipe: Recipe, owner: nn.Module, bound: frozenset[str]) -> None:
        self._recipe = recipe
        self._owner = owner
        self._bound = bound
        self._stages: dict[Variant, Stages] = {}
        self._modules: dict[Variant, fx.GraphModule] = {}
        self._calls: dict[Variant, Callable[..., Any]] = {}
        self._joint: dict[Any, OnePass] = {}

    def stages(self, variant: Variant) -> Stages:
        """The loss at every stage of its compilation.

        Raises:
            LossError: with every problem that was found.
        """
        if variant not in self._stages:
            self._stages[variant] = run(self._recipe, self._bound, variant)
        return self._stages[variant]

    def stages_for(self, given: Mapping[str, Any], absent: frozenset[str]) -> Stages:
        """The loss unrolled to the lengths of the lists that came, without what is absent."""
        stages = self.stages(Variant((), absent))
        while True:
            # Lists in lists come into sight once the outer one has its length.
            lengths = list_lengths(given, tuple(stages.checked.lists))
            if lengths == stages.variant.lengths:
                return stages
            stages = self.stages(Variant(lengths, absent))

    def module(self, variant: Variant) -> fx.GraphModule:
        """The generated module."""
        if variant not in self._modules:
            self._modules[variant] = self.generated(self.stages(variant).lowered.graph)
        return self._modules[variant]

    def generated(self, graph: fx.Graph) -> fx.GraphModule:
        """A module of a graph. It shares its owner's state, by sharing the dictionaries that hold
        it: whatever is moved, loaded or replaced there is so here."""
        made = fx.GraphModule(self._owner, graph, class_name="Loss")
        made._parameters = self._owner._parameters
        made._buffers = self._owner._buffers
        made._modules = self._owner._modules
        for name in made._buffers:
            # What had no value yet was copied beside them, and would hide them.
            made.__dict__.pop(name, None)
        return made

    def call(self, variant: Variant) -> Callable[..., Any]:
        """The graph as the chosen backend runs it."""
        if variant not in self._calls:
            call = self.module(variant).forward
            if self.compiles:
                call = torch_private.compiled(call, _told_apart(self._recipe.backend))
            self._calls[variant] = call
        return self._calls[variant]

    @cached_property
    def compiles(self) -> bool:
        """Whether graphs are compiled, rather than run as they stand."""
        backend = self._recipe.backend
        return backend != "eager" and not (backend == "inductor" and _runs_eagerly())

    def one_pass(
        self, stages: Stages, values: Sequence[Any], types: Sequence[Type | None]
    ) -> OnePass | None:
        """Value and gradients of such values in one graph; None where that is left to autograd,
        or nothing is learnt."""
        if not self.compiles or not stages.self_contained:
            return None
        where = places(values, types)
        if where is None:
            return None
        read = {node.target for node in stages.lowered.graph.nodes if node.op == "get_attr"}
        parameters = self._owner._parameters
        state = tuple(name for name in parameters if name in read)
        opened = Opened(tuple(types), parameters, state)
        tensors = opened(values)
        learnt = tuple(place for place, tensor in enumerate(tensors) if tensor.requires_grad)
        if not learnt or not all(type(tensor) in (Tensor, nn.Parameter) for tensor in tensors):
            return None
        key = (stages.variant, repr(where), learnt, *(tensors[place].dtype for place in learnt))
        if key not in self._joint:
            graph = one_pass.with_state(stages.lowered.graph, state)
            loss = self.generated(graph).forward
            count = len(tensors) - len(state)

            def plain(*tensors: Tensor) -> one_pass.Results:
                results: one_pass.Results = loss(*arranged(where, tensors), *tensors[count:])
                return results

            joint = torch_private.compiled_derivatives(
                one_pass.joint(plain, learnt), _told_apart(self._recipe.backend)
            )
            narrow = any(tensors[place].dtype == torch.float16 for place in learnt)
            self._joint[key] = OnePass(joint, plain, learnt, opened, narrow)
        return self._joint[key]


def _told_apart(backend: Any) -> Callable[..., Any]:
    try:
        return torch_private.sizes_told_apart(backend)
    except torch_private.UnknownBackend as unknown:
        known = sorted({"aot_eager", "eager", *unknown.args[0]})
        message = f"there is no backend `{backend}`"
        help = str(closest(str(backend), known) or f"there are {', '.join(known)}")
        span = Source(str(backend), "<call>").span()
        raise LossConfigError([Diagnostic("E509", message, span, (), help)]) from None


def _runs_eagerly() -> bool:
    """Whether Inductor cannot build code here. Says so once, with the way out."""
    global _warned
    reason = torch_private.compiler_missing()
    if reason is not None and not _warned:
        _warned = True
        warnings.warn(
            "no C++ compiler was found, so losses run eagerly: install one (Debian: "
            "`apt install g++`; conda: `conda install gxx`; macOS: `xcode-select --install`) "
            f"or compile with backend='eager'. Inductor said: {reason}",
            stacklevel=4,
        )
    return reason is not None
