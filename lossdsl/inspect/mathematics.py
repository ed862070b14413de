"""An expression as mathematics, in whatever notation: LaTeX, or Unicode for a terminal.

The walk knows precedence and therefore where brackets stand; a notation knows how each form
looks. Function parameters shadow bindings only in meaning, so names need no scopes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lossdsl.functions import record as functions
from lossdsl.syntax import tree
from lossdsl.types.kinds import KINDS

ANY, OR, AND, NOT, COMPARE, SUM, LARGE, PRODUCT, SIGN, POWER, TIGHT = range(11)
"""How tightly a form binds. `LARGE` is a sum over a comprehension, which takes in a product."""

_REDUCERS = ("sum", "mean", "max", "min")


@dataclass(frozen=True, slots=True)
class Piece:
    """Text and how tightly its outermost form binds."""

    level: int
    text: str


class Notation(Protocol):
    """How each form looks. Texts come in with the brackets that they need."""

    def brackets(self, text: str) -> str: ...
    def number(self, value: int | float) -> Piece: ...
    def name(self, name: str) -> str: ...
    def word(self, text: str) -> str: ...
    def minus(self) -> str: ...
    def times(self, left: str, right: str) -> str: ...
    def matrix_times(self, left: str, right: str) -> str: ...
    def over(self, left: Piece, right: Piece) -> Piece: ...
    def power(self, base: str, exponent: Piece) -> str: ...
    def compare(self, left: str, operator: str, right: str) -> str: ...
    def logical(self, operator: str, parts: Sequence[str]) -> str: ...
    def indicator(self, condition: str) -> str: ...
    def cases(self, rows: Sequence[tuple[str, str]], otherwise: str) -> Piece: ...
    def call(self, head: Head, arguments: Sequence[Piece], keywords: Sequence[str]) -> Piece: ...
    def keyword(self, name: str, value: str) -> str: ...
    def reduce(self, reducer: str, names: str, over: str, body: Piece) -> Piece: ...
    def index(self, base: str, items: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Head:
    """What is called: `own` is a function of the language, else a loss, a user's, a module."""

    name: str
    own: bool
    latex: str | None = None


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes expressions in a notation. `defined` are the functions that the program defines."""

    notation: Notation
    defined: frozenset[str]

    def text(self, node: tree.Expression, least: int = ANY) -> str:
        """`node` where something that binds at least as tightly as `least` must stand."""
        return self._bound(self.piece(node), least)

    def _bound(self, piece: Piece, least: int) -> str:
        return piece.text if piece.level >= least else self.notation.brackets(piece.text)

    def piece(self, node: tree.IndexItem) -> Piece:
        """An expression as a value: a condition in it is 1 or 0."""
        notation = self.notation
        match node:
            case tree.Comparison() | tree.Logical() | tree.Unary("not"):
                return Piece(TIGHT, notation.indicator(self._condition(node).text))
            case tree.Number(value):
                return notation.number(value)
            case tree.Name(name):
                return Piece(TIGHT, notation.name(name))
            case tree.Text(value):
                return Piece(TIGHT, notation.word(value))
            case tree.Truth(value):
                return Piece(TIGHT, notation.word("true" if value else "false"))
            case tree.Nothing():
                return Piece(TIGHT, notation.word("none"))
            case tree.ListOf(items):
                return Piece(TIGHT, f"[{', '.join(map(self.text, items))}]")
            case tree.Sum(operands, signs):
                return Piece(SUM, self._sum(operands, signs))
            case tree.Product():
                return self._product(node)
            case tree.Power(base, exponent):
                text = notation.power(self.text(base, TIGHT), self.piece(exponent))
                return Piece(POWER, text)
            case tree.Unary("-", operand):
                return Piece(SIGN, notation.minus() + self._unsigned(operand, SIGN))
            case tree.Unary(_, operand) | tree.Named(operand):
                return self.piece(operand)
            case tree.Conditional():
                return self._cases(node)
            case tree.Call():
                return self._call(node)
            case tree.Index(base, items):
                inside = ", ".join(map(self._item, items))
                return Piece(TIGHT, notation.index(self.text(base, TIGHT), inside))
            case tree.Field(base, name):
                return Piece(TIGHT, f"{self.text(base, TIGHT)}.{notation.name(name.id)}")
            case tree.Ellipsis():
                return Piece(TIGHT, "...")
            case tree.Slice() | tree.Comprehension():
                return Piece(TIGHT, self._item(node))
        raise TypeError(f"{type(node).__name__} is no expression")

    # --- arithmetic ---

    def _unsigned(self, node: tree.Expression, least: int) -> str:
        """Behind another sign a leading sign needs brackets: `a - (-b)`."""
        piece = self.piece(node)
        if piece.text.startswith(self.notation.minus()):
            return self.notation.brackets(piece.text)
        return self._bound(piece, least)

    def _sum(self, operands: Sequence[tree.Expression], signs: Sequence[str]) -> str:
        parts = [self.text(operands[0], LARGE)]
        for sign, operand in zip(signs[1:], operands[1:], strict=True):
            parts += ["+" if sign == "+" else self.notation.minus().strip()]
            parts += [self._unsigned(operand, LARGE)]
        return " ".join(parts)

    def _product(self, node: tree.Product) -> Piece:
        result = self.piece(node.operands[0])
        for operator, operand in zip(node.operators, node.operands[1:], strict=True):
            if operator == "/":
                result = self.notation.over(result, self.piece(operand))
                continue
            right = self._unsigned(operand, SIGN)
            join = self.notation.times if operator == "*" else self.notation.matrix_times
            result = Piece(PRODUCT, join(self._bound(result, PRODUCT), right))
        return result

    # --- conditions ---

    def _condition(self, node: tree.Expression) -> Piece:
        match node:
            case tree.Comparison(left, operator, right):
                sides = self.text(left, SUM), self.text(right, SUM)
                return Piece(COMPARE, self.notation.compare(sides[0], operator, sides[1]))
            case tree.Logical(operator, operands):
                level = OR if operator == "or" else AND
                parts = [self._bound(self._condition(x), level + 1) for x in operands]
                return Piece(level, self.notation.logical(operator, parts))
            case tree.Unary("not", operand):
                part = self._bound(self._condition(operand), NOT)
                return Piece(NOT, self.notation.logical("not", [part]))
        return self.piece(node)

    def _cases(self, node: tree.Conditional) -> Piece:
        rows = []
        last: tree.Expression = node
        while isinstance(last, tree.Conditional):
            rows.append((self.text(last.then, OR), self._condition(last.condition).text))
            last = last.otherwise
        return self.notation.cases(rows, self.text(last))

    # --- calls ---

    def _call(self, node: tree.Call) -> Piece:
        name = node.callee.id
        arguments, first = node.arguments, node.arguments[0] if node.arguments else None
        if isinstance(first, tree.Comprehension) and name in _REDUCERS:
            names = ", ".join(self.notation.name(target.id) for target in first.targets)
            if len(first.targets) > 1:
                names = f"({names})"
            over = self._over(first.iterable)
            return self.notation.reduce(name, names, over, self.piece(first.body))
        own = None if name in self.defined else functions.find(name)
        if name not in self.defined and own is None and name in KINDS and first is not None:
            # `logits(x)` says how x is read; the value is x.
            return self.piece(first)
        if own is not None and name == "where" and len(arguments) == 3:
            rows = [(self.text(arguments[1]), self._condition(arguments[0]).text)]
            return self.notation.cases(rows, self.text(arguments[2]))
        keywords = [self.notation.keyword(k.name.id, self.text(k.value)) for k in node.keywords]
        head = Head(name, own is not None, own.latex if own is not None else None)
        return self.notation.call(head, [self.piece(x) for x in arguments], keywords)

    def _over(self, iterable: tree.Expression) -> str:
        """Several lists run in step: a tuple of them says it without `zip`."""
        if isinstance(iterable, tree.Call) and iterable.callee.id == "zip":
            return f"({', '.join(map(self.text, iterable.arguments))})"
        return self.text(iterable)

    def _item(self, node: tree.IndexItem) -> str:
        if isinstance(node, tree.Slice):
            parts = [node.start, node.stop] + ([node.step] if node.step is not None else [])
            return ":".join("" if part is None else self.text(part) for part in parts)
        if isinstance(node, tree.Comprehension):
            names = ", ".join(target.id for target in node.targets)
            return f"{self.text(node.body)} for {names} in {self.text(node.iterable)}"
        return self.piece(node).text
