"""`lossdsl eval`: the value of a loss on saved tensors, term by term."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lossdsl.cli.batch import DATA, read_batch
from lossdsl.cli.target import ExpressionOption, FileArgument, read_loss, require_no_networks
from lossdsl.cli.terminal import headed, say, waiting

if TYPE_CHECKING:
    from lossdsl.inspect.loss import Loss


class Backend(str, Enum):
    """What runs the graph."""

    eager = "eager"
    aot_eager = "aot_eager"
    inductor = "inductor"


def evaluate(
    data: Annotated[Path, DATA],
    file: FileArgument = None,
    expression: ExpressionOption = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="The value of a param."),
    ] = None,
    step: Annotated[
        int, typer.Option(min=0, metavar="N", help="Where schedules of `step` stand.")
    ] = 0,
    epoch: Annotated[
        int, typer.Option(min=0, metavar="N", help="Where schedules of `epoch` stand.")
    ] = 0,
    backend: Annotated[Backend, typer.Option(help="What runs the loss.")] = Backend.eager,
) -> None:
    """Evaluate a loss on saved tensors, term by term.

    DATA holds tensors under the names of the inputs; what else is in it is ignored.

    Example: lossdsl eval seg.yaml --data batch.pt --set w_tv=0.3 --step 500
    """
    from lossdsl.cli.settings import read_settings

    params = read_settings(settings or ())
    loss = read_loss(file, expression, backend=backend.value, params=params)
    require_no_networks(loss, "eval")
    _move(loss, step, epoch)
    batch = read_batch(data, loss.contract.names)
    with waiting(f"{backend.value} …", backend is not Backend.eager):
        value = loss(batch)
    typer.echo(f"{loss.name} = {value.item():.6g}\n")
    say(headed(str(loss.report())))


def _move(loss: Loss, step: int, epoch: int) -> None:
    """Put the schedules where they are to be evaluated."""
    from lossdsl.backend.names import CLOCKS

    for clock, position in (("step", step), ("epoch", epoch)):
        loss.get_buffer(CLOCKS[clock]).fill_(position)
