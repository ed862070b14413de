"""How long a program takes from text to a loss that can be called, before anything is compiled."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import lossdsl

REFERENCE_LINE = "0.5*bce(p, y) + dice(p, y) + 0.1*tv(img)"
TERMS = (100, 1_000, 10_000)


@dataclass(frozen=True)
class Timing:
    """Milliseconds over several rounds."""

    what: str
    milliseconds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.milliseconds)

    def __str__(self) -> str:
        low, high = min(self.milliseconds), max(self.milliseconds)
        return f"{self.what:44} {self.median:10.2f}   [{low:.2f} - {high:.2f}]"


def timed(what: str, run: Callable[[], object], rounds: int) -> Timing:
    """Run once to warm up, then several times."""
    run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return Timing(what, times)


def import_cost(rounds: int = 5) -> Timing:
    """`import lossdsl` on top of `import torch`, in fresh processes."""
    code = (
        "import torch, time; start = time.perf_counter(); import lossdsl; "
        "print(1e3 * (time.perf_counter() - start))"
    )
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(rounds)
    ]
    return Timing("import lossdsl, on top of torch", times)


def first_loss_cost(rounds: int = 5) -> Timing:
    """The first `compile` of a process: it loads the library and the cached grammar."""
    code = (
        "import torch, time, lossdsl; start = time.perf_counter(); "
        f"lossdsl.compile({REFERENCE_LINE!r}, backend='eager'); "
        "print(1e3 * (time.perf_counter() - start))"
    )
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(rounds)
    ]
    return Timing("first compile of a process, reference line", times)


def sum_of(terms: int) -> str:
    """A sum of as many different terms."""
    return " + ".join(f"0.5*mse(a{i}, b)" for i in range(terms))


def measure() -> Iterator[Timing]:
    """All measurements, one after the other."""
    yield import_cost()
    yield first_loss_cost()
    yield timed("check, reference line", lambda: lossdsl.check(REFERENCE_LINE), 50)
    yield timed(
        "text to module, reference line",
        lambda: lossdsl.compile(REFERENCE_LINE, backend="eager"),
        50,
    )
    for terms in TERMS:
        text = sum_of(terms)
        rounds = 5 if terms < 10_000 else 2
        yield timed(
            f"text to module, {terms:,} terms",
            lambda text=text: lossdsl.compile(text, backend="eager"),  # type: ignore[misc]
            rounds,
        )
