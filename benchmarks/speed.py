"""How fast losses are beside PyTorch written by hand: forward and backward, on the CPU.

    python -m benchmarks.speed [ROW…] [--rounds N] [--threads N] [--malloc both] [--json FILE]

All contenders take turns in one process, so that whatever else the machine does meets all of
them. A ratio is `compiled` over the contender, taken in each round: above 1 the contender is
faster than the formula under torch.compile. The table has its median and its range from the first
to the last decile. The overhead is what a call of the loss takes, without gradients, beyond its
graph alone under torch.compile.

    eager     the formula by hand
    compiled  the same under torch.compile(fullgraph=True)
    peer      what MONAI and Kornia offer, which may calculate something else
    lossdsl   loss(...).backward(), compiled
    one pass  loss.backward(...), the same in one call
    copy      as many bytes as the inputs and the gradients have, moved once

glibc gives large freed tensors back to the system, and each new gradient is then faulted in page
by page, which can take longer than the loss. `--malloc both` prints a second table, of a process
in which it keeps them.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import lossdsl
from benchmarks.costs import conditions
from benchmarks.speed_contest import measure
from benchmarks.speed_rows import ROWS, Row

KEPT = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**33)}
"""The setting under which glibc keeps freed memory."""


def header(rounds: int) -> dict[str, Any]:
    """Where, with what and how it is measured."""
    return {
        "torch": torch.__version__,
        "lossdsl": lossdsl.__version__,
        "peers": {name: version_of(name) for name in ("monai", "kornia")},
        "machine": conditions()["machine"],
        "threads": torch.get_num_threads(),
        "compiler": compiler(),
        "malloc": {key: os.environ[key] for key in KEPT if key in os.environ} or "default",
        "rounds": rounds,
    }


def version_of(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def compiler() -> str | None:
    """The C++ compiler that Inductor takes, in its own words."""
    command = shutil.which(os.environ.get("CXX", "g++"))
    if command is None:
        return None
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.partition("\n")[0]


def check_line(row: Mapping[str, Any]) -> str:
    """What the contenders calculate, beside the first of them."""
    told = [f"{c['name']} {c['value']:.7g}" for c in row["contenders"] if "value" in c]
    far = max(
        max(c["value_apart"], c["gradient_apart"])
        for c in row["contenders"]
        if "value" in c and c["name"] != "peer"
    )
    return f"{row['name']}: {', '.join(told)}; apart by {far:.0e} at most, peers aside"


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """All rows in one."""
    shown = Table()
    shown.add_column("row")
    shown.add_column("contender")
    for title in ("median ms", "compiled / it", "10–90 %", "overhead µs"):
        shown.add_column(title, justify="right")
    for row in rows:
        first = [row["name"], row["sizes"]]
        for contender in row["contenders"]:
            ratio, overhead = contender["ratio"], row["overhead_us"]
            ours = overhead is not None and contender["name"] == "lossdsl"
            peer = contender["name"] == "peer"
            shown.add_row(
                first.pop(0) if first else "",
                f"peer: {contender['what']}" if peer else contender["name"],
                f"{contender['median_ms']:.3f}",
                f"{ratio['median']:.2f}",
                f"{ratio['low']:.2f}–{ratio['high']:.2f}",
                f"{overhead['median']:.1f}" if ours else "",
            )
        shown.add_section()
    return shown


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {part or 'not installed'}" for key, part in value.items())
    return str(value or "none")


def run(rows: Sequence[Row], rounds: int, backend: str = "inductor") -> dict[str, Any]:
    """Measure the rows under the present setting of malloc, and print them."""
    head = header(rounds)
    for key, value in head.items():
        print(f"{key} {_flat(value)}")
    measured = []
    for row in rows:
        measured.append(measure(row, rounds, backend))
        print(check_line(measured[-1]), flush=True)
    console = Console()
    # Into a file or a pipe it goes as wide as it is.
    console = console if console.is_terminal else Console(width=120)
    console.print(table(measured))
    return {**head, "rows": measured}


def run_kept(names: Sequence[str], rounds: int, threads: int) -> dict[str, Any]:
    """The same in a process whose malloc keeps freed memory."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.json"
        command = [sys.executable, "-m", "benchmarks.speed", *names, "--json", str(file)]
        command += ["--rounds", str(rounds), "--threads", str(threads)]
        sys.stdout.flush()
        subprocess.run(command, check=True, env={**os.environ, **KEPT})
        (only,) = json.loads(file.read_text(encoding="utf-8"))["tables"]
    result: dict[str, Any] = only
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure, print and write."""
    known = {row.name: row for row in ROWS}
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="ROW", help=f"of {', '.join(known)}")
    parser.add_argument("--rounds", type=int, default=30, metavar="N")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), metavar="N")
    parser.add_argument("--malloc", choices=("default", "both"), default="default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in known]:
        parser.error(f"no row is called {', '.join(unknown)}; there are {', '.join(known)}")
    if given.rounds < 1 or given.threads < 1:
        parser.error("--rounds and --threads are 1 or more")
    if given.json is not None and not given.json.absolute().parent.is_dir():
        parser.error(f"there is no folder {given.json.parent}")
    torch.set_num_threads(given.threads)
    tables = [run([known[name] for name in given.names or known], given.rounds)]
    if given.malloc == "both":
        tables.append(run_kept(given.names, given.rounds, given.threads))
    if given.json is not None:
        text = json.dumps({"tables": tables}, indent=1, ensure_ascii=False)
        given.json.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
