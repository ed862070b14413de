"""Every loss is one graph that reads no value of a tensor, of any batch, for series, images and
volumes alike."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from arguments import Call, calls, sweep
from legal_values import ordinary
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.utils._python_dispatch import TorchDispatchMode

import lossdsl

SPACES = {"series": (5,), "images": (4, 5), "volumes": (2, 3, 4)}


def with_spaces(**chosen: bool) -> dict[str, Call]:
    """The calls of images, and those of the other spaces where a signature leaves them open."""
    found = calls(space=SPACES["images"], **chosen)
    for space in ("series", "volumes"):
        for name, call in calls(space=SPACES[space], kinds=False).items():
            if call.shapes != found[name].shapes:
                found[f"{name} of {space}"] = call
    return found


CALLS = with_spaces(variants=True)
CORE = with_spaces(kinds=False)


def free(call: Call, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inputs, with a gradient where they may have one."""
    return {
        name: x.clone().requires_grad_(name in call.differentiable) for name, x in given.items()
    }


class NoValueRead(TorchDispatchMode):
    """Refuses every operation whose shape or number depends on a tensor's values: `item()`, `bool`
    of a comparison, `nonzero`, indexing by a mask. Below it stands what `torch.compile` breaks
    at, and a GPU waits for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        reads = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags)
        if func is torch.ops.aten.index.Tensor:  # Of a mask; not of places.
            reads = {i for i in args[1] if i is not None and i.dtype in (torch.bool, torch.uint8)}
        assert not reads, f"{func} reads values"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", sweep(CALLS, CORE))
def test_no_value_is_read(name: str) -> None:
    call = CALLS[name]
    graph = lossdsl.compile(call.text(), backend="eager").graph_module
    inputs = free(call, ordinary(call))
    with NoValueRead():
        value = graph(*inputs.values())
        value.backward()
    assert value.isfinite()
    for x in inputs.values():
        assert x.grad is None or x.grad.isfinite().all()


@pytest.mark.parametrize("read", ["x.item()", "x[x > 0]", "bool(x.sum() > 0)", "x.nonzero()"])
def test_a_value_that_is_read_is_noticed(read: str) -> None:
    with NoValueRead(), pytest.raises(AssertionError, match="reads values"):
        eval(read, {"x": torch.ones(1)})


@pytest.mark.slow
@pytest.mark.filterwarnings(
    # torch's own: Dynamo makes an instance of the class, which the class then deprecates.
    "ignore:.*should not be instantiated:DeprecationWarning"
)
@pytest.mark.parametrize("name", CORE)
def test_five_batches_are_two_graphs(name: str) -> None:
    """One for a batch of one, which broadcasts, and one for all others; right values of both."""
    call = CORE[name]
    counter = CompileCounterWithBackend("aot_eager")
    compiled = lossdsl.compile(call.text(fixed=False), backend=counter)
    eager = lossdsl.compile(call.text(fixed=False), backend="eager")
    for rows in (4, 7) if " of " in name else (4, 7, 1, 3, 6):
        given = ordinary(call.of(rows))
        results = []
        for loss in (compiled, eager):
            inputs = free(call, given)
            value = loss(inputs)
            value.backward()
            results.append((value, [x.grad for x in inputs.values()]))
        torch.testing.assert_close(*results, rtol=1e-9, atol=1e-11)
    assert counter.frame_count <= 2
