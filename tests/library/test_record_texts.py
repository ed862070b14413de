"""What records say: when to use a loss and when not, what is near it, and what it is equal to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import lossdsl
from lossdsl.functions.record import functions
from lossdsl.inspect import example_inputs
from lossdsl.library.record import LossRecord
from lossdsl.library.registry import find, records

LIBRARY = {name: record for name, record in records().items() if record.family != "user"}
IDENTITIES = {
    f"{left} = {right}": (left, right)
    for record in LIBRARY.values()
    for left, right in record.identities
}
MODIFIERS = {"weight", "mask", "reduction", "per", "class_weight", "ignore_index"}

SIZES = ({"B": 2, "C": 3}, {"B": 5, "C": 4})
SEEDS = (0, 1)


def is_sentence(text: str) -> bool:
    return text.endswith(".") and text == " ".join(text.split()) and not text[0].islower()


@pytest.mark.parametrize("name", LIBRARY)
def test_use_and_avoid_are_sentences(name: str) -> None:
    record = LIBRARY[name]
    for text in (record.use, record.avoid):
        assert text
        assert is_sentence(text), text


@pytest.mark.parametrize("name", LIBRARY)
def test_checked_is_a_name_or_a_phrase(name: str) -> None:
    checked = LIBRARY[name].checked
    assert checked == " ".join(checked.split())
    assert re.search(r"[\w`).]$", checked), checked


@pytest.mark.parametrize("name", LIBRARY)
def test_related_losses_exist_under_their_own_name(name: str) -> None:
    related = LIBRARY[name].related
    assert 1 <= len(related) <= 4
    for other, difference in related.items():
        assert other in LIBRARY, other
        assert other != name
        assert difference
        assert not difference.endswith(".")


def known(record: LossRecord) -> set[str]:
    return {parameter.name for parameter in record.parameters} | MODIFIERS | set(functions())


@pytest.mark.parametrize("name", LIBRARY)
def test_names_in_the_texts_can_be_called(name: str) -> None:
    record = LIBRARY[name]
    texts = " ".join((record.use, record.avoid, *record.related.values()))
    for word in re.findall(r"`([a-z_][a-z0-9_]*)`", texts):
        assert find(word) is not None or word in known(record), word


# --- identities -------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def batches(loss: Any, seed: int) -> Iterator[dict[str, Any]]:
    """Inputs of a loss's contract, the smallest first."""
    lists = loss._first.checked.lists
    for sizes in example_inputs._candidates(loss.contract, {}):
        random = torch.Generator().manual_seed(seed)
        example = example_inputs._Example(sizes, lists, random, torch.device("cpu"))
        if all(example.fits(entry.type) for entry in loss.contract):
            yield {entry.name: example.of(entry.type, entry.name) for entry in loss.contract}


def both_values(left: Any, right: Any, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the first inputs that are legal for both."""
    for batch in batches(left, seed):
        try:
            return left(**batch), right(**batch)
        except lossdsl.LossInputError as error:
            refused = error
    raise refused


def test_the_catalogues_identities_are_there() -> None:
    assert len(IDENTITIES) > 100
    assert sum(bool(record.identities) for record in LIBRARY.values()) > 80


@pytest.mark.parametrize("identity", IDENTITIES)
def test_both_sides_of_an_identity_have_one_value(
    identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = (
        lossdsl.compile(text, backend="eager", checks="always") for text in IDENTITIES[identity]
    )
    assert sorted(left.contract.names) == sorted(right.contract.names)
    for sizes in SIZES:
        monkeypatch.setattr(example_inputs, "_LETTERS", sizes)
        for seed in SEEDS:
            value, other = both_values(left, right, seed)
            assert value.isfinite()
            torch.testing.assert_close(value, other, rtol=1e-9, atol=1e-12)
