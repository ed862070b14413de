"""The typed tree: every value with its kind and shape, every conversion and reduction a node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from lossdsl.functions.convert import AS_FLOAT, AS_FLOATING, AS_INDEX
from lossdsl.functions.op import Op
from lossdsl.source import Span
from lossdsl.types.kinds import KINDS, SCORES
from lossdsl.types.shapes import Shape
from lossdsl.types.values import Listing, Tensor, Type

Leaf = Literal["input", "item", "param", "clock", "number", "size", "index", "list"]


@dataclass(frozen=True, eq=False, slots=True)
class Typed:
    """A value: an operation on other values, or a leaf (`op` is then its name)."""

    op: Op | Leaf
    operands: tuple[Typed, ...]
    literals: dict[str, Any]
    type: Type
    span: Span
    keywords: tuple[str | None, ...] = field(default=())

    @property
    def number(self) -> float | int | None:
        """The value, where it is a literal number."""
        value = self.literals.get("value") if self.op == "number" else None
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return value if plain else None

    @property
    def tensor(self) -> Tensor:
        assert isinstance(self.type, Tensor)
        return self.type


@dataclass(slots=True)
class PythonNumbers:
    """Tells which values the graph calculates outside torch."""

    known: dict[Typed, bool] = field(default_factory=dict)

    def holds(self, value: Typed) -> bool:
        """Whether the graph calculates this value outside torch: from literals and sizes."""
        stack = [value]
        while stack:
            here = stack[-1]
            operator = (
                not isinstance(here.op, str)
                and here.op.group == "function"
                and here.op.run.__module__.endswith(".operators")
            )
            missing = [x for x in here.operands if operator and x not in self.known]
            if missing:
                stack.extend(missing)
                continue
            plain = operator and all(self.known[x] for x in here.operands)
            self.known[here] = plain or here.op in ("number", "size")
            stack.pop()
        return self.known[value]


@dataclass(frozen=True, slots=True)
class TypedTerm:
    """One summand of the loss."""

    name: str
    weight: Typed
    raw: Typed
    span: Span
    monitored: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One input of the contract. `because` is the use that an undeclared one has its kind from."""

    name: str
    type: Type
    declared: bool
    optional: bool
    span: Span
    because: Span | None = None

    @property
    def kind(self) -> str:
        """The kind of a tensor; `list` or `record` for containers."""
        match self.type:
            case Tensor(kind):
                return kind
            case Listing():
                return "list"
        return "record"

    @property
    def shape(self) -> Shape | None:
        return self.type.shape if isinstance(self.type, Tensor) else None

    @property
    def dtype(self) -> str:
        """What torch dtypes are taken: whole numbers for indices, anything real elsewhere."""
        if not isinstance(self.type, Tensor):
            return ""
        if KINDS[self.type.kind].integer:
            return "int"
        return "float" if self.type.kind in SCORES else "float, int or bool"


@dataclass(frozen=True, slots=True)
class TypedProgram:
    """What the checker hands on: the terms, and what the caller has to bring."""

    terms: tuple[TypedTerm, ...]
    inputs: tuple[Entry, ...]
    modules: tuple[str, ...]


def unwrapped(value: Typed) -> Typed:
    """The tensor as the caller gave it, before any cast to a float type."""
    while value.op in (AS_FLOAT, AS_FLOATING, AS_INDEX):
        value = value.operands[0]
    return value
