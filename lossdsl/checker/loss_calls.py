"""Typing a loss call: overload, conversions, shapes, then weight, mask and reduction."""

from __future__ import annotations

from typing import Any

from lossdsl.checker import nodes
from lossdsl.checker.delivery import Delivery
from lossdsl.checker.hiding import (
    beside,
    by_element,
    by_vector,
    has_partner,
    hidden,
    rows,
    source_of,
)
from lossdsl.checker.hints import Reason, not_together, swapped, why_not
from lossdsl.checker.infer import fitting_overloads, known_parameters
from lossdsl.checker.loss_arguments import takes_lists
from lossdsl.checker.loss_sizes import check_least, check_lengths
from lossdsl.checker.meanings import compare, stated
from lossdsl.checker.modifiers import Modifiers
from lossdsl.checker.typed import Typed, unwrapped
from lossdsl.checker.typing import Typing
from lossdsl.functions.op import Op
from lossdsl.functions.rules import admits
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
from lossdsl.types.values import Listing, Tensor, Type


class LossCallTyping:
    """One call of a primitive."""

    def __init__(self, typing: Typing, node: nodes.LossCall) -> None:
        self.typing = typing
        self.solver = typing.solver
        self.node = node
        self.record = node.record
        self.given = [None if a is None else typing.of(a) for a in node.arguments]
        self.known = known_parameters(node, typing.declared)
        self.delivery = Delivery(typing, node, self.given)
        for argument in self.given:
            if argument is not None:
                typing.real_valued(argument)

    def run(self) -> Typed:
        """The typed call, reduced."""
        overload, signature = self._overload()
        literals = {p.name: p.default for p in self.record.parameters if not p.required}
        literals.update(self.known)
        result = read_result(overload.result(literals)) if overload.result else signature.result
        instance = instantiate(signature, result, self.solver)
        self._compare_meanings(signature)
        arguments = self.delivery.run(signature, instance)
        self._no_index_to_ignore()
        check_least(self.typing, self.node, instance, literals)
        check_lengths(self.typing, self.node, overload, instance, literals)
        modifiers = Modifiers(self.delivery)
        arguments = self._hide(signature, arguments, modifiers)
        loss = self._call(overload, instance, arguments, modifiers)
        first = next(a for a in arguments if a is not None)
        return modifiers.reduce(loss, first)

    def _compare_meanings(self, signature: Signature) -> None:
        values = [
            given
            for given, slot in zip(self.given, signature.slots, strict=True)
            if given is not None and slot.kinds == ("real",) and given.op != "number"
        ]
        if len(values) > 1:
            compare(self.typing, self.node.name, values[0], values[1])

    def _no_index_to_ignore(self) -> None:
        """`ignore_index` is for class indices, of which there are none here."""
        if "ignore_index" in self.node.keywords and self.delivery.labels is None:
            takes = any("labels" in self._accepted(name) for name in self.record.inputs)
            self.typing.refuse(
                "E212",
                f"`ignore_index` leaves class indices out, and `{self.node.name}` "
                + ("gets none here" if takes else "takes none"),
                self.node.places["ignore_index"],
                help="use `mask=`"
                + (", or declare the class indices as `labels`" if takes else ""),
            )

    def _hide(
        self, signature: Signature, arguments: list[Typed | None], modifiers: Modifiers
    ) -> list[Typed | None]:
        """Masked elements replaced before the formula sees them. A loss that takes the mask
        inside does so itself, except below an activation."""
        if "mask" not in self.node.keywords or self.record.critic is not None:
            return arguments
        made: dict[int, Typed] = {}
        for argument, slot in sorted(
            ((a, s) for a, s in zip(arguments, signature.slots, strict=True) if a is not None),
            key=lambda pair: has_partner(pair[0]),
        ):
            if slot.kinds == ("features",):
                made[id(argument)] = modifiers.hidden_maps(argument)
                continue
            value = beside(argument, made)
            source = source_of(value)
            on_map = self.record.mask == "map"
            inside = self.record.mask == "inside" and source is not value
            vectors = on_map and by_vector(slot, signature)
            if inside or vectors or (on_map and by_element(slot, signature)):
                mask = modifiers.user_mask(rows(value) if vectors else value, source)
                fill = 1.0 if slot.delivered in ("positive", "sign") else 0.0
                value = hidden(value, mask, fill)
            made[id(argument)] = value
        return [None if argument is None else made[id(argument)] for argument in arguments]

    # --- which overload ---

    def _overload(self) -> tuple[Overload, Signature]:
        """The cheapest fit of the arguments' kinds; the earlier one where two are equal."""
        best: tuple[int, Overload, Signature] | None = None
        nearest: tuple[int, Signature] | None = None
        for overload in fitting_overloads(self.record, self.known):
            signature = read_signature(overload.signature)
            prices = [self._price(index, slot) for index, slot in enumerate(signature.slots)]
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

    def _price(self, index: int, slot: Slot) -> int | None:
        argument = self.given[index]
        if argument is None:
            return 0
        if slot.kinds == ("features",):
            return 0 if _holds_tensors(argument.type) else None
        literal = argument.op == "number" and argument.number is None
        if not isinstance(argument.type, Tensor) or literal:
            return None
        if self.delivery.is_number(index):
            return self._number_price(argument, slot)
        found = fit(argument.tensor.kind, slot.kinds)
        return None if found is None else found[0]

    def _number_price(self, argument: Typed, slot: Slot) -> int | None:
        """A number stands for a tensor of the kind that the function gets, unconverted."""
        value, kind = argument.number, slot.delivered
        if KINDS[kind].number is None:
            return None
        if value is not None:
            return 0 if admits(kind, value) else None
        return None if fit(argument.tensor.kind, (kind,)) is None else 1

    def _refuse_kinds(self, signature: Signature) -> tuple[Overload, Signature]:
        """Report the arguments that no overload takes."""
        for index, (slot, name) in enumerate(zip(signature.slots, self.record.inputs, strict=True)):
            argument = self.given[index]
            if argument is None or self._price(index, slot) is not None:
                continue
            reason = self._reason(index, name, argument)
            self.typing.refuse(
                reason.code, reason.message, reason.span, labels=reason.labels, help=reason.help
            )
        raise AssertionError("an overload that fits was not taken")

    def _reason(self, index: int, name: str, argument: Typed) -> Reason:
        first, second = (*self.given, None)[:2]
        if first is not None and second is not None:
            turned = swapped(self.node.name, self.record.inputs, first, second)
            if turned is not None:
                return turned
        accepted = self._accepted(name)
        partner = self.given[1 - index] if len(self.given) == 2 else None
        kind = argument.type.kind if isinstance(argument.type, Tensor) else ""
        values = [v for v in (argument, partner) if v is not None and v.op != "number"]
        if (
            kind in accepted
            and partner is not None
            and isinstance(partner.type, Tensor)
            and values[1:]
        ):
            others = dict.fromkeys(
                other
                for overload in fitting_overloads(self.record, self.known)
                for slots in [read_signature(overload.signature).slots]
                if kind in slots[index].kinds
                for other in slots[1 - index].kinds
            )
            own = self.record.inputs[1 - index]
            return not_together(self.node.name, argument, own, partner, others)
        return why_not(self.node.name, name, argument, accepted)

    def _accepted(self, name: str) -> list[str]:
        """All kinds that some overload takes for this argument, beside the call's parameters."""
        position = self.record.inputs.index(name)
        kinds: dict[str, None] = {}
        for overload in fitting_overloads(self.record, self.known):
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
        if self.record.critic is not None:
            # A derivative is taken by the value itself, not by a copy in another precision.
            operands[1] = unwrapped(operands[1])
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
        derivative = self.record.critic is not None
        op = Op(self.record.name, overload.function, "loss", differentiates=derivative)
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
                assert parameter is not None
                known = self.known.get(name)
                several = isinstance(known, tuple) and takes_lists(self.record, parameter, known)
                vector = parameter.kind == "vector" or several
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
                self.typing.representable(value, self.node.places[name])
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
                f"`{self.node.name}` compares images of the ranges "
                f"({one[0]:g}, {one[1]:g}) and ({two[0]:g}, {two[1]:g})",
                second.span,
                labels=[(first.span, f"this is {stated(first.tensor)}")],
                help="bring them to one range where the images are made",
            )
        return next(iter(ranges), (0.0, 1.0))


def _holds_tensors(type: Type) -> bool:
    """Whether a value is a list of tensors, as far as is known."""
    if not isinstance(type, Listing):
        return False
    items = type.items if type.items is not None else (type.item,)
    return all(item is None or isinstance(item, Tensor) for item in items)
