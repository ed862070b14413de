"""Names to meanings: from the tree to resolved nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from lossdsl.checker import fold, nodes, parts
from lossdsl.checker.declarations import CLOCKS, Declarations, no_clock
from lossdsl.checker.expansions import Expansions
from lossdsl.checker.nodes import Node
from lossdsl.checker.suggest import closest
from lossdsl.diagnostics.diagnostic import Advice, Diagnostics, Fix
from lossdsl.functions import record as functions
from lossdsl.functions.numbers import is_number
from lossdsl.source import Span
from lossdsl.syntax import limits, tree
from lossdsl.types.dims import Dim, Symbol
from lossdsl.types.shapes import Shape
from lossdsl.types.values import Module, Tensor

_RECURSION = 170


class Unresolved(Exception):
    """An expression has no meaning; the reason was reported."""


class BeyondLimits(Unresolved):
    """The program is too large: the rest of the statement is not looked at."""


@dataclass
class Resolver:
    """Resolves one program.

    `made` lists every node after what it is made of. `inferred` are the undeclared inputs with
    their first use. `lengths` says how long the open lists are; those asked for stand in `lists`,
    those whose length the text decides in `fixed_lists`.
    """

    declared: Declarations
    found: Diagnostics
    modules: frozenset[str] = frozenset()
    lengths: Mapping[str, int] = field(default_factory=dict)
    made: list[Node] = field(default_factory=list)
    bindings: dict[str, Node] = field(default_factory=dict)
    places: dict[str, Span] = field(default_factory=dict)
    inferred: dict[str, Span] = field(default_factory=dict)
    first_uses: dict[str, Span] = field(default_factory=dict)
    lists: dict[str, int] = field(default_factory=dict)
    fixed_lists: dict[str, int] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    local: dict[str, Node] | None = None
    visible: dict[str, frozenset[str]] = field(default_factory=dict)
    later: dict[str, Span] = field(default_factory=dict)
    expansions: Expansions = field(default_factory=Expansions)
    _level: int = 0

    def make(self, node: Node) -> Node:
        """Enter a node; too many are refused, however short the text that made them."""
        if len(self.made) >= limits.NODES:
            self._stop("NODES", node.span)
        self.made.append(node)
        return node

    def refuse(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        labels: Iterable[tuple[Span, str]] = (),
        help: str | Advice | None = None,
        fix: Fix | None = None,
    ) -> NoReturn:
        """Report a problem and give up the expression."""
        self.found.add(code, message, span, labels=labels, help=help, fix=fix)
        raise Unresolved

    def _stop(self, limit: str, span: Span) -> NoReturn:
        self.found.add("E701", limits.message(limit), span)
        raise BeyondLimits

    # --- statements ---

    def program(self, program: tree.Program) -> tuple[Node | None, dict[str, Node]]:
        """The result's node (None where it has no meaning) and the monitored terms."""
        monitors: dict[str, Node] = {}
        self.unread = program.unread
        self.later = {
            s.name.id: s.name.span
            for s in program.statements
            if isinstance(s, tree.Binding | tree.Term)
        }
        for statement in program.statements:
            match statement:
                case tree.Function(name):
                    self.visible[name.id] = frozenset(self.bindings)
                case tree.Binding(name, value):
                    self._bind(name, value, "binding")
                case tree.Term(name, value, monitored):
                    node = self._bind(name, value, "key")
                    if node is not None and monitored:
                        monitors[name.id] = node
        result = self.attempt(program.result)
        self._loss_is_used(program)
        if result is not None:
            self._monitor_omitted(program, result, monitors)
        return result, monitors

    def _loss_is_used(self, program: tree.Program) -> None:
        """A value that is called `loss` and does not reach the result was meant to be it."""
        for statement in program.statements:
            named = isinstance(statement, tree.Binding) and statement.name.id == "loss"
            if named and "loss" not in self.used and "loss" not in self.unread:
                self.used.add("loss")
                self.found.add(
                    "E108",
                    "this stands behind `loss = …`, whose value is lost",
                    program.result.span,
                    labels=[(statement.span, "lost")],
                    help="`loss = …` is the last line: add to it what belongs to the loss",
                )

    def _monitor_omitted(
        self, program: tree.Program, result: Node, monitors: dict[str, Node]
    ) -> None:
        """A term of a file that its `loss` leaves out is logged all the same."""
        stack, reached = [result], set()
        while stack:
            node = stack.pop()
            if id(node) not in reached:
                reached.add(id(node))
                stack.extend(nodes.operands(node))
        for statement in program.statements:
            if isinstance(statement, tree.Term) and not statement.monitored:
                node = self.bindings.get(statement.name.id, result)
                if id(node) not in reached and isinstance(node, nodes.Label):
                    monitors[statement.name.id] = node

    def _bind(self, name: tree.Name, value: tree.Expression, source: nodes.LabelSource) -> Any:
        self.later.pop(name.id, None)
        no_clock(name, self.found)
        node = self.attempt(value)
        first = self._owner(name.id)
        if first is not None:
            self.found.add(
                "E203",
                f"`{name.id}` already has a meaning",
                name.span,
                labels=[(first, "here")],
                help="a name is bound once: choose another",
            )
            # What it means is not known, so that one mistake gives one message.
            self.places[name.id] = name.span
            self.bindings[name.id] = nodes.Constant(None, name.span)
            return None
        self.places[name.id] = name.span
        if node is None:
            # The name exists, so that one mistake gives one message.
            self.bindings[name.id] = nodes.Constant(None, name.span)
            return None
        label = self.make(nodes.Label(node, name.id, source, name.span, name.span))
        self.bindings[name.id] = label
        return label

    def _owner(self, name: str) -> Span | None:
        for table in (self.places, self.inferred):
            if name in table:
                return table[name]
        if name in self.declared.inputs:
            return self.declared.inputs[name].span
        if name in self.declared.params:
            return self.declared.params[name].span
        return None

    def attempt(self, expression: tree.Expression) -> Node | None:
        try:
            return self.expression(expression)
        except BeyondLimits:
            if self._level > 0:
                raise
        except Unresolved:
            pass
        except RecursionError:
            # Functions inside one another take many frames a level, and the caller has some too.
            if self._level > 0:
                raise
            self.found.add("E701", limits.message("DEPTH"), expression.span)
        return None

    def all(self, expressions: Iterable[tree.Expression]) -> tuple[Node, ...]:
        """The meanings of several expressions; each is tried, so that all their problems show."""
        resolved = [self.attempt(expression) for expression in expressions]
        if any(node is None for node in resolved):
            raise Unresolved
        return tuple(node for node in resolved if node is not None)

    # --- expressions ---

    def expression(self, node: tree.Expression) -> Node:
        """The meaning of an expression."""
        self._level += 1
        try:
            if self._level > _RECURSION:
                self._stop("DEPTH", node.span)
            return self._expression(node)
        finally:
            self._level -= 1

    def _expression(self, node: tree.Expression) -> Node:
        match node:
            case tree.Number(value):
                return self.make(nodes.Constant(fold.plain(value), node.span))
            case tree.Text(value) | tree.Truth(value):
                return self.make(nodes.Constant(value, node.span))
            case tree.Nothing():
                return self.make(nodes.Constant(None, node.span))
            case tree.Name(name):
                return self.name(name, node.span)
            case tree.ListOf(items):
                return self._list(items, node.span)
            case tree.Sum(operands, signs):
                return self._sum(operands, signs, node.span)
            case tree.Product(operands, operators):
                return self._chain(operands, operators, node.span)
            case tree.Power(base, exponent):
                return self.apply(
                    "**", (self.expression(base), self.expression(exponent)), node.span
                )
            case tree.Unary(sign, operand):
                return self._unary(sign, operand, node.span)
            case tree.Comparison(left, operator, right):
                return self.apply(operator, self.all((left, right)), node.span)
            case tree.Logical(operator, operands):
                return self._chain(operands, (operator,) * (len(operands) - 1), node.span)
            case tree.Conditional():
                return self._conditional(node)
            case tree.Named(value, name):
                inner = self.expression(value)
                return self.make(nodes.Label(inner, name.id, "as", node.span, name.span))
            case tree.Call():
                from lossdsl.checker.calls import call

                return call(self, node)
            case tree.Index():
                return parts.index(self, node)
            case tree.Field(base, name):
                return parts.item(self, self.expression(base), name.id, node.span)
            case tree.Comprehension():
                self.refuse(
                    "E204",
                    "a comprehension stands alone in `sum`, `mean`, `max` or `min`",
                    node.span,
                )

    def name(self, name: str, span: Span) -> Node:
        """What a name stands for: the innermost of parameter, binding, param, input, symbol."""
        if self.local is not None and name in self.local:
            return self.local[name]
        if name in self.unread:
            raise Unresolved
        declared = self.declared
        if name in self.bindings and self._sees(name):
            self.used.add(name)
            bound = self.bindings[name]
            if isinstance(bound, nodes.Constant) and bound.span is self.places.get(name):
                raise Unresolved
            return bound
        if name in declared.params:
            self.used.add(name)
            param = declared.params[name]
            if param.role == "fixed":
                return self.make(nodes.Constant(param.value, span))
            return self.make(nodes.ParamRef(name, span, param.drawn is not None))
        if self.network(name) is not None:
            self.used.add(name)
            return self.make(nodes.ModuleRef(name, span))
        if name in declared.inputs:
            self.used.add(name)
            self.first_uses.setdefault(name, span)
            return self.make(nodes.InputRef(name, span))
        if name in CLOCKS:
            return self.make(nodes.Clock(name, span))
        if name in declared.symbols and name not in self.inferred:
            return self._size(name, span)
        if name in self.later:
            self.refuse(
                "E208",
                f"`{name}` is used before it is bound",
                span,
                labels=[(self.later[name], "bound here")],
                help=f"move the line of `{name}` above this one",
            )
        return self._undeclared(name, span)

    def network(self, name: str) -> str | None:
        """The network that a name stands for here, if it is one: a function may have got it."""
        if self.local is not None and name in self.local:
            given = nodes.unlabelled(self.local[name])
            return given.module if isinstance(given, nodes.ModuleRef) else None
        declared = self.declared.inputs.get(name)
        if declared is not None:
            return name if isinstance(declared.type, Module) else None
        hidden = name in self.bindings or name in self.declared.params
        return name if name in self.modules and not hidden else None

    def _size(self, symbol: str, span: Span) -> Node:
        """A symbol as a number: read from the first input that has it alone on an axis."""
        wanted = Dim.of(Symbol(symbol))
        for name, declared in self.declared.inputs.items():
            shape = declared.type.shape if isinstance(declared.type, Tensor) else Shape()
            for axis in (*range(len(shape.before)), *range(-len(shape.after), 0)):
                if shape.axis(axis) == wanted:
                    self.used.add(name)
                    self.first_uses.setdefault(name, span)
                    return self.make(nodes.SizeOf(name, axis, span))
        self.refuse(
            "E408",
            f"no input has the size `{symbol}` alone on an axis",
            span,
            help="declare an input with that axis",
        )

    def _sees(self, name: str) -> bool:
        """Inside a function only the bindings above it are seen."""
        return not self.calls or name in self.visible.get(self.calls[-1], frozenset())

    def _undeclared(self, name: str, span: Span) -> Node:
        declared = self.declared
        if declared.closed or self.calls:
            known = [*self.bindings, *declared.params, *declared.inputs, *declared.symbols, *CLOCKS]
            if self.local is not None:
                known += self.local
            why = (
                f"`{name}` is not declared"
                if not self.calls
                else f"the function `{self.calls[-1]}` does not know `{name}`"
            )
            advice = closest(name, known, own=True) or (
                f"declare it (`input {name}: …`)"
                if not self.calls
                else "pass it as an argument, or declare it as an input"
            )
            self.refuse("E201", why, span, help=advice)
        if name in ("denominators", "scale"):
            self.refuse("E203", f"`{name}` is a reserved name of the call", span)
        self.inferred.setdefault(name, span)
        self.first_uses.setdefault(name, span)
        return self.make(nodes.InputRef(name, span))

    # --- operators ---

    def apply(
        self,
        name: str,
        operands: tuple[Node, ...],
        span: Span,
        literals: dict[str, Any] | None = None,
        places: dict[str, Span] | None = None,
        keywords: tuple[str | None, ...] = (),
    ) -> Node:
        """A function of operands; folded to a number where all are numbers."""
        function = functions.functions()[name]
        folded = fold.fold(function, operands, literals or {}, keywords, span, self.found)
        if folded is not None:
            return self.make(folded)
        return self.make(
            nodes.Apply(function, operands, literals or {}, span, places or {}, keywords)
        )

    def _sum(
        self, operands: tuple[tree.Expression, ...], signs: tuple[str, ...], span: Span
    ) -> Node:
        resolved = self.all(operands)
        if all(nodes.literal(x) is not None for x in resolved):
            result = resolved[0]
            for sign, operand in zip(signs[1:], resolved[1:], strict=True):
                result = self.apply(sign, (result, operand), span)
            return result
        return self.make(nodes.Total(resolved, signs, span))

    def _chain(
        self, operands: tuple[tree.Expression, ...], operators: tuple[str, ...], span: Span
    ) -> Node:
        result, *others = self.all(operands)
        for operator, right, operand in zip(operators, others, operands[1:], strict=True):
            result = self.apply(operator, (result, right), operands[0].span.to(operand.span))
        return result

    def _unary(self, sign: str, operand: tree.Expression, span: Span) -> Node:
        inner = self.expression(operand)
        if sign == "+":
            return inner
        return self.apply("neg" if sign == "-" else "not", (inner,), span)

    def _conditional(self, node: tree.Conditional) -> Node:
        condition = self.expression(node.condition)
        known = nodes.literal(condition)
        if known is not None:
            return self.expression(node.then if known.value else node.otherwise)
        operands = (condition, self.expression(node.then), self.expression(node.otherwise))
        return self.apply("where", operands, node.span)

    def _list(self, items: tuple[tree.Expression, ...], span: Span) -> Node:
        resolved = self.all(items)
        known = [nodes.literal(x) for x in resolved]
        values = tuple(x.value for x in known if x is not None and is_number(x.value))
        if len(values) == len(resolved):
            return self.make(nodes.Constant(values, span))
        return self.make(nodes.Items(resolved, span))
