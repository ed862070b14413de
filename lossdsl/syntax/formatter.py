"""Tree to canonical text: `parse(format(x)) == x`, with as few brackets as that needs.

Spaces stand around what binds loosely (`+ -`, comparisons, words), none around what binds tightly
(`* / @ **`). Comments and the order of statements are the writer's, everything else is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from lark import Token

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Source
from lossdsl.syntax import tree
from lossdsl.syntax.grammar import lex
from lossdsl.syntax.parser import parse_program, parse_statement, split_statements
from lossdsl.syntax.tokens import goes_on

WIDTH = 100
_INDENT = " " * 4

# How tightly each form binds: the grammar's rules, loosest first.
_ANY, _OR, _AND, _NOT, _COMPARE, _SUM, _NAMED, _PRODUCT, _UNARY, _POWER, _POSTFIX = range(11)


# --- programs ---------------------------------------------------------------------------------


def format_program(source: Source, found: Diagnostics) -> str | None:
    """The canonical text of a program, or None where it has errors, which are then in `found`."""
    if parse_program(source, found) is None:
        return None
    page = _Page(source)
    before: list[Token] = []
    for statement in split_statements(source, found):
        tokens = statement.tokens
        for comment in statement.comments:
            # A comment inside the statement moves in front of it and leaves no line behind.
            inside = bool(tokens) and _start(comment) > _start(tokens[0])
            page.add(comment.rstrip(), _start(tokens[0] if inside else comment), _end(comment))
        if not tokens:
            continue
        node = parse_statement(tokens, source, found)
        text = format_statement(node)
        if before and isinstance(node, tree.Expression) and goes_on(before, next(lex(text))):
            text = format_statement(tree.Binding(tree.Name("loss", node.span), node, node.span))
        if statement.trailing is not None:
            text = f"{text}  {statement.trailing.rstrip()}"
        page.add(text, _start(tokens[0]), _end(tokens[-1]))
        before = tokens
    return page.text()


def _start(token: Token) -> int:
    return token.start_pos or 0


def _end(token: Token) -> int:
    return token.end_pos or 0


@dataclass
class _Page:
    """Lines of text, with at most one empty line where the source has some."""

    source: Source
    lines: list[str] = field(default_factory=list)
    reached: int = 0

    def add(self, text: str, start: int, end: int) -> None:
        line, _ = self.source.position(start)
        if self.lines and line > self.reached + 1:
            self.lines.append("")
        self.lines.append(text)
        self.reached = max(self.reached, self.source.position(end)[0])

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


# --- statements -------------------------------------------------------------------------------


def format_statement(node: tree.Statement | tree.Expression) -> str:
    """One statement; a sum too long for a line gets a line for each operand."""
    match node:
        case tree.Input(name, type, optional):
            return f"input {name.id}{'?' if optional else ''}: {format_type(type)}"
        case tree.Param(name, value):
            return _broken(f"param {name.id} = ", value)
        case tree.Function(name, parameters, body):
            return _broken(f"def {format_function_head(name, parameters)} = ", body)
        case tree.Binding(name, value) | tree.Term(name, value):
            return _broken(f"{name.id} = ", value)
        case _:
            return _broken("", node)


def format_function_head(name: tree.Name, parameters: Iterable[tree.FunctionParameter]) -> str:
    """`focal_dice(p, y, a=0.5)`"""
    return f"{name.id}({', '.join(map(_parameter, parameters))})"


def _parameter(node: tree.FunctionParameter) -> str:
    if node.default is None:
        return node.name.id
    return f"{node.name.id}={format_expression(node.default)}"


def _broken(head: str, value: tree.Expression) -> str:
    text = head + format_expression(value)
    if len(text) <= WIDTH or not isinstance(value, tree.Sum):
        return text
    return head + f"\n{_INDENT}".join(_summands(value))


# --- expressions ------------------------------------------------------------------------------


def format_expression(node: tree.Expression) -> str:
    """An expression on one line."""
    return _expression(node, _ANY)


def _expression(node: tree.Expression, least: int) -> str:
    """`node` where something that binds at least as tightly as `least` must stand."""
    level, text = _form(node)
    return text if level >= least else f"({text})"


def _form(node: tree.Expression) -> tuple[int, str]:
    """How tightly a node binds, and its text without brackets around it."""
    match node:
        case tree.Conditional(then, condition, otherwise):
            parts = (
                _expression(then, _OR),
                _expression(condition, _OR),
                format_expression(otherwise),
            )
            return _ANY, "{} if {} else {}".format(*parts)
        case tree.Logical("or", operands):
            return _OR, " or ".join(_expression(x, _AND) for x in operands)
        case tree.Logical(_, operands):
            return _AND, " and ".join(_expression(x, _NOT) for x in operands)
        case tree.Unary("not", operand):
            return _NOT, f"not {_expression(operand, _NOT)}"
        case tree.Comparison(left, operator, right):
            return _COMPARE, f"{_expression(left, _SUM)} {operator} {_expression(right, _SUM)}"
        case tree.Sum():
            return _SUM, " ".join(_summands(node))
        case tree.Named(value, name):
            return _NAMED, f"{_expression(value, _PRODUCT)} as {name.id}"
        case tree.Product(operands, operators):
            first, *rest = (_expression(x, _UNARY) for x in operands)
            return _PRODUCT, first + "".join(map("".join, zip(operators, rest, strict=True)))
        case tree.Unary(operator, operand):
            return _UNARY, operator + _expression(operand, _UNARY)
        case tree.Power(base, exponent):
            return _POWER, f"{_expression(base, _POSTFIX)}**{_expression(exponent, _UNARY)}"
        case _:
            return _POSTFIX, _tight(node)


def _summands(node: tree.Sum) -> list[str]:
    """`a`, `+ b`, `- c`."""
    first, *rest = (_expression(x, _NAMED) for x in node.operands)
    return [first, *map(" ".join, zip(node.signs[1:], rest, strict=True))]


def _tight(node: tree.Expression) -> str:
    match node:
        case tree.Number(value):
            return _number(value)
        case tree.Text(value):
            return _string(value)
        case tree.Truth(value):
            return "true" if value else "false"
        case tree.Nothing():
            return "none"
        case tree.Name(id):
            return id
        case tree.ListOf(items):
            return f"[{_commas(items)}]"
        case tree.Call(callee, arguments, keywords):
            named = (f"{k.name.id}={format_expression(k.value)}" for k in keywords)
            return f"{callee.id}({', '.join([*map(format_expression, arguments), *named])})"
        case tree.Index(base, items):
            return f"{_expression(base, _POSTFIX)}[{', '.join(map(_item, items))}]"
        case tree.Field(base, name):
            # `1.x` would be read as the number `1.` and a name.
            number = isinstance(base, tree.Number)
            text = f"({_tight(base)})" if number else _expression(base, _POSTFIX)
            return f"{text}.{name.id}"
        case tree.Comprehension(body, targets, iterable):
            names = ", ".join(target.id for target in targets)
            return f"{format_expression(body)} for {names} in {format_expression(iterable)}"
    raise TypeError(f"{type(node).__name__} is no expression")


def _commas(nodes: Iterable[tree.Expression]) -> str:
    return ", ".join(map(format_expression, nodes))


def _item(node: tree.IndexItem) -> str:
    match node:
        case tree.Ellipsis():
            return "..."
        case tree.Slice(start, stop, step):
            parts = [start, stop] if step is None else [start, stop, step]
            return ":".join("" if part is None else format_expression(part) for part in parts)
        case _:
            return format_expression(node)


def _number(value: int | float) -> str:
    """The shorter of `100000.0` and `1e5`; the decimal form unless it is more than 3 longer."""
    if isinstance(value, int):
        return str(value)
    _, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    first, *rest = map(str, digits)
    mantissa = f"{first}.{''.join(rest)}" if rest else first
    scientific = f"{'-' if value < 0 else ''}{mantissa}e{int(exponent) + len(rest)}"
    decimal = repr(value)
    if "e" in decimal or len(decimal) > len(scientific) + 3:
        return scientific
    return decimal


def _string(value: str) -> str:
    quote = '"' if "'" in value else "'"
    escapes = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", quote: f"\\{quote}"}
    return quote + "".join(escapes.get(character, character) for character in value) + quote


# --- types ------------------------------------------------------------------------------------


def format_type(node: tree.TypeExpression) -> str:
    """`logits[B, 1, H, W]`, `list[mask[B]; 4]`, `module(image[B, 3]) -> score[B]`."""
    match node:
        case tree.KindType(kinds, arguments, shape):
            text = "|".join(kind.id for kind in kinds)
            if arguments:
                text += f"({', '.join(map(_kind_argument, arguments))})"
            if shape is not None:
                text += f"[{', '.join(map(_dimension, shape))}]"
            return text
        case tree.ListType(item, length):
            return f"list[{format_type(item)}{'' if length is None else f'; {length}'}]"
        case tree.RecordType(fields):
            return f"{{{', '.join(f'{f.name.id}: {format_type(f.type)}' for f in fields)}}}"
        case tree.ModuleType(arguments, result, frozen):
            given = ", ".join(map(format_type, arguments))
            return f"{'frozen ' if frozen else ''}module({given}) -> {format_type(result)}"


def _kind_argument(node: tree.KindArgument) -> str:
    value = node.value if isinstance(node.value, str) else _number(node.value)
    return value if node.name is None else f"{node.name.id}={value}"


def _dimension(node: tree.Dimension) -> str:
    """`B`, `1`, `H//2`, `2*W`, `C - 1`, `*S`, `...`."""
    match node:
        case tree.DimNumber(value):
            return str(value)
        case tree.DimName(name):
            return name
        case tree.DimRest(name):
            return "..." if name == "_" else f"*{name}"
        case tree.DimArithmetic(left, operator, right):
            if operator in "+-":
                return f"{_dimension(left)} {operator} {_dim_operand(right, '+-')}"
            return f"{_dim_operand(left, '+-')}{operator}{_dim_operand(right, '+-*//')}"


def _dim_operand(node: tree.Dimension, bracketed: Sequence[str]) -> str:
    text = _dimension(node)
    needs = isinstance(node, tree.DimArithmetic) and node.operator in bracketed
    return f"({text})" if needs else text
