"""The record of a primitive loss: everything the checker, the docs and the tests know about it.

A primitive is a plain torch function that returns its *natural map* (one value an element, a
sample, a class …). Reduction, weights, masks and ignored labels belong to the compiler, so a
record only states how they act on that map.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch

Number = float | torch.Tensor
"""A parameter that may move: a literal, or a 0-dim tensor (a `param`, a schedule, a learnable)."""

Vector = Sequence[float] | torch.Tensor
"""A parameter that is a list of numbers: one per class, layer or scale."""

ParameterKind = Literal["number", "literal", "integer", "flag", "choice", "vector"]


@dataclass(frozen=True, slots=True)
class Interval:
    """The legal range of a parameter, written as mathematicians do: `(0, 1]`, `[0, inf)`."""

    low: float
    high: float
    low_open: bool
    high_open: bool

    @classmethod
    def parse(cls, text: str) -> Interval:
        low, high = text[1:-1].split(",")
        return cls(float(low), float(high), text[0] == "(", text[-1] == ")")

    def __contains__(self, value: float) -> bool:
        above = value > self.low or (not self.low_open and value == self.low)
        below = value < self.high or (not self.high_open and value == self.high)
        return above and below

    def __str__(self) -> str:
        opening = "(" if self.low_open else "["
        closing = ")" if self.high_open else "]"
        return f"{opening}{self.low:g}, {self.high:g}{closing}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One keyword of a primitive, read from its Python signature and the record's `ranges`."""

    name: str
    kind: ParameterKind
    default: Any
    optional: bool = False
    range: Interval | None = None
    choices: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty

    @property
    def may_be_tensor(self) -> bool:
        """Whether a `param`, a learnable or a schedule may stand here without recompiling."""
        return self.kind in ("number", "vector")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a loss comes from. No identifier is better than a wrong one."""

    authors: str
    title: str
    year: int
    arxiv: str | None = None

    def __str__(self) -> str:
        where = f", arXiv:{self.arxiv}" if self.arxiv else ""
        return f"{self.authors} ({self.year}). {self.title}{where}."


@dataclass(frozen=True, slots=True)
class Example:
    """A call with its value: documentation that is also a test."""

    text: str
    value: float
    inputs: Mapping[str, Any] = field(default_factory=dict)


Condition = Callable[[Mapping[str, Any]], bool]
LeastSizes = Callable[[Mapping[str, Any]], Mapping[str, int]]
ResultRule = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True)
class Overload:
    """One way to call a primitive: the kinds and shapes it takes and the function that runs.

    `result` replaces the signature's result where literal parameters decide it (`over='batch'`);
    `when` restricts the overload to some literal parameters (a list of quantiles). `lengths` says
    which sizes of the signature are the length of a parameter that is a list.
    """

    signature: str
    function: Callable[..., torch.Tensor]
    result: ResultRule | None = None
    when: Condition | None = None
    lengths: Mapping[str, str] = field(default_factory=dict)


Critic = Literal["at", "between", "around"]
"""Where a penalty on a network's derivative takes it: at the points that are given, at random
points between two batches, or at random points near one."""

CRITIC_POINTS: Mapping[Critic, tuple[str, ...]] = {
    "at": ("x",),
    "between": ("real", "fake"),
    "around": ("x",),
}
"""What stands behind the network in a call that names it."""


@dataclass(frozen=True)
class LossRecord:
    """A primitive loss of the library, or a user's own.

    A record with a `critic` is a penalty on the derivative of its first input with respect to its
    second: `r1(D(x), x)`. `r1(D, x)` is short for it.
    """

    name: str
    family: str
    summary: str
    overloads: tuple[Overload, ...]
    formula: str = ""
    aliases: tuple[str, ...] = ()
    reference: Reference | str | None = None
    conventions: tuple[str, ...] = ()
    pitfalls: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    ranges: Mapping[str, str] = field(default_factory=dict)
    mask: Literal["map", "inside", "none"] = "map"
    class_weight: Literal["labels", "classes", "none"] = "none"
    image_range: str | None = None
    least: LeastSizes | None = None
    values: Interval | None = None
    use: str = ""
    avoid: str = ""
    checked: str = ""
    related: Mapping[str, str] = field(default_factory=dict)
    identities: tuple[tuple[str, str], ...] = ()
    critic: Critic | None = None

    @property
    def function(self) -> Callable[..., torch.Tensor]:
        """The function of the preferred overload."""
        return self.overloads[0].function

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensor arguments, prediction first."""
        return tuple(
            name
            for name, parameter in inspect.signature(self.function).parameters.items()
            if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
        )

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Keyword parameters, without those that the compiler fills in itself (`mask`)."""
        hints = typing.get_type_hints(self.function)
        return tuple(
            read_parameter(parameter, hints.get(name), self.ranges.get(name))
            for name, parameter in inspect.signature(self.function).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name not in COMPILER_FILLED
        )

    def parameter(self, name: str) -> Parameter | None:
        return next((p for p in self.parameters if p.name == name), None)

    @property
    def docs(self) -> str:
        """The prose of the function's docstring."""
        return inspect.getdoc(self.function) or ""

    def __str__(self) -> str:
        from lossdsl.library.page import page

        return page(self)


COMPILER_FILLED = frozenset({"mask", "class_weight"})
"""Keywords of a primitive's function that a user never sets as parameters of the formula:
the compiler aligns and passes them (`mask='inside'`), or applies them itself."""


def read_parameter(parameter: inspect.Parameter, hint: Any, interval: str | None) -> Parameter:
    """Derive a `Parameter` from its annotation: the signature is the only place that says it."""
    options = set(typing.get_args(hint)) if typing.get_origin(hint) is not Literal else set()
    optional = type(None) in options
    choices: tuple[str, ...] = ()
    kind: ParameterKind
    members = options - {type(None)} if options else {hint}
    literal = next((m for m in members if typing.get_origin(m) is Literal), None)
    if literal is not None:
        kind, choices = "choice", typing.get_args(literal)
    elif any(typing.get_origin(m) is Sequence for m in members):
        kind = "vector"
    elif torch.Tensor in members:
        kind = "number"
    elif members == {bool}:
        kind = "flag"
    elif members == {int}:
        kind = "integer"
    elif members == {float}:
        kind = "literal"
    else:
        raise TypeError(
            f"parameter {parameter.name!r} needs one of the annotations Number, Vector, float, "
            f"int, bool or Literal[…], not {hint!r}"
        )
    return Parameter(
        parameter.name,
        kind,
        parameter.default,
        optional,
        Interval.parse(interval) if interval else None,
        choices,
    )
