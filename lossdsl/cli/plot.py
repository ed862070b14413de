"""`lossdsl plot`: the curves of losses and schedules, as a drawing."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lossdsl.cli.files import write_bytes
from lossdsl.diagnostics.errors import LossError

if TYPE_CHECKING:
    from lossdsl.inspect.curves import Axis, Curve
    from lossdsl.inspect.loss import Loss


class Suffix(str, Enum):
    """What a drawing may be saved as."""

    svg = ".svg"
    png = ".png"


def plot(
    expressions: Annotated[
        list[str], typer.Argument(metavar="EXPR", help="Losses of one number, or schedules.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="Write to this .svg or .png.")
    ],
    range: Annotated[
        tuple[float, float] | None,
        typer.Option("--range", metavar="FROM TO", help="Over which numbers, or steps."),
    ] = None,
) -> None:
    """Draw losses over their one input, with their gradients, or schedules over the steps.

    Numbers stand for all other inputs: bce(x, 1) is drawn over the logit x.

    Example: lossdsl plot 'huber(x, 0)' 'l1(x, 0)' -o out.svg
    """
    suffix = output.suffix.lower()
    if suffix not in {known.value for known in Suffix}:
        known = " and ".join(one.value for one in Suffix)
        raise typer.BadParameter(f"`{output}` ends with none of {known}", param_hint="--output")
    from lossdsl.inspect.curves import NoCurve
    from lossdsl.inspect.plot import draw_curves

    try:
        curves, over = _curves(expressions, range)
        drawing = draw_curves(curves, over, "png" if suffix == Suffix.png else "svg")
    except NoCurve as reason:
        raise typer.BadParameter(str(reason)) from None
    except ModuleNotFoundError as missing:
        if missing.name != "matplotlib":
            raise
        raise typer.BadParameter(
            "drawings need the extra `plots`: `pip install 'lossdsl[plots]'`"
        ) from None
    write_bytes(output, drawing)
    typer.echo(f"{output}: written", err=True)


def _curves(expressions: list[str], wanted: tuple[float, float] | None) -> tuple[list[Curve], str]:
    """The curves over their common range, and over what they run."""
    from lossdsl.inspect.curves import NoCurve, curve

    found = [_compiled(expression) for expression in expressions]
    axes = [axis for _, axis in found]
    names = list(dict.fromkeys(axis.name for axis in axes))
    if len({axis.clock for axis in axes}) > 1 or (axes[0].clock and len(names) > 1):
        raise NoCurve(f"one drawing is over one thing, and these run over {' and '.join(names)}")
    usual = [axis.usual() for axis in axes]
    ends = [max, max] if axes[0].clock else [max, min]
    low, high = wanted or (ends[0](u[0] for u in usual), ends[1](u[1] for u in usual))
    if low >= high:
        raise NoCurve(f"--range {low:g} {high:g} goes backwards")
    drawn = []
    for expression, (loss, axis) in zip(expressions, found, strict=True):
        places = axis.places(low, high)
        if len(places) < 2:
            raise NoCurve(f"`{expression}` is not defined from {low:g} to {high:g}")
        drawn.append(curve(loss, expression, axis, places))
    return drawn, ", ".join(names)


def _compiled(expression: str) -> tuple[Loss, Axis]:
    """A loss and what its curve runs over. A schedule alone is no loss until it is a weight."""
    import lossdsl
    from lossdsl.inspect.curves import axis_of, clock_of

    try:
        loss = lossdsl.compile(expression, backend="eager", checks="never")
    except LossError as error:
        weighted = _weight(expression)
        if weighted is None or [problem.code for problem in error.diagnostics] != ["E309"]:
            raise
        return weighted, clock_of(weighted, expression)
    return loss, axis_of(loss, expression)


def _weight(expression: str) -> Loss | None:
    """A loss with an expression for its weight, if it can be one."""
    import lossdsl

    try:
        return lossdsl.compile(f"({expression})*one", backend="eager", checks="never")
    except LossError:
        return None
