"""Every parameter that may move (a schedule, a `param`, a learnable) gives as a tensor the value
that it gives as a number, and the gradient is the derivative."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from arguments import SMALL, Call, calls, defaults, inside
from exceptions import law, reason
from legal_values import ordinary

import lossdsl
from lossdsl.library.record import Parameter


def moving() -> Iterator[tuple[str, tuple[Call, Parameter]]]:
    for name, call in calls(space=(2, 3), sizes=SMALL, kinds=False).items():
        for parameter in call.record.parameters:
            given = call.parameters.get(parameter.name)
            if (
                parameter.kind == "number"
                and not isinstance(given, list)
                and takes(call, parameter)
            ):
                yield f"{name} {parameter.name}", (call, parameter)


def takes(call: Call, parameter: Parameter) -> bool:
    """Whether this form of the loss is there beside a number for the parameter."""
    given = {**defaults(call.record), **call.parameters, parameter.name: 0.5}
    return call.form.when is None or call.form.when(given)


MOVING = dict(moving())


def test_there_are_many() -> None:
    assert len(MOVING) > 150


def places(call: Call, parameter: Parameter) -> list[float]:
    """The parameter's own value, and another."""
    own = call.parameters.get(parameter.name, parameter.default)
    others = [inside(parameter.range, share) for share in (0.3, 0.6)]
    known = [] if own is None or parameter.required else [float(own)]
    return [*known, *(x for x in others if x not in known)][:2]


@pytest.mark.parametrize("name", MOVING)
def test_a_tensor_is_as_good_as_a_number(name: str) -> None:
    call, parameter = MOVING[name]
    key = parameter.name
    given = {**ordinary(call), "r": call.shares()}
    bare = call.without(key)
    moved = lossdsl.compile(bare.map_text(f", {key}=k", more="input k: real[]"), backend="eager")
    for place in places(call, parameter):
        written = lossdsl.compile(bare.map_text(f", {key}={place!r}"), backend="eager")
        k = torch.tensor(place, dtype=torch.float64, requires_grad=True)
        value = moved({**given, "k": k})
        torch.testing.assert_close(value.detach(), written(given), rtol=1e-12, atol=1e-13)
        if reason("gets a gradient", call, key):
            assert not value.requires_grad
            continue
        (slope,) = torch.autograd.grad(value, k)
        assert slope.isfinite()
        with law("gradient is derivative", call, key):
            step = min(1e-6, 1e-3 * abs(place)) or 1e-6
            assert torch.autograd.gradcheck(
                lambda k: moved({**given, "k": k}), k, eps=step, raise_exception=False
            )
