"""Functions of one value at a time."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lossdsl.functions import adjoints, logistic
from lossdsl.functions.axes import MIXED
from lossdsl.functions.record import CallSite, function
from lossdsl.functions.rules import drop, elementwise, floating, same, same_kind, widened
from lossdsl.types.kinds import KINDS, common, is_sub
from lossdsl.types.values import Tensor as TensorType
from lossdsl.types.values import Type


def _scores_to(kind: str) -> Any:
    """The rule of an activation: it takes scores, and only once."""

    def rule(site: CallSite) -> Type:
        tensor = floating(site, 0)
        if tensor.kind not in ("real", "logits", "score"):
            already = tensor.kind in ("prob", "log_prob", "mask", "class_prob", "one_hot")
            site.refuse(
                "E303" if already else "E301",
                f"`{site.name}` takes scores, and this is already `{tensor.kind}`"
                if already
                else f"`{site.name}` takes `logits`, and this is `{tensor.kind}`",
                0,
                drop(site, "logits")
                if already
                else "`softmax` is the activation of class scores"
                if tensor.kind == "class_logits"
                else None,
            )
        return TensorType(kind, tensor.shape)

    return rule


def _log_kind(site: CallSite, tensors: list[TensorType]) -> str:
    kind = tensors[0].kind
    if is_sub(kind, "class_prob"):
        return "class_log_prob"
    return "log_prob" if is_sub(kind, "prob") else "real"


def _exp_kind(site: CallSite, tensors: list[TensorType]) -> str:
    kind = tensors[0].kind
    return {"log_prob": "prob", "class_log_prob": "class_prob"}.get(kind, "positive")


@function("exp", elementwise(_exp_kind), latex=r"\exp")
def exp(x: Tensor) -> Tensor:
    """Exponential function."""
    return torch.exp(x)


@function("log", elementwise(_log_kind), latex=r"\log")
def log(x: Tensor) -> Tensor:
    """Natural logarithm."""
    return torch.log(x)


@function("log1p", elementwise(), latex=r"\operatorname{log1p}")
def log1p(x: Tensor) -> Tensor:
    """log(1 + x), exact near 0."""
    return torch.log1p(x)


@function("sqrt", elementwise(), latex=r"\sqrt")
def sqrt(x: Tensor) -> Tensor:
    """Square root. Its gradient at 0 is infinite: `norm` and `rmse` are safe there."""
    return torch.sqrt(x)


@function("abs", elementwise(), latex=r"\operatorname{abs}")
def absolute(x: Tensor) -> Tensor:
    """Absolute value."""
    return torch.abs(x)


@function("sign", elementwise(), latex=r"\operatorname{sign}")
def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1. Without gradient."""
    return torch.sign(x)


@function("floor", elementwise())
def floor(x: Tensor) -> Tensor:
    """The next whole number downwards. Without gradient."""
    return torch.floor(x)


@function("relu", elementwise(), latex=r"\operatorname{relu}")
def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return torch.relu(x)


@function("sigmoid", _scores_to("prob"), prefers=("logits", "score"), latex=r"\sigma")
def sigmoid(x: Tensor) -> Tensor:
    """1/(1 + exp(-x)): logits to probabilities."""
    return logistic.sigmoid(x) if adjoints.written_out() else torch.sigmoid(x)


@function(
    "logsigmoid",
    _scores_to("log_prob"),
    prefers=("logits", "score"),
    latex=r"\log\sigma",
)
def logsigmoid(x: Tensor) -> Tensor:
    """log(sigmoid(x)), finite for every x."""
    return logistic.log_sigmoid(x)


@function("softplus", elementwise("positive"), latex=r"\operatorname{softplus}")
def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), finite for every x."""
    return -logistic.log_sigmoid(-x)


@function("tanh", elementwise(), latex=r"\tanh")
def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return torch.tanh(x)


@function("sin", elementwise(), latex=r"\sin")
def sin(x: Tensor) -> Tensor:
    """Sine, of radians."""
    return torch.sin(x)


@function("cos", elementwise(), latex=r"\cos")
def cos(x: Tensor) -> Tensor:
    """Cosine, of radians."""
    return torch.cos(x)


@function("atan", elementwise(), latex=r"\arctan")
def atan(x: Tensor) -> Tensor:
    """Inverse tangent, in radians."""
    return torch.atan(x)


@function("acos", elementwise(), latex=r"\arccos")
def acos(x: Tensor) -> Tensor:
    """Inverse cosine, in radians. Its gradient at -1 and 1 is infinite."""
    return torch.acos(x)


@function("lgamma", elementwise(), latex=r"\log\Gamma")
def lgamma(x: Tensor) -> Tensor:
    """Logarithm of the gamma function."""
    return torch.lgamma(x)


def _extreme_kind(site: CallSite, tensors: list[TensorType]) -> str:
    """What all operands are; a number beyond the kind's range counts only where it can win."""
    kind = same_kind(site, tensors)
    kind = MIXED.get(kind, kind)
    low, high = KINDS[kind].number or (-math.inf, math.inf)
    for value in site.numbers:
        if value is not None:
            never = value <= low if site.name == "maximum" else value >= high
            kind = kind if never else widened(kind, value)
    return kind


@function("minimum", elementwise(_extreme_kind), keeps=True, latex=r"\min")
def minimum(x: Any, y: Any) -> Any:
    """The smaller of two values, element by element."""
    if not isinstance(y, Tensor):
        return torch.clamp(x, max=y)
    return torch.clamp(y, max=x) if not isinstance(x, Tensor) else torch.minimum(x, y)


@function("maximum", elementwise(_extreme_kind), keeps=True, latex=r"\max")
def maximum(x: Any, y: Any) -> Any:
    """The larger of two values, element by element."""
    if not isinstance(y, Tensor):
        return torch.clamp(x, min=y)
    return torch.clamp(y, min=x) if not isinstance(x, Tensor) else torch.maximum(x, y)


def _clamp_kind(site: CallSite, tensors: list[TensorType]) -> str:
    """Bounds within the kind's range leave the kind, if they are values of it."""
    kind = MIXED.get(tensors[0].kind, tensors[0].kind)
    for tensor, value in zip(tensors[1:], site.numbers[1:], strict=True):
        low, high = KINDS[kind].number or (-math.inf, math.inf)
        if value is None:
            kind = common([kind, tensor.kind])
        elif low < value < high:
            kind = widened(kind, value)
    return kind


def _clamp(site: CallSite) -> Type:
    if len(site.operands) < 2:
        site.refuse("E204", "`clamp` needs a bound", None, "write `clamp(x, min=0)`")
    return elementwise(_clamp_kind)(site)


@function("clamp", _clamp, keeps=True, latex=r"\operatorname{clamp}")
def clamp(x: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """The value kept between two bounds. The gradient outside them is 0."""
    if min is not None and max is not None and isinstance(min, Tensor) != isinstance(max, Tensor):
        # torch takes two numbers or two tensors.
        return torch.clamp(torch.clamp(x, min=min), max=max)
    return torch.clamp(x, min=min, max=max)


@function("detach", same, keeps=True, latex=r"\operatorname{sg}")
def detach(x: Tensor) -> Tensor:
    """The value without its gradient."""
    return x.detach()
