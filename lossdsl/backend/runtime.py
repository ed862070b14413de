"""The few functions that a compiled graph calls besides losses, functions and conversions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lossdsl.backend import torch_private
from lossdsl.functions.precision import wide


def field(container: Any, key: str) -> Any:
    """A part of a mapping by key, of any other object by attribute."""
    return container[key] if isinstance(container, Mapping) else getattr(container, key)


def clock(ticks: Tensor) -> Tensor:
    """`step` or `epoch` as a number to calculate with."""
    return ticks.to(torch.float64)


def param(buffer: Tensor) -> Tensor:
    """The value of a param. Its buffer has shape [1]: Dynamo takes a 0-dim float64 one for a
    Python number first, and compiles twice."""
    return buffer[0]


def listed(buffer: Tensor, *inputs: Any) -> Tensor:
    """The values of a list param in the precision of the loss: its buffer is float64, which would
    make float64 of all that it meets."""
    return buffer.to(_precision(inputs))


def _precision(inputs: Any) -> torch.dtype:
    leaves = torch_private.leaves(inputs)
    double = any(isinstance(x, Tensor) and x.dtype == torch.float64 for x in leaves)
    return torch.float64 if double else torch.float32


def learnable(weight: Tensor, *, low: float | None = None, high: float | None = None) -> Tensor:
    """The values of a learnable weight, kept in their bounds.

    The gradient passes unchanged, so a weight that an optimiser pushed over a bound can return.
    """
    return weight + (torch.clamp(weight, min=low, max=high) - weight).detach()


def running_mean(
    x: Tensor,
    average: Tensor,
    calls: Tensor,
    moves: Tensor,
    *,
    decay: float = 0.99,
    lag: bool = False,
) -> Tensor:
    """A running mean of `x`, which the call moves on. One graph does so in training mode and not
    in evaluation mode. Under a transform of `torch.func`, where nothing may be kept, it stands."""
    x = averaged(x)
    updated = decay * average + (1 - decay) * x
    if lag:
        value = average.clone()
    else:
        first = calls == 0
        updated = torch.where(first, x, updated)
        value = torch.where(moves, updated, torch.where(first, x, average))
    if torch.compiler.is_compiling() or not torch_private.in_transform():
        average.copy_(torch.where(moves, updated, average))
        calls.add_(moves)
    return value


def averaged(x: Tensor) -> Tensor:
    """What a running mean takes: no gradient, and no half precision."""
    return wide(x).detach()


def differentiable(value: Any) -> Any:
    """An input that derivatives are taken by, whether its owner wants a gradient or not."""
    return torch_private.carrying_gradients(value)


def all_gather(x: Tensor) -> Tensor:
    """The rows of all processes, in their order."""
    return torch_private.gathered(x)


def size(x: Tensor, axis: int) -> int:
    """How many entries an axis has."""
    return x.shape[axis]


def constant(value: float, like: Tensor) -> Tensor:
    """A number as a tensor in the precision and on the device of another."""
    return torch.full((), value, dtype=like.dtype, device=like.device)


def nothing(*inputs: Any) -> Tensor:
    """The value of a loss in which no term reads a tensor: 0, where the inputs are."""
    leaves = [x for x in torch_private.leaves(inputs) if isinstance(x, Tensor)]
    return torch.zeros((), dtype=_precision(inputs), device=leaves[0].device if leaves else None)


def logged(value: Tensor) -> Tensor:
    """A term's value without its gradient."""
    return value.detach()


def ledger(values: Sequence[Tensor]) -> Tensor:
    """The terms' values side by side, without their gradients."""
    return torch.stack([value.detach() for value in values])
