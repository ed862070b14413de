"""What a loss reads of its arguments, and nothing else."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import lossdsl
from lossdsl import LossInputError
from lossdsl.backend.names import argument_names, state_names


def make(text: str, **options: Any) -> Any:
    return lossdsl.compile(text, backend="eager", **options)


def test_sizes_deep_in_an_object_are_checked_each_time_they_change() -> None:
    loss = make("mse(out.a.b, y)")

    def out(size: int) -> SimpleNamespace:
        return SimpleNamespace(a=SimpleNamespace(b=torch.zeros(size)), note=object())

    assert loss(out(3), torch.ones(3)).item() == 1.0
    with pytest.raises(LossInputError, match=r"needs \[1\]"):
        loss(out(1), torch.ones(3))


def test_a_list_in_an_object_has_its_length() -> None:
    loss = make("sum(mse(x, y) for x in out.aux)")
    y = torch.ones(2)
    for count in (1, 3, 2, 3):
        assert loss(SimpleNamespace(aux=[torch.zeros(2)] * count), y).item() == count


def test_what_a_loss_does_not_read_does_not_make_it_check_again() -> None:
    loss = make("mse(out.a, y)")
    for index in range(5):
        loss(SimpleNamespace(a=torch.zeros(2), id=index, junk=torch.zeros(index)), torch.ones(2))
        loss({"a": torch.zeros(2), f"k{index}": index}, torch.ones(2))
    assert len(loss._runs) == 1


def test_lists_in_lists_may_be_ragged() -> None:
    loss = make(
        "input rows: list[list[real[B]]]\ninput y: real[B]\n"
        "sum(sum(mse(x, y) for x in row) for row in rows)"
    )
    x, y = torch.zeros(2), torch.ones(2)
    assert loss([[x], [x, x]], y).item() == 3.0
    assert loss([[x, x, x]], y).item() == 3.0
    assert loss([[x], [x]], y).item() == 2.0


@pytest.mark.parametrize("given", [{}, {"aux": None}, {"other": 1}])
def test_a_list_that_is_not_there_is_told(given: Any) -> None:
    loss = make("sum(mse(x, y) for x in out.aux)")
    with pytest.raises(LossInputError, match="aux"):
        loss(given, torch.ones(2))


def test_an_optional_list_may_be_absent() -> None:
    loss = make(
        "input aux?: list[real[B]]\ninput p: real[B]\ninput y: real[B]\n"
        "mse(p, y) + sum(mse(x, y) for x in aux)"
    )
    p, y = torch.zeros(2), torch.ones(2)
    assert loss(p=p, y=y).item() == 1.0
    assert loss(p=p, y=y, aux=[p, p]).item() == 3.0


def test_evaluation_and_training_are_told_apart() -> None:
    loss = make("mse(p, y)")
    loss(torch.zeros(2), torch.ones(2))
    with torch.no_grad():
        loss(torch.zeros(2), torch.ones(2))
    assert len(loss._runs) == 2


def test_runs_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossdsl.backend.module._MOST_RUNS", 3)
    loss = make("mse(p, y)")
    for size in range(1, 10):
        loss(torch.zeros(size), torch.ones(size))
        assert len(loss._runs) <= 3


# --- devices and layouts ---


def test_tensors_on_different_devices_are_told() -> None:
    loss = make("mse(p, y)")
    with pytest.raises(LossInputError, match="`p` is on cpu, and `y` is on meta") as found:
        loss(torch.zeros(2), torch.zeros(2, device="meta"))
    assert found.value.diagnostics[0].code == "E607"


def test_a_number_may_be_on_another_device() -> None:
    loss = make("input w: real[]\ninput p: real[B]\ninput y: real[B]\nw*mse(p, y)")
    there = torch.zeros(2, device="meta")
    assert loss(p=there, y=there, w=torch.tensor(3.0)).device.type == "meta"


def test_meta_tensors_run() -> None:
    loss = make("bce(p, y) + dice(p, y)")
    p = torch.zeros(2, 1, 4, 4, device="meta")
    assert loss(p, p.clone()).device.type == "meta"


def nested() -> torch.Tensor:
    return torch.nested.nested_tensor([torch.zeros(2), torch.ones(3)], layout=torch.jagged)


@pytest.mark.parametrize("kind", ["nested", "sparse_coo"])
def test_only_dense_tensors(kind: str) -> None:
    odd = nested() if kind == "nested" else torch.zeros(3).to_sparse()
    with pytest.raises(LossInputError, match=f"a {kind} one came") as found:
        make("mse(p, y)")(odd, torch.zeros(3))
    assert found.value.diagnostics[0].code == "E606"


# --- sizes ---


def test_arithmetic_sizes_settle_in_any_order() -> None:
    loss = make(
        "input a: real[H + W]\ninput b: real[2*H]\ninput c: real[W + 1]\nmean(a)+mean(b)+mean(c)"
    )
    assert loss(torch.ones(5), torch.ones(4), torch.ones(4)).item() == 3.0
    with pytest.raises(LossInputError, match=r"an axis of 6 came for `H \+ W`"):
        loss(torch.ones(6), torch.ones(4), torch.ones(4))


# --- networks ---


def test_two_calls_of_a_network_are_two_and_a_binding_is_one() -> None:
    net = nn.Dropout(0.5)
    x = torch.ones(1000)
    assert make("mse(f(x), f(x))", modules={"f": net})(x).item() > 0.5
    assert make("z = f(x)\nmse(z, z)", modules={"f": net})(x).item() == 0.0


def test_equal_calls_of_a_frozen_network_are_one() -> None:
    calls = []

    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            calls.append(x)
            return 2 * x

    text = (
        "input f: frozen module(real[B]) -> real[B]\ninput x: real[B]\ninput y: real[B]\n"
        "mse(f(x), y) + l1(f(x), y)"
    )
    loss = make(text, modules={"f": Net()})
    loss(torch.ones(2), torch.ones(2))
    calls.clear()
    loss(torch.ones(2), torch.ones(2))
    assert len(calls) == 1


# --- names ---


def test_names_of_the_state_are_all_different() -> None:
    names = state_names(
        ["set", "set_", "_first", "in", "w"], ["w", "set", "eval"], ["ema_1", "set"]
    )
    made = [*names.params.values(), *names.modules.values(), *names.averages.values()]
    assert len(set(made)) == len(made)
    assert names.params["w"] == "w"
    assert names.params["set_"] == "set_"
    assert not {"set", "_first", "in", "eval"} & set(made)


def test_names_of_arguments_are_all_different() -> None:
    assert argument_names(["self", "self_", "p", "in"]) == ("self__", "self_", "p", "in_")


def test_params_with_awkward_names_keep_apart() -> None:
    loss = make(
        "param set = 1\nparam set_ = 2\nparam _first = 3\n"
        "set*mse(p, y) + set_*l1(p, y) + _first*mse(p, y)"
    )
    p, y = torch.zeros(2), torch.full((2,), 3.0)
    assert loss(p, y).item() == 9 + 6 + 27
    loss.set(set=10, set_=20)
    assert loss(p, y).item() == 90 + 60 + 27
    assert len(loss.state_dict()) == 5


def test_every_attribute_of_a_loss_is_its_own() -> None:
    loss = make("param w = 1\nw*mse(p, y)")
    public = {name for name in dir(loss) if not name.startswith("_")} - {
        "w",
        "clock_step",
        "clock_epoch",
    }
    for name in sorted(public):
        assert state_names([name], [], []).params[name] != name


# --- losses without tensors, copies ---


def test_a_loss_whose_terms_all_vanish_is_zero_where_its_inputs_are() -> None:
    loss = make("input o: list[labels[B]]\ninput y: real[B]\n0*mse(real(o[0]), y)")
    value = loss([torch.zeros(2, dtype=torch.int64)], torch.ones(2))
    assert value.dtype == torch.float32
    assert value.item() == 0.0
    double = loss([torch.zeros(2, dtype=torch.int64)], torch.ones(2, dtype=torch.float64))
    assert double.dtype == torch.float64


def test_a_loss_that_was_compiled_in_place_is_copied() -> None:
    loss = make("param w = 2\nw*mse(p, y)")
    loss.compile(backend="eager")
    p, y = torch.zeros(2), torch.ones(2)
    assert loss(p, y).item() == 2.0
    assert pickle.loads(pickle.dumps(loss))(p, y).item() == 2.0
