"""The drawing as a Mermaid flowchart, which many Markdown viewers show."""

from __future__ import annotations

from collections.abc import Iterator

from lossdsl.inspect.picture import Box, Picture, Role

# Mermaid has its own entities: a `#`, the number of the character, a semicolon. Labels are read
# as Markdown, so that `*` needs one too, and a sign that would begin a list.
_SPECIAL = frozenset('"#&<>`\\|*~')
_FIRST = frozenset("+-")

_SHAPES: dict[Role, tuple[str, str]] = {
    "input": ('(["', '"])'),
    "param": ('[/"', '"/]'),
    "loss": ('["', '"]'),
    "function": ('["', '"]'),
    "inserted": ('("', '")'),
}

_STYLES: dict[Role, str] = {
    "input": "fill:#dbeafe,stroke:#1d4ed8,color:#111827",
    "param": "fill:#fef3c7,stroke:#b45309,color:#111827",
    "loss": "fill:#dcfce7,stroke:#15803d,color:#111827",
    "function": "fill:#ffffff,stroke:#6b7280,color:#111827",
    "inserted": "fill:#f3f4f6,stroke:#9ca3af,color:#111827,stroke-dasharray:3 3",
}


def draw_mermaid(picture: Picture) -> str:
    """Inputs at the top, the loss at the bottom; weights stand on the terms' edges."""
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    yield "flowchart TD"
    for box in picture.boxes.values():
        opening, closing = _SHAPES[box.role]
        yield f"    n{box.key}{opening}{_label(box)}{closing}:::{_class(box.role)}"
    for box in picture.boxes.values():
        for role, below in box.below:
            yield f"    n{below} -->{_on_edge(role)} n{box.key}"
    yield f'    total(("{escape(picture.name)}"))'
    for index, term in enumerate(picture.terms):
        yield f'    t{index}{{{{"{escape(term.name)}"}}}}'
        if term.box is not None:
            yield f"    n{term.box} --> t{index}"
        # A monitor is not part of the sum.
        arrow = "-.->" if term.monitored or term.box is None else "-->"
        yield f"    t{index} {arrow}{_on_edge('monitor' if term.monitored else term.weight)} total"
    for role, style in _STYLES.items():
        yield f"    classDef {_class(role)} {style}"


def _class(role: Role) -> str:
    return f"{role}Box"


def _label(box: Box) -> str:
    return "<br/>".join(escape(line) for line in (box.name, box.type, box.source) if line)


def _on_edge(text: str) -> str:
    return f'|"{escape(text)}"|' if text else ""


def escape(text: str) -> str:
    """Text as it stands between the quotes of a Mermaid label."""
    return "".join(
        f"#{ord(character)};"
        if character in _SPECIAL or (position == 0 and character in _FIRST)
        else character
        for position, character in enumerate(text)
    )
