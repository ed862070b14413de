"""Why a value's kind does not fit a loss, and what to do about it."""

from __future__ import annotations

from lossdsl.checker.typed import Typed
from lossdsl.source import Span
from lossdsl.types.values import Tensor

_ACTIVATIONS = {"sigmoid", "softmax", "log_softmax", "logsigmoid"}

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
    ("labels", "real"): "say that you mean the numbers: `real({x})`",
    ("labels", "class_prob"): "give the prediction as `class_logits`",
    ("mask", "labels"): "class indices are `labels`; for 0/1 targets use `bce` or `dice`",
    ("real", "prob"): "say what it is: `sigmoid({x})` for scores, `prob({x})` for values in [0, 1]",
    ("real", "mask"): "say what it is: `{x} > 0.5`, or `mask({x})` for values that are 0 or 1",
    ("real", "labels"): "say what it is: `labels({x})`",
    ("real", "positive"): "make it positive: `softplus({x})`, or say that it is: `positive({x})`",
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


def _best(kind: str, ways: list[str], activated: bool) -> str:
    """Declared probabilities that a loss of classes refuses were meant as class ones; computed
    ones had the wrong activation."""
    return ways[-1] if kind == "prob" and not activated else ways[0]


def why_not(
    loss: str, name: str, argument: Typed, accepted: list[str]
) -> tuple[str, list[tuple[Span, str]], str, str | None]:
    """Message, labels, code and help for an argument that no overload takes."""
    wanted = " or ".join(f"`{kind}`" for kind in accepted)
    text = argument.span.text
    if argument.op == "number" and argument.number is None:
        message = f"`{loss}` takes {wanted} for `{name}`, and `{text}` is a literal"
        return message, [], "E308", "give it a tensor, or a number"
    if not isinstance(argument.type, Tensor):
        return (
            f"`{loss}` takes {wanted} for `{name}`, and `{text}` is {argument.type}",
            [],
            "E308",
            "pick an item of the list or a field of the record",
        )
    if argument.number is not None:
        return (
            f"the number {argument.number:g} cannot stand for `{name}` of `{loss}`, "
            f"which takes {wanted}",
            [],
            "E301",
            None,
        )
    kind = argument.tensor.kind
    ways = [_WAYS_OUT[kind, k] for k in accepted if (kind, k) in _WAYS_OUT]
    code = "E301"
    labels: list[tuple[Span, str]] = []
    if not isinstance(argument.op, str) and argument.op.name in _ACTIVATIONS:
        labels = [(argument.span, f"`{argument.op.name}` made it `{kind}` here")]
    way = _best(kind, ways, bool(labels)) if ways else f"say what it is: `{accepted[0]}({{x}})`"
    return (
        f"`{loss}` takes {wanted} for `{name}`, and `{text}` is `{kind}`",
        labels,
        code,
        way.format(x=text),
    )
