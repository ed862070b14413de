"""The pages of the losses against the records that they are made of."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import loss_pages
import loss_plots
import pytest
import torch
from torch import Tensor

import lossdsl
from benchmarks import costs
from lossdsl.inspect.curves import axis_of, curve
from lossdsl.library.record import LossRecord, Overload

FOLDER = Path(__file__).parents[2] / "docs" / "losses"
LIBRARY = loss_pages.library()
DRAWN = [record for record in LIBRARY if loss_plots.has_plot(record)]
NOTHING: dict[str, Any] = {"losses": {}}


def headings(page: str) -> list[str]:
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S)
    return re.findall(r"^## (.*)$", prose, re.MULTILINE)


# --- what is there ------------------------------------------------------------------------------


def test_the_index_names_every_loss_once() -> None:
    index = (FOLDER.parent / "losses.md").read_text(encoding="utf-8")
    linked = re.findall(r"^\| \[`(\w+)`\]\(losses/(\w+)\.md\)", index, re.MULTILINE)
    assert linked == [(record.name, record.name) for record in LIBRARY]
    assert len(LIBRARY) == len(lossdsl.losses())


def test_the_folder_holds_nothing_else() -> None:
    pages = {f"{record.name}.md" for record in LIBRARY}
    drawings = {f"{record.name}.svg" for record in DRAWN}
    assert {file.name for file in FOLDER.iterdir()} - {"costs.json"} == pages | drawings


@pytest.mark.parametrize("record", LIBRARY, ids=lambda record: record.name)
def test_links_lead_somewhere(record: LossRecord) -> None:
    page = (FOLDER / f"{record.name}.md").read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
        assert (FOLDER / target).exists(), target


@pytest.mark.parametrize("record", LIBRARY, ids=lambda record: record.name)
def test_examples_can_be_pasted(record: LossRecord) -> None:
    """Each block of Python gives the value that stands behind it."""
    page = (FOLDER / f"{record.name}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)  # (\S+)\n```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == len(record.examples)
    for text, value in blocks:
        *lines, called = text.replace('")\n', '", backend="eager")\n', 1).splitlines()
        names: dict[str, Any] = {"lossdsl": lossdsl, "torch": torch}
        exec("\n".join(lines), names)
        assert eval(called, names).item() == pytest.approx(float(value), rel=1e-5, abs=1e-6)


# --- what a page says ---------------------------------------------------------------------------


def quartic(p: Tensor, y: Tensor, *, scale: float = 1.0) -> Tensor:
    return scale * (p - y) ** 4


def record(**fields: Any) -> LossRecord:
    form = Overload("real[*S], real[*S] -> loss[*S]", quartic)
    return LossRecord("quartic", "user", "Fourth powers.", (form,), **fields)


def test_what_a_record_leaves_open_is_left_out() -> None:
    page = loss_pages.page(record(), NOTHING)
    assert headings(page) == [
        "Inputs",
        "Map",
        "Parameters",
        "Weights and masks",
        "Value and gradient",
        "Cost",
    ]
    assert "\n\n\n" not in page
    assert page.endswith("\n\nNot measured.\n")


def test_what_a_record_says_is_there() -> None:
    page = loss_pages.page(
        record(
            use="Where outliers must not be, as `l1` has them.",
            avoid="Noise: `huber`. And `quartic` is this one, `scale` its parameter.",
            checked="closed form",
            related={"mse": "squares"},
            identities=(("quartic(p, y)", "mse(p, y)\n**2"),),
            reference="Nobody (2020). Powers, arXiv:2001.00001.",
        ),
        NOTHING,
    )
    for said in (
        "## When to use it\n\nWhere outliers must not be, as [`l1`](l1.md) has them.\n",
        "## When not\n\nNoise: [`huber`](huber.md). And `quartic` is this one, `scale` its para",
        "## Identities\n\n- `quartic(p, y)` = `mse(p, y); **2`\n",
        "## Related\n\n- [`mse`](mse.md): squares.\n",
        "## Checked against\n\nClosed form.\n",
        "Powers, [arXiv:2001.00001](https://arxiv.org/abs/2001.00001).",
    ):
        assert said in page


def test_dice_in_parts() -> None:
    page = loss_pages.page(lossdsl.describe("dice"), NOTHING)
    assert "| `logits` or `prob` `[B, C, *S]` | `prob` `[B, C, *S]` | `[B, C]` |" in page
    assert (
        "`[B, C]`; `[C]` with `over='batch'`, `[]` with `over='all'` and `[B, C-1]` with "
        "`background=false`. Its values lie in [0, 1]." in page
    )
    assert "| `over` | `'image'` | `'image'`, `'batch'`, `'all'` | no: fixed at compile" in page
    assert "- `class_weight=`: along the classes." in page


def test_costs_are_those_that_were_measured() -> None:
    measured = {
        "machine": "an abacus",
        "torch": "2.13.0",
        "threads": 1,
        "dtype": "float32",
        "backends": ["eager", "inductor"],
        "losses": {
            "quartic": {
                "call": "quartic(p, y)",
                "inputs": {"p": "real[4]", "y": "real[4]"},
                "eager": {"nanoseconds": 1234.0, "bytes": 15.98},
            }
        },
    }
    page = loss_pages.page(record(), measured)
    assert "| `eager` | 1,200 ns | 16 bytes |\n\n" in page
    assert "`inductor`" not in page
    assert "`quartic(p, y)` of `p: real[4]`, `y: real[4]`, float32, torch 2.13.0, 1 thread" in page


# --- drawings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("record", DRAWN, ids=lambda record: record.name)
def test_drawings_are_small_and_well_formed(record: LossRecord) -> None:
    drawing = (FOLDER / f"{record.name}.svg").read_bytes()
    assert len(drawing) < 15_000
    assert ElementTree.fromstring(drawing).tag.endswith("svg")


@pytest.mark.parametrize("name", ["mse", "bce", "ce"])
def test_drawings_are_up_to_date(name: str) -> None:
    pytest.importorskip("matplotlib")
    drawing = loss_plots.draw(lossdsl.describe(name))
    assert (FOLDER / f"{name}.svg").read_bytes() == drawing, "run `docs/generate.py --plots`"


@pytest.mark.slow
@pytest.mark.parametrize("record", DRAWN, ids=lambda record: record.name)
def test_every_drawing_is_up_to_date(record: LossRecord) -> None:
    test_drawings_are_up_to_date(record.name)


@pytest.mark.parametrize(
    ("name", "programs", "over"),
    [
        ("mse", ["mse(p, 0)"], "p − y"),
        ("bce", ["bce(p, 0)", "bce(p, 1)"], "p: logits"),
        ("msle", ["msle(p, 1)"], "p: real"),
        ("huber", ["huber(p, 0, delta=0.5)", "huber(p, 0)", "huber(p, 0, delta=2)"], "p − y"),
        ("implicit_quantile", [f"implicit_quantile(p, 0, {q})" for q in (0.1, 0.9)], "p − y"),
        ("gan_g", ["gan_g(fake)"], "fake: score"),
        ("ebgan_d", [f"ebgan_d(real, 1{m})" for m in (", margin=5", "", ", margin=20")], "real: r"),
    ],
)
def test_what_is_drawn(name: str, programs: list[str], over: str) -> None:
    plot = loss_plots.plot_of(lossdsl.describe(name))
    assert list(plot.programs) == programs
    assert plot.over.startswith(over)


@pytest.mark.parametrize(
    "name", ["rmse", "dice", "boundary", "hausdorff_dt", "class_balanced", "iou", "contrastive"]
)
def test_what_has_no_drawing(name: str) -> None:
    assert not loss_plots.has_plot(lossdsl.describe(name))


def test_class_scores_are_those_of_two_classes() -> None:
    """The cross entropy of the label's score z beside a score of 0 is log(1 + exp(-z))."""
    text = loss_plots.plot_of(lossdsl.describe("ce")).programs["ce(p, y)"]
    loss = lossdsl.compile(text, backend="eager")
    at = [-2.0, 0.0, 1.0]
    values = torch.tensor(curve(loss, "ce", axis_of(loss, "ce"), at).values, dtype=torch.float64)
    expected = torch.log1p(torch.exp(-torch.tensor(at, dtype=torch.float64)))
    torch.testing.assert_close(values, expected, rtol=1e-12, atol=0)


# --- costs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", LIBRARY, ids=lambda record: record.name)
def test_every_loss_can_be_measured(record: LossRecord) -> None:
    case = costs.case_of(record)
    report = lossdsl.check(case.text)
    assert report.ok, report


def test_the_peak_is_what_is_held_at_once() -> None:
    def run() -> None:
        first = torch.empty(1_000_000, dtype=torch.float32)
        del first
        second = torch.empty(500_000, dtype=torch.float64)
        third = torch.empty(250_000, dtype=torch.float32)
        del second, third

    assert costs.peak(run) == 5_000_000


def test_new_costs_stand_beside_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(costs, "measure", lambda case, backend: {"nanoseconds": 1.0, "bytes": 2.0})
    file = tmp_path / "costs.json"

    def entries() -> dict[str, Any]:
        return dict(loss_pages.json.loads(file.read_text(encoding="utf-8"))["losses"])

    costs.main(["bce", "--inductor", "--output", str(file)])
    costs.main(["mse", "bce", "--output", str(file)])
    assert list(entries()) == ["mse", "bce"]
    assert set(entries()["mse"]) == {"call", "inputs", "eager"}
    assert set(entries()["bce"]) == {"call", "inputs", "eager", "inductor"}
    monkeypatch.setattr(costs, "_machine", lambda: "another")
    costs.main(["l1", "--output", str(file)])
    assert list(entries()) == ["l1"]
    assert "measured elsewhere" in capsys.readouterr().out
