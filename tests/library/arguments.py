"""Legal arguments for any loss of the registry, made from its signature.

A new loss needs no entry here: sizes, kinds and compulsory parameters are read from its record. The
tables hold what makes a call small, and what a signature cannot say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lossdsl.library import registry
from lossdsl.library.record import Interval, LossRecord, Overload, Parameter
from lossdsl.types.signature import Slot, read_signature

SIZES = {"B": 2, "N": 11, "M": 5, "C": 3, "D": 6, "H": 8, "W": 8, "Q": 2, "T": 8, "L": 2}
SMALL = {"N": 6, "M": 3, "D": 3, "H": 5, "W": 4, "T": 5, "K": 3}
OTHER_SIZE = 5
FEATURES = (("B", 3, 4, 5), ("B", 2, 2, 3))
"""The maps of a slot for features; `B` is the batch."""

PARAMETERS: dict[str, dict[str, Any]] = {
    "spectral_convergence": {"window": 4},
    "stft_magnitude": {"window": 4},
    "mr_stft": {"window": 4, "scales": 2},
    "ms_ssim": {"window": 3, "weights": [0.5, 0.5]},
    "ssim": {"window": 3},
    "sinkhorn": {"eps": 10.0},
    "attention_target": {"token": 1},
}
"""Windows smaller than the defaults, whose least sizes are large; an `eps` at which the default
number of iterations has converged, which the gradient takes for granted; and a place that every map
has."""

CRITIC = "sum(sin(x0))"
"""The scores that a penalty on a critic's derivative gets: the derivative by x0 is cos(x0)."""

DISCRETE = frozenset({"labels", "count", "mask", "sign", "one_hot"})
"""Kinds of a few values, which nothing is derived by."""


@dataclass(frozen=True)
class Call:
    """One form of a loss with declared inputs x0, x1, …: `text` is its program.

    An input's axes and the map's have names as in the signature; `sizes` says how long they are.
    """

    id: str
    record: LossRecord
    form: Overload
    kinds: tuple[str, ...]
    axes: tuple[tuple[str, ...], ...]
    map_axes: tuple[str, ...]
    sizes: Mapping[str, int]
    arguments: str
    parameters: Mapping[str, Any]

    @property
    def shapes(self) -> list[list[int]]:
        return [self.lengths(axes) for axes in self.axes]

    @property
    def map_shape(self) -> list[int]:
        return self.lengths(self.map_axes)

    @property
    def names(self) -> list[str]:
        return [f"x{index}" for index in range(len(self.kinds))]

    @property
    def differentiable(self) -> list[str]:
        """Inputs that may carry a gradient."""
        return [
            name for name, kind in zip(self.names, self.kinds, strict=True) if kind not in DISCRETE
        ]

    @property
    def batch(self) -> str | None:
        """The name of the samples' axis, where the inputs have one."""
        return self.axes[0][0] if self.axes[0] else None

    @property
    def mask_axes(self) -> tuple[str, ...]:
        """Those of a mask: of the map, or of the positions of the first input."""
        if self.record.mask == "map":
            return self.map_axes
        return (self.axes[0][0], "1", *self.axes[0][2:])

    def mask(self) -> Tensor:
        """A mask that keeps three of five."""
        shape = self.lengths(self.mask_axes)
        place = torch.arange(math.prod(shape)).reshape(shape)
        return (place % 5 % 2 == 0).double()

    def lengths(self, axes: tuple[str, ...]) -> list[int]:
        return [size_of(axis, self.sizes) for axis in axes]

    def inputs(self, *, fixed: bool = True) -> str:
        """The declarations; with `fixed=False` axes are symbols in place of numbers."""
        return "\n".join(
            f"input {name}: {kind}[{', '.join(self._sizes(axes) if fixed else axes)}]"
            for name, kind, axes in zip(self.names, self.kinds, self.axes, strict=True)
        )

    def expression(self, keywords: str = "") -> str:
        own = "".join(f", {name}={written(value)}" for name, value in self.parameters.items())
        return f"{self.record.name}({self.arguments}{own}{keywords})"

    def text(self, keywords: str = "", *, fixed: bool = True) -> str:
        """The program."""
        return f"{self.inputs(fixed=fixed)}\n{self.expression(keywords)}"

    def map_text(self, keywords: str = "", more: str = "") -> str:
        """A program whose gradient in `r`, an input of the map's shape, is the map itself."""
        loss = self.expression(f"{keywords}, reduction='none'")
        lines = [self.inputs(), f"input r: {self.declared(self.map_axes)}", more, f"sum(r*{loss})"]
        return "\n".join(filter(None, lines))

    def declared(self, axes: tuple[str, ...], kind: str = "real") -> str:
        """The type of an input with these axes."""
        return f"{kind}[{', '.join(self._sizes(axes))}]"

    def shares(self) -> Tensor:
        """Fixed numbers in the map's shape, all different: their sum with the map hides nothing."""
        generator = torch.Generator().manual_seed(9)
        return 0.5 + torch.rand(self.map_shape, generator=generator, dtype=torch.float64)

    def of(self, rows: int) -> Call:
        """The same call with another number of samples."""
        return replace(self, sizes={**self.sizes, self.batch: rows}) if self.batch else self

    def without(self, parameter: str) -> Call:
        """The same call, the parameter left to its default or to be written anew."""
        rest = {name: value for name, value in self.parameters.items() if name != parameter}
        return replace(self, parameters=rest)

    def _sizes(self, axes: tuple[str, ...]) -> list[str]:
        """Numbers, but for the class axis, which has a name in the kinds that have one."""
        named = any(kind.startswith("class_") or kind == "one_hot" for kind in self.kinds)
        return [
            axis if named and axis.startswith("C") else str(size_of(axis, self.sizes))
            for axis in axes
        ]


def size_of(axis: str, sizes: Mapping[str, int]) -> int:
    """The length of an axis of the signature: `B`, `4`, `C-1`."""
    name, *less = axis.split("-")
    return (int(name) if name.isdigit() else sizes[name]) - sum(map(int, less))


def written(value: Any) -> str:
    """A parameter as the language has it."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


@dataclass(frozen=True)
class Room:
    """How long axes are: those of a `*S`, the first one of all, and others by name."""

    space: tuple[int, ...]
    rows: int | None
    sizes: Mapping[str, int]


def calls(
    space: tuple[int, ...] = (4, 5),
    rows: int | None = None,
    sizes: Mapping[str, int] | None = None,
    *,
    kinds: bool = True,
    variants: bool = False,
) -> dict[str, Call]:
    """Every form of every loss, with and without optional arguments, and with `kinds` by each kind
    that an argument may have. `rows` is the length of the first axis of all; with `variants` also
    each choice and flag that is not the default."""
    room = Room(space, rows, {**SIZES, **(sizes or {})})
    found: dict[str, Call] = {}
    for record in registry.records().values():
        if record.family == "user":
            continue
        for form in record.overloads:
            base, *others = settings(record, form, room.sizes)
            made = [*by_kind(record, form, base, room)]
            if not kinds:
                made = [*{call.arguments: call for call in reversed(made)}.values()][::-1]
            for parameters in others if variants else ():
                made.append(next(by_kind(record, form, parameters, room)))
            for call in made:
                assert call.id not in found, call.id
                found[call.id] = call
    return found


def sweep(every: Iterable[str], core: Iterable[str]) -> list[Any]:
    """Names for a test's parameters: those outside the core are slow."""
    few = set(core)
    assert few <= set(every)
    return [name if name in few else pytest.param(name, marks=pytest.mark.slow) for name in every]


def settings(
    record: LossRecord, form: Overload, sizes: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    """The parameters that a call must have; then these with one more at a time."""
    lengths = {name: sizes.get(axis, OTHER_SIZE) for axis, name in form.lengths.items()}
    base = dict(PARAMETERS.get(record.name, {}))
    for parameter in record.parameters:
        if parameter.required and parameter.name not in base:
            base[parameter.name] = setting(parameter, lengths)
    if form.when is not None and not form.when({**defaults(record), **base}):
        for name, length in lengths.items():
            base[name] = levels(record.parameter(name), length)
    yield base
    for parameter in record.parameters:
        for value in alternatives(parameter, lengths):
            changed = {**base, parameter.name: value}
            if changed != base and (
                form.when is None or form.when({**defaults(record), **changed})
            ):
                yield changed


def defaults(record: LossRecord) -> dict[str, Any]:
    return {p.name: p.default for p in record.parameters if not p.required}


def setting(parameter: Parameter, lengths: Mapping[str, int]) -> Any:
    """A legal value of a compulsory parameter."""
    if parameter.kind == "vector":
        return levels(parameter, lengths.get(parameter.name, OTHER_SIZE))
    if parameter.kind == "choice":
        return parameter.choices[0]
    if parameter.kind == "flag":
        return True
    value = inside(parameter.range, 0.5)
    return max(1, int(value)) if parameter.kind == "integer" else value


def levels(parameter: Parameter | None, count: int) -> list[float]:
    assert parameter is not None
    return [inside(parameter.range, (index + 1) / (count + 1)) for index in range(count)]


def inside(interval: Interval | None, share: float) -> float:
    """A number of the interval; where it has no upper end, not beyond 10."""
    low = max(interval.low, -1.0) if interval else 0.0
    high = min(interval.high, low + 10) if interval else 1.0
    return low + share * (high - low)


def alternatives(parameter: Parameter, lengths: Mapping[str, int]) -> list[Any]:
    """What a parameter of a few values may be besides its default, and a list that may be left
    out."""
    if parameter.kind == "flag":
        return [not parameter.default]
    if parameter.kind == "vector" and parameter.default is None:
        return [levels(parameter, lengths.get(parameter.name, len(FEATURES)))]
    return [choice for choice in parameter.choices if choice != parameter.default]


def by_kind(
    record: LossRecord, form: Overload, parameters: dict[str, Any], room: Room
) -> Iterator[Call]:
    """One form by each kind of each argument, the others being of their first kind; then with the
    optional arguments."""
    # The scores that a penalty on a critic gets are no input, but made of the next one.
    slots = read_signature(form.signature).slots[0 if record.critic is None else 1 :]
    needed = tuple(slot for slot in slots if not slot.optional)
    for given in dict.fromkeys((needed, slots)):
        first = tuple(slot.kinds[0] for slot in given)
        for kinds in dict.fromkeys(
            (*first[:place], kind, *first[place + 1 :])
            for place, slot in enumerate(given)
            for kind in slot.kinds
        ):
            yield made(record, form, given, kinds, parameters, room)


def made(
    record: LossRecord,
    form: Overload,
    slots: tuple[Slot, ...],
    kinds: tuple[str, ...],
    parameters: dict[str, Any],
    room: Room,
) -> Call:
    """The call of these slots."""
    own_kinds: list[str] = []
    axes: list[tuple[str, ...]] = []
    arguments = [] if record.critic is None else [CRITIC]
    known = {f"S{i}": size for i, size in enumerate(room.space)}
    for slot, kind in zip(slots, kinds, strict=True):
        start = len(axes)
        if kind == "features":
            for number, (batch, *lengths) in enumerate(FEATURES):
                names = {f"F{number}{i}": length for i, length in enumerate(lengths)}
                known |= names
                axes.append((batch, *names))
            own_kinds += ["real"] * len(FEATURES)
            arguments.append(f"[{', '.join(f'x{i}' for i in range(start, len(axes)))}]")
        else:
            named = axes_of(slot.shape_text, room.space)
            lacks_classes = kind == "labels" and named[:2] == ("B", "C")
            axes.append(("B", *named[2:]) if lacks_classes else named)
            own_kinds.append(kind)
            arguments.append(f"x{start}")
    result = f"-> {form.result(parameters)}" if form.result else form.signature
    map_axes = axes_of(read_signature(result).map_text, room.space)
    for name in {axis.split("-")[0] for one in (*axes, map_axes) for axis in one}:
        if not name.isdigit():
            known.setdefault(name, room.sizes.get(name, OTHER_SIZE))
    if "features" in kinds and "K" in known:
        known["K"] = sum(channels for _, channels, *_ in FEATURES)
    least = record.least({**defaults(record), **parameters}) if record.least else {}
    known |= {name: max(size, least.get(name, 0)) for name, size in known.items()}
    if room.rows is not None and axes[0]:
        known[axes[0][0]] = room.rows
    changed = "".join(
        f"-{name}" if isinstance(value, list) else f"-{name}={value}"
        for name, value in parameters.items()
        if name not in PARAMETERS.get(record.name, {}) and not required(record, name)
    )
    return Call(
        id="-".join((record.name, *kinds)) + changed,
        record=record,
        form=form,
        kinds=tuple(own_kinds),
        axes=tuple(axes),
        map_axes=map_axes,
        sizes=known,
        arguments=", ".join(arguments),
        parameters=parameters,
    )


def required(record: LossRecord, name: str) -> bool:
    parameter = record.parameter(name)
    return parameter is not None and parameter.required


def axes_of(shape: str, space: tuple[int, ...]) -> tuple[str, ...]:
    """The axes' names, those of a `*S` being S0, S1, …"""
    axes: list[str] = []
    for name in (part.strip() for part in shape.split(",") if part.strip()):
        axes += [f"S{i}" for i in range(len(space))] if name.startswith("*") else [name]
    return tuple(axes)
