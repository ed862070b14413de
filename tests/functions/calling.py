"""Calls of functions of the language, without a checker: types as text, tensors to match."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.functions.record import CallSite, FunctionRecord, find
from lossdsl.source import Fragment, Source
from lossdsl.syntax.parser import parse_type
from lossdsl.types.declared import TypeReader
from lossdsl.types.dims import Dim, Symbol
from lossdsl.types.shapes import Shape
from lossdsl.types.solve import Solver
from lossdsl.types.values import NUMBER, Tensor, Type

Operand = str | Tensor | float


@dataclass(frozen=True)
class Outcome:
    """What a rule gave: the type, and the literals that the torch function gets."""

    type: Type
    literals: dict[str, Any]
    solver: Solver

    @property
    def tensor(self) -> Tensor:
        assert isinstance(self.type, Tensor)
        return self.type.with_shape(self.solver.shape(self.type.shape))


def symbol(name: str) -> Dim:
    return Dim.of(Symbol(name))


def read(text: str, solver: Solver | None = None) -> Tensor:
    """The type that a declaration with this text has."""
    found = Diagnostics()
    node = parse_type(Fragment.whole(Source(text)), found)
    assert node is not None, text
    type = TypeReader(solver or Solver(), found).read(node)
    assert isinstance(type, Tensor)
    assert not list(found.errors), text
    return type


def record(name: str) -> FunctionRecord:
    found = find(name)
    assert found is not None, name
    return found


def call(name: str, *operands: Operand, solver: Solver | None = None, **literals: Any) -> Outcome:
    """Run the rule of a function on types, and numbers where a number is written."""
    solver = solver or Solver()
    types: list[Type] = []
    for operand in operands:
        if isinstance(operand, str):
            types.append(read(operand, solver))
        else:
            types.append(operand if isinstance(operand, Tensor) else NUMBER)
    numbers = [x if isinstance(x, int | float) else None for x in operands]
    texts = [
        f"{x:g}" if n is not None else "xyz"[i]
        for i, (x, n) in enumerate(zip(operands, numbers, strict=True))
    ]
    site = CallSite(name, types, numbers, dict(literals), solver, texts)
    return Outcome(record(name).rule(site), site.literals, solver)


def shown(name: str, *operands: Operand, **literals: Any) -> str:
    """The result's type as text."""
    return str(call(name, *operands, **literals).tensor)


def sizes_of(shape: Shape, values: Mapping[str, int]) -> tuple[int, ...]:
    """A shape of symbols at numbers."""
    solver = Solver(values={Symbol(name): size for name, size in values.items()})
    sizes = [solver.valued(dim).number for dim in shape.dims]
    assert None not in sizes, shape
    return tuple(size for size in sizes if size is not None)


def sample(type: Tensor, sizes: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """A random float64 tensor whose values are of the type's kind."""
    normal = torch.randn(sizes, generator=generator, dtype=torch.float64)
    uniform = 0.05 + 0.9 * torch.rand(sizes, generator=generator, dtype=torch.float64)
    axis = type.axis if type.axis is not None else 1
    match type.kind:
        case "labels" | "count":
            return torch.randint(0, 4, sizes, generator=generator)
        case "mask":
            return (uniform > 0.5).double()
        case "sign":
            return torch.where(uniform > 0.5, 1.0, -1.0).double()
        case "prob" | "image":
            return uniform
        case "log_prob":
            return uniform.log()
        case "class_prob":
            return normal.softmax(axis)
        case "class_log_prob":
            return normal.log_softmax(axis)
        case "one_hot":
            largest = normal == normal.amax(dim=axis, keepdim=True)
            return largest.double()
        case "positive":
            return uniform + 0.5
        case "unit":
            return normal / normal.norm(dim=-1, keepdim=True)
    return normal


def holds(type: Tensor, value: torch.Tensor) -> bool:
    """Whether the values are what the kind promises."""
    axis = type.axis if type.axis is not None else 1
    near = {"rtol": 0.0, "atol": 1e-12}

    def ones(x: torch.Tensor) -> bool:
        return torch.allclose(x, torch.ones_like(x), **near)

    def within(x: torch.Tensor) -> bool:
        return bool(((x >= -1e-12) & (x <= 1 + 1e-12)).all())

    match type.kind:
        case "labels" | "count":
            return value.dtype == torch.int64
        case "mask":
            return bool(((value == 0) | (value == 1)).all())
        case "sign":
            return bool((value.abs() == 1).all())
        case "prob":
            return within(value)
        case "image":
            return bool(((value >= type.range[0]) & (value <= type.range[1])).all())
        case "log_prob":
            return bool((value <= 0).all())
        case "class_prob":
            return within(value) and ones(value.sum(dim=axis))
        case "class_log_prob":
            return ones(value.exp().sum(dim=axis))
        case "one_hot":
            return bool(((value == 0) | (value == 1)).all()) and ones(value.sum(dim=axis))
        case "positive":
            return bool((value > 0).all())
        case "unit":
            return ones(value.norm(dim=-1))
        case "complex":
            return value.is_complex()
    return value.is_floating_point()
