"""Cross entropy of a projection to a vocabulary: time and memory of a step, forward and backward.

`python -m benchmarks.linear_ce` runs all contenders in turns and prints one table. Peaks are
those of fresh processes: the largest resident set during one step after a first one, less what
was resident before it and less the two gradients that remain. They need Linux.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

import lossdsl

MEGABYTE = 1e6
Value = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Sizes:
    """How many vectors of which width meet how many classes."""

    tokens: int
    width: int
    classes: int

    @property
    def gradients(self) -> float:
        return 4 * self.width * (self.tokens + self.classes) / MEGABYTE

    @property
    def scores(self) -> float:
        return 4 * self.tokens * self.classes / MEGABYTE

    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        torch.manual_seed(0)
        x = torch.randn(self.tokens, self.width).requires_grad_()
        head = (torch.randn(self.classes, self.width) / self.width**0.5).requires_grad_()
        return x, torch.randint(0, self.classes, (self.tokens,)), head


def eager() -> Value:
    return lambda x, y, head: F.cross_entropy(x @ head.T, y)


def compiled() -> Value:
    return torch.compile(eager(), fullgraph=True)


def ours() -> Value:
    loss = lossdsl.compile("linear_ce(x, y, head)", backend="eager")
    return lambda x, y, head: loss(x=x, y=y, head=head)


def ours_compiled() -> Value:
    loss = lossdsl.compile("linear_ce(x, y, head)")
    return lambda x, y, head: loss(x=x, y=y, head=head)


def ours_weighted() -> Value:
    loss = lossdsl.compile("linear_ce(x, y, head, weight=w)", backend="eager")
    return lambda x, y, head: loss(x=x, y=y, head=head, w=torch.linspace(1, 2, len(y)))


CONTENDERS: dict[str, Callable[[], Value]] = {
    "compiled, F.cross_entropy(x @ w.T, y)": compiled,
    "eager, F.cross_entropy(x @ w.T, y)": eager,
    "linear_ce, compiled": ours_compiled,
    "linear_ce, eager": ours,
    "linear_ce, eager, a weight a token": ours_weighted,
}


def step(value: Value, x: Tensor, y: Tensor, head: Tensor) -> None:
    """One forward and backward, into gradients of their own."""
    x.grad = head.grad = None
    value(x, y, head).backward()


def times(sizes: Sizes, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each contender, all of them once a round."""
    given = sizes.inputs()
    values = {name: make() for name, make in CONTENDERS.items()}
    for value in values.values():
        step(value, *given)
    found: dict[str, list[float]] = {name: [] for name in values}
    for _ in range(rounds):
        for name, value in values.items():
            start = time.perf_counter()
            step(value, *given)
            found[name].append(1e3 * (time.perf_counter() - start))
    return found


def resident(line: str) -> float:
    """A number of /proc/self/status, in megabytes."""
    status = Path("/proc/self/status").read_text()
    return float(status.partition(f"{line}:")[2].split()[0]) * 1024 / MEGABYTE


def peak_here(sizes: Sizes, name: str) -> float:
    """The peak of a second step above what was there before, in megabytes."""
    given = sizes.inputs()
    value = CONTENDERS[name]()
    step(value, *given)
    given[0].grad = given[2].grad = None
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = resident("VmRSS")
    # Sets VmHWM, the largest resident set so far, to the present one.
    Path("/proc/self/clear_refs").write_text("5")
    step(value, *given)
    return resident("VmHWM") - before


def peak(sizes: Sizes, name: str, threads: int) -> float:
    """`peak_here`, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.linear_ce", "--peak", name]
    for flag, number in vars(sizes).items():
        command += [f"--{flag}", str(number)]
    command += ["--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return float(done.stdout)


def table(sizes: Sizes, rounds: int, threads: int) -> None:
    print(
        f"{sizes.tokens} tokens, {sizes.width} wide, {sizes.classes} classes, {threads} threads, "
        f"{rounds} rounds; scores {sizes.scores:.0f} MB, gradients {sizes.gradients:.0f} MB"
    )
    heads = ("", "median ms", "least", "most", "x compiled", "extra MB", "of scores")
    print("{:40}{:>11}{:>9}{:>9}{:>12}{:>10}{:>11}".format(*heads))
    found = times(sizes, rounds)
    base = next(iter(found.values()))
    for name, own in found.items():
        ratio = statistics.median(a / b for a, b in zip(own, base, strict=True))
        extra = peak(sizes, name, threads) - sizes.gradients
        print(
            f"{name:40}{statistics.median(own):11.0f}{min(own):9.0f}{max(own):9.0f}{ratio:12.2f}"
            f"{extra:10.0f}{extra / sizes.scores:11.2f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--classes", type=int, default=32000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peak", choices=CONTENDERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    sizes = Sizes(given.tokens, given.width, given.classes)
    torch.set_num_threads(given.threads)
    if given.peak:
        print(peak_here(sizes, given.peak))
    else:
        table(sizes, given.rounds, given.threads)


if __name__ == "__main__":
    main()
