"""`lossdsl fmt`: loss files and programs in canonical form."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lossdsl.cli.files import write_file
from lossdsl.cli.target import STDIN, advised
from lossdsl.cli.terminal import report
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Source


def fmt(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Loss files; - for a program from stdin."),
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; list what would change.")
    ] = False,
) -> None:
    """Bring loss files into canonical form, in place.

    Comments stay, and the meaning too. With - the result goes to standard output. With --check
    the exit code is 1 if a file would change.

    Example: lossdsl fmt --check losses/*.yaml
    """
    outcomes = [_format(file, check) for file in files]
    if not all(outcomes):
        raise typer.Exit(1)


def _format(file: str, check: bool) -> bool:
    """Format one file, or only look at it. False if it has errors or, looked at, would change."""
    found = Diagnostics()
    source = _open(file, found)
    text = None if source is None else _formatted(source, found)
    if source is None or text is None:
        report(advised(file, found.errors), to="stderr")
        return False
    if check:
        if text != source.text:
            typer.echo(source.name)
        return text == source.text
    if file == STDIN:
        typer.echo(text, nl=False)
    elif text != source.text:
        _write(Path(file), text)
        typer.echo(f"{file}: formatted", err=True)
    return True


def _open(file: str, found: Diagnostics) -> Source | None:
    if file == STDIN:
        return Source(sys.stdin.read(), "<stdin>")
    from lossdsl.config.opening import open_source

    return open_source(Path(file), file, found)


def _formatted(source: Source, found: Diagnostics) -> str | None:
    from lossdsl.config.format_file import format_file
    from lossdsl.syntax.formatter import format_program

    if source.name != "<stdin>" and not source.name.lower().endswith(".loss"):
        return format_file(source, found)
    text = format_program(source, found)
    if text is not None and "\r\n" in source.text:
        # The formatter writes `\n`; which line breaks a file has is its owner's affair.
        text = text.replace("\n", "\r\n")
    return text


def _write(path: Path, text: str) -> None:
    """Keep the byte-order mark of a file that has one: `Source` does not show it."""
    with path.open("rb") as file:
        mark = file.read(3) == b"\xef\xbb\xbf"
    write_file(path, text, mark=mark)
