"""Weight, mask, class weight and reduction: the same for every loss."""

from __future__ import annotations

import inspect
from typing import Any

from lossdsl.checker import nodes
from lossdsl.checker.align import fits_map
from lossdsl.checker.delivery import Delivery
from lossdsl.checker.typed import Typed
from lossdsl.functions import convert, loss_map
from lossdsl.functions.op import Op
from lossdsl.library.record import Overload
from lossdsl.types.dims import Symbol
from lossdsl.types.kinds import KINDS, is_sub
from lossdsl.types.shapes import SCALAR, Shape
from lossdsl.types.values import Tensor


class Modifiers:
    """What stands around one loss call: masks and weights with its map's axes, its reduction."""

    def __init__(self, delivery: Delivery) -> None:
        self.typing = delivery.typing
        self.solver = delivery.solver
        self.node: nodes.LossCall = delivery.node
        self.record = delivery.node.record
        self.class_count = delivery.class_count()
        self.kept = delivery.kept
        self.labels = delivery.labels

    def mask(self, target: Typed) -> Typed | None:
        """The user's mask and the labels' own, together, with the target's axes."""
        masks = []
        if "mask" in self.node.keywords:
            masks.append(self.user_mask(target))
        if self.kept is not None:
            masks.append(self._like(self.kept, target))
        if len(masks) < 2:
            return masks[0] if masks else None
        product = Op("both_masks", loss_map.both_masks, "reduce")
        return Typed(product, (masks[0], masks[1]), {}, masks[0].type, masks[0].span)

    def user_mask(self, target: Typed, like: Typed | None = None) -> Typed:
        """The mask of the call, with the target's axes. `like` is a value with as many axes,
        for the graph to read where the target itself is not made yet."""
        return self._aligned("mask", self.node.keywords["mask"], target, like)

    def hidden_maps(self, maps: Typed) -> Typed:
        """Feature maps without what stands in the samples that the mask of the call leaves out."""
        mask = self._keyword_value("mask", self.node.keywords["mask"])
        if self.typing.python_numbers.holds(mask):
            return maps
        return Typed(convert.HIDDEN_MAPS, (maps, mask), {}, maps.type, maps.span)

    def _like(self, value: Typed, target: Typed, like: Typed | None = None) -> Typed:
        axis = target.tensor.axis if target.tensor.axis is not None else 1
        return self.typing.insert(
            convert.ALIGN,
            (value, like or target),
            Tensor(value.tensor.kind, target.tensor.shape),
            axis=axis,
        )

    def _aligned(self, key: str, node: Any, target: Typed, like: Typed | None = None) -> Typed:
        like = like or target
        typed = self._keyword_value(key, node)
        place = self.node.places[key]
        if self.typing.python_numbers.holds(typed):
            if key == "weight":
                return typed
            return Typed(convert.FILLED_LIKE, (typed, like), {}, target.type, place)
        tensor = typed.tensor
        if key == "mask" and not is_sub(tensor.kind, "mask") and tensor.kind != "real":
            self.typing.refuse(
                "E301",
                f"`mask` takes 0/1 values, and this is `{tensor.kind}`",
                place,
                help="compare it (`x > 0.5`), or declare it as `mask`",
            )
        if key == "mask" and tensor.kind == "real":
            self.typing.refuse(
                "E301",
                "`mask` takes 0/1 values, and this is `real`",
                place,
                help="compare it (`x > 0.5`), say `mask(x)`, or use `weight=`",
            )
        if KINDS[tensor.kind].integer:
            self.typing.refuse("E301", f"`{key}` is a tensor of numbers", place)
        if not fits_map(self.solver, tensor.shape, target.tensor.shape, target.tensor.axis):
            self.typing.refuse(
                "E407",
                f"the {key} {self.solver.shape(tensor.shape)} does not fit "
                f"{self.solver.shape(target.tensor.shape)}",
                place,
                help="give it the same axes (of equal size or 1), leave out the class or channel "
                "axis, or give one value a sample",
            )
        return (
            self._like(self.typing.matched(typed, like), target, like)
            if tensor.shape.rank != 0
            else self.typing.matched(typed, like)
        )

    def _keyword_value(self, key: str, node: Any) -> Typed:
        if isinstance(node, tuple):
            self.typing.representable(node, self.node.places[key])
            shape = Shape.numbers((len(node),))
            items = tuple(
                Typed("number", (), {"value": v}, Tensor("real", SCALAR), self.node.places[key])
                for v in node
            )
            return Typed("list", items, {}, Tensor("real", shape), self.node.places[key])
        typed = self.typing.of(node)
        if not isinstance(typed.type, Tensor):
            self.typing.refuse("E308", f"`{key}` is a tensor", self.node.places[key])
        return typed

    def _class_weights(self, like: Typed) -> Typed | None:
        """The weights by class: a list, a param, or an input."""
        node = self.node.keywords.get("class_weight")
        if node is None:
            return None
        typed = self._keyword_value("class_weight", node)
        shape = typed.tensor.shape
        count = self.class_count or self.solver.unknown("C")
        length = shape.dims[0].number if shape.rank == 1 else None
        # A written list has a length of its own: against a symbol only the call can judge it.
        classes = self.solver.valued(count)
        judged = length is None or not isinstance(count.atom, Symbol) or classes.number is not None
        if judged and self.solver.unify_shapes(Shape.of(classes), shape) is not None:
            self.typing.refuse(
                "E401",
                f"`class_weight` has one number a class: {Shape.of(self.solver.dim(classes))}, "
                f"and this is {self.solver.shape(shape)}",
                self.node.places["class_weight"],
            )
        if typed.op == "list":
            return Typed(
                convert.LISTED_LIKE, (like,), {"values": tuple(node)}, typed.type, typed.span
            )
        return self.typing.matched(typed, like)

    def inside_class_weight(self, overload: Overload, like: Typed) -> Typed | None:
        """Class weights for a form that uses them inside its class sum."""
        takes = "class_weight" in inspect.signature(overload.function).parameters
        return self._class_weights(like) if takes else None

    def _map_class_weight(self, loss: Typed, first: Typed) -> tuple[str, Typed] | None:
        """The class weight of each element: multiplied into the map, or (where the function
        did that) only counted in the denominator. Soft targets count as they are."""
        if "class_weight" not in self.node.keywords:
            return None
        if self.record.class_weight == "classes" and loss.tensor.shape.rank == 0:
            self.typing.refuse(
                "E212",
                f"`{self.node.name}` has one value for all classes here: none can be weighted",
                self.node.places["class_weight"],
                help="`over='image'` and `over='batch'` have one value a class",
            )
        inside = "class_weight" in loss.keywords
        if inside and self.labels is None:
            return None
        weights = (
            loss.operands[loss.keywords.index("class_weight")]
            if inside
            else self._class_weights(first)
        )
        assert weights is not None
        insert = self.typing.insert
        if self.record.class_weight == "labels" and self.labels is not None:
            picked = insert(convert.CLASS_WEIGHT_OF, (self.labels, weights), loss.type)
            return "share" if inside else "class_weight", picked
        background = self.node.parameters.get("background", True)
        rank = loss.tensor.shape.rank or 1
        along = insert(
            convert.CLASS_WEIGHT_LIKE,
            (weights, loss),
            loss.type,
            axis=min(1, rank - 1),
            skip=0 if background else 1,
        )
        return "class_weight", along

    def reduce(self, loss: Typed, first: Typed) -> Typed:
        """The map weighted, masked and reduced as the call says."""
        keywords = self.node.keywords
        name = keywords.get("reduction", self.typing.declared.options.reduction)
        per = keywords.get("per")
        if per is not None:
            name = "sum"
        rank = loss.tensor.shape.rank
        if rank == 0 and name in ("batch", "batchmean"):
            self.typing.refuse(
                "E405",
                f"`{self.node.name}` has one value a batch: there is nothing to reduce by {name!r}",
                self.node.places["reduction"],
            )
        operands = [loss]
        passed: list[str | None] = [None]
        if "weight" in keywords:
            operands.append(self._aligned("weight", keywords["weight"], loss))
            passed.append("weight")
        mask = self.mask(loss) if self.record.mask == "map" else None
        if mask is not None:
            operands.append(mask)
            passed.append("mask")
        classes = self._map_class_weight(loss, first)
        if classes is not None and (classes[0] != "share" or name in ("mean", "batch")):
            passed.append(classes[0])
            operands.append(classes[1])
        type = Tensor("loss", SCALAR)
        if name == "none":
            type = loss.tensor
        elif name == "batch":
            rows = loss.tensor.shape.axis(0)
            type = Tensor("loss", Shape.of(rows if rows is not None else self.solver.unknown("B")))
        if rank == 0 and len(operands) == 1 and per is None:
            return loss
        result = Typed(
            loss_map.REDUCTIONS[name], tuple(operands), {}, type, self.node.span, tuple(passed)
        )
        if per is not None:
            count = self.typing.of(per)
            scalar = isinstance(count.type, Tensor) and not self.solver.unify_shapes(
                SCALAR, count.type.shape
            )
            if not scalar:
                self.typing.refuse(
                    "E402",
                    f"`per` is one number, and this is {self.typing.shown(count)}",
                    self.node.places["per"],
                    help="count with `sum(…)`",
                )
            result = Typed(loss_map.PER, (result, count), {}, type, self.node.span)
        return result
