"""What every loss costs: time and memory for each number of its prediction, forward and backward.

    python -m benchmarks.costs [NAME…] [--inductor] [--output FILE]

writes `docs/losses/costs.json`, from which the pages of the losses have their section about cost.
Given names replace their own entries and leave the others; entries of another machine or version
are dropped. With `--inductor` each loss is compiled as well, which takes some seconds a loss; an
entry that was compiled before keeps its numbers without it.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

import lossdsl
from lossdsl.checker.declarations import RESERVED_INPUTS
from lossdsl.inspect.example_inputs import example_inputs
from lossdsl.library.record import LossRecord
from lossdsl.types.kinds import CLASS_KINDS, SCORES
from lossdsl.types.signature import Slot, read_signature

COSTS = Path(__file__).parents[1] / "docs" / "losses" / "costs.json"

BACKENDS = ("eager", "inductor")

SHAPES = {
    "*S": {"*S": "262144"},
    "B": {"B": "262144"},
    "B, *S": {"B": "64", "*S": "4096"},
    "B, *D": {"B": "1024", "*D": "256"},
    "B, C": {"B": "65536", "C": "4"},
    "B, N": {"B": "4096", "N": "64"},
    "B, C, *S": {"B": "4", "*S": "128, 128"},
    # The coarsest scale of `ms_ssim` needs 161 pixels.
    "B, C, H, W": {"B": "2", "H": "192", "W": "192"},
    "B, C, H, *S": {"B": "4", "H": "128", "*S": "128"},
    "B, C, T": {"B": "256", "T": "256", "L": "16"},
    "B, K, *S": {"B": "8", "K": "2", "*S": "128, 128"},
    "B, K, H, W": {"B": "8", "K": "2", "H": "128", "W": "128"},
    "B, T, *D": {"B": "64", "T": "64", "*D": "64"},
    "B, N, D": {"B": "64", "N": "64", "M": "64", "D": "64"},
    "*S, N": {"*S": "4096", "N": "64"},
    "*S, N, D": {"*S": "64", "N": "64", "M": "64", "D": "64"},
    "*S, T": {"*S": "16", "T": "16384"},
    "*S, 4": {"*S": "65536"},
    "*S, 5": {"*S": "65536"},
    "N, D": {"N": "256", "D": "1024"},
    "N, K": {"N": "256", "K": "1024"},
}
"""Sizes by the shape of the prediction, about a quarter of a million numbers in each."""

REST = {"*S": "4096", "B": "64", "C": "3", "M": "64", "N": "256", "D": "256", "K": "64", "T": "64"}
"""Sizes of what the prediction does not have."""

OWN = {"contextual": {"B": "4", "C": "64", "*S": "32, 32"}}
"""Sizes for a loss that compares every position with every other."""

FEATURES = "list[real[4, 64, 32, 32]; 1]"

PARAMETERS = {"counts": "[50, 10, 1]", "season": "12", "token": "0"}
"""Values for parameters without a default; the others get the value of their kind."""

BY_KIND = {"number": "0.5", "vector": "[0.5, 0.5, 0.5]"}

SECONDS, LEAST, MOST = 0.5, 5, 100
"""A timing goes on so long, and takes at least and at most so many rounds."""


@dataclass(frozen=True)
class Case:
    """A call of one loss, with the types of its inputs."""

    call: str
    inputs: dict[str, str]

    @property
    def text(self) -> str:
        lines = [f"input {name}: {type}" for name, type in self.inputs.items()]
        return "\n".join([*lines, self.call])


class Unmeasured(Exception):
    """A loss for which there is no case; the message says why."""


def case_of(record: LossRecord) -> Case:
    """A call of the preferred form with the defaults of its parameters."""
    signature = read_signature(record.overloads[0].signature)
    slots = {
        f"{name}_" if name in RESERVED_INPUTS else name: slot
        for name, slot in zip(record.inputs, signature.slots, strict=True)
        if not slot.optional
    }
    given = [
        f"{parameter.name}={PARAMETERS.get(parameter.name) or BY_KIND[parameter.kind]}"
        for parameter in record.parameters
        if parameter.required
    ]
    if record.critic is not None:
        # A critic of whose derivative there is no doubt.
        x = record.inputs[1]
        return Case(
            f"{record.name}({', '.join((f'sum({x}**2)', x, *given))})", {x: "real[64, 4096]"}
        )
    shape = next(iter(slots.values())).shape_text
    sizes = REST | OWN.get(record.name, SHAPES.get(shape, {}))
    # Where one slot has a class axis, the others' C is the same.
    if any(slot.kinds[0] in CLASS_KINDS for slot in slots.values()):
        sizes = {**sizes, "C": "C"}
    inputs = {name: _type(slot, sizes) for name, slot in slots.items()}
    return Case(f"{record.name}({', '.join((*slots, *given))})", inputs)


def _type(slot: Slot, sizes: dict[str, str]) -> str:
    kind = slot.kinds[0]
    if kind == "features":
        return FEATURES
    axes = [part.strip() for part in slot.shape_text.split(",") if part.strip()]
    if kind == "labels":
        axes = [axis for axis in axes if axis != "C"]
    named = ["C" if axis == "C" and kind in CLASS_KINDS else sizes.get(axis, axis) for axis in axes]
    return f"{kind}[{', '.join(named)}]"


# --- measuring ----------------------------------------------------------------------------------


def measure(case: Case, backend: str) -> dict[str, float]:
    """Nanoseconds and bytes for each number of the first input.

    Raises:
        Unmeasured: the loss does not run on made-up inputs.
    """
    loss = lossdsl.compile(case.text, backend=backend, checks="never")
    contract = loss.contract
    inputs = next(example_inputs(contract, {}, torch.device("cpu")), None)
    if inputs is None:
        raise Unmeasured("no example fits")
    first, *others = contract
    learnt = [first, *(e for e in others if e.kind == first.kind and e.kind in SCORES)]
    tensors = [tensor for entry in learnt for tensor in _tensors(inputs[entry.name])]
    for tensor in tensors:
        tensor.requires_grad_()

    def run() -> None:
        torch.autograd.grad(loss(inputs), tensors, allow_unused=True)

    run()
    numbers = sum(tensor.numel() for tensor in _tensors(inputs[first.name]))
    return {
        "nanoseconds": _rounded(1e9 * seconds(run) / numbers),
        "bytes": _rounded(peak(run) / numbers),
    }


def _tensors(value: Any) -> Iterator[Tensor]:
    yield from value if isinstance(value, list) else [value]


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def seconds(run: Callable[[], None]) -> float:
    """The median time of a run."""
    times: list[float] = []
    while len(times) < LEAST or (sum(times) < SECONDS and len(times) < MOST):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak(run: Callable[[], None]) -> int:
    """The most bytes that a run has allocated at once, of all that it allocates."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(file))
        events = json.loads(file.read_text(encoding="utf-8"))["traceEvents"]
    held = most = 0
    changes = [event for event in events if event.get("name") == "[memory]"]
    for change in sorted(changes, key=lambda event: float(event["ts"])):
        held += change["args"]["Bytes"]
        most = max(most, held)
    return most


# --- the file -----------------------------------------------------------------------------------


def conditions() -> dict[str, Any]:
    """Where and with what it is measured."""
    return {
        "machine": _machine(),
        "python": platform.python_version(),
        "torch": torch.__version__.partition("+")[0],
        "threads": torch.get_num_threads(),
        "dtype": "float32",
        "backends": list(BACKENDS),
    }


def _machine() -> str:
    processors = Path("/proc/cpuinfo")
    if processors.exists():
        for line in processors.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the file after every loss: a run that is broken off keeps what it has."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs")
    parser.add_argument("names", nargs="*", metavar="NAME", help="losses; all if there is none")
    parser.add_argument("--inductor", action="store_true", help="compile each loss, too")
    parser.add_argument("--output", type=Path, default=COSTS, metavar="FILE")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    head, entries = conditions(), {}
    if options.output.exists():
        before = json.loads(options.output.read_text(encoding="utf-8"))
        entries = before.pop("losses")
        if before != head:
            print(f"{options.output}: measured elsewhere, begun anew")
            entries = {}
    library = {name: r for name, r in lossdsl.losses().items() if r.family != "user"}
    for name in options.names or library:
        try:
            entries[name] = _entry(library[name], entries.get(name, {}), options.inductor)
            print(name, *(f"{key} {entries[name].get(key, '')}" for key in BACKENDS), flush=True)
        except Exception as error:
            # One loss that does not run is no reason to lose the others.
            print(f"{name}: not measured: {error}", flush=True)
            entries.pop(name, None)
        ordered = {key: entries[key] for key in library if key in entries}
        text = json.dumps({**head, "losses": ordered}, indent=1, ensure_ascii=False)
        options.output.write_text(f"{text}\n", encoding="utf-8")


def _entry(record: LossRecord, before: dict[str, Any], compiled: bool) -> dict[str, Any]:
    case = case_of(record)
    # `C` stands in a type for its place alone; the examples give it this size.
    inputs = {name: re.sub(r"\bC\b", REST["C"], type) for name, type in case.inputs.items()}
    entry: dict[str, Any] = {"call": case.call, "inputs": inputs}
    same = all(before.get(key) == value for key, value in entry.items())
    for backend in BACKENDS:
        if backend == "eager" or compiled:
            torch.compiler.reset()
            entry[backend] = measure(case, backend)
        elif same and backend in before:
            entry[backend] = before[backend]
    return entry


if __name__ == "__main__":
    main()
