"""Arguments of a call: by position, by keyword, or one mapping; and what distinguishes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from lossdsl.checker.contract import Contract
from lossdsl.checker.suggest import closest
from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.diagnostics.errors import LossInputError
from lossdsl.source import Span
from lossdsl.types.values import Listing, Record, Type


class Absent:
    """Stands for an optional input that the batch does not have."""


ABSENT = Absent()

_STEP = re.compile(r"\.(\w+)|\[(-?\d+)\]")


class Arguments:
    """How a loss takes its inputs.

    `spare` are declared inputs that it does not read: naming them is no mistake. `whole` is the
    loss's text.
    """

    def __init__(self, contract: Contract, spare: frozenset[str], whole: Span) -> None:
        self.contract = contract
        self.spare = spare
        self.whole = whole
        self.names = contract.names
        self.types = tuple(entry.type for entry in contract)
        # What is optional may come as None: those losses take the longer way.
        self.all_needed = not any(entry.optional for entry in contract)
        self.single_record = len(contract) == 1 and contract[0].kind == "record"
        self.vary = tuple(
            index for index, entry in enumerate(contract) if entry.optional or _opens(entry.type)
        )

    # --- binding ---

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values in contract order. A single mapping is a batch: its other keys are ignored.

        Raises:
            LossInputError: an input is missing, unknown or given twice.
        """
        names = self.names
        batch = self._is_batch(args)
        if self.all_needed and not batch:
            if not kwargs and len(args) == len(names):
                return args
            if not args and len(kwargs) == len(names):
                try:
                    return tuple([kwargs[name] for name in names])
                except KeyError:
                    pass
        given = dict(args[0]) if batch and not kwargs else self._by_name(args, kwargs)
        values = []
        problems = []
        for entry in self.contract:
            if entry.name in given and not (entry.optional and given[entry.name] is None):
                values.append(given[entry.name])
            elif entry.optional:
                values.append(ABSENT)
            else:
                came = ", ".join(f"`{name}`" for name in given) or "nothing"
                help = closest(entry.name, (n for n in given if n not in names))
                message = f"the input `{entry.name}` ({entry.type}) is missing"
                problems.append(
                    Diagnostic("E601", message, entry.span, (), str(help or f"came: {came}"))
                )
        if problems:
            raise LossInputError(problems)
        return tuple(values)

    def _is_batch(self, args: tuple[Any, ...]) -> bool:
        """Whether the one positional argument is a batch rather than the only input itself."""
        if len(args) != 1 or not isinstance(args[0], Mapping):
            return False
        return not self.single_record or self.names[0] in args[0]

    def _by_name(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        names = self.names
        problems = []
        listed = f"its inputs are {', '.join(names)}"
        if len(args) > len(names):
            message = f"{len(args)} tensors came by position, and the loss has {len(names)} inputs"
            problems.append(Diagnostic("E602", message, self.whole, (), listed))
        given = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name in given:
                message = f"the input `{name}` came twice"
                problems.append(Diagnostic("E602", message, self.whole))
            elif name not in names and name not in self.spare:
                message = f"the loss has no input `{name}`"
                help = str(closest(name, names) or listed)
                problems.append(Diagnostic("E602", message, self.whole, (), help))
            given[name] = value
        if problems:
            raise LossInputError(problems)
        return given

    # --- what distinguishes values ---

    def key(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """What a check of these values and the choice of a graph depend on: the shapes, dtypes and
        lengths that the loss reads, what is learnt, and nothing else that containers hold."""
        return tuple([_key(v, t) for v, t in zip(values, self.types, strict=True)])

    def form(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """What the graph depends on: the lengths of open lists, and which inputs are absent."""
        return tuple([_form(values[index], self.types[index]) for index in self.vary])

    def tensors(self, values: Sequence[Any]) -> list[torch.Tensor]:
        """All tensors that the loss reads, containers opened."""
        return tensors_of(values, self.types)


def tensors_of(values: Sequence[Any], types: Sequence[Type | None]) -> list[torch.Tensor]:
    """All tensors of some values that a loss reads, containers opened."""
    found: list[torch.Tensor] = []
    for value, type in zip(values, types, strict=True):
        found.extend(_tensors(value, type))
    return found


Place = int | list[Any] | dict[str, Any]
"""Where a value stands among the tensors of all, in containers like its own."""


def places(values: Sequence[Any], types: Sequence[Type | None]) -> list[Place] | None:
    """The place of every tensor that the loss reads; None if it reads anything else."""
    count = 0

    def place(value: Any, type: Type | None) -> Place:
        nonlocal count
        if isinstance(value, torch.Tensor):
            count += 1
            return count - 1
        if isinstance(type, Listing) and isinstance(value, list | tuple):
            return [place(item, inner) for item, inner in _items(value, type)]
        if isinstance(type, Record):
            return {name: place(part(value, name), inner) for name, inner in type.fields}
        raise TypeError

    try:
        return [place(value, type) for value, type in zip(values, types, strict=True)]
    except TypeError:
        return None


def arranged(place: Place, tensors: Sequence[torch.Tensor]) -> Any:
    """Tensors put into their containers."""
    if isinstance(place, list):
        return [arranged(inner, tensors) for inner in place]
    if isinstance(place, dict):
        return {name: arranged(inner, tensors) for name, inner in place.items()}
    return tensors[place]


def list_lengths(values: Mapping[str, Any], paths: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """How long the open lists of this call are, where that is not 1. What is no list, or is not
    there, is told when the values are checked."""
    lengths = []
    for path in paths:
        value = _at(values, path)
        if isinstance(value, list | tuple) and len(value) != 1:
            lengths.append((path, len(value)))
    return tuple(lengths)


def _at(values: Mapping[str, Any], path: str) -> Any:
    """The part of an input under a path such as `out.aux` or `rows[0]`; None without one."""
    name = _STEP.split(path, maxsplit=1)[0]
    value = values.get(name)
    for step in _STEP.finditer(path, len(name)):
        key, index = step.groups()
        if key is not None:
            value = part(value, key)
        else:
            items = value if isinstance(value, list | tuple) else ()
            value = items[int(index)] if -len(items) <= int(index) < len(items) else None
    return value


def part(value: Any, key: str) -> Any:
    """A part of a mapping by key, of any other object by attribute; None without it."""
    return value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)


def _opens(type: Type | None) -> bool:
    """Whether a type holds a list whose length the call decides."""
    match type:
        case Listing(None, _):
            return True
        case Listing(items, _):
            return any(map(_opens, items or ()))
        case Record(fields):
            return any(_opens(inner) for _, inner in fields)
    return False


def _items(value: Any, type: Listing) -> Iterator[tuple[Any, Type | None]]:
    known = type.items or ()
    for index, item in enumerate(value):
        yield item, known[index] if index < len(known) else type.item


def _key(value: Any, type: Type | None) -> Any:
    if isinstance(value, torch.Tensor):
        return value.shape, value.dtype, value.requires_grad
    if isinstance(type, Listing) and isinstance(value, list | tuple):
        return tuple([_key(item, inner) for item, inner in _items(value, type)])
    if isinstance(type, Record):
        return tuple([_key(part(value, name), inner) for name, inner in type.fields])
    return value.__class__


def _form(value: Any, type: Type | None) -> Any:
    if value is ABSENT:
        return None
    if isinstance(type, Listing) and isinstance(value, list | tuple):
        return tuple([_form(item, inner) for item, inner in _items(value, type)])
    if isinstance(type, Record):
        return tuple([_form(part(value, name), inner) for name, inner in type.fields])
    return ""


def _tensors(value: Any, type: Type | None) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(type, Listing) and isinstance(value, list | tuple):
        for item, inner in _items(value, type):
            yield from _tensors(item, inner)
    elif isinstance(type, Record):
        for name, inner in type.fields:
            yield from _tensors(part(value, name), inner)
