"""The catalogue of losses, as users read it."""

from __future__ import annotations

from lossdsl.checker.suggest import closest
from lossdsl.config import arguments
from lossdsl.config.shipped import shipped_functions
from lossdsl.diagnostics.diagnostic import Advice, Diagnostics
from lossdsl.diagnostics.errors import raise_errors
from lossdsl.library import registry
from lossdsl.library.record import LossRecord
from lossdsl.source import Source


def losses() -> dict[str, LossRecord]:
    """The catalogue of losses, those that were registered with `lossdsl.loss` too.

    Returns:
        Canonical name to record, in the catalogue's order.

    Example:
        >>> lossdsl.losses()["dice"].family
        'overlap'
    """
    return registry.records()


def describe(name: str) -> LossRecord:
    """The record of a loss: what it takes, its formula, its parameters, where it comes from.

    Args:
        name: the loss's name, or an alias.

    Returns:
        The record. It prints as a page.

    Raises:
        LossNameError: no loss has this name.
        LossConfigError: the name is no str.

    Example:
        >>> lossdsl.describe("dice").inputs
        ('p', 'y')
    """
    found = Diagnostics()
    arguments.judge_text("name", name, found)
    if found.failed:
        raise_errors(found.errors)
    record = registry.find(name)
    if record is None:
        found.add(
            "E202",
            f"there is no loss called `{name}`",
            Source(name, "<describe>").span(),
            help=_way_out(name),
        )
        raise_errors(found.errors)
    return record


def _way_out(name: str) -> Advice | str:
    shipped = shipped_functions().get(name)
    if shipped is not None:
        return f"it is a function of `{shipped.file}`: `lossdsl doc {name}` shows it"
    return closest(name, registry.names()) or "`lossdsl list` shows all losses"
