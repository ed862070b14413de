"""How the forms of the language look in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lossdsl.inspect.mathematics import LARGE, POWER, SIGN, TIGHT, Head, Piece

_LETTERS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
_GREEK = frozenset(_LETTERS.split())

_ESCAPES = {
    "\\": r"\backslash{}",
    "^": r"\hat{}",
    "~": r"\sim{}",
    **{character: f"\\{character}" for character in "_{}#$%&"},
}

_COMPARISONS = {"<": "<", "<=": r"\leq", ">": ">", ">=": r"\geq", "==": "=", "!=": r"\ne"}

_LOGIC = {"and": r" \wedge ", "or": r" \vee "}

_AROUND = {
    "sqrt": r"\sqrt{{{0}}}",
    "abs": r"\left| {0} \right|",
    "norm": r"\left\| {0} \right\|",
    "floor": r"\left\lfloor {0} \right\rfloor",
    "lgamma": r"\log \Gamma\left( {0} \right)",
}
"""Functions that stand around their only argument."""

_HEADS = {"maximum": r"\max", "minimum": r"\min"}

_REDUCERS = {
    "sum": r"\sum",
    "mean": r"\operatorname{mean}",
    "max": r"\max",
    "min": r"\min",
}

_TALL = re.compile(r"\\(?:frac|sum|begin|left|underbrace)")


def roman(name: str) -> str:
    """A name of several letters, upright: losses, functions, terms."""
    return rf"\mathrm{{{_escaped(name)}}}"


def variable(name: str) -> str:
    r"""A name as a quantity: `p`, `\alpha`, `w_{\mathrm{tv}}`, `x_{1}`, `\mathit{img}`."""
    first, *rest = name.split("_")
    stem = re.fullmatch(r"(.*?[^\W\d_])(\d+)", first)
    if stem is not None:
        first, rest = stem[1], [stem[2], *rest]
    if not first or not all(rest):
        return rf"\mathit{{{_escaped(name)}}}"
    letter = f"\\{first}" if first in _GREEK else first
    base = letter if len(first) == 1 or first in _GREEK else rf"\mathit{{{_escaped(first)}}}"
    return f"{base}_{{{', '.join(map(_subscript, rest))}}}" if rest else base


def _subscript(part: str) -> str:
    if part in _GREEK:
        return f"\\{part}"
    return part if len(part) == 1 or part.isdigit() else rf"\mathrm{{{_escaped(part)}}}"


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)


class LatexNotation:
    """LaTeX's notation. Only commands that KaTeX and MathJax know too."""

    def brackets(self, text: str) -> str:
        return rf"\left( {text} \right)" if _TALL.search(text) else f"({text})"

    def number(self, value: int | float) -> Piece:
        r"""`1e-5` is `10^{-5}`, `2.5e-4` is `2.5 \cdot 10^{-4}`."""
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e6:
            value = int(value)
        mantissa, e, exponent = repr(value).partition("e")
        if not e:
            return Piece(TIGHT, mantissa)
        power = f"10^{{{int(exponent)}}}"
        if mantissa == "1":
            return Piece(POWER, power)
        return Piece(SIGN, rf"{mantissa} \cdot {power}")

    def name(self, name: str) -> str:
        return variable(name)

    def word(self, text: str) -> str:
        return rf"\mathrm{{{_escaped(text)}}}"

    def minus(self) -> str:
        return "-"

    def times(self, left: str, right: str) -> str:
        digits = right[:1].isdigit()
        return rf"{left} \cdot {right}" if digits else rf"{left}\,{right}"

    def matrix_times(self, left: str, right: str) -> str:
        return rf"{left} \mathbin{{@}} {right}"

    def over(self, left: Piece, right: Piece) -> Piece:
        return Piece(SIGN, rf"\frac{{{left.text}}}{{{right.text}}}")

    def power(self, base: str, exponent: Piece) -> str:
        return f"{base}^{{{exponent.text}}}"

    def compare(self, left: str, operator: str, right: str) -> str:
        return f"{left} {_COMPARISONS[operator]} {right}"

    def logical(self, operator: str, parts: Sequence[str]) -> str:
        return rf"\neg {parts[0]}" if operator == "not" else _LOGIC[operator].join(parts)

    def indicator(self, condition: str) -> str:
        """Iverson's bracket: 1 where it holds."""
        return rf"\left[ {condition} \right]"

    def cases(self, rows: Sequence[tuple[str, str]], otherwise: str) -> Piece:
        lines = [rf"{value} & \text{{if }} {condition}" for value, condition in rows]
        lines.append(rf"{otherwise} & \text{{otherwise}}")
        body = r" \\ ".join(lines)
        return Piece(SIGN, rf"\begin{{cases}} {body} \end{{cases}}")

    def call(self, head: Head, arguments: Sequence[Piece], keywords: Sequence[str]) -> Piece:
        if head.own and len(arguments) == 1 and not keywords:
            only = arguments[0].text
            if head.name in _AROUND:
                return Piece(TIGHT, _AROUND[head.name].format(only))
            if head.name == "exp" and not _TALL.search(only) and "^" not in only:
                return Piece(POWER, f"e^{{{only}}}")
        inside = ", ".join(argument.text for argument in arguments)
        if keywords:
            inside += (r";\ " if inside else "") + ", ".join(keywords)
        opening, closing = (r"\left(", r"\right)") if _TALL.search(inside) else ("(", ")")
        return Piece(TIGHT, f"{self._head(head)}{opening}{inside}{closing}")

    def _head(self, head: Head) -> str:
        if not head.own:
            return head.name if len(head.name) == 1 else roman(head.name)
        special = _HEADS.get(head.name) or head.latex
        return special or rf"\operatorname{{{_escaped(head.name)}}}"

    def keyword(self, name: str, value: str) -> str:
        return f"{variable(name)} = {value}"

    def reduce(self, reducer: str, names: str, over: str, body: Piece) -> Piece:
        text = body.text if body.level >= LARGE else self.brackets(body.text)
        return Piece(LARGE, rf"{_REDUCERS[reducer]}_{{{names} \in {over}}} {text}")

    def index(self, base: str, items: str) -> str:
        # TeX takes one index: a second goes on a group.
        stem = base if base.isalpha() else f"{{{base}}}"
        return rf"{stem}_{{[{items}]}}"
