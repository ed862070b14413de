"""The canonical text: one spelling for each tree, brackets only where they are needed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from make import (
    a_type,
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
    named,
    node,
    part,
    power,
    program,
    text,
    times,
    unary,
)

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Fragment, Source
from lossdsl.syntax.formatter import WIDTH, format_expression, format_program, format_type
from lossdsl.syntax.parser import parse_expression


def formatted(written: str) -> str:
    found = Diagnostics()
    canonical = format_program(Source(written), found)
    assert found.items == []
    assert canonical is not None
    assert program(canonical) == program(written)
    again = format_program(Source(canonical), found)
    assert again == canonical
    return canonical


# --- expressions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "canonical",
    [
        "0.5*bce(p, y) + dice(p, y) + 0.1*tv(img)",
        "a*focal(p, y) + (1 - a)*dice(p, y)",
        "0.5*bce(p, y) as fg + exp(-s)*focal_dice(p, y) + s + smooth",
        "sum(w*ce(o, y) for o, w in zip(aux, [0.4, 0.2]))",
        "jaccard(q > 0.5, y)",
        "warmup(step, 1000)*w_tv*tv(img)",
        "x[:, 0] + x[..., 1:] + x[:k] + x[:-1] + x[::2] + x[n - 1:] + x[:, none]",
        "out.aux[0] + out['aux']",
        "x - mean(x, over=[0], keepdim=true)",
        "boxes(sigmoid(b), 'cxcywh')",
        "a if c else b if d else e",
        "not a and not (b or c)",
        "a/b/c - (d - e) + (f + g)",
        "-a**-b**2 + (-a)**2 + (a**b)**c + 2**(a*b)",
        "a@b + a*(b*c)",
        "(a < b) == (c < d)",
        "2*(a as t) + (a + b as t) + (a + b)*c",
        "(a as s) as t",
        "(a if b else c)*d + (not a)",
        "monai.DiceLoss(p, y, squared=true)",
        "f() + [] + [1] + x[0]",
        "(1).x + 1[0]",
        "--a*b",
    ],
)
def test_already_canonical(canonical: str) -> None:
    assert format_expression(expression(canonical)) == canonical


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("((a))+(b*c)", "a + b*c"),
        ("(a+b)+c", "(a + b) + c"),
        ("a+(b as t)", "a + b as t"),
        ("a+((b*c) as t)", "a + b*c as t"),
        ("(f)", "f"),
        ("- - a", "--a"),
        ("-(a)**(-b)", "-a**-b"),
        ("a<b", "a < b"),
        ("f(a,k = 1,b,)", "f(a, b, k=1)"),
        ("f((a if b else c),(d as t))", "f(a if b else c, d as t)"),
        ("a . b ( c ) . d", "a.b(c).d"),
        ("x[ 1 : 2 : ]", "x[1:2]"),
        ("x[: :-1,]", "x[::-1]"),
        ("[a,(b),]", "[a, b]"),
        ("µ", "μ"),
        ("a \\\n+ b", "a + b"),
    ],
)
def test_one_spelling(written: str, canonical: str) -> None:
    assert format_expression(expression(written)) == canonical


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("1", "1"),
        ("007", "7"),
        ("1_000_000", "1000000"),
        ("1.", "1.0"),
        (".5", "0.5"),
        ("0.50", "0.5"),
        ("1e-3", "0.001"),
        ("1E-5", "1e-5"),
        ("0.00001", "1e-5"),
        ("2.5e-7", "2.5e-7"),
        ("1e4", "1e4"),
        ("1000.0", "1000.0"),
        ("1e9", "1e9"),
        ("123456.0", "123456.0"),
        ("1e22", "1e22"),
        ("0e5", "0.0"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e308"),
        ("0.1000000000000000055511151231257827", "0.1"),
    ],
)
def test_numbers(written: str, canonical: str) -> None:
    assert format_expression(expression(written)) == canonical
    assert repr(expression(canonical)) == repr(expression(written))


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        ("", "''"),
        ("mean", "'mean'"),
        ("it's", '"it\'s"'),
        ('say "a"', "'say \"a\"'"),
        ("'\"", '"\'\\""'),
        ("a\\b", "'a\\\\b'"),
        ("a\nb\tc", "'a\\nb\\tc'"),
    ],
)
def test_strings(value: str, canonical: str) -> None:
    assert format_expression(text(value)) == canonical
    assert expression(canonical) == text(value)


HOLES: dict[str, Callable[[Any], Any]] = {
    "_ if": lambda x: choice(x, "c", "d"),
    "if _ else": lambda x: choice("c", x, "d"),
    "else _": lambda x: choice("c", "d", x),
    "_ or": lambda x: logical("or", x, "c"),
    "or _": lambda x: logical("or", "c", x),
    "_ and": lambda x: logical("and", x, "c"),
    "and _": lambda x: logical("and", "c", x),
    "not _": lambda x: unary("not", x),
    "_ <": lambda x: compare(x, "<", "c"),
    "< _": lambda x: compare("c", "<", x),
    "_ +": lambda x: add(x, "c"),
    "+ _": lambda x: add("c", x),
    "- _": lambda x: add("c", x, signs="-"),
    "_ as": lambda x: named(x, "c"),
    "_ *": lambda x: times(x, "c"),
    "* _": lambda x: times("c", x),
    "/ _": lambda x: times("c", x, operators="/"),
    "-_": minus,
    "+_": lambda x: unary("+", x),
    "_ **": lambda x: power(x, "c"),
    "** _": lambda x: power("c", x),
    "f(_)": lambda x: call("f", x),
    "f(k=_)": lambda x: call("f", k=x),
    "[_]": lambda x: node([x]),
    "_[0]": lambda x: index(x, 0),
    "x[_]": lambda x: index("c", x),
    "x[_:_]": lambda x: index("c", part(x, x, x)),
    "_.c": lambda x: field(x, "c"),
    "_ for": lambda x: call("f", comprehension(x, "c d", "e")),
    "in _": lambda x: call("f", comprehension("c", "d", x)),
}
"""Every place that an expression can stand in."""

LEAVES: dict[str, Any] = {
    "name": node("a"),
    "word": node("else"),
    "int": node(1),
    "float": node(1e-7),
    "string": text("a"),
    "true": node(True),
    "none": node(None),
    "list": node([]),
}


@pytest.mark.parametrize("outer", HOLES)
def test_every_form_in_every_form(outer: str) -> None:
    """Brackets depend on a form and the form around it: all pairs are all cases."""
    fill = HOLES[outer]
    for leaf in LEAVES.values():
        for whole in [fill(leaf), *(fill(inner(leaf)) for inner in HOLES.values())]:
            written = format_expression(whole)
            assert repr(expression(written)) == repr(whole), written


@pytest.mark.parametrize("form", [form for form in HOLES if form != "x[_:_]"])
def test_forms_nested_deep(form: str) -> None:
    whole = node("a")
    for _ in range(50):
        whole = HOLES[form](whole)
    assert repr(expression(format_expression(whole))) == repr(whole)


@pytest.mark.parametrize("outer", HOLES)
def test_no_bracket_can_be_left_out(outer: str) -> None:
    """Without its brackets the operand would be read otherwise, or not at all."""
    for inner in HOLES.values():
        whole = HOLES[outer](inner(node("a")))
        written = format_expression(whole)
        pairs = [(i, j) for i, j in product(range(len(written)), repeat=2) if i < j]
        for start, end in pairs:
            if written[start] != "(" or written[end] != ")":
                continue
            if start and (written[start - 1].isalnum()):  # a call's
                continue
            shorter = written[:start] + written[start + 1 : end] + written[end + 1 :]
            assert reads_otherwise(shorter, whole), (written, shorter)


def reads_otherwise(written: str, whole: Any) -> bool:
    found = Diagnostics()
    return parse_expression(Fragment.whole(Source(written)), found) != whole


# --- types ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("logits[B,1 ,H, W]", "logits[B, 1, H, W]"),
        ("x[B , 1, H // 2, 2 * W, * S]", "x[B, 1, H//2, 2*W, *S]"),
        ("x[*_, (C-1), (2)*(H+1)]", "x[..., C - 1, 2*(H + 1)]"),
        ("x[A-(B-C), (A-B)-C, A*(B//C)]", "x[A - (B - C), A - B - C, A*(B//C)]"),
        ("loss[ ]", "loss[]"),
        ("labels( ignore = 255 )", "labels(ignore=255)"),
        ("image(-1,+1)", "image(-1, 1)"),
        ("logits | prob[B]", "logits|prob[B]"),
        ("list[ mask[B];4 ]", "list[mask[B]; 4]"),
        ("{ a:real , b:list[x], }", "{a: real, b: list[x]}"),
        ("module( image[B,3] )->score[B]", "module(image[B, 3]) -> score[B]"),
        ("frozen  module()->x", "frozen module() -> x"),
    ],
)
def test_types(written: str, canonical: str) -> None:
    assert format_type(a_type(written)) == canonical
    assert a_type(canonical) == a_type(written)


# --- programs ---------------------------------------------------------------------------------


def test_a_program_in_canonical_form_stays_as_it_is() -> None:
    canonical = """\
# A segmentation loss.

input p: logits[B, 1, H, W]
input y?: mask[B, 1, H, W]  # absent for unlabelled images
input D: frozen module(image[B, 3]) -> score[B]
param w_tv = 0.1
param s = learnable(0.0, min=-5)

# focal for the rare class
def focal_dice(p, y, a=0.5) = a*focal(p, y) + (1 - a)*dice(p, y)
smooth = warmup(step, 1000)*w_tv*tv(img)

0.5*bce(p, y) as fg + exp(-s)*focal_dice(p, y) + s + smooth
# the end
"""
    assert formatted(canonical) == canonical


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("  a  ", "a\n"),
        ("a = 1; b = 2; a + b", "a = 1\nb = 2\na + b\n"),
        ("input  p :  logits\np", "input p: logits\np\n"),
        ("input p ?:logits\np", "input p?: logits\np\n"),
        ("def f( x,y = 1 , )=x\nf(1)", "def f(x, y=1) = x\nf(1)\n"),
        ("loss=a", "loss = a\n"),
        # empty lines
        ("\n\na = 1\n\n\n\nb = 2\nb\n\n", "a = 1\n\nb = 2\nb\n"),
        ("# c\n\n\na", "# c\n\na\n"),
        # comments
        ("#c  \na #d\t\n#e", "#c\na  #d\n#e\n"),
        ("a = 1 # a\n# b\nb = 2\nb", "a = 1  # a\n# b\nb = 2\nb\n"),
        ("a = 1; b = 2 # b\nb", "a = 1\nb = 2  # b\nb\n"),
        ("a # x\n+ b # y\n", "# x\na + b  # y\n"),
        ("# w\nf(\n  a, # x\n\n\n  # y\n  b\n) # z", "# w\n# x\n# y\nf(a, b)  # z\n"),
        ("a = 1\n\nf( # x\n a)", "a = 1\n\n# x\nf(a)\n"),
        # lines that would go on with the one before
        ("a = 1; -b", "a = 1\nloss = -b\n"),
        ("a = 1\n(-b)", "a = 1\nloss = -b\n"),
        ("a = 1; if*b", "a = 1\nloss = if*b\n"),
        ("a = 1; if = 2; a", "a = 1\nif = 2\na\n"),
        ("input p: real; -p", "input p: real\n-p\n"),
        ("-b", "-b\n"),
        # ends of lines
        ("a = 1\r\n# c\r\na\r\n", "a = 1\n# c\na\n"),
        ("a = 1\ra", "a = 1\na\n"),
        ("\ufeffa", "a\n"),
    ],
)
def test_programs(written: str, canonical: str) -> None:
    assert formatted(written) == canonical


def test_a_long_sum_gets_a_line_for_each_term() -> None:
    terms = [f"{i}*loss_number_{i}(prediction, target)" for i in range(4)]
    long = f"{terms[0]} + {terms[1]} - {terms[2]} + {terms[3]}"
    lines = f"{terms[0]}\n    + {terms[1]}\n    - {terms[2]}\n    + {terms[3]}"
    assert formatted(long) == f"{lines}\n"
    assert formatted(f"{long} # c\n# d") == f"{lines}  # c\n# d\n"
    assert formatted(f"q = {long}; q") == f"q = {lines}\nq\n"
    assert formatted(f"param q = {long}; q") == f"param q = {lines}\nq\n"
    assert formatted(f"def f(x) = {long}\nf(1)") == f"def f(x) = {lines}\nf(1)\n"
    assert formatted(f"a = 1; -{long}") == f"a = 1\nloss = -{lines}\n"
    assert formatted(f"2*({long})") == f"2*({long})\n"  # only a statement's own sum


def test_the_width_of_a_line() -> None:
    fits = f"{'a' * (WIDTH - 4)} + b"
    assert formatted(fits) == f"{fits}\n"
    assert formatted(f"a{fits}") == f"a{'a' * (WIDTH - 4)}\n    + b\n"
    assert (
        formatted(f"{fits} # a comment does not count") == f"{fits}  # a comment does not count\n"
    )


@pytest.mark.parametrize("written", ["2x", "a; b", "a = 1", "", "(", "# only a comment"])
def test_a_wrong_program_is_not_formatted(written: str) -> None:
    found = Diagnostics()
    assert format_program(Source(written), found) is None
    assert found.errors
