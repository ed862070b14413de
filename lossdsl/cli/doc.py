"""`lossdsl doc`: one loss of the library, on one page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from lossdsl.cli.terminal import say

if TYPE_CHECKING:
    from rich.text import Text

_HEADING = re.compile(r"^\S.* – \S+$|^[A-Z][a-z]+(?: [a-z]+){0,3}$", re.MULTILINE)


def doc(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A loss, an alias of one, or a shipped function.")
    ],
) -> None:
    """Show all that is known of a loss of the library.

    How it is called, its formula and parameters, its pitfalls, and values to check it by. Of a
    function that a shipped loss file defines: the expression that it stands for.

    Example: lossdsl doc dice
    """
    import lossdsl
    from lossdsl.config.shipped import shipped_functions

    shipped = shipped_functions().get(name)
    say(_headed(str(lossdsl.describe(name) if shipped is None else shipped)))


def _headed(page: str) -> Text:
    """The page with its headings set off."""
    from rich.text import Text

    text = Text(page)
    text.highlight_regex(_HEADING, "bold")
    return text
