"""The hazards: for each operation the interval that harms, and what cures it.

A rule gets a node with what is known of its operands, and returns a finding or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lossdsl.functions import operators, pointwise, positions, reductions
from lossdsl.hazards.interval import INF, Interval
from lossdsl.hazards.ranges import unchanged
from lossdsl.hazards.values import Value
from lossdsl.ir.graph import Node


@dataclass(frozen=True, slots=True)
class Finding:
    """A hazard: its code, the operand at fault, what happens, and the way out."""

    code: str
    node: Node
    message: str
    help: str


@dataclass(frozen=True, slots=True)
class Place:
    """A node with its operands' values. `trains` says that a gradient comes through it,
    `largest` is the exponent at which `exp` overflows in the precision that is used."""

    node: Node
    values: Sequence[Value]
    trains: bool
    largest: float

    def text(self, index: int = 0) -> str:
        """An operand as it is written."""
        return written(self.node.operands[index])

    def interval(self, index: int = 0) -> Interval:
        return self.values[index].interval

    def found(self, code: str, message: str, help: str, index: int = 0) -> Finding:
        return Finding(code, self.node.operands[index], message, help)


Rule = Callable[[Place], Finding | None]


def written(node: Node) -> str:
    """The text of a node, without brackets around it; long ones are cut."""
    text = " ".join(node.span.text.split())
    while text.startswith("(") and _closing(text) == len(text) - 1:
        text = text[1:-1].strip()
    return text if len(text) <= 60 else "…"


def _closing(text: str) -> int:
    """Where the bracket that a text starts with closes."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return position
    return -1


def _lies(place: Place, index: int = 0) -> str:
    return f"`{place.text(index)}` lies in {place.interval(index)}"


def _logarithm(place: Place) -> Finding | None:
    interval = place.interval()
    if interval.low > 0:
        return None
    below = interval.low < 0
    message = f"`log` of a value that can be {'0 or less' if below else '0'}: {_lies(place)}"
    return place.found("W801", message, _cure_of_log(place))


def _cure_of_log(place: Place) -> str:
    (inner,) = place.node.operands
    if inner.run is operators.sub:
        one, other = inner.operands
        if one.op == "number" and one.literals["value"] == 1 and other.run is pointwise.sigmoid:
            return f"`logsigmoid(-{_bracketed(written(other.operands[0]))})` is the same and finite"
    bounded = f"`log(clamp({place.text()}, min=1e-7))`"
    if place.interval().low < 0 and _is_input(inner):
        return f"if it is always above 0, declare it `positive`; else bound it: {bounded}"
    return f"keep it above 0: {bounded}"


def _is_input(node: Node) -> bool:
    """Whether a value is as the caller gave it."""
    return unchanged(node).op in ("input", "item")


def _log1p(place: Place) -> Finding | None:
    if place.interval().low > -1:
        return None
    message = f"`log1p` of a value that can be -1: {_lies(place)}"
    return place.found(
        "W801", message, f"keep it above -1: `log1p(clamp({place.text()}, min=-1 + 1e-7))`"
    )


def _root(place: Place) -> Finding | None:
    interval = place.interval()
    if interval.low > 0 or (interval.low == 0 and not place.trains):
        return None
    if interval.low < 0:
        message = f"`sqrt` of a value that can be below 0: {_lies(place)}"
        help = f"keep it above 0: `sqrt(clamp({place.text()}, min=1e-12))`"
        return place.found("W802", message, help)
    message = f"`sqrt` has an infinite gradient at 0: {_lies(place)}"
    return place.found("W802", message, _cure_of_root(place))


def _cure_of_root(place: Place) -> str:
    (inner,) = place.node.operands
    if inner.run is reductions.total and len(inner.operands) == 1:
        base = _squared(inner.operands[0])
        if base is not None:
            return f"`norm({written(base)})` is the same, with the gradient 0 there"
    return f"keep it above 0: `sqrt({place.text()} + 1e-12)`"


def _squared(node: Node) -> Node | None:
    if node.run is operators.mul and node.operands[0] is node.operands[1]:
        return node.operands[0]
    if node.run is operators.power and node.operands[1].literals.get("value") == 2:
        return node.operands[0]
    return None


def _quotient(place: Place) -> Finding | None:
    if 0 not in place.interval(1):
        return None
    masked = _masked_mean(place.node)
    if masked is not None:
        values, mask = masked
        message = f"a mean over a mask that can be empty: `{place.text(1)}` can be 0"
        help = f"an empty mask gives 0 here: `mean({values}, where={mask})`"
        return place.found("W808", message, help, 1)
    message = f"a division by a value that can be 0: {_lies(place, 1)}"
    text = place.text(1)
    if _counts_entries(place.node.operands[1]):
        help = f"there may be a single entry: `clamp({text}, min=1)`"
    elif place.interval(1).low == 0:
        help = f"keep it above 0: `clamp({text}, min=1e-8)`"
    else:
        help = "if it is always above 0, declare it `positive`, or write `clamp(…, min=1e-8)`"
    return place.found("W803", message, help, 1)


def _counts_entries(node: Node) -> bool:
    """Whether a value is made of sizes and numbers."""
    if node.op in ("number", "size") or node.run is positions.size:
        return True
    return bool(node.operands) and all(map(_counts_entries, node.operands))


def _masked_mean(node: Node) -> tuple[str, str] | None:
    """The values and the mask of `sum(values*mask) / sum(mask)`."""
    above, below = node.operands
    if above.run is not reductions.total or below.run is not reductions.total:
        return None
    (mask,), inside = below.operands[:1], above.operands[0]
    if inside.run is not operators.mul or mask not in inside.operands:
        return None
    values = inside.operands[1] if inside.operands[0] is mask else inside.operands[0]
    return written(values), written(mask)


def _exponential(place: Place) -> Finding | None:
    high = place.interval().high
    if high <= place.largest:
        return None
    limit = f"{place.largest:.3g}"
    message = f"`exp` is infinite above {limit}: {_lies(place)}"
    help = f"bound it: `exp(clamp({place.text()}, max={int(place.largest) - 1}))`"
    return place.found("W804", message, help)


def _power(place: Place) -> Finding | None:
    base, exponent = place.interval(0), place.interval(1)
    if exponent.low != exponent.high:
        return _open_power(place)
    number = exponent.low
    whole = number == int(number)
    if number < 0 and 0 in base:
        message = f"a negative power of a value that can be 0: {_lies(place)}"
        return place.found("W803", message, f"keep it above 0: `clamp({place.text()}, min=1e-8)`")
    if whole:
        return None
    if base.low < 0:
        message = f"a power of {number:g} of a value that can be below 0: {_lies(place)}"
        help = f"`abs({place.text()})**{number:g}`, or bound it: `clamp({place.text()}, min=1e-8)`"
        return place.found("W805", message, help)
    if base.low == 0 and number < 1 and place.trains:
        message = f"a power of {number:g} has an infinite gradient at 0: {_lies(place)}"
        help = f"keep it above 0: `({place.text()} + 1e-8)**{number:g}`"
        return place.found("W805", message, help)
    return None


def _open_power(place: Place) -> Finding | None:
    """A power whose exponent is not one number."""
    base = place.interval(0)
    if not place.values[0].judged:
        return _rising_power(place)
    if base.low >= 0:
        return None
    message = f"a power of a value that can be below 0: {_lies(place)}"
    return place.found("W805", message, f"bound it: `clamp({place.text()}, min=0)`")


def _rising_power(place: Place) -> Finding | None:
    """A number to the power of a tensor."""
    base, exponent = place.interval(0), place.interval(1)
    if base.low < 0:
        message = f"a power of a number below 0: `{place.text()}`"
        return place.found("W805", message, "take the power of its absolute value")
    if base.low > 1 and exponent.high == INF:
        message = f"a power that overflows: {_lies(place, 1)}"
        return place.found("W804", message, f"bound it: `clamp({place.text(1)}, max=60)`", 1)
    return None


def _arc_cosine(place: Place) -> Finding | None:
    interval = place.interval()
    outside = interval.low < -1 or interval.high > 1
    if not outside and not (place.trains and (-1 in interval or 1 in interval)):
        return None
    what = "is undefined beyond -1 and 1" if outside else "has an infinite gradient at -1 and 1"
    help = f"keep it inside: `acos(clamp({place.text()}, min=-1 + 1e-6, max=1 - 1e-6))`"
    return place.found("W806", f"`acos` {what}: {_lies(place)}", help)


def _bracketed(text: str) -> str:
    return text if text.isidentifier() else f"({text})"


RULES: dict[Callable[..., object], Rule] = {
    pointwise.log: _logarithm,
    pointwise.log1p: _log1p,
    pointwise.sqrt: _root,
    pointwise.exp: _exponential,
    pointwise.acos: _arc_cosine,
    operators.truediv: _quotient,
    operators.power: _power,
}
