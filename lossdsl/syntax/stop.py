"""Where the grammar could not go on, and what can be asked about the place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from lark import Token

from lossdsl.diagnostics.diagnostic import Advice, Fix
from lossdsl.source import Fragment, Span

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Stop:
    """A statement's tokens, the position of the first that does not fit, and what would have."""

    tokens: list[Token]
    position: int
    accepts: frozenset[str]
    start: str
    fragment: Fragment

    @property
    def ended(self) -> bool:
        """Whether the statement ends too early."""
        return self.position >= len(self.tokens)

    def kind(self, offset: int = 0) -> str:
        """The type of the token at the stop, or near it; empty outside the statement."""
        index = self.position + offset
        return self.tokens[index].type if 0 <= index < len(self.tokens) else ""

    def word(self, offset: int = 0) -> str:
        """The token's text, cut to what a message can hold."""
        index = self.position + offset
        text = str(self.tokens[index]) if 0 <= index < len(self.tokens) else ""
        return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"

    def place(self, offset: int = 0) -> Span:
        """The span of a token; of the last one where the statement ended too early."""
        index = max(0, min(self.position + offset, len(self.tokens) - 1))
        return self.at(self.tokens[index])

    def at(self, token: Token) -> Span:
        return self.fragment.span(token.start_pos or 0, token.end_pos or 0)

    def before(self, offset: int, text: str) -> Fix:
        """A text to be put in front of a token."""
        start = self.place(offset).start
        return Fix(Span(self.fragment.source, start, start), text, True)

    def behind(self, offset: int, text: str) -> Fix:
        """A text to be put right behind a token."""
        end = self.place(offset).end
        return Fix(Span(self.fragment.source, end, end), text, True)

    def without(self, offset: int) -> Fix:
        """A token to be left out, and the space behind it."""
        start, next = self.place(offset).start, self.place(offset + 1).start
        return Fix(Span(self.fragment.source, start, next), "", True)

    def touches(self) -> bool:
        """Whether no space stands between the token at the stop and the one before."""
        return (
            0 < self.position < len(self.tokens)
            and self.tokens[self.position - 1].end_pos == self.tokens[self.position].start_pos
        )

    def first(self) -> str:
        """The type of the statement's first token; empty where no statement is read."""
        return self.tokens[0].type if self.start == "statement" else ""

    def inside(self) -> list[Token]:
        """The innermost open bracket and what stands in it, closed brackets and all left out.

        Without an open bracket: the statement's tokens up to the stop, in the same way.
        """
        levels: list[list[Token]] = [[]]
        for token in self.tokens[: self.position]:
            if token.type in ("LPAR", "LSQB", "LBRACE"):
                levels.append([token])
            elif token.type in ("RPAR", "RSQB", "RBRACE") and len(levels) > 1:
                levels.pop()
            else:
                levels[-1].append(token)
        return levels[-1]

    def bracket(self) -> str:
        """The type of the innermost open bracket, `CALL` for a call's; empty outside brackets."""
        level = self.inside()
        if not level or level[0].type not in ("LPAR", "LSQB", "LBRACE"):
            return ""
        index = next(i for i, token in enumerate(self.tokens) if token is level[0])
        if level[0].type == "LPAR" and index and self.tokens[index - 1].type == "NAME":
            return "CALL"
        return level[0].type


@dataclass(frozen=True, slots=True)
class Said:
    """What is reported about a stop."""

    code: str
    message: str
    span: Span
    help: str | Advice | None = None
    fix: Fix | None = None


Mistake: TypeAlias = Callable[[Stop], "Said | None"]
