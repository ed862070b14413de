"""The values of tensors against their kinds: labels within the classes, probabilities within
[0, 1], masks of 0 and 1, and nothing that is not finite. Reading them waits for the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from lossdsl.backend.arguments import part
from lossdsl.checker.program import ClassCount
from lossdsl.checker.typed import Entry
from lossdsl.types.kinds import SCORES
from lossdsl.types.values import Listing, Record, Tensor, Type

_MARKS = frozenset({-1, 255})
"""Labels that data sets use for what has none."""

_SLACK = 1e-3
"""How far rounding may take a probability out of [0, 1]."""


@dataclass(frozen=True, slots=True)
class ValueCheck:
    """What the values of one loss's inputs are held against.

    `classes` says what labels may be, by input. What `hiding` names is read behind a mask, and
    may hold anything there.
    """

    entries: Sequence[Entry]
    classes: Mapping[str, ClassCount]
    hiding: frozenset[str]

    def problems(
        self, values: Mapping[str, Any], *, wait: bool, everywhere: bool = False
    ) -> list[tuple[Entry, str, str | None]]:
        """Each input at fault with what is wrong and the way out. Only with `wait` are other
        devices than the CPU asked for values; with `everywhere` a mask excuses nothing."""
        found = []
        for entry in self.entries:
            for name, type, value in _tensors(entry.name, entry.type, values[entry.name]):
                if value.numel() == 0 or value.is_meta or not (wait or value.device.type == "cpu"):
                    continue
                problem = self._problem(entry, type, value.detach(), everywhere)
                if problem is not None:
                    advice = _advice(type.kind, value, name, self.classes.get(entry.name))
                    found.append((entry, f"`{name}` is {type}, and {problem}", advice))
        return found

    def of_labels(self) -> ValueCheck | None:
        """The same for labels alone; None where there are none."""
        entries = [entry for entry in self.entries if entry.name in self.classes]
        return replace(self, entries=entries) if entries else None

    def _problem(
        self, entry: Entry, type: Tensor, value: torch.Tensor, everywhere: bool
    ) -> str | None:
        if type.kind == "labels":
            return _wrong_label(value, self.classes.get(entry.name))
        free = entry.name in self.hiding and not everywhere
        return _out_of_range(type.kind, value) or (None if free else _not_finite(type.kind, value))


def _tensors(
    name: str, type: Type | None, value: Any
) -> Iterator[tuple[str, Tensor, torch.Tensor]]:
    """The tensors of an input with their types, containers opened."""
    if isinstance(type, Tensor) and isinstance(value, torch.Tensor):
        yield name, type, value
    elif isinstance(type, Listing) and isinstance(value, list | tuple):
        known = type.items or (type.item,) * len(value)
        for index, (inner, item) in enumerate(zip(known, value, strict=False)):
            yield from _tensors(f"{name}[{index}]", inner, item)
    elif isinstance(type, Record):
        for key, inner in type.fields:
            yield from _tensors(f"{name}.{key}", inner, part(value, key))


def _wrong_label(value: torch.Tensor, classes: ClassCount | None) -> str | None:
    if classes is None:
        return None
    count, ignore = classes
    kept = value[value != ignore]
    if kept.numel() and (int(kept.min()) < 0 or int(kept.max()) >= count):
        worst = int(kept.min()) if int(kept.min()) < 0 else int(kept.max())
        return f"the label {worst} came: there are {count} classes (0 to {count - 1})"
    return None


def _advice(kind: str, value: torch.Tensor, name: str, classes: ClassCount | None) -> str | None:
    """What was most likely meant by values that the kind does not have."""
    if kind == "labels" and classes is not None:
        count, ignore = classes
        kept = value[value != ignore]
        low, high = int(kept.min()), int(kept.max())
        if low == 1 and high == count:
            return f"classes count from 0: `{name} - 1`"
        if low in _MARKS or high in _MARKS:
            mark = low if low in _MARKS else high
            return f"if {mark} marks what is not to count, declare it: `labels(ignore={mark})`"
    if kind in ("mask", "prob") and float(value.min()) >= 0 and float(value.max()) == 255:
        return f"divide it: `{name} / 255`"
    return None


def _out_of_range(kind: str, value: torch.Tensor) -> str | None:
    if kind in ("prob", "class_prob"):
        low, high = float(value.min()), float(value.max())
        if low < -_SLACK or high > 1 + _SLACK:
            return f"the value {low if low < -_SLACK else high:g} came: it lies in [0, 1]"
    if kind in ("mask", "one_hot") and bool(((value != 0) & (value != 1)).any()):
        return "a value other than 0 and 1 came"
    if kind == "sign" and bool((value.abs() != 1).any()):
        return "a value other than -1 and 1 came"
    if kind == "positive" and float(value.min()) <= 0:
        return f"the value {float(value.min()):g} came: it lies above 0"
    return None


def _not_finite(kind: str, value: torch.Tensor) -> str | None:
    """Scores may be infinite: -inf takes a class out of a softmax."""
    if not value.is_floating_point():
        return None
    bad = torch.isnan(value) if kind in SCORES else ~torch.isfinite(value)
    count = int(bad.sum())
    if not count:
        return None
    what = "NaN" if bool(torch.isnan(value).any()) else "infinite"
    return f"{count} of {value.numel()} values that came are {what}"
