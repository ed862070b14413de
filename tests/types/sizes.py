"""Random sizes and shapes, with the numbers that they stand for."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import settings
from hypothesis import strategies as st

from lossdsl.types.dims import Dim, Symbol
from lossdsl.types.shapes import Shape
from lossdsl.types.solve import Solver

LAWS = settings(max_examples=80, deadline=None, derandomize=True)

NAMES = "BCHW"


def symbol(name: str) -> Dim:
    return Dim.of(Symbol(name))


def at(dim: Dim, values: Mapping[str, int]) -> int:
    """The number that a size is when its symbols have these values."""
    solver = Solver(values={Symbol(name): value for name, value in values.items()})
    number = solver.valued(dim).number
    assert number is not None
    return number


numbers = st.integers(-3, 6).map(Dim.of)
values = st.fixed_dictionaries({name: st.integers(1, 30) for name in NAMES})

atoms = st.one_of(numbers, st.sampled_from(NAMES).map(symbol))
"""A number or a symbol."""

dims = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds(lambda a, b: a + b, inner, inner),
        st.builds(lambda a, b: a - b, inner, inner),
        st.builds(lambda a, b: a * b, inner, inner),
        st.builds(lambda a, n: a // n, inner, st.integers(1, 6)),
    ),
    max_leaves=6,
)
"""Any arithmetic of sizes that the language can write."""

flat_dims = st.one_of(st.integers(1, 4).map(Dim.of), st.sampled_from(NAMES).map(symbol))
shapes = st.lists(flat_dims, max_size=4).map(lambda d: Shape(tuple(d)))
