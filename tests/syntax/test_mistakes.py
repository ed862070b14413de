"""What is said about a wrong program: the code and the smallest text at fault.

In the table the text at fault stands between `‹` and `›`.
"""

from __future__ import annotations

import pytest
from make import problems

from lossdsl.diagnostics.diagnostic import Diagnostic, Diagnostics
from lossdsl.source import Fragment, Source
from lossdsl.syntax.parser import parse_expression, parse_program, parse_type

MISTAKES: list[tuple[str, str]] = [
    # brackets
    ("E102", "‹(›1"),
    ("E102", "‹[›1, 2"),
    ("E102", "1‹)›"),
    ("E102", "f(x‹]›"),
    ("E102", "f(x)‹)›"),
    ("E102", "input p: logits‹[›B"),
    # operators that are missing
    ("E103", "‹a b›"),
    ("E103", "‹2x›"),
    ("E103", "‹2(›x + 1)"),
    ("E103", "f(x‹)(›y)"),
    ("E103", "(a + b‹)(›c + d)"),
    ("E103", "x[0‹](›y)"),
    ("E103", "f(a ‹b›)"),
    ("E103", "f(g(a) ‹b›)"),
    ("E103", "f(‹2 x›)"),
    ("E103", "[a ‹b›]"),
    ("E103", "x as ‹a b›"),
    ("E103", "‹3j›"),
    # operands that are missing
    ("E104", "a ‹+›"),
    ("E104", "‹*› a"),
    ("E104", "a ‹*› * b"),
    ("E104", "a ‹+› / b"),
    ("E104", "a ‹and›"),
    ("E104", "a ‹and› or b"),
    ("E104", "‹not›"),
    ("E104", "a ‹-›\n"),
    ("E104", "a if b ‹else›"),
    ("E104", "a ‹if› b"),
    ("E104", "f(a ‹if› b)"),
    ("E104", "f(x,‹,›y)"),
    ("E104", "f(‹,›x)"),
    ("E104", "x[‹,›1]"),
    ("E104", "f(a=‹)›"),
    ("E104", "x[‹]›"),
    ("E104", "(‹)›"),
    ("E104", "‹.›x"),
    ("E104", "x‹.›"),
    ("E104", "x‹.›.y"),
    ("E104", "f(x ‹for› in y)"),
    ("E104", "x ‹=›"),
    ("E104", "‹=› x"),
    ("E104", "def f(x‹)›"),
    ("E107", "f(‹*›args)"),
    # strings, characters, numbers
    ("E105", "f(‹'›a, b)"),
    ("E105", '‹"›abc'),
    ("E105", "'it's‹'›"),
    ("E105", "f(g('a', ‹'›b))"),
    ("E106", "a ‹×› b"),
    ("E106", "a ‹−› b"),
    ("E106", "a ‹%› b"),
    ("E106", "a ‹^› 2"),
    ("E106", "a ‹&&› b"),
    ("E106", "‹!›a"),
    ("E106", "x‹²› + 1"),
    ("E106", "‹½›*x"),
    ("E106", "x‹\u00a0›+ y"),
    ("E106", "f‹（›x）"),
    ("E106", "a‹\\›b"),
    ("E106", "‹`›x`"),
    ("E112", "‹1.2.3›"),
    ("E112", "‹1e›"),
    ("E112", "‹1.5e›+x"),
    ("E112", "‹0x1F›"),
    ("E112", "‹1e999›"),
    # habits of other languages
    ("E107", "‹import› torch"),
    ("E107", "‹return› x"),
    ("E107", "‹while› x"),
    ("E107", "‹class› A"),
    ("E107", "‹if› a: b"),
    ("E107", "‹for› x in y: f(x)"),
    ("E107", "‹lambda› x: x"),
    ("E107", "f(‹lambda› x: x)"),
    ("E107", "a ‹is› b"),
    ("E107", "a ‹in› b"),
    ("E107", "a ‹not in› b"),
    ("E107", "x == ‹True›"),
    ("E107", "f(x, reduction=‹None›)"),
    ("E107", "‹f›'abc'"),
    ("E107", "‹'a' 'b'›"),
    ("E107", '‹"""doc"›""'),
    ("E107", "a ‹+=› b"),
    ("E107", "a ‹**=› b"),
    ("E107", "q ‹:=› 1"),
    ("E107", "‹let› q = 1"),
    ("E107", "a ‹<>› b"),
    ("E107", "a ‹=>› b"),
    ("E107", "a ‹===› b"),
    ("E107", "a ‹|› b"),
    ("E107", "a ‹?› b : c"),
    ("E107", "a ‹//› b"),
    ("E107", "‹{›a: b}"),
    ("E107", "(a‹,› b)"),
    ("E107", "a‹,› b = c"),
    ("E107", "f(x).‹sum›()"),
    ("E107", "def f(x)‹:› return x"),
    ("E107", "[x ‹for› x in y]"),
    ("E107", "x ‹for› x in y"),
    ("E107", "f(x ‹for› x in y, z)"),
    ("E107", "f(z, x ‹for› x in y)"),
    ("E107", "f(x for x in y ‹if› x > 0)"),
    # statements
    ("E101", "‹input› 3: logits"),
    ("E101", "‹param› 1 = 2"),
    ("E101", "p‹:› logits[B]"),
    ("E101", "param ‹w›"),
    ("E101", "param w‹:› 0.1"),
    ("E101", "def ‹f› = x"),
    ("E101", "def f(‹1›) = x"),
    ("E101", "f(x) ‹=› 3"),
    ("E101", "a.‹b› = 1"),
    ("E101", "‹true› = 1"),
    ("E101", "param ‹none› = 1"),
    ("E101", "input ‹true›: mask"),
    ("E101", "def ‹not›(x) = x"),
    ("E101", "def f(‹false›) = x"),
    ("E101", "f(‹none›=1)"),
    ("E101", "x as ‹none›"),
    ("E110", "a = b ‹=› c"),
    ("E110", "f(a.b‹=›1)"),
    ("E110", "(a ‹=› b)"),
    ("E108", "‹x›; y"),
    ("E108", "‹f(x)›\ny = 1\ny"),
    ("E109", "‹x = 1›"),
    ("E109", "‹input p: logits›"),
    ("E109", "‹›"),
    ("E109", "‹# nothing\n›"),
    # other things that do not fit
    ("E101", "a < b ‹<› c"),
    ("E101", "x ‹else› y"),
    ("E101", "a if b else c ‹else› d"),
    ("E101", "x[1:2:3‹:›4]"),
    ("E101", "x as ‹1›"),
    ("E101", "x as ‹'fg'›"),
    ("E101", "x ‹as›"),
    ("E101", "x as a‹.›b"),
    ("E101", "x‹.1›"),
    ("E101", "x.‹'a'›"),
    ("E101", "f(x for ‹1› in y)"),
    ("E101", "f(x for ‹x› y)"),
    ("E101", "f(x‹;› y)"),
    ("E101", "a ‹->› b"),
    ("E101", "‹:›"),
    # types
    ("E111", "input ‹p›"),
    ("E111", "input p ‹logits›[B]"),
    ("E111", "input p‹,› q: logits"),
    ("E111", "input p ‹=› 3"),
    ("E111", "input p‹:›"),
    ("E111", "input p: ‹'x'›"),
    ("E111", "input p: logits[B, ‹-›1]"),
    ("E111", "input p: logits[B, ‹1.5›]"),
    ("E111", "input p: logits[B ‹C›]"),
    ("E111", "input p: logits[2‹H›]"),
    ("E111", "input p: logits[‹*›]"),
    ("E111", "input p: logits[‹**›S]"),
    ("E111", "input p: logits[B]‹[›C]"),
    ("E111", "input p: logits[B] ‹+› 1"),
    ("E111", "input p: list[mask; ‹1.5›]"),
    ("E111", "input p: list[mask; ‹n›]"),
    ("E111", "input p: labels(‹)›"),
    ("E111", "input p: labels(ignore=‹x›)"),
    ("E111", "input p: {a ‹logits›}"),
    ("E111", "input p: {‹}›"),
    ("E111", "input p: module(image‹)›"),
    ("E111", "input p: module(image) ‹->›"),
    ("E111", "input p: image ‹->› score"),
    ("E111", "input p: frozen ‹image›"),
    ("E104", "input p: logits[B,‹,›C]"),
]


def unmarked(marked: str) -> tuple[str, str]:
    """The text, and the part of it between the marks."""
    before, rest = marked.split("‹")
    fault, behind = rest.split("›")
    return before + fault + behind, fault


@pytest.mark.parametrize(("code", "marked"), MISTAKES, ids=[marked for _, marked in MISTAKES])
def test_one_mistake_gives_one_message_at_its_place(code: str, marked: str) -> None:
    text, fault = unmarked(marked)
    found = Diagnostics()
    assert parse_program(Source(text), found) is None
    (diagnostic,) = found
    assert (diagnostic.code, diagnostic.span.text) == (code, fault)
    assert diagnostic.span.start == marked.index("‹")
    assert not diagnostic.message.endswith(".")


def the_error(text: str) -> Diagnostic:
    found = Diagnostics()
    parse_program(Source(text), found)
    (diagnostic,) = found
    return diagnostic


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("2x", "an operator is missing between `2` and `x`", "write `2*x` for a product"),
        (
            "2(x)",
            "an operator is missing between `2` and `(`",
            "put `*` between them for a product",
        ),
        ("f(a b)", "a `,` or an operator is missing before `b`", "separate them: `a, b`"),
        ("a is not b", "the language has no `is`", "compare with `!=`"),
        ("x == True", "`True` is Python", "write `true`"),
        ("a != = b", "`=` binds a name; it does not compare", "write `==` to compare"),
        ("a === b", "the language has no `===`", "write `==`"),
        ("f(x).sum()", "values have no methods", "write `sum(x)`"),
        ("x²", "the language has no `²`", "write `**2`"),
        ("x\u00a0+ y", "the language has no no-break space (U+00A0)", "write a plain space"),
        ("x\x00", "the language has no control character (U+0000)", None),
        ("'abc", "this string is not closed on its line", "add `'`"),
        ("(1", "this `(` is never closed", "add `)` where the group ends"),
        ("p: logits", "`p: …` declares nothing", "write `input p: …`"),
        (
            "input p",
            "`:` and a type are missing behind `p`",
            "write `input p: …`, one input a line",
        ),
        ("input p: a[2H]", "`*` is missing", "write `2*H`"),
        (
            "return x",
            "`return` is Python: the language has no such statement",
            "the last line is the result: leave `return` out",
        ),
    ],
)
def test_the_words_of_a_message(text: str, message: str, help: str | None) -> None:
    diagnostic = the_error(text)
    assert (diagnostic.message, diagnostic.help) == (message, help)


def test_a_bracket_that_does_not_match_shows_its_partner() -> None:
    diagnostic = the_error("f(x]")
    assert [(label.span.text, label.text) for label in diagnostic.labels] == [("(", "opened here")]


def test_every_statement_s_mistake_is_found() -> None:
    text = "input p logits\na = 2x\nb = a\n+\n\nc = f(a b)\nd = $\nd"
    assert problems(text) == [
        ("E111", "logits"),
        ("E103", "2x"),
        ("E104", "+"),
        ("E103", "b"),
        ("E106", "$"),
    ]


def test_a_statement_that_is_right_is_not_reported_with_its_neighbours() -> None:
    assert problems("a = 1\nb = 2x\nc = 3\nd = 4y\nd") == [("E103", "2x"), ("E103", "4y")]


def test_a_long_word_is_cut_in_the_message_and_whole_in_the_place() -> None:
    word = "x" * 10_000
    diagnostic = the_error(f"a {word}")
    assert len(diagnostic.message) < 120
    assert diagnostic.span.text == f"a {word}"


@pytest.mark.parametrize(
    ("text", "code", "fault"),
    [
        ("", "E109", ""),
        ("  \n# only a comment", "E109", "  \n# only a comment"),
        ("a; b", "E101", ";"),
    ],
)
def test_an_expression_that_is_none(text: str, code: str, fault: str) -> None:
    found = Diagnostics()
    assert parse_expression(Fragment.whole(Source(text)), found) is None
    assert [(d.code, d.span.text) for d in found] == [(code, fault)]


def test_a_statement_is_no_expression() -> None:
    found = Diagnostics()
    assert parse_expression(Fragment.whole(Source("a = b")), found) is None
    assert [(d.code, d.span.text) for d in found] == [("E110", "=")]


def test_a_type_that_is_none() -> None:
    found = Diagnostics()
    assert parse_type(Fragment.whole(Source("logits[B, 1.5]")), found) is None
    assert [(d.code, d.span.text) for d in found] == [("E111", "1.5")]


def test_problems_of_another_text_do_not_spoil_this_one() -> None:
    found = Diagnostics()
    assert parse_program(Source("2x"), found) is None
    assert parse_program(Source("2*x"), found) is not None
