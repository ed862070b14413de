"""Typing a loss call: overload, conversions, shapes, then weight, mask and reduction."""

from __future__ import annotations

from typing import Any

from lossdsl.checker import nodes
from lossdsl.checker.delivery import Delivery, is_number
from lossdsl.checker.hints import why_not
from lossdsl.checker.infer import fitting_overloads
from lossdsl.checker.modifiers import Modifiers
from lossdsl.checker.typed import Typed
from lossdsl.checker.typing import Typing
from lossdsl.functions import convert
from lossdsl.functions.op import Op
from lossdsl.library.record import Overload
from lossdsl.types.kinds import KINDS, fit
from lossdsl.types.signature import (
    Instance,
    Signature,
    Slot,
    instantiate,
    read_result,
    read_signature,
)
from lossdsl.types.values import Listing, Tensor

_UNBOUNDED = frozenset({"logits", "class_logits", "score"})
_UNIT = frozenset({"prob", "class_prob", "mask", "one_hot"})


class LossCallTyping:
    """One call of a primitive."""

    def __init__(self, typing: Typing, node: nodes.LossCall) -> None:
        self.typing = typing
        self.solver = typing.solver
        self.node = node
        self.record = node.record
        self.given = [None if a is None else typing.of(a) for a in node.arguments]

    def run(self) -> Typed:
        """The typed call, reduced."""
        overload, signature = self._overload()
        literals = {p.name: p.default for p in self.record.parameters}
        literals.update(self.node.parameters)
        result = read_result(overload.result(literals)) if overload.result else signature.result
        instance = instantiate(signature, result, self.solver)
        self._compare_meanings(signature)
        delivery = Delivery(self.typing, self.node, self.given)
        arguments = delivery.run(signature, instance)
        self._check_least(instance, literals)
        modifiers = Modifiers(delivery)
        arguments = self._hide(signature, arguments, modifiers)
        loss = self._call(overload, instance, arguments, modifiers)
        first = next(a for a in arguments if a is not None)
        return modifiers.reduce(loss, first)

    def _compare_meanings(self, signature: Signature) -> None:
        """Plain losses of values take any kind, but two that cannot mean the same are told."""
        values = [
            given
            for given, slot in zip(self.given, signature.slots, strict=True)
            if given is not None and slot.kinds == ("real",) and given.op != "number"
        ]
        if len(values) < 2:
            return
        first, second = values[0], values[1]
        kinds = {first.tensor.kind, second.tensor.kind}
        if kinds & _UNBOUNDED and kinds & _UNIT:
            self.typing.found.add(
                "W301",
                f"`{self.node.name}` compares `{first.tensor.kind}` with `{second.tensor.kind}`: "
                "scores against values in [0, 1]",
                second.span,
                labels=[(first.span, f"this is `{first.tensor.kind}`")],
                help="apply the activation first, or use a loss of scores (`bce`, `ce`)",
            )
        details = [(v.tensor.kind, v.tensor.format, v.tensor.range) for v in (first, second)]
        if kinds in ({"boxes"}, {"image"}) and details[0] != details[1]:
            self.typing.refuse(
                "E307",
                f"`{self.node.name}` compares {self.typing.shown(first)} with "
                f"{self.typing.shown(second)}",
                second.span,
                labels=[(first.span, f"this is {self.typing.shown(first)}")],
                help="bring them to one format or range where they are made",
            )

    def _check_least(self, instance: Instance, literals: dict[str, Any]) -> None:
        """Refuse sizes below the least that the formula can take (a window, a scale)."""
        if self.record.least is None:
            return
        for name, least in self.record.least(literals).items():
            dim = instance.reader.names.get(name)
            size = None if dim is None else self.solver.valued(self.solver.dim(dim)).number
            if size is not None and size < least:
                first = next(g for g in self.given if g is not None)
                self.typing.refuse(
                    "E401",
                    f"`{self.node.name}` needs {name} of at least {least}, and here it is {size}",
                    first.span,
                    help="use a smaller window or fewer scales, or leave the term out for small "
                    "inputs",
                )

    def _hide(
        self, signature: Signature, arguments: list[Typed | None], modifiers: Modifiers
    ) -> list[Typed | None]:
        """Masked elements of element-wise losses replaced before the formula sees them."""
        if "mask" not in self.node.keywords or self.record.mask != "map":
            return arguments
        result: list[Typed | None] = []
        for argument, slot in zip(arguments, signature.slots, strict=True):
            indices = KINDS[slot.delivered].integer
            if argument is None or indices or slot.shape_text != signature.map_text:
                result.append(argument)
                continue
            mask = modifiers.user_mask(argument)
            fill = 1.0 if slot.delivered in ("positive", "sign") else 0.0
            operands = (argument, mask)
            hidden = self.typing.insert(convert.HIDDEN, operands, argument.type, fill=fill)
            result.append(hidden)
        return result

    # --- which overload ---

    def _overload(self) -> tuple[Overload, Signature]:
        """The cheapest fit of the arguments' kinds; the earlier one where two are equal."""
        best: tuple[int, Overload, Signature] | None = None
        nearest: tuple[int, Signature] | None = None
        for overload in fitting_overloads(self.record, self._literal_parameters()):
            signature = read_signature(overload.signature)
            prices = [
                self._price(argument, slot)
                for argument, slot in zip(self.given, signature.slots, strict=True)
            ]
            wrong = sum(1 for price in prices if price is None)
            if not wrong:
                total = sum(price or 0 for price in prices)
                if best is None or total < best[0]:
                    best = (total, overload, signature)
            elif nearest is None or wrong < nearest[0]:
                nearest = (wrong, signature)
        if best is not None:
            return best[1], best[2]
        if nearest is None:
            self.typing.refuse(
                "E206",
                f"`{self.node.name}` does not take these parameters together",
                self.node.span,
            )
        return self._refuse_kinds(nearest[1])

    def _literal_parameters(self) -> dict[str, Any]:
        return {
            key: value
            for key, value in self.node.parameters.items()
            if not isinstance(value, nodes.NODES)
        }

    def _price(self, argument: Typed | None, slot: Slot) -> int | None:
        if argument is None:
            return 0
        if slot.kinds == ("features",):
            return 0 if isinstance(argument.type, Listing) else None
        literal = argument.op == "number" and argument.number is None
        if not isinstance(argument.type, Tensor) or literal:
            return None
        if is_number(argument):
            return self._number_price(argument, slot)
        found = fit(argument.tensor.kind, slot.kinds)
        return None if found is None else found[0]

    def _number_price(self, argument: Typed, slot: Slot) -> int | None:
        value = argument.number
        for kind in slot.kinds:
            bounds = KINDS[kind].number
            if bounds is None:
                continue
            if value is None:
                return 1 if kind == "real" else None
            inside = bounds[0] <= value <= bounds[1]
            if inside and (not KINDS[kind].only_ends or value in bounds):
                return 0
        return None

    def _refuse_kinds(self, signature: Signature) -> tuple[Overload, Signature]:
        """Report the arguments that no overload takes."""
        for argument, slot, name in zip(
            self.given, signature.slots, self.record.inputs, strict=True
        ):
            if argument is None or self._price(argument, slot) is not None:
                continue
            accepted = self._accepted(name)
            message, labels, code, advice = why_not(self.node.name, name, argument, accepted)
            self.typing.refuse(code, message, argument.span, labels=labels, help=advice)
        raise AssertionError("an overload that fits was not taken")

    def _accepted(self, name: str) -> list[str]:
        """All kinds that some overload takes for this argument."""
        position = self.record.inputs.index(name)
        kinds: dict[str, None] = {}
        for overload in self.record.overloads:
            for kind in read_signature(overload.signature).slots[position].kinds:
                kinds.setdefault(kind)
        return list(kinds)

    # --- the call ---

    def _call(
        self,
        overload: Overload,
        instance: Instance,
        arguments: list[Typed | None],
        modifiers: Modifiers,
    ) -> Typed:
        present = [a for a in arguments if a is not None]
        operands: list[Typed] = list(present)
        keywords: list[str | None] = [None] * len(operands)
        names = self.record.inputs
        for position, argument in enumerate(arguments):
            if argument is None:
                # An absent optional argument: those behind it are passed by name.
                later = [names[i] for i in range(position, len(names)) if arguments[i] is not None]
                keywords[len(keywords) - len(later) :] = later
                break
        literals = self._parameters(operands, keywords, present[0])
        if self.record.mask == "inside":
            mask = modifiers.mask(present[0])
            if mask is not None:
                operands.append(mask)
                keywords.append("mask")
        weights = modifiers.inside_class_weight(overload, present[0])
        if weights is not None:
            operands.append(weights)
            keywords.append("class_weight")
        type = instance.result
        assert isinstance(type, Tensor)
        type = type.with_shape(self.solver.shape(type.shape))
        op = Op(self.record.name, overload.function, "loss")
        return Typed(op, tuple(operands), literals, type, self.node.span, tuple(keywords))

    def _parameters(
        self, operands: list[Typed], keywords: list[str | None], like: Typed
    ) -> dict[str, Any]:
        """Parameters that move are operands; the others are literals, defaults left out."""
        literals: dict[str, Any] = {}
        for name, value in self.node.parameters.items():
            if isinstance(value, nodes.NODES):
                typed = self.typing.of(value)
                parameter = self.record.parameter(name)
                vector = parameter is not None and parameter.kind == "vector"
                rank = 1 if vector else 0
                if not isinstance(typed.type, Tensor) or typed.type.shape.rank != rank:
                    self.typing.refuse(
                        "E402",
                        f"`{name}` is {'a list of numbers' if vector else 'one number'}",
                        typed.span,
                    )
                operands.append(self.typing.matched(typed, like))
                keywords.append(name)
            else:
                literals[name] = list(value) if isinstance(value, tuple) else value
        width = self.record.image_range
        if width is not None and width not in self.node.parameters:
            low, high = self._image_range()
            if high - low != 1:
                literals[width] = high - low
        return literals

    def _image_range(self) -> tuple[float, float]:
        ranges: dict[tuple[float, float], Typed] = {}
        for argument in self.given:
            type = argument.type if argument is not None else None
            if argument is not None and isinstance(type, Tensor) and type.kind == "image":
                ranges.setdefault(type.range, argument)
        if len(ranges) > 1:
            (one, first), (two, second) = list(ranges.items())[:2]
            self.typing.refuse(
                "E307",
                f"`{self.node.name}` compares images of the ranges {one} and {two}",
                second.span,
                labels=[(first.span, f"this is {self.typing.shown(first)}")],
                help="bring them to one range where the images are made",
            )
        return next(iter(ranges), (0.0, 1.0))
