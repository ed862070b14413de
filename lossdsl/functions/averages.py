"""Running means: values that a loss keeps from call to call."""

from __future__ import annotations

from torch import Tensor

from lossdsl.functions.numbers import is_number
from lossdsl.functions.precision import wide
from lossdsl.functions.record import CallSite, function
from lossdsl.functions.rules import floating
from lossdsl.types.values import Tensor as TensorType
from lossdsl.types.values import Type


def _average(site: CallSite) -> Type:
    tensor = floating(site, 0)
    decay = site.literals.get("decay", 0.99)
    if not is_number(decay) or not 0 <= decay < 1:
        site.refuse("E206", "`decay` lies in [0, 1)", "decay")
    kind = tensor.kind if tensor.kind in ("prob", "positive", "score", "logits") else "real"
    return TensorType(kind, tensor.shape)


@function("ema", _average, literals=("decay", "lag"), stateful=True)
def ema(x: Tensor, decay: float = 0.99, lag: bool = False) -> Tensor:
    """The exponential moving average of `x` over the calls in training mode, without gradient.

    It begins with the first `x` and is `decay` of what it was and `1 - decay` of `x` after each
    call; in evaluation mode it stands still. With `lag` it is that of the calls before, from 0 on
    (DINO's centre). It is a buffer of the loss, and in its state dict.
    """
    return wide(x).detach()
