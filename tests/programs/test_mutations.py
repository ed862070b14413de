"""Whatever a slip of the hand makes of a legal program is refused in order, or runs."""

from __future__ import annotations

import mutate
import pytest

_CHUNK = 75


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(20))
def test_mutants_are_refused_in_order_or_run(seed: int) -> None:
    findings = []
    outcomes = set()
    for entry, text in mutate.mutants(seed, _CHUNK):
        outcome, finding = mutate.judge(entry, text)
        outcomes.add(outcome)
        if finding is not None:
            findings.append(str(finding))
    assert not findings, "\n".join(findings)
    # Both happen, or the changes are too tame or too wild to tell anything.
    assert outcomes >= {"refused", "ran"}


def test_a_seed_gives_the_same_mutants() -> None:
    assert list(mutate.mutants(3, 20)) == list(mutate.mutants(3, 20))
