"""Formulas: precedence, names, numbers; LaTeX that TeX reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import lossdsl
from lossdsl import Loss
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.inspect.formula import formula
from lossdsl.inspect.latex import latex
from lossdsl.inspect.latex_notation import variable
from lossdsl.source import Source
from lossdsl.syntax import tree
from lossdsl.syntax.parser import parse_program

Make = Callable[[str], Loss]


def parsed(text: str) -> tree.Program:
    program = parse_program(Source(text), Diagnostics())
    assert program is not None
    return program


def tex(text: str) -> str:
    return latex(parsed(text), "loss").removeprefix(r"\mathcal{L} = ")


def plain(text: str) -> str:
    return formula(parsed(text), "loss").removeprefix("loss = ")


CASES = [
    # arithmetic: brackets only where they mean something
    ("(a + b)*c", r"(a + b)\,c", "(a + b)·c"),
    ("a + b*c", r"a + b\,c", "a\n     + b·c"),
    ("(a*b)*c", r"a\,b\,c", "a·b·c"),
    ("a*(b*c)", r"a\,(b\,c)", "a·(b·c)"),
    ("(a/b)/c", r"\frac{\frac{a}{b}}{c}", "a/b/c"),
    ("a/(b/c)", r"\frac{a}{\frac{b}{c}}", "a/(b/c)"),
    ("a/(b*c)", r"\frac{a}{b\,c}", "a/(b·c)"),
    ("(a + b)/(c - d)", r"\frac{a + b}{c - d}", "(a + b)/(c − d)"),
    ("a/b**2", r"\frac{a}{b^{2}}", "a/b²"),
    ("a*-b", r"a\,(-b)", "a·(−b)"),
    ("f*(a - (b - c))", r"f\,(a - (b - c))", "f·(a − (b − c))"),
    ("f*(a - -b)", r"f\,(a - (-b))", "f·(a − (−b))"),
    ("2*3*x", r"2 \cdot 3\,x", "2·3·x"),
    ("A @ B", r"A \mathbin{@} B", "A @ B"),
    # powers
    ("a**b**c", "a^{b^{c}}", "a^(b^c)"),
    ("(a**b)**c", "(a^{b})^{c}", "(a^b)^c"),
    ("-x**2", "-x^{2}", "−x²"),
    ("(-x)**2", "(-x)^{2}", "(−x)²"),
    ("(a + b)**2", "(a + b)^{2}", "(a + b)²"),
    ("(a/b)**2", r"\left( \frac{a}{b} \right)^{2}", "(a/b)²"),
    ("exp(-s)**2", "(e^{-s})^{2}", "exp(−s)²"),
    ("x**0.5", "x^{0.5}", "x^0.5"),
    ("x**-1", "x^{-1}", "x^(−1)"),
    # numbers
    ("1e-5*x", r"10^{-5}\,x", "1e-5·x"),
    ("2.5e-7*x", r"2.5 \cdot 10^{-7}\,x", "2.5e-7·x"),
    ("x*1.0", r"x \cdot 1", "x·1.0"),
    # functions
    ("exp(-s)*x", r"e^{-s}\,x", "exp(−s)·x"),
    ("exp(x**2)", r"\exp(x^{2})", "exp(x²)"),
    ("exp(a/b)", r"\exp\left(\frac{a}{b}\right)", "exp(a/b)"),
    ("log(1 + exp(x))", r"\log(1 + e^{x})", "log(1 + exp(x))"),
    ("sqrt(abs(x))", r"\sqrt{\left| x \right|}", "√(|x|)"),
    ("norm(x - y)", r"\left\| x - y \right\|", "norm(x − y)"),
    ("maximum(x, 0)", r"\max(x, 0)", "max(x, 0)"),
    ("sigmoid(p)", r"\sigma(p)", "σ(p)"),
    ("logits(x)", "x", "x"),
    ("bce(p, y)", r"\mathrm{bce}(p, y)", "bce(p, y)"),
    ("smooth_l1(p, y)", r"\mathrm{smooth\_l1}(p, y)", "smooth_l1(p, y)"),
    (
        "focal(p, y, gamma=2, reduction='sum')",
        r"\mathrm{focal}(p, y;\ \gamma = 2, \mathit{reduction} = \mathrm{sum})",
        "focal(p, y, γ=2, reduction=sum)",
    ),
    ("mean(x, over=[0, 1])", r"\operatorname{mean}(x;\ \mathit{over} = [0, 1])", None),
    # conditions
    ("(x > 0)*y", r"\left[ x > 0 \right]\,y", "[x > 0]·y"),
    ("x <= y", r"\left[ x \leq y \right]", "[x ≤ y]"),
    ("x != y", r"\left[ x \ne y \right]", "[x ≠ y]"),
    (
        "mean(x, where=(a or b) and not c)",
        r"\operatorname{mean}\left(x;\ \mathit{where} = \left[ (a \vee b) \wedge \neg c \right]"
        r"\right)",
        "mean(x, where=[(a or b) and not c])",
    ),
    (
        "a if x > 0 else b if y else c",
        r"\begin{cases} a & \text{if } x > 0 \\ b & \text{if } y \\ c & \text{otherwise} "
        r"\end{cases}",
        "(a if x > 0 else b if y else c)",
    ),
    (
        "where(x > 0, x, -x)",
        r"\begin{cases} x & \text{if } x > 0 \\ -x & \text{otherwise} \end{cases}",
        "(x if x > 0 else −x)",
    ),
    # comprehensions
    (
        "sum(w*ce(o, y) for o, w in zip(aux, ws))",
        r"\sum_{(o, w) \in (\mathit{aux}, \mathit{ws})} w\,\mathrm{ce}(o, y)",
        "Σ[(o, w) ∈ (aux, ws)] w·ce(o, y)",
    ),
    ("sum(a + b for a in x)", r"\sum_{a \in x} (a + b)", "Σ[a ∈ x] (a + b)"),
    ("sum(a for a in x)*2", r"\left( \sum_{a \in x} a \right) \cdot 2", "(Σ[a ∈ x] a)·2"),
    ("max(a for a in x)", r"\max_{a \in x} a", "max[a ∈ x] a"),
    # indexing and fields
    ("x[:, 0]", "x_{[:, 0]}", "x[:, 0]"),
    ("x[..., 1:]**2", "x_{[..., 1:]}^{2}", "x[..., 1:]²"),
    ("w_tv[0]", r"{w_{\mathrm{tv}}}_{[0]}", "w_tv[0]"),
    ("out.aux[0]", r"{\mathit{out}.\mathit{aux}}_{[0]}", "out.aux[0]"),
    ("x[none, :]", r"x_{[\mathrm{none}, :]}", "x[none, :]"),
]


@pytest.mark.parametrize(("text", "expected", "shown"), CASES)
def test_an_expression(text: str, expected: str, shown: str | None) -> None:
    assert tex(text) == expected
    if shown is not None:
        assert plain(text) == shown


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("p", "p"),
        ("img", r"\mathit{img}"),
        ("alpha", r"\alpha"),
        ("lambda_gp", r"\lambda_{\mathrm{gp}}"),
        ("w_tv", r"w_{\mathrm{tv}}"),
        ("x1", "x_{1}"),
        ("x1_hat", r"x_{1, \mathrm{hat}}"),
        ("a_b_c", "a_{b, c}"),
        ("sigma_alpha", r"\sigma_{\alpha}"),
        ("_x", r"\mathit{\_x}"),
        ("x__y", r"\mathit{x\_\_y}"),
    ],
)
def test_a_name(name: str, expected: str) -> None:
    assert variable(name) == expected


# --- terms ------------------------------------------------------------------------------------


def test_signs_are_those_of_the_terms() -> None:
    assert plain("a - (b - c) - -d").splitlines() == ["a", "     − b", "     + c", "     + d"]
    assert tex("-a + b") == "-a + b"
    assert tex("-2*a") == r"-2\,a"


def test_more_than_three_terms_get_a_line_each() -> None:
    assert tex("a + b + c") == "a + b + c"
    assert latex(parsed("a + b - c + d"), "loss").splitlines() == [
        r"\begin{aligned}",
        r"\mathcal{L} ={}& a \\",
        r"& + b \\",
        r"& - c \\",
        r"& + d",
        r"\end{aligned}",
    ]


def test_a_written_name_stands_with_its_term() -> None:
    assert tex("2*x as near + y") == r"\underbrace{2\,x}_{\mathrm{near}} + y"
    assert plain("2*x as near + y").splitlines() == ["2·x  [near]", "     + y"]


def test_a_binding_that_is_a_term_is_written_out_and_another_explained() -> None:
    text = "q = sigmoid(p)\nsmooth = 0.1*tv(q)\nmse(q, y) + smooth"
    assert plain(text).splitlines() == [
        "mse(q, y)",
        "     + 0.1·tv(q)  [smooth]",
        "  where q = σ(p)",
    ]
    assert r"\underbrace{0.1\,\mathrm{tv}(q)}_{\mathrm{smooth}}" in tex(text)
    assert r"q ={}& \sigma(p)" in tex(text)


def test_a_function_is_defined_below_and_only_where_it_is_used() -> None:
    text = "def f(p, a=2) = a*p\ndef g(p) = p\nf(x) + 1"
    assert "  where f(p, a) = a·p" in plain(text)
    assert "g" not in plain(text)
    assert r"\mathrm{f}(p, a) ={}& a\,p" in tex(text)


def test_a_function_of_the_user_hides_one_of_the_language() -> None:
    text = "def sqrt(x) = x\nsqrt(a)"
    assert r"\mathrm{sqrt}(a)" in tex(text)
    assert plain(text).startswith("sqrt(a)")


def test_the_loss_has_its_name(make: Make) -> None:
    loss = make("function")
    assert loss.formula().startswith("seg = ")
    assert loss.latex().splitlines()[1].startswith(r"\mathcal{L}_{\mathrm{seg}} ={}& ")
    assert lossdsl.compile("mse(x, y)", backend="eager").latex().startswith(r"\mathcal{L} = ")


def test_each_loss_is_explained_once_with_the_formula_of_its_record() -> None:
    loss = lossdsl.compile("mse(x, y) + 2*mse(y, z) + soft_iou(p, m)", backend="eager")
    text = loss.latex(expanded=True)
    records = lossdsl.losses()
    assert text.count(records["mse"].formula) == 1
    assert text.count(records["jaccard"].formula) == 1
    assert r"\mathrm{soft\_iou}(p, y) ={}& " in text
    assert records["mse"].formula not in loss.latex()


# --- TeX reads it -----------------------------------------------------------------------------


def balanced(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    pairs = ((r"\left", r"\right"), (r"\begin", r"\end"))
    counts = [len(re.findall(re.escape(p) + r"(?![a-z])", text)) for pair in pairs for p in pair]
    return depth == 0 and counts[0] == counts[1] and counts[2] == counts[3]


@pytest.mark.parametrize("expanded", [False, True])
def test_braces_and_brackets_are_balanced(expanded: bool, loss: Loss) -> None:
    assert balanced(loss.latex(expanded=expanded))


def test_the_check_of_balance_can_fail() -> None:
    assert balanced(r"\left( \frac{a}{b} \right)")
    for wrong in (r"\frac{a}{b", r"a}{", r"\left( a )", r"\begin{cases} a"):
        assert not balanced(wrong)


@pytest.mark.parametrize("text", [case[0] for case in CASES])
def test_matplotlib_reads_the_formulas(text: str) -> None:
    mathtext = pytest.importorskip("matplotlib.mathtext")
    made = tex(text)
    assert balanced(made)
    # Environments and `\mathbin` are beyond mathtext, and ordinary to TeX.
    if r"\begin" not in made:
        text = made.replace(r"\mathbin{@}", "@")
        mathtext.MathTextParser("path").parse(f"${text}$")


@pytest.mark.parametrize("name", lossdsl.losses())
def test_the_formulas_of_the_catalogue_are_balanced(name: str) -> None:
    assert balanced(lossdsl.losses()[name].formula)


# --- notebooks --------------------------------------------------------------------------------


def test_a_notebook_gets_the_formula(make: Make) -> None:
    loss: Any = make("function")
    bundle = loss._repr_mimebundle_()
    assert bundle["text/plain"] == loss.formula()
    assert bundle["text/latex"] == loss._repr_latex_()
    assert loss._repr_latex_().startswith("$\\displaystyle \\begin{aligned}")
    assert loss._repr_latex_().count("$") == 2


def test_a_param_may_be_called_like_a_method() -> None:
    loss = lossdsl.compile("param formula = 2.0\nformula*mse(x, y)", backend="eager")
    assert loss.formula() == "loss = formula·mse(x, y)"
