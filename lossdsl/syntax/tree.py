"""The syntax tree: what was written, and where. Frozen; equality ignores places.

Sums and products are flat (`a + b - c` is one node), so that a loss of ten thousand terms is as
deep as a loss of two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from lossdsl.source import Span

# --- expressions ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number:
    value: int | float
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Text:
    value: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Truth:
    value: bool
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Nothing:
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Name:
    id: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ListOf:
    items: tuple[Expression, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Sum:
    """`a + b - c`; `signs[0]` is always `+`."""

    operands: tuple[Expression, ...]
    signs: tuple[str, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Product:
    """`a * b / c @ d`, from left to right; `operators` has one entry fewer than `operands`."""

    operands: tuple[Expression, ...]
    operators: tuple[str, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Power:
    base: Expression
    exponent: Expression
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x`, `+x` or `not x`."""

    operator: str
    operand: Expression
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    left: Expression
    operator: str
    right: Expression
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Logical:
    """`a and b and c` or `a or b or c`."""

    operator: str
    operands: tuple[Expression, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Conditional:
    then: Expression
    condition: Expression
    otherwise: Expression
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Named:
    """`value as name`."""

    value: Expression
    name: Name
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Keyword:
    name: Name
    value: Expression
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """`f(a, b, k=1)`. The callee is dotted for dialects: `monai.DiceLoss`."""

    callee: Name
    arguments: tuple[Expression, ...]
    keywords: tuple[Keyword, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Comprehension:
    """`body for a, b in iterable`, the only argument of a call."""

    body: Expression
    targets: tuple[Name, ...]
    iterable: Expression
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Slice:
    """`start:stop:step` inside an index; missing parts are None."""

    start: Expression | None
    stop: Expression | None
    step: Expression | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Ellipsis:
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Index:
    base: Expression
    items: tuple[IndexItem, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Field:
    base: Expression
    name: Name
    span: Span = field(compare=False, repr=False)


Expression: TypeAlias = (
    Number
    | Text
    | Truth
    | Nothing
    | Name
    | ListOf
    | Sum
    | Product
    | Power
    | Unary
    | Comparison
    | Logical
    | Conditional
    | Named
    | Call
    | Comprehension
    | Index
    | Field
)
IndexItem: TypeAlias = Expression | Slice | Ellipsis

# --- types ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DimNumber:
    value: int
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class DimName:
    """A symbol; `_` is the dimension that may be anything."""

    name: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class DimRest:
    """`*S`, any number of axes; `...` is `*_`."""

    name: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class DimArithmetic:
    """`2*H`, `H//2`, `C - 1`."""

    left: Dimension
    operator: str
    right: Dimension
    span: Span = field(compare=False, repr=False)


Dimension: TypeAlias = DimNumber | DimName | DimRest | DimArithmetic


@dataclass(frozen=True, slots=True)
class KindArgument:
    """`255`, `cxcywh`, `V` or `ignore=255` between the parentheses of a kind."""

    name: Name | None
    value: int | float | str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class KindType:
    """`logits[B, C]`; in a signature several kinds may stand before the shape."""

    kinds: tuple[Name, ...]
    arguments: tuple[KindArgument, ...]
    shape: tuple[Dimension, ...] | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ListType:
    item: TypeExpression
    length: int | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RecordField:
    name: Name
    type: TypeExpression
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RecordType:
    fields: tuple[RecordField, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ModuleType:
    arguments: tuple[TypeExpression, ...]
    result: TypeExpression
    frozen: bool
    span: Span = field(compare=False, repr=False)


TypeExpression: TypeAlias = KindType | ListType | RecordType | ModuleType


@dataclass(frozen=True, slots=True)
class SignatureSlot:
    type: TypeExpression
    optional: bool
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Signature:
    slots: tuple[SignatureSlot, ...]
    result: TypeExpression
    span: Span = field(compare=False, repr=False)


# --- statements -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Input:
    name: Name
    type: TypeExpression
    optional: bool
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Param:
    name: Name
    value: Expression
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class FunctionParameter:
    name: Name
    default: Expression | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Function:
    name: Name
    parameters: tuple[FunctionParameter, ...]
    body: Expression
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Binding:
    name: Name
    value: Expression
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Term:
    """An entry of a loss file's `terms` or `monitor`: logged under its key."""

    name: Name
    value: Expression
    monitored: bool
    span: Span = field(compare=False, repr=False)


Statement: TypeAlias = Input | Param | Function | Binding | Term


@dataclass(frozen=True, slots=True)
class Option:
    """One entry of a loss file's `options`."""

    name: Name
    value: Expression
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Program:
    """A whole loss, from a text or a loss file: declarations, bindings and the result.

    `unread` are the names of statements that could not be read: nothing is known of them, and
    nothing more is said. `brought` are those of other files, which need not all be used.
    """

    statements: tuple[Statement, ...]
    result: Expression
    options: tuple[Option, ...] = ()
    name: str | None = None
    unread: frozenset[str] = frozenset()
    brought: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    span: Span = field(compare=False, repr=False, kw_only=True)


Node: TypeAlias = (
    Expression | IndexItem | Keyword | Statement | FunctionParameter | Program | TypeExpression
)


def children(node: Node) -> Iterator[Node]:
    """The expressions directly below an expression."""
    match node:
        case ListOf(items):
            yield from items
        case Sum(operands) | Product(operands):
            yield from operands
        case Logical(_, operands):
            yield from operands
        case Power(base, exponent):
            yield base
            yield exponent
        case Unary(_, operand):
            yield operand
        case Comparison(left, _, right):
            yield left
            yield right
        case Conditional(then, condition, otherwise):
            yield then
            yield condition
            yield otherwise
        case Named(value, _) | Keyword(_, value):
            yield value
        case Call(_, arguments, keywords):
            yield from arguments
            yield from (keyword.value for keyword in keywords)
        case Comprehension(body, _, iterable):
            yield iterable
            yield body
        case Index(base, items):
            yield base
            yield from items
        case Slice(start, stop, step):
            yield from (part for part in (start, stop, step) if part is not None)
        case Field(base, _):
            yield base
