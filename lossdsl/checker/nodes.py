"""The resolved program: names looked up, functions written out, comprehensions unrolled.

Nodes are shared where bindings are, and a node is made after what it is made of, so the list of
all nodes in order of making is a topological order: later phases are loops, not recursions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
    """A number or list of numbers that `set()` changes, or a learnable: a number, a list or a
    `tensor`."""

    name: str
    span: Span
    tensor: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Clock:
    """`step` or `epoch`."""

    name: str
    span: Span


@dataclass(frozen=True, eq=False, slots=True)
class SizeOf:
    """A dimension symbol used as a number: the size of one input's axis."""

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
class ModuleRef:
    """A network itself: an argument of a function that calls it."""

    module: str
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
    | ModuleRef
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
    ModuleRef,
    Item,
    Index,
    Cast,
    Items,
    Label,
)


def unlabelled(node: Node) -> Node:
    """The value below all its names."""
    while isinstance(node, Label):
        node = node.value
    return node


def literal(node: Node) -> Constant | None:
    """The literal that a node is, perhaps through a binding or a function. One that is a term of
    its own stays one."""
    while isinstance(node, Label) and node.source in ("binding", "call"):
        node = node.value
    return node if isinstance(node, Constant) else None


def is_coefficient(node: Node, known: dict[int, bool]) -> bool:
    """Whether a node is made of literals, params, learnables and schedules alone."""
    return _made_of(node, known, _coefficient, (Apply, Total, Label))


def is_number(node: Node, known: dict[int, bool]) -> bool:
    """Whether a node is made of those and of the sizes of axes, perhaps read as another kind. It
    has no axes itself, unless a param among them is a list."""
    return _made_of(node, known, _number, (Apply, Total, Label, Cast, Index))


def _coefficient(leaf: Node) -> bool:
    match leaf:
        case Constant(value):
            return isinstance(value, int | float) and not isinstance(value, bool)
        case ParamRef():
            return not leaf.tensor
        case Clock():
            return True
    return False


def _number(leaf: Node) -> bool:
    size = isinstance(leaf, Apply) and leaf.function.name == "size"
    return size or isinstance(leaf, SizeOf) or _coefficient(leaf)


def _made_of(
    node: Node,
    known: dict[int, bool],
    is_leaf: Callable[[Node], bool],
    through: tuple[type, ...],
) -> bool:
    """Whether a node leads down to such leaves alone. `known` keeps all answers."""
    stack = [node]
    while stack:
        here = stack[-1]
        below = operands(here) if isinstance(here, through) else ()
        missing = [x for x in below if id(x) not in known]
        leaf = is_leaf(here)
        if missing and not leaf:
            stack.extend(missing)
            continue
        known[id(here)] = leaf or (bool(below) and all(known[id(x)] for x in below))
        stack.pop()
    return known[id(node)]


def states(made: Iterable[Node]) -> dict[int, str]:
    """A name for what each function with a state keeps: its place among those of the text, and a
    number where a comprehension or a function made several of one place."""
    calls = [node for node in made if isinstance(node, Apply) and node.function.stateful]
    places = {span: i for i, span in enumerate(dict.fromkeys(node.span for node in calls), 1)}
    seen: dict[Span, int] = {}
    names = {}
    for node in calls:
        seen[node.span] = number = seen.get(node.span, 0) + 1
        name = f"{node.function.name}_{places[node.span]}"
        names[id(node)] = name if number == 1 else f"{name}_{number}"
    return names
