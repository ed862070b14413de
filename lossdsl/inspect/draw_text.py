"""The drawing for a terminal: the loss at the root, the inputs at the leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lossdsl.inspect.outline import branches, columns
from lossdsl.inspect.picture import Box, Edge, Picture


@dataclass(frozen=True, slots=True)
class _Branch:
    """A box and the name of the argument that it is for the one above."""

    role: str
    box: Box


_Item: TypeAlias = Picture | Edge | _Branch


def draw_text(picture: Picture) -> str:
    """One row a box, with its kind and shape and its source text.

    What several boxes use is drawn once and has a number; inputs are told by their names.
    """
    numbers = _shared(picture)
    shown: set[int] = set()

    def below(item: _Item) -> Sequence[_Item]:
        match item:
            case Picture(_, terms):
                return terms
            case Edge(_, _, key):
                return () if key is None else (_Branch("", picture.boxes[key]),)
        if item.box.key in numbers and item.box.key in shown:
            return ()
        shown.add(item.box.key)
        return [_Branch(role, picture.boxes[key]) for role, key in item.box.below]

    def cells(item: _Item) -> tuple[str, ...]:
        match item:
            case Picture(name):
                return (name,)
            case Edge(name, weight, key, monitored):
                label = "monitor" if monitored else weight
                return f"{label} ─ {name}", "not computed" if key is None else ""
        box = item.box
        role = f"{item.role}: " if item.role else ""
        number = numbers.get(box.key)
        if number is not None and box.key in shown:
            return f"{role}#{number}", box.type
        mark = "" if number is None else f"#{number} = "
        name = f"({box.name})" if box.role == "inserted" else box.name
        return f"{role}{mark}{name}", box.type, box.source

    root: _Item = picture
    rows = (
        (guide + head, *rest)
        for guide, item in branches(root, below)
        for head, *rest in (cells(item),)
    )
    return columns(rows)


def _shared(picture: Picture) -> dict[int, int]:
    """Numbers for the boxes with something below them that are used more than once."""
    uses = Counter(edge.box for edge in picture.terms)
    uses.update(key for box in picture.boxes.values() for _, key in box.below)
    shared = [key for key, box in picture.boxes.items() if box.below and uses[key] > 1]
    return {key: number for number, key in enumerate(shared, start=1)}
