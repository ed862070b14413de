"""Names of losses: what may be one, whose it is, and what a new definition replaces."""

from __future__ import annotations

import pytest
import torch

import lossdsl
from lossdsl.functions.record import functions
from lossdsl.library import registry
from lossdsl.syntax.tokens import WORDS
from lossdsl.types.kinds import KINDS

SIGNATURE = "real[*S] -> loss[*S]"


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    registry.load_library()
    monkeypatch.setattr(registry, "_records", dict(registry._records))
    monkeypatch.setattr(registry, "_names", dict(registry._names))


def identity(x: torch.Tensor) -> torch.Tensor:
    """The value itself."""
    return x


def define(name: str, *aliases: str) -> None:
    lossdsl.loss(name, signature=SIGNATURE, aliases=aliases)(identity)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mean", "a function of the language"),
        ("where", "a function of the language"),
        ("prob", "a kind"),
        ("boxes", "a kind"),
        ("my loss", "letters, digits and underscores"),
        ("lib.dice", "letters, digits and underscores"),
        ("2dice", "letters, digits and underscores"),
        ("", "letters, digits and underscores"),
        ("\N{MICRO SIGN}", "letters, digits and underscores"),
        ("not", "a word of the language"),
        ("for", "a word of the language"),
        ("none", "a word of the language"),
        ("param", "a word of the language"),
        ("learnable", "a word of the language"),
        ("dice", "already the name of the loss 'dice' of the library"),
        ("soft_iou", "already the name of the loss 'jaccard' of the library"),
    ],
)
def test_a_name_that_is_none_or_anothers_is_refused(name: str, reason: str) -> None:
    before = registry.names()
    with pytest.raises(ValueError, match=reason):
        define(name)
    with pytest.raises(ValueError, match=reason):
        define("quartic", name)
    assert registry.names() == before


def test_a_penalty_takes_scores_and_points() -> None:
    with pytest.raises(ValueError, match="takes its scores and the points"):
        lossdsl.loss("gentle", signature=SIGNATURE, critic="at")(identity)


def test_a_users_losses_do_not_take_each_others_names() -> None:
    define("one", "uno")
    for names in (("uno",), ("two", "uno"), ("two", "one")):
        with pytest.raises(ValueError, match="already the name of your loss 'one'"):
            define(*names)
    found = registry.find("uno")
    assert found is not None
    assert found.name == "one"


def test_a_new_definition_replaces_the_old_one_with_its_aliases() -> None:
    define("one", "uno", "eins")
    define("one", "un")
    assert registry.find("uno") is None
    assert registry.find("eins") is None
    define("two", "uno")
    names = {name: record.name for name in ("one", "un", "uno") if (record := registry.find(name))}
    assert names == {"one": "one", "un": "one", "uno": "two"}


def test_the_librarys_own_names_can_be_called() -> None:
    for name in registry.names():
        assert name.isidentifier()
        assert name not in {*WORDS, *KINDS, *functions()}
