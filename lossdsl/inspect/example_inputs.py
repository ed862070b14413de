"""Tensors that fit a contract: sizes for its symbols, values for its kinds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch.nn import functional

from lossdsl.checker.contract import Contract
from lossdsl.types.dims import Dim, Floor, Symbol
from lossdsl.types.kinds import KINDS
from lossdsl.types.shapes import Row, Shape
from lossdsl.types.values import Listing, Record, Tensor, Type

_SIDES = (8, 16, 64, 192, 256, 2048)
"""Sizes to try for axes without a rule of their own: windows and pyramids need room."""

_RANKS = (2, 1, 3, 4, 0)
"""How many axes a `*S` stands for, in the order of trying."""

_MOST_ROWS = 3
"""Up to so many `*S` all combinations of their axes are tried."""

_LETTERS = {"B": 2, "C": 3}

_LARGEST = 4_000_000
"""Elements of one tensor beyond which an example is not worth its memory."""


Named = Mapping[str, tuple[int, ...]]
"""Sizes by the symbol of a shape: one of an axis, several of a `*S`."""


def example_inputs(
    contract: Contract, lists: Mapping[str, int], device: torch.device, named: Named | None = None
) -> Iterator[dict[str, Any]]:
    """Inputs to try, the smallest first. They are the same at every call, and torch's own
    generator is left alone.

    Args:
        contract: what the loss takes.
        lists: the lengths of lists of open length, by path.
        device: where the tensors are put.
        named: the sizes that are given.
    """
    for sizes in _candidates(contract, named or {}):
        random = torch.Generator().manual_seed(0)
        example = _Example(sizes, lists, random, device)
        if all(example.fits(entry.type) for entry in contract):
            yield {entry.name: example.of(entry.type, entry.name) for entry in contract}


@dataclass(frozen=True, slots=True)
class _Sizes:
    """One choice: the side of ordinary axes and the number of axes of each `*S`. A `*S` in front
    has its side along all axes, or begins as other shapes do, with a batch and channels."""

    side: int
    ranks: Mapping[Row, int]
    named: Named
    like_others: bool = False

    def shape(self, shape: Shape) -> tuple[int, ...]:
        rest: tuple[int, ...] = ()
        if shape.rest is not None and called(shape.rest) in self.named:
            rest = self.named[called(shape.rest)]
        elif shape.rest is not None:
            rank = self.ranks[shape.rest]
            first = tuple(_LETTERS.values()) if self.like_others and not shape.before else ()
            rest = (*first, *(self.side,) * rank)[:rank]
        return (*map(self.size, shape.before), *rest, *map(self.size, shape.after))

    def size(self, dim: Dim) -> int:
        total = 0
        for monomial, factor in dim.terms:
            for atom in monomial:
                factor *= self._atom(atom)
            total += factor
        return total

    def _atom(self, atom: Any) -> int:
        if called(atom) in self.named:
            return self.named[called(atom)][0]
        match atom:
            case Symbol(name):
                # `B2` is the batch of another group of inputs.
                return _LETTERS.get(name.rstrip("0123456789"), self.side)
            case Floor(numerator, divisor):
                return self.size(numerator) // divisor
        return self.side


def called(symbol: Any) -> str:
    """What a contract calls a size that it leaves open."""
    name: str = getattr(symbol, "name", "") or getattr(symbol, "hint", "")
    return name


def open_sizes(contract: Contract) -> dict[str, bool]:
    """The names of all sizes that a contract leaves open; whether each stands for several axes."""
    found: dict[str, bool] = {}
    for entry in contract:
        for shape in _shapes(entry.type):
            dims = (*shape.before, *shape.after)
            atoms = [atom for dim in dims for terms, _ in dim.terms for atom in terms]
            found |= {called(atom): False for atom in atoms if called(atom)}
            if shape.rest is not None:
                found[called(shape.rest)] = True
    return found


def _candidates(contract: Contract, named: Named) -> Iterator[_Sizes]:
    """All `*S` alike first; then each with axes of its own."""
    shapes = [shape for entry in contract for shape in _shapes(entry.type)]
    rows = tuple(dict.fromkeys(shape.rest for shape in shapes if shape.rest is not None))
    for side in _SIDES:
        for rank in _RANKS if rows else _RANKS[:1]:
            yield _Sizes(side, dict.fromkeys(rows, rank), named)
    if 0 < len(rows) <= _MOST_ROWS:
        for side, *ranks in product(_SIDES[:3:2], *(_RANKS for _ in rows)):
            yield _Sizes(side, dict(zip(rows, ranks, strict=True)), named, like_others=True)


def _shapes(type: Type) -> Iterator[Shape]:
    match type:
        case Tensor(_, shape):
            yield shape
        case Listing(items, item):
            for part in items if items is not None else (item,):
                if part is not None:
                    yield from _shapes(part)
        case Record(fields):
            for _, part in fields:
                yield from _shapes(part)


@dataclass(frozen=True, slots=True)
class _Example:
    """Makes values of one choice of sizes."""

    sizes: _Sizes
    lists: Mapping[str, int]
    random: torch.Generator
    device: torch.device

    def fits(self, type: Type) -> bool:
        sizes = (self.sizes.shape(shape) for shape in _shapes(type))
        most = math.inf if self.sizes.named else _LARGEST
        return all(min(s, default=1) >= 1 and math.prod(s) <= most for s in sizes)

    def of(self, type: Type, path: str) -> Any:
        """A value of a type; `path` is how the checker calls the place of a list."""
        match type:
            case Tensor():
                make = _VALUES.get(type.kind, _normal)
                made = make(type, self.sizes.shape(type.shape), self.random)
                return made.to(self.device)
            case Listing(items, item):
                if items is None:
                    items = (item,) * self.lists.get(path, 1) if item is not None else ()
                return [self.of(part, f"{path}[{i}]") for i, part in enumerate(items)]
            case Record(fields):
                return {name: self.of(part, f"{path}.{name}") for name, part in fields}
        return None


# --- values by kind ---------------------------------------------------------------------------

_Make = Callable[[Tensor, tuple[int, ...], torch.Generator], torch.Tensor]


def _normal(type: Tensor, sizes: tuple[int, ...], random: torch.Generator) -> torch.Tensor:
    if KINDS[type.kind].integer:
        return _whole(type, sizes, random)
    return torch.randn(sizes, generator=random)


def _uniform(type: Tensor, sizes: tuple[int, ...], random: torch.Generator) -> torch.Tensor:
    low, high = type.range if type.kind == "image" else (0.0, 1.0)
    return low + (high - low) * torch.rand(sizes, generator=random)


def _whole(type: Tensor, sizes: tuple[int, ...], random: torch.Generator) -> torch.Tensor:
    # Two classes are there whatever the class count, and lengths of 1 and 2 are legal too.
    first = 1 if type.kind == "count" else 0
    return first + torch.randint(0, 2, sizes, generator=random)


def _mask(type: Tensor, sizes: tuple[int, ...], random: torch.Generator) -> torch.Tensor:
    return torch.randint(0, 2, sizes, generator=random).to(torch.get_default_dtype())


def _sign(type: Tensor, sizes: tuple[int, ...], random: torch.Generator) -> torch.Tensor:
    return 2 * _mask(type, sizes, random) - 1


def _positive(type: Tensor, sizes: tuple[int, ...], random: torch.Generator) -> torch.Tensor:
    return 0.5 + torch.rand(sizes, generator=random)


def _log_prob(type: Tensor, sizes: tuple[int, ...], random: torch.Generator) -> torch.Tensor:
    return functional.logsigmoid(torch.randn(sizes, generator=random))


def _class_log_prob(type: Tensor, sizes: tuple[int, ...], random: torch.Generator) -> torch.Tensor:
    return torch.log_softmax(torch.randn(sizes, generator=random), _class_axis(type, sizes))


def _class_prob(type: Tensor, sizes: tuple[int, ...], random: torch.Generator) -> torch.Tensor:
    return _class_log_prob(type, sizes, random).exp()


def _one_hot(type: Tensor, sizes: tuple[int, ...], random: torch.Generator) -> torch.Tensor:
    axis = _class_axis(type, sizes)
    best = torch.randn(sizes, generator=random).argmax(axis, keepdim=True)
    return torch.zeros(sizes).scatter(axis, best, 1.0)


def _class_axis(type: Tensor, sizes: tuple[int, ...]) -> int:
    axis = 1 if type.axis is None else type.axis
    return min(axis, len(sizes) - 1)


def _unit(type: Tensor, sizes: tuple[int, ...], random: torch.Generator) -> torch.Tensor:
    return functional.normalize(torch.randn(sizes, generator=random), dim=-1)


def _boxes(type: Tensor, sizes: tuple[int, ...], random: torch.Generator) -> torch.Tensor:
    """Boxes with an area, in their format."""
    corner = torch.rand((*sizes[:-1], 2), generator=random)
    extent = 0.1 + torch.rand((*sizes[:-1], 2), generator=random)
    if type.format == "xyxy":
        return torch.cat((corner, corner + extent), -1)
    if type.format == "xywhr":
        angle = torch.rand((*sizes[:-1], 1), generator=random)
        return torch.cat((corner, extent, angle), -1)
    return torch.cat((corner, extent), -1)


_VALUES: dict[str, _Make] = {
    "prob": _uniform,
    "image": _uniform,
    "class_prob": _class_prob,
    "log_prob": _log_prob,
    "class_log_prob": _class_log_prob,
    "positive": _positive,
    "labels": _whole,
    "count": _whole,
    "mask": _mask,
    "sign": _sign,
    "one_hot": _one_hot,
    "unit": _unit,
    "boxes": _boxes,
}
"""How each kind is filled; the others take normal values."""
