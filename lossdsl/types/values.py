"""The types of values: tensors with a kind and a shape, and the containers that hold them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TypeAlias

from lossdsl.types.kinds import CLASS_KINDS
from lossdsl.types.shapes import SCALAR, Shape

DEFAULT_IGNORE = -100


@dataclass(frozen=True, slots=True)
class Tensor:
    """`kind[shape]`. `axis` is the class axis, from the front or (negative) from the back."""

    kind: str
    shape: Shape
    axis: int | None = None
    ignore: int = DEFAULT_IGNORE
    range: tuple[float, float] = (0.0, 1.0)
    format: str = "xyxy"

    def of_kind(self, kind: str) -> Tensor:
        """The same tensor read as another kind; the class axis goes where it has no meaning."""
        axis = self.axis if kind in CLASS_KINDS else None
        return dataclasses.replace(self, kind=kind, axis=axis)

    def with_shape(self, shape: Shape) -> Tensor:
        return dataclasses.replace(self, shape=shape)

    def __str__(self) -> str:
        return f"{self.kind}{self._arguments()}{self.shape}"

    def _arguments(self) -> str:
        if self.kind == "labels" and self.ignore != DEFAULT_IGNORE:
            return f"(ignore={self.ignore})"
        if self.kind == "image" and self.range != (0.0, 1.0):
            return f"({self.range[0]:g}, {self.range[1]:g})"
        if self.kind == "boxes" and self.format != "xyxy":
            return f"({self.format})"
        if self.kind in CLASS_KINDS and self.axis is not None:
            dim = self.shape.axis(self.axis)
            if dim is not None and str(dim) != "C" and (self.shape.rank or 0) > 2:
                return f"({dim})"
        return ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list or tuple. A declared list has equal items and perhaps an open length."""

    items: tuple[Type, ...] | None
    item: Type | None = None

    @property
    def length(self) -> int | None:
        return None if self.items is None else len(self.items)

    def __str__(self) -> str:
        if self.items is None:
            return f"list[{self.item}]"
        if not self.items:
            return "list[]"
        texts = list(map(str, self.items))
        if len(set(texts)) == 1:
            return f"list[{texts[0]}; {len(texts)}]"
        return f"list[{', '.join(texts)}]"


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping or an object with named parts."""

    fields: tuple[tuple[str, Type], ...]

    def field(self, name: str) -> Type | None:
        return next((type for key, type in self.fields if key == name), None)

    def __str__(self) -> str:
        return "{" + ", ".join(f"{name}: {type}" for name, type in self.fields) + "}"


@dataclass(frozen=True, slots=True)
class Module:
    """A bound network: what it takes and gives."""

    arguments: tuple[Type, ...]
    result: Type
    frozen: bool = False

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.arguments))
        return f"{'frozen ' if self.frozen else ''}module({inner}) -> {self.result}"


Type: TypeAlias = Tensor | Listing | Record | Module

NUMBER = Tensor("real", SCALAR)
"""A literal, a param, a schedule: one number."""
