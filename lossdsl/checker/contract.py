"""What a loss asks of its caller: names for solved sizes, containers put together from parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lossdsl.checker.resolve import Resolver
from lossdsl.checker.typed import Entry
from lossdsl.types.dims import Dim, Symbol, Unknown
from lossdsl.types.renew import renewed
from lossdsl.types.shapes import Row, RowSymbol, RowUnknown, Shape
from lossdsl.types.solve import Solver
from lossdsl.types.values import Listing, Module, Record, Tensor, Type

_SHOWN = 40


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
            notes = "declared" if entry.declared else _inferred(entry)
            notes += ", optional" if entry.optional else ""
            rows.append((entry.name, str(entry.type), entry.dtype, notes))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )


def _inferred(entry: Entry) -> str:
    """Which use asked for the kind; a long one is cut."""
    if entry.because is None:
        return "inferred"
    text = " ".join(entry.because.text.split())
    return f"inferred from {text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}"


class Naming:
    """Gives every size that stayed open a name of its own, so that equal names mean equal sizes.
    Those in `anonymous` keep their `_`, which is any size."""

    def __init__(
        self,
        solver: Solver,
        taken: set[str],
        anonymous: frozenset[Unknown | RowUnknown] = frozenset(),
    ) -> None:
        self.solver = solver
        self.anonymous = anonymous
        self.taken = set(taken)
        self.counts: dict[str, int] = {}
        self.dims: dict[Unknown, Symbol] = {}
        self.rows: dict[RowUnknown, RowSymbol] = {}

    def type(self, type: Type) -> Type:
        match type:
            case Tensor():
                return type.with_shape(self.shape(type.shape))
            case Listing(items, item):
                if items is not None:
                    return Listing(tuple(map(self.type, items)), item)
                return Listing(None, None if item is None else self.type(item))
            case Record(fields):
                return Record(tuple((name, self.type(part)) for name, part in fields))
            case Module(arguments, result, frozen):
                return Module(tuple(map(self.type, arguments)), self.type(result), frozen)

    def shape(self, shape: Shape) -> Shape:
        solved = self.solver.shape(shape)
        rest: Row | None = solved.rest
        if isinstance(rest, RowUnknown) and rest in self.anonymous:
            rest = RowUnknown(rest.number, "_")
        elif isinstance(rest, RowUnknown):
            if rest not in self.rows:
                self.rows[rest] = RowSymbol(self._free(rest.hint if rest.hint != "_" else "S"))
            rest = self.rows[rest]
        return Shape(tuple(map(self.dim, solved.before)), rest, tuple(map(self.dim, solved.after)))

    def dim(self, dim: Dim) -> Dim:
        return dim.put(self._name)

    def _name(self, name: Symbol | Unknown) -> Dim:
        if isinstance(name, Symbol):
            return Dim.of(name)
        if name in self.anonymous:
            return Dim.of(Unknown(name.number, "_"))
        if name not in self.dims:
            self.dims[name] = Symbol(self._free(name.hint if name.hint != "_" else "n"))
        return Dim.of(self.dims[name])

    def _free(self, hint: str) -> str:
        name, number = hint, self.counts.get(hint, 2)
        while name in self.taken:
            name, number = f"{hint}{number}", number + 1
        self.taken.add(name)
        self.counts[hint] = number
        return name


def with_lengths(solver: Solver, type: Type, place: str, lengths: Mapping[str, int]) -> Type:
    """A declared type whose lists have the length that the text needs: `zip(aux, [0.4, 0.2])`."""
    match type:
        case Record(fields):
            parts = ((k, with_lengths(solver, t, f"{place}.{k}", lengths)) for k, t in fields)
            return Record(tuple(parts))
        case Listing(None, item) if item is not None and place in lengths:
            items = tuple(renewed(solver, item) for _ in range(lengths[place]))
            return Listing(items, item)
    return type


def written_once(solver: Solver, types: Iterable[Type]) -> frozenset[Unknown | RowUnknown]:
    """What stayed open and is no other size than its own: every such `_` and `...`, and in a
    list of open length all such sizes, which may be others in each item."""
    counts: Counter[Unknown | RowUnknown] = Counter()
    blank: set[Unknown | RowUnknown] = set()
    stack = [(type, False) for type in types]
    while stack:
        type, in_open_list = stack.pop()
        match type:
            case Tensor(_, shape):
                names = _names(solver.shape(shape))
                counts.update(names)
                blank.update(name for name in names if in_open_list or name.hint == "_")
            case Listing(None, item):
                stack += [(item, True)] if item is not None else []
            case Listing(tuple() as items):
                stack += [(item, in_open_list) for item in items]
            case Record(fields):
                stack += [(part, in_open_list) for _, part in fields]
    return frozenset(name for name in blank if counts[name] == 1)


def _names(shape: Shape) -> list[Unknown | RowUnknown]:
    dims = (*shape.before, *shape.after)
    names = [name for dim in dims for name in dim.names() if isinstance(name, Unknown)]
    return [*names, shape.rest] if isinstance(shape.rest, RowUnknown) else [*names]


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
    # By name: the order of the terms plays no part.
    for key in sorted({*kinds, *resolver.lists, *resolver.fixed_lists}):
        if key.startswith(f"{place}.") and "[]" not in key[len(place) :]:
            head = key[len(place) + 1 :].split(".")[0]
            inner = f"{place}.{head}"
            fields.setdefault(
                head,
                places.get(f"{place}.{head}") or _container(inner, resolver, kinds, places),
            )
    return Record(tuple(fields.items()))
