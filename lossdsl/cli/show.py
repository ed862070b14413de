"""`lossdsl show`: what a loss takes and what it computes, on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from lossdsl.cli.target import ExpressionOption, FileArgument, read_loss
from lossdsl.cli.terminal import headed, say, table

if TYPE_CHECKING:
    from lossdsl.inspect.loss import Loss


def show(file: FileArgument = None, expression: ExpressionOption = None) -> None:
    """Show what a loss takes and what it computes.

    Its inputs, its terms with their weights, its formula and its graph.

    Example: lossdsl show seg.yaml
    """
    loss = read_loss(file, expression)
    say(headed(str(loss.contract)))
    typer.echo()
    table(("term", "weight", "value"), _terms(loss))
    typer.echo()
    say(loss.formula())
    typer.echo()
    say(loss.draw("text"))


def _terms(loss: Loss) -> list[tuple[str, str, str]]:
    """Name, weight and text of each term; what is only logged has `monitor` for its weight."""
    from lossdsl.inspect.outline import excerpt
    from lossdsl.inspect.picture import picture

    texts = {term.name: term.span.text for term in loss._first.checked.program.terms}
    return [
        (term.name, "monitor" if term.monitored else term.weight, excerpt(texts[term.name]))
        for term in picture(loss.name, loss._first).terms
    ]
