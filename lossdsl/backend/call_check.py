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

from lossdsl.checker.program import Checked
from lossdsl.checker.typed import Entry
from lossdsl.diagnostics.diagnostic import Diagnostic, Diagnostics, Label
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

    def run(self) -> None:
        """Raise with everything that is wrong with these tensors.

        Raises:
            LossInputError: an input breaks the contract.
        """
        given = {e.name: self._match(e, e.type, self.values[e.name], e.name) for e in self.entries}
        self._settle()
        if not self.problems:
            found = Diagnostics()
            types = {name: type for name, type in given.items() if type is not None}
            returned = {place: _type_of(value) for place, value in self.networks().items()}
            self.checked.retype(types, self.sizes, returned, found)
            self.problems = [self._at_call(d) for d in found.errors]
        if not self.problems:
            self._check_values()
        if self.problems:
            raise LossInputError(self.problems)

    # --- matching one input ---

    def _match(self, entry: Entry, type: Type, value: Any, name: str) -> Type | None:
        """The type with the sizes that came, or None where something is wrong."""
        match type:
            case Tensor():
                return self._match_tensor(entry, type, value, name)
            case Listing(items, item):
                if not isinstance(value, list | tuple):
                    self._wrong("E606", entry, f"`{name}` is a list, and a {_kind(value)} came")
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
                    inner = _part(value, key)
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
                f"`{name}` is a tensor, and a {_kind(value)} came",
                help="convert it: `torch.as_tensor(x)`"
                if not isinstance(value, list | tuple)
                else f"stack it, or declare it: `input {name}: list[{type}]`",
            )
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
                self._bindings_text(),
            )
            return None
        return type.with_shape(shape)

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
        for entry, dim, size in self.open:
            number = self._number(dim)
            if number is None:
                number = self._solve(entry, dim, size)
            if number is not None and number != size:
                self._wrong(
                    "E603",
                    entry,
                    f"`{entry.name}` is declared {entry.type}, and an axis of {size} came for "
                    f"`{dim}`",
                    self._bindings_text(),
                )

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

    def _wrong(self, code: str, entry: Entry, message: str, help: str | None = None) -> None:
        lines = [line for line in (help, self._needed_by(entry.name)) if line]
        self.problems.append(Diagnostic(code, message, entry.span, (), "\n".join(lines) or None))

    def _needed_by(self, name: str) -> str | None:
        terms = self.readers.get(name, ())
        if not terms:
            return None
        shown = ", ".join(f"`{term}`" for term in terms[:5]) + (" …" if len(terms) > 5 else "")
        return f"needed by the term{'s' if len(terms) > 1 else ''} {shown}"

    def _bindings_text(self) -> str | None:
        parts = [
            f"{s.name} = {size} (from `{self.origins[s.name]}`)" for s, size in self.sizes.items()
        ]
        parts += [
            f"*{name} = {list(sizes)} (from `{self.origins[f'*{name}']}`)"
            for name, sizes in self.rows.items()
        ]
        return f"sizes so far: {'; '.join(parts)}" if parts else None

    def _at_call(self, problem: Diagnostic) -> Diagnostic:
        """A problem of the rules as one of the tensors that came."""
        came = ", ".join(f"`{name}` {_shown(value)}" for name, value in self.values.items())
        bindings = self._bindings_text()
        lines = [line for line in (self._labels_hint() or problem.help, f"came: {came}") if line]
        if bindings:
            lines.append(bindings)
        term = self._term_at(problem)
        if term is not None:
            lines.append(f"in the term `{term}`")
        labels = tuple(Label(label.span, label.text) for label in problem.labels)
        return Diagnostic("E603", problem.message, problem.span, labels, "\n".join(lines))

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

    # --- values ---

    def _check_values(self) -> None:
        """Ranges of what came, on the CPU only: elsewhere reading a value would wait."""
        classes = self.checked.class_counts
        for entry in self.entries:
            value = self.values[entry.name]
            if not isinstance(entry.type, Tensor) or not isinstance(value, torch.Tensor):
                continue
            if value.device.type != "cpu" or value.numel() == 0 or value.is_meta:
                continue
            problem = _value_problem(entry.type, value.detach(), classes.get(entry.name))
            if problem is not None:
                self._wrong("E605", entry, f"`{entry.name}` is {entry.type}, and {problem}")


def _value_problem(type: Tensor, value: torch.Tensor, labels: tuple[int, int] | None) -> str | None:
    """What is wrong with the values, if anything. `labels` is the class count and the ignored
    index."""
    slack = 1e-3
    if type.kind == "labels" and labels is not None:
        count, ignore = labels
        kept = value[value != ignore]
        if kept.numel() and (int(kept.min()) < 0 or int(kept.max()) >= count):
            worst = int(kept.min()) if int(kept.min()) < 0 else int(kept.max())
            return f"the label {worst} came: there are {count} classes (0 to {count - 1})"
        return None
    if type.kind in ("prob", "class_prob"):
        low, high = float(value.min()), float(value.max())
        if low < -slack or high > 1 + slack:
            return f"the value {low if low < -slack else high:g} came: it lies in [0, 1]"
    if type.kind in ("mask", "one_hot") and bool(((value != 0) & (value != 1)).any()):
        return "a value other than 0 and 1 came"
    if type.kind == "sign" and bool((value.abs() != 1).any()):
        return "a value other than -1 and 1 came"
    if type.kind == "positive" and float(value.min()) <= 0:
        return f"the value {float(value.min()):g} came: it lies above 0"
    return None


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


def _part(value: Any, key: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(key)
    return getattr(value, key, None)


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def _shown(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_shown(v)}" for k, v in value.items()) + "}"
    return _kind(value)
