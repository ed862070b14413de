"""Kinds and shapes of every node, bottom up, with conversions written out."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from lossdsl.checker import nodes
from lossdsl.checker.casts import cast
from lossdsl.checker.declarations import Declarations
from lossdsl.checker.expansions import Expansions, told_at_the_call
from lossdsl.checker.fold import overflows
from lossdsl.checker.indexing import index
from lossdsl.checker.infer import place_of
from lossdsl.checker.mixture import mixture
from lossdsl.checker.module_calls import module_call
from lossdsl.checker.nodes import Node, is_coefficient, is_number
from lossdsl.checker.typed import PythonNumbers, Typed, unwrapped
from lossdsl.diagnostics.diagnostic import Advice, Diagnostics, Fix
from lossdsl.functions import convert
from lossdsl.functions import record as functions
from lossdsl.functions.numbers import is_number as is_plain_number
from lossdsl.functions.op import Op
from lossdsl.functions.record import CallSite, Refused
from lossdsl.source import Span
from lossdsl.types.dims import Dim
from lossdsl.types.kinds import KINDS
from lossdsl.types.renew import renewed
from lossdsl.types.shapes import Shape
from lossdsl.types.solve import Solver
from lossdsl.types.values import NUMBER, Listing, Module, Record, Tensor, Type

_SPECTRAL = frozenset({"abs", "imag"})
"""Functions that take spectra."""


class Wrong(Exception):
    """A node has no type; the reason was reported."""


class Typing:
    """Types all nodes of a resolved program.

    `kinds` are those inferred for undeclared places. `given` replaces inputs' types by what came
    at a call: the same rules then run on numbers.
    """

    def __init__(
        self,
        declared: Declarations,
        kinds: Mapping[str, str],
        found: Diagnostics,
        modules: Mapping[str, Module | None],
        given: Mapping[str, Type] | None = None,
        features: frozenset[str] = frozenset(),
        clashed: frozenset[str] = frozenset(),
        returned: Mapping[Span, Type] | None = None,
        expansions: Expansions | None = None,
    ) -> None:
        self.declared = declared
        self.solver: Solver = declared.solver
        self.kinds = kinds
        self.found = found
        self.modules = modules
        self.given = given or {}
        self.features = features
        self.clashed = clashed
        self.returned = returned or {}
        self.expansions = expansions or Expansions()
        self.typed: dict[int, Typed] = {}
        self.places: dict[str, Type] = {}
        self.items: dict[str, Type] = {}
        self.coefficients: dict[int, bool] = {}
        self.numbers: dict[int, bool] = {}
        self.python_numbers = PythonNumbers()
        self.inputs: dict[str, Typed] = {}
        self.states: dict[int, str] = {}
        self.label_sizes: list[tuple[str, Dim, int]] = []

    def run(self, made: Iterable[Node]) -> None:
        """Type nodes in order of making; what depends on a wrong one is skipped silently."""
        made = list(made)
        self.states = nodes.states(made)
        owners = self.expansions.owners(len(made))
        for node, owner in zip(made, owners, strict=True):
            if any(id(below) not in self.typed for below in nodes.operands(node)):
                continue
            outside = self.found
            if owner is not None:
                self.found = Diagnostics()
            with contextlib.suppress(Wrong):
                self.typed[id(node)] = self._type(node)
            if owner is not None:
                told_at_the_call(self.found, owner, outside)
                self.found = outside

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
        """Report a problem and give up the node."""
        self.found.add(code, message, span, labels=labels, help=help, fix=fix)
        raise Wrong

    def of(self, node: Node) -> Typed:
        return self.typed[id(node)]

    def shown(self, value: Typed) -> str:
        """A value's type with all that is known of its shape."""
        type = value.type
        if isinstance(type, Tensor):
            type = type.with_shape(self.solver.told(type.shape))
        return str(type)

    def is_number(self, node: Node) -> bool:
        return is_coefficient(node, self.coefficients)

    def stands_alone(self, node: Node) -> bool:
        """Whether a node is made of numbers, the sizes of axes among them."""
        return is_number(node, self.numbers)

    # --- nodes ---

    def _type(self, node: Node) -> Typed:
        match node:
            case nodes.Constant(value):
                return Typed("number", (), {"value": value}, NUMBER, node.span)
            case nodes.InputRef() | nodes.Item():
                return self._place(node)
            case nodes.ParamRef(name):
                return self._param(name, node.span)
            case nodes.Clock(name):
                return Typed("clock", (), {"name": name}, NUMBER, node.span)
            case nodes.SizeOf():
                return self._size(node)
            case nodes.Label(value):
                return self.of(value)
            case nodes.Total():
                return self._total(node)
            case nodes.Apply():
                return self._apply(node)
            case nodes.LossCall():
                from lossdsl.checker.loss_calls import LossCallTyping

                return LossCallTyping(self, node).run()
            case nodes.ModuleCall():
                return module_call(self, node)
            case nodes.ModuleRef(name):
                type = self.modules.get(name) or Module((), Tensor("real", self.solver.any_shape()))
                return Typed("input", (), {"name": name}, type, node.span)
            case nodes.Index():
                return index(self, node)
            case nodes.Cast():
                return cast(self, node)
            case nodes.Items(items):
                typed = tuple(self.of(item) for item in items)
                types = Listing(tuple(item.type for item in typed))
                return Typed("list", typed, {}, types, node.span)

    # --- leaves ---

    def _place(self, node: nodes.InputRef | nodes.Item) -> Typed:
        if place_of(node) in self.clashed:
            raise Wrong
        if isinstance(node, nodes.InputRef):
            leaf = self.inputs.get(node.name)
            if leaf is None:
                type = self._input_type(node)
                leaf = Typed("input", (), {"name": node.name}, type, node.span)
                self.inputs[node.name] = leaf
            raw = dataclasses.replace(leaf, span=node.span)
        else:
            base = unwrapped(self.of(node.base))
            raw = Typed("item", (base,), {"key": node.key}, self._part(node, base), node.span)
        return self.entered(raw)

    def entered(self, raw: Typed) -> Typed:
        """A tensor that comes from outside, in the precision that losses calculate in."""
        if (
            isinstance(raw.type, Listing)
            and isinstance(raw.type.item, Tensor)
            and raw.type.items is None
        ):
            return Typed(convert.AS_FLOATS, (raw,), {}, raw.type, raw.span)
        if not isinstance(raw.type, Tensor):
            return raw
        if KINDS[raw.type.kind].integer:
            op = convert.AS_INDEX
        elif self.declared.options.compute_dtype == "input":
            op = convert.AS_FLOATING
        else:
            op = convert.AS_FLOAT
        return Typed(op, (raw,), {}, raw.type, raw.span)

    def _input_type(self, node: nodes.InputRef) -> Type:
        name = node.name
        if name in self.given:
            return self.given[name]
        if name in self.declared.inputs:
            return self.declared.inputs[name].type
        if place_of(node) in self.kinds:
            return self._undeclared(place_of(node))
        if place_of(node) in self.features:
            return self.feature_list(place_of(node))
        # A container: its parts are inferred one by one.
        return Record(())

    def feature_list(self, place: str) -> Type:
        """The type of an undeclared list of feature maps."""
        if place not in self.places:
            self.places[place] = Listing(None, Tensor("real", self.solver.any_shape("_")))
        return self.places[place]

    def _undeclared(self, place: str, key: str | None = None) -> Type:
        key = key or place
        if key not in self.places:
            kind = self.kinds.get(place, "real")
            # The class axis is where the loss that asked for the kind writes it.
            self.places[key] = Tensor(kind, self.solver.any_shape())
        return self.places[key]

    def _part(self, node: nodes.Item, base: Typed) -> Type:
        container = base.type
        if isinstance(container, Record):
            known = container.field(str(node.key))
            if known is not None:
                return known
        elif isinstance(container, Listing) and isinstance(node.key, int):
            length = container.length
            if container.items is not None and length is not None:
                if -length <= node.key < length:
                    return container.items[node.key]
                self.refuse("E406", f"`{node.base.span.text}` has {length} items", node.span)
            if container.item is not None:
                return self._item(node, container.item)
        elif isinstance(container, Tensor) and place_of(node) not in self.kinds:
            self.refuse("E211", f"`{node.span.text}`: a tensor has no parts", node.span)
        if place_of(node) in self.features:
            return self.feature_list(place_of(node))
        key = f"{place_of(node.base)}.{node.key}"
        if place_of(node) not in self.kinds:
            return Record(())
        return self._undeclared(place_of(node), key)

    def _item(self, node: nodes.Item, item: Type) -> Type:
        """The type of one item of a list of open length: a `_` is another size in each."""
        key = f"{place_of(node.base)}.{node.key}"
        if key not in self.items:
            self.items[key] = renewed(self.solver, item)
        return self.items[key]

    def _param(self, name: str, span: Span) -> Typed:
        param = self.declared.params[name]
        value, drawn = param.value, param.drawn
        type = NUMBER
        if drawn is not None:
            type = Tensor("real", Shape.numbers(drawn.sizes))
        elif isinstance(value, tuple):
            type = Tensor("real", Shape.numbers((len(value),)))
        return Typed("param", (), {"name": name}, type, span)

    def _size(self, node: nodes.SizeOf) -> Typed:
        declared = self.declared.inputs[node.input].type
        leaf = Typed(
            "input", (), {"name": node.input}, self.given.get(node.input, declared), node.span
        )
        return Typed("size", (leaf,), {"axis": node.axis}, NUMBER, node.span)

    # --- operations ---

    def _total(self, node: nodes.Total) -> Typed:
        """A sum of many: the two-operand rule from left to right."""
        add, sub = (functions.functions()[name] for name in ("+", "-"))
        result = self.of(node.operands[0])
        number = self.is_number(node.operands[0])
        for sign, operand in zip(node.signs[1:], node.operands[1:], strict=True):
            right = self.of(operand)
            function = sub if sign == "-" else add
            span = node.span if operand is node.operands[-1] else result.span.to(right.span)
            both = [number, self.is_number(operand)]
            result = self.call(function, [result, right], {}, span, {}, (), both)
            number = number and self.is_number(operand)
        kind = mixture(self, node)
        if kind is not None:
            result = dataclasses.replace(result, type=kind.with_shape(result.tensor.shape))
        return result

    def _apply(self, node: nodes.Apply) -> Typed:
        operands = [self.of(operand) for operand in node.operands]
        numbers = [self.is_number(operand) for operand in node.operands]
        typed = self.call(
            node.function, operands, node.literals, node.span, node.places, node.keywords, numbers
        )
        if node.function.stateful:
            typed.literals["state"] = self.states[id(node)]
        return typed

    def call(
        self,
        function: functions.FunctionRecord,
        operands: list[Typed],
        literals: Mapping[str, Any],
        span: Span,
        places: Mapping[str, Span],
        keywords: tuple[str | None, ...],
        numbers: list[bool],
    ) -> Typed:
        """Apply a function's rule; a refusal becomes a diagnostic at the argument at fault."""
        operands = self._vectors(operands, numbers)
        for operand in operands:
            if operand.op == "number" and not is_plain_number(operand.literals["value"]):
                self.refuse(
                    "E308",
                    f"`{function.name}` calculates with numbers, not with `{operand.span.text}`",
                    operand.span,
                )
            if operand.number is not None and not self._multiplies(function):
                self.representable(operand.number, operand.span)
            if function.name not in _SPECTRAL:
                self.real_valued(operand)
        site = CallSite(
            function.name,
            [operand.type for operand in operands],
            [operand.number for operand in operands],
            dict(literals),
            self.solver,
            [operand.span.text for operand in operands],
        )
        try:
            type = function.rule(site)
        except Refused as refused:
            place = span
            labels = []
            if isinstance(refused.argument, int):
                place = operands[refused.argument].span
            elif refused.argument in places:
                place = places[str(refused.argument)]
            if refused.code == "E303":
                source = operands[0].span
                labels = [(source, f"this is already `{operands[0].tensor.kind}`")]
                place = span
            self.refuse(refused.code, refused.message, place, labels=labels, help=refused.help)
        for position, kind in function.takes.items():
            if kind == "labels":
                self._note_picked(site, operands[position])
        operands = self._first_as_tensor(function, self._matched(operands, numbers))
        if function.differentiates:
            operands[1] = unwrapped(operands[1])
        return Typed(function.op, tuple(operands), site.literals, type, span, keywords)

    def real_valued(self, value: Typed) -> None:
        """Refuse a spectrum where numbers are meant."""
        if isinstance(value.type, Tensor) and value.type.kind == "complex":
            text = value.span.text
            self.refuse(
                "E301",
                f"`{text}` is a spectrum, and its values are complex",
                value.span,
                help=f"take `abs({text})`, `real({text})` or `imag({text})`",
            )

    def _note_picked(self, site: CallSite, index: Typed) -> None:
        """Indices that pick along an axis lie within it: the call checks their values."""
        source, tensor = unwrapped(index), site.tensor(0)
        axis = site.literals.get("over")
        size = None if axis is None or tensor.shape.rank is None else tensor.shape.axis(axis)
        if source.op == "input" and size is not None and index.tensor.kind == "labels":
            self.label_sizes.append((source.literals["name"], size, index.tensor.ignore))

    def _multiplies(self, function: functions.FunctionRecord) -> bool:
        """Arithmetic and comparisons take whatever number there is."""
        return function.family == "operators" and function.name != "where"

    def representable(self, value: Any, span: Span) -> None:
        """Refuse numbers of which torch makes no float32."""
        if overflows(value):
            self.refuse(
                "E310",
                f"`{span.text}` is beyond the numbers of float32",
                span,
                help="they end at 3.4e38",
            )

    def _first_as_tensor(
        self, function: functions.FunctionRecord, operands: list[Typed]
    ) -> list[Typed]:
        """Functions of torch need a tensor in front: a number that stands there becomes one."""
        if self._multiplies(function) or not self.python_numbers.holds(operands[0]):
            return operands
        first = operands[0]
        return [Typed(convert.AS_TENSOR, (first,), {}, first.type, first.span), *operands[1:]]

    def _vectors(self, operands: list[Typed], numbers: list[bool]) -> list[Typed]:
        """Literal lists as vectors like the tensors that they meet."""
        like = next((o for o in operands if o.op != "number" and isinstance(o.type, Tensor)), None)
        result = []
        for operand in operands:
            value = operand.literals.get("value") if operand.op == "number" else None
            if isinstance(value, tuple) and like is not None:
                shape = Shape.numbers((len(value),))
                operand = Typed(
                    convert.LISTED_LIKE,
                    (like,),
                    {"values": value},
                    Tensor("real", shape),
                    operand.span,
                )
            result.append(operand)
        return result

    def _matched(self, operands: list[Typed], numbers: list[bool]) -> list[Typed]:
        """Params and schedules in the precision of the tensors that they meet."""
        like = next(
            (
                operand
                for operand, is_number in zip(operands, numbers, strict=True)
                if not is_number and not self.python_numbers.holds(operand)
            ),
            None,
        )
        if like is None or not isinstance(like.type, Tensor):
            return operands
        return [
            self.matched(operand, like) if is_number else operand
            for operand, is_number in zip(operands, numbers, strict=True)
        ]

    def matched(self, operand: Typed, like: Typed) -> Typed:
        """A number that moves, in another value's precision; literals need nothing."""
        if self.python_numbers.holds(operand):
            return operand
        return Typed(convert.AS_SCALAR, (operand, like), {}, operand.type, operand.span)

    def insert(self, op: Op, operands: tuple[Typed, ...], type: Type, **literals: Any) -> Typed:
        """A conversion that the user did not write: it stands where its value was written."""
        return Typed(op, operands, literals, type, operands[0].span)
