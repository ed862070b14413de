"""Spelled-out activations become the stable form that the library has for them.

`log(sigmoid(x))` is `logsigmoid(x)`; `bce` of `sigmoid(x)` is `bce` of the logits; `ce` of
`softmax(x)` is `ce` of its logarithm. Equal in exact arithmetic, never less stable.
"""

from __future__ import annotations

from dataclasses import dataclass

from lossdsl.functions import classes, operators, pointwise, reductions
from lossdsl.functions.convert import EXP, LOG_SOFTMAX, LOGSIGMOID, MOVE_CLASS_AXIS
from lossdsl.functions.op import Op
from lossdsl.ir.graph import Builder, Graph, Node
from lossdsl.ir.passes.rewriting import rewrite
from lossdsl.library import registry
from lossdsl.types.signature import Signature, read_signature

_SOFTPLUS = Op("softplus", pointwise.softplus)
_LOGSUMEXP = Op("logsumexp", reductions.logsumexp)


@dataclass(frozen=True, slots=True)
class StableForms:
    """Replace logarithms of activations, and losses of activations, by their stable forms."""

    name: str = "stable forms"

    def apply(self, graph: Graph) -> Graph:
        return rewrite(graph, self.name, _step)


def _step(node: Node, builder: Builder) -> Node | None:
    if node.run is pointwise.log:
        return _logarithm(node, builder)
    if not isinstance(node.op, str) and node.op.group == "loss":
        return _loss_of_activation(node, builder)
    return None


def _logarithm(node: Node, builder: Builder) -> Node | None:
    (inner,) = node.operands
    if inner.run is pointwise.sigmoid:
        return builder.make(LOGSIGMOID, inner.operands, {}, node.type, node.span)
    if inner.run is classes.softmax:
        return builder.make(LOG_SOFTMAX, inner.operands, inner.literals, node.type, node.span)
    if inner.run is operators.add:
        for one, other in (inner.operands, inner.operands[::-1]):
            if one.literals.get("value") == 1 and one.op == "number" and other.run is pointwise.exp:
                return builder.make(_SOFTPLUS, other.operands, {}, node.type, node.span)
    if inner.run is reductions.total and len(inner.operands) == 1:
        (summed,) = inner.operands
        if summed.run is pointwise.exp:
            return builder.make(_LOGSUMEXP, summed.operands, inner.literals, node.type, node.span)
    return None


def _loss_of_activation(node: Node, builder: Builder) -> Node | None:
    """The overload of the same loss that takes what the activation was applied to."""
    record = registry.find(node.name)
    if record is None:
        return None
    here = next((o for o in record.overloads if o.function is node.run), None)
    if here is None:
        return None
    source = _before_activation(node.operands[0], builder)
    if source is None:
        return None
    delivered, value = source
    for overload in record.overloads:
        if overload is here:
            continue
        if _same_but_first(
            read_signature(here.signature), read_signature(overload.signature), delivered
        ):
            op = Op(node.name, overload.function, "loss")
            return builder.make(
                op, (value, *node.operands[1:]), node.literals, node.type, node.span, node.keywords
            )
    return None


def _before_activation(value: Node, builder: Builder) -> tuple[str, Node] | None:
    """The logits below a sigmoid, or the log-probabilities of a softmax, axes moved alike."""
    if value.run is pointwise.sigmoid:
        return "logits", value.operands[0]
    if value.run is classes.softmax:
        logs = builder.make(LOG_SOFTMAX, value.operands, value.literals, value.type, value.span)
        return "class_log_prob", logs
    if value.run is EXP.run and str(value.type).startswith("class_prob"):
        return "class_log_prob", value.operands[0]
    if value.run is MOVE_CLASS_AXIS.run:
        below = _before_activation(value.operands[0], builder)
        if below is not None:
            return below[0], builder.rebuilt(value, (below[1],))
    return None


def _same_but_first(here: Signature, other: Signature, delivered: str) -> bool:
    """Whether two forms take the same, but that the other's first slot gets `delivered`."""
    if other.slots[0].delivered != delivered or len(here.slots) != len(other.slots):
        return False
    mine = [(s.delivered, s.shape_text) for s in here.slots[1:]]
    theirs = [(s.delivered, s.shape_text) for s in other.slots[1:]]
    return mine == theirs
