"""Laws of the parser and the formatter, tried on random trees and random damage.

`parse(format(x)) == x`; a formatted text is its own format; layout means nothing; nothing that
is typed in makes the parser raise.
"""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from make import a_type, expression, head, program
from strategies import LAWS, expressions, heads, programs, types

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.diagnostics.render import render_all
from lossdsl.source import Source
from lossdsl.syntax import tree
from lossdsl.syntax.formatter import (
    format_expression,
    format_function_head,
    format_program,
    format_statement,
    format_type,
)
from lossdsl.syntax.grammar import lex
from lossdsl.syntax.parser import parse_program


def exact(node: Any) -> str:
    """The tree with `1` and `1.0` told apart, which are equal numbers."""
    return repr(node)


@LAWS
@given(expressions())
def test_an_expression_survives(node: Any) -> None:
    text = format_expression(node)
    assert "\n" not in text
    assert exact(expression(text)) == exact(node)
    assert format_expression(expression(text)) == text


@LAWS
@given(types())
def test_a_type_survives(node: Any) -> None:
    text = format_type(node)
    assert exact(a_type(text)) == exact(node)
    assert format_type(a_type(text)) == text


@LAWS
@given(heads())
def test_a_function_head_survives(node: Any) -> None:
    assert exact(head(format_function_head(*node))) == exact(node)


def written(node: tree.Program) -> str:
    """A text of the program, not yet canonical."""
    lines = map(format_statement, node.statements)
    return "\n".join([*lines, f"loss = {format_expression(node.result)}"])


def formatted(text: str) -> str:
    found = Diagnostics()
    canonical = format_program(Source(text), found)
    assert found.items == []
    assert canonical is not None
    return canonical


@LAWS
@given(programs())
def test_a_program_survives(node: tree.Program) -> None:
    text = written(node)
    assert exact(program(text)) == exact(node)
    canonical = formatted(text)
    assert exact(program(canonical)) == exact(node)
    assert formatted(canonical) == canonical


@LAWS
@given(programs())
def test_a_program_survives_when_its_result_has_no_name(node: tree.Program) -> None:
    text = "; ".join([*map(format_statement, node.statements), format_expression(node.result)])
    text = text.replace("\n", " ")
    assert exact(program(text)) == exact(node)
    canonical = formatted(text)
    assert exact(program(canonical)) == exact(node)
    assert formatted(canonical) == canonical


# --- layout -----------------------------------------------------------------------------------

_SPACE = [" ", "  ", "\t", " \\\n", " \\\r\n "]
_COMMENT = [" # why\n", "\n# whole line\n\n", "\r\n#\r\n"]
_INSIDE = [*_SPACE, *_COMMENT, "\n", "\r\n", "\n\n"]


def scattered(text: str, random: Any) -> str:
    """The program's tokens with other layout between them, and no other meaning."""
    pieces: list[str] = []
    depth = 0
    for token in lex(text):
        if token.type == "NEWLINE":
            pieces.append(random.choice(["\n", "\n\n\n", ";", " ; ", *_COMMENT]))
            continue
        pieces.append(random.choice(_INSIDE if depth else _SPACE))
        depth += (token in "([{") - (token in ")]}")
        pieces.append(token)
    return "".join(pieces)


def without_comments(text: str) -> str:
    """A formatted program without its comments and empty lines. Its strings hold no `#`."""
    lines = (re.sub(r"\s*#.*", "", line) for line in text.split("\n"))
    return "".join(f"{line}\n" for line in lines if line)


@LAWS
@given(programs().filter(lambda node: "#" not in written(node)), st.randoms())
def test_layout_means_nothing(node: tree.Program, random: Any) -> None:
    text = written(node).replace("\n    ", " ")
    scrambled = scattered(text, random)
    assert exact(program(scrambled)) == exact(node)
    canonical = formatted(scrambled)
    assert formatted(canonical) == canonical
    assert without_comments(canonical) == formatted(text)
    assert canonical.count("#") == scrambled.count("#")
    assert "\n\n\n" not in canonical


# --- damage -----------------------------------------------------------------------------------


def survives(text: str) -> None:
    """Parsing gives a program or says what is wrong and where; rendering works."""
    found = Diagnostics()
    source = Source(text)
    node = parse_program(source, found)
    assert (node is None) == bool(found.errors)
    for diagnostic in found:
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(source.text)
        assert diagnostic.message
    rendered = render_all(found)
    assert rendered.count("error[") == min(len(found.items), 100)
    if node is not None:
        assert exact(program(formatted(text))) == exact(node)


@LAWS
@given(programs(), st.randoms())
def test_damaged_tokens_give_diagnostics(node: tree.Program, random: Any) -> None:
    tokens = [str(token) for token in lex(written(node))]
    for _ in range(random.randint(1, 3)):
        place = random.randrange(len(tokens) + 1)
        match random.choice(["delete", "double", "swap", "insert"]):
            case "delete":
                del tokens[place : place + 1]
            case "double":
                tokens[place:place] = tokens[place : place + 1]
            case "swap":
                tokens[place : place + 2] = reversed(tokens[place : place + 2])
            case "insert":
                extra = "( ) [ ] { } , : ; . = ? | -> // ** + not if else as for in def input"
                tokens.insert(place, random.choice([*extra.split(), "'", "\\", "\n", "#", "²"]))
    survives(" ".join(tokens))


@LAWS
@given(st.text(max_size=40))
def test_any_text_gives_diagnostics(text: str) -> None:
    survives(text)


@LAWS
@given(st.text("ab1.( )[]{},:;=+-*/@<>!'\"#\\\n?|&~\r\t", max_size=40))
def test_any_text_of_the_language_s_characters_gives_diagnostics(text: str) -> None:
    survives(text)
