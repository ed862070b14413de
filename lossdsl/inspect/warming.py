"""Compile a loss before anyone waits for it: a run on examples fills the compiler's caches."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from lossdsl.backend.module import LossModule
from lossdsl.diagnostics.errors import LossError, LossInputError
from lossdsl.inspect.example_inputs import Named, example_inputs
from lossdsl.inspect.specialise import bound, no_example


@dataclass(frozen=True, slots=True)
class Warmed:
    """How many seconds it took until training and validation were compiled."""

    training: float
    validation: float


def warm(loss: LossModule, named: Named) -> Warmed:
    """Run a loss as training does, and as validation does, on examples of the given sizes.

    Raises:
        LossInputError: no example fits the loss.
    """
    problem: Exception | None = None
    device = next(loss.buffers()).device
    for example in example_inputs(loss.contract, loss._first.checked.lists, device, named):
        inputs = bound(loss, example)
        try:
            start = time.perf_counter()
            value = loss(inputs)
        except (LossError, RuntimeError, ValueError, IndexError) as error:
            problem = problem or error
            continue
        if value.requires_grad:
            value.backward()
        trained = time.perf_counter()
        with torch.no_grad():
            loss(inputs)
        return Warmed(trained - start, time.perf_counter() - trained)
    raise LossInputError([no_example(loss, problem)])
