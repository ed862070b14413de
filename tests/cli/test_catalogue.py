"""`lossdsl list` and `lossdsl doc`: the library, and one page of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor

import lossdsl
from lossdsl.config.shipped import ShippedFunction, shipped_functions
from lossdsl.library.page import WIDTH
from lossdsl.library.record import LossRecord, Overload
from lossdsl.library.wording import written

RECORDS = lossdsl.losses()
SHIPPED = shipped_functions()


def rows(stdout: str) -> dict[str, list[str]]:
    header, *lines = stdout.splitlines()
    assert header.split() == ["name", "family", "summary"]
    return {cells[0]: cells[1:] for cells in (line.split(maxsplit=2) for line in lines)}


def test_the_whole_list(run: Callable[..., Any]) -> None:
    listed = rows(run("list").stdout)
    both = {**RECORDS, **SHIPPED}
    assert listed == {name: [r.family, r.summary] for name, r in both.items()}


def test_one_family(run: Callable[..., Any]) -> None:
    assert set(rows(run("list", "--family", "boxes").stdout)) == {
        name for name, record in RECORDS.items() if record.family == "boxes"
    }
    refused = run("list", "--family", "box")
    assert refused.exit_code == 2
    assert "regression" in refused.stderr


def test_a_word_is_found_in_names_aliases_and_summaries(run: Callable[..., Any]) -> None:
    assert {"dice", "squared_dice", "log_cosh_dice"} <= set(rows(run("list", "Dice").stdout))
    assert {"quantile", "huber_quantile"} <= set(rows(run("list", "pinball").stdout))
    assert "bce" in rows(run("list", "entropy").stdout)
    # Only where a word of the summary begins: `contrastive` pushes dissimilar pairs apart.
    found = set(rows(run("list", "ssim").stdout))
    assert found & set(RECORDS) == {"ssim", "ms_ssim"}
    assert found & set(SHIPPED) >= {"ms_ssim_l1", "kornia.SSIMLoss", "monai.SSIMLoss"}
    assert run("list", "box", "--family", "overlap").stdout == ""


def test_a_word_that_no_loss_mentions(run: Callable[..., Any]) -> None:
    result = run("list", "dise")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "no loss mentions `dise`: did you mean `dice`?\n"
    assert json.loads(run("list", "dise", "--format", "json").stdout) == []
    assert "`mse_loss` is called `mse` here" in run("list", "mse_loss").stderr


def test_the_list_as_json(run: Callable[..., Any]) -> None:
    entries = json.loads(run("list", "--format", "json").stdout)
    assert [entry["name"] for entry in entries] == [*RECORDS, *SHIPPED]
    (quantile,) = [entry for entry in entries if entry["name"] == "quantile"]
    assert quantile["aliases"] == ["pinball"]
    assert quantile["parameters"] == [{"name": "q", "default": 0.5, "range": "(0, 1)"}]
    assert quantile["signatures"][0] == "real[*S], real[*S] -> loss[*S]"


def test_the_functions_of_shipped_files(run: Callable[..., Any]) -> None:
    listed = rows(run("list", "--family", "lossdsl:tracking").stdout)
    assert set(listed) == {"ostrack", "stark", "siamrpn", "fairmot"}
    assert "monai.DiceLoss" in rows(run("list", "monai.").stdout)
    (stark,) = json.loads(run("list", "stark", "--format", "json").stdout)
    assert stark["call"] == "stark(boxes, targets, giou=2, l1=5)"
    assert stark["value"] == "giou*giou(boxes, targets) + l1*l1(boxes, targets)"
    assert stark["family"] == "lossdsl:tracking"
    assert "2103.17154" in stark["reference"]


# --- pages ------------------------------------------------------------------------------------


def test_doc_prints_the_page(run: Callable[..., Any]) -> None:
    assert run("doc", "quantile").stdout == f"{lossdsl.describe('quantile')}\n"
    assert run("doc", "pinball").stdout == run("doc", "quantile").stdout


def test_doc_prints_the_page_of_a_shipped_function(run: Callable[..., Any]) -> None:
    assert (
        run("doc", "stark").stdout
        == """\
stark – lossdsl:tracking

GIoU and L1 of the target's box (STARK, first stage).

Call
  stark(boxes, targets, giou=2, l1=5)

Value
  giou*giou(boxes, targets) + l1*l1(boxes, targets)

Use
  use: [lossdsl:tracking]

Reference
  B. Yan et al., Learning Spatio-Temporal Transformer for Visual Tracking, 2021,
  arXiv:2103.17154.
"""
    )


@pytest.mark.parametrize("function", SHIPPED.values(), ids=lambda f: f.name)
def test_a_page_of_a_shipped_function_has_everything(function: ShippedFunction) -> None:
    words = " ".join(str(function).split())
    said = [function.name, function.call, function.body, function.notes, f"use: [{function.file}]"]
    # The source stands behind the rest, under a heading of its own.
    parts = [part for text in said for part in text.split("Source: ")]
    assert [text for text in parts if " ".join(text.split()) not in words] == []


def test_a_shipped_function_is_no_record(run: Callable[..., Any]) -> None:
    with pytest.raises(lossdsl.LossNameError, match="`lossdsl doc stark` shows it"):
        lossdsl.describe("stark")


def test_an_unknown_loss(run: Callable[..., Any]) -> None:
    result = run("doc", "dise")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error[E202]: there is no loss called `dise`")
    assert "did you mean `dice`?" in result.stderr


@pytest.mark.parametrize("record", RECORDS.values(), ids=lambda r: r.name)
def test_a_page_has_everything(record: LossRecord) -> None:
    page = str(record)
    words = " ".join(page.split())
    said = [record.name, record.family, record.summary, record.formula, str(record.reference or "")]
    said += [*record.aliases, *record.conventions, *record.pitfalls]
    said += [record.use, record.avoid, record.checked, *record.related.values()]
    said += [part.replace("\n", "; ") for pair in record.identities for part in pair]
    said += [overload.signature for overload in record.overloads]
    said += [example.text for example in record.examples]
    assert [text for text in said if " ".join(text.split()) not in words] == []
    for parameter in record.parameters:
        assert re.search(rf"^  {parameter.name} +\S", page, re.MULTILINE)


@pytest.mark.parametrize("record", RECORDS.values(), ids=lambda r: r.name)
def test_no_line_is_longer_than_it_must_be(record: LossRecord) -> None:
    """A formula has one line, and so has an example; everything else is wrapped."""
    long = [line.strip() for line in str(record).splitlines() if len(line) > WIDTH]
    free = (record.formula, *(f"{e.text} = {e.value:.6g}" for e in record.examples))
    assert [line for line in long if line not in free] == []


def test_a_page(golden: Callable[[str, str], None]) -> None:
    golden("cli/doc.dice.txt", str(lossdsl.describe("dice")))
    golden("cli/doc.ms_ssim.txt", str(lossdsl.describe("ms_ssim")))


def quartic(p: Tensor, y: Tensor, *, scale: float) -> Tensor:
    return scale * (p - y) ** 4


def test_the_page_of_a_bare_record() -> None:
    form = Overload("real[*S], real[*S] -> loss[*S]", quartic)
    record = LossRecord("quartic", "user", "Fourth powers.", (form,))
    assert (
        str(record)
        == """\
quartic – user

Fourth powers.

Call
  quartic(p, y, scale)

Signature
  real[*S], real[*S] -> loss[*S]

Map
  [*S]

Parameters
  scale  required  number
  `scale` must be a literal.

Modifiers
  `reduction=`, `weight=`, `per=`; `mask=` keeps values of the map."""
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "true"),
        (1.0, "1"),
        (1e-5, "1e-5"),
        (2.5e-07, "2.5e-7"),
        (1e-12, "1e-12"),
        (1e16, "1e+16"),
        (0.25, "0.25"),
        ("mean", "'mean'"),
        ((1, 0.5), "[1, 0.5]"),
    ],
)
def test_literals_are_written_as_in_the_language(value: Any, text: str) -> None:
    assert written(value) == text
    source = lossdsl.format(f"f(x, {text})")
    assert lossdsl.format(source) == source
