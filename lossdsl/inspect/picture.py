"""What every drawing draws: the terms of a loss, and the operations down to the inputs.

The graph is the one that runs, after the passes. Left out is what tells a reader nothing: changes
of precision, and values of which an inserted operation reads the size alone. Literal numbers stand
in the box that they are an operand of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Literal

from lossdsl.backend.pipeline import Stages
from lossdsl.checker.contract import Naming
from lossdsl.inspect.node_text import PRECISION, expression, literal, part, title
from lossdsl.inspect.outline import excerpt
from lossdsl.inspect.sizes import contract_names
from lossdsl.ir.graph import Node, topological

Role = Literal["input", "param", "loss", "function", "inserted"]

_OTHER = "·"
"""Stands for an operand that has a box of its own, beside one that has none: `1 - ·`."""

_SOURCE = 48
"""How much of the source text a node of a drawing shows."""


@dataclass(frozen=True, slots=True)
class Box:
    """One value: what makes it, its kind and shape, and where the user wrote it.

    `below` are the keys of the boxes that it is made from, each with the name of the argument
    where it was given by name.
    """

    key: int
    role: Role
    name: str
    type: str
    source: str
    below: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """A term: its name, its weight, and the box that is its value. A dropped term has none."""

    name: str
    weight: str
    box: int | None
    monitored: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """A loss, ready to be drawn."""

    name: str
    terms: tuple[Edge, ...]
    boxes: Mapping[int, Box]


def picture(name: str, stages: Stages) -> Picture:
    """Look at a loss once, for whatever form it is drawn in."""
    graph = stages.optimised
    naming = contract_names(stages.checked)
    keys: dict[int, int] = {}
    boxes: dict[int, Box] = {}
    alive = [term for term in graph.terms if not term.dropped]
    for node in topological(term.raw for term in alive):
        if node.run in PRECISION:
            keys[id(node)] = keys[id(node.operands[0])]
            continue
        keys[id(node)] = len(boxes)
        boxes[len(boxes)] = _box(len(boxes), node, keys, naming)
    edges = tuple(
        Edge(
            term.name,
            "0" if term.dropped else "" if term.monitored else expression(term.weight),
            None if term.dropped else keys[id(term.raw)],
            term.monitored,
        )
        for term in graph.terms
    )
    return Picture(name, edges, _reachable(edges, boxes))


def _box(key: int, node: Node, keys: Mapping[int, int], naming: Naming) -> Box:
    roles = node.keywords or (None,) * len(node.operands)
    below = tuple(
        (role or "", keys[id(operand)])
        for place, (role, operand) in enumerate(zip(roles, node.operands, strict=True))
        if operand.op != "number" and place != _sized_by(node)
    )
    role = _role(node)
    bare = role in ("input", "param", "inserted")
    source = "" if bare else excerpt(node.span.text, _SOURCE)
    return Box(key, role, _name(node), str(naming.type(node.type)), source, below)


def _role(node: Node) -> Role:
    match node.op:
        case "input":
            return "input"
        case "param" | "clock" | "number":
            return "param"
    if isinstance(node.op, str):
        return "function"
    match node.op.group:
        case "loss":
            return "loss"
        case "convert" | "reduce":
            return "inserted"
    return "function"


def _sized_by(node: Node) -> int | None:
    """Which operand of an inserted operation gives its size and nothing else."""
    if isinstance(node.op, str) or node.op.group != "convert":
        return None
    names = list(signature(node.run).parameters)
    return names.index("like") if "like" in names else None


def _name(node: Node) -> str:
    match node.op:
        case "input" | "param" | "clock":
            return str(node.literals["name"])
        case "number":
            return literal(node.literals["value"])
        case "item":
            return part(node.literals["key"])
        case "index":
            return title(node.op, node.literals).removeprefix("index ")
    if all(operand.op != "number" for operand in node.operands):
        return title(node.op, node.literals)
    operands = [
        literal(operand.literals["value"]) if operand.op == "number" else _OTHER
        for place, operand in enumerate(node.operands)
        if place != _sized_by(node)
    ]
    if node.name.isidentifier():
        return f"{node.name}({', '.join(operands)})"
    return f" {node.name} ".join(operands)


def _reachable(edges: tuple[Edge, ...], boxes: Mapping[int, Box]) -> dict[int, Box]:
    """The boxes that the terms lead to: a number that nobody is shown to use is not drawn."""
    wanted = {edge.box for edge in edges if edge.box is not None}
    for key in sorted(boxes, reverse=True):
        if key in wanted:
            wanted.update(below for _, below in boxes[key].below)
    return {key: box for key, box in boxes.items() if key in wanted}
