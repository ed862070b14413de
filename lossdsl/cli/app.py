"""All commands together, and what becomes of an error that one of them meets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import lossdsl
from lossdsl.cli.check import check
from lossdsl.cli.doc import doc
from lossdsl.cli.evaluate import evaluate
from lossdsl.cli.explain import explain
from lossdsl.cli.fmt import fmt
from lossdsl.cli.inspect import inspect
from lossdsl.cli.list import list_losses
from lossdsl.cli.new import new
from lossdsl.cli.plot import plot
from lossdsl.cli.show import show
from lossdsl.cli.terminal import report
from lossdsl.cli.warm import warm
from lossdsl.diagnostics.errors import LossError

COMMANDS: dict[str, Callable[..., None]] = {
    "check": check,
    "explain": explain,
    "show": show,
    "inspect": inspect,
    "plot": plot,
    "eval": evaluate,
    "list": list_losses,
    "doc": doc,
    "fmt": fmt,
    "new": new,
    "warm": warm,
}
"""In the order in which `--help` lists them."""


class Commands(TyperGroup):
    """The commands. Whatever is wrong with a loss is told as diagnostics, never as a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except LossError as error:
            report(error.diagnostics, to="stderr")
            raise typer.Exit(1) from None

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(lossdsl.__version__)
        raise typer.Exit


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    # Plain help: it is the same in a terminal, in a pipe and in the documentation.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Loss functions as text: check them, look at them, evaluate them.

    A FILE is a loss file (.yaml) or a program (.loss); `gan.yaml#generator` names one of several
    losses in it. Exit codes: 0 all is well, 1 there are errors in a loss, 2 the command is used
    wrongly.

    Example: lossdsl check seg.yaml
    """


for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
