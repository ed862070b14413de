"""From text to statements: which names are keywords, which newlines end a line.

A word is reserved only where the grammar needs it. `input` is a statement only in front of a
name, `as` and `if` are operators only behind an operand, `none` is a literal only where an
operand may stand; everywhere else they are names like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lark import Token

from lossdsl.syntax import limits

_OPERANDS = {"true": "TRUE", "false": "FALSE", "none": "NONE", "not": "NOT"}
_OPERATORS = {
    "and": "AND",
    "or": "OR",
    "if": "IF",
    "else": "ELSE",
    "as": "AS",
    "for": "FOR",
    "in": "IN",
}
_STATEMENTS = {"input": "INPUT", "param": "PARAM", "def": "DEF"}
WORDS = frozenset({*_OPERANDS, *_OPERATORS, *_STATEMENTS})

_ENDS_OPERAND = frozenset(
    {"NAME", "NUMBER", "STRING", "TRUE", "FALSE", "NONE", "RPAR", "RSQB", "RBRACE"}
)
_JOINS_BEFORE = frozenset(
    {"STAR", "TIMES", "POWER", "SIGN", "COMPARE", "AND", "OR", "IF", "ELSE", "AS", "DOT"}
)
_JOINS_AFTER = _JOINS_BEFORE | {"NOT", "EQUAL", "COMMA", "COLON", "ARROW", "VBAR"}
# Words that are operators behind an operand, so also at the start of a line that goes on.
_JOINING_WORDS = frozenset({"and", "or", "if", "else", "as"})
OPENS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
_CLOSES = frozenset(OPENS.values())
BRACKETS = {
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "LBRACE": "{",
    "RBRACE": "}",
}


@dataclass
class Statement:
    """The tokens of one statement, the comments in front of it or in it, and the one behind it."""

    tokens: list[Token] = field(default_factory=list)
    comments: list[Token] = field(default_factory=list)
    trailing: Token | None = None

    def add(self, token: Token, comments: list[Token]) -> None:
        """Go on with a token; comments that stand before it are inside the statement."""
        if self.trailing is not None:
            self.comments.append(self.trailing)
            self.trailing = None
        self.comments += comments
        self.tokens.append(token)


class TooLarge(Exception):
    """The text passes a limit; `args[0]` names it, `args[1]` is the offset."""


def split(
    tokens: Iterable[Token],
    *,
    one: bool = False,
    types: bool = False,
) -> list[Statement]:
    """Group tokens into statements and give keywords their meaning.

    With `one`, the text holds a single expression and its newlines are spaces, as in YAML; with
    `types`, it holds types.
    """
    statements: list[Statement] = []
    current = Statement()
    opened: list[Token] = []
    # Behind a newline it is only known with the next token whether the statement goes on, and so
    # whom the comments of whole lines belong to.
    newline = False
    comments: list[Token] = []
    for token, following in _pairs(_counted(tokens)):
        match token.type:
            case "NEWLINE":
                newline = True
                continue
            case "COMMENT":
                owner = current if current.tokens else statements[-1] if statements else None
                if newline or owner is None or owner.trailing is not None:
                    comments.append(token)
                else:
                    owner.trailing = token
                continue
            case "SEMICOLON" if not opened and not one:
                if current.tokens:
                    statements.append(current)
                    current = Statement()
                newline = False
                continue
        if newline and current.tokens and not (one or opened):
            binds = following is not None and following.type == "EQUAL"
            if binds or not goes_on(current.tokens, token):
                statements.append(current)
                current = Statement()
        newline = False
        _tag(token, current.tokens, types)
        _match_brackets(token, opened)
        current.add(token, comments)
        comments = []
    if current.tokens:
        statements.append(current)
    if comments:
        statements.append(Statement(comments=comments))
    return statements


def _counted(tokens: Iterable[Token]) -> Iterator[Token]:
    for count, token in enumerate(tokens):
        if count >= limits.TOKENS:
            raise TooLarge("TOKENS", token.start_pos)
        yield token


def _pairs(tokens: Iterable[Token]) -> Iterator[tuple[Token, Token | None]]:
    """Each token with the one behind it."""
    before: Token | None = None
    for token in tokens:
        if before is not None:
            yield before, token
        before = token
    if before is not None:
        yield before, None


def goes_on(before: list[Token], token: Token) -> bool:
    """Whether a statement goes on in the next line, which starts with `token`."""
    if before[-1].type in _JOINS_AFTER:
        return True
    if before[0].type == "INPUT":
        return False  # a type is complete here, and no operator goes on with it
    return token.type in _JOINS_BEFORE or (token.type == "NAME" and token.value in _JOINING_WORDS)


def _tag(token: Token, before: list[Token], types: bool) -> None:
    """Turn a name into a keyword where the grammar needs one."""
    if types or (before and before[0].type == "INPUT"):
        _tag_type(token, before)
        return
    if token.type != "NAME":
        return
    word = token.value
    last = before[-1] if before else None
    if len(before) == 1 and before[0].type == "NAME" and word not in _OPERATORS:
        declares = _STATEMENTS.get(before[0].value)
        if declares is not None:
            before[0].type = declares
            token.type = _OPERANDS.get(word, "NAME")
            return
    if last is not None and last.type == "DOT":
        return
    if last is not None and last.type in _ENDS_OPERAND:
        token.type = _OPERATORS.get(word, "NAME")
    else:
        token.type = _OPERANDS.get(word, "NAME")


def _tag_type(token: Token, before: list[Token]) -> None:
    """In a type, `list[…]` and `module(…)` are not kinds, and sizes are whole numbers."""
    if token.type == "NUMBER" and token.replace("_", "").isdigit():
        token.type = "INTEGER"
    last = before[-1] if before else None
    if last is None or last.type != "NAME":
        return
    if token.type == "LSQB" and last.value == "list":
        last.type = "LIST"
    elif token.type == "LPAR" and last.value == "module":
        last.type = "MODULE"
        if len(before) > 1 and before[-2].value == "frozen":
            before[-2].type = "FROZEN"


def _match_brackets(token: Token, opened: list[Token]) -> None:
    """Keep track of the open brackets. A wrong one closes what is open, as if it were right."""
    if token.type in OPENS:
        opened.append(token)
        if len(opened) > limits.BRACKETS:
            raise TooLarge("BRACKETS", token.start_pos)
    elif token.type in _CLOSES and opened:
        opened.pop()
