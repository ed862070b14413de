"""What `grammar/README.md` shows is what the grammar reads."""

from __future__ import annotations

import re

import pytest
from make import a_type, expression, program

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Source
from lossdsl.syntax import grammar, limits
from lossdsl.syntax.formatter import format_expression, format_program
from lossdsl.syntax.parser import parse_signature

PAGE = (grammar.grammar_path().parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```lossdsl\n(.*?)```", PAGE, re.DOTALL)


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def examples(title: str, column: int = 1) -> list[str]:
    """The code in a column of the section's first table, written without `…`."""
    rows = [line for line in section(title).split("\n") if line.startswith("|")][2:]
    cells = [row.split(" | ")[column - 1].strip("| ") for row in rows]
    found = [code for cell in cells for code in re.findall(r"`([^`]+)`", cell)]
    return [code for code in found if "…" not in code]


def test_there_are_programs() -> None:
    assert len(BLOCKS) == 3


@pytest.mark.parametrize("block", BLOCKS)
def test_programs_are_canonical_or_say_how_long_lines_break(block: str) -> None:
    found = Diagnostics()
    text = format_program(Source(block), found)
    assert found.items == []
    assert text == block


@pytest.mark.parametrize("written", examples("Types"))
def test_types(written: str) -> None:
    a_type(written)


@pytest.mark.parametrize("written", examples("Statements"))
def test_statements(written: str) -> None:
    program(f"{written}\nresult")


@pytest.mark.parametrize("written", examples("Expressions"))
def test_expressions(written: str) -> None:
    expression(f"a {written} b" if written[0] in "<>=!" else written)


def test_the_signature() -> None:
    (written,) = re.findall(r"`([^`]*->[^`]*loss[^`]*)`", section("Types"))
    found = Diagnostics()
    assert parse_signature(written, found) is not None
    assert found.items == []


OPERATORS = [
    ("{}**{}", "**"),
    ("-{}", "-x"),
    ("{}*{}", "*"),
    ("{} as t", "as name"),
    ("{} + {}", "+"),
    ("{} < {}", "<"),
    ("not {}", "not"),
    ("{} and {}", "and"),
    ("{} or {}", "or"),
    ("{} if c else {}", "if"),
]
"""A form for each row of the precedence table below the first, as the first operand takes it."""


def test_precedence_is_as_the_table_says() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", section("Expressions"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 12))
    for (_, cell), (_, sign) in zip(rows[1:], OPERATORS, strict=True):
        assert sign in cell
    forms = ["f(x)", *(form for form, _ in OPERATORS)]
    for tighter, looser in ((i, j) for i in range(11) for j in range(1, 11) if i < j):
        inner = forms[tighter].format("a", "b")
        outer = forms[looser]
        bare = outer.format(inner, "z")
        assert expression(bare) == expression(outer.format(f"({inner})", "z")), bare
        assert format_expression(expression(bare)) == bare
        if tighter and outer.startswith("{}"):
            loose = forms[looser].format("a", "b")
            within = forms[tighter].format(f"({loose})", "z")
            assert format_expression(expression(within)) == within


def test_the_words_are_those_of_the_grammar() -> None:
    text = grammar.grammar_path().read_text(encoding="utf-8")
    declared = next(line for line in text.split("\n") if line.startswith("%declare")).split()[1:]
    words = {word.lower() for word in declared} - {"integer"}
    code = " ".join(re.findall(r"`([^`]+)`", section("Words and characters")))
    assert words <= set(code.split())


def test_the_limits_are_those_in_force() -> None:
    text = section("Decided here")
    for limit in (limits.CHARACTERS, limits.TOKENS, limits.BRACKETS, limits.DEPTH, limits.DIGITS):
        assert f"{limit:,} " in text
