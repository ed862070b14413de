"""The command line: `lossdsl COMMAND …`, one module a command.

Nothing here imports torch before a command needs it: `lossdsl --help`, `new` and `fmt` answer at
once.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line on `sys.argv`."""
    from lossdsl.cli.app import app

    app()
