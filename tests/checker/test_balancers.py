"""`uncertainty`: its value and gradients are the paper's, and its terms are logged one by one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

import lossdsl

TEXT = "uncertainty(ce(p, y), mse(d, z))"


def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "p": torch.randn(4, 3, generator=generator),
        "y": torch.tensor([0, 1, 2, 0]),
        "d": torch.randn(4, generator=generator),
        "z": torch.randn(4, generator=generator),
    }


def parts(given: dict[str, torch.Tensor]) -> tuple[float, float]:
    classes = functional.cross_entropy(given["p"], given["y"])
    return classes.item(), functional.mse_loss(given["d"], given["z"]).item()


def test_value_and_gradients_are_the_papers() -> None:
    begin = {"uncertainty_ce": 0.5, "uncertainty_mse": -1.0}
    loss = lossdsl.compile(TEXT, params=begin, backend="eager")
    given = batch()
    first, second = parts(given)
    value = loss(given)
    expected = math.exp(-0.5) * first + math.exp(1.0) * second + 0.5 - 1.0
    assert value.item() == pytest.approx(expected, rel=1e-6)
    value.backward()
    assert loss.uncertainty_ce.grad.item() == pytest.approx(1 - math.exp(-0.5) * first, rel=1e-5)
    assert loss.uncertainty_mse.grad.item() == pytest.approx(1 - math.e * second, rel=1e-5)


def test_terms_are_logged_with_their_weights() -> None:
    loss = lossdsl.compile(
        f"2*{TEXT} + 0.1*l1(d, z)", backend="eager", params={"uncertainty_ce": 1}
    )
    given = batch()
    value = loss(given)
    rows = {row.name: row for row in loss.report()}
    assert list(rows) == ["ce", "mse", "uncertainty", "l1"]
    assert rows["ce"].weight == pytest.approx(2 / math.e, rel=1e-6)
    assert rows["ce"].raw == pytest.approx(parts(given)[0], rel=1e-6)
    assert rows["uncertainty"].contribution == pytest.approx(2.0)
    assert sum(loss.terms.values()).item() == pytest.approx(value.item(), rel=1e-6)


def test_training_finds_the_smallest() -> None:
    """At the optimum exp(s) is the term itself."""
    loss = lossdsl.compile(TEXT, backend="eager")
    given = batch()
    optimiser = torch.optim.LBFGS(loss.parameters(), max_iter=100)

    def closure() -> float:
        optimiser.zero_grad()
        value = loss(given)
        value.backward()
        return value.item()

    optimiser.step(closure)
    for weight, part in zip(loss.parameters(), parts(given), strict=True):
        assert weight.exp().item() == pytest.approx(part, rel=1e-3)


def test_a_floor_bounds_the_weight() -> None:
    loss = lossdsl.compile("uncertainty(ce(p, y), mse(d, z), min=-2)", backend="eager")
    with torch.no_grad():
        loss.uncertainty_ce.fill_(-9.0)
    loss(batch())
    assert loss.report()[0].weight == pytest.approx(math.exp(2), rel=1e-6)


def test_terms_of_other_libraries_have_weights_too(tmp_path: Path) -> None:
    file = tmp_path / "loss.yaml"
    text = (
        "use: [lossdsl:monai]\nloss: uncertainty(monai.DiceLoss(p, y, sigmoid=true), bce(p, y))\n"
    )
    file.write_text(text, encoding="utf-8")
    loss = lossdsl.load(file, backend="eager")
    names = [name for name, _ in loss.named_parameters()]
    assert names == ["uncertainty_DiceLoss", "uncertainty_bce"]
    assert "DiceLoss" in loss.inspect("fx")
    assert loss(torch.zeros(2, 1, 4), torch.ones(2, 1, 4)).isfinite()


def test_equal_names_are_counted() -> None:
    loss = lossdsl.compile("uncertainty(mse(a, b), mse(a, c), l1(a, b))", backend="eager")
    names = [name for name, _ in loss.named_parameters()]
    assert names == ["uncertainty_mse", "uncertainty_mse_2", "uncertainty_l1"]


@pytest.mark.parametrize(
    ("text", "params", "code"),
    [
        ("uncertainty(mse(a, b))", {}, "E204"),
        ("uncertainty()", {}, "E204"),
        ("uncertainty(mse(a, b), l1(a, b), flor=1)", {}, "E205"),
        ("uncertainty(mse(a, b), l1(a, b), init='x')", {}, "E206"),
        ("uncertainty(mse(a, b), l1(a, b), init=-1, min=0)", {}, "E206"),
        ("uncertainty(mse(a, b), l1(a, b))", {"uncertainty_mse": [1, 2]}, "E504"),
        ("uncertainty(mse(a, b), l1(a, b))", {"uncertainty_mse": "x"}, "E504"),
        ("uncertainty(mse(a, b), l1(a, b), min=0)", {"uncertainty_mse": -3}, "E206"),
        ("param uncertainty_mse = 3\nuncertainty(mse(a, b), l1(a, b))", {}, "E203"),
        ("uncertainty(abs(a), l1(a, b))", {}, "E405"),
    ],
)
def test_what_is_refused(text: str, params: dict[str, Any], code: str) -> None:
    inputs = {"a": "real[B]", "b": "real[B]"}
    with pytest.raises(lossdsl.LossError) as raised:
        lossdsl.compile(text, params=params, inputs=inputs, backend="eager")
    assert raised.value.diagnostics[0].code == code


def test_the_name_is_the_languages() -> None:
    with pytest.raises(ValueError, match="a function of the language"):
        lossdsl.loss("uncertainty", signature="real[*S] -> loss[*S]")(lambda x: x)
    with pytest.raises(lossdsl.LossNameError, match="did you mean `uncertainty`"):
        lossdsl.compile("uncertainy(mse(a, b), l1(a, b))")
