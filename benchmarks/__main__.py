"""Run all benchmarks and print one table."""

from __future__ import annotations

import os
import platform

import torch

from benchmarks.front_end import measure


def main() -> None:
    """Print versions and machine, then each measurement as it comes."""
    print(
        f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}, "
        f"{os.cpu_count()} cores"
    )
    print(f"{'':44} {'median ms':>10}   [min - max]")
    for timing in measure():
        print(timing, flush=True)


if __name__ == "__main__":
    main()
