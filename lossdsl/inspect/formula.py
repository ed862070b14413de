"""The loss as a formula for terminals: one line a term, Unicode where it helps."""

from __future__ import annotations

from collections.abc import Sequence

from lossdsl.inspect.equation import equation
from lossdsl.inspect.mathematics import ANY, LARGE, PRODUCT, SIGN, TIGHT, Head, Piece, Writer
from lossdsl.inspect.outline import columns
from lossdsl.source import Source
from lossdsl.syntax import tree
from lossdsl.syntax.formatter import format_expression

_GREEK = {
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "delta": "δ",
    "epsilon": "ε",
    "eta": "η",
    "theta": "θ",
    "kappa": "κ",
    "lambda": "λ",
    "mu": "μ",
    "rho": "ρ",
    "sigma": "σ",
    "tau": "τ",
    "phi": "φ",
    "omega": "ω",
}

_HEADS = {"sigmoid": "σ", "maximum": "max", "minimum": "min", "logsigmoid": "log σ"}

_COMPARISONS = {"<=": "≤", ">=": "≥", "==": "=", "!=": "≠"}

_NOWHERE = Source("").span()

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def formula(program: tree.Program, name: str) -> str:
    """The terms below one another with their names, then what the names in them mean."""
    meaning = equation(program)
    writer = Writer(PlainNotation(), meaning.functions)
    rows = []
    for position, summand in enumerate(meaning.summands):
        text = writer.text(summand.value, LARGE)
        if text.startswith("−"):
            text = f"({text})"
        sign = "−" if summand.sign == "-" else "+"
        lead = f"{name} =" if position == 0 else " " * len(name) + f" {sign}"
        if position == 0 and sign == "−":
            text = f"−{text}"
        rows.append((f"{lead} {text}", f"[{summand.name}]" if summand.name else ""))
    lines = [columns(rows)]
    for definition in meaning.definitions:
        left = definition.name
        if definition.parameters is not None:
            left += f"({', '.join(map(writer.notation.name, definition.parameters))})"
        lines.append(f"  where {left} = {writer.text(definition.value)}")
    return "\n".join(lines)


class PlainNotation:
    """What fits on a line of a terminal."""

    def brackets(self, text: str) -> str:
        return f"({text})"

    def number(self, value: int | float) -> Piece:
        return Piece(TIGHT, format_expression(tree.Number(value, _NOWHERE)))

    def name(self, name: str) -> str:
        return _GREEK.get(name, name)

    def word(self, text: str) -> str:
        return text

    def minus(self) -> str:
        return "−"

    def times(self, left: str, right: str) -> str:
        return f"{left}·{right}"

    def matrix_times(self, left: str, right: str) -> str:
        return f"{left} @ {right}"

    def over(self, left: Piece, right: Piece) -> Piece:
        above = left.text if left.level >= PRODUCT else f"({left.text})"
        below = right.text if right.level > SIGN else f"({right.text})"
        return Piece(PRODUCT, f"{above}/{below}")

    def power(self, base: str, exponent: Piece) -> str:
        if exponent.text.isdigit():
            return base + exponent.text.translate(_SUPERSCRIPTS)
        above = exponent.text if exponent.level >= TIGHT else f"({exponent.text})"
        return f"{base}^{above}"

    def compare(self, left: str, operator: str, right: str) -> str:
        return f"{left} {_COMPARISONS.get(operator, operator)} {right}"

    def logical(self, operator: str, parts: Sequence[str]) -> str:
        return f"not {parts[0]}" if operator == "not" else f" {operator} ".join(parts)

    def indicator(self, condition: str) -> str:
        return f"[{condition}]"

    def cases(self, rows: Sequence[tuple[str, str]], otherwise: str) -> Piece:
        text = " else ".join([*(f"{value} if {condition}" for value, condition in rows), otherwise])
        return Piece(ANY, text)

    def call(self, head: Head, arguments: Sequence[Piece], keywords: Sequence[str]) -> Piece:
        if head.own and len(arguments) == 1 and not keywords:
            if head.name == "abs":
                return Piece(TIGHT, f"|{arguments[0].text}|")
            if head.name == "sqrt":
                return Piece(TIGHT, f"√({arguments[0].text})")
        shown = _HEADS.get(head.name, head.name) if head.own else head.name
        inside = ", ".join([*(argument.text for argument in arguments), *keywords])
        return Piece(TIGHT, f"{shown}({inside})")

    def keyword(self, name: str, value: str) -> str:
        return f"{self.name(name)}={value}"

    def reduce(self, reducer: str, names: str, over: str, body: Piece) -> Piece:
        sign = "Σ" if reducer == "sum" else reducer
        text = body.text if body.level >= LARGE else f"({body.text})"
        return Piece(LARGE, f"{sign}[{names} ∈ {over}] {text}")

    def index(self, base: str, items: str) -> str:
        return f"{base}[{items}]"
