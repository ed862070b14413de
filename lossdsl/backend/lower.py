"""From the IR to torch.fx: one call a primitive, named terms, the line of the text on each node."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import fx

from lossdsl.backend import runtime
from lossdsl.backend.names import AVERAGING, CLOCKS, StateNames, argument_names, counter
from lossdsl.checker.declarations import Param
from lossdsl.functions import processes
from lossdsl.functions.convert import as_scalar
from lossdsl.hazards.derivatives import differentiated
from lossdsl.ir.graph import Graph, Node, Term, is_python_number, topological
from lossdsl.source import Span


@dataclass(frozen=True)
class Lowered:
    """The fx graph with all that the module needs to read its results.

    The graph returns the loss, the raw values of the terms, and the weights that move. A term's
    entry in `weights` is its number, or the position of its weight among those that move.
    """

    graph: fx.Graph
    value: fx.Node
    inputs: tuple[str, ...]
    names: tuple[str, ...]
    weights: tuple[float | int, ...]
    moving: tuple[bool, ...]
    monitored: tuple[bool, ...]
    dropped: tuple[bool, ...]


_AT_RUN_TIME = {processes.all_gather: runtime.all_gather}
"""Functions that do more in a compiled loss than on their own."""

_APART = 8
"""Up to so many terms their values are results of their own: to join them takes a call longer.
A single one is the loss itself, or nearly, and is copied."""

_SHOWN = 120
"""How much of a line is shown above a node."""


def lower(
    graph: Graph, inputs: Iterable[str], params: dict[str, Param], names: StateNames
) -> Lowered:
    """Write the graph of a loss. Its placeholders are the contract's inputs in order."""
    return _Lowering(graph, tuple(inputs), params, names).run()


@dataclass
class _Lowering:
    source: Graph
    inputs: tuple[str, ...]
    params: dict[str, Param]
    names: StateNames
    graph: fx.Graph = field(default_factory=fx.Graph)
    made: dict[int, Any] = field(default_factory=dict)

    def run(self) -> Lowered:
        # Names are given explicitly: fx's own lower-casing would let input `B` overwrite `b`.
        placeholders = {
            name: self.graph.create_node("placeholder", safe, (), {}, safe)
            for name, safe in zip(self.inputs, argument_names(self.inputs), strict=True)
        }
        terms = [term for term in self.source.terms if not term.dropped]
        owners = self._owners(terms)
        derived = differentiated(self.source)
        for node in self.source.nodes():
            if node.op == "input":
                self.made[id(node)] = self._input(node, placeholders, derived)
            else:
                self.made[id(node)] = self._emit(node, owners.get(id(node), ()))
        anchor = self._anchor(terms, placeholders)
        raws = {term.name: self._raw(term, anchor) for term in terms}
        weights = {term.name: self._weight(term, raws[term.name]) for term in terms}
        value = self._sum(terms, raws, weights, anchor)
        return self._output(value, raws, weights, anchor)

    def _owners(self, terms: list[Term]) -> dict[int, tuple[str, ...]]:
        """Which terms need a node."""
        owners: dict[int, tuple[str, ...]] = {}
        for term in terms:
            for node in topological((term.weight, term.raw)):
                known = owners.get(id(node), ())
                # Two names are enough to tell that a node is shared.
                if len(known) < 2:
                    owners[id(node)] = (*known, term.name)
        return owners

    # --- one node ---

    def _emit(self, node: Node, owners: tuple[str, ...]) -> Any:
        arguments = [self.made[id(operand)] for operand in node.operands]
        match node.op:
            case "number":
                return node.literals["value"]
            case "list":
                return arguments
            case "param":
                return self._param(node)
            case "clock":
                ticks = self._tag(
                    self.graph.get_attr(CLOCKS[node.literals["name"]]), node.span, owners
                )
                return self._call(runtime.clock, (ticks,), {}, node, owners, "clock")
            case "size":
                axis = node.literals["axis"]
                return self._call(runtime.size, (*arguments, axis), {}, node, owners, "size")
            case "index":
                items = node.literals["items"]
                index = items[0] if len(items) == 1 else items
                return self._call(operator.getitem, (*arguments, index), {}, node, owners, "item")
            case "item":
                key = node.literals["key"]
                target = runtime.field if isinstance(key, str) else operator.getitem
                return self._call(target, (*arguments, key), {}, node, owners, "item")
        assert not isinstance(node.op, str)
        if node.op.stateful:
            return self._average(node, arguments, owners)
        if node.op.group == "module":
            made = self.graph.call_module(self.names.modules[node.op.name], tuple(arguments))
            return self._tag(made, node.span, owners)
        keywords = node.keywords or (None,) * len(arguments)
        positional = tuple(a for a, k in zip(arguments, keywords, strict=True) if k is None)
        named = {k: a for a, k in zip(arguments, keywords, strict=True) if k is not None}
        named.update(node.literals)
        target = _AT_RUN_TIME.get(node.op.run, node.op.run)
        return self._call(target, positional, named, node, owners, node.op.name)

    def _call(
        self,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        node: Node,
        owners: tuple[str, ...],
        name: str,
    ) -> fx.Node:
        name = name if name.isidentifier() else target.__name__
        made = self.graph.create_node("call_function", target, args, kwargs, name)
        return self._tag(made, node.span, owners)

    def _input(
        self, node: Node, placeholders: Mapping[str, fx.Node], derived: Mapping[str, Span]
    ) -> fx.Node:
        name = node.literals["name"]
        placeholder = placeholders[name]
        if name not in derived:
            return placeholder
        target = runtime.differentiable
        return self._call(target, (placeholder,), {}, node, (), f"{placeholder.name}_moving")

    def _average(self, node: Node, arguments: list[Any], owners: tuple[str, ...]) -> fx.Node:
        """A running mean, with what it keeps."""
        literals = dict(node.literals)
        kept = self.names.averages[literals.pop("state")]
        state = [
            self._tag(self.graph.get_attr(name), node.span, owners)
            for name in (kept, counter(kept), AVERAGING)
        ]
        target = runtime.running_mean
        return self._call(target, (*arguments, *state), literals, node, owners, node.name)

    def _param(self, node: Node) -> fx.Node:
        name = node.literals["name"]
        param = self.params[name]
        read = self._tag(self.graph.get_attr(self.names.params[name]), node.span, ())
        bounds = {k: v for k, v in (("low", param.low), ("high", param.high)) if v is not None}
        if bounds:
            read = self._call(runtime.learnable, (read,), bounds, node, (), "learnable")
        if param.drawn is not None:
            return read
        if isinstance(param.value, tuple):
            if param.role == "learnable":
                return read
            inputs = tuple(n for n in self.graph.nodes if n.op == "placeholder")
            return self._call(runtime.listed, (read, *inputs), {}, node, (), name)
        return self._call(runtime.param, (read,), {}, node, (), name)

    def _tag(self, made: fx.Node, span: Span, owners: tuple[str, ...]) -> fx.Node:
        """Where the node comes from: torch prints it above the node and in its errors."""
        term = owners[0] if len(owners) == 1 else "loss" if not owners else "several terms"
        line = self._line(span)
        made.meta["stack_trace"] = (
            f'  File "{span.source.name}", line {span.line}, in {term}\n    {line}'
        )
        made.meta["lossdsl_span"] = span
        made.meta["lossdsl_terms"] = owners
        return made

    def _line(self, span: Span) -> str:
        """The line of the text; of a very long one, the part where the node comes from."""
        source = span.source
        start = source.line_starts[span.line - 1]
        if span.start - start < _SHOWN:
            return source.text[start : start + _SHOWN].splitlines()[0].strip()
        return source.text[span.start : span.start + _SHOWN].splitlines()[0].strip()

    # --- the sum ---

    def _anchor(self, terms: list[Term], placeholders: dict[str, fx.Node]) -> Any:
        """A tensor of the loss's precision, for terms that are numbers."""
        for term in terms:
            made = self.made[id(term.raw)]
            if self._is_tensor(term.raw):
                return made
        values = tuple(placeholders.values())
        return self.graph.create_node("call_function", runtime.nothing, values, {}, "nothing")

    def _raw(self, term: Term, anchor: Any) -> fx.Node:
        made = self.made[id(term.raw)]
        if made is anchor:
            return self._node(made)
        if not isinstance(made, fx.Node) or is_python_number(term.raw):
            name = "constant"
            return self._call(runtime.constant, (made, anchor), {}, term.raw, (term.name,), name)
        if not self._is_tensor(term.raw):
            return self._call(as_scalar, (made, anchor), {}, term.raw, (term.name,), "as_scalar")
        return made

    def _is_tensor(self, root: Node) -> bool:
        """Whether a value depends on the inputs' values, not only on their sizes."""
        sizes = {id(x) for n in topological((root,)) if n.op == "size" for x in n.operands}
        return any(n.op == "input" and id(n) not in sizes for n in topological((root,)))

    def _node(self, made: Any) -> fx.Node:
        assert isinstance(made, fx.Node)
        return made

    def _weight(self, term: Term, raw: fx.Node) -> Any:
        made = self.made[id(term.weight)]
        if term.monitored or not isinstance(made, fx.Node):
            return made
        target = runtime.constant if is_python_number(term.weight) else as_scalar
        name = f"{term.name}_weight"
        return self._call(target, (made, raw), {}, term.weight, (term.name,), name)

    def _sum(
        self, terms: list[Term], raws: dict[str, fx.Node], weights: dict[str, Any], anchor: Any
    ) -> fx.Node:
        total: fx.Node | None = None
        for term in terms:
            if term.monitored:
                continue
            weight, raw = weights[term.name], raws[term.name]
            part = raw
            if isinstance(weight, fx.Node) or weight != 1:
                part = self.graph.create_node(
                    "call_function", operator.mul, (weight, raw), {}, f"weighted_{term.name}"
                )
                self._tag(part, term.span, (term.name,))
            if total is None:
                total = part
            else:
                total = self.graph.create_node(
                    "call_function", operator.add, (total, part), {}, "total"
                )
                self._tag(total, term.span, ())
        if total is None:
            total = self.graph.call_function(runtime.constant, (0.0, anchor))
        return total

    def _output(
        self, value: fx.Node, raws: dict[str, fx.Node], weights: dict[str, Any], anchor: Any
    ) -> Lowered:
        terms = self.source.terms
        zero: fx.Node | None = None
        listed = []
        moving: list[fx.Node] = []
        table: list[float | int] = []
        for term in terms:
            if term.dropped:
                if zero is None:
                    zero = self.graph.call_function(runtime.constant, (0.0, anchor))
                listed.append(zero)
                table.append(0.0)
                continue
            listed.append(raws[term.name])
            weight = weights[term.name]
            if isinstance(weight, fx.Node):
                table.append(len(moving))
                moving.append(weight)
            else:
                table.append(float(weight))
        made: Any
        if 1 < len(listed) <= _APART:
            made = tuple(self.graph.call_function(runtime.logged, (raw,)) for raw in listed)
        else:
            made = self.graph.create_node(
                "call_function", runtime.ledger, (listed,), {}, "raw_values"
            )
        scales = None
        if moving:
            scales = self.graph.create_node(
                "call_function", runtime.ledger, (moving,), {}, "weights"
            )
        self.graph.output((value, made, scales))
        is_moving = tuple(isinstance(weights.get(t.name), fx.Node) for t in terms)
        return Lowered(
            self.graph,
            value,
            self.inputs,
            tuple(term.name for term in terms),
            tuple(table),
            is_moving,
            tuple(term.monitored for term in terms),
            tuple(term.dropped for term in terms),
        )
