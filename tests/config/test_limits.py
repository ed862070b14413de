"""Hostile YAML is refused, with a place, before it costs anything."""

from __future__ import annotations

import pytest

from lossdsl.config.files import read_yaml_text
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.syntax import limits

MOST_CALLS = 20_000_000
"""What refusing a text may cost: two hundred calls for each of the most values."""

LAUGHS = "params:\n  a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
MERGES = "params:\n  a0: &a0 {x: 1}\n" + "".join(
    f"  a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 12)
)
# An alias is as deep as what it stands for.
STAIRS = "params:\n  a0: &a0 [1]\n" + "".join(
    f"  a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, limits.YAML_DEPTH)
)

REFUSED = {
    "a billion laughs": (LAUGHS, "YAML_NODES"),
    "a billion merges": (MERGES, "YAML_NODES"),
    "stairs of aliases": (STAIRS, "YAML_DEPTH"),
    "brackets": ("loss: " + "[" * 100_000, "YAML_DEPTH"),
    "braces": ("loss: " + "{a: " * 100_000, "YAML_DEPTH"),
    "complex keys": ("? " * 2_000, "YAML_DEPTH"),
    "items in items": ("- " * 2_000 + "a", "YAML_DEPTH"),
    "deep indentation": (
        "".join(" " * i + "a:\n" for i in range(2 * limits.YAML_DEPTH)),
        "YAML_DEPTH",
    ),
    "many items": ("params: {w: [" + "1," * limits.YAML_NODES + "]}", "YAML_NODES"),
    "a long text": ("loss: " + "a" * limits.CHARACTERS, "CHARACTERS"),
}


@pytest.mark.parametrize(("text", "limit"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_at_little_cost(text, limit, calls):
    found = Diagnostics()
    assert calls(lambda: read_yaml_text(text, found)) < MOST_CALLS
    assert found.sorted()[-1].code == "E701"
    assert found.sorted()[-1].message == limits.message(limit)


def test_the_deepest_allowed_nesting():
    # The root, `params` and its value stand above the lists.
    for depth, code in ((limits.YAML_DEPTH - 3, None), (limits.YAML_DEPTH - 2, "E701")):
        found = Diagnostics()
        text = "params:\n  w: " + "[" * depth + "1" + "]" * depth + "\nloss: w"
        read_yaml_text(text, found)
        assert [error.code for error in found] == ([code] if code else [])


def test_a_loss_of_many_terms_is_read():
    count = 2_000
    text = "terms:\n" + "".join(f"  t{i}: {i}*bce(p, y)\n" for i in range(count))
    found = Diagnostics()
    file = read_yaml_text(text, found)
    assert found.sorted() == []
    assert file is not None
    assert len(file.programs[None].statements) == count
