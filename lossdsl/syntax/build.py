"""Lark's callbacks: each grammar rule makes its node of `tree`, with its span.

The parser calls a method here at every reduction, so there is no parse tree in between and no
recursion. Rules get all their tokens; a node's span runs from its first child to its last.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from lark import Token, Transformer

from lossdsl.source import Fragment, Source, Span
from lossdsl.syntax import tree

Child = Any


class TreeBuilder(Transformer[Token, Any]):
    """Makes tree nodes. `fragment` is the text being parsed: the parser sets it before each run."""

    def __init__(self) -> None:
        super().__init__(visit_tokens=False)
        self.fragment = Fragment.whole(Source(""))

    # --- places ---

    def place(self, token: Token) -> Span:
        return self.fragment.span(token.start_pos or 0, token.end_pos or 0)

    def span_of(self, child: Child) -> Span:
        if isinstance(child, Token):
            return self.place(child)
        if isinstance(child, list):
            return self.around(child)
        span: Span = child.span
        return span

    def around(self, children: list[Child]) -> Span:
        present = [child for child in children if child is not None and child != []]
        return self.span_of(present[0]).to(self.span_of(present[-1]))

    def a_name(self, token: Token) -> tree.Name:
        return tree.Name(str(token), self.place(token))

    # --- statements ---

    def input(self, c: list[Child]) -> tree.Input:
        optional = isinstance(c[2], Token) and c[2].type == "OPTIONAL"
        return tree.Input(self.a_name(c[1]), c[-1], optional, self.around(c))

    def param(self, c: list[Child]) -> tree.Param:
        return tree.Param(self.a_name(c[1]), c[3], self.around(c))

    def function(self, c: list[Child]) -> tree.Function:
        name, parameters = c[1]
        return tree.Function(name, parameters, c[3], self.around([c[0], c[3]]))

    def binding(self, c: list[Child]) -> tree.Binding:
        return tree.Binding(self.a_name(c[0]), c[2], self.around(c))

    def function_head(self, c: list[Child]) -> tuple[tree.Name, tuple[tree.FunctionParameter, ...]]:
        parameters = tuple(x for x in c if isinstance(x, tree.FunctionParameter))
        return self.a_name(c[0]), parameters

    def parameter(self, c: list[Child]) -> tree.FunctionParameter:
        return tree.FunctionParameter(self.a_name(c[0]), c[2], self.around(c))

    # --- expressions ---

    def conditional(self, c: list[Child]) -> tree.Conditional:
        return tree.Conditional(c[0], c[2], c[4], self.around(c))

    def disjunction(self, c: list[Child]) -> tree.Logical:
        return tree.Logical("or", tuple(c[::2]), self.around(c))

    def conjunction(self, c: list[Child]) -> tree.Logical:
        return tree.Logical("and", tuple(c[::2]), self.around(c))

    def negation(self, c: list[Child]) -> tree.Unary:
        return tree.Unary("not", c[1], self.around(c))

    def comparison(self, c: list[Child]) -> tree.Comparison:
        return tree.Comparison(c[0], str(c[1]), c[2], self.around(c))

    def sum(self, c: list[Child]) -> tree.Sum:
        return tree.Sum(tuple(c[::2]), ("+", *map(str, c[1::2])), self.around([c[0], c[-1]]))

    def named(self, c: list[Child]) -> tree.Named:
        return tree.Named(c[0], self.a_name(c[2]), self.around(c))

    def product(self, c: list[Child]) -> tree.Product:
        return tree.Product(tuple(c[::2]), tuple(map(str, c[1::2])), self.around(c))

    def unary(self, c: list[Child]) -> tree.Unary:
        return tree.Unary(str(c[0]), c[1], self.around(c))

    def power(self, c: list[Child]) -> tree.Power:
        return tree.Power(c[0], c[2], self.around(c))

    def call(self, c: list[Child]) -> tree.Call:
        given = c[2] or []
        positional = tuple(x for x in given if not isinstance(x, tree.Keyword))
        keywords = tuple(x for x in given if isinstance(x, tree.Keyword))
        return tree.Call(self.callee(c[0]), positional, keywords, self.around([c[0], c[-1]]))

    def callee(self, node: tree.Name | tree.Field) -> tree.Name:
        """The called name; the fields of `a.b.c` become one dotted name."""
        if isinstance(node, tree.Name):
            return node
        parts = []
        base: Child = node
        while isinstance(base, tree.Field):
            parts.append(base.name.id)
            base = base.base
        return tree.Name(".".join([base.id, *reversed(parts)]), node.span)

    def arguments(self, c: list[Child]) -> list[Child]:
        return [x for x in c if not isinstance(x, Token)]

    def comprehension(self, c: list[Child]) -> list[Child]:
        return [tree.Comprehension(c[0], c[2], c[4], self.around([c[0], c[4]]))]

    def targets(self, c: list[Child]) -> tuple[tree.Name, ...]:
        return tuple(self.a_name(x) for x in c[::2])

    def keyword(self, c: list[Child]) -> tree.Keyword:
        return tree.Keyword(self.a_name(c[0]), c[2], self.around(c))

    def index(self, c: list[Child]) -> tree.Index:
        items = tuple(x for x in c[2:-1] if not isinstance(x, Token))
        return tree.Index(c[0], items, self.around(c))

    def field(self, c: list[Child]) -> tree.Field:
        return tree.Field(c[0], self.a_name(c[2]), self.around(c))

    def ellipsis(self, c: list[Child]) -> tree.Ellipsis:
        return tree.Ellipsis(self.place(c[0]))

    def slice(self, c: list[Child]) -> tree.Slice:
        start, _, stop, step = c
        has_step = step is not None
        inside = [x for x in (start, c[1], stop) if x is not None]
        end = step[1] if has_step and step[1] is not None else inside[-1]
        return tree.Slice(start, stop, step[1] if has_step else None, self.around([inside[0], end]))

    def slice_step(self, c: list[Child]) -> tuple[Token, Child]:
        return c[0], c[1]

    def number(self, c: list[Child]) -> tree.Number:
        return tree.Number(read_number(c[0]), self.place(c[0]))

    def text(self, c: list[Child]) -> tree.Text:
        return tree.Text(read_string(c[0]), self.place(c[0]))

    def true(self, c: list[Child]) -> tree.Truth:
        return tree.Truth(True, self.place(c[0]))

    def false(self, c: list[Child]) -> tree.Truth:
        return tree.Truth(False, self.place(c[0]))

    def none(self, c: list[Child]) -> tree.Nothing:
        return tree.Nothing(self.place(c[0]))

    def name(self, c: list[Child]) -> tree.Name:
        return self.a_name(c[0])

    def group(self, c: list[Child]) -> Child:
        """Brackets leave no node; the place of what they hold grows to include them."""
        return dataclasses.replace(c[1], span=self.around([c[0], c[2]]))

    def list_of(self, c: list[Child]) -> tree.ListOf:
        items = tuple(x for x in c[1:-1] if x is not None and not isinstance(x, Token))
        return tree.ListOf(items, self.around([c[0], c[-1]]))

    # --- types ---

    def kind_type(self, c: list[Child]) -> tree.KindType:
        kinds = c[0]
        arguments: tuple[tree.KindArgument, ...] = ()
        shape: tuple[tree.Dimension, ...] | None = None
        end = kinds[-1].span
        for part, span in c[1:]:
            end = span
            if part and isinstance(part[0], tree.KindArgument):
                arguments = part
            else:
                shape = part
        return tree.KindType(kinds, arguments, shape, kinds[0].span.to(end))

    def kinds(self, c: list[Child]) -> tuple[tree.Name, ...]:
        return tuple(self.a_name(x) for x in c[::2])

    def kind_arguments(self, c: list[Child]) -> tuple[tuple[tree.KindArgument, ...], Span]:
        arguments = tuple(x for x in c if isinstance(x, tree.KindArgument))
        return arguments, self.around([c[0], c[-1]])

    def kind_number(self, c: list[Child]) -> tree.KindArgument:
        name = self.a_name(c[0]) if c[0] is not None else None
        value = read_number(c[-1])
        if any(isinstance(x, Token) and x == "-" for x in c):
            value = -value
        return tree.KindArgument(name, value, self.around(c))

    def kind_word(self, c: list[Child]) -> tree.KindArgument:
        return tree.KindArgument(None, str(c[0]), self.place(c[0]))

    def shape(self, c: list[Child]) -> tuple[tuple[tree.Dimension, ...], Span]:
        dimensions = tuple(x for x in c[1:-1] if x is not None and not isinstance(x, Token))
        return dimensions, self.around([c[0], c[-1]])

    def list_type(self, c: list[Child]) -> tree.ListType:
        length = next((x for x in c if isinstance(x, Token) and x.type == "INTEGER"), None)
        size = None if length is None else int(read_number(length))
        return tree.ListType(c[2], size, self.around([c[0], c[-1]]))

    def record_type(self, c: list[Child]) -> tree.RecordType:
        fields = tuple(x for x in c if isinstance(x, tree.RecordField))
        return tree.RecordType(fields, self.around([c[0], c[-1]]))

    def record_field(self, c: list[Child]) -> tree.RecordField:
        return tree.RecordField(self.a_name(c[0]), c[2], self.around(c))

    def module_type(self, c: list[Child]) -> tree.ModuleType:
        frozen = c[0] is not None and c[0].type == "FROZEN"
        types = [x for x in c if x is not None and not isinstance(x, Token)]
        return tree.ModuleType(tuple(types[:-1]), types[-1], frozen, self.around(c))

    def dim_rest(self, c: list[Child]) -> tree.DimRest:
        name = str(c[1]) if len(c) > 1 else "_"
        return tree.DimRest(name, self.around(c))

    def dim_arithmetic(self, c: list[Child]) -> tree.DimArithmetic:
        return tree.DimArithmetic(c[0], str(c[1]), c[2], self.around(c))

    def dim_number(self, c: list[Child]) -> tree.DimNumber:
        return tree.DimNumber(int(read_number(c[0])), self.place(c[0]))

    def dim_name(self, c: list[Child]) -> tree.DimName:
        return tree.DimName(str(c[0]), self.place(c[0]))

    def signature(self, c: list[Child]) -> tree.Signature:
        slots = tuple(x for x in c if isinstance(x, tree.SignatureSlot))
        return tree.Signature(slots, c[-1], self.around(c))

    def slot(self, c: list[Child]) -> tree.SignatureSlot:
        return tree.SignatureSlot(c[0], len(c) > 1 and c[1] is not None, self.around(c))


def read_number(token: Token) -> int | float:
    text = token.replace("_", "")
    return int(text) if text.isdigit() else float(text)


_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t"}


def read_string(token: Token) -> str:
    """The text between the quotes; `\\n` and `\\t` as usual, any other `\\x` is `x`."""
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), token[1:-1])
