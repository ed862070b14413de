"""What the graph computes once, and what is the same graph."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import lossdsl


def calls(text: str, **options: object) -> list[str]:
    """The functions that the graph of a program calls, in order."""
    loss = lossdsl.compile(text, backend="eager", **options)  # type: ignore[arg-type]
    nodes = loss.graph_module.graph.nodes
    return [n.target.__name__ for n in nodes if n.op == "call_function"]


@pytest.mark.parametrize(
    ("written", "same_as"),
    [
        ("bce(sigmoid(p), y)", "bce(p, y)"),
        ("focal(sigmoid(p), y)", "focal(p, y)"),
        ("ce(softmax(p), y)", "ce(p, y)"),
        ("ce(log(softmax(p)), y)", "ce(p, y)"),
        ("ce(log_softmax(p), y)", "ce(p, y)"),
        ("kl_div(softmax(p), q)", "kl_div(p, q)"),
        ("dice(sigmoid(p), y)", "dice(p, y)"),
        ("mean(log(sigmoid(p)))", "mean(logsigmoid(p))"),
        ("mean(log(1 + exp(x)))", "mean(softplus(x))"),
        ("mean(log(sum(exp(x), over=[1])))", "mean(logsumexp(x, over=[1]))"),
        ("q = sigmoid(p); bce(q, y) + dice(q, y)", "bce(p, y) + dice(p, y)"),
    ],
)
def test_spelled_out_activations_compile_to_the_same_graph(written: str, same_as: str) -> None:
    assert calls(written) == calls(same_as)


def test_class_axis_elsewhere_keeps_the_stable_form() -> None:
    declared = "input p: class_logits[B, T, C]\ninput y: labels[B, T]\n"
    assert calls(declared + "ce(softmax(p), y)") == calls(declared + "ce(p, y)")


def test_ce_and_dice_share_one_softmax_family() -> None:
    functions = calls("ce(p, y) + dice(p, y) + jaccard(p, y)")
    assert functions.count("log_softmax") == 1
    assert functions.count("softmax") == 0
    assert functions.count("one_hot_like") == 1


def test_conversions_are_inserted_once() -> None:
    functions = calls("dice(p, y) + jaccard(p, y) + tversky(p, y)")
    assert functions.count("sigmoid") == 1
    assert functions.count("as_float") == 2


def test_a_written_activation_is_the_inserted_one() -> None:
    assert calls("dice(p, y) + mean(sigmoid(p))").count("sigmoid") == 1


def test_equal_terms_cost_one() -> None:
    functions = calls("0.3*mse(a, b) + 0.7*mse(a, b)")
    assert functions.count("mse") == 1


def test_a_softmax_is_not_doubled() -> None:
    torch.manual_seed(0)
    p, y = torch.randn(6, 5), torch.randint(5, (6,))
    loss = lossdsl.compile("ce(softmax(p), y)", backend="eager")
    torch.testing.assert_close(loss(p, y), F.cross_entropy(p, y))


def test_literals_fold() -> None:
    functions = calls("(2*3 - 5)*mse(a, b) + mse(a, b)/2**1")
    assert set(functions) <= {"as_float", "mse", "mean", "mul", "add"}


def test_a_term_of_weight_zero_is_not_computed_and_stays_in_the_ledger() -> None:
    loss = lossdsl.compile("mse(a, b) + 0*l1(a, b)", backend="eager")
    called = [n.target.__name__ for n in loss.graph_module.graph.nodes if n.op == "call_function"]
    assert "l1" not in called
    assert [d.code for d in loss.warnings] == ["W202"]
    a, b = torch.randn(3), torch.randn(3)
    loss(a, b)
    assert list(loss.terms) == ["mse", "l1"]
    assert loss.terms["l1"].item() == 0
