"""The exceptions users see. Each carries its diagnostics; its text is their plain rendering."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from lossdsl.diagnostics.codes import CODES, Category
from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.diagnostics.render import render_all


class LossError(Exception):
    """Base of everything that lossdsl raises for bad text, bad files or bad tensors.

    Attributes:
        diagnostics: all problems, in reading order, each with its code and its place.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return render_all(self.diagnostics)

    def __reduce__(self) -> tuple[type[LossError], tuple[tuple[Diagnostic, ...]]]:
        return type(self), (self.diagnostics,)


class LossSyntaxError(LossError, SyntaxError):
    """The text is not a program of the language."""


class LossNameError(LossError, NameError):
    """A name, a loss, a keyword or an argument does not exist."""


class LossTypeError(LossError, TypeError):
    """A value's kind is not what a loss or function takes."""


class LossShapeError(LossError, ValueError):
    """Sizes or numbers of axes do not fit together."""


class LossConfigError(LossError, ValueError):
    """A loss file, a mapping or an option is wrong."""


class LossInputError(LossError, ValueError):
    """A tensor at the call breaks the loss's contract."""


_CLASSES: dict[Category, type[LossError]] = {
    "syntax": LossSyntaxError,
    "name": LossNameError,
    "type": LossTypeError,
    "shape": LossShapeError,
    "config": LossConfigError,
    "input": LossInputError,
}


def raise_errors(errors: Iterable[Diagnostic]) -> NoReturn:
    """Raise all errors at once, as the class of the first."""
    found = tuple(errors)
    raise _CLASSES[CODES[found[0].code].category](found)
