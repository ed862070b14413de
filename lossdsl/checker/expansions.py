"""Which nodes came out of a call of a function that another file brought in.

A mistake at a call shows in the function's body, in a file that the user may never have seen. It is
told at the call. A file that came with the package is not the user's to mend: there the place in it
is no more than a remark.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field

from lossdsl.diagnostics.diagnostic import Diagnostics, Label
from lossdsl.source import Span

SHIPPED = "lossdsl:"
"""How the names of the files begin that came with the package."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """The nodes from `start` to `end`, in order of making, are the body of a call."""

    name: str
    call: Span
    start: int
    end: int


@dataclass
class Expansions:
    """All outermost calls into other files, in order."""

    items: list[Expansion] = field(default_factory=list)

    def add(self, name: str, call: Span, start: int, end: int) -> None:
        self.items.append(Expansion(name, call, start, end))

    def owners(self, count: int) -> Iterator[Expansion | None]:
        """For each node the call that it came out of."""
        position = 0
        for expansion in self.items:
            yield from (None for _ in range(position, expansion.start))
            yield from (expansion for _ in range(expansion.start, expansion.end))
            position = expansion.end
        yield from (None for _ in range(position, count))


def told_at_the_call(inside: Diagnostics, expansion: Expansion, found: Diagnostics) -> None:
    """Bring what was found inside a body to the call: the first mistake alone, as more follow."""
    told = any(d.span == expansion.call for d in found.items)
    for diagnostic in inside.items:
        place = diagnostic.span
        if place.source is expansion.call.source:
            found.take(diagnostic)
        elif not place.source.name.startswith(SHIPPED):
            labels = (*diagnostic.labels, Label(expansion.call, "called here"))
            found.take(dataclasses.replace(diagnostic, labels=labels))
        elif not told or diagnostic.severity != "error":
            told = True
            name = expansion.name
            found.take(
                dataclasses.replace(
                    diagnostic,
                    span=expansion.call,
                    labels=(Label(place, f"in `{name}`"),),
                    help=f"`lossdsl doc {name}` tells what it takes",
                    fix=None,
                )
            )
