"""The contest of one row: who takes part, that they agree, and how long each of them takes."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

import lossdsl
from benchmarks.speed_rows import Peer, Row

AGREE = 1e-4
"""How far, relative to the largest, values and gradients of one formula may lie apart."""

LEAST = 2e-3
"""A round of each contender calls it until about so many seconds are over, at least once."""

CALLS = 20
"""Calls in a row when the cost of a call itself is measured."""


@dataclass(frozen=True)
class Contender:
    """One step of it is what gets timed. `value` is what it calculates, if it calculates."""

    name: str
    what: str
    step: Callable[[], object]
    value: Callable[[], Tensor] | None = None
    same: bool = False
    """Whether it claims the formula of the reference."""


class Disagreement(Exception):
    """Two contenders with one formula calculate different things."""


# --- contenders ---------------------------------------------------------------------------------


def contenders(row: Row, inputs: Mapping[str, Tensor], backend: str) -> Iterator[Contender]:
    """All that take part, the reference first."""

    def of(name: str, what: str, value: Callable[[], Tensor], same: bool = True) -> Contender:
        return Contender(name, what, lambda: value().backward(), value, same)  # type: ignore[no-untyped-call]

    tensors = tuple(inputs.values())
    compiled = torch.compile(row.reference, backend=backend, fullgraph=True)
    yield of("eager", "by hand", partial(row.reference, *tensors))
    yield of("compiled", f"by hand, {backend}", partial(compiled, *tensors))
    if row.peer is not None and (peer := made(row.peer)) is not None:
        yield of("peer", row.peer.name, partial(peer, *tensors), same=False)
    loss = lossdsl.compile(row.program, backend=backend)
    yield of("lossdsl", f"lossdsl, {backend}", partial(loss, **inputs))
    yield Contender(
        "one pass", "loss.backward", lambda: loss.backward(**inputs), partial(loss, **inputs), True
    )
    yield Contender("copy", "moves as many bytes", mover(row, inputs))


def made(peer: Peer) -> Callable[..., Tensor] | None:
    """The peer, or None where its library is not installed."""
    try:
        return peer.make()
    except ModuleNotFoundError:
        return None


def mover(row: Row, inputs: Mapping[str, Tensor]) -> Callable[[], None]:
    """Reads each learnt input and writes a tensor like it, in memory that is there already. Of
    other inputs it moves one half onto the other: as many bytes again as they have."""
    moves = []
    for name, tensor in inputs.items():
        flat = tensor.detach().flatten()
        half = len(flat) // 2
        source = flat if name in row.learnt else flat[:half]
        moves.append((torch.zeros_like(source), source))

    def move() -> None:
        for target, source in moves:
            target.copy_(source)

    return move


# --- agreement ----------------------------------------------------------------------------------


def difference(a: Tensor, b: Tensor) -> float:
    """The largest one, relative to the largest of `b`."""
    scale = b.abs().max().clamp(min=torch.finfo(b.dtype).tiny)
    return float((a - b).abs().max() / scale)


def outcome(value: Callable[[], Tensor], learnt: Sequence[Tensor]) -> list[Tensor]:
    """The value and the gradients."""
    forget(learnt)
    result = value()
    result.backward()  # type: ignore[no-untyped-call]
    found = [result.detach()]
    for tensor in learnt:
        assert tensor.grad is not None
        found.append(tensor.grad)
    forget(learnt)
    return found


def forget(learnt: Sequence[Tensor]) -> None:
    for tensor in learnt:
        tensor.grad = None


def agreement(row: Row, present: Sequence[Contender], learnt: Sequence[Tensor]) -> dict[str, Any]:
    """For each contender its value, and how far that and the gradients are from the first's.

    Raises:
        Disagreement: one that claims the same formula is too far from it.
    """
    found: dict[str, Any] = {}
    first: list[Tensor] = []
    for contender in present:
        if contender.value is None:
            continue
        own = outcome(contender.value, learnt)
        first = first or own
        apart = [difference(a, b) for a, b in zip(own, first, strict=True)]
        found[contender.name] = {
            "value": float(own[0]),
            "value_apart": apart[0],
            "gradient_apart": max(apart[1:]),
        }
        # Written so that NaN does not pass.
        if contender.same and not max(apart) <= AGREE:
            far = ", ".join(f"{distance:.1e}" for distance in apart)
            raise Disagreement(
                f"{row.name}: value and gradients of {contender.name} are off by {far}"
            )
    return found


# --- timing -------------------------------------------------------------------------------------


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without Python's collector."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def timed(step: Callable[[], object], learnt: Sequence[Tensor], repeats: int) -> float:
    """Milliseconds of a step. That the gradients of the one before are freed does not count."""
    spent = 0.0
    for _ in range(repeats):
        forget(learnt)
        start = time.perf_counter()
        step()
        spent += time.perf_counter() - start
    forget(learnt)
    return 1e3 * spent / repeats


def rounds_of(
    present: Sequence[Contender], learnt: Sequence[Tensor], rounds: int
) -> dict[str, list[float]]:
    """Milliseconds in each round. Each round begins with another contender, so that none of them
    always finds the memory as the same other one left it."""
    found: dict[str, list[float]] = {contender.name: [] for contender in present}
    with undisturbed():
        warm = {c.name: min(timed(c.step, learnt, 3) for _ in range(2)) for c in present}
        repeats = max(1, math.ceil(LEAST * 1e3 / max(warm["compiled"], 1e-3)))
        for begin in range(rounds):
            at = begin % len(present)
            for contender in (*present[at:], *present[:at]):
                found[contender.name].append(timed(contender.step, learnt, repeats))
    return found


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median, and the first and the last decile."""
    deciles = torch.tensor(values, dtype=torch.float64).quantile(
        torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    )
    return dict(zip(("low", "median", "high"), deciles.tolist(), strict=True))


def call_overhead(
    row: Row, inputs: Mapping[str, Tensor], backend: str, rounds: int
) -> dict[str, float]:
    """Microseconds that a call of the loss takes beyond its graph under torch.compile."""
    loss = lossdsl.compile(row.program, backend=backend)
    whole = partial(loss, **inputs)
    graph = torch.compile(loss.graph_module.forward, backend=backend, fullgraph=True)
    bare = partial(graph, *(inputs[name] for name in loss.contract.names))
    with torch.no_grad():
        for call in (whole, bare):
            call()
        with undisturbed():
            beyond = [
                1e3 * (timed(whole, (), CALLS) - timed(bare, (), CALLS)) for _ in range(rounds)
            ]
    return spread(beyond)


def measure(row: Row, rounds: int, backend: str = "inductor") -> dict[str, Any]:
    """All that there is to tell about one row.

    Raises:
        Disagreement: before anything is timed.
    """
    # Else sizes that an earlier row compiled for would make those of this one dynamic.
    torch.compiler.reset()
    inputs = row.inputs()
    learnt = [inputs[name] for name in row.learnt]
    present = list(contenders(row, inputs, backend))
    agreed = agreement(row, present, learnt)
    times = rounds_of(present, learnt, rounds)
    results = [
        {
            "name": contender.name,
            "what": contender.what,
            **agreed.get(contender.name, {}),
            "median_ms": statistics.median(times[contender.name]),
            "ratio": spread(
                [a / b for a, b in zip(times["compiled"], times[contender.name], strict=True)]
            ),
            "milliseconds": times[contender.name],
        }
        for contender in present
    ]
    return {
        "name": row.name,
        "program": row.program,
        "sizes": row.sizes,
        "contenders": results,
        "overhead_us": call_overhead(row, inputs, backend, rounds) if row.overhead else None,
    }
