"""What every loss must do, for one loss: its examples hold, it compiles into one graph, its
gradients are derivatives, and a parameter may be a number or a tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import lossdsl
from lossdsl.library.record import LossRecord
from lossdsl.library.registry import find


def record(name: str) -> LossRecord:
    found = find(name)
    assert found is not None
    return found


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def positive(*shape: int, seed: int = 0) -> Tensor:
    return normal(*shape, seed=seed).exp()


def same(actual: Tensor, expected: Any, rtol: float = 1e-12, atol: float = 1e-13) -> None:
    torch.testing.assert_close(
        actual.detach(), torch.as_tensor(expected, dtype=torch.float64), rtol=rtol, atol=atol
    )


def tensor(value: Any) -> Any:
    """An example's input: integers stay integers, maps of different sizes a list."""
    try:
        made = torch.tensor(value)
    except ValueError:
        return [tensor(part) for part in value]
    return made if made.dtype == torch.int64 else torch.tensor(value, dtype=torch.float64)


def examples_hold(name: str) -> None:
    """Each example, compiled as the text that it is, has its value."""
    examples = record(name).examples
    assert examples
    for example in examples:
        loss = lossdsl.compile(example.text, backend="eager")
        value = loss({key: tensor(given) for key, given in example.inputs.items()})
        assert value.item() == pytest.approx(example.value, rel=1e-12, abs=1e-14)


def is_derivative(loss: Callable[..., Tensor], *inputs: Tensor) -> None:
    assert torch.autograd.gradcheck(loss, [x.clone().requires_grad_() for x in inputs])


def one_graph(loss: Callable[..., Tensor], *batches: tuple[Tensor, ...]) -> None:
    """Forward and backward in one graph without breaks, for inputs of several sizes."""
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    for batch in batches:
        ours = [x.clone().requires_grad_() for x in batch]
        theirs = [x.clone().requires_grad_() for x in batch]
        value, expected = compiled(*ours), loss(*theirs)
        same(value, expected.detach())
        slopes = torch.autograd.grad(value.sum(), ours, allow_unused=True)
        others = torch.autograd.grad(expected.sum(), theirs, allow_unused=True)
        for slope, other in zip(slopes, others, strict=True):
            zero = torch.zeros((), dtype=torch.float64)
            same(zero if slope is None else slope, zero if other is None else other)


def takes_tensor(loss: Callable[..., Tensor], name: str, value: float, *inputs: Tensor) -> None:
    """A parameter gives the same value as a number and as a tensor, and leaves a map's dtype. (That
    of a single number is the compiler's care.)"""
    moving = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    same(loss(*inputs, **{name: moving}), loss(*inputs, **{name: value}).detach())
    result = loss(*(x.float() for x in inputs), **{name: moving})
    assert result.dtype == torch.float32 or result.dim() == 0
    (slope,) = torch.autograd.grad(result.sum(), moving)
    assert slope.isfinite()
