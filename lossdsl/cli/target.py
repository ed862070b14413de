"""From what the user named – a file, one loss of it, a text – to the loss."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossdsl.cli.terminal import report
from lossdsl.diagnostics.diagnostic import Diagnostic, Diagnostics, Label
from lossdsl.diagnostics.errors import LossConfigError, LossError
from lossdsl.source import Source

if TYPE_CHECKING:
    from torch import nn

    from lossdsl.inspect.loss import Loss
    from lossdsl.syntax import tree

STDIN = "-"

FileArgument = Annotated[
    str | None,
    typer.Argument(metavar="FILE", help="A loss file, `gan.yaml#generator`, or - for stdin."),
]
ExpressionOption = Annotated[
    str | None,
    typer.Option("--expression", "-e", metavar="TEXT", help="A program, in place of a file."),
]


def read_loss(
    file: str | None,
    expression: str | None,
    *,
    backend: str = "eager",
    params: Mapping[str, Any] | None = None,
) -> Loss:
    """The one loss that a command is about. Its warnings go to standard error.

    Networks that it declares and calls have stand-ins: it can be looked at, but does not run.

    Raises:
        LossError: it has errors, or the file holds several and none is named.
    """
    from lossdsl.cli.settings import require_known

    if (file is None) == (expression is None):
        raise typer.BadParameter("name one FILE, or give a program with -e")
    if file is None or file == STDIN:
        text = sys.stdin.read() if expression is None else expression
        loss = _compiled(text, backend, params)
    else:
        loss = _loaded(file, backend, params)
    if params:
        require_known(loss, params)
    report(loss.warnings, to="stderr")
    return loss


def _compiled(text: str, backend: str, params: Mapping[str, Any] | None) -> Loss:
    import lossdsl
    from lossdsl.syntax.parser import parse_program

    program = parse_program(Source(text), Diagnostics())
    modules = _stand_ins([program] if program is not None else [])
    return lossdsl.compile(text, backend=backend, params=params, modules=modules)


def _loaded(file: str, backend: str, params: Mapping[str, Any] | None) -> Loss:
    import lossdsl
    from lossdsl.config.files import read_loss_file

    read = read_loss_file(file, Diagnostics())
    modules = _stand_ins(read.programs.values() if read is not None else ())
    try:
        loss = lossdsl.load(file, backend=backend, params=params, modules=modules)
    except LossError as error:
        # Without a program that is right otherwise, no network had a stand-in.
        others = [d for d in error.diagnostics if d.code != "E510"]
        raise type(error)(advised(file, others or error.diagnostics)) from None
    if isinstance(loss, lossdsl.Loss):
        return loss
    raise LossConfigError([_choice(file, loss)])


def _stand_ins(programs: Iterable[tree.Program]) -> dict[str, nn.Module]:
    """A network that does nothing for each that is called. What else is wrong is told later."""
    from torch import nn

    from lossdsl.checker.program import check_program

    checked = (check_program(program, Diagnostics()) for program in programs)
    return {
        name: nn.Identity() for one in checked if one is not None for name in one.program.modules
    }


def require_no_networks(loss: Loss, purpose: str) -> None:
    """Stop where a loss has to run, and cannot because it calls a network.

    Raises:
        LossConfigError: naming each of them where it is declared.
    """
    checked = loss._first.checked
    problems = [
        Diagnostic(
            "E510",
            f"{purpose} runs the network `{name}`, which a command line cannot give",
            checked.declared.inputs[name].span,
            (),
            f"in Python: `lossdsl.load(path, modules={{'{name}': net}})`",
        )
        for name in checked.program.modules
    ]
    if problems:
        raise LossConfigError(problems)


def _choice(file: str, losses: nn.ModuleDict) -> Diagnostic:
    """What to say where a file holds several losses: their names, and where each one stands."""
    from lossdsl.config.yaml_reader import Mapping as YamlMapping
    from lossdsl.config.yaml_reader import read_yaml

    first: Any = next(iter(losses.values()))
    source = first._recipe.program.span.source
    root = read_yaml(source, Diagnostics())
    assert isinstance(root, YamlMapping)
    section = next(entry for entry in root.entries if entry.key.text == "losses")
    assert isinstance(section.value, YamlMapping)
    keys = [entry.key for entry in section.value.entries]
    return Diagnostic(
        "E508",
        f"`{file}` holds {len(keys)} losses, and this command takes one",
        section.key.span,
        tuple(Label(key.span, "") for key in keys),
        f"name one: {' or '.join(f'`{file}#{key.text}`' for key in keys)}",
    )


def advised(file: str, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics of a file, with a way out where a program stands in a file's place."""
    from lossdsl.config.files import names_a_file

    advice = "if this is a program and no file, put `-e` in front of it"
    mistaken = not names_a_file(file) and not os.path.exists(file) and "(" in file
    return [
        dataclasses.replace(d, help=advice) if mistaken and d.code == "E506" else d
        for d in diagnostics
    ]
