"""The table of kinds: sub-kinds, what enters which slot, and at what price."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sizes import LAWS

from lossdsl.types.kinds import CLASS_KINDS, CONVERTED, KINDS, SAME, SUB, common, fit, is_sub

TENSORS = sorted(name for name, kind in KINDS.items() if kind.tensor)
kinds = st.sampled_from(TENSORS)

NOT_REAL = {"labels", "count"}


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ("one_hot", "class_prob"),
        ("class_prob", "prob"),
        ("one_hot", "mask"),
        ("mask", "prob"),
        ("one_hot", "prob"),
        ("unit", "embedding"),
    ],
)
def test_sub_kinds(kind: str, other: str) -> None:
    assert is_sub(kind, other)
    assert not is_sub(other, kind)


@pytest.mark.parametrize("kind", TENSORS)
def test_all_values_are_real_but_class_indices_and_counts(kind: str) -> None:
    assert is_sub(kind, "real") is (kind not in NOT_REAL)
    assert KINDS[kind].integer is (kind in NOT_REAL)


@LAWS
@given(kinds, kinds, kinds)
def test_sub_kinds_are_an_order(a: str, b: str, c: str) -> None:
    assert is_sub(a, a)
    assert not (is_sub(a, b) and is_sub(b, c)) or is_sub(a, c)
    assert not (is_sub(a, b) and is_sub(b, a)) or a == b


FITS: list[tuple[str, tuple[str, ...], tuple[int, str] | None]] = [
    ("logits", ("logits",), (SAME, "logits")),
    ("logits", ("prob",), (CONVERTED, "prob")),
    ("logits", ("log_prob",), (CONVERTED, "log_prob")),
    ("logits", ("real",), (SUB, "real")),
    ("logits", ("class_logits",), None),
    ("logits", ("class_prob",), None),
    ("class_logits", ("class_prob",), (CONVERTED, "class_prob")),
    ("class_logits", ("class_log_prob",), (CONVERTED, "class_log_prob")),
    ("class_logits", ("prob",), None),
    ("class_logits", ("logits",), None),
    ("prob", ("logits",), None),
    ("class_prob", ("prob",), (SUB, "prob")),
    ("class_prob", ("class_logits",), None),
    ("log_prob", ("prob",), (CONVERTED, "prob")),
    ("class_log_prob", ("class_prob",), (CONVERTED, "class_prob")),
    ("class_log_prob", ("prob",), None),
    ("mask", ("prob",), (SUB, "prob")),
    ("mask", ("sign",), (CONVERTED, "sign")),
    ("sign", ("mask",), None),
    ("one_hot", ("mask",), (SUB, "mask")),
    ("labels", ("one_hot",), (CONVERTED, "one_hot")),
    ("labels", ("real",), None),
    ("labels", ("mask",), None),
    ("embedding", ("unit",), (CONVERTED, "unit")),
    ("unit", ("embedding",), (SUB, "embedding")),
    ("loss", ("real",), (SUB, "real")),
    # A bare value stands for what networks return, never for what has a range.
    ("real", ("logits",), (SUB, "logits")),
    ("real", ("class_logits",), (SUB, "class_logits")),
    ("real", ("score",), (SUB, "score")),
    ("real", ("embedding",), (SUB, "embedding")),
    ("real", ("image",), (SUB, "image")),
    ("real", ("prob",), None),
    ("real", ("mask",), None),
    ("real", ("labels",), None),
    ("real", ("positive",), None),
    ("real", ("boxes",), None),
    ("real", ("sign",), None),
    # That does not chain.
    ("prob", ("score",), None),
    ("image", ("logits",), None),
    ("loss", ("logits",), None),
    # The cheapest way counts, then the order of the slot.
    ("logits", ("prob", "logits"), (SAME, "logits")),
    ("logits", ("prob", "log_prob"), (CONVERTED, "prob")),
    ("one_hot", ("prob", "class_prob"), (SUB, "prob")),
    ("mask", ("sign", "real"), (SUB, "real")),
]


@pytest.mark.parametrize(("kind", "slot", "expected"), FITS)
def test_slots(kind: str, slot: tuple[str, ...], expected: tuple[int, str] | None) -> None:
    assert fit(kind, slot) == expected


@LAWS
@given(kinds, st.lists(kinds, min_size=1, max_size=4))
def test_a_slot_takes_a_kind_as_its_best_choice_does(kind: str, slot: list[str]) -> None:
    found = fit(kind, tuple(slot))
    alone = [fit(kind, (wanted,)) for wanted in slot]
    if found is None:
        assert not any(alone)
    else:
        assert found in alone
        assert found[0] == min(one[0] for one in alone if one is not None)


@LAWS
@given(kinds, kinds)
def test_probabilities_never_become_scores_again(kind: str, wanted: str) -> None:
    scores = ("logits", "class_logits", "score")
    if kind in ("prob", "class_prob", "mask", "one_hot", "log_prob", "class_log_prob"):
        assert fit(kind, scores) is None


@LAWS
@given(st.lists(kinds, min_size=1, max_size=4))
def test_what_kinds_have_in_common(names: list[str]) -> None:
    shared = common(names)
    assert common(names[::-1]) == shared or not set(names).isdisjoint(NOT_REAL)
    if set(names).isdisjoint(NOT_REAL):
        assert all(is_sub(name, shared) for name in names)


@pytest.mark.parametrize(
    ("names", "shared"),
    [
        (["mask", "prob"], "prob"),
        (["one_hot", "mask"], "mask"),
        (["one_hot", "class_prob"], "class_prob"),
        (["class_prob", "mask"], "prob"),
        (["prob", "logits"], "real"),
        (["unit", "embedding"], "embedding"),
        (["labels"], "labels"),
    ],
)
def test_the_closest_kind(names: list[str], shared: str) -> None:
    assert common(names) == shared


def test_the_table_is_whole() -> None:
    for kind in KINDS.values():
        assert set(kind.parents) <= set(KINDS)
        assert set(kind.conversions) <= set(KINDS)
        assert kind.meaning
    assert {name for name in KINDS if name.startswith("class_")} | {"one_hot"} == CLASS_KINDS


NUMBERS = {
    "prob": ((0, 0.5, 1), (-0.1, 1.1)),
    "mask": ((0, 1), (0.5, 2)),
    "sign": ((-1, 1), (0, 0.5)),
    "log_prob": ((0, -3), (0.1,)),
    "positive": ((1e-9, 7), (0, -1)),
    "real": ((-5, 0, 5), ()),
    "labels": ((), (0, 1)),
    "boxes": ((), (0, 1)),
    "embedding": ((), (0, 1)),
    "one_hot": ((), (0, 1)),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_that_stand_for_a_tensor(kind: str) -> None:
    from lossdsl.functions.rules import admits

    taken, refused = NUMBERS[kind]
    assert all(admits(kind, value) for value in taken)
    assert not any(admits(kind, value) for value in refused)
