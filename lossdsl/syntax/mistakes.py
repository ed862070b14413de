"""Syntax errors by example: what was most likely meant.

A table of mistakes, most specific first. Each looks at the tokens around the place where the
grammar could not go on; the first that recognises itself writes the message.
"""

from __future__ import annotations

import unicodedata

from lark import Token

from lossdsl.diagnostics.diagnostic import Advice, Diagnostics
from lossdsl.source import Fragment, Span
from lossdsl.syntax.habits import CAPITALS, HABITS
from lossdsl.syntax.stop import Mistake, Said, Stop
from lossdsl.syntax.tokens import BRACKETS
from lossdsl.syntax.type_mistakes import TYPE_MISTAKES, before_type

_OPERAND_END = frozenset({"NAME", "NUMBER", "STRING", "TRUE", "FALSE", "NONE", "RPAR", "RSQB"})
_OPERAND_START = frozenset(
    {"NAME", "NUMBER", "STRING", "TRUE", "FALSE", "NONE", "LPAR", "LSQB", "NOT"}
)
_BINARY = frozenset({"STAR", "TIMES", "POWER", "SIGN", "COMPARE", "AND", "OR", "FLOOR"})
_LITERALS = frozenset({"TRUE", "FALSE", "NONE", "NOT"})
_CHARACTERS = {
    "−": "-",
    "–": "-",
    "—": "-",
    "×": "*",
    "·": "*",
    "⋅": "*",
    "÷": "/",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "²": "**2",
    "³": "**3",
    "½": "0.5",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "，": ",",
    "（": "(",
    "）": ")",
    "^": "**",
    "&": "and",
    "!": "not",
    "~": "not",
    "%": "a - b*floor(a/b)",
}
_EXACT = frozenset("−–—×·⋅÷≤≥≠²³½，（）^")
"""What can be put in place unseen; of two quotation marks each needs the other."""


def explain(
    tokens: list[Token],
    position: int,
    accepts: set[str],
    start: str,
    fragment: Fragment,
    found: Diagnostics,
) -> None:
    """Report why the statement's tokens are not a statement."""
    stop = Stop(tokens, position, frozenset(accepts), start, fragment)
    for mistake in _MISTAKES:
        said = mistake(stop)
        if said is not None:
            found.add(said.code, said.message, said.span, help=said.help, fix=said.fix)
            return


def explain_character(tokens: list[Token], at: int, span: Span, found: Diagnostics) -> None:
    """Report a character that no word or sign of the language starts with."""
    token = tokens[at]
    if token == "&":
        _explain_and(tokens, at, span, found)
        return
    if token in "'\"":
        found.add("E105", "this string is not closed on its line", span, help=f"add `{token}`")
        return
    wanted = _CHARACTERS.get(str(token))
    exact = str(token) in _EXACT
    help = Advice(f"write `{wanted}`", wanted if exact else None) if wanted else None
    if token == "\\":
        help = Advice("it joins lines only where it is the last character of one")
    elif token.isspace():
        help = Advice("write a plain space", " ")
    found.add("E106", f"the language has no {_shown(str(token))}", span, help=help)


def _explain_and(tokens: list[Token], at: int, span: Span, found: Diagnostics) -> None:
    """`a && b`, and `(a) & (b)`: elsewhere a single one binds tighter than `and`."""
    around = [t.type for t in (*tokens[at - 1 : at], *tokens[at + 1 : at + 2])]
    double = tokens[at + 1 : at + 2] == ["&"] and tokens[at + 1].start_pos == tokens[at].end_pos
    if double:
        span = Span(span.source, span.start, span.end + 1)
    exact = double or around == ["RPAR", "LPAR"]
    advice = Advice("write `and`", "and" if exact else None)
    found.add("E106", f"the language has no `{span.text}`", span, help=advice)


def _shown(character: str) -> str:
    if character.isprintable() and character not in " `":
        return f"`{character}`"
    name = unicodedata.name(character, "control character").lower()
    return f"{name} (U+{ord(character):04X})"


def explain_capital(token: Token, span: Span, found: Diagnostics) -> None:
    """Report Python's spelling of a literal, which would pass as a name."""
    word = CAPITALS[str(token)]
    found.add("E107", f"`{token}` is Python", span, help=Advice(f"write `{word}`", word))


# --- statements -------------------------------------------------------------------------------


def _declaration(stop: Stop) -> Said | None:
    """`input 3`, `p: logits`, `param w: 1`, `f(x) = 1`, `def f = 1`."""
    kind, before = stop.kind(), stop.word(-1)
    match stop.first(), stop.position:
        case "NAME", 1 if before in ("input", "param", "def") and kind != "EQUAL":
            return Said("E101", f"a name is missing behind `{before}`", stop.place(-1))
        case "NAME", 1 if kind == "COLON":
            return Said(
                "E101",
                f"`{before}: …` declares nothing",
                stop.place(),
                f"write `input {before}: …`",
                stop.before(-1, "input "),
            )
        case "PARAM", 2:
            return Said(
                "E101",
                f"`=` and a value are missing behind `{before}`",
                stop.place(-1) if stop.ended else stop.place(),
                f"write `param {before} = …`",
            )
        case "DEF", 2:
            return Said(
                "E101",
                f"the parameters are missing behind `{before}`",
                stop.place(-1),
                f"write `def {before}(x) = …`",
            )
        case "DEF", _ if stop.ended and stop.kind(-1) == "RPAR" and "EQUAL" in stop.accepts:
            return Said("E104", "the function has no body", stop.place(-1), "write `def f(x) = …`")
        case "NAME", _ if kind == "EQUAL" and not stop.bracket():
            if stop.kind(1 - stop.position) == "LPAR" and stop.kind(-1) == "RPAR":
                return Said(
                    "E101",
                    "a function needs `def` in front",
                    stop.place(),
                    "write `def f(x) = …`",
                    stop.before(-stop.position, "def "),
                )
            if stop.kind(-2) == "DOT" or stop.kind(-1) == "RSQB":
                part = stop.place(-1) if stop.kind(-2) == "DOT" else stop.place()
                return Said(
                    "E101",
                    "only a plain name can be bound",
                    part,
                    "values do not change: give the new one a name of its own",
                )
    return None


def _reserved(stop: Stop) -> Said | None:
    """A literal's word where a name is needed: `true = 1`, `f(none=1)`, `x as not`."""
    if stop.kind() in _LITERALS and "NAME" in stop.accepts and "NUMBER" not in stop.accepts:
        return Said("E101", f"`{stop.word()}` cannot be a name", stop.place())
    if stop.kind() == "EQUAL" and stop.kind(-1) in _LITERALS:
        return Said("E101", f"`{stop.word(-1)}` cannot be a name", stop.place(-1))
    return None


def _equals(stop: Stop) -> Said | None:
    if stop.kind() != "EQUAL":
        return None
    if stop.position == 0:
        return Said("E104", "a name is missing before `=`", stop.place())
    between = stop.kind(-1) in _OPERAND_END and stop.kind(1) in _OPERAND_START
    exact = between and stop.bracket() == "CALL"
    compare = Advice("write `==` to compare", "==" if exact else None)
    return Said("E110", "`=` binds a name; it does not compare", stop.place(), compare)


# --- expressions ------------------------------------------------------------------------------


def _floor(stop: Stop) -> Said | None:
    if stop.kind() == "FLOOR" and stop.position == 0:
        comment = Advice("a comment starts with `#`", "#")
        return Said("E107", "`//` starts no comment", stop.place(), comment)
    if stop.kind() == "FLOOR":
        return Said("E107", "`//` is for sizes in types only", stop.place(), "write `floor(a / b)`")
    return None


def _chained(stop: Stop) -> Said | None:
    if stop.kind() == "COMPARE" and stop.kind(-1) in _OPERAND_END:
        return Said("E101", "comparisons do not chain", stop.place(), "write `a < b and b < c`")
    return None


def _no_else(stop: Stop) -> Said | None:
    choice = next((token for token in reversed(stop.inside()) if token.type == "IF"), None)
    if "ELSE" in stop.accepts and choice is not None and stop.kind() not in _OPERAND_START:
        return Said("E104", "this `if` has no `else`", stop.at(choice), "write `a if c else b`")
    return None


def _no_if(stop: Stop) -> Said | None:
    if stop.kind() == "ELSE":
        return Said("E101", "this `else` has no `if`", stop.place(), "write `a if c else b`")
    return None


def _loop(stop: Stop) -> Said | None:
    """`for in xs`, `for 1 in xs`, `for x xs`."""
    if stop.kind(-2) == "FOR" and stop.kind(-1) == "NAME" and stop.word(-1) == "in":
        return Said("E104", "a name is missing behind `for`", stop.place(-2))
    if stop.kind(-1) == "FOR":
        where = stop.place(-1) if stop.ended else stop.place()
        return Said("E101", "`for` binds a plain name", where, "write `for x in xs`")
    if "IN" in stop.accepts and "COMMA" in stop.accepts and "NAME" not in stop.accepts:
        return Said("E101", f"`in` is missing behind `{stop.word(-1)}`", stop.place(-1))
    return None


def _term_name(stop: Stop) -> Said | None:
    if stop.kind(-1) == "AS":
        where = stop.place(-1) if stop.ended else stop.place()
        return Said("E101", "a plain name is missing behind `as`", where, "write `… as fg`")
    if stop.kind() == "DOT" and stop.kind(-2) == "AS":
        return Said("E101", "a term's name has no fields", stop.place(), "write `… as fg`")
    return None


def _field(stop: Stop) -> Said | None:
    if stop.kind(-1) == "DOT" or (stop.kind(-1) == "NAME" and stop.word().startswith(".")):
        if stop.kind() in ("NUMBER", "STRING"):
            item = stop.word().lstrip(".")
            return Said("E101", "a field is a plain name", stop.place(), f"write `x[{item}]`")
        where = stop.place(-1) if stop.kind(-1) == "DOT" else stop.place()
        return Said("E104", "a name is missing behind `.`", where)
    if stop.kind() == "DOT" and "NAME" in stop.accepts:
        return Said("E104", "a value is missing before `.`", stop.place())
    return None


def _comma(stop: Stop) -> Said | None:
    if stop.kind() == "COMMA" and stop.kind(-1) in ("COMMA", "LPAR", "LSQB"):
        return Said("E104", "something is missing before this `,`", stop.place(), "remove it")
    return None


def _slice(stop: Stop) -> Said | None:
    if stop.kind() == "COLON" and sum(t.type == "COLON" for t in stop.inside()) > 1:
        return Said("E101", "a slice has at most three parts", stop.place(), "`start:stop:step`")
    return None


def _missing_operand(stop: Stop) -> Said | None:
    behind = "give the operator its right-hand side, or remove it"
    if stop.kind(-1) in _BINARY | {"NOT", "IF", "ELSE"} and stop.kind() not in _OPERAND_START:
        return Said(
            "E104", f"an operand is missing behind `{stop.word(-1)}`", stop.place(-1), behind
        )
    # Behind an operator a joining word was read as a name: `a and or b`.
    joining = stop.kind(-1) == "NAME" and stop.word(-1) in ("and", "or", "if", "else", "as")
    if joining and stop.kind(-2) in _BINARY and stop.kind() in _OPERAND_START:
        return Said(
            "E104", f"an operand is missing behind `{stop.word(-2)}`", stop.place(-2), behind
        )
    if stop.kind() in _BINARY and "NAME" in stop.accepts:
        return Said(
            "E104",
            f"an operand is missing before `{stop.word()}`",
            stop.place(),
            "give the operator its left-hand side, or remove it",
        )
    return None


def _missing_operator(stop: Stop) -> Said | None:
    if stop.kind(-1) not in _OPERAND_END or stop.kind() not in _OPERAND_START:
        return None
    before, word = stop.word(-1), stop.word()
    plain = BRACKETS.get(stop.kind(-1)) is None and BRACKETS.get(stop.kind()) is None
    if stop.bracket() in ("CALL", "LSQB") and stop.kind(-1) != "NUMBER" and stop.kind() != "LPAR":
        return Said(
            "E103",
            f"a `,` or an operator is missing before `{word}`",
            stop.place(),
            f"separate them: `{before}, {word}`" if plain else "put a `,` between them",
        )
    return Said(
        "E103",
        f"an operator is missing between `{before}` and `{word}`",
        stop.place(-1).to(stop.place()),
        f"write `{before}*{word}` for a product" if plain else "put `*` between them for a product",
        stop.behind(-1, "*") if _is_factor(stop) else None,
    )


def _is_factor(stop: Stop) -> bool:
    """`2x`: a number in front of a name that can be nothing but a factor of it."""
    lone = stop.touches() or stop.bracket() in ("", "LPAR")
    return lone and stop.kind(-1) == "NUMBER" and stop.kind() in ("NAME", "LPAR")


def _early_end(stop: Stop) -> Said | None:
    if stop.ended:
        return Said("E104", f"something is missing behind `{stop.word(-1)}`", stop.place())
    return None


def _closing(stop: Stop) -> Said | None:
    if stop.kind() in BRACKETS and "NAME" in stop.accepts:
        return Said("E104", f"an expression is missing before `{stop.word()}`", stop.place())
    return None


def _unexpected(stop: Stop) -> Said | None:
    return Said("E101", f"`{stop.word()}` is not expected here", stop.place())


_MISTAKES: tuple[Mistake, ...] = (
    _reserved,
    before_type,
    _comma,
    *TYPE_MISTAKES,
    _floor,
    *HABITS,
    _declaration,
    _equals,
    _no_else,
    _no_if,
    _loop,
    _term_name,
    _field,
    _slice,
    _chained,
    _missing_operand,
    _missing_operator,
    _early_end,
    _closing,
    _unexpected,
)
