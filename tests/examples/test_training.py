"""A few steps of each example: the numbers are finite, and the held-out score gets better."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import torch

import lossdsl

EXAMPLES = Path(__file__).parents[2] / "examples"

Example = Callable[[str], ModuleType]

# torch looks at .grad when it traces, whatever the tensor, and hides its own warning; as an error
# it cannot.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


@dataclass(frozen=True)
class Case:
    """What some steps do to a number that an untrained network has too.

    `share` is the part of it that may be left. It lies well above what seeds 0 to 3 leave, which
    is at most `seen`.
    """

    name: str
    steps: int
    share: float
    seen: float
    number: str = "loss"
    backend: str = "eager"


CASES = (
    Case("classification", 40, 0.7, seen=0.55, backend="aot_eager"),
    Case("tabular_binary", 40, 0.5, seen=0.31),
    Case("tabular_regression", 40, 0.8, seen=0.58),
    Case("forecasting", 40, 0.3, seen=0.12),
    # Its loss gains a term while it trains, so that less of it is left than this says.
    Case("restoration", 60, 0.9, seen=0.81),
    Case("segmentation", 60, 0.92, seen=0.83),
    Case("deep_supervision", 50, 0.75, seen=0.56),
    Case("gan", 150, 0.5, seen=0.28, number="distance"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_training_lowers_the_held_out_loss(case: Case, example: Example) -> None:
    train = example(case.name)
    before = train.main(steps=0, backend="eager")
    after = train.main(steps=case.steps, backend=case.backend)
    assert all(math.isfinite(value) for value in (*before.values(), *after.values()))
    assert after[case.number] < case.share * before[case.number]


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.name != "gan"], ids=lambda case: case.name
)
def test_every_term_is_printed(
    case: Case, example: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the table at the end; the GAN has two losses of one term and no such table."""
    train = example(case.name)
    train.main(steps=0, backend="eager")
    table = capsys.readouterr().out.partition("\nterm ")[2].partition("\ntotal ")[0]
    printed = [line.split()[0] for line in table.splitlines()[1:] if "monitored" not in line]
    assert printed == [term.split(":")[0].strip() for term in _terms(train.LOSS)]


def _terms(file: Path) -> list[str]:
    """The lines of the section `terms`."""
    lines = file.read_text(encoding="utf-8").splitlines()
    start = lines.index("terms:") + 1
    end = next((i for i in range(start, len(lines)) if not lines[i]), len(lines))
    return lines[start:end]


def test_two_trainings_with_one_seed_are_one(example: Example) -> None:
    train = example("tabular_binary")
    runs = [train.main(steps=10, seed=3, backend="eager") for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0] != train.main(steps=10, seed=4, backend="eager")


def test_an_example_is_a_script() -> None:
    file = EXAMPLES / "tabular_binary" / "train.py"
    done = subprocess.run(
        [sys.executable, str(file), "--steps", "25", "--backend", "eager"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "step   25  loss" in done.stdout
    assert "always benign: 62.9%" in done.stdout


# --- what is held out -------------------------------------------------------------------------


def test_the_vessels_are_few_and_dark(example: Example) -> None:
    photo, mask = example("segmentation").load()
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert 0.05 < mask.mean() < 0.12
    # A ridge is darker than what lies ten pixels around it.
    near = torch.nn.functional.max_pool2d(mask, 21, stride=1, padding=10) > 0
    assert photo[mask > 0].mean() < photo[near & (mask == 0)].mean()


def test_segmentation_never_trains_on_held_out_pixels(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = example("segmentation")
    photo, mask = (image.clone() for image in train.load())
    upper, lower = train.split(photo)
    assert upper.shape[2] + lower.shape[2] == photo.shape[2]
    lower.fill_(math.nan)
    monkeypatch.setattr(train, "load", lambda: (photo, mask))
    loss = lossdsl.load(train.LOSS, backend="eager")
    (terms,) = train.fit(train.UNet(), loss, 20, seed=0)
    assert all(math.isfinite(value) for value in terms.values())


def test_forecasts_of_the_last_years_are_held_out(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every window that is trained on ends before the first that is tested on begins."""
    train = example("forecasting")
    seen: list[tuple[float, float]] = []
    windows = train.windows

    def noting(series: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # The series rises by 40 ppm over the years; its ends tell where a part of it lies.
        seen.append((float(series[:52].mean()), float(series[-52:].mean())))
        return windows(series)

    monkeypatch.setattr(train, "windows", noting)
    train.main(steps=0, backend="eager")
    (first, end), (start, last) = seen
    assert first < end < start < last


def test_the_last_year_repeated_is_the_baseline(example: Example) -> None:
    """It is exact for a series with one period a year and steady growth."""
    train = example("forecasting")
    weeks = torch.arange(400, dtype=torch.float64)
    series = 0.03 * weeks + torch.sin(2 * math.pi * weeks / 52)
    x, y = train.windows(series)
    torch.testing.assert_close(train.as_last_year(x), y)


def test_unknown_pixels_are_not_scored(example: Example) -> None:
    train = example("deep_supervision")
    y = torch.tensor([[0, 1, 2, train.UNKNOWN]])
    assert train.mean_iou(torch.tensor([[0, 1, 2, 0]]), y) == 1
    assert train.mean_iou(torch.tensor([[0, 1, 1, 0]]), y) == pytest.approx((1 + 0.5 + 0) / 3)
