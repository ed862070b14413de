"""`lossdsl check`: everything that is wrong with losses, before any training."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lossdsl.cli.fixing import fix_file, fix_text
from lossdsl.cli.target import STDIN, advised
from lossdsl.cli.terminal import report
from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.diagnostics.render_github import render_github
from lossdsl.diagnostics.render_json import render_json
from lossdsl.diagnostics.render_sarif import render_sarif

if TYPE_CHECKING:
    from lossdsl.checker.report import CheckReport


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
    errors: Annotated[
        list[str] | None,
        typer.Option("--error", metavar="CODE", help="A warning that counts as an error."),
    ] = None,
    ignored: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="CODE", help="A warning that is left out."),
    ] = None,
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Put in the fixes that are sure; a program is printed."),
    ] = False,
    format: Annotated[Format, typer.Option(help="How to write the diagnostics.")] = Format.text,
) -> None:
    """Report all problems of all files, each with its place.

    With --fix, what is misspelt or written as Python would is put right first, in the files.

    Example: lossdsl check seg.yaml gan.yaml --error W801 --format github
    """
    if not files and not expressions:
        raise typer.BadParameter("name a FILE, or give a program with -e")
    import lossdsl

    checked = partial(
        lossdsl.check, modules=modules or (), error=errors or (), ignore=ignored or ()
    )
    texts = fix and bool(expressions or STDIN in (files or ()))
    if texts and format is not Format.text:
        raise typer.BadParameter("a fixed program goes where --format writes: fix a file instead")
    if fix:
        files, expressions = _fixed(files or (), expressions or (), checked)
    found = list(_distinct(_problems(files or (), expressions or (), checked)))
    if format is Format.text:
        report(found, to="stderr" if texts else "stdout")
    else:
        written = _RENDERERS[format](found)
        if written:
            typer.echo(written)
    typer.echo(_summary(found), err=True)
    if any(diagnostic.severity == "error" for diagnostic in found):
        raise typer.Exit(1)


def _problems(
    files: Sequence[str], expressions: Sequence[str], checked: Callable[..., CheckReport]
) -> Iterator[Diagnostic]:
    for file in files:
        if file == STDIN:
            yield from checked(sys.stdin.read()).diagnostics
        else:
            yield from advised(file, checked(_path(file)).diagnostics)
    for expression in expressions:
        yield from checked(expression).diagnostics


def _found(checked: Callable[..., CheckReport], text_or_path: str | Path) -> Sequence[Diagnostic]:
    return checked(text_or_path).diagnostics


def _path(file: str) -> str | Path:
    from lossdsl.config.files import names_a_file

    return file if names_a_file(file) else Path(file)


def _fixed(
    files: Sequence[str], expressions: Sequence[str], checked: Callable[..., CheckReport]
) -> tuple[list[str], list[str]]:
    """Fix files in place, and print the programs as they are then. Gives what is left to check."""
    from lossdsl.config.files import split_name

    total = 0
    for file in files:
        if file != STDIN:
            total += fix_file(Path(split_name(file)[0]), partial(_found, checked, _path(file)))
    programs = []
    for program in (*(sys.stdin.read() for file in files if file == STDIN), *expressions):
        check = partial(_found, checked)
        text, count = fix_text(program, check, check(program))
        typer.echo(text, nl=not text.endswith("\n"))
        programs.append(text)
        total += count
    typer.echo(f"{total or 'no'} {'fix' if total == 1 else 'fixes'} applied", err=True)
    return [file for file in files if file != STDIN], programs


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
