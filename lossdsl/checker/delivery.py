"""Arguments of a loss call as its function gets them: converted, class axis moved, shapes equal."""

from __future__ import annotations

import dataclasses
from typing import Any

from lossdsl.checker import nodes
from lossdsl.checker.infer import known_parameters
from lossdsl.checker.typed import Typed, unwrapped
from lossdsl.checker.typing import Typing
from lossdsl.functions import convert
from lossdsl.types.dims import Dim
from lossdsl.types.kinds import CLASS_KINDS, KINDS, fit, is_sub
from lossdsl.types.shapes import SCALAR, Shape
from lossdsl.types.signature import Instance, Signature, Slot
from lossdsl.types.values import Listing, Tensor

_RESIZED = frozenset({"logits", "class_logits", "image", "real"})
"""Kinds of maps that can be resized, and mean the same then."""


class Delivery:
    """Converts the arguments of one call. Class indices leave two things behind for later:
    `kept`, a mask of those that count, and `labels`, the indices themselves."""

    def __init__(self, typing: Typing, node: nodes.LossCall, given: list[Typed | None]) -> None:
        self.typing = typing
        self.solver = typing.solver
        self.node = node
        self.given = given
        self.arguments: list[Typed | None] = []
        self.kept: Typed | None = None
        self.labels: Typed | None = None
        self.numbers = [a is not None and typing.stands_alone(a) for a in node.arguments]

    def is_number(self, index: int) -> bool:
        """Whether one number stands for a whole tensor: a literal, a param, a size, a schedule,
        or arithmetic of those."""
        argument = self.given[index]
        if argument is None or not isinstance(argument.type, Tensor):
            return False
        return self.numbers[index] and argument.type.shape == SCALAR

    def run(self, signature: Signature, instance: Instance) -> list[Typed | None]:
        """The arguments, ready for the function."""
        self.arguments = arguments = self._deliver(signature, instance)
        self._unify(instance, arguments)
        self._note_classes(signature, instance)
        return self._fill_numbers(signature, instance, arguments)

    def _deliver(self, signature: Signature, instance: Instance) -> list[Typed | None]:
        """Each argument as the kind that the function gets."""
        delivered: list[Typed | None] = [None] * len(self.given)
        order = sorted(range(len(self.given)), key=lambda i: self._is_labels(self.given[i]))
        for index in order:
            argument, slot = self.given[index], signature.slots[index]
            if argument is None or slot.kinds == ("features",) or self.is_number(index):
                delivered[index] = argument
                continue
            wanted = instance.slots[index]
            assert isinstance(wanted, Tensor)
            if argument.tensor.kind == "labels":
                delivered[index] = self._labels(argument, slot, wanted, delivered)
            else:
                delivered[index] = self._convert(argument, slot, wanted)
        return delivered

    def _is_labels(self, argument: Typed | None) -> bool:
        """Labels come last: their class count is that of a partner."""
        return (
            argument is not None
            and isinstance(argument.type, Tensor)
            and argument.type.kind == "labels"
        )

    def _convert(self, argument: Typed, slot: Slot, wanted: Tensor) -> Typed:
        kind = argument.tensor.kind
        entered = fit(kind, slot.kinds)
        assert entered is not None
        value = self._step(argument, kind, entered[1])
        if not is_sub(entered[1], slot.delivered):
            value = self._step(value, entered[1], slot.delivered)
        if slot.delivered == "boxes":
            value = self._boxes(value)
        if slot.delivered in CLASS_KINDS and wanted.axis is not None:
            if value.tensor.axis is None:
                placed = dataclasses.replace(value.tensor, axis=wanted.axis)
                value = dataclasses.replace(value, type=placed)
            value = self._class_axis(value, wanted.axis)
        return value

    def _step(self, value: Typed, kind: str, target: str) -> Typed:
        """One conversion, where the value is not already of the target kind."""
        name = KINDS[kind].conversions.get(target)
        type = value.tensor
        if name is None or is_sub(kind, target):
            if kind == "real" and target in CLASS_KINDS:
                axis = type.axis if type.axis is not None else self._default_axis(type)
                return dataclasses.replace(
                    value, type=dataclasses.replace(type, kind=target, axis=axis)
                )
            return value
        literals: dict[str, Any] = {}
        if name in ("softmax", "log_softmax"):
            axis = type.axis if type.axis is not None else self._default_axis(type)
            size = self.solver.shape(type.shape).axis(axis)
            if size is not None and size.number == 1:
                self.typing.refuse(
                    "E304",
                    f"`{self.node.name}` takes a softmax over one class, which is constant",
                    value.span,
                    help="one score an element is `logits`: use `bce`, or declare it as `logits`",
                )
            type = dataclasses.replace(type, axis=axis)
            literals["over"] = axis
        return self.typing.insert(
            convert.CONVERSIONS[name], (value,), type.of_kind(target), **literals
        )

    def _default_axis(self, type: Tensor) -> int:
        return 0 if self.solver.shape(type.shape).rank == 1 else 1

    def _class_axis(self, value: Typed, destination: int) -> Typed:
        """The class axis where the signature writes it."""
        type = value.tensor
        source = type.axis
        if source is None or source == destination:
            return value
        shape = self.solver.shape(type.shape)
        if shape.rank is not None and source % shape.rank == destination:
            return value
        dim = shape.axis(source)
        left = shape.without(source) if dim is not None else shape
        moved = self.solver.any_shape()
        if dim is not None:
            dims = (*left.before[:destination], dim, *left.before[destination:])
            moved = Shape(dims, left.rest, left.after)
        if dim is not None and len(left.before) < destination:
            self.typing.refuse(
                "E402",
                f"`{self.node.name}` needs an axis before the classes of {type}",
                value.span,
                help="add a batch axis",
            )
        return self.typing.insert(
            convert.MOVE_CLASS_AXIS,
            (value,),
            dataclasses.replace(type, shape=moved, axis=destination),
            source=source,
            destination=destination,
        )

    def _boxes(self, value: Typed) -> Typed:
        format = value.tensor.format
        if value.tensor.kind != "boxes" or format == "xyxy":
            return value
        op = convert.BOX_OPS.get(format)
        if op is None:
            self.typing.refuse(
                "E307",
                f"`{self.node.name}` compares upright boxes, and these are `{format}`",
                value.span,
            )
        return self.typing.insert(op, (value,), dataclasses.replace(value.tensor, format="xyxy"))

    def _labels(
        self, argument: Typed, slot: Slot, wanted: Tensor, delivered: list[Typed | None]
    ) -> Typed:
        """Class indices: the ignored ones leave through a mask, the rest becomes what is asked."""
        type = argument.tensor
        ignore = self.node.keywords.get("ignore_index", type.ignore)
        insert = self.typing.insert
        mask = Tensor("mask", type.shape)
        kept = insert(convert.KEPT_LABELS, (argument,), mask, ignore=ignore)
        known = insert(convert.KNOWN_LABELS, (argument,), type, ignore=ignore)
        self.kept, self.labels = kept, known
        if slot.delivered == "labels":
            return known
        partner = next((d for d in delivered if d is not None and d.tensor.axis is not None), None)
        if partner is None:
            self.typing.refuse(
                "E305",
                f"`{self.node.name}` cannot tell how many classes `{argument.span.text}` has",
                argument.span,
                help="give the prediction as `class_logits` or `class_prob`",
            )
        axis = wanted.axis if wanted.axis is not None else 1
        size = self.solver.shape(partner.tensor.shape).axis(axis)
        shape = self.solver.shape(type.shape)
        if size is None:
            size = self.solver.unknown("C")
        if shape.rank is None and len(shape.before) < axis:
            batch, rest = self.solver.unknown("B"), self.solver.row("S")
            self._same(Shape((batch,), rest), shape, argument, "labels")
            shape = self.solver.shape(shape)
        hot = Shape((*shape.before[:axis], size, *shape.before[axis:]), shape.rest, shape.after)
        return insert(convert.ONE_HOT, (known, partner), Tensor("one_hot", hot, axis), axis=axis)

    def class_count(self) -> Dim | None:
        """How many classes the call has, read off whatever argument has a class axis."""
        for argument in self.arguments:
            if argument is not None and isinstance(argument.type, Tensor):
                axis = argument.type.axis
                size = None if axis is None else self.solver.shape(argument.type.shape).axis(axis)
                if size is not None:
                    return size
        return None

    def _vectors_of_classes(self, signature: Signature, instance: Instance) -> Dim | None:
        """The class count of a loss that takes one vector a class: the axis `C` of a slot."""
        for slot, type in zip(signature.slots, instance.slots, strict=True):
            first = slot.shape_text.partition(",")[0].strip()
            if first == "C" and isinstance(type, Tensor):
                return self.solver.shape(type.shape).axis(0)
        return None

    def _note_classes(self, signature: Signature, instance: Instance) -> None:
        """Remember which class count an input of labels goes with: the call checks its values."""
        labels = next((g for g in self.given if g is not None and self._is_labels(g)), None)
        count = self.class_count() or self._vectors_of_classes(signature, instance)
        source = None if labels is None else unwrapped(labels)
        if labels is not None and source is not None and source.op == "input" and count is not None:
            ignore = self.node.keywords.get("ignore_index", labels.tensor.ignore)
            self.typing.label_sizes.append((source.literals["name"], count, ignore))

    def _fill_numbers(
        self, signature: Signature, instance: Instance, arguments: list[Typed | None]
    ) -> list[Typed | None]:
        """A number becomes a tensor like the argument of the same shape."""
        filled = list(arguments)
        for index, argument in enumerate(arguments):
            slot = signature.slots[index]
            if argument is None or slot.kinds == ("features",) or not self.is_number(index):
                continue
            tensors = [
                (other, own.shape_text)
                for at, (other, own) in enumerate(zip(arguments, signature.slots, strict=True))
                if other is not None and not self.is_number(at)
            ]
            wanted = slot.shape_text
            partner = next((other for other, text in tensors if text == wanted), None)
            longer = next((other for other, text in tensors if text.startswith(f"{wanted},")), None)
            if partner is None and (longer is None or "*" in wanted):
                name = self.node.record.inputs[index]
                self.typing.refuse(
                    "E309",
                    f"nothing says how many values of `{name}` the number "
                    f"`{argument.span.text}` stands for"
                    if tensors
                    else f"`{self.node.name}` of numbers alone is a constant",
                    argument.span if tensors else self.node.span,
                    help="give it a tensor",
                )
            self.typing.representable(argument.number, argument.span)
            if partner is not None:
                moving = self.typing.matched(argument, partner)
                type = Tensor(slot.delivered, partner.tensor.shape)
                made = Typed(convert.FILLED_LIKE, (moving, partner), {}, type, argument.span)
            else:
                # One number a sample, beside samples of many: `cosine_embedding(a, b, 1)`.
                assert longer is not None
                axes = wanted.count(",") + 1
                moving = self.typing.matched(argument, longer)
                shape = instance.slots[index]
                assert isinstance(shape, Tensor)
                type = Tensor(slot.delivered, self.solver.shape(shape.shape))
                operands, literals = (moving, longer), {"axes": axes}
                made = Typed(convert.FILLED_ROWS, operands, literals, type, argument.span)
            filled[index] = made
        return filled

    # --- shapes ---

    def _unify(self, instance: Instance, arguments: list[Typed | None]) -> None:
        for index, argument in enumerate(arguments):
            slot = instance.slots[index]
            if argument is None or self.is_number(index):
                continue
            if not isinstance(slot, Tensor):
                self._same_features(arguments)
                continue
            if isinstance(argument.type, Tensor):
                self._same(
                    slot.shape, argument.tensor.shape, argument, self.node.record.inputs[index]
                )

    def _same_features(self, arguments: list[Typed | None]) -> None:
        """Lists of feature maps: as many in each, alike map by map, and one weight a map."""
        known = [
            (argument, argument.type.items)
            for argument in arguments
            if argument is not None
            and isinstance(argument.type, Listing)
            and argument.type.items is not None
        ]
        for argument, items in known[1:]:
            first = known[0][1]
            if len(items) != len(first):
                self.typing.refuse(
                    "E406",
                    f"`{self.node.name}` compares {len(first)} feature maps with {len(items)}",
                    argument.span,
                    labels=[(known[0][0].span, f"{len(first)} maps")],
                )
            for ours, theirs in zip(first, items, strict=True):
                if isinstance(ours, Tensor) and isinstance(theirs, Tensor):
                    self._same(ours.shape, theirs.shape, argument, "the feature maps")
        weights = known_parameters(self.node, self.typing.declared).get("weights")
        if known and isinstance(weights, tuple) and len(weights) != len(known[0][1]):
            self.typing.refuse(
                "E406",
                f"{len(weights)} weights for {len(known[0][1])} feature maps",
                self.node.places["weights"],
            )

    def _same(self, wanted: Shape, shape: Shape, argument: Typed, name: str) -> None:
        mismatch = self.solver.unify_shapes(wanted, shape)
        if mismatch is None:
            return
        asked, came = self.solver.told(wanted), self.solver.told(shape)
        others = [
            (other.span, f"this is {self.typing.shown(other)}")
            for at, other in enumerate(self.given)
            if other is not None
            and other.span != argument.span
            and isinstance(other.type, Tensor)
            and not self.is_number(at)
        ]
        original = next(
            (g for g in self.given if g is not None and g.span == argument.span), argument
        )
        rank = mismatch.what == "rank"
        self.typing.refuse(
            "E402" if rank else "E401",
            f"`{self.node.name}` needs {asked} for `{name}`, "
            f"and `{argument.span.text}` is {self.typing.shown(original)}",
            argument.span,
            labels=others,
            help=self._shape_help(asked, came, argument.span.text) or self._resized(mismatch.what),
        )

    def _resized(self, what: str) -> str | None:
        """Two maps of the same samples that differ in size."""
        first, second = (*self.given, None, None)[:2]
        values = [v for v in (first, second) if v is not None and isinstance(v.type, Tensor)]
        shapes = [self.solver.shape(value.tensor.shape) for value in values]
        ranks = [shape.rank or 0 for shape in shapes]
        maps = len(ranks) == 2 and ranks[0] > 2 and 0 <= ranks[0] - ranks[1] <= 1
        if what == "rank" or not maps or values[0].tensor.kind not in _RESIZED:
            return None
        same = 2 if ranks[0] == ranks[1] else 1
        for left, right in zip(shapes[0].dims[:same], shapes[1].dims[:same], strict=True):
            if self.solver.equal(left, right) is False:
                return None
        one, other = (value.span.text for value in values)
        return f"bring them to one size: `interpolate({one}, like={other})`"

    def _shape_help(self, wanted: Shape, came: Shape, text: str) -> str | None:
        """The index that would make the shapes agree, where there is an obvious one."""
        if wanted.rank is None or came.rank is None:
            return None
        if came.rank == wanted.rank + 1 and came.dims[-1].number == 1:
            return f"drop the axis of size 1: `{text}[..., 0]`"
        if came.rank == wanted.rank + 1:
            for axis, dim in enumerate(came.dims):
                if dim.number == 1 and came.without(axis) == wanted:
                    index = ", ".join([":"] * axis + ["0"])
                    return f"drop the axis of size 1: `{text}[{index}]`"
        if wanted.rank == came.rank + 1 and wanted.dims[-1].number == 1:
            return f"add the axis of size 1: `{text}[..., none]`"
        if wanted.rank == came.rank + 1:
            for axis, dim in enumerate(wanted.dims):
                if dim.number == 1 and wanted.without(axis) == came:
                    index = ", ".join([":"] * axis + ["none"])
                    return f"add the axis of size 1: `{text}[{index}]`"
        return None
