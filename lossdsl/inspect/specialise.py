"""A loss fixed to one set of inputs: what torch needs to show how it runs them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from lossdsl.backend import torch_private
from lossdsl.backend.arguments import ABSENT
from lossdsl.backend.module import LossModule
from lossdsl.checker.typed import Entry
from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.diagnostics.errors import LossError, LossInputError
from lossdsl.inspect.example_inputs import example_inputs
from lossdsl.inspect.graph_text import noted
from lossdsl.types.kinds import SCORES

_TARGETS = ("prob", "class_prob")
"""Kinds that are a prediction only where the loss has no input that is one for certain."""


@dataclass(frozen=True, slots=True)
class Specialised:
    """A graph that runs, and the inputs that it was checked with."""

    graph: fx.GraphModule
    values: tuple[Any, ...]
    tensors: tuple[Tensor, ...]

    def differentiable(self) -> list[Tensor]:
        """What a gradient flows into: predictions and learnable weights."""
        tensors = [*self.tensors, *self.graph.parameters()]
        return [tensor for tensor in tensors if tensor.requires_grad]


def specialise(loss: LossModule, inputs: Mapping[str, Any] | None) -> Specialised:
    """Fix a loss to the given inputs, or to examples made from its contract.

    A copy of the loss runs them: neither the terms of its last call nor a running mean nor the
    gradient of a weight is touched.

    Raises:
        LossInputError: the inputs break the contract, or no example fits.
    """
    recipe = dataclasses.replace(loss._recipe, backend="eager")
    trial = copy.deepcopy(loss, {id(loss._recipe): recipe})
    if inputs is not None:
        return _fixed(trial, bound(trial, inputs))
    device = next(trial.buffers()).device
    problem: Exception | None = None
    for example in example_inputs(trial.contract, trial._first.checked.lists, device):
        try:
            return _fixed(trial, bound(trial, example))
        except (LossError, RuntimeError, ValueError, IndexError) as error:
            problem = problem or error
    raise LossInputError([no_example(trial, problem)])


def bound(loss: LossModule, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that a loss takes, with gradients wanted of what looks like a prediction."""
    values = loss._arguments.bind((inputs,), {})
    given = zip(loss.contract, values, strict=True)
    kept = [(entry, value) for entry, value in given if value is not ABSENT]
    tracked = _predictions([entry for entry, _ in kept])
    return {e.name: _tracked(v) if e.name in tracked else v for e, v in kept}


def _predictions(entries: Iterable[Entry]) -> set[str]:
    """The inputs that come out of a network, as far as kinds tell."""
    kinds = {entry.name: entry.kind for entry in entries}
    certain = {n for n, k in kinds.items() if k in SCORES or k in _TRACKED}
    return certain or {n for n, k in kinds.items() if k in _TARGETS}


_TRACKED = ("real", "image", "positive", "series", "boxes", "list", "record")


def _tracked(value: Any) -> Any:
    """The value, with a gradient to be calculated for its floating-point tensors."""
    match value:
        case Tensor():
            if value.requires_grad or not value.is_floating_point():
                return value
            return value.detach().requires_grad_()
        case list() | tuple():
            return [_tracked(part) for part in value]
        case dict():
            return {key: _tracked(part) for key, part in value.items()}
    return value


def _fixed(loss: LossModule, given: Mapping[str, Any]) -> Specialised:
    with torch.random.fork_rng(devices=()):
        loss(**given)
    run = next(reversed(loss._runs.values()))
    for name in given:
        if name in run.stages.differentiated:
            given = {**given, name: torch_private.carrying_gradients(given[name])}
    tensors = loss._arguments.tensors([given.get(name, ABSENT) for name in loss.contract.names])
    return Specialised(
        noted(loss._graphs.module(run.stages.variant)), tuple(given.values()), tuple(tensors)
    )


def no_example(loss: LossModule, problem: Exception | None) -> Diagnostic:
    """That no example fits a loss, with the first reason that was met."""
    if isinstance(problem, LossError):
        reason = problem.diagnostics[0].message
    else:
        reason = str(problem).splitlines()[0] if str(problem or "") else "the sizes are too large"
    return Diagnostic(
        "E601",
        f"no example that fits this loss was found: {reason}",
        loss._whole,
        (),
        "give inputs: `loss.inspect('torch', inputs={…})`",
    )
