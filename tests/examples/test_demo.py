"""The demonstration: what it shows, what it concludes, and the report that it leaves."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "examples" / "segmentation"


@pytest.fixture(scope="module")
def demo() -> Iterator[ModuleType]:
    """The module as `python examples/segmentation/demo.py` sees it, beside its `train`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        for name in ("train", "demo"):
            patch.delitem(sys.modules, name, raising=False)
        yield importlib.import_module("demo")
        for name in ("train", "demo"):
            sys.modules.pop(name, None)


def run(demo: ModuleType, iou: float) -> object:
    return demo.Run([{"bce": 0.1}], torch.nn.Identity(), iou, 2 * iou / (1 + iou))


@pytest.mark.parametrize(
    ("ours", "alone", "says"),
    [
        ((0.5, 0.7), (0.4, 0.5), "the loss file is ahead, by 0.150 IoU on average"),
        ((0.4, 0.5), (0.5, 0.7), "`bce(p, y)` alone is ahead, by 0.150 IoU on average"),
        ((0.5, 0.5), (0.5, 0.5), "neither is ahead"),
    ],
)
def test_the_verdict_names_whichever_won(
    demo: ModuleType, ours: tuple[float, ...], alone: tuple[float, ...], says: str
) -> None:
    verdict = demo.verdict([run(demo, x) for x in ours], [run(demo, x) for x in alone])
    assert says in verdict
    assert f"wins {2 if ours > alone else 0} of 2 seeds" in verdict


def test_scores_are_intersection_over_union_and_dice(demo: ModuleType) -> None:
    p = torch.tensor([True, True, False, False])
    y = torch.tensor([1.0, 0.0, 1.0, 0.0])
    assert demo.scores(p, y) == pytest.approx((1 / 3, 1 / 2))


def test_it_shows_trains_compares_and_reports(
    demo: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = demo.main(steps=2, seeds=1, backend="eager", out=tmp_path)
    shown = capsys.readouterr().out
    assert "lossdsl.check: no problems" in shown
    assert "p      logits[B, 1, H, W]" in shown
    assert "segmentation = 0.5·bce(p, y)" in shown
    assert "├─ 1 ─ dice" in shown
    lines = [line for line in shown.splitlines() if line.startswith("  epoch")]
    assert [line.split()[2::2] for line in lines] == [
        ["loss", "bce", "dice", "tv"],
        ["loss", "bce"],
    ]
    total, *terms = (float(x) for x in re.findall(r"\d\.\d+", lines[0]))
    assert sum(terms) == pytest.approx(total, abs=2e-4)

    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert demo.LOSS.read_text(encoding="utf-8") in report
    assert "| epoch | loss | bce | dice | tv |" in report
    assert f"| the loss file | {result['iou']:.3f} |" in report
    assert f"| `bce(p, y)` alone | {result['baseline']:.3f} |" in report
    assert (tmp_path / "predictions.png").stat().st_size > 10_000
    assert str(tmp_path / "report.md") in shown


@pytest.mark.slow
def test_the_loss_file_beats_bce_alone_and_the_filter() -> None:
    """With one seed and the default backend: what `make demo` shows, in a third of its time."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / "demo.py"), "--seeds", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    scores = [float(score) for score in re.findall(r"│ (\d\.\d{3}) │ \d\.\d{3} │", done.stdout)]
    ours, alone, untrained = scores
    assert ours > alone > untrained
