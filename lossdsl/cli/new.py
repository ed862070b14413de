"""`lossdsl new`: a commented loss file to start from."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from lossdsl.checker.suggest import closest
from lossdsl.cli.files import write_file
from lossdsl.cli.terminal import table


def new(
    template: Annotated[
        str, typer.Argument(metavar="TEMPLATE", help="What the loss is for; see --list.")
    ] = "segmentation",
    show_list: Annotated[bool, typer.Option("--list", help="List the templates.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Print or write a commented loss file to start from.

    Example: lossdsl new segmentation -o seg.yaml
    """
    templates = read_templates()
    if show_list:
        table(("template", "for"), ((name, _purpose(text)) for name, text in templates.items()))
        return
    text = templates.get(template)
    if text is None:
        advice = closest(template, templates) or f"there are {', '.join(templates)}"
        raise typer.BadParameter(f"no template is called `{template}`: {advice}")
    if output is None:
        typer.echo(text, nl=False)
        return
    if output.exists() and not force:
        raise typer.BadParameter(f"`{output}` exists already: --force overwrites it")
    write_file(output, text)
    typer.echo(f"{output}: written; `lossdsl check {output}` checks it", err=True)


def read_templates() -> Mapping[str, str]:
    """The templates by name, in the order of the alphabet."""
    folder = resources.files("lossdsl") / "templates"
    files = sorted((file.name, file) for file in folder.iterdir() if file.name.endswith(".yaml"))
    return {name.removesuffix(".yaml"): file.read_text(encoding="utf-8") for name, file in files}


def _purpose(text: str) -> str:
    """What a template says in its first line."""
    return text.partition("\n")[0].removeprefix("# ").rstrip(".")
