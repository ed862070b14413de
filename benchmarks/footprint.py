"""What a loss takes besides time: seconds until its first gradients are there, and memory.

    python -m benchmarks.footprint [ROW…] [--json FILE]

Each number comes from a process of its own, with an empty cache of Inductor (`cold`) and with the
cache that the first one left (`warm`). Seconds count from the imports on to the first gradients.
Memory is the peak of one forward and backward above what was resident before it, of a process whose
malloc gives all it can back; Linux tells it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.linear_ce import resident
from benchmarks.speed_contest import contenders, forget
from benchmarks.speed_rows import ROWS

COMPARED = ("compiled", "lossdsl")
RETURNED = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""The setting under which glibc keeps no freed memory."""

STEPS = 5


def first_and_peak(name: str, contender: str, backend: str = "inductor") -> dict[str, float]:
    """In this process: seconds of the first step, and the least peak of later ones in MB."""
    (row,) = (row for row in ROWS if row.name == name)
    inputs = row.inputs()
    learnt = [inputs[key] for key in row.learnt]
    start = time.perf_counter()
    step = next(c.step for c in contenders(row, inputs, backend) if c.name == contender)
    step()
    seconds = time.perf_counter() - start
    peaks = []
    for _ in range(STEPS):
        forget(learnt)
        # Sets VmHWM, the largest resident set so far, to the present one.
        Path("/proc/self/clear_refs").write_text("5")
        before = resident("VmRSS")
        step()
        peaks.append(resident("VmHWM") - before)
    return {"seconds": seconds, "peak_mb": min(peaks)}


def measured(name: str, contender: str) -> dict[str, float]:
    """The same in new processes, with an empty and with a filled cache."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, **RETURNED, "TORCHINDUCTOR_CACHE_DIR": cache}
        command = [sys.executable, "-m", "benchmarks.footprint", "--one", name, contender]
        cold, warm = (
            json.loads(subprocess.run(command, env=environment, check=True, stdout=-1).stdout)
            for _ in range(2)
        )
    return {"cold": cold["seconds"], "warm": warm["seconds"], "peak_mb": warm["peak_mb"]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure, print and write."""
    known = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.footprint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="ROW", help=f"of {', '.join(known)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.one is not None:
        for module in ("torch._dynamo", "torch._inductor.compile_fx"):
            importlib.import_module(module)
        print(json.dumps(first_and_peak(*given.one)))
        return
    if unknown := [name for name in given.names if name not in known]:
        parser.error(f"no row is called {', '.join(unknown)}; there are {', '.join(known)}")
    table = Table("row", "contender", "cold s", "warm s", "peak MB")
    found: dict[str, Any] = {"torch": torch.__version__, "rows": []}
    for name in given.names or known:
        for contender in COMPARED:
            row = measured(name, contender)
            found["rows"].append({"name": name, "contender": contender, **row})
            table.add_row(name, contender, *(f"{number:.1f}" for number in row.values()))
    Console(width=100).print(table)
    if given.json is not None:
        given.json.write_text(f"{json.dumps(found, indent=1)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
