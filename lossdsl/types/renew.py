"""A type with unknowns of its own: each item of a list, each call of a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, cast

from lossdsl.types.dims import Dim, Symbol, Unknown
from lossdsl.types.shapes import Row, RowUnknown, Shape
from lossdsl.types.solve import Solver
from lossdsl.types.values import Listing, Module, Record, Tensor, Type

AnyType = TypeVar("AnyType", bound=Type)


def renewed(solver: Solver, type: AnyType) -> AnyType:
    """The type with every unknown replaced by a new one, the same for the same."""
    return cast(AnyType, _Renewal(solver).type(type))


@dataclass
class _Renewal:
    solver: Solver
    dims: dict[Unknown, Dim] = field(default_factory=dict)
    rows: dict[RowUnknown, RowUnknown] = field(default_factory=dict)

    def type(self, type: Type) -> Type:
        match type:
            case Tensor():
                return type.with_shape(self.shape(type.shape))
            case Listing(items, item):
                renewed = None if items is None else tuple(map(self.type, items))
                return Listing(renewed, None if item is None else self.type(item))
            case Record(fields):
                return Record(tuple((name, self.type(part)) for name, part in fields))
            case Module(arguments, result, frozen):
                return Module(tuple(map(self.type, arguments)), self.type(result), frozen)

    def shape(self, shape: Shape) -> Shape:
        rest: Row | None = shape.rest
        if isinstance(rest, RowUnknown):
            if rest not in self.rows:
                self.rows[rest] = self.solver.row(rest.hint)
            rest = self.rows[rest]
        return Shape(tuple(map(self.dim, shape.before)), rest, tuple(map(self.dim, shape.after)))

    def dim(self, dim: Dim) -> Dim:
        return dim.put(self._name)

    def _name(self, name: Symbol | Unknown) -> Dim:
        if isinstance(name, Symbol):
            return Dim.of(name)
        if name not in self.dims:
            self.dims[name] = self.solver.unknown(name.hint)
        return self.dims[name]
