"""That the rows of the speed table compare like with like, and that it says what it measured."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import lossdsl
from benchmarks import speed
from benchmarks import speed_contest as contest
from benchmarks.speed_rows import ROWS, Peer, Row

SMALL = {
    "segmentation": (3, 1, 7, 9),
    "classes": (2, 4, 6, 5),
    "focal": (2, 1, 5, 4),
    "vocabulary": (6, 40),
    "restoration": (2, 3, 14, 13),
    "squares": (2, 3, 14, 13),
    "clip": (6, 5),
    "tiny": (2, 1, 4, 4),
}


def small(row: Row) -> Row:
    return replace(row, shape=SMALL[row.name])


each_row = pytest.mark.parametrize("row", [small(row) for row in ROWS], ids=lambda row: row.name)


def inputs_of(row: Row) -> dict[str, Tensor]:
    """In float64, where the tolerance can be tight."""
    wide = {n: t.detach().double() if t.is_floating_point() else t for n, t in row.inputs().items()}
    for name in row.learnt:
        wide[name].requires_grad_()
    return wide


@each_row
def test_reference_is_the_programs_formula(row: Row) -> None:
    inputs = inputs_of(row)
    learnt = [inputs[name] for name in row.learnt]
    ours = lossdsl.compile(row.program, backend="eager")(**inputs)
    theirs = row.reference(*inputs.values())
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=0)
    for a, b in zip(
        torch.autograd.grad(ours, learnt), torch.autograd.grad(theirs, learnt), strict=True
    ):
        assert b.abs().max() > 0
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@each_row
def test_all_that_takes_gradients_is_learnt(row: Row) -> None:
    """Else a contender would calculate more than the others are asked for."""
    inputs = row.inputs()
    assert [name for name, tensor in inputs.items() if tensor.requires_grad] == list(row.learnt)


@pytest.mark.parametrize(
    "row", [small(row) for row in ROWS if row.peer is not None], ids=lambda row: row.name
)
def test_peers_calculate_something_alike(row: Row) -> None:
    assert row.peer is not None
    inputs = row.inputs()
    value = row.peer.make()(*inputs.values())
    assert value.dim() == 0
    torch.testing.assert_close(value, row.reference(*inputs.values()), rtol=1e-3, atol=0)
    gradients = torch.autograd.grad(value, [inputs[name] for name in row.learnt])
    assert all(gradient.abs().max() > 0 for gradient in gradients)


def test_other_formulas_are_not_timed() -> None:
    row = small(ROWS[2])
    wrong = replace(row, reference=lambda p, y: 1.001 * row.reference(p, y))
    with pytest.raises(contest.Disagreement, match="lossdsl"):
        contest.measure(wrong, rounds=1, backend="eager")


def test_other_gradients_are_not_timed() -> None:
    """The value alone would pass."""
    row = small(ROWS[2])
    wrong = replace(row, reference=lambda p, y: row.reference(p, y) + (p - p.detach()).sum())
    with pytest.raises(contest.Disagreement, match="lossdsl"):
        contest.measure(wrong, rounds=1, backend="eager")


def test_missing_peers_are_left_out() -> None:
    row = small(ROWS[2])

    def missing() -> Any:
        raise ModuleNotFoundError("No module named 'absent'")

    alone = replace(row, peer=Peer("absent", missing))
    found = [c.name for c in contest.contenders(alone, alone.inputs(), "eager")]
    assert found == ["eager", "compiled", "lossdsl", "one pass", "copy"]


def test_copy_moves_the_bytes_of_inputs_and_gradients() -> None:
    """Read or written once: the learnt input, its gradient, and the labels."""
    row = small(ROWS[1])
    inputs = row.inputs()
    moved = 0

    class Counted(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            nonlocal moved
            if func is Tensor.copy_:
                moved += sum(part.nbytes for part in args)
            return func(*args, **(kwargs or {}))

    move = contest.mover(row, inputs)
    with Counted():
        move()
    assert moved == 2 * inputs["p"].nbytes + inputs["y"].nbytes


def test_spread_is_of_deciles() -> None:
    found = contest.spread([float(i) for i in range(11)])
    assert found == pytest.approx({"low": 1.0, "median": 5.0, "high": 9.0})


def test_results_are_all_in_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [small(ROWS[3]), small(ROWS[-1])]
    found = json.loads(json.dumps(speed.run(rows, rounds=3, backend="eager")))
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert {"machine", "compiler", "malloc", "lossdsl", "peers", "rounds"} <= set(found)
    assert [row["name"] for row in found["rows"]] == ["vocabulary", "tiny"]
    vocabulary, tiny = found["rows"]
    names = ["eager", "compiled", "lossdsl", "one pass", "copy"]
    assert [c["name"] for c in vocabulary["contenders"]] == names
    assert [c["name"] for c in tiny["contenders"]] == [*names[:2], "peer", *names[2:]]
    assert vocabulary["overhead_us"] is None
    assert math.isfinite(tiny["overhead_us"]["median"])
    for contender in vocabulary["contenders"] + tiny["contenders"]:
        assert len(contender["milliseconds"]) == 3
        assert contender["median_ms"] == sorted(contender["milliseconds"])[1]
        low, middle, high = (contender["ratio"][key] for key in ("low", "median", "high"))
        assert 0 < low <= middle <= high
        if contender["name"] == "compiled":
            assert low == high == 1
    printed = capsys.readouterr().out
    assert "monai" in printed
    assert f"torch {torch.__version__}" in printed


def test_unknown_rows_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        speed.main(["fokal"])
    assert "no row is called fokal" in capsys.readouterr().err


def test_the_file_has_somewhere_to_go(capsys: pytest.CaptureFixture[str]) -> None:
    """Told before minutes are spent on what could then not be written."""
    with pytest.raises(SystemExit):
        speed.main(["tiny", "--json", "absent/speed.json"])
    assert "no folder absent" in capsys.readouterr().err
