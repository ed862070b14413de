"""Whatever YAML does to a text, a mistake in it is underlined where it was written."""

from __future__ import annotations

import pytest

E106 = "E106"  # `$` is no character of the language: exactly it must be underlined
E103 = "E103"  # a missing operator: from one word to the next

PLACES = {
    "plain": "loss: a + ‹$›",
    "plain, more spaces": "loss:    a   +   ‹$›   \n",
    "plain, joined lines": "loss: a\n  + b\n  + ‹$›\n",
    "plain, joined over a blank line": "loss: a\n\n\n  + ‹$›\n",
    "plain, trailing spaces on a joined line": "loss: a   \n      + ‹$›   \n",
    "plain, on the line below": "loss:\n  a + ‹$›",
    "plain, with a comment behind": "loss: a + ‹$› # b + c",
    "plain, nested": "terms:\n  t:\n    a + ‹$›\n",
    "plain, a `#` that is no comment": "loss: a#b\n      + ‹$›",
    "plain, behind wide characters": "loss: 漢字 + ‹$›",
    "plain, behind a character outside the BMP": "name: 😀\nloss: é + ‹$›",
    "single quotes": "loss: 'a + ‹$›'",
    "single quotes, doubled": "loss: 'f(''mean'', ‹$›)'",
    "single quotes, joined lines": "loss: 'a\n\n  + ‹$›'",
    "single quotes, trailing tabs": "loss: 'a \t\n\t + ‹$›'",
    "double quotes": 'loss: "a + ‹$›"',
    "double quotes, escaped letters": 'loss: "\\x61 + \\u0062 + \\U00000063 + ‹$›"',
    "double quotes, escaped quotes": 'loss: "f(\\"mean\\", ‹$›)"',
    "double quotes, escaped space": 'loss: "a\\ +\\t+ ‹$›"',
    "double quotes, the mistake is escaped": 'loss: "a + ‹\\x24›"',
    "double quotes, the mistake is escaped at length": 'loss: "a + ‹\\U00000024›"',
    "double quotes, joined lines": 'loss: "a\n    + ‹$›"',
    "double quotes, continued lines": 'loss: "a \\\n    + b \\\n\n    + ‹$›"',
    "double quotes, a word over two lines": 'loss: "long\\\n  name + ‹$›"',
    "double quotes, blank lines": 'loss: "a\n\n\n + ‹$›"',
    "literal": "loss: |\n  a\n  + ‹$›\n",
    "literal, first line": "loss: |\n  ‹$› + a\n",
    "literal, no end of line": "loss: |\n  a\n  + ‹$›",
    "literal, stripped": "loss: |-\n  a\n  + ‹$›\n\n\nname: x\n",
    "literal, kept": "loss: |+\n  a\n  + ‹$›\n\n\nname: x\n",
    "literal, indented deeper": "loss: |\n        a\n        + ‹$›\n",
    "literal, an indentation indicator": "loss: |2\n      a\n    + ‹$›\n",
    "literal, both indicators": "loss: |1-\n   a\n + ‹$›\n",
    "literal, the other order": "loss: |-1\n   a\n + ‹$›\n",
    "literal, a comment behind the bar": "loss: |  # as blocks\n  a\n  + ‹$›\n",
    "literal, comments in it": "loss: |\n  a   # the first\n  # the second\n  + ‹$›\n",
    "literal, blank lines": "loss: |\n\n\n  a\n\n  + ‹$›\n",
    "literal, a tab in it": "loss: |\n  a\t+\t‹$›\n",
    "folded": "loss: >\n  a\n  + ‹$›\n",
    "folded, stripped": "loss: >-\n  a\n  + b\n  + ‹$›",
    "folded, more indented lines": "loss: >\n  a\n    + b\n  + ‹$›\n",
    "folded, blank lines": "loss: >\n  a\n\n\n  + ‹$›\n",
    "folded, more indented and blank lines": "loss: >\n  a\n\n    + b\n\n    + c\n  + ‹$›\n",
    "folded, an indentation indicator": "loss: >1\n    a\n + ‹$›\n",
    "folded, comments end with their lines": "loss: >\n  a  # the first\n  + ‹$›\n",
    "folded, nested": "losses:\n  g:\n    terms:\n      t: >-\n        a\n        + ‹$›\n",
    "flow": "{loss: a + ‹$›}",
    "flow, nested": "{losses: {g: {loss: a + ‹$›}}}",
    "flow, quoted": '{losses: {g: {loss: "f(a, ‹$›)"}}}',
    "flow, on its own lines": "{\n  name: x,\n  loss: a +\n    ‹$›\n}",
    "behind an anchor": "loss: &x a + ‹$›",
    "behind an anchor, quoted": "loss: &x 'a + ‹$›'",
    "behind an anchor, a block": "loss: &x |\n  a\n  + ‹$›\n",
    "behind an anchor, below it": "loss: &x\n  a + ‹$›\n",
    "reached by an alias": "terms:\n  t: &x a + ‹$›\n  u: *x\n",
    "merged": "losses:\n  g: &g\n    terms: {t: a + ‹$›}\n  d:\n    <<: *g\n    loss: t\n",
    "carriage returns": "name: x\r\nloss: a\r\n  + ‹$›\r\n",
    "carriage returns, literal": "name: x\r\nloss: |\r\n  a\r\n  + ‹$›\r\n",
    "carriage returns, folded": "loss: >\r\n  a\r\n\r\n  + ‹$›\r\n",
    "carriage returns, quoted": 'loss: "a\r\n  + \\\r\n  b + ‹$›"\r\n',
    "carriage returns alone": "name: x\rloss: |\r  a\r  + ‹$›\r",
    "a byte-order mark": "\ufeffloss: a + ‹$›",
    "a document marker": "--- # the loss\nloss: a + ‹$›\n...\n",
    "a directive": "%YAML 1.1\n---\nloss: a + ‹$›\n",
    "an explicit key": "? loss\n: a + ‹$›\n",
    "a function's body": "functions:\n  f(x, y): x + ‹$›\nloss: f(a, b)",
    "a function's head": "functions:\n  f(x, ‹$›): x\nloss: f(a, b)",
    "a function's quoted head": "functions:\n  'f(x, k=''m'', ‹$›)': x\nloss: f(a, b)",
    "a parameter": "params:\n  w: learnable(‹$›)\nloss: f(a, w)",
    "a parameter in a list": "params:\n  w: [1, 0.5, -‹$›]\nloss: f(a, w)",
    "a parameter in a block list": "params:\n  w:\n  - 1\n  - -‹$›\nloss: f(a, w)",
    "an input": "inputs:\n  p: logits[B, ‹$›]\nloss: f(p)",
    "a quoted input in braces": 'inputs: {p: "logits[B, ‹$›]"}\nloss: f(p)',
    "a field of an input": "inputs:\n  out:\n    aux: logits[B, ‹$›]\nloss: f(out.aux)",
    "a binding": "let:\n  q: sigmoid(‹$›)\nloss: f(q)",
    "a monitor": "monitor: {m: 'f(a, ‹$›)'}\nloss: f(a)",
}


@pytest.mark.parametrize("marked", PLACES.values(), ids=PLACES.keys())
def test_a_wrong_character_is_underlined_exactly(marked, check_error):
    check_error(marked, E106)


SPANS = {
    "plain": "loss: a + ‹b c›",
    "plain, over two lines": "loss: a + ‹b\n   c›",
    "single quotes, over two lines": "loss: 'a + ‹b  \n   c›'",
    "double quotes, with escapes": 'loss: "a + ‹b\\x62 \\x63c›"',
    "double quotes, over a continued line": 'loss: "a + ‹b \\\n   c›"',
    "literal, over two lines": "loss: |\n  a + ‹b\n  c›\n",
    "folded, over two lines": "loss: >\n  a + ‹b\n  c›\n",
    "folded, over a comment": "loss: >\n  a + ‹b # first\n  c›\n",
    "wide characters": "loss: 漢 + ‹字 é›",
}


@pytest.mark.parametrize("marked", SPANS.values(), ids=SPANS.keys())
def test_a_range_runs_from_its_first_to_its_last_word(marked, check_error):
    check_error(marked, E103)


def test_lines_and_columns_count_code_points_from_one(check_error):
    found = check_error("\ufeffname: 😀\r\nloss: é*漢 + ‹$›\r\n", "E106")
    assert (found.line, found.column, found.end) == (2, 13, (2, 14))


def test_statements_span_from_key_to_value(read_clean):
    text = "params:\n  w: 0.5\nterms:\n  a: |\n    w*bce(p, y)\n  b: 'dice(p, y)'\n"
    program = read_clean(text).programs[None]
    assert [statement.span.text for statement in program.statements] == [
        "w: 0.5",
        "a: |\n    w*bce(p, y)",
        "b: 'dice(p, y)'",
    ]
    assert program.result.span.text == "a: |\n    w*bce(p, y)\n  b"
    assert [name.span.text for name in program.result.operands] == ["a", "b"]
