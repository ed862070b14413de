"""Large and hostile texts are refused early, and harmless large ones are read."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from make import expression, problems, program

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.diagnostics.render import render_all
from lossdsl.source import Source
from lossdsl.syntax import limits
from lossdsl.syntax.formatter import format_program
from lossdsl.syntax.parser import MISTAKES, parse_program

DEEP = limits.DEPTH + 80
MOST_CALLS = 8_000_000
"""What a hostile text may cost: some fifty calls for each of the most tokens."""


@pytest.fixture(autouse=True, scope="module")
def _parser_is_built() -> None:
    expression("x")


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("(" * 50_000 + "x" + ")" * 50_000, "BRACKETS"),
        ("f(" * 50_000 + "x" + ")" * 50_000, "BRACKETS"),
        ("[" * 50_000, "BRACKETS"),
        (" + ".join(["x"] * 100_000), "TOKENS"),
        ("\n" * (limits.TOKENS + 1), "TOKENS"),
        ("x" * (limits.CHARACTERS + 1), "CHARACTERS"),
        ("#" * (limits.CHARACTERS + 1), "CHARACTERS"),
        ("9" * 100_000, "DIGITS"),
        ("-" * DEEP + "x", "DEPTH"),
        ("x" + "**x" * DEEP, "DEPTH"),
        ("not " * DEEP + "x", "DEPTH"),
        ("x if y else " * DEEP + "z", "DEPTH"),
        ("x" + "[0]" * DEEP, "DEPTH"),
        ("x" + ".y" * DEEP, "DEPTH"),
        ("a = " + "-" * DEEP + "x\na", "DEPTH"),
        (f"def f(a={'-' * DEEP}1) = a\nf()", "DEPTH"),
        (f"input p: x[{'+'.join(['B'] * DEEP)}]\np", "DEPTH"),
        (f"input p: {'module() -> ' * DEEP} x\np", "DEPTH"),
    ],
    ids=lambda value: value if len(value) < 12 else value[:12],
)
def test_beyond_a_limit(text: str, limit: str, calls: Callable[..., int]) -> None:
    found = Diagnostics()
    assert calls(lambda: parse_program(Source(text), found)) < MOST_CALLS
    rendered = render_all(found)
    assert [(d.code, d.message) for d in found] == [("E701", limits.message(limit))]
    assert len(rendered) < 1000


@pytest.mark.parametrize(
    "text",
    [
        "(" * limits.BRACKETS + "x" + ")" * limits.BRACKETS,
        "-" * (limits.DEPTH - 1) + "x",
        "x" + ".y" * (limits.DEPTH - 1),
        " + ".join(["x"] * 10_000),
        "*".join(["x"] * 10_000),
        "f(" + ", ".join(["x"] * 10_000) + ")",
        "[" + ", ".join(["1"] * 10_000) + "]",
        " and ".join(["x"] * 10_000),
        "".join(f"a{i} = x\n" for i in range(10_000)) + "x",
    ],
    ids=lambda text: text[:12],
)
def test_within_the_limits(text: str) -> None:
    node = program(text)
    canonical = format_program(Source(text), Diagnostics())
    assert canonical is not None
    assert program(canonical) == node


@pytest.mark.parametrize("text", ["2x\n" * 30_000, "x\n" * 30_000, "2x; " * 30_000])
def test_mistakes_are_counted_not_collected_for_ever(text: str, calls: Callable[..., int]) -> None:
    assert len(problems(text)) == MISTAKES
    assert calls(lambda: problems(text)) < MOST_CALLS


def test_threads_parse_side_by_side() -> None:
    """Each text has its own places, although all threads share one parser."""
    texts = [f"{' ' * i}a{i} = f(x{i}, {i})\n2*a{i} + y{i}" for i in range(40)]
    wrong = [f"{' ' * i}a b{i}" for i in range(40)]

    def read(text: str) -> object:
        found = Diagnostics()
        node = parse_program(Source(text), found)
        if node is None:
            return [(d.code, d.column, d.span.text) for d in found]
        return node, node.result.span.text, node.statements[0].span.text

    alone = [read(text) for text in texts + wrong]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert list(pool.map(read, texts + wrong)) == alone
    assert alone[3][1:] == ("2*a3 + y3", "a3 = f(x3, 3)")  # type: ignore[index]
