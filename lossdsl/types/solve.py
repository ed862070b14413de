"""Unification: what is learnt about unknown sizes from all uses together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lossdsl.types.dims import Atom, Dim, Floor, Symbol, Unknown
from lossdsl.types.shapes import Row, RowSymbol, RowUnknown, Shape


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why two shapes cannot be the same."""

    what: Literal["rank", "size"]
    left: Shape
    right: Shape
    axis: int | None = None


@dataclass
class Solver:
    """Holds what is known of each unknown.

    `values` are the sizes of declared symbols at a call: shapes keep the names, so that an axis
    can still be found by its symbol, and comparisons use the numbers.

    What only the call can decide (`2*X` against `H`, anything behind `//`) is accepted here: the
    call-time check runs the same rules on numbers.
    """

    dims: dict[Unknown, Dim] = field(default_factory=dict)
    rows: dict[RowUnknown, Shape] = field(default_factory=dict)
    values: dict[Symbol, int] = field(default_factory=dict)
    _next: int = 0

    def unknown(self, hint: str = "n") -> Dim:
        self._next += 1
        return Dim.of(Unknown(self._next, hint))

    def row(self, hint: str = "S") -> RowUnknown:
        self._next += 1
        return RowUnknown(self._next, hint)

    def any_shape(self, hint: str = "S") -> Shape:
        return Shape((), self.row(hint), ())

    # --- what is known now ---

    def dim(self, dim: Dim) -> Dim:
        """The size with all that is known put in."""
        if not self.dims or not any(self._solved(atom) for atom in dim.atoms()):
            return dim
        return self.dim(dim.put(self._known))

    def _solved(self, atom: Atom) -> bool:
        if isinstance(atom, Floor):
            return any(self._solved(inner) for inner in atom.numerator.atoms())
        return isinstance(atom, Unknown) and atom in self.dims

    def _known(self, name: Symbol | Unknown) -> Dim:
        found = self.dims.get(name) if isinstance(name, Unknown) else None
        return Dim.of(name) if found is None else found

    def shape(self, shape: Shape) -> Shape:
        """The shape with all that is known put in."""
        before, rest, after = shape.before, shape.rest, shape.after
        while isinstance(rest, RowUnknown) and rest in self.rows:
            inner = self.rows[rest]
            before, rest, after = (*before, *inner.before), inner.rest, (*inner.after, *after)
        if rest is None:
            before, after = (*before, *after), ()
        if self.dims:
            before = tuple(self.dim(dim) for dim in before)
            after = tuple(self.dim(dim) for dim in after)
        return Shape(before, rest, after)

    def told(self, shape: Shape) -> Shape:
        """The shape as a message writes it: all that is known, and at a call numbers alone."""
        known = self.shape(shape)
        before, after = map(self.valued, known.before), map(self.valued, known.after)
        return Shape(tuple(before), known.rest, tuple(after))

    def valued(self, dim: Dim) -> Dim:
        """The size with the symbols' values put in."""
        if not self.values or not dim.terms:
            return dim
        return dim.put(self._valued)

    def _valued(self, name: Symbol | Unknown) -> Dim:
        known = self.values.get(name) if isinstance(name, Symbol) else None
        return Dim.of(name) if known is None else Dim.of(known)

    # --- comparing ---

    def equal(self, left: Dim, right: Dim) -> bool | None:
        """True, False, or None where only the call can tell."""
        difference = self.valued(self.dim(left) - self.dim(right))
        if not difference.terms:
            return True
        flexible = any(isinstance(atom, Unknown | Floor) for atom in difference.atoms())
        return None if flexible else False

    # --- learning ---

    def unify(self, left: Dim, right: Dim) -> bool:
        """Make two sizes the same; False where they cannot be."""
        difference = self.valued(self.dim(left) - self.dim(right))
        if not difference.terms:
            return True
        for monomial, factor in difference.terms:
            if len(monomial) != 1 or abs(factor) != 1 or not isinstance(monomial[0], Unknown):
                continue
            unknown = monomial[0]
            others = Dim(tuple(t for t in difference.terms if t[0] != monomial))
            if not _mentions(others, unknown):
                self.dims[unknown] = -others if factor == 1 else others
                return True
        return any(isinstance(atom, Unknown | Floor) for atom in difference.atoms())

    def unify_shapes(self, left: Shape, right: Shape) -> Mismatch | None:
        """Make two shapes the same, axis by axis; says why where they cannot be."""
        left, right = self.shape(left), self.shape(right)
        if left.rest is None and right.rest is not None:
            flipped = self.unify_shapes(right, left)
            return flipped and Mismatch(flipped.what, left, right, flipped.axis)
        rank = Mismatch("rank", left, right)
        if right.rest is None and left.least_rank > len(right.before):
            return rank
        if left.rest is None and len(left.before) != len(right.before):
            return rank
        front = min(len(left.before), len(right.before))
        back = 0 if right.rest is None and left.rest is None else len(left.after)
        if right.rest is not None:
            back = min(len(left.after), len(right.after))
        right_after = right.after
        right_middle_end = len(right.before)
        if right.rest is None and back:
            right_after = right.before[len(right.before) - back :]
            right_middle_end -= back
        for index in range(front if right.rest is not None else min(front, len(left.before))):
            if not self.unify(left.before[index], right.before[index]):
                return Mismatch("size", left, right, index)
        for index in range(-1, -back - 1, -1):
            if not self.unify(left.after[index], right_after[index]):
                return Mismatch("size", left, right, index)
        if left.rest is None:
            return None
        if right.rest is None:
            middle = Shape(right.before[len(left.before) : right_middle_end])
            return None if self._bind(left.rest, middle) else rank
        return self._unify_rows(
            (left.before[front:], left.rest, left.after[: len(left.after) - back]),
            (right.before[front:], right.rest, right.after[: len(right.after) - back]),
            rank,
        )

    def _unify_rows(
        self,
        left: tuple[tuple[Dim, ...], Row, tuple[Dim, ...]],
        right: tuple[tuple[Dim, ...], Row, tuple[Dim, ...]],
        mismatch: Mismatch,
    ) -> Mismatch | None:
        """Two rests, each perhaps with axes left over on one side."""
        if left[1] == right[1]:
            return None if left == right else mismatch
        if not left[0] and not left[2] and self._bind(left[1], Shape(*right)):
            return None
        if not right[0] and not right[2] and self._bind(right[1], Shape(*left)):
            return None
        if isinstance(left[1], RowUnknown) and isinstance(right[1], RowUnknown):
            # `[a, *R]` against `[*Q, b]`: there is a shared middle, and each ends the other.
            middle = self.row(left[1].hint)
            self.rows[left[1]] = Shape(right[0], middle, right[2])
            self.rows[right[1]] = Shape(left[0], middle, left[2])
            return None
        return mismatch

    def _bind(self, row: Row, shape: Shape) -> bool:
        if isinstance(row, RowSymbol):
            return shape == Shape((), row, ())
        self.rows[row] = shape
        return True


def _mentions(dim: Dim, unknown: Unknown) -> bool:
    return any(
        atom == unknown or (isinstance(atom, Floor) and _mentions(atom.numerator, unknown))
        for atom in dim.atoms()
    )
