"""What a loss asks of its caller: names for solved sizes, containers put together from parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lossdsl.checker.resolve import Resolver
from lossdsl.checker.typed import Entry
from lossdsl.types.dims import Dim, Floor, Symbol, Unknown
from lossdsl.types.shapes import Row, RowSymbol, RowUnknown, Shape
from lossdsl.types.solve import Solver
from lossdsl.types.values import Listing, Module, Record, Tensor, Type


@dataclass(frozen=True, slots=True)
class Contract:
    """The inputs of a loss, in the order in which it takes them. Prints as a table."""

    entries: tuple[Entry, ...]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, key: int | str) -> Entry:
        if isinstance(key, int):
            return self.entries[key]
        for entry in self.entries:
            if entry.name == key:
                return entry
        raise KeyError(key)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self.entries)

    def __str__(self) -> str:
        rows = [("input", "type", "dtype", "")]
        for entry in self.entries:
            notes = "declared" if entry.declared else "inferred"
            notes += ", optional" if entry.optional else ""
            rows.append((entry.name, str(entry.type), entry.dtype, notes))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )


class Naming:
    """Gives every size that stayed open a name of its own, so that equal names mean equal sizes."""

    def __init__(self, solver: Solver, taken: set[str]) -> None:
        self.solver = solver
        self.taken = set(taken)
        self.dims: dict[Unknown, Symbol] = {}
        self.rows: dict[RowUnknown, RowSymbol] = {}

    def type(self, type: Type) -> Type:
        match type:
            case Tensor():
                return type.with_shape(self.shape(type.shape))
            case Listing(items, item):
                named = None if items is None else tuple(map(self.type, items))
                return Listing(named, None if item is None else self.type(item))
            case Record(fields):
                return Record(tuple((name, self.type(part)) for name, part in fields))
            case Module(arguments, result, frozen):
                return Module(tuple(map(self.type, arguments)), self.type(result), frozen)

    def shape(self, shape: Shape) -> Shape:
        solved = self.solver.shape(shape)
        rest: Row | None = solved.rest
        if isinstance(rest, RowUnknown):
            if rest not in self.rows:
                self.rows[rest] = RowSymbol(self._free(rest.hint))
            rest = self.rows[rest]
        return Shape(tuple(map(self.dim, solved.before)), rest, tuple(map(self.dim, solved.after)))

    def dim(self, dim: Dim) -> Dim:
        total = Dim(())
        for monomial, factor in dim.terms:
            product = Dim.of(factor)
            for atom in monomial:
                product = product * self._atom(atom)
            total = total + product
        return total

    def _atom(self, atom: Symbol | Unknown | Floor) -> Dim:
        if isinstance(atom, Floor):
            return self.dim(atom.numerator) // atom.divisor
        if isinstance(atom, Unknown):
            if atom not in self.dims:
                self.dims[atom] = Symbol(self._free(atom.hint if atom.hint != "_" else "n"))
            return Dim.of(self.dims[atom])
        return Dim.of(atom)

    def _free(self, hint: str) -> str:
        name, number = hint, 2
        while name in self.taken:
            name, number = f"{hint}{number}", number + 1
        self.taken.add(name)
        return name


def container_types(
    resolver: Resolver, kinds: Mapping[str, str], places: Mapping[str, Type]
) -> dict[str, Type]:
    """The types of undeclared inputs; those used by their parts become records and lists."""
    result: dict[str, Type] = {}
    for name in resolver.inferred:
        if name in kinds or name in places:
            type = places.get(name)
            if type is not None:
                result[name] = type
        else:
            result[name] = _container(name, resolver, kinds, places)
    return result


def _container(
    place: str, resolver: Resolver, kinds: Mapping[str, str], places: Mapping[str, Type]
) -> Type:
    if place in kinds or place in places:
        return places[place]
    length = resolver.fixed_lists.get(place, resolver.lists.get(place))
    if length is not None:
        if f"{place}[]" in kinds:
            items = tuple(places[f"{place}.{index}"] for index in range(length))
        else:
            items = (_container(f"{place}[]", resolver, kinds, places),) * length
        item = items[0] if items else None
        return Listing(items, item) if place in resolver.fixed_lists else Listing(None, item)
    fields: dict[str, Type] = {}
    for key in (*kinds, *resolver.lists, *resolver.fixed_lists):
        if key.startswith(f"{place}.") and "[]" not in key[len(place) :]:
            head = key[len(place) + 1 :].split(".")[0]
            inner = f"{place}.{head}"
            fields.setdefault(
                head,
                places.get(f"{place}.{head}") or _container(inner, resolver, kinds, places),
            )
    return Record(tuple(fields.items()))
