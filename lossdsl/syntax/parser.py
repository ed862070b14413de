"""Text to tree. The only entry to the grammar; nothing above this folder sees lark."""

from __future__ import annotations

import threading
from typing import Any

from lark import Token
from lark.exceptions import UnexpectedToken

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Fragment, Source
from lossdsl.syntax import limits, mistakes, tree
from lossdsl.syntax.brackets import explain_brackets
from lossdsl.syntax.build import read_number
from lossdsl.syntax.grammar import builder, lex, parser
from lossdsl.syntax.habits import CAPITALS
from lossdsl.syntax.tokens import Statement, TooLarge, split

MISTAKES = 200
"""After so many wrong statements the text is not a program; the rest is not looked at."""

_lock = threading.RLock()


def parse_program(source: Source, found: Diagnostics) -> tree.Program | None:
    """A whole program. All statements are read, so that all mistakes are found at once."""
    fragment = Fragment.whole(source)
    statements = _statements(fragment, found)
    if statements is None:
        return None
    nodes = []
    wrong = 0
    for statement in statements:
        if statement.tokens:
            node = _parse(statement.tokens, "statement", fragment, found)
            if node is not None:
                nodes.append(node)
            else:
                wrong += 1
        if wrong == MISTAKES:
            break
    return None if wrong else _program(nodes, source, found)


def parse_expression(fragment: Fragment, found: Diagnostics) -> tree.Expression | None:
    """One expression, as in a scalar of a loss file: its newlines are spaces."""
    node: tree.Expression | None = _parse_one(fragment, "expression", found)
    return node


def parse_type(fragment: Fragment, found: Diagnostics) -> tree.TypeExpression | None:
    """A type: `logits[B, 1, H, W]`."""
    node: tree.TypeExpression | None = _parse_one(fragment, "type", found)
    return node


def parse_function_head(
    fragment: Fragment, found: Diagnostics
) -> tuple[tree.Name, tuple[tree.FunctionParameter, ...]] | None:
    """`focal_dice(p, y, a=0.5)`, the key of a function in a loss file."""
    node: tuple[tree.Name, tuple[tree.FunctionParameter, ...]] | None
    node = _parse_one(fragment, "function_head", found)
    return node


def parse_signature(text: str, found: Diagnostics) -> tree.Signature | None:
    """The signature of a primitive: `logits[*S], prob[*S] -> loss[*S]`."""
    node: tree.Signature | None = _parse_one(
        Fragment.whole(Source(text, "<signature>")), "signature", found
    )
    return node


def split_statements(source: Source, found: Diagnostics) -> list[Statement]:
    """The statements of a program as tokens, comments kept: what the formatter needs."""
    return _statements(Fragment.whole(source), found) or []


def parse_statement(tokens: list[Token], source: Source, found: Diagnostics) -> Any:
    """The node of one statement that `split_statements` gave."""
    return _parse(tokens, "statement", Fragment.whole(source), found)


def _parse_one(fragment: Fragment, start: str, found: Diagnostics) -> Any:
    statements = _statements(fragment, found, one=True, types=start in ("type", "signature"))
    if statements is None:
        return None
    tokens = [token for statement in statements for token in statement.tokens]
    if not tokens:
        found.add(
            "E109",
            "this is empty where an expression is needed",
            fragment.span(0, len(fragment.text)),
        )
        return None
    return _parse(tokens, start, fragment, found)


def _statements(
    fragment: Fragment, found: Diagnostics, *, one: bool = False, types: bool = False
) -> list[Statement] | None:
    """Tokens grouped into statements, or None where they cannot be read further."""
    if len(fragment.text) > limits.CHARACTERS:
        _too_large("CHARACTERS", 0, fragment, found)
        return None
    unbalanced = Diagnostics()
    try:
        with _lock:
            statements = split(lex(fragment.text), one=one, types=types)
    except TooLarge as error:
        _too_large(error.args[0], error.args[1], fragment, found)
        return None
    tokens = [token for statement in statements for token in statement.tokens]
    explain_brackets(tokens, fragment, unbalanced)
    if not unbalanced.items:
        return statements
    # A string that is not closed swallows brackets: then it alone is the mistake.
    unclosed = [token for token in tokens if token.type == "UNKNOWN" and token in "'\""]
    if unclosed:
        _bad_tokens(unclosed, fragment, found)
    else:
        found.items += unbalanced.items
    return None


def _parse(tokens: list[Token], start: str, fragment: Fragment, found: Diagnostics) -> Any:
    """Feed one statement's tokens to the LALR automaton."""
    if _bad_tokens(tokens, fragment, found):
        return None
    with _lock:
        builder.fragment = fragment
        machine: Any = parser().parse_interactive(start=start)
        position = 0
        try:
            for position, token in enumerate(tokens):  # noqa: B007
                machine.feed_token(token)
            position = len(tokens)
            node = machine.feed_eof(tokens[-1])
        except UnexpectedToken:
            mistakes.explain(tokens, position, machine.accepts(), start, fragment, found)
            return None
    return None if _too_deep(node, fragment, found) else node


def _bad_tokens(tokens: list[Token], fragment: Fragment, found: Diagnostics) -> bool:
    for position, token in enumerate(tokens):
        span = fragment.span(token.start_pos or 0, token.end_pos or 0)
        if token.type == "UNKNOWN":
            mistakes.explain_character(tokens, position, span, found)
        elif token.type == "NAME" and token.value in CAPITALS:
            mistakes.explain_capital(token, span, found)
        elif token.type not in ("NUMBER", "INTEGER"):
            continue
        elif len(token) > limits.DIGITS:
            found.add("E701", limits.message("DIGITS"), span)
        elif read_number(token) == float("inf"):
            found.add("E112", f"`{token}` is larger than any float", span)
        else:
            continue
        return True
    return False


def _too_deep(node: Any, fragment: Fragment, found: Diagnostics) -> bool:
    """Nothing that walks the tree later needs to fear for its stack."""
    stack = [(node, 1)]
    while stack:
        part, level = stack.pop()
        if isinstance(part, tuple):
            stack.extend((item, level) for item in part)
        elif hasattr(part, "span"):
            if level > limits.DEPTH:
                found.add("E701", limits.message("DEPTH"), part.span)
                return True
            stack.extend(
                (getattr(part, name), level + 1) for name in part.__slots__ if name != "span"
            )
    return False


def _too_large(name: str, offset: int, fragment: Fragment, found: Diagnostics) -> None:
    found.add("E701", limits.message(name), fragment.span(offset, offset + 1))


def _how_to_end(nodes: list[Any]) -> str:
    """How to give the program a result; a sign at the start of a line joins it to the one above."""
    lines = nodes[-1].span.text.splitlines() if nodes else []
    if any(line.lstrip().startswith(("+", "-")) for line in lines[1:]):
        return "a line that starts with a sign goes on with the one above: write `loss = -…`"
    return "end with an expression, or with `loss = …`"


def _behind_loss(nodes: list[Any], found: Diagnostics) -> bool:
    """Report what stands behind `loss = …`, where nothing else is the result."""
    named = (isinstance(node, tree.Binding) and node.name.id == "loss" for node in nodes)
    at = next((position for position, loss in enumerate(named) if loss), None)
    if at is None:
        return False
    found.add(
        "E108",
        "this stands behind the result",
        nodes[at + 1].span,
        labels=[(nodes[at].name.span, "the result")],
        help="`loss = …` is the last line: add to it what belongs to the loss",
    )
    return True


def _program(nodes: list[Any], source: Source, found: Diagnostics) -> tree.Program | None:
    """Tell declarations from the result."""
    statements: list[tree.Statement] = []
    result: tree.Expression | None = None
    lost = 0
    for position, node in enumerate(nodes):
        if isinstance(node, tree.Input | tree.Param | tree.Function):
            statements.append(node)
        elif isinstance(node, tree.Binding):
            if node.name.id == "loss" and position == len(nodes) - 1:
                result = node.value
            else:
                statements.append(node)
        elif position == len(nodes) - 1:
            result = node
        else:
            lost += 1
            found.add(
                "E108",
                "the value of this line is lost: only the last line is the result",
                node.span,
                help="bind it to a name (`name = …`) or join the lines with an operator",
            )
            if lost == MISTAKES:
                break
    if lost or (result is None and _behind_loss(nodes, found)):
        return None
    if result is None:
        place = nodes[-1].span if nodes else source.span()
        help = _how_to_end(nodes)
        if nodes and isinstance(nodes[-1], tree.Input) and nodes[-1].type.span.line > place.line:
            name, place = nodes[-1].name.id, nodes[-1].type.span
            help = f"it is read as the type of `{name}`: write the type behind `input {name}:`"
        found.add("E109", "the program has no result", place, help=help)
        return None
    return tree.Program(tuple(statements), result, span=source.span())
