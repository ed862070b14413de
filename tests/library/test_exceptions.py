"""The table of exceptions says nothing of losses that there are not, and nothing that is untrue."""

from __future__ import annotations

import pytest
from arguments import Call, calls
from exceptions import EXCEPTIONS, keys, law

CALLS = calls(variants=True)
SHAPES = ("no positions",)
KEYS = [(name, key) for name, table in EXCEPTIONS.items() for key in table]


def parts(call: Call) -> list[str]:
    """What of a call may stand in a key."""
    return ["", *call.names, *(p.name for p in call.record.parameters), *SHAPES]


@pytest.mark.parametrize(("name", "key"), KEYS)
def test_every_exception_is_of_something(name: str, key: str) -> None:
    met = [
        own for call in CALLS.values() for part in parts(call) if key in (own := keys(call, part))
    ]
    assert met
    if not EXCEPTIONS[name][key]:
        assert any(
            EXCEPTIONS[name].get(wider) for own in met for wider in own[own.index(key) + 1 :]
        )


def test_an_exception_that_keeps_its_law_is_an_error() -> None:
    ce, ciou = CALLS["ce-class_logits-labels"], CALLS["ciou-boxes-boxes"]
    with law("gradient is derivative", ce, "x0"):
        pass
    with law("gradient is derivative", ciou, "x0"):
        raise AssertionError
    with (
        pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"),
        law("gradient is derivative", ciou, "x0"),
    ):
        pass
