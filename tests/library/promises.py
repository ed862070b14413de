"""What the losses of classes, boxes and masks keep: their examples, exact gradients, one graph for
several sizes; and the inputs to show it with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from laws import normal, uniform
from torch import Tensor

import lossdsl
from lossdsl.library.registry import find

Loss = Callable[..., Tensor]


def bits(*shape: int, seed: int = 5) -> Tensor:
    return uniform(*shape, seed=seed).round()


def signs(*shape: int, seed: int = 5) -> Tensor:
    return 2 * bits(*shape, seed=seed) - 1


def labels(classes: int, *shape: int, seed: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, classes, shape, generator=generator)


def distribution(*shape: int, seed: int = 0) -> Tensor:
    return normal(*shape, seed=seed).softmax(1)


def whole(value: Any) -> bool:
    """Whether nested lists hold whole numbers: class indices."""
    return all(map(whole, value)) if isinstance(value, list) else isinstance(value, int)


def examples_hold(names: Iterable[str]) -> None:
    """Each example of these losses is a program of the language with the value that it states."""
    for name in names:
        record = find(name)
        assert record is not None
        assert record.examples
        for example in record.examples:
            inputs = {
                key: torch.tensor(value, dtype=torch.int64 if whole(value) else torch.float64)
                for key, value in example.inputs.items()
            }
            value = lossdsl.compile(example.text, backend="eager")(inputs)
            assert value.item() == pytest.approx(example.value, rel=1e-12), example.text


def is_one_graph(loss: Loss, arguments: Callable[[int], tuple[Tensor, ...]]) -> None:
    """Compiled whole, a loss gives the same value and gradients, at two sizes of the batch."""
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    for batch in (3, 5):
        given = arguments(batch)
        ours = [x.clone().requires_grad_(x.is_floating_point()) for x in given]
        theirs = [x.clone().requires_grad_(x.is_floating_point()) for x in given]
        value, expected = compiled(*ours), loss(*theirs)
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
        value.sum().backward()
        expected.sum().backward()
        for own, other in zip(ours, theirs, strict=True):
            assert (own.grad is None) == (other.grad is None)
            if own.grad is not None:
                torch.testing.assert_close(own.grad, other.grad, rtol=1e-11, atol=1e-12)


def has_exact_gradients(loss: Loss, *arguments: Tensor) -> None:
    """The derivatives are those of the value, in every floating-point argument."""
    free = tuple(
        x.detach().clone().requires_grad_() if x.is_floating_point() else x for x in arguments
    )
    assert torch.autograd.gradcheck(loss, free)
