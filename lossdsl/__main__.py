"""`python -m lossdsl`: the command line."""

from __future__ import annotations

from lossdsl.cli import main

main()
