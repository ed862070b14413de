"""Statements, the lines they take, the comments around them, and what makes a program."""

from __future__ import annotations

from typing import Any

import pytest
from make import (
    NOWHERE,
    a_list,
    add,
    an_input,
    bind,
    call,
    function,
    head,
    kind,
    minus,
    module,
    name,
    node,
    param,
    parameters,
    program,
    statement,
    times,
)

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Source
from lossdsl.syntax import tree
from lossdsl.syntax.parser import split_statements

STATEMENTS: list[tuple[str, Any]] = [
    ("input p: logits[B, 1]", an_input("p", kind("logits", shape=("B", 1)))),
    ("input p:   logits", an_input("p", kind("logits"))),
    ("input y?: labels", an_input("y", kind("labels"), optional=True)),
    ("input aux: list[mask; 4]", an_input("aux", a_list(kind("mask"), 4))),
    ("input D: module(a) -> b", an_input("D", module(kind("a"), to=kind("b")))),
    ("param w = 0.1", param("w", 0.1)),
    ("param s = learnable(0.0, min=-1)", param("s", call("learnable", 0.0, min=minus(1)))),
    ("def f() = 1", function("f", (), 1)),
    (
        "def f(p, y, a=0.5) = a*p + y",
        function("f", parameters("p", "y", a=0.5), add(times("a", "p"), "y")),
    ),
    ("def f(x,) = x", function("f", parameters("x"), "x")),
    ("a = b", bind("a", "b")),
    ("loss = b", bind("loss", "b")),
    # the words that start statements are names in front of anything but a name
    ("input = 1", bind("input", 1)),
    ("param = 1", bind("param", 1)),
    ("def = 1", bind("def", 1)),
    ("as = 1", bind("as", 1)),
    ("input input: input", an_input("input", kind("input"))),
    ("param param = param", param("param", "param")),
    ("def def(def) = def", function("def", parameters("def"), "def")),
]


@pytest.mark.parametrize(("written", "tree"), STATEMENTS, ids=[w for w, _ in STATEMENTS])
def test_statement(written: str, tree: Any) -> None:
    assert statement(written) == tree


def test_a_function_head_alone_as_a_key_of_a_loss_file() -> None:
    assert head("focal_dice(p, y, a=0.5)") == (name("focal_dice"), parameters("p", "y", a=0.5))
    assert head("f()") == (name("f"), ())


def the(*statements: Any, result: Any) -> tree.Program:
    return tree.Program(statements, node(result), span=NOWHERE)


def test_a_bare_expression_is_a_program() -> None:
    assert program("a") == the(result="a")


def test_the_result_may_be_called_loss() -> None:
    assert program("a = 1\nloss = a") == program("a = 1\na") == the(bind("a", 1), result="a")
    assert program("loss = 1\nloss + 1") == the(bind("loss", 1), result=add("loss", 1))


def test_a_program_of_every_statement_in_order() -> None:
    text = "input p: real\nparam w = 1\ndef f(x) = x\nq = f(p)\nw*q"
    assert program(text) == the(
        an_input("p", kind("real")),
        param("w", 1),
        function("f", parameters("x"), "x"),
        bind("q", call("f", "p")),
        result=times("w", "q"),
    )


# --- lines ------------------------------------------------------------------------------------

ONE = the(bind("a", add("x", "y")), result="a")


@pytest.mark.parametrize(
    "text",
    [
        "a = x + y; a",
        ";;a = x + y;;a;",
        "\n\na = x + y\n\n\na\n",
        "a = x +\ny\na",
        "a = x\n+ y\na",
        "a = x\n\n\n   + y\na",
        "a =\nx + y\na",
        "a = (\nx\n+\ny\n)\na",
        "a = (x\n) + y\na",
        "a = x \\\n + y\na",
        "a = x  # why\n# whole line\n+ y\na",
        "a = x + y\r\na\r\n",
        "a = x\r\n+ y\r\na",
        "a = x + y\ra",
        "a = x\r+ y\ra",
        "\ufeffa = x + y\na",
        "\ta\t=\tx\f+ y\n a",
    ],
)
def test_lines_that_make_the_same_two_statements(text: str) -> None:
    assert program(text) == ONE


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ("a *", "b"),
        ("a", "* b"),
        ("a", "/ b"),
        ("a", "@ b"),
        ("a", "** b"),
        ("a **", "b"),
        ("a", "- b"),
        ("a", "< b"),
        ("a", "and b"),
        ("a or", "b"),
        ("a", "as b"),
        ("a as", "b"),
        ("a", "if c else b"),
        ("a if", "c else b"),
        ("a if c", "else b"),
        ("a if c else", "b"),
        ("a", ".b"),
        ("not", "a"),
        ("f(a", ", b)"),
        ("f(", ")"),
        ("f(x", "for x in y)"),
        ("f(x for x", "in y)"),
        ("x[", ":, 0]"),
    ],
)
def test_an_expression_goes_on_where_an_operator_or_bracket_asks_for_it(
    before: str, behind: str
) -> None:
    whole = program(f"{before} {behind}")
    assert program(f"{before}\n{behind}") == whole
    assert program(f"{before} # comment\n\n  # comment\n{behind}") == whole


def test_a_type_is_complete_at_the_end_of_its_line() -> None:
    expected = the(an_input("p", kind("real")), result=minus("p"))
    assert program("input p: real\n-p") == expected
    assert program("input p:\nreal\n-p") == expected


def test_what_looks_like_a_joining_word_may_be_bound_on_the_next_line() -> None:
    assert program("a = 1\nif = 2\nin = 3\na") == the(
        bind("a", 1), bind("if", 2), bind("in", 3), result="a"
    )


def test_a_statement_word_and_a_name_on_two_lines_are_two_statements() -> None:
    assert program("a = input\nb = 1\nb") == the(bind("a", "input"), bind("b", 1), result="b")


# --- comments ---------------------------------------------------------------------------------


def layout(text: str) -> list[tuple[str, list[str], str | None]]:
    """Each statement's tokens, the comments in front of it or in it, and the one behind it."""
    return [
        (
            " ".join(statement.tokens),
            list(map(str, statement.comments)),
            None if statement.trailing is None else str(statement.trailing),
        )
        for statement in split_statements(Source(text), Diagnostics())
    ]


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("# 1\n# 2\na # 3\n# 4\nb", [("a", ["# 1", "# 2"], "# 3"), ("b", ["# 4"], None)]),
        ("a\n# 1", [("a", [], None), ("", ["# 1"], None)]),
        ("# 1", [("", ["# 1"], None)]),
        ("a; b # 1", [("a", [], None), ("b", [], "# 1")]),
        ("a; # 1\nb", [("a", [], "# 1"), ("b", [], None)]),
        ("a # 1\n; # 2\nb", [("a", [], "# 1"), ("b", ["# 2"], None)]),
        ("a # 1\n# 2\n+ b # 3", [("a + b", ["# 1", "# 2"], "# 3")]),
        ("f( # 1\n# 2\nx) # 3\n# 4", [("f ( x )", ["# 1", "# 2"], "# 3"), ("", ["# 4"], None)]),
        ("a #; b", [("a", [], "#; b")]),
        ("'#' # 1", [("'#'", [], "# 1")]),
        ("a # 1\rb", [("a", [], "# 1"), ("b", [], None)]),
    ],
)
def test_comments_stay_with_their_statement(
    text: str, statements: list[tuple[str, list[str], str | None]]
) -> None:
    assert layout(text) == statements
