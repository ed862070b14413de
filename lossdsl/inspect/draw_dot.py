"""The drawing in the language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from lossdsl.inspect.picture import Box, Picture, Role

_STYLES: dict[Role, str] = {
    "input": 'shape=ellipse, style=filled, fillcolor="#dbeafe"',
    "param": 'shape=parallelogram, style=filled, fillcolor="#fef3c7"',
    "loss": 'shape=box, style=filled, fillcolor="#dcfce7"',
    "function": "shape=box",
    "inserted": 'shape=box, style="rounded,dashed"',
}


def draw_dot(picture: Picture) -> str:
    """Inputs at the top, the loss at the bottom; weights stand on the terms' edges."""
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    yield f"digraph {quoted(picture.name)} {{"
    yield '    node [fontname="sans-serif", fontsize=11];'
    yield '    edge [fontname="sans-serif", fontsize=10];'
    for box in picture.boxes.values():
        yield f"    n{box.key} [label={_label(box)}, {_STYLES[box.role]}];"
    for box in picture.boxes.values():
        for role, below in box.below:
            yield f"    n{below} -> n{box.key}{_on_edge(role)};"
    yield f"    total [label={quoted(picture.name)}, shape=doublecircle];"
    for index, term in enumerate(picture.terms):
        yield f"    t{index} [label={quoted(term.name)}, shape=hexagon];"
        if term.box is not None:
            yield f"    n{term.box} -> t{index};"
        # A monitor is not part of the sum.
        dashed = term.monitored or term.box is None
        label = "monitor" if term.monitored else term.weight
        yield f"    t{index} -> total{_on_edge(label, 'style=dashed' if dashed else '')};"
    yield "}"


def _label(box: Box) -> str:
    return quoted("\n".join(line for line in (box.name, box.type, box.source) if line))


def _on_edge(text: str, style: str = "") -> str:
    parts = ([f"label={quoted(text)}"] if text else []) + ([style] if style else [])
    return f" [{', '.join(parts)}]" if parts else ""


def quoted(text: str) -> str:
    """A string of the dot language; a line break in it is one of the label."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
