"""What every loss must do, for one loss: its examples hold, it compiles into one graph, its
gradients are derivatives, and a parameter may be a number or a tensor; and inputs to show it with.

The tests of the whole registry ask the same of each loss by its signature. These are for arguments
that say more, and for functions that are no loss of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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


def bits(*shape: int, seed: int = 5) -> Tensor:
    return uniform(*shape, seed=seed).round()


def signs(*shape: int, seed: int = 5) -> Tensor:
    return 2 * bits(*shape, seed=seed) - 1


def labels(classes: int, *shape: int, seed: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, classes, shape, generator=generator)


def distribution(*shape: int, seed: int = 0) -> Tensor:
    return normal(*shape, seed=seed).softmax(1)


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


def examples_hold(*names: str) -> None:
    """Each example of these losses, compiled as the text that it is, has its value."""
    for name in names:
        examples = record(name).examples
        assert examples
        for example in examples:
            loss = lossdsl.compile(example.text, backend="eager")
            value = loss({key: tensor(given) for key, given in example.inputs.items()})
            expected = pytest.approx(example.value, rel=1e-12, abs=1e-14)
            assert value.item() == expected, example.text


def free(inputs: Iterable[Tensor]) -> list[Tensor]:
    """The inputs anew, with a gradient where they are no whole numbers."""
    return [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]


def is_derivative(loss: Callable[..., Tensor], *inputs: Tensor) -> None:
    """The gradients are the derivatives of the value, by every floating-point input."""
    assert torch.autograd.gradcheck(loss, free(inputs))


def one_graph(loss: Callable[..., Tensor], *batches: tuple[Tensor, ...]) -> None:
    """Forward and backward in one graph without breaks, for inputs of several sizes."""
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    for batch in batches:
        ours, theirs = free(batch), free(batch)
        value, expected = compiled(*ours), loss(*theirs)
        same(value, expected.detach())
        value.sum().backward()
        expected.sum().backward()
        for own, other in zip(ours, theirs, strict=True):
            assert (own.grad is None) == (other.grad is None)
            if own.grad is not None:
                same(own.grad, other.grad)


def graph_of_batches(
    loss: Callable[..., Tensor], arguments: Callable[[int], tuple[Tensor, ...]]
) -> None:
    """The same for the arguments of batches of 3 and of 5."""
    one_graph(loss, *map(arguments, (3, 5)))


def takes_tensor(loss: Callable[..., Tensor], name: str, value: float, *inputs: Tensor) -> None:
    """A parameter gives the same value as a number and as a tensor, and leaves a map's dtype. (That
    of a single number is the compiler's care.)"""
    moving = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    same(loss(*inputs, **{name: moving}), loss(*inputs, **{name: value}).detach())
    result = loss(*(x.float() for x in inputs), **{name: moving})
    assert result.dtype == torch.float32 or result.dim() == 0
    (slope,) = torch.autograd.grad(result.sum(), moving)
    assert slope.isfinite()
