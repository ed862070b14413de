"""Why an undeclared input has its kind: the use that asked for it."""

from __future__ import annotations

from lossdsl.checker.infer import Inference, Use
from lossdsl.source import Span


def reasons(inference: Inference) -> dict[str, Span]:
    """The use behind each undeclared place. Of several that ask for the same kind it is the one
    that stands first in the catalogue, so that the order of terms plays no part."""
    found: dict[str, Span] = {}
    uses = sorted(inference.uses, key=lambda use: (use.order, use.span.text))
    for asks in (_prefers, _mentions):
        for use in uses:
            for place in use.where:
                kind = inference.kinds.get(place)
                if kind is not None and place not in found and asks(use, place, kind):
                    found[place] = use.span
    return found


def reason_for(name: str, found: dict[str, Span]) -> Span | None:
    """The reason for an input; for one that holds tensors, that of the first of them."""
    if name in found:
        return found[name]
    parts = [place for place in found if place.startswith((f"{name}.", f"{name}["))]
    return found[parts[0]] if parts else None


def _prefers(use: Use, place: str, kind: str) -> bool:
    """Whether the kind is the first that the use would take."""
    return any(slots[place][:1] == (kind,) for slots in use.overloads if place in slots)


def _mentions(use: Use, place: str, kind: str) -> bool:
    return place in use.where
