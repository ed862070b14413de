"""A primitive's signature, read once and made anew (with fresh unknowns) for each call."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.syntax import tree
from lossdsl.syntax.parser import parse_signature
from lossdsl.types.declared import TypeReader
from lossdsl.types.kinds import KINDS
from lossdsl.types.solve import Solver
from lossdsl.types.values import Type


@dataclass(frozen=True, slots=True)
class Slot:
    """What one argument may be: accepted kinds in order of preference; the last is delivered."""

    kinds: tuple[str, ...]
    node: tree.KindType
    optional: bool

    @property
    def delivered(self) -> str:
        return self.kinds[-1]

    @property
    def shape_text(self) -> str:
        """The shape as written; equal texts in one signature mean equal shapes."""
        return _shape_text(self.node)


def _shape_text(node: tree.TypeExpression) -> str:
    shape = node.shape if isinstance(node, tree.KindType) else None
    return ", ".join(d.span.text for d in shape or ())


@dataclass(frozen=True, slots=True)
class Signature:
    """Slots and result of one overload, as written."""

    text: str
    slots: tuple[Slot, ...]
    result: tree.TypeExpression

    @property
    def map_text(self) -> str:
        """The shape of the map, as written: an argument of equal text has a value an element."""
        return _shape_text(self.result)


@dataclass(frozen=True, slots=True)
class Instance:
    """A signature with its own unknowns: one for each call."""

    slots: tuple[Type, ...]
    result: Type
    reader: TypeReader


class BadSignature(ValueError):
    """A record's signature is not one: the author's mistake, found when the loss is registered."""


@cache
def read_signature(text: str) -> Signature:
    """Parse a signature.

    Raises:
        BadSignature: the text is not a signature, or names an unknown kind.
    """
    found = Diagnostics()
    node = parse_signature(text, found)
    if node is None:
        raise BadSignature(str(found.errors[0].message))
    slots = []
    for slot in node.slots:
        if not isinstance(slot.type, tree.KindType):
            raise BadSignature(f"a slot of a signature is a kind and a shape: {text!r}")
        kinds = tuple(name.id for name in slot.type.kinds)
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown:
            raise BadSignature(f"there is no kind {unknown[0]!r}: {text!r}")
        slots.append(Slot(kinds, slot.type, slot.optional))
    return Signature(text, tuple(slots), node.result)


def instantiate(signature: Signature, result: tree.TypeExpression, solver: Solver) -> Instance:
    """Fresh unknowns for one call. `result` is the signature's own or an overriding one."""
    reader = TypeReader(solver, Diagnostics(), rigid=False)
    slots = tuple(reader.tensor(slot.node) for slot in signature.slots)
    outcome = reader.read(result)
    return Instance(slots, outcome, reader)


@cache
def read_result(text: str) -> tree.TypeExpression:
    """A result type written apart from its signature: `loss[C]`."""
    return read_signature(f"-> {text}").result
