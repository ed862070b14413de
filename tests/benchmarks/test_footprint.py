"""`benchmarks.footprint`: what it measures is there, and what cannot be measured is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import footprint

needs_linux = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="Linux tells the peak of memory"
)


@needs_linux
@pytest.mark.parametrize("contender", footprint.COMPARED)
def test_a_step_is_measured(contender: str) -> None:
    found = footprint.first_and_peak("classes", contender, "eager")
    assert found["seconds"] > 0
    assert found["peak_mb"] < 500


@needs_linux
@pytest.mark.slow
def test_processes_of_their_own_take_the_memory_of_a_gradient_at_least() -> None:
    found = footprint.measured("focal", "lossdsl")
    assert found["warm"] < found["cold"]
    assert 8 < found["peak_mb"] < 50


def test_an_unknown_row_names_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        footprint.main(["focal", "fokal"])
    assert "no row is called fokal; there are segmentation" in capsys.readouterr().err
