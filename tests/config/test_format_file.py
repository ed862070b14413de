"""The formatter's laws: the same losses, nothing else touched, and nothing left to do."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.config.files import read_yaml_text
from lossdsl.config.format_file import format_file
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Source


def formatted(text: str) -> str:
    found = Diagnostics()
    result = format_file(Source(text), found)
    assert found.items == []
    assert result is not None
    return result


def check_laws(text: str) -> str:
    result = formatted(text)
    before, after = (read_yaml_text(each, Diagnostics()) for each in (text, result))
    assert before is not None
    assert after is not None
    assert after.programs == before.programs
    assert formatted(result) == result
    return result


BEFORE = """\
# a file with everything

lossdsl: 1   # the version
name:   seg
inputs:
  p:   logits[B,1,H,W]      # aligned
  'y?':   "mask[B,1]"
  out: {a: mask, 'b': 'labels( ignore = 255 )[B,2]'}
  aux:
    - real[ B ]
    - real[B]


params:
  w_tv: .10
  many: [1e-3,   -.50, 1_000]   # numbers
  mode: mean
  s: learnable(0.0,min = -1)
functions:
  f(p,y,a=.5): a*bce(p,y)+(1-a)*dice(p,y)
  'g(x,m="q")': 'h(x,m="q")'
let:
  q: sigmoid( p )

terms:                          # each term is logged
  fg:   (0.5)*bce(p,y)

  over: exp(-s)*f(p,y)
        +s
  folded:   >-
    warmup(step,1000)

    *w_tv*tv( img )
  literal: |  # a comment here

      a+b -
        c*d

  kept: |+
    a-b

  indented: |2
      a  -b
    +c
  commented: |
    a   +   b   # the overlap stays
    - c
  quoted: "a
     +b"
  single: 'where(a>b,''x'',c)'
monitor: {hard: 'jaccard(q>0.5,y)'}
loss: fg+2*over
options: {reduction: mean,  x: a}
"""

AFTER = """\
# a file with everything

lossdsl: 1   # the version
name:   seg
inputs:
  p:   logits[B, 1, H, W]      # aligned
  'y?':   "mask[B, 1]"
  out: {a: mask, 'b': 'labels(ignore=255)[B, 2]'}
  aux:
    - real[B]
    - real[B]


params:
  w_tv: 0.1
  many: [0.001,   -0.5, 1000]   # numbers
  mode: mean
  s: learnable(0.0, min=-1)
functions:
  f(p, y, a=0.5): a*bce(p, y) + (1 - a)*dice(p, y)
  "g(x, m='q')": "h(x, m='q')"
let:
  q: sigmoid(p)

terms:                          # each term is logged
  fg:   0.5*bce(p, y)

  over: exp(-s)*f(p, y)
        + s
  folded:   >-
    warmup(step, 1000)*w_tv*tv(img)
  literal: |  # a comment here

      a
      + b
      - c*d

  kept: |+
    a - b

  indented: |2
    a
    - b
    + c
  commented: |
    a   +   b   # the overlap stays
    - c
  quoted: "a
     + b"
  single: "where(a > b, 'x', c)"
monitor: {hard: 'jaccard(q > 0.5, y)'}
loss: fg + 2*over
options: {reduction: mean,  x: a}
"""


def test_everything_but_expressions_and_types_stays():
    assert check_laws(BEFORE) == AFTER


def test_line_breaks_stay():
    assert check_laws(BEFORE.replace("\n", "\r\n")) == AFTER.replace("\n", "\r\n")


def test_comments_and_blank_lines_stay():
    found = [re.findall(r"#.*|^\s*$", text, re.M) for text in (BEFORE, formatted(BEFORE))]
    assert len(found[0]) >= 10
    # The blank line inside the folded text joined two of its lines, and is gone with them.
    assert found[0].count("") == found[1].count("") + 1
    assert [line for line in found[0] if line] == [line for line in found[1] if line]


QUOTES = {
    # canonical text that needs quotes gets them; what needs none keeps what it has
    "a string in front": ("loss: ('a')", "loss: \"'a'\""),
    "a list in front": ("loss: sum([a])", "loss: sum([a])"),
    "a bracket in front goes": ("loss: (a)", "loss: a"),
    "a bracket in front stays": ("loss: (a+b)*c", "loss: (a + b)*c"),
    "a sign in front": ("loss: ( -a)", "loss: -a"),
    "needless quotes": ("loss: 'a+b'", "loss: 'a + b'"),
    "needless double quotes": ('loss: "a+b"', 'loss: "a + b"'),
    "escapes": ('loss: "\\x61+b"', 'loss: "a + b"'),
    "escapes in canonical text": ('loss: "\\x61 + b"', 'loss: "\\x61 + b"'),
    "both quotes": ("loss: f( a,'it\\'s', 'x')", "loss: f(a, \"it's\", 'x')"),
    "both quotes, in double": (
        "loss: \"f( a,'it\\\\'s')\"",
        'loss: "f(a, \\"it\'s\\")"',
    ),
    "both quotes, in single": (
        "loss: 'f( a,''it\\''s'', ''x'')'",
        "loss: 'f(a, \"it''s\", ''x'')'",
    ),
    "a colon": ("loss: 'x[0 :2]'", "loss: 'x[0:2]'"),
    "in braces": ("terms: {t: -a, u: 'f(a,b)'}", "terms: {t: -a, u: 'f(a, b)'}"),
    "in braces, many lines": ("{loss: a\n  -b}", "{loss: a\n  - b}"),
    "an anchor": ("terms: {t: &x a-b, u: *x}", "terms: {t: &x a - b, u: *x}"),
    "a merge": (
        "losses:\n  a: &a\n    loss: x-y\n  b: {<<: *a, params: {w: 1}}",
        "losses:\n  a: &a\n    loss: x - y\n  b: {<<: *a, params: {w: 1}}",
    ),
    "an explicit key": (
        "functions:\n  ? f(x,y)\n  : x-y\nloss: f(a,b)",
        "functions:\n  ? f(x, y)\n  : x - y\nloss: f(a, b)",
    ),
    "no end of line": ("loss: |\n  a-b", "loss: |\n  a - b"),
    "blanks at the end": ("loss: |\n  a-b   \n", "loss: |\n  a - b\n"),
    "a sum of one line stays one": ("loss: >\n  a-b-c\n", "loss: >\n  a - b - c\n"),
    "many lines that are no sum": ("loss: >\n  f(a,\n    b)\n", "loss: >\n  f(a, b)\n"),
    "a bracketed sum in a sum": ("loss: |\n  a\n  -(b-c)\n", "loss: |\n  a\n  - (b - c)\n"),
    "a sum with names": ("loss: |\n  a as x\n  -b as y\n", "loss: |\n  a as x\n  - b as y\n"),
    "a string param": ("params: {w: 'a  b'}\nloss: x", "params: {w: 'a  b'}\nloss: x"),
    "a null": ("inputs:\nparams: ~\nloss: a", "inputs:\nparams: ~\nloss: a"),
}


@pytest.mark.parametrize(("text", "result"), QUOTES.values(), ids=QUOTES.keys())
def test_quoting(text, result):
    assert check_laws(text) == result


ERRORS = {
    "YAML": ("loss: @", "E501"),
    "an expression": ("loss: a +", "E104"),
    "a type": ("inputs: {p: '('}\nloss: a", "E102"),
    "a function's head": ("functions:\n  f(2): a\nloss: a", "E101"),
    "a number": ("params: {w: 1e999}\nloss: a", "E112"),
    "in one of several": ("losses: {g: {terms: {a: $}}}", "E106"),
}


@pytest.mark.parametrize(("text", "code"), ERRORS.values(), ids=ERRORS.keys())
def test_a_file_with_mistakes_is_not_formatted(text, code):
    found = Diagnostics()
    assert format_file(Source(text), found) is None
    assert [error.code for error in found] == [code]


# --- the laws on made-up files ----------------------------------------------------------------

ATOMS = st.sampled_from(("p", "w_tv", "0.50", "1e-3", "x[ 0 ]", "f( p,y )", "(a-b)", "-s", "'m'"))
JOINTS = st.sampled_from(("+", " -", "*", " / ", "**", " + ", "\n+ ", "\n  -", " \n *"))


@st.composite
def expressions(draw: st.DrawFn) -> str:
    parts = [draw(ATOMS)]
    for _ in range(draw(st.integers(0, 5))):
        parts += [draw(JOINTS), draw(ATOMS)]
    return "".join(parts)


@st.composite
def values(draw: st.DrawFn) -> str:
    text = draw(expressions())
    style = draw(st.sampled_from(("plain", "'", '"', "|", ">", ">-", "|+")))
    indented = text.replace("\n", "\n      ")
    if style == "'" or (style == "plain" and text[0] == "'"):
        return "'{}'".format(indented.replace("'", "''"))
    if style == "plain":
        return indented
    if style == '"':
        return f'"{indented}"'
    lines = [line.strip() for line in text.split("\n")]
    deeper = draw(st.sampled_from(("", "  ")))
    return f"{style}\n      " + f"\n      {deeper}".join(lines)


@settings(max_examples=300, deadline=None)
@given(st.lists(values(), min_size=1, max_size=4), st.booleans())
def test_laws(texts, wide):
    lines = [f"  t{i}: {text}\n" for i, text in enumerate(texts)]
    text = "# head\nterms:   # all\n" + "\n".join(lines)
    if wide:
        text = text.replace("\n", "\r\n")
    result = check_laws(text)
    assert re.findall(r"#.*", result) == re.findall(r"#.*", text)
    assert re.findall(r"^  t\d:", result, re.M) == re.findall(r"^  t\d:", text, re.M)
    assert ("\r" in result) == wide
