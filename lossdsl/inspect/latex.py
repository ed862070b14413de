"""The loss as a LaTeX formula, for papers and notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lossdsl.inspect.equation import Equation, Summand, equation
from lossdsl.inspect.latex_notation import LatexNotation, roman, variable
from lossdsl.inspect.mathematics import LARGE, Writer
from lossdsl.library import registry
from lossdsl.syntax import tree

_ONE_LINE = 3
"""More terms than this get a line each."""


def latex(program: tree.Program, name: str, *, expanded: bool = False) -> str:
    """The formula, without dollar signs.

    Args:
        program: the loss as it was read.
        name: its name, which becomes an index of the L unless it is the general `loss`.
        expanded: whether the formula of every loss that is called stands below.
    """
    meaning = equation(program)
    writer = Writer(LatexNotation(), meaning.functions)
    symbol = r"\mathcal{L}" if name == "loss" else rf"\mathcal{{L}}_{{{roman(name)}}}"
    terms = list(_terms(meaning, writer))
    below = [*_definitions(meaning, writer), *(_formulas(meaning) if expanded else ())]
    if len(terms) <= _ONE_LINE and not below:
        return f"{symbol} = {' '.join(terms)}"
    step = len(terms) if len(terms) <= _ONE_LINE else 1
    lines = [" ".join(terms[start : start + step]) for start in range(0, len(terms), step)]
    rows = [rf"{symbol} ={{}}& {lines[0]}", *(rf"& {line}" for line in lines[1:]), *below]
    return _aligned(rows)


def _aligned(rows: Iterable[str]) -> str:
    body = " \\\\\n".join(rows)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def _terms(meaning: Equation, writer: Writer) -> Iterator[str]:
    for position, summand in enumerate(meaning.summands):
        text = _term(summand, writer)
        if position == 0:
            yield f"-{text}" if summand.sign == "-" else text
        else:
            yield f"{summand.sign} {text}"


def _term(summand: Summand, writer: Writer) -> str:
    text = writer.text(summand.value, LARGE)
    if text.startswith("-"):
        text = writer.notation.brackets(text)
    if summand.name is None:
        return text
    return rf"\underbrace{{{text}}}_{{{roman(summand.name)}}}"


def _definitions(meaning: Equation, writer: Writer) -> Iterator[str]:
    for definition in meaning.definitions:
        left = variable(definition.name)
        if definition.parameters is not None:
            left = f"{roman(definition.name)}({', '.join(map(variable, definition.parameters))})"
        yield rf"{left} ={{}}& {writer.text(definition.value)}"


def _formulas(meaning: Equation) -> Iterator[str]:
    """The catalogue's formula of each loss: one value of its map, before the reduction."""
    shown = False
    for name in _losses(meaning):
        record = registry.find(name)
        if record is None or not record.formula:
            continue
        if not shown:
            shown = True
            yield r"& \text{where each value of a loss's map is}"
        inputs = ", ".join(map(variable, record.inputs))
        yield rf"{roman(name)}({inputs}) ={{}}& {record.formula}"


def _losses(meaning: Equation) -> Sequence[str]:
    """Names called that are neither defined here nor functions, in order of first use."""
    found: dict[str, None] = {}
    stack: list[tree.Node] = [d.value for d in reversed(meaning.definitions)]
    stack += [s.value for s in reversed(meaning.summands)]
    while stack:
        node = stack.pop()
        if isinstance(node, tree.Call) and node.callee.id not in meaning.functions:
            found.setdefault(node.callee.id)
        stack.extend(reversed(list(tree.children(node))))
    return list(found)
