"""The command line: `lossdsl COMMAND …`, one module a command.

Nothing here imports torch before a command needs it: `lossdsl --help`, `new` and `fmt` answer at
once.
"""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Run the command line on `sys.argv`."""
    from lossdsl.cli.app import app

    # Loss files are UTF-8, whatever the terminal is; what it cannot show is no reason to fail.
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()
