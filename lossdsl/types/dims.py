"""Sizes of axes: numbers, symbols, and arithmetic of them in canonical form.

A dimension is a polynomial with integer coefficients over atoms, so `2*H`, `H + H` and `H*2` are
the same object and equality needs no rewriting. Declared symbols are rigid (two different ones
are different sizes); unknowns come from undeclared inputs and from signatures, and are solved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Symbol:
    """A size that the user named: the same wherever the name stands, whatever it is."""

    name: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A size to be solved for. `hint` is the letter that a signature gives it."""

    number: int
    hint: str


@dataclass(frozen=True, slots=True)
class Floor:
    """`numerator // divisor`, where it does not divide exactly for certain."""

    numerator: Dim
    divisor: int


Atom: TypeAlias = Symbol | Unknown | Floor
Monomial: TypeAlias = tuple[Atom, ...]


def _key(monomial: Monomial) -> tuple[int, str]:
    return len(monomial), " ".join(map(repr, monomial))


@dataclass(frozen=True, slots=True)
class Dim:
    """A size: products of atoms with integer factors. The empty product is the number."""

    terms: tuple[tuple[Monomial, int], ...]

    @staticmethod
    def of(value: int | Atom) -> Dim:
        if isinstance(value, int):
            return Dim((((), value),) if value else ())
        return Dim((((value,), 1),))

    @property
    def number(self) -> int | None:
        """The size, where it is a plain number."""
        if not self.terms:
            return 0
        if len(self.terms) == 1 and not self.terms[0][0]:
            return self.terms[0][1]
        return None

    @property
    def atom(self) -> Atom | None:
        """The atom, where the size is exactly one."""
        if len(self.terms) == 1 and self.terms[0][1] == 1 and len(self.terms[0][0]) == 1:
            return self.terms[0][0][0]
        return None

    def atoms(self) -> Iterator[Atom]:
        for monomial, _ in self.terms:
            yield from monomial

    def names(self) -> Iterator[Symbol | Unknown]:
        """The names in it, those behind `//` too, each as often as it stands there."""
        for atom in self.atoms():
            if isinstance(atom, Floor):
                yield from atom.numerator.names()
            else:
                yield atom

    def __add__(self, other: Dim) -> Dim:
        return _collect([*self.terms, *other.terms])

    def __neg__(self) -> Dim:
        return Dim(tuple((monomial, -factor) for monomial, factor in self.terms))

    def __sub__(self, other: Dim) -> Dim:
        return self + -other

    def __mul__(self, other: Dim) -> Dim:
        products = []
        for left, a in self.terms:
            for right, b in other.terms:
                monomial = tuple(sorted((*left, *right), key=repr))
                products.append((monomial, a * b))
        return _collect(products)

    def __floordiv__(self, divisor: int) -> Dim:
        """Rounds down, in canonical form: what divides stands outside (`(H + 3)//2` is
        `(H + 1)//2 + 1`), and two floors are one (`H//2//2` is `H//4`)."""
        split = [(monomial, *divmod(factor, divisor)) for monomial, factor in self.terms]
        whole = Dim(tuple((monomial, times) for monomial, times, _ in split if times))
        rest = Dim(tuple((monomial, left) for monomial, _, left in split if left))
        if rest.number is not None:
            return whole
        shared = math.gcd(divisor, *(factor for _, factor in rest.terms))
        rest = Dim(tuple((monomial, factor // shared) for monomial, factor in rest.terms))
        divisor //= shared
        for monomial, factor in rest.terms:
            inner = monomial[0] if len(monomial) == 1 and factor == 1 else None
            if isinstance(inner, Floor):
                others = (rest - Dim.of(inner)) * Dim.of(inner.divisor)
                return whole + (inner.numerator + others) // (inner.divisor * divisor)
        return whole + Dim.of(Floor(rest, divisor))

    def put(self, value: Callable[[Symbol | Unknown], Dim]) -> Dim:
        """The size with something put in for every name."""
        total = Dim(())
        for monomial, factor in self.terms:
            product = Dim.of(factor)
            for atom in monomial:
                if isinstance(atom, Floor):
                    product *= atom.numerator.put(value) // atom.divisor
                else:
                    product *= value(atom)
            total += product
        return total

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        text = ""
        # What is taken away last, and the number behind the names: `H - 1`, not `-1 + H`.
        for monomial, factor in sorted(self.terms, key=lambda t: (t[1] < 0, not t[0], _key(t[0]))):
            size = abs(factor)
            # A leading minus binds tighter than `//`.
            alone = len(monomial) == 1 and size == 1 and (factor > 0 or text != "")
            names = "*".join(_name(atom, alone) for atom in monomial)
            part = f"{size}*{names}" if names and size != 1 else names or str(size)
            if not text:
                text = f"-{part}" if factor < 0 else part
            else:
                text += f" - {part}" if factor < 0 else f" + {part}"
        return text


def _name(atom: Atom, alone: bool) -> str:
    match atom:
        case Symbol(name):
            return name
        case Unknown(_, hint):
            return hint
        case Floor(numerator, divisor):
            inner = str(numerator)
            text = f"{inner}//{divisor}" if inner.isalnum() else f"({inner})//{divisor}"
            return text if alone else f"({text})"


def _collect(terms: list[tuple[Monomial, int]]) -> Dim:
    """Like terms together, zeros dropped, in a fixed order."""
    sums: dict[Monomial, int] = {}
    for monomial, factor in terms:
        sums[monomial] = sums.get(monomial, 0) + factor
    kept = [(monomial, factor) for monomial, factor in sums.items() if factor]
    if len(kept) > 1:
        kept.sort(key=lambda term: _key(term[0]))
    return Dim(tuple(kept))


ONE = Dim.of(1)
