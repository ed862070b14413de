"""Schedules: numbers that move with `step` or `epoch`, without recompiling.

They are ordinary arithmetic of one number, so a schedule of a schedule is a schedule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from lossdsl.functions.numbers import is_number
from lossdsl.functions.record import CallSite, Rule, function
from lossdsl.functions.rules import number
from lossdsl.types.values import Type


def _lasting(index: int) -> Rule:
    """The rule of a schedule that divides by a number of steps: there are some."""

    def rule(site: CallSite) -> Type:
        steps = site.numbers[index]
        if steps is not None and steps <= 0:
            site.refuse("E206", f"`{site.name}` lasts more than {steps:g} steps", index)
        return number(site)

    return rule


def _from_to(site: CallSite) -> Type:
    start, end = site.numbers[3], site.numbers[4]
    if start is not None and end is not None and end <= start:
        site.refuse("E206", f"`t1` is later than `t0`, and this is {end:g} after {start:g}", 4)
    return number(site)


def _pieces(site: CallSite) -> Type:
    boundaries, values = (site.literals[key] for key in ("boundaries", "values"))
    for key, given in (("boundaries", boundaries), ("values", values)):
        if not isinstance(given, tuple) or not all(is_number(value) for value in given):
            site.refuse("E206", f"`{key}` is a list of numbers", key)
    if len(values) != len(boundaries) + 1:
        site.refuse(
            "E406",
            f"{len(boundaries)} boundaries make {len(boundaries) + 1} pieces, and there are "
            f"{len(values)} values",
            "values",
        )
    if any(after <= before for before, after in pairwise(boundaries)):
        site.refuse("E206", "`boundaries` rise", "boundaries")
    return number(site)


def _fraction(t: Any, start: Any, end: Any) -> Any:
    """How far `t` is from `start` to `end`, kept within [0, 1]."""
    return torch.clamp((t - start) / (end - start), 0.0, 1.0)


@function("warmup", _lasting(1), schedule=True)
def warmup(t: Tensor, n: float) -> Tensor:
    """Rises from 0 to 1 in `n` steps: min(1, t/n)."""
    return torch.clamp(t / n, max=1.0)


@function("linear", _from_to, schedule=True)
def linear(t: Tensor, a: float, b: float, t0: float, t1: float) -> Tensor:
    """`a` until `t0`, a straight line to `b` at `t1`, then `b`."""
    return a + (b - a) * _fraction(t, t0, t1)  # type: ignore[no-any-return]


@function("cosine", _from_to, schedule=True)
def cosine(t: Tensor, a: float, b: float, t0: float, t1: float) -> Tensor:
    """`a` until `t0`, half a cosine wave to `b` at `t1`, then `b`."""
    return b + (a - b) * 0.5 * (1 + torch.cos(math.pi * _fraction(t, t0, t1)))


@function("exp_decay", _lasting(3), schedule=True)
def exp_decay(t: Tensor, a: float, rate: float, n: float) -> Tensor:
    """`a` times `rate` for every `n` steps: a*rate^(t/n)."""
    return torch.pow(torch.as_tensor(rate, dtype=t.dtype), t / n) * a


@function("piecewise", _pieces, literals=("boundaries", "values"), schedule=True)
def piecewise(t: Tensor, boundaries: Sequence[float], values: Sequence[float]) -> Tensor:
    """Constant pieces: `values[0]` first, `values[k]` from `boundaries[k-1]` on."""
    result = torch.full_like(t, values[0])
    for boundary, value in zip(boundaries, values[1:], strict=True):
        result = torch.where(t >= boundary, value, result)
    return result


@function("cyclic", _lasting(3), schedule=True)
def cyclic(t: Tensor, a: float, b: float, period: float) -> Tensor:
    """A triangle wave from `a` to `b` and back once a period."""
    phase = torch.remainder(t / period, 1.0)
    return a + (b - a) * (1 - torch.abs(2 * phase - 1))
