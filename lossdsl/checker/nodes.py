"""The resolved program: names looked up, functions written out, comprehensions unrolled.

Nodes are shared where bindings are, and a node is made after what it is made of, so the list of
all nodes in order of making is a topological order: later phases are loops, not recursions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from lossdsl.functions.record import FunctionRecord
from lossdsl.library.record import LossRecord
from lossdsl.source import Span
from lossdsl.types.values import Tensor


@dataclass(frozen=True, eq=False, slots=True)
class Constant:
    """A literal, or what folding made of literals. Lists of literals are tuples."""

    value: Any
    span: Span


@dataclass(frozen=True, eq=False, slots=True)
class InputRef:
    name: str
    span: Span


@dataclass(frozen=True, eq=False, slots=True)
class ParamRef:
    """A number or list of numbers that `set()` changes, or a learnable."""

    name: str
    span: Span


@dataclass(frozen=True, eq=False, slots=True)
class Clock:
    """`step` or `epoch`."""

    name: str
    span: Span


@dataclass(frozen=True, eq=False, slots=True)
class SizeOf:
    """A dimension symbol used as a number: the size of one input's axis."""

    symbol: str
    input: str
    axis: int
    span: Span


@dataclass(frozen=True, eq=False, slots=True)
class Apply:
    """A function or operator. `literals` are plain values; axes may be names of symbols."""

    function: FunctionRecord
    operands: tuple[Node, ...]
    literals: dict[str, Any]
    span: Span
    places: dict[str, Span] = field(default_factory=dict)
    keywords: tuple[str | None, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Total:
    """A sum of any number of operands: `a + b - c`."""

    operands: tuple[Node, ...]
    signs: tuple[str, ...]
    span: Span


@dataclass(frozen=True, eq=False, slots=True)
class LossCall:
    """A call of a primitive. `parameters` shape the formula, `keywords` belong to the compiler."""

    record: LossRecord
    name: str
    arguments: tuple[Node | None, ...]
    parameters: dict[str, Any]
    keywords: dict[str, Any]
    span: Span
    callee: Span
    places: dict[str, Span]


@dataclass(frozen=True, eq=False, slots=True)
class ModuleCall:
    module: str
    arguments: tuple[Node, ...]
    span: Span


@dataclass(frozen=True, eq=False, slots=True)
class Item:
    """A field of a record, or an item of a list by a literal index."""

    base: Node
    key: str | int
    span: Span


@dataclass(frozen=True, eq=False, slots=True)
class Index:
    """Indexing of a tensor. Items are ints, None, `...` or slices of ints."""

    base: Node
    items: tuple[Any, ...]
    span: Span


@dataclass(frozen=True, eq=False, slots=True)
class Cast:
    """`logits(x)`: the value is read as this kind."""

    type: Tensor
    value: Node
    span: Span
    explicit_axis: str | int | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Items:
    """A list of values."""

    items: tuple[Node, ...]
    span: Span


LabelSource = Literal["as", "key", "binding", "call", "comprehension"]


@dataclass(frozen=True, eq=False, slots=True)
class Label:
    """A value with a name: from `as`, a key, a binding, a function of the user, a comprehension."""

    value: Node
    name: str
    source: LabelSource
    span: Span
    name_span: Span


Node: TypeAlias = (
    Constant
    | InputRef
    | ParamRef
    | Clock
    | SizeOf
    | Apply
    | Total
    | LossCall
    | ModuleCall
    | Item
    | Index
    | Cast
    | Items
    | Label
)


def operands(node: Node) -> tuple[Node, ...]:
    """The nodes directly below a node."""
    match node:
        case Apply() | Total() | Items():
            return node.operands if not isinstance(node, Items) else node.items
        case LossCall():
            inside = (*node.arguments, *node.parameters.values(), *node.keywords.values())
            return tuple(x for x in inside if isinstance(x, NODES))
        case ModuleCall():
            return node.arguments
        case Item() | Index():
            return (node.base,)
        case Cast() | Label():
            return (node.value,)
    return ()


NODES = (
    Constant,
    InputRef,
    ParamRef,
    Clock,
    SizeOf,
    Apply,
    Total,
    LossCall,
    ModuleCall,
    Item,
    Index,
    Cast,
    Items,
    Label,
)


def is_coefficient(node: Node, known: dict[int, bool]) -> bool:
    """Whether a node is made of literals, params, learnables and schedules alone."""
    key = id(node)
    if key not in known:
        match node:
            case Constant(value):
                known[key] = isinstance(value, int | float) and not isinstance(value, bool)
            case ParamRef() | Clock():
                known[key] = True
            case Apply() | Total() | Label():
                known[key] = all(is_coefficient(x, known) for x in operands(node))
            case _:
                known[key] = False
    return known[key]
