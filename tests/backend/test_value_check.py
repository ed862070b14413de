"""Values held against their kinds, and when that happens."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch

import lossdsl
from lossdsl import LossConfigError, LossInputError

NAN, INF = float("nan"), float("inf")


def make(text: str, **options: Any) -> Any:
    return lossdsl.compile(text, backend="eager", **options)


WRONG = [
    ("input y: prob[B]\nmean(y)", [0.2, 1.5], "the value 1.5 came: it lies in [0, 1]"),
    ("input y: prob[B]\nmean(y)", [-0.5, 1.0], "the value -0.5 came"),
    ("input y: mask[B]\ninput x: real[B]\nmean(x, where=y)", [0.0, 0.5], "other than 0 and 1"),
    ("input y: sign[B]\nmean(y)", [1.0, 0.0], "other than -1 and 1"),
    ("input y: positive[B]\nmean(y)", [1.0, 0.0], "the value 0 came: it lies above 0"),
    ("input y: real[B]\nmean(y)", [1.0, NAN], "1 of 2 values that came are NaN"),
    ("input y: real[B]\nmean(y)", [INF, INF], "2 of 2 values that came are infinite"),
    ("input y: logits[B]\nmean(y)", [NAN, 1.0], "1 of 2 values that came are NaN"),
]


@pytest.mark.parametrize(("text", "values", "told"), WRONG)
def test_a_wrong_value_is_told_at_the_first_call(text: str, values: list[float], told: str) -> None:
    loss = make(text)
    given = {"y": torch.tensor(values), "x": torch.ones(2)}
    with pytest.raises(LossInputError) as found:
        loss({name: given[name] for name in loss.contract.names})
    assert told in found.value.diagnostics[0].message
    assert found.value.diagnostics[0].code == "E605"


def test_labels_lie_within_the_classes() -> None:
    loss = make("ce(p, y)")
    with pytest.raises(LossInputError, match=r"the label 3 came: there are 3 classes \(0 to 2\)"):
        loss(torch.zeros(2, 3), torch.tensor([0, 3]))
    assert loss(torch.zeros(2, 3), torch.tensor([0, -100])).isfinite()


def test_indices_of_gather_lie_within_its_axis() -> None:
    loss = make("input p: class_logits[B, C]\ninput y: labels[B]\n-mean(gather(log_softmax(p), y))")
    assert loss(torch.zeros(2, 3), torch.tensor([0, -100])).isfinite()
    with pytest.raises(LossInputError, match=r"the label 9 came: there are 3 classes"):
        loss(torch.zeros(3, 3), torch.tensor([0, 1, 9]))


def test_parts_of_containers_are_held_too() -> None:
    loss = make("input out: {a: list[prob[B]]}\nsum(mean(x) for x in out.a)")
    with pytest.raises(LossInputError, match=r"`out\.a\[1\]` is prob\[B\], and the value 2 came"):
        loss({"a": [torch.zeros(2), torch.full((2,), 2.0)]})


def test_a_class_may_be_taken_out_of_a_softmax() -> None:
    loss = make("ce(p, y)")
    assert loss(torch.tensor([[0.0, -INF, 1.0]]), torch.tensor([0])).isfinite()


def test_behind_a_mask_anything_may_stand() -> None:
    loss = make("mse(p, y, mask=m)")
    batch = {
        "p": torch.zeros(2),
        "y": torch.tensor([1.0, NAN]),
        "m": torch.tensor([1.0, 0.0]),
    }
    assert loss(batch).item() == 1.0


def test_later_calls_read_no_values_unless_asked() -> None:
    good, bad = torch.tensor([0.0, 1.0]), torch.tensor([0.0, 7.0])
    first = make("input y: prob[B]\nmean(y)")
    first(good)
    assert first(bad).item() == 3.5
    always = make("input y: prob[B]\nmean(y)", checks="always")
    always(good)
    with pytest.raises(LossInputError, match="the value 7 came"):
        always(bad)
    never = make("input y: prob[B]\nmean(y)", checks="never")
    assert never(bad).item() == 3.5


def test_never_checks_no_sizes_either() -> None:
    loss = make("mse(a, b)", checks="never")
    assert loss(torch.zeros(4, 1), torch.ones(4, 1)).item() == 1.0


def test_the_level_can_be_changed_and_stands_in_files() -> None:
    loss = lossdsl.from_config(
        {"inputs": {"y": "prob[B]"}, "loss": "mean(y)", "options": {"checks": "always"}},
        backend="eager",
    )
    assert loss.checks == "always"
    loss.checks = "never"
    assert loss(torch.full((2,), 7.0)).item() == 7.0
    loss.checks = "first"
    with pytest.raises(LossInputError):
        loss(torch.full((2,), 7.0))
    with pytest.raises(LossConfigError, match="no level of checks 'sometimes'"):
        loss.checks = "sometimes"


def test_an_unknown_level_is_told_at_compile() -> None:
    with pytest.raises(LossConfigError, match="checks"):
        make("mse(p, y)", checks="sometimes")


def test_what_the_device_would_have_to_be_asked_for_is_not_read() -> None:
    """Meta tensors raise when they are read."""
    loss = make("input y: prob[B]\nmean(y)")
    assert loss(torch.zeros(2, device="meta")).is_meta


@pytest.mark.parametrize("checks", ["first", "always"])
def test_what_was_to_be_hidden_and_is_not_is_told(checks: str) -> None:
    """A loss that is not finite has read it, whatever stands behind a mask."""
    scores = torch.zeros(2, 3)
    scores[0, 1] = NAN
    with pytest.raises(LossInputError, match="1 of 6 values that came are NaN"):
        make("ce(p, y)", checks=checks)(scores, torch.tensor([0, 1]))
    masked = make("mse(p, y, mask=m)", checks=checks)
    with pytest.raises(LossInputError, match="`p` is real"):
        masked(p=torch.tensor([0.0, NAN]), y=torch.zeros(2), m=torch.tensor([0.0, 1.0]))


def test_a_list_param_leaves_the_precision() -> None:
    loss = make("param w = [1.0, 2.0]\nw[0]*mean(x) + w[1]*mse(x, 0)")
    assert loss(torch.ones(4)).dtype == torch.float32
    assert loss(torch.ones(4, dtype=torch.float64)).dtype == torch.float64
    assert loss.terms["mean"].dtype == torch.float64


def test_torch_says_nothing_of_a_failure_that_we_tell() -> None:
    said: list[logging.LogRecord] = []
    listener = logging.Handler(logging.WARNING)
    listener.emit = said.append  # type: ignore[method-assign]
    net = torch.nn.Linear(3, 1)
    loss = make("mse(f(a), f(b))", modules={"f": net})
    loggers = [logging.getLogger(name) for name in ("", "torch", "torch._subclasses.fake_tensor")]
    for logger in loggers:
        logger.addHandler(listener)
    try:
        with pytest.raises(LossInputError):
            loss(torch.zeros(4, 3), torch.zeros(6, 3))
    finally:
        for logger in loggers:
            logger.removeHandler(listener)
    assert said == []


@pytest.mark.parametrize("text", ["center(x, y, w)", "arcface(x, y, w)", "linear_ce(x, y, w)"])
def test_labels_lie_among_the_vectors_of_the_classes(text: str) -> None:
    x, w = torch.randn(2, 4), torch.randn(5, 4)
    with pytest.raises(LossInputError, match="the label 9 came: there are 5 classes"):
        lossdsl.compile(text, backend="eager")(x=x, y=torch.tensor([0, 9]), w=w)
