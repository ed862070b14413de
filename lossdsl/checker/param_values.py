"""What numbers are where the params have certain values, and which of them cannot be.

The values of params are no part of a graph: they are put in here for the check alone, those of
the text when a loss is made, and new ones when they are set.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lossdsl.checker import nodes
from lossdsl.checker.declarations import Param, ParamValue
from lossdsl.checker.fold import calculates, evaluate
from lossdsl.checker.nodes import Node
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.functions.numbers import is_number
from lossdsl.source import Span

Known = float | tuple[float, ...] | None
"""A number or a list of numbers; None where tensors, sizes or clocks decide."""


@dataclass
class ParamValues:
    """The numbers of one program at some values of its params. A param that has none is unknown,
    and with it whatever depends on it."""

    made: Iterable[Node]
    params: Mapping[str, ParamValue]
    found: Diagnostics
    declared: Mapping[str, Param] = field(default_factory=dict)
    values: dict[int, Known] = field(default_factory=dict)
    reported: set[int] = field(default_factory=set)

    def judge(self, results: Iterable[Node]) -> None:
        """Report what is out of its range, and what in `results` is not finite."""
        for node in self.made:
            self.values[id(node)] = self._value(node)
        for node in self.made:
            if isinstance(node, nodes.LossCall):
                self._in_range(node)
            elif isinstance(node, nodes.Apply) and node.function.name == "clamp":
                self._between(node)
        self._finite(results)

    def of(self, node: Node) -> Known:
        return self.values.get(id(node))

    # --- calculating ---

    def _value(self, node: Node) -> Known:
        match node:
            case nodes.Constant(value):
                return value if is_number(value) or isinstance(value, tuple) else None
            case nodes.ParamRef(name):
                given = self.params.get(name)
                return given if is_number(given) or isinstance(given, tuple) else None
            case nodes.Label(value) | nodes.Cast(_, value):
                return self.of(value)
            case nodes.Index(base, (int() as position,)):
                several = self.of(base)
                inside = isinstance(several, tuple) and -len(several) <= position < len(several)
                return several[position] if inside and isinstance(several, tuple) else None
            case nodes.Apply():
                return self._applied(node)
            case nodes.Total(operands, signs):
                numbers = [self.of(operand) for operand in operands]
                if all(is_number(number) for number in numbers):
                    signed = zip(signs, numbers, strict=True)
                    return sum(-n if s == "-" else n for s, n in signed if is_number(n))
        return None

    def _applied(self, node: nodes.Apply) -> Known:
        chosen = self._chosen(node)
        if chosen is not None:
            return self.of(chosen)
        operands = [self.of(operand) for operand in node.operands]
        if None in operands or not calculates(node.function):
            return None
        length = next((len(known) for known in operands if isinstance(known, tuple)), None)
        if length is None:
            return _number(node, [known for known in operands if is_number(known)])
        if any(isinstance(known, tuple) and len(known) != length for known in operands):
            return None
        rows = ([k[i] if isinstance(k, tuple) else k for k in operands] for i in range(length))
        return tuple(_number(node, [k for k in row if is_number(k)]) for row in rows)

    def _chosen(self, node: Node) -> Node | None:
        """What a `where` gives whose condition is known."""
        if not isinstance(node, nodes.Apply) or node.function.name != "where":
            return None
        condition = self.of(node.operands[0])
        if not is_number(condition):
            return None
        return node.operands[1 if condition else 2]

    # --- judging ---

    def _in_range(self, call: nodes.LossCall) -> None:
        """Literals were judged where they stand."""
        for name, value in call.parameters.items():
            parameter = call.record.parameter(name)
            if not isinstance(value, nodes.NODES) or parameter is None or parameter.range is None:
                continue
            known = self.of(value)
            for number in known if isinstance(known, tuple) else (known,):
                if number is not None and number not in parameter.range:
                    self.found.add(
                        "E206",
                        f"`{name}` of `{call.record.name}` lies in {parameter.range}, and "
                        f"`{value.span.text}` is {number:g}",
                        value.span,
                        labels=self._labels(value),
                    )
                    break

    def _between(self, clamp: nodes.Apply) -> None:
        """A lower bound above the upper one would give that for every value."""
        if len(clamp.operands) < 3:
            return
        low, high = (self.of(operand) for operand in clamp.operands[1:])
        if is_number(low) and is_number(high) and low > high:
            self.found.add(
                "E206",
                f"`clamp` to at least {low:g} and at most {high:g}: no number is both",
                clamp.operands[2].span,
                labels=[(clamp.operands[1].span, "the lower bound"), *self._labels(clamp)],
                help="exchange the bounds",
            )

    def _finite(self, results: Iterable[Node]) -> None:
        """Go down to the largest numbers that are known; what no `where` picks is not looked at."""
        stack, seen = list(results), set()
        while stack:
            node = stack.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if self.of(node) is None:
                chosen = self._chosen(node)
                stack.extend(nodes.operands(node) if chosen is None else (chosen,))
            elif not _is_finite(self.of(node)):
                self._not_finite(self._origin(node))

    def _origin(self, node: Node) -> Node:
        """The innermost number that is not finite."""
        while True:
            chosen = self._chosen(node)
            below = nodes.operands(node) if chosen is None else (chosen,)
            wrong = next((x for x in below if not _is_finite(self.of(x))), None)
            if wrong is None:
                return node
            node = wrong

    def _not_finite(self, node: Node) -> None:
        if id(node) in self.reported:
            return
        self.reported.add(id(node))
        message = f"`{node.span.text}` is not a finite number"
        if isinstance(node, nodes.Apply) and node.function.name == "/":
            divisor = node.operands[1]
            if self.of(divisor) == 0:
                message = f"`{divisor.span.text}` is 0, and nothing is divided by 0"
        self.found.add(
            "E310",
            message,
            node.span,
            labels=self._labels(node),
            help="change the numbers so that the result exists",
        )

    def _labels(self, node: Node) -> list[tuple[Span, str]]:
        """Where the params below a node are declared, and what they are."""
        names: dict[str, None] = {}
        stack = [node]
        while stack:
            here = stack.pop()
            if isinstance(here, nodes.ParamRef):
                names.setdefault(here.name)
            stack.extend(reversed(nodes.operands(here)))
        return [
            (self.declared[name].span, f"`{name}` is {_shown(self.declared[name].value)}")
            for name in names
            if name in self.declared
        ]


def _number(node: nodes.Apply, operands: list[float]) -> float:
    value = evaluate(node.function, operands, node.literals, node.keywords)
    return math.nan if value is None else value


def _is_finite(known: Known) -> bool:
    numbers = known if isinstance(known, tuple) else (known,)
    return all(number is None or math.isfinite(number) for number in numbers)


def _shown(value: ParamValue) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(f'{number:g}' for number in value)}]"
    return f"{value:g}" if is_number(value) else str(value)
