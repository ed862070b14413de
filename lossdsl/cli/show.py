"""`lossdsl show`: what a loss takes and what it computes, on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from lossdsl.cli.target import ExpressionOption, FileArgument, read_loss
from lossdsl.cli.terminal import headed, say, table

if TYPE_CHECKING:
    from lossdsl.inspect.loss import Loss
    from lossdsl.syntax import tree


def show(file: FileArgument = None, expression: ExpressionOption = None) -> None:
    """Show what a loss takes and what it computes.

    Its inputs, its terms with their weights, its formula and its graph.

    Example: lossdsl show seg.yaml
    """
    loss = read_loss(file, expression)
    say(headed(str(loss.contract)))
    typer.echo()
    table(("term", "weight", "text"), _terms(loss))
    typer.echo()
    say(loss.formula())
    typer.echo()
    say(loss.draw("text"))


def _terms(loss: Loss) -> list[tuple[str, str, str]]:
    """Name, weight and text of each term; what is only logged has `monitor` for its weight."""
    from lossdsl.inspect.outline import excerpt
    from lossdsl.inspect.picture import picture

    texts = {term.name: term.span.text for term in loss._first.checked.program.terms}
    texts |= _named(loss._recipe.program)
    return [
        (term.name, "monitor" if term.monitored else term.weight, excerpt(texts[term.name]))
        for term in picture(loss.name, loss._first).terms
    ]


def _named(program: tree.Program) -> dict[str, str]:
    """The texts behind names: that of a term with a name is often no more than the name."""
    from lossdsl.syntax import tree

    nodes: list[tree.Node] = [program.result]
    texts = {}
    for statement in program.statements:
        if isinstance(statement, tree.Term | tree.Binding):
            texts[statement.name.id] = statement.value.span.text
            nodes.append(statement.value)
    while nodes:
        node = nodes.pop()
        if isinstance(node, tree.Named):
            texts[node.name.id] = node.value.span.text
        nodes.extend(tree.children(node))
    return texts
