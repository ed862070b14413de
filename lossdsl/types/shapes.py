"""Shapes: dimensions before and after at most one `*S` that stands for any number of axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from lossdsl.types.dims import Dim


@dataclass(frozen=True, slots=True)
class RowSymbol:
    """A declared `*S`: the same axes wherever the name stands."""

    name: str


@dataclass(frozen=True, slots=True)
class RowUnknown:
    """A `*S` to be solved for."""

    number: int
    hint: str


Row: TypeAlias = RowSymbol | RowUnknown


@dataclass(frozen=True, slots=True)
class Shape:
    """`[*before, *rest, *after]`; without `rest` the number of axes is known."""

    before: tuple[Dim, ...] = ()
    rest: Row | None = None
    after: tuple[Dim, ...] = ()

    @staticmethod
    def of(*dims: Dim) -> Shape:
        return Shape(tuple(dims))

    @staticmethod
    def numbers(sizes: tuple[int, ...]) -> Shape:
        return Shape(tuple(Dim.of(size) for size in sizes))

    @property
    def rank(self) -> int | None:
        return None if self.rest is not None else len(self.before)

    @property
    def dims(self) -> tuple[Dim, ...]:
        """The dimensions, where their number is known."""
        assert self.rest is None
        return self.before

    @property
    def least_rank(self) -> int:
        return len(self.before) + len(self.after)

    def axis(self, index: int) -> Dim | None:
        """The size at an axis, counted from the front or (negative) from the back, if known."""
        if self.rest is None:
            return self.before[index] if -len(self.before) <= index < len(self.before) else None
        if index >= 0:
            return self.before[index] if index < len(self.before) else None
        return self.after[index] if -index <= len(self.after) else None

    def without(self, index: int) -> Shape:
        """This shape with one axis fewer."""
        if index >= 0 and index < len(self.before):
            return Shape(self.before[:index] + self.before[index + 1 :], self.rest, self.after)
        if self.rest is None:
            return self.without(index + len(self.before))
        at = len(self.after) + index
        return Shape(self.before, self.rest, self.after[:at] + self.after[at + 1 :])

    def replaced(self, index: int, dim: Dim) -> Shape:
        """This shape with another size at one axis."""
        if index >= 0 and index < len(self.before):
            return Shape(
                (*self.before[:index], dim, *self.before[index + 1 :]), self.rest, self.after
            )
        if self.rest is None:
            return self.replaced(index + len(self.before), dim)
        at = len(self.after) + index
        return Shape(self.before, self.rest, (*self.after[:at], dim, *self.after[at + 1 :]))

    def __str__(self) -> str:
        parts = [str(dim) for dim in self.before]
        match self.rest:
            case RowSymbol(name):
                parts.append(f"*{name}")
            case RowUnknown(_, hint):
                parts.append(f"*{hint}")
        parts += [str(dim) for dim in self.after]
        return f"[{', '.join(parts)}]"


SCALAR = Shape()
