"""Arguments of a call: by position, by keyword, or one mapping; and what distinguishes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lossdsl.checker.contract import Contract
from lossdsl.checker.suggest import closest
from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.diagnostics.errors import LossInputError
from lossdsl.source import Span


class Absent:
    """Stands for an optional input that the batch does not have."""


ABSENT = Absent()


def bind(
    contract: Contract,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    spare: frozenset[str],
    whole: Span,
) -> tuple[Any, ...]:
    """The values in contract order.

    A single mapping is a batch: its other keys are ignored. `spare` are declared inputs that
    this loss does not read; naming them is no mistake.

    Raises:
        LossInputError: an input is missing, unknown or given twice.
    """
    names = contract.names
    # What is optional may come as None: those losses take the longer way.
    whole_batch = not any(entry.optional for entry in contract.entries)
    if whole_batch and not kwargs and len(args) == len(names) and not _is_batch(contract, args):
        return args
    if whole_batch and not args and len(kwargs) == len(names):
        try:
            return tuple([kwargs[name] for name in names])
        except KeyError:
            pass
    if not kwargs and _is_batch(contract, args):
        given = dict(args[0])
    else:
        given = _by_name(contract, args, kwargs, spare, whole)
    values = []
    problems = []
    for entry in contract:
        if entry.name in given and not (entry.optional and given[entry.name] is None):
            values.append(given[entry.name])
        elif entry.optional:
            values.append(ABSENT)
        else:
            came = ", ".join(f"`{name}`" for name in given) or "nothing"
            problems.append(
                Diagnostic(
                    "E601",
                    f"the input `{entry.name}` ({entry.type}) is missing",
                    entry.span,
                    (),
                    closest(entry.name, (n for n in given if n not in names)) or f"came: {came}",
                )
            )
    if problems:
        raise LossInputError(problems)
    return tuple(values)


def _is_batch(contract: Contract, args: tuple[Any, ...]) -> bool:
    """Whether the one positional argument is a batch rather than the only input itself."""
    if len(args) != 1 or not isinstance(args[0], Mapping):
        return False
    single = len(contract) == 1 and contract[0].kind == "record"
    return not single or contract[0].name in args[0]


def _by_name(
    contract: Contract,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    spare: frozenset[str],
    whole: Span,
) -> dict[str, Any]:
    names = contract.names
    problems = []
    if len(args) > len(names):
        problems.append(
            Diagnostic(
                "E602",
                f"{len(args)} tensors came by position, and the loss has {len(names)} inputs",
                whole,
                (),
                f"its inputs are {', '.join(names)}",
            )
        )
    given = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name in given:
            problems.append(Diagnostic("E602", f"the input `{name}` came twice", whole))
        elif name not in names and name not in spare:
            problems.append(
                Diagnostic(
                    "E602",
                    f"the loss has no input `{name}`",
                    whole,
                    (),
                    closest(name, names) or f"its inputs are {', '.join(names)}",
                )
            )
        given[name] = value
    if problems:
        raise LossInputError(problems)
    return given


def key_of(values: Sequence[Any]) -> tuple[Any, ...]:
    """What a check of these values depends on: shapes, dtypes and how containers nest."""
    return tuple([_key(value) for value in values])


def _key(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.shape, value.dtype
    if isinstance(value, list | tuple):
        return ("list", *map(_key, value))
    if isinstance(value, Mapping):
        return ("record", *((name, _key(part)) for name, part in value.items()))
    if isinstance(value, Absent):
        return ABSENT
    return _parts_key(value)


def _parts_key(value: Any) -> Any:
    """An object whose attributes are the parts: a model's output."""
    parts = getattr(value, "__dict__", None)
    if not parts:
        return type(value), repr(value)[:80]
    return (type(value), *((k, _key(v)) for k, v in parts.items() if isinstance(v, torch.Tensor)))


def tensors_in(values: Sequence[Any]) -> list[torch.Tensor]:
    """All tensors, containers opened."""
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += tensors_in(value)
        elif isinstance(value, Mapping):
            found += tensors_in(list(value.values()))
        else:
            found += tensors_in(
                [v for v in vars(value).values() if isinstance(v, torch.Tensor)]
                if hasattr(value, "__dict__")
                else []
            )
    return found


def list_lengths(values: Mapping[str, Any], paths: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """How long the open lists of this call are."""
    lengths = []
    for path in paths:
        name, *keys = path.split(".")
        value = values[name]
        for key in keys:
            value = value[key] if isinstance(value, Mapping) else getattr(value, key, None)
        if isinstance(value, list | tuple):
            lengths.append((path, len(value)))
    return tuple(lengths)
