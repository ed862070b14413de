"""Each form of an expression, and the tree that it is."""

from __future__ import annotations

import math
from typing import Any

import pytest
from make import (
    REST,
    add,
    call,
    choice,
    compare,
    comprehension,
    expression,
    field,
    index,
    logical,
    minus,
    name,
    named,
    node,
    part,
    power,
    text,
    times,
    unary,
)

from lossdsl.syntax import tree

FORMS: list[tuple[str, Any]] = [
    # literals
    ("2", 2),
    ("0.5", 0.5),
    (".5", 0.5),
    ("2.", 2.0),
    ("1e-3", 1e-3),
    ("1.5E+2", 150.0),
    ("1_000", 1000),
    ("true", True),
    ("false", False),
    ("none", None),
    ("'mean'", text("mean")),
    ('"mean"', text("mean")),
    (r"'it\'s'", text("it's")),
    (r"'a\nb\tc\\d\q'", text("a\nb\tc\\dq")),
    ("''", text("")),
    ("[]", []),
    ("[0.1, 0.9]", [0.1, 0.9]),
    ("[a, [b], ]", ["a", ["b"]]),
    # names
    ("p", "p"),
    ("_x1", "_x1"),
    ("σ", "σ"),
    ("µ", "μ"),  # the micro sign is the letter, as for a keyword of a Python call
    # sums and products are flat
    ("a + b - c", add("a", "b", "c", signs="+-")),
    ("a - (b - c)", add("a", add("b", "c", signs="-"), signs="-")),
    ("(a + b) + c", add(add("a", "b"), "c")),
    ("a*b/c@d", times("a", "b", "c", "d", operators="*/@")),
    ("a*(b*c)", times("a", times("b", "c"))),
    ("a + b*c", add("a", times("b", "c"))),
    ("(a + b)*c", times(add("a", "b"), "c")),
    # signs and powers
    ("-a", minus("a")),
    ("+a", unary("+", "a")),
    ("--a", minus(minus("a"))),
    ("-2", minus(2)),
    ("a - -b", add("a", minus("b"), signs="-")),
    ("-a*b", times(minus("a"), "b")),
    ("-a**2", minus(power("a", 2))),
    ("(-a)**2", power(minus("a"), 2)),
    ("a**-b", power("a", minus("b"))),
    ("a**b**c", power("a", power("b", "c"))),
    ("(a**b)**c", power(power("a", "b"), "c")),
    ("2*x**3*y", times(2, power("x", 3), "y")),
    # comparisons and words
    *((f"a {sign} b", compare("a", sign, "b")) for sign in ("<", "<=", ">", ">=", "==", "!=")),
    ("(a < b) == c", compare(compare("a", "<", "b"), "==", "c")),
    ("a + b < c", compare(add("a", "b"), "<", "c")),
    ("not a", unary("not", "a")),
    ("not a < b", unary("not", compare("a", "<", "b"))),
    ("not not a", unary("not", unary("not", "a"))),
    ("a and b and c", logical("and", "a", "b", "c")),
    ("a or b and not c", logical("or", "a", logical("and", "b", unary("not", "c")))),
    ("(a or b) and c", logical("and", logical("or", "a", "b"), "c")),
    ("a if c else b", choice("a", "c", "b")),
    ("a if c else b if d else e", choice("a", "c", choice("b", "d", "e"))),
    ("(a if c else b) if d else e", choice(choice("a", "c", "b"), "d", "e")),
    ("a or b if c or d else e", choice(logical("or", "a", "b"), logical("or", "c", "d"), "e")),
    # names of terms: looser than `*`, tighter than `+`
    ("0.5*a as fg", named(times(0.5, "a"), "fg")),
    ("a + b*c as t", add("a", named(times("b", "c"), "t"))),
    ("a as s + b as t", add(named("a", "s"), named("b", "t"))),
    ("(a + b) as t", named(add("a", "b"), "t")),
    ("-a as t", named(minus("a"), "t")),
    ("a as t < b", compare(named("a", "t"), "<", "b")),
    ("2*(a as t)", times(2, named("a", "t"))),
    # calls
    ("f()", call("f")),
    ("f(a, b, k=1)", call("f", "a", "b", k=1)),
    ("f(a, b, )", call("f", "a", "b")),
    ("f(k=1, a)", call("f", "a", k=1)),
    ("f(g(x))", call("f", call("g", "x"))),
    ("f(a as t, a + b)", call("f", named("a", "t"), add("a", "b"))),
    ("monai.DiceLoss(p, y)", call("monai.DiceLoss", "p", "y")),
    ("a . b . c ( x )", call("a.b.c", "x")),
    ("sum(w*x for x in xs)", call("sum", comprehension(times("w", "x"), "x", "xs"))),
    (
        "sum(w*ce(o, y) for o, w in zip(aux, [0.4, 0.2]))",
        call(
            "sum",
            comprehension(times("w", call("ce", "o", "y")), "o w", call("zip", "aux", [0.4, 0.2])),
        ),
    ),
    # indices and fields
    ("x[:, 0]", index("x", part(), 0)),
    ("x[..., 1:]", index("x", REST, part(1))),
    ("x[:k]", index("x", part("", "k"))),
    ("x[:-1]", index("x", part("", minus(1)))),
    ("x[1:n - 1:2]", index("x", part(1, add("n", 1, signs="-"), 2))),
    ("x[::2]", index("x", part("", "", 2))),
    ("x[::]", index("x", part())),
    ("x[:, none]", index("x", part(), None)),
    ("x[0,]", index("x", 0)),
    ("x[y]", index("x", "y")),
    ("out['aux']", index("out", text("aux"))),
    ("out.aux", field("out", "aux")),
    ("out.aux[0].x", field(index(field("out", "aux"), 0), "x")),
    ("f(x)[0]", index(call("f", "x"), 0)),
    ("f(x).y", field(call("f", "x"), "y")),
    ("(a + b).y", field(add("a", "b"), "y")),
    ("x.true", field("x", "true")),
    ("a.b*c", times(field("a", "b"), "c")),
    ("-x[0]**2", minus(power(index("x", 0), 2))),
]


@pytest.mark.parametrize(("written", "tree"), FORMS, ids=[written for written, _ in FORMS])
def test_form(written: str, tree: Any) -> None:
    assert expression(written) == node(tree)


def test_whole_numbers_stay_whole() -> None:
    assert expression("1") == expression("1.0")  # as numbers are
    whole, real = expression("1"), expression("1.0")
    assert isinstance(whole, tree.Number)
    assert isinstance(real, tree.Number)
    assert type(whole.value) is int
    assert type(real.value) is float


def test_numbers_are_read_exactly() -> None:
    for digits in ("0.1", "1e-320", "1.7976931348623157e308", repr(math.pi)):
        assert expression(digits) == node(float(digits))
    assert expression("9" * 40) == node(10**40 - 1)


@pytest.mark.parametrize(
    "word",
    ["input", "param", "def", "as", "in", "if", "for", "else", "and", "or", "list", "module"],
)
def test_words_are_names_where_an_operand_stands(word: str) -> None:
    it = name(word)
    assert expression(word) == it
    assert expression(f"{word} + {word}") == add(it, it)
    assert expression(f"f({word}, {word}={word})") == call("f", it, **{word: it})
    assert expression(f"{word}({word})") == call(word, it)
    assert expression(f"{word} as {word}") == named(it, word)
    assert expression(f"{word} if {word} else {word}") == choice(it, it, it)
    assert expression(f"{word} and {word} or {word}") == logical("or", logical("and", it, it), it)
    assert expression(f"f({word} for {word} in {word})") == call("f", comprehension(it, word, it))
    assert expression(f"x.{word}[{word}]") == index(field("x", word), it)


@pytest.mark.parametrize("word", ["true", "false", "none", "not"])
def test_words_of_literals_are_names_of_fields(word: str) -> None:
    assert expression(f"x.{word}.{word}") == field(field("x", word), word)


def test_newlines_in_an_expression_of_a_loss_file_are_spaces() -> None:
    one_line = expression("bce(p, y) + dice(p, y)")
    assert expression("bce(p, y)\n+ dice(p, y)\n") == one_line
    assert expression("\n\nbce(p,\n y) +  # comment\n\n# another\ndice(p, y)") == one_line


def test_ten_thousand_terms() -> None:
    sum_ = expression(" + ".join(f"t{i}" for i in range(10_000)))
    assert isinstance(sum_, tree.Sum)
    assert len(sum_.operands) == len(sum_.signs) == 10_000
    assert sum_.operands[-1] == name("t9999")
