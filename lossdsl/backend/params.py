"""Params as state of a module: what they are kept in, and what may be set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lossdsl.checker.declarations import Drawn, Param, ParamValue, plain_value
from lossdsl.checker.suggest import closest
from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.diagnostics.errors import LossConfigError
from lossdsl.source import Source


def register(module: nn.Module, attribute: str, param: Param) -> None:
    """Keep a param in a buffer, or in a Parameter where it is learnt."""
    if param.role == "fixed":
        return
    if param.drawn is not None:
        module.register_parameter(attribute, nn.Parameter(_begin(param.drawn)))
        return
    values = param.value if isinstance(param.value, tuple) else (param.value,)
    if param.role == "learnable":
        weight = torch.tensor(values, dtype=torch.get_default_dtype())
        module.register_parameter(attribute, nn.Parameter(weight))
        return
    # float64, so that a weight of 0.1 is 0.1 for losses that calculate in float64.
    module.register_buffer(attribute, torch.tensor(values, dtype=torch.float64))


def _begin(drawn: Drawn) -> Tensor:
    """The first values of a learnable tensor, from torch's generator."""
    weight = torch.empty(drawn.sizes)
    initialise = getattr(nn.init, f"{drawn.initialiser}_")
    result: Tensor = initialise(weight, **dict(drawn.options))
    return result


def settable(params: Mapping[str, Param], name: str, value: Any) -> ParamValue:
    """The value as `set` takes it.

    Raises:
        LossConfigError: no such param, one that is fixed at compile time, or a bad value.
    """
    param = params.get(name)
    if param is None:
        known = closest(name, params) or f"its params are {', '.join(params)}"
        raise config_error(
            "E511", f"the loss has no param `{name}`", name, str(known) if params else None
        )
    if param.role == "fixed":
        raise config_error(
            "E511",
            f"the param `{name}` is fixed at compile time",
            name,
            "compile the loss again with `params={…}`",
        )
    if param.drawn is not None:
        raise config_error(
            "E511",
            f"the param `{name}` is a learnable tensor",
            name,
            "an optimiser changes it; to put values in, copy them into the Parameter of this name",
        )
    plain = plain_value(value.tolist() if isinstance(value, Tensor) else value)
    listed = isinstance(param.value, tuple)
    if plain is None or isinstance(plain, bool | str) or isinstance(plain, tuple) != listed:
        what = "a list of finite numbers" if listed else "a finite number"
        raise config_error("E511", f"the param `{name}` is {what}, not {value!r}", name)
    length = len(plain) if isinstance(plain, tuple) else 1
    if isinstance(param.value, tuple) and length != len(param.value):
        raise config_error("E511", f"the param `{name}` has {len(param.value)} numbers", name)
    outside = param.outside(plain)
    if outside is not None:
        raise config_error("E511", f"the param `{name}` is {param.bounds}, not {outside:g}", name)
    return plain


def config_error(code: str, message: str, name: str, help: str | None = None) -> LossConfigError:
    span = Source(name, "<call>").span()
    return LossConfigError([Diagnostic(code, message, span, (), help)])
