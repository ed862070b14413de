"""The check at the call: tensors against the contract, before torch can misread them.

It runs once for each new combination of shapes and dtypes. Declared inputs are matched against
their types, which gives every dimension symbol its size; then the checker's own rules run again
on those numbers, so that whatever only the call can decide is decided by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from lossdsl.backend.arguments import part as part_of
from lossdsl.checker.program import Checked, ClassCount
from lossdsl.checker.typed import Entry
from lossdsl.diagnostics.diagnostic import Diagnostic, Diagnostics
from lossdsl.diagnostics.errors import LossInputError
from lossdsl.source import Span
from lossdsl.types.dims import Dim, Symbol
from lossdsl.types.kinds import KINDS, SCORES
from lossdsl.types.shapes import RowSymbol, Shape
from lossdsl.types.solve import Solver
from lossdsl.types.values import Listing, Record, Tensor, Type


@dataclass
class CallCheck:
    """One check of one set of inputs."""

    checked: Checked
    entries: Sequence[Entry]
    values: Mapping[str, Any]
    readers: Mapping[str, tuple[str, ...]]
    networks: Callable[[], Mapping[Span, Any]]
    sizes: dict[Symbol, int] = field(default_factory=dict)
    rows: dict[str, tuple[int, ...]] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    open: list[tuple[Entry, Dim, int]] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    device: tuple[str, torch.device] | None = None

    def run(self) -> Mapping[str, ClassCount]:
        """Raise with everything that is wrong with the tensors' forms; gives what labels may be.

        Raises:
            LossInputError: an input breaks the contract.
        """
        given = {e.name: self._match(e, e.type, self.values[e.name], e.name) for e in self.entries}
        self._settle()
        if not self.problems:
            found = Diagnostics()
            types = {name: type for name, type in given.items() if type is not None}
            returned = {place: _type_of(value) for place, value in self.networks().items()}
            classes = self.checked.retype(types, self.sizes, returned, found)
            self.problems = [self._at_call(d) for d in found.errors]
        if self.problems:
            raise LossInputError(self.problems)
        return classes

    # --- matching one input ---

    def _match(self, entry: Entry, type: Type, value: Any, name: str) -> Type | None:
        """The type with the sizes that came, or None where something is wrong."""
        match type:
            case Tensor():
                return self._match_tensor(entry, type, value, name)
            case Listing(items, item):
                if not isinstance(value, list | tuple):
                    self._wrong("E606", entry, f"`{name}` is a list, and {_kind(value)} came")
                    return None
                if items is not None and len(items) != len(value):
                    self._wrong(
                        "E603", entry, f"`{name}` has {len(items)} items, and {len(value)} came"
                    )
                    return None
                types = items if items is not None else (item,) * len(value)
                parts = [
                    self._match(entry, t, v, f"{name}[{i}]") if t is not None else None
                    for i, (t, v) in enumerate(zip(types, value, strict=True))
                ]
                return Listing(tuple(part for part in parts if part is not None), item)
            case Record(fields):
                found = []
                for key, part in fields:
                    inner = part_of(value, key)
                    if inner is None:
                        self._wrong("E601", entry, f"`{name}` has no `{key}`")
                        continue
                    matched = self._match(entry, part, inner, f"{name}.{key}")
                    if matched is not None:
                        found.append((key, matched))
                return Record(tuple(found))
        return None

    def _match_tensor(self, entry: Entry, type: Tensor, value: Any, name: str) -> Type | None:
        if not isinstance(value, torch.Tensor):
            self._wrong(
                "E606",
                entry,
                f"`{name}` is a tensor, and {_kind(value)} came",
                help="convert it: `torch.as_tensor(x)`"
                if not isinstance(value, list | tuple)
                else f"stack it, or declare it: `input {name}: list[{type}]`",
            )
            return None
        if value.layout is not torch.strided or value.is_nested:
            layout = "nested" if value.is_nested else str(value.layout).removeprefix("torch.")
            help = "convert it: `x.to_dense()`" if not value.is_nested else "pad it, with a mask"
            self._wrong("E606", entry, f"`{name}` is a dense tensor, and a {layout} one came", help)
            return None
        if value.dim() > 0 and not self._on_one_device(entry, value, name):
            return None
        problem = _dtype_problem(type.kind, value.dtype)
        if problem is not None:
            why, advice = problem
            soft = type.kind == "labels" and value.is_floating_point() and not entry.declared
            if soft and any(
                isinstance(other, torch.Tensor)
                and other is not value
                and other.shape == value.shape
                for other in self.values.values()
            ):
                advice = (
                    f"if these are soft targets, declare them: `input {name}: class_prob[B, C]`"
                )
            self._wrong("E604", entry, f"`{name}` is {type}, and {value.dtype} came: {why}", advice)
            return None
        sizes = tuple(value.shape)
        if not entry.declared:
            return type.with_shape(Shape.numbers(sizes))
        shape = self._match_shape(entry, type.shape, sizes, name)
        if shape is None:
            self._wrong(
                "E603",
                entry,
                f"`{name}` is declared {type}, and {list(sizes)} came",
                _one_too_many(type.shape, sizes, name),
                self._bindings(),
            )
            return None
        return type.with_shape(shape)

    def _on_one_device(self, entry: Entry, value: torch.Tensor, name: str) -> bool:
        """Whether it is where the others are. What has no axes may be anywhere."""
        if self.device is None:
            self.device = name, value.device
        first, device = self.device
        if value.device != device:
            self._wrong(
                "E607",
                entry,
                f"`{first}` is on {device}, and `{name}` is on {value.device}",
                "move it there: `x.to(device)`",
            )
        return value.device == device

    def _match_shape(
        self, entry: Entry, shape: Shape, sizes: tuple[int, ...], name: str
    ) -> Shape | None:
        """Bind the symbols of a declared shape; None where the sizes contradict it."""
        before, after = len(shape.before), len(shape.after)
        if len(sizes) < before + after or (shape.rest is None and len(sizes) != before):
            return None
        head, tail = sizes[:before], sizes[len(sizes) - after :] if after else ()
        middle = sizes[before : len(sizes) - after]
        known = [
            (dim, size)
            for dim, size in (
                *zip(shape.before, head, strict=True),
                *zip(shape.after, tail, strict=True),
            )
        ]
        # Plain symbols first, so that `2*H` can be compared.
        for dim, size in sorted(known, key=lambda pair: not isinstance(pair[0].atom, Symbol)):
            if not self._bind(entry, dim, size, name):
                return None
        if isinstance(shape.rest, RowSymbol):
            if self.rows.setdefault(shape.rest.name, middle) != middle:
                return None
            self.origins.setdefault(f"*{shape.rest.name}", name)
        dims = [
            dim if isinstance(dim.atom, Symbol) else Dim.of(size)
            for dim, size in zip(shape.before, head, strict=True)
        ]
        dims += [Dim.of(size) for size in middle]
        dims += [
            dim if isinstance(dim.atom, Symbol) else Dim.of(size)
            for dim, size in zip(shape.after, tail, strict=True)
        ]
        return Shape(tuple(dims))

    def _bind(self, entry: Entry, dim: Dim, size: int, name: str) -> bool:
        atom = dim.atom
        if isinstance(atom, Symbol):
            self.origins.setdefault(atom.name, name)
            return self.sizes.setdefault(atom, size) == size
        number = self._number(dim)
        if number is None:
            self.open.append((entry, dim, size))
        return number is None or number == size

    def _settle(self) -> None:
        """Sizes such as `2*H` once all symbols are bound; alone, they bind theirs."""
        waiting, before = self.open, len(self.open) + 1
        while len(waiting) < before:
            before = len(waiting)
            waiting = [one for one in waiting if not self._settled(*one)]

    def _settled(self, entry: Entry, dim: Dim, size: int) -> bool:
        """Whether a size is known by now; it is held against the one that came."""
        number = self._number(dim)
        if number is None:
            number = self._solve(entry, dim, size)
        if number is not None and number != size:
            self._wrong(
                "E603",
                entry,
                f"`{entry.name}` is declared {entry.type}, and an axis of {size} came for `{dim}`",
                notes=self._bindings(),
            )
        return number is not None

    def _solve(self, entry: Entry, dim: Dim, size: int) -> int | None:
        """Bind the one symbol of a linear size; gives the nearest size that there is."""
        symbols = {atom for atom in dim.atoms() if atom not in self.sizes}
        linear = [(m, f) for m, f in dim.terms if m and m[0] in symbols]
        if len(symbols) != 1 or len(linear) != 1 or len(linear[0][0]) != 1:
            return None
        (symbol,) = symbols
        if not isinstance(symbol, Symbol):
            return None
        factor = linear[0][1]
        self.sizes[symbol] = 0
        rest = self._number(dim) or 0
        self.sizes[symbol] = (size - rest) // factor
        self.origins.setdefault(symbol.name, entry.name)
        return self._number(dim)

    def _number(self, dim: Dim) -> int | None:
        return Solver(values=self.sizes).valued(dim).number

    # --- telling ---

    def _wrong(
        self,
        code: str,
        entry: Entry,
        message: str,
        help: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        notes += needed_by(self.readers, entry.name)
        self.problems.append(Diagnostic(code, message, entry.span, (), help, notes))

    def _bindings(self) -> tuple[str, ...]:
        """The note that says which sizes are known, and from which inputs."""
        parts = [
            f"{s.name} = {size} (from `{self.origins[s.name]}`)" for s, size in self.sizes.items()
        ]
        parts += [
            f"*{name} = {list(sizes)} (from `{self.origins[f'*{name}']}`)"
            for name, sizes in self.rows.items()
        ]
        return (f"sizes so far: {'; '.join(parts)}",) if parts else ()

    def _at_call(self, problem: Diagnostic) -> Diagnostic:
        """A problem of the rules as one of the tensors that came."""
        came = ", ".join(f"`{name}` {_shown(value)}" for name, value in self.values.items())
        term = self._term_at(problem)
        notes = (f"came: {came}", *self._bindings())
        notes += () if term is None else (f"in the term `{term}`",)
        help = self._labels_hint() or problem.help
        return Diagnostic("E603", problem.message, problem.span, problem.labels, help, notes)

    def _term_at(self, problem: Diagnostic) -> str | None:
        """The term whose text holds the place at fault."""
        here = problem.span
        for term in self.checked.program.terms:
            for span in (term.span, term.raw.span):
                inside = span.start <= here.start and here.end <= span.end
                if span.source is here.source and inside:
                    return term.name
        return None

    def _labels_hint(self) -> str | None:
        """Class indices came for an input whose kind was inferred as a map of probabilities."""
        ranks = {n: v.dim() for n, v in self.values.items() if isinstance(v, torch.Tensor)}
        for entry in self.entries:
            value = self.values[entry.name]
            if entry.declared or not isinstance(value, torch.Tensor) or entry.kind != "prob":
                continue
            integer = not value.is_floating_point() and value.dtype != torch.bool
            if integer and any(rank == ranks[entry.name] + 1 for rank in ranks.values()):
                axes = "B, H, W" if ranks[entry.name] == 3 else "B, *S"
                return (
                    f"if `{entry.name}` holds class indices, declare it: "
                    f"`input {entry.name}: labels[{axes}]`"
                )
        return None


def needed_by(readers: Mapping[str, tuple[str, ...]], name: str) -> tuple[str, ...]:
    """The note that says which terms read an input."""
    terms = readers.get(name, ())
    if not terms:
        return ()
    shown = ", ".join(f"`{term}`" for term in terms[:5]) + (" …" if len(terms) > 5 else "")
    return (f"needed by the term{'s' if len(terms) > 1 else ''} {shown}",)


def _one_too_many(shape: Shape, sizes: tuple[int, ...], name: str) -> str | None:
    """The index that takes an axis of size 1 away, where the other axes are as declared."""
    rank = shape.rank
    if rank is None or len(sizes) != rank + 1 or 1 not in sizes[1:]:
        return None
    axis = sizes.index(1, 1)
    return f"give it without its axis of size 1: `{name}[{':, ' * axis}0]`"


def _dtype_problem(kind: str, dtype: torch.dtype) -> tuple[str, str] | None:
    whole = not dtype.is_floating_point and not dtype.is_complex and dtype != torch.bool
    if dtype.is_complex:
        return "the language has no complex tensors", "take `.abs()`, `.real` or `.imag` first"
    if KINDS[kind].integer and not whole:
        return "indices are whole numbers", "convert them: `y.long()`"
    if kind in SCORES and not dtype.is_floating_point:
        return "scores are floating-point numbers", "convert them: `x.float()`"
    return None


def _type_of(value: Any) -> Type:
    """The type of what a network returned: shapes as they are, kinds unknown."""
    if isinstance(value, torch.Tensor):
        return Tensor("real", Shape.numbers(tuple(value.shape)))
    if isinstance(value, list | tuple):
        return Listing(tuple(_type_of(part) for part in value), None)
    if isinstance(value, Mapping):
        return Record(tuple((str(name), _type_of(part)) for name, part in value.items()))
    return Record(())


def _kind(value: Any) -> str:
    """What came, with its article."""
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _shown(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_shown(v)}" for k, v in value.items()) + "}"
    return "None" if value is None else type(value).__name__
