"""`lossdsl check`: everything that is wrong with losses, before any training."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from lossdsl.cli.target import STDIN, advised
from lossdsl.cli.terminal import report
from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.diagnostics.render_github import render_github
from lossdsl.diagnostics.render_json import render_json
from lossdsl.diagnostics.render_sarif import render_sarif


class Format(str, Enum):
    """For people, for scripts, for pull requests, for code-scanning services."""

    text = "text"
    json = "json"
    github = "github"
    sarif = "sarif"


def check(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Loss files, or - for stdin.")
    ] = None,
    expressions: Annotated[
        list[str] | None,
        typer.Option("--expression", "-e", metavar="TEXT", help="A program, in place of a file."),
    ] = None,
    modules: Annotated[
        list[str] | None,
        typer.Option("--module", metavar="NAME", help="A network that Python code will give."),
    ] = None,
    format: Annotated[Format, typer.Option(help="How to write the diagnostics.")] = Format.text,
) -> None:
    """Report all problems of all files, each with its place.

    Example: lossdsl check seg.yaml gan.yaml --format github
    """
    if not files and not expressions:
        raise typer.BadParameter("name a FILE, or give a program with -e")
    found = list(_distinct(_problems(files or (), expressions or (), modules or ())))
    if format is Format.text:
        report(found)
    else:
        written = _RENDERERS[format](found)
        if written:
            typer.echo(written)
    typer.echo(_summary(found), err=True)
    if any(diagnostic.severity == "error" for diagnostic in found):
        raise typer.Exit(1)


def _problems(
    files: Sequence[str], expressions: Sequence[str], modules: Sequence[str]
) -> Iterator[Diagnostic]:
    import lossdsl
    from lossdsl.config.files import names_a_file

    for file in files:
        if file == STDIN:
            yield from lossdsl.check(sys.stdin.read(), modules=modules).diagnostics
        else:
            path = file if names_a_file(file) else Path(file)
            yield from advised(file, lossdsl.check(path, modules=modules).diagnostics)
    for expression in expressions:
        yield from lossdsl.check(expression, modules=modules).diagnostics


def _distinct(diagnostics: Iterator[Diagnostic]) -> Iterator[Diagnostic]:
    """Each once: what is wrong in a file that several others use is found with each of them."""
    seen = set()
    for diagnostic in diagnostics:
        span = diagnostic.span
        key = (diagnostic.code, diagnostic.message, span.source.text, diagnostic.file, span.start)
        if key not in seen:
            seen.add(key)
            yield diagnostic


def _summary(found: Sequence[Diagnostic]) -> str:
    counts = Counter(diagnostic.severity for diagnostic in found)
    parts = [
        f"{count} {severity}{'s' if count > 1 else ''}"
        for severity in ("error", "warning", "note")
        if (count := counts[severity])
    ]
    return ", ".join(parts) or "no problems"


def _sarif(found: Sequence[Diagnostic]) -> str:
    import lossdsl

    return render_sarif(found, lossdsl.__version__)


_RENDERERS: dict[Format, Callable[[Sequence[Diagnostic]], str]] = {
    Format.json: render_json,
    Format.github: render_github,
    Format.sarif: _sarif,
}
