"""Arithmetic of sizes: a size means the same number whatever was done to write it down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sizes import LAWS, at, dims, symbol, values

from lossdsl.types.dims import ONE, Dim, Symbol

B, C, H, W = map(symbol, "BCHW")


def n(value: int) -> Dim:
    return Dim.of(value)


@pytest.mark.parametrize(
    ("dim", "text"),
    [
        (n(0), "0"),
        (n(3), "3"),
        (H, "H"),
        (-H, "-H"),
        (H + H, "2*H"),
        (H - ONE, "H - 1"),
        (ONE - H, "1 - H"),
        (H * W, "H*W"),
        (W * H, "H*W"),
        (n(2) * H * W + H - n(4), "H + 2*H*W - 4"),
        (H // 2, "H//2"),
        ((H + ONE) // 2, "(H + 1)//2"),
        (H // 2 * C, "(H//2)*C"),
        (-(H // 2), "-(H//2)"),
        (H - W // 2, "H - W//2"),
        (-H - W, "-H - W"),
        ((H * W) // 4, "(H*W)//4"),
        (H // 2 + n(1), "H//2 + 1"),
        (H - H, "0"),
    ],
)
def test_text(dim: Dim, text: str) -> None:
    assert str(dim) == text


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (H + W, W + H),
        (n(2) * H, H + H),
        ((H + W) * (H - W), H * H - W * W),
        ((n(4) * H) // 2, n(2) * H),
        ((n(2) * H + ONE) // 2, H),
        ((H + n(2)) // 2, H // 2 + ONE),
        ((H - ONE) // 2, (H + ONE) // 2 - ONE),
        (H // 2 // 2, H // 4),
        ((H // 2 + W) // 3, (H + n(2) * W) // 6),
        ((n(2) * H + n(4) * W) // 8, (H + n(2) * W) // 4),
        ((n(2) * (H // 2)) // 4, H // 4),
        (H // 1, H),
        (n(-7) // 2, n(-4)),
    ],
)
def test_two_ways_to_write_one_size(left: Dim, right: Dim) -> None:
    assert left == right
    assert hash(left) == hash(right)


@pytest.mark.parametrize(("left", "right"), [(H, W), (H // 2, H // 3), (H, H + ONE), (H * H, H)])
def test_different_sizes(left: Dim, right: Dim) -> None:
    assert left != right


def test_what_a_size_is() -> None:
    assert n(3).number == 3
    assert n(0).number == 0
    assert (H - H).number == 0
    assert H.number is None
    assert H.atom == Symbol("H")
    assert (H + ONE).atom is None
    assert (n(2) * H).atom is None
    assert n(1).atom is None


@LAWS
@given(dims, dims, dims, values)
def test_ring(a: Dim, b: Dim, c: Dim, v: dict[str, int]) -> None:
    assert a + b == b + a
    assert a * b == b * a
    assert (a + b) + c == a + (b + c)
    assert (a * b) * c == a * (b * c)
    assert a * (b + c) == a * b + a * c
    assert a - b == -(b - a)
    assert a + n(0) == a == a * ONE
    assert a * n(0) == n(0)


@LAWS
@given(dims, dims, st.integers(1, 7), values)
def test_arithmetic_is_that_of_numbers(a: Dim, b: Dim, k: int, v: dict[str, int]) -> None:
    x, y = at(a, v), at(b, v)
    assert at(a + b, v) == x + y
    assert at(a - b, v) == x - y
    assert at(a * b, v) == x * y
    assert at(a // k, v) == x // k


@LAWS
@given(dims, dims, st.integers(1, 5), st.integers(1, 5))
def test_floors(a: Dim, b: Dim, k: int, m: int) -> None:
    assert (a + n(k) * b) // k == a // k + b
    assert a // k // m == a // (k * m)
    assert (n(m) * a) // (m * k) == a // k


@LAWS
@given(dims)
def test_text_reads_back(dim: Dim) -> None:
    """The text is arithmetic that means the same size."""
    names = {name: symbol(name) for name in "BCHW"}
    read = eval(str(dim).replace("//", "/"), {}, {k: Wrapped(v) for k, v in names.items()})
    assert (read.dim if isinstance(read, Wrapped) else n(read)) == dim


class Wrapped:
    """A size in Python's own arithmetic; `/` is the floor, which binds as `//` does."""

    def __init__(self, dim: Dim) -> None:
        self.dim = dim

    def __add__(self, other: Wrapped | int) -> Wrapped:
        return Wrapped(self.dim + _dim(other))

    __radd__ = __add__

    def __sub__(self, other: Wrapped | int) -> Wrapped:
        return Wrapped(self.dim - _dim(other))

    def __mul__(self, other: Wrapped | int) -> Wrapped:
        return Wrapped(self.dim * _dim(other))

    __rmul__ = __mul__

    def __neg__(self) -> Wrapped:
        return Wrapped(-self.dim)

    def __truediv__(self, divisor: int) -> Wrapped:
        return Wrapped(self.dim // divisor)


def _dim(value: Wrapped | int) -> Dim:
    return value.dim if isinstance(value, Wrapped) else n(value)
