"""`lossdsl inspect`: a loss at one stage of its compilation, or drawn."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lossdsl.cli.batch import DATA, read_batch
from lossdsl.cli.files import write_file
from lossdsl.cli.target import ExpressionOption, FileArgument, read_loss, require_no_networks
from lossdsl.cli.terminal import waiting

if TYPE_CHECKING:
    from lossdsl.inspect.loss import Loss


class Stage(str, Enum):
    """From the text to the machine."""

    ast = "ast"
    typed = "typed"
    ir = "ir"
    fx = "fx"
    torch = "torch"
    aten = "aten"
    kernel = "kernel"


class Form(str, Enum):
    """A stage as text, or a drawing of the graph."""

    text = "text"
    mermaid = "mermaid"
    dot = "dot"


_RUNNING = (Stage.torch, Stage.aten, Stage.kernel)
"""Stages for which torch runs the loss."""


def inspect(
    file: FileArgument = None,
    expression: ExpressionOption = None,
    stage: Annotated[Stage, typer.Option(help="How far to compile.")] = Stage.ir,
    format: Annotated[Form, typer.Option(help="Text, or a drawing of stage ir.")] = Form.text,
    data: Annotated[Path | None, DATA] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="Write to this file.")
    ] = None,
) -> None:
    """Print a loss at a stage of its compilation, or draw it.

    From stage torch on, sizes matter: they are those of --data, or of a small example.

    Example: lossdsl inspect seg.yaml --stage fx
    """
    if format is not Form.text and stage is not Stage.ir:
        raise typer.BadParameter(f"{format.value} draws stage ir, and no other")
    if data is not None and stage not in _RUNNING:
        raise typer.BadParameter(f"stage {stage.value} does not depend on --data")
    loss = read_loss(file, expression)
    text = loss.draw(format.value) if format is not Form.text else _text(loss, stage, data)
    text = text.rstrip("\n") + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_file(output, text)


def _text(loss: Loss, stage: Stage, data: Path | None) -> str:
    if stage in _RUNNING:
        require_no_networks(loss, f"stage {stage.value}")
    batch = None if data is None else read_batch(data, loss.contract.names)
    with waiting(f"{stage.value} …", stage in _RUNNING):
        return loss.inspect(stage.value, batch)
