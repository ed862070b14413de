"""A case: a call of a shipped function, and what plain torch computes from the same tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

import lossdsl

Draw = Callable[[torch.Generator], Any]

SINGLE = 1e-7
"""The tolerance where a mask of single precision decides on a weight."""


@dataclass(frozen=True)
class Case:
    """One call.

    Attributes:
        call: the text of the loss.
        inputs: name to declared type and how it is drawn.
        expected: the same value from the same tensors, by name.
        tolerance: how near value and gradients are, relative and absolute.
        options: other keys of the loss file.
    """

    call: str
    inputs: Mapping[str, tuple[str, Draw]]
    expected: Callable[..., Tensor]
    tolerance: float = 1e-9
    options: Mapping[str, Any] = field(default_factory=dict)

    def tensors(self) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(0)
        return {name: draw(generator) for name, (_, draw) in self.inputs.items()}

    def load(self, file: str) -> Any:
        declared = {name: type for name, (type, _) in self.inputs.items()}
        text = {"use": f"lossdsl:{file}", "inputs": declared, "loss": self.call}
        return lossdsl.from_config({**text, **self.options}, backend="eager")


# --- tensors ----------------------------------------------------------------------------------


def normal(*shape: int, scale: float = 1.0) -> Draw:
    return lambda g: scale * torch.randn(shape, generator=g, dtype=torch.float64)


def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Draw:
    return lambda g: low + (high - low) * torch.rand(shape, generator=g, dtype=torch.float64)


def sparse(*shape: int) -> Draw:
    """Numbers of [0, 1], half of them 0."""

    def draw(g: torch.Generator) -> Tensor:
        x = 2 * torch.rand(shape, generator=g, dtype=torch.float64) - 1
        return x.clamp(min=0)

    return draw


def choice(*shape: int, share: float = 0.5) -> Draw:
    """0 or 1, as floats without a gradient of their own."""
    return lambda g: torch.rand(shape, generator=g) < share


def whole(*shape: int, below: int, start: int = 0) -> Draw:
    return lambda g: torch.randint(start, below, shape, generator=g)


def boxes(*shape: int) -> Draw:
    """Corners x1 < x2, y1 < y2 that mostly overlap."""

    def draw(g: torch.Generator) -> Tensor:
        low = 0.5 * torch.rand((*shape, 2), generator=g, dtype=torch.float64)
        size = 0.3 + 0.5 * torch.rand((*shape, 2), generator=g, dtype=torch.float64)
        return torch.cat([low, low + size], -1)

    return draw


def several(*draws: Draw) -> Draw:
    return lambda g: [draw(g) for draw in draws]


# --- comparison -------------------------------------------------------------------------------


def leaves(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() else []
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else []


def gradients(value: Tensor, inputs: Mapping[str, Any]) -> list[Tensor]:
    at = [leaf for item in inputs.values() for leaf in leaves(item)]
    slopes = torch.autograd.grad(value, at, allow_unused=True)
    return [torch.zeros_like(x) if s is None else s for x, s in zip(at, slopes, strict=True)]


def learning(given: Mapping[str, Any]) -> Mapping[str, Any]:
    for item in given.values():
        for leaf in leaves(item):
            leaf.requires_grad_()
    return given


def agree(case: Case, file: str) -> None:
    """The value and every gradient are those of plain torch."""
    given = learning(case.tensors())
    value = case.expected(**given)
    compare(case, file, given, value, gradients(value, given))


def compare(
    case: Case, file: str, given: Mapping[str, Any], value: Tensor, slopes: list[Tensor]
) -> None:
    ours, near = case.load(file)(**given), {"rtol": case.tolerance, "atol": case.tolerance}
    assert ours.ndim == 0
    torch.testing.assert_close(ours, value, **near)
    assert any(slope.any() for slope in slopes)
    for one, other in zip(gradients(ours, given), slopes, strict=True):
        torch.testing.assert_close(one, other, **near)
