"""Calls of functions that a shipped loss file brings in, or would."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import lossdsl


def error_of(loss: str, **more: object) -> lossdsl.Diagnostic:
    with pytest.raises(lossdsl.LossNameError) as caught:
        lossdsl.from_config({**more, "loss": loss}, backend="eager")
    (found,) = caught.value.diagnostics
    return found


MONAI = {"use": ["lossdsl:monai"]}
BRING = "loss file brings it in: `use: [lossdsl:monai]`"

MISTAKES = [
    ("monai.DiceLoss(p, y)", {}, f"a {BRING}"),
    ("monai.DiceLos(p, y)", {}, f"did you mean `monai.DiceLoss`? A {BRING}"),
    ("monai.losses.DiceLoss(p, y)", {}, f"did you mean `monai.DiceLoss`? A {BRING}"),
    ("monai.DiceLos(p, y)", MONAI, "did you mean `monai.DiceLoss`?"),
    ("monai.losses.DiceLoss(p, y)", MONAI, "write `monai.DiceLoss`"),
    ("monai.Quatsch(p, y)", MONAI, "`lossdsl list monai.` shows what this dialect has"),
    ("monai.Quatsch(p, y)", {}, "`lossdsl list monai.` shows what this dialect has"),
    (
        "pytorch_metric_learning.losses.NTXentLoss(x, y)",
        {},
        "did you mean `pml.NTXentLoss`? A loss file brings it in: `use: [lossdsl:pml]`",
    ),
    ("retinanet(p, y)", {}, "a loss file brings it in: `use: [lossdsl:detection]`"),
    (
        "retinane(p, y)",
        {},
        "did you mean `retinanet`? A loss file brings it in: `use: [lossdsl:detection]`",
    ),
    ("retinane(p, y)", {"use": ["lossdsl:detection"]}, "did you mean `retinanet`?"),
    # A name of the language goes first, and what the text itself calls so.
    ("dise(p, y)", {}, "did you mean `dice`?"),
    (
        "monai.DiceLoss(p)",
        {"inputs": {"monai": "{x: real[B]}", "p": "real[B]"}},
        "there are no methods: a function is called with its values, `mean(x)`",
    ),
]


@pytest.mark.parametrize(("text", "file", "help"), MISTAKES)
def test_the_way_out(text: str, file: dict[str, object], help: str) -> None:
    found = error_of(text, **file)
    assert (found.code, found.help) == ("E202", help)
    assert found.span.text == text.partition("(")[0]


def test_a_program_has_no_use() -> None:
    with pytest.raises(lossdsl.LossNameError) as caught:
        lossdsl.compile("monai.DiceLoss(p, y)")
    assert caught.value.diagnostics[0].help == f"a {BRING}"


def test_the_dialect_names_the_terms() -> None:
    loss = lossdsl.from_config(
        {"use": ["lossdsl:keras"], "loss": "keras.Hinge(y, p) + 2*keras.Hinge(y, p)"},
        backend="eager",
    )
    loss(y=torch.ones(2, 3), p=torch.zeros(2, 3))
    assert list(loss.terms) == ["keras.Hinge", "keras.Hinge_2"]


def test_the_same_name_in_two_dialects_and_the_language() -> None:
    """One name, many formulas: each is called by its own."""
    loss = lossdsl.from_config(
        {
            "use": ["lossdsl:monai", "lossdsl:kornia", "lossdsl:smp"],
            "inputs": {"p": "class_logits[B, C, H, W]", "y": "labels[B, H, W]"},
            "terms": {
                "monai": "monai.DiceLoss(p, y[:, none], softmax=true, to_onehot_y=true)",
                "kornia": "kornia.DiceLoss(p, y)",
                "smp": "smp.DiceLoss(p, y, 'multiclass')",
                "ours": "dice(p, y)",
            },
        },
        backend="eager",
    )
    torch.manual_seed(0)
    y = torch.randint(2, (2, 4, 4))
    y[0] = 0
    loss(p=torch.randn(2, 3, 4, 4), y=y)
    values = [round(value.item(), 3) for value in loss.terms.values()]
    assert values[0] == values[3]
    assert len(set(values)) == 3


def test_a_function_is_formatted_with_its_dialect() -> None:
    assert lossdsl.format("monai.DiceLoss( p,y )") == "monai.DiceLoss(p, y)\n"


SHAPES = {
    "use": ["lossdsl:monai"],
    "inputs": {"p": "class_logits(4)[B, 4, H, W]", "y": "labels[B, H, W]"},
}


def test_a_mistake_at_a_call_is_told_at_the_call() -> None:
    """Not in a file that the user never saw, and once."""
    text = "ce(p, y) + monai.DiceLoss(p, y, softmax=true)"
    with pytest.raises(lossdsl.LossShapeError) as caught:
        lossdsl.from_config({**SHAPES, "loss": text}, backend="eager")
    (found,) = caught.value.diagnostics
    assert found.span.text == "monai.DiceLoss(p, y, softmax=true)"
    assert found.help == "`lossdsl doc monai.DiceLoss` tells what it takes"
    (label,) = found.labels
    assert label.span.source.name == "lossdsl:monai.yaml"
    assert label.text == "in `monai.DiceLoss`"


def test_each_call_has_its_own() -> None:
    wrong = "monai.DiceLoss(p, y, softmax=true)"
    right = "monai.DiceLoss(p, y[:, none], softmax=true, to_onehot_y=true)"
    with pytest.raises(lossdsl.LossShapeError) as caught:
        lossdsl.from_config({**SHAPES, "loss": f"{wrong} + {right} + 2*{wrong}"}, backend="eager")
    assert [d.span.text for d in caught.value.diagnostics] == [wrong, wrong]


def test_at_the_call_of_the_loss_too() -> None:
    config = {"use": ["lossdsl:monai"], "loss": "monai.DiceLoss(p, y)"}
    loss = lossdsl.from_config(config, backend="eager")
    with pytest.raises(lossdsl.LossInputError) as caught:
        loss(p=torch.zeros(2, 3, 4), y=torch.zeros(2, 4))
    (found,) = caught.value.diagnostics
    assert found.span.text == "monai.DiceLoss(p, y)"


def test_in_a_file_of_ones_own_the_place_is_told_and_the_call(tmp_path: Path) -> None:
    functions = "functions:\n  half(a, b): 0.5*mse(a, b[:, 0])\n"
    (tmp_path / "shared.yaml").write_text(functions, encoding="utf-8")
    file = tmp_path / "loss.yaml"
    text = "use: [./shared.yaml]\ninputs: {a: 'real[B, 3]', b: 'real[B, 3]'}\nloss: half(a, b)\n"
    file.write_text(text, encoding="utf-8")
    (found,) = lossdsl.check(file).diagnostics
    assert found.span.text == "b[:, 0]"
    assert ("half(a, b)", "called here") in [(x.span.text, x.text) for x in found.labels]
