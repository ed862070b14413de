"""Trees for a terminal: one row a node, guides in front, columns aligned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

SHOWN = 72
"""How much of a piece of source text is shown beside a node."""

_WIDEST = 56
"""A cell beyond this does not push the columns behind it further out for all rows."""


def branches(root: T, below: Callable[[T], Sequence[T]]) -> Iterator[tuple[str, T]]:
    """The nodes of a tree, each before what is below it, with the guides in front of it.

    `below` is asked once a node and after the node was handed out, so that it may say "nothing"
    for what was drawn before.
    """
    stack = [("", "", root)]
    while stack:
        guide, inner, node = stack.pop()
        yield guide, node
        inside = below(node)
        for position, child in enumerate(reversed(inside)):
            last = position == 0
            stack.append(
                (inner + ("└─ " if last else "├─ "), inner + ("   " if last else "│  "), child)
            )


def columns(rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells as text, each column as wide as it needs to be."""
    table = [tuple(row) for row in rows]
    count = max((len(row) for row in table), default=0)
    widths = [
        max((len(row[i]) for row in table if len(row) > i and len(row[i]) <= _WIDEST), default=0)
        for i in range(count)
    ]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in table
    )


def excerpt(text: str, longest: int = SHOWN) -> str:
    """A piece of source text on one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
