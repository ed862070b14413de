"""`--set w=0.3`: values for params, written as a loss file writes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from lossdsl.checker.declarations import ParamValue, literal
from lossdsl.checker.suggest import closest
from lossdsl.diagnostics.diagnostic import Diagnostic, Diagnostics
from lossdsl.diagnostics.errors import LossConfigError, raise_errors
from lossdsl.source import Fragment, Source
from lossdsl.syntax import tree
from lossdsl.syntax.parser import parse_expression

if TYPE_CHECKING:
    from lossdsl.inspect.loss import Loss


def read_settings(settings: Iterable[str]) -> dict[str, ParamValue]:
    """Names and values: a number, a list of numbers, `true`, `false`, or a word.

    Raises:
        LossError: a value is none of these.
    """
    return dict(map(_setting, settings))


def _setting(setting: str) -> tuple[str, ParamValue]:
    name, equals, text = (part.strip() for part in setting.partition("="))
    if not (name and equals and text):
        raise typer.BadParameter(f"`{setting}` is not of the form NAME=VALUE", param_hint="--set")
    source = Source(text, f"<--set {name}>")
    found = Diagnostics()
    node = parse_expression(Fragment.whole(source), found)
    if node is None:
        raise_errors(found.errors)
    value = node.id if isinstance(node, tree.Name) else literal(node)
    if value is None:
        message = f"`{text}` is not a value for the param `{name}`"
        advice = "a value is a number, a list of numbers, true, false, or a word"
        raise LossConfigError([Diagnostic("E504", message, source.span(), (), advice)])
    return name, value


def require_known(loss: Loss, names: Iterable[str]) -> None:
    """Stop at names that the loss neither declares as params nor uses.

    Raises:
        LossConfigError: with a close name, or all that there are.
    """
    program = loss._recipe.program
    declared = [s.name.id for s in program.statements if isinstance(s, tree.Param)]
    known = {*declared, *loss._first.checked.used}
    problems = [
        Diagnostic(
            "E511",
            f"the loss has no param `{name}`",
            Source(name, f"<--set {name}>").span(),
            (),
            str(
                closest(name, declared)
                or (f"its params are {', '.join(declared)}" if declared else "it has no params")
            ),
        )
        for name in names
        if name not in known
    ]
    if problems:
        raise LossConfigError(problems)
