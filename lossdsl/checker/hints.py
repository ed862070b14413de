"""Why a value's kind does not fit a loss, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lossdsl.checker.typed import Typed
from lossdsl.source import Span
from lossdsl.types.values import Module, Tensor

_ACTIVATIONS = {"sigmoid", "softmax", "log_softmax", "logsigmoid"}
_TARGETS = frozenset({"labels", "mask", "one_hot", "sign"})
_PREDICTIONS = frozenset({"logits", "class_logits", "log_prob", "class_log_prob", "score"})

# (kind that came, kind that is taken) -> what to do; `{x}` is the text of the argument.
_WAYS_OUT: dict[tuple[str, str], str] = {
    ("class_logits", "logits"): "for one class out of many use `ce`; for element-wise scores "
    "declare `logits`",
    ("class_logits", "prob"): "say which probabilities: `softmax({x})`",
    ("logits", "class_logits"): "for one class out of many declare `class_logits`; for "
    "element-wise scores use `bce`",
    ("logits", "class_prob"): "for one class out of many declare `class_logits`",
    ("logits", "labels"): "the target comes second: labels are class indices",
    ("labels", "prob"): "declare the target as `mask`, or use `ce` for class indices",
    ("sign", "prob"): "`{x} > 0` is the mask that it means",
    ("sign", "mask"): "`{x} > 0` is the mask that it means",
    ("labels", "mask"): "declare 0/1 targets as `mask`, or say which class counts: `{x} == 1`",
    ("labels", "real"): "say that you mean the numbers: `real({x})`",
    ("labels", "class_prob"): "give the prediction as `class_logits`",
    ("mask", "labels"): "class indices are `labels`; for 0/1 targets use `bce` or `dice`",
    ("real", "prob"): "say what it is: `sigmoid({x})` for scores, `prob({x})` for values in [0, 1]",
    ("real", "mask"): "say what it is: `{x} > 0.5`, or `mask({x})` for values that are 0 or 1",
    ("real", "labels"): "say what it is: `labels({x})` for class indices, `class_prob({x})` for "
    "soft targets",
    ("real", "positive"): "say that it is above 0: `positive({x})`, or make it so: `softplus({x})`",
    ("real", "sign"): "say what it is: `sign` targets are -1 or 1, a `mask` is converted",
    ("real", "boxes"): "say what it is: `boxes({x}, cxcywh)`",
    ("prob", "logits"): "probabilities cannot become logits again: drop the activation",
    ("prob", "class_logits"): "probabilities cannot become logits again: drop the activation",
    ("prob", "image"): "say that these are pixels: `image({x})`",
    ("prob", "labels"): "class indices are `labels`; for soft targets give one value a class",
    ("prob", "class_prob"): "say that they sum to 1 over the classes: `class_prob({x})`",
    ("prob", "score"): "critics return raw scores: drop the sigmoid",
    ("logits", "score"): "say that these are scores: `score({x})`",
    ("logits", "positive"): "make it positive: `softplus({x})`",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """What is reported about an argument."""

    code: str
    message: str
    span: Span
    help: str | None = None
    labels: tuple[tuple[Span, str], ...] = ()


def _best(kind: str, ways: list[str], activated: bool) -> str:
    """Declared probabilities that a loss of classes refuses were meant as class ones; computed
    ones had the wrong activation."""
    return ways[-1] if kind == "prob" and not activated else ways[0]


def why_not(loss: str, name: str, argument: Typed, accepted: list[str]) -> Reason:
    """Why no overload takes an argument."""
    wanted = _either(accepted)
    text, span = argument.span.text, argument.span
    if argument.op == "number" and argument.number is None:
        message = f"`{loss}` takes {wanted} for `{name}`, and `{text}` is a literal"
        return Reason("E308", message, span, "give it a tensor, or a number")
    if not isinstance(argument.type, Tensor):
        message = f"`{loss}` takes {wanted} for `{name}`, and `{text}` is {argument.type}"
        if isinstance(argument.type, Module):
            return Reason("E308", message, span, f"a network is called: `{text}(…)`")
        return Reason("E308", message, span, "pick an item of the list or a field of the record")
    if argument.number is not None:
        message = f"the number {argument.number:g} cannot stand for `{name}` of `{loss}`"
        return Reason("E301", f"{message}, which takes {wanted}", span)
    kind = argument.tensor.kind
    ways = [_WAYS_OUT[kind, k] for k in accepted if (kind, k) in _WAYS_OUT]
    activated = not isinstance(argument.op, str) and argument.op.name in _ACTIVATIONS
    way = _best(kind, ways, activated) if ways else f"say what it is: `{accepted[0]}({{x}})`"
    if not ways and accepted[0] == "features":
        way = "give it a list of tensors"
    message = f"`{loss}` takes {wanted} for `{name}`, and `{text}` is `{kind}`"
    return Reason("E301", message, span, way.format(x=text))


def swapped(loss: str, names: tuple[str, ...], first: Typed, second: Typed) -> Reason | None:
    """A target in front of its prediction."""
    kinds = [value.type.kind if isinstance(value.type, Tensor) else "" for value in (first, second)]
    if names != ("p", "y") or kinds[0] not in _TARGETS or kinds[1] not in _PREDICTIONS:
        return None
    return Reason(
        "E301",
        f"`{loss}` takes a prediction first, and `{first.span.text}` is `{kinds[0]}`",
        first.span,
        f"the target comes second: `{loss}({second.span.text}, {first.span.text})`",
        ((second.span, f"this is `{kinds[1]}`"),),
    )


def not_together(
    loss: str, argument: Typed, name: str, partner: Typed, kinds: Iterable[str]
) -> Reason:
    """An argument that the loss takes, beside another one that goes with other kinds."""
    wanted = list(kinds)
    text, kind = partner.span.text, argument.tensor.kind
    return Reason(
        "E301",
        f"`{loss}` takes `{kind}` with {_either(wanted)} for `{name}`, "
        f"and `{text}` is `{partner.tensor.kind}`",
        argument.span,
        f"declare `{text}` as `{wanted[0]}`" if text.isidentifier() else None,
        ((partner.span, f"this is `{partner.tensor.kind}`"),),
    )


def _either(kinds: list[str]) -> str:
    return " or ".join(f"`{kind}`" for kind in kinds)
