"""What other languages write, mostly Python: recognised, named, and translated."""

from __future__ import annotations

import re

from lossdsl.diagnostics.diagnostic import Advice, Fix
from lossdsl.source import Span
from lossdsl.syntax.stop import Mistake, Said, Stop

CAPITALS = {"True": "true", "False": "false", "None": "none"}

_STATEMENTS = frozenset(
    {
        "assert",
        "async",
        "await",
        "break",
        "class",
        "continue",
        "del",
        "elif",
        "except",
        "from",
        "global",
        "import",
        "nonlocal",
        "pass",
        "raise",
        "return",
        "try",
        "while",
        "with",
        "yield",
    }
)
_BINDING_WORDS = frozenset({"let", "var", "const", "val", "set", "local"})
_NO_COMPREHENSION = "a comprehension is the argument of a call: `sum(f(x) for x in xs)`"


def _statement_word(stop: Stop) -> Said | None:
    if stop.position == 1 and stop.first() == "NAME" and stop.word(-1) in _STATEMENTS:
        word = stop.word(-1)
        return Said(
            "E107",
            f"`{word}` is Python: the language has no such statement",
            stop.place(-1),
            "the last line is the result: leave `return` out"
            if word == "return"
            else "a loss is an expression; what it needs comes in as an input",
            stop.without(-1) if word == "return" and not stop.ended else None,
        )
    return None


def _choice_or_loop(stop: Stop) -> Said | None:
    advice = {"if": "choose between values: `a if c else b`", "for": _NO_COMPREHENSION}
    if stop.position == 1 and stop.kind(-1) == "NAME" and stop.word(-1) in advice:
        word = stop.word(-1)
        return Said("E107", f"`{word}` starts no statement", stop.place(-1), advice[word])
    return None


def _lambda(stop: Stop) -> Said | None:
    if stop.kind(-1) == "NAME" and stop.word(-1) == "lambda":
        return Said(
            "E107",
            "the language has no `lambda`",
            stop.place(-1),
            "write a function above: `def f(x) = …`",
        )
    return None


def _identity(stop: Stop) -> Said | None:
    if stop.kind() == "NAME" and stop.word() == "is":
        negated = stop.word(1) == "not"
        wanted = "!=" if negated else "=="
        span = stop.place().to(stop.place(1)) if negated else stop.place()
        advice = Advice(f"compare with `{wanted}`", wanted)
        return Said("E107", "the language has no `is`", span, advice)
    return None


def _membership(stop: Stop) -> Said | None:
    negated = stop.kind() == "NAME" and stop.word() == "not" and stop.kind(1) == "IN"
    if stop.kind() == "IN" or negated:
        span = stop.place().to(stop.place(1)) if negated else stop.place()
        return Said(
            "E107", "`in` stands only in a comprehension", span, "compare with `==` and `or`"
        )
    return None


def _string_prefix(stop: Stop) -> Said | None:
    if stop.kind() == "STRING" and stop.kind(-1) == "NAME" and stop.touches():
        plain = stop.word(-1).lower() in ("r", "u", "b")
        advice = Advice("remove the prefix", "" if plain else None)
        return Said("E107", "strings have no prefixes here", stop.place(-1), advice)
    return None


def _side_by_side(stop: Stop) -> Said | None:
    if stop.kind() == "STRING" and stop.kind(-1) == "STRING":
        return Said(
            "E107",
            "two strings side by side do not join",
            stop.place(-1).to(stop.place()),
            "a comment starts with `#`" if len(stop.word(-1)) == 2 else "write one string",
        )
    return None


def _augmented(stop: Stop) -> Said | None:
    if stop.kind() == "EQUAL" and stop.kind(-1) in ("SIGN", "STAR", "TIMES", "POWER"):
        return Said(
            "E107",
            f"the language has no `{stop.word(-1)}=`: a name is bound once",
            stop.place(-1).to(stop.place()),
            "bind the value to a new name",
        )
    return None


_SIGNS = {
    ("COLON", ":="): "=",
    ("COMPARE", "<>"): "!=",
    ("COMPARE", "=<"): "<=",
    ("COMPARE", "=>"): ">=",
    ("EQUAL", "==="): "==",
    ("EQUAL", "!=="): "!=",
}


def _foreign_sign(stop: Stop) -> Said | None:
    """`:=`, `<>`, `===`: signs that fall apart into two of the language's."""
    if stop.kind() == "COLON" and stop.kind(1) == "EQUAL":
        sign, span = ":=", stop.place().to(stop.place(1))
    elif stop.touches():
        sign, span = stop.word(-1) + stop.word(), stop.place(-1).to(stop.place())
    else:
        return None
    wanted = _SIGNS.get((stop.kind(), sign))
    if wanted is None:
        return None
    # A binding is a statement: `(n := x)` is none.
    exact = sign != ":=" or (stop.bracket() == "" and stop.position == 1)
    advice = Advice(f"write `{wanted}`", wanted if exact else None)
    return Said("E107", f"the language has no `{sign}`", span, advice)


def _bar(stop: Stop) -> Said | None:
    if stop.kind() != "VBAR":
        return None
    double = stop.kind(1) == "VBAR"
    span = stop.place().to(stop.place(1)) if double else stop.place()
    # A single one binds tighter than a comparison elsewhere, and `or` looser here.
    exact = double or (stop.kind(-1) == "RPAR" and stop.kind(1) == "LPAR")
    advice = Advice("write `or`", "or" if exact else None)
    return Said("E107", f"the language has no `{span.text}`", span, advice)


def _question(stop: Stop) -> Said | None:
    if stop.kind() == "OPTIONAL":
        return Said("E107", "the language has no `?` here", stop.place(), "write `a if c else b`")
    return None


def _braces(stop: Stop) -> Said | None:
    if stop.kind() == "LBRACE" and "NAME" in stop.accepts:
        return Said(
            "E107",
            "the language has no `{…}` values",
            stop.place(),
            "a list is written `[a, b]`; dicts come in as inputs",
        )
    return None


def _written_close(stop: Stop) -> bool:
    """Whether the tokens around the stop are whole numbers that touch it: `1,5`."""
    before, behind = stop.place(-1), stop.place(1)
    touching = before.end == stop.place().start and stop.place().end == behind.start
    return touching and before.text.isdigit() and behind.text.isdigit()


def _tuple(stop: Stop) -> Said | None:
    if stop.kind() != "COMMA" or any(token.type == "FOR" for token in stop.inside()):
        return None
    if stop.bracket() == "LPAR":
        return Said(
            "E107", "the language has no tuples", stop.place(), "a list is written `[a, b]`"
        )
    if stop.kind(-1) == stop.kind(1) == "NUMBER" and _written_close(stop) and stop.bracket() == "":
        wanted = f"{stop.word(-1)}.{stop.word(1)}"
        advice = Advice(f"the decimal sign is a point: `{wanted}`", ".")
        return Said("E107", "`,` is no decimal sign", stop.place(), advice)
    if stop.bracket() == "" and stop.first() in ("NAME", "NUMBER", "STRING"):
        return Said(
            "E107",
            "`,` does not stand outside brackets",
            stop.place(),
            "bind one name a line; a list is written `[a, b]`",
        )
    return None


def _method(stop: Stop) -> Said | None:
    if stop.kind() == "LPAR" and stop.kind(-1) == "NAME" and stop.kind(-2) == "DOT":
        name = stop.word(-1)
        help = f"write `{name}(x)`"
        return Said("E107", "values have no methods", stop.place(-1), help, _as_call(stop))
    return None


_SAME_AS_CALLS = frozenset(
    {"abs", "detach", "exp", "log", "max", "mean", "min", "norm", "sigmoid", "sqrt", "sum"}
)
"""Methods that do, without an argument, what the function of their name does here."""


def _as_call(stop: Stop) -> Fix | None:
    """`(a - b).abs()` and `x[0].mean()` as a call of a function."""
    value = _value_before(stop, -2)
    if value is None or stop.kind(1) != "RPAR" or stop.word(-1) not in _SAME_AS_CALLS:
        return None
    inner = value.text
    if inner.startswith("(") and inner.endswith(")") and inner.count("(") == 1:
        inner = inner[1:-1]
    return Fix(value.to(stop.place(1)), f"{stop.word(-1)}({inner})", True)


def _value_before(stop: Stop, offset: int) -> Span | None:
    """The bracketed value, with what is called or indexed, that ends right before a token."""
    index = stop.position + offset
    start = index
    while start > 0 and stop.tokens[start - 1].type in ("RPAR", "RSQB"):
        deep = 1
        start -= 1
        while deep and start > 0:
            start -= 1
            kind = stop.tokens[start].type
            deep += (kind in ("RPAR", "RSQB")) - (kind in ("LPAR", "LSQB"))
    while start > 0 and stop.tokens[start - 1].type in ("NAME", "DOT"):
        start -= 1
    return (
        stop.at(stop.tokens[start]).to(stop.at(stop.tokens[index - 1])) if start < index else None
    )


def _comprehension(stop: Stop) -> Said | None:
    level = stop.inside()
    loop = next((token for token in level if token.type == "FOR"), None)
    if stop.kind() == "FOR" and loop is None:
        if stop.bracket() == "CALL":
            return Said(
                "E107",
                "a comprehension is the only argument of its call",
                stop.place(),
                "bind it to a name above",
            )
        return Said(
            "E107", "a comprehension stands only in a call", stop.place(), _NO_COMPREHENSION
        )
    if loop is None or stop.bracket() != "CALL":
        return None
    if stop.kind() == "COMMA":
        return Said(
            "E107",
            "a comprehension is the only argument of its call",
            stop.at(loop),
            "bind it to a name above",
        )
    if "ELSE" in stop.accepts:
        condition = next(token for token in reversed(level) if token.type == "IF")
        return Said(
            "E107",
            "a comprehension has no condition",
            stop.at(condition),
            "multiply the body by the condition, or give an `else`",
        )
    return None


_NO_NUMBER = re.compile(r"[\d._]+e\w*|0x[\da-f_]*|0[bo]\d*", re.IGNORECASE)


def _number(stop: Stop) -> Said | None:
    """`1.2.3`, `1e`, `0x1F`."""
    if stop.kind(-1) != "NUMBER" or not stop.touches():
        return None
    text = stop.word(-1) + stop.word()
    if stop.kind() == "NUMBER" or _NO_NUMBER.fullmatch(text):
        return Said("E112", f"`{text}` is no number", stop.place(-1).to(stop.place()))
    return None


def _colon_body(stop: Stop) -> Said | None:
    if stop.first() == "DEF" and stop.kind() in ("COLON", "LBRACE") and stop.kind(-1) == "RPAR":
        span = stop.place()
        end = stop.place(1) if stop.word(1) == "return" else span
        return Said(
            "E107",
            "a function's body stands behind `=`",
            span,
            "write `def f(x) = …`, one expression",
            Fix(span.to(end), " =", True) if stop.kind() == "COLON" and stop.kind(1) else None,
        )
    return None


def _binding_word(stop: Stop) -> Said | None:
    if stop.position == 1 and stop.word(-1) in _BINDING_WORDS and stop.kind(1) == "EQUAL":
        return Said(
            "E107",
            f"a name is bound without `{stop.word(-1)}`",
            stop.place(-1),
            f"write `{stop.word()} = …`",
            stop.without(-1),
        )
    return None


def _starred(stop: Stop) -> Said | None:
    """`f(*args)`, `f(**kwargs)`."""
    opens = stop.kind(-1) in ("LPAR", "COMMA") and stop.bracket() == "CALL"
    if stop.kind() in ("STAR", "POWER") and opens:
        return Said(
            "E107",
            f"the language has no `{stop.word()}` before an argument",
            stop.place(),
            "write each argument out",
        )
    return None


def _decorator(stop: Stop) -> Said | None:
    if stop.word() == "@" and stop.position == 0 and stop.kind(1) == "NAME":
        return Said("E107", "the language has no decorators", stop.place(), "remove the line")
    return None


HABITS: tuple[Mistake, ...] = (
    _statement_word,
    _choice_or_loop,
    _binding_word,
    _lambda,
    _starred,
    _decorator,
    _identity,
    _membership,
    _string_prefix,
    _side_by_side,
    _augmented,
    _foreign_sign,
    _bar,
    _question,
    _braces,
    _comprehension,
    _tuple,
    _method,
    _number,
    _colon_body,
)
