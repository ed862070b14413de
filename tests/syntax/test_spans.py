"""Every node knows its place: the text there is the node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from make import a_type, expression, program
from strategies import LAWS, expressions, types

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Fragment, Source
from lossdsl.syntax import tree
from lossdsl.syntax.formatter import format_expression, format_type
from lossdsl.syntax.parser import parse_expression, parse_program

FEWER = settings(LAWS, max_examples=80)

PROGRAM = """\
input p:   logits[B, 2*(H + 1)]
param s = learnable( 0.0, min = -(1) )
def f(x, a=(0.5)) = (a)*x[(1):, ::(2), ...]
q = ( (p) + f(p) ) as t
(sum(( w )*q.x for w in [1, (2)]) + -(q)**(2)) if not (true) else ('a')
"""


def below(node: Any) -> Iterator[Any]:
    """A node and all nodes in it."""
    if isinstance(node, tuple):
        for item in node:
            yield from below(item)
    elif hasattr(node, "span"):
        yield node
        for name in node.__slots__:
            if name != "span":
                yield from below(getattr(node, name))


def read_again(node: Any) -> Any:
    """The node that the text of a node's place is, read as what the node is."""
    text = node.span.text
    match node:
        case tree.Program():
            return program(text)
        case tree.Input() | tree.Param() | tree.Function() | tree.Binding():
            return program(f"{text}\nresult").statements[0]
        case tree.KindType() | tree.ListType() | tree.RecordType() | tree.ModuleType():
            return a_type(text)
        case tree.DimNumber() | tree.DimName() | tree.DimRest() | tree.DimArithmetic():
            return a_type(f"kind[{text}]").shape[0]
        case tree.KindArgument():
            return a_type(f"kind({text})").arguments[0]
        case tree.RecordField():
            return a_type(f"{{{text}}}").fields[0]
        case tree.FunctionParameter():
            return program(f"def f({text}) = 1\nresult").statements[0].parameters[0]
        case tree.Keyword():
            return expression(f"f({text})").keywords[0]
        case tree.Comprehension():
            return expression(f"f({text})").arguments[0]
        case tree.Slice() | tree.Ellipsis():
            return expression(f"x[{text}]").items[0]
        case tree.Name() if "." in node.id:
            return expression(f"{text}()").callee
        case tree.Name() if text in ("true", "false", "none", "not"):  # a field, a kind
            return expression(f"x.{text}").name
        case _:
            return expression(text)


def test_the_place_of_every_node_of_a_program_holds_its_text() -> None:
    nodes = list(below(program(PROGRAM)))
    kinds = {type(node).__name__ for node in nodes}
    assert {"Sum", "Slice", "Keyword", "DimArithmetic", "FunctionParameter"} <= kinds
    for node in nodes:
        assert read_again(node) == node


@FEWER
@given(expressions())
def test_the_place_of_every_node_of_an_expression_holds_its_text(node: Any) -> None:
    for part in below(expression(format_expression(node))):
        assert read_again(part) == part


@FEWER
@given(types())
def test_the_place_of_every_node_of_a_type_holds_its_text(node: Any) -> None:
    for part in below(a_type(format_type(node))):
        assert read_again(part) == part


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("(a)", "(a)"),
        ("((a + b))", "((a + b))"),
        ("(a) + (b)", "(a) + (b)"),
        (" ( f ( x ) ) ", "( f ( x ) )"),
        ("(x)[0]", "(x)[0]"),
        ("# 1\na # 2\n", "a"),
        ("f(\nx\n)\n", "f(\nx\n)"),
    ],
)
def test_brackets_belong_to_the_place(text: str, place: str) -> None:
    assert program(text).result.span.text == place


def test_an_operand_in_brackets_has_them_in_its_place() -> None:
    total = program("(a + b)*c").result
    assert isinstance(total, tree.Product)
    assert total.operands[0].span.text == "(a + b)"
    size = a_type("x[2*(H + 1)]")
    assert isinstance(size, tree.KindType)
    assert size.shape is not None
    assert size.shape[0].right.span.text == "(H + 1)"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lines_and_columns_count_from_one_in_characters(newline: str, mark: str) -> None:
    text = mark + newline.join(["a = 1", "σσ = '損' + €", "", "b ="])
    found = Diagnostics()
    assert parse_program(Source(text), found) is None
    euro, end = found.errors
    assert (euro.line, euro.column, euro.end) == (2, 12, (2, 13))
    assert (end.line, end.column, end.end) == (4, 3, (4, 4))


def test_a_name_is_normalised_and_its_place_is_as_written() -> None:
    micro = expression("1 + µ").operands[1]
    assert (micro.id, micro.span.text) == ("μ", "µ")
    assert (micro.span.start, micro.span.end) == (4, 5)


def test_places_in_a_text_that_was_unfolded() -> None:
    source = Source('loss: "a \\u002b b"')
    characters = [(7, 8), (8, 9), (9, 15), (15, 16), (16, 17)]
    starts, ends = zip(*characters, strict=True)
    node = parse_expression(Fragment("a + b", source, starts, ends), Diagnostics())
    assert isinstance(node, tree.Sum)
    assert node.span.text == "a \\u002b b"
    assert [x.span.text for x in node.operands] == ["a", "b"]
