"""`lossdsl explain`: what a code of a diagnostic means, on one page."""

from __future__ import annotations

import difflib
import sys
from typing import Annotated

import typer

from lossdsl.cli.terminal import console, table
from lossdsl.diagnostics.codes import CODES
from lossdsl.diagnostics.pages import read_page


def explain(
    code: Annotated[
        str | None, typer.Argument(metavar="CODE", help="As a diagnostic shows it: E204, W301.")
    ] = None,
) -> None:
    """Explain a code: what is wrong, why it matters, and what to write.

    Without CODE all codes are listed.

    Example: lossdsl explain E204
    """
    if code is None:
        table(("code", "meaning"), ((entry.code, entry.title) for entry in CODES.values()))
        return
    wanted = code.upper()
    if wanted not in CODES:
        raise typer.BadParameter(f"there is no code `{code}`: {_advice(wanted)}")
    entry = CODES[wanted]
    _show(read_page(wanted) or f"# {entry.code}: {entry.title}\n")


def _advice(code: str) -> str:
    close = difflib.get_close_matches(code, CODES, cutoff=0.5)
    if not close:
        return "`lossdsl explain` lists all codes"
    return f"did you mean {' or '.join(f'`{other}`' for other in close)}?"


def _show(page: str) -> None:
    """The page laid out for a terminal; elsewhere its text."""
    if not sys.stdout.isatty():
        typer.echo(page, nl=False)
        return
    from rich.markdown import Markdown

    # Messages are underlined by column: colours that every terminal has, and no background.
    laid_out = Markdown(page, code_theme="ansi_dark", hyperlinks=False)
    console().print(laid_out, soft_wrap=False)
