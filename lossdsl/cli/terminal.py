"""Where output goes: colour for a terminal, plain text for everything else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal

import typer

from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.diagnostics.pages import read_page
from lossdsl.diagnostics.render import render_all

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Stream = Literal["stdout", "stderr"]

_HEADING = "bold"

_ANY_WIDTH = 10_000


def console(to: Stream = "stdout", width: int | None = None) -> Console:
    """A console on a stream, with styles only if a person looks at it and wants them."""
    from rich.console import Console

    stream = getattr(sys, to)
    styled = _styled(to)
    return Console(
        file=stream,
        force_terminal=styled,
        color_system="auto" if styled else None,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
        width=width,
    )


def _styled(to: Stream) -> bool:
    """Whether a stream is a terminal that shows styles. `NO_COLOR` is honoured whole: no bold."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return bool(getattr(sys, to).isatty()) and not plain


def say(text: str | Text, to: Stream = "stdout") -> None:
    """Print a text as it is, lines of any length and a line break at its end."""
    console(to).print(text)


def report(diagnostics: Iterable[Diagnostic], to: Stream = "stdout") -> None:
    """Print diagnostics, if there are any, and how to read more about the first."""
    from lossdsl.diagnostics.colour import coloured

    found = list(diagnostics)
    if found:
        say(coloured(render_all(found)), to)
    explained = next((d.code for d in found if read_page(d.code)), None)
    if explained is not None:
        say(f"\nexplain: lossdsl explain {explained}", to)


def headed(text: str) -> Text:
    """A text whose first line is a heading."""
    from rich.text import Text

    heading, line_break, rest = text.partition("\n")
    return Text.assemble((heading, _HEADING), line_break + rest)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their header. A terminal's width folds the last column, a pipe nothing."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for place, name in enumerate(header, start=1):
        folds = place == len(header)
        grid.add_column(Text.assemble((name, _HEADING)), no_wrap=not folds, overflow="fold")
    for row in rows:
        grid.add_row(*map(Text, row))
    screen = console(width=None if sys.stdout.isatty() else _ANY_WIDTH)
    with screen.capture() as capture:
        screen.print(grid, soft_wrap=False)
    for line in capture.get().splitlines():
        typer.echo(line.rstrip())


def waiting(what: str, long: bool) -> AbstractContextManager[object]:
    """A spinner while something takes long, on a terminal's standard error only."""
    shown = long and _styled("stderr")
    return console("stderr").status(what) if shown else nullcontext()
