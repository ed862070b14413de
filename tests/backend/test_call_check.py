"""Wrong tensors: what is said, where it points, and that nothing else escapes."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import lossdsl

DECLARED = {"p": "logits[B, 1, H, W]", "y": "mask[B, 1, H, W]", "img": "image[B, 3, H, W]"}
P, Y, IMG = torch.randn(4, 1, 8, 6), torch.rand(4, 1, 8, 6) > 0.5, torch.rand(4, 3, 8, 6)


def declared_loss() -> lossdsl.Loss:
    return lossdsl.compile("bce(p, y) + dice(p, y) + 0.1*tv(img)", inputs=DECLARED, backend="eager")


def refused(loss: Any, *args: Any, **kwargs: Any) -> lossdsl.LossInputError:
    with pytest.raises(lossdsl.LossInputError) as raised:
        loss(*args, **kwargs)
    return raised.value


def test_a_wrong_shape_names_all_that_matters() -> None:
    error = refused(declared_loss(), p=P, y=Y, img=torch.rand(4, 3, 9, 6))
    (problem,) = error.diagnostics
    assert problem.code == "E603"
    assert "`img` is declared image[B, 3, H, W], and [4, 3, 9, 6] came" in problem.message
    assert "B = 4 (from `p`)" in "\n".join(problem.notes)
    assert "H = 8 (from `p`)" in "\n".join(problem.notes)
    assert "needed by the term `tv`" in "\n".join(problem.notes)
    assert problem.span.text == "image[B, 3, H, W]"


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"y": Y[:, 0]}, "E603", "[4, 8, 6] came"),
        ({"y": torch.rand(4, 2, 8, 6)}, "E603", "[4, 2, 8, 6] came"),
        ({"p": P[:0], "y": Y}, "E603", "came"),
        ({"p": torch.randint(3, (4, 1, 8, 6))}, "E604", "`x.float()`"),
        ({"p": P.to(torch.complex64)}, "E604", "complex"),
        ({"p": None}, "E606", "None came"),
        ({"p": P.numpy()}, "E606", "torch.as_tensor"),
        ({"p": 0.5}, "E606", "float came"),
        ({"p": [P]}, "E606", "list came"),
        ({"y": torch.full((4, 1, 8, 6), 0.5)}, "E605", "other than 0 and 1"),
    ],
)
def test_wrong_inputs(change: dict[str, Any], code: str, said: str) -> None:
    error = refused(declared_loss(), **({"p": P, "y": Y, "img": IMG} | change))
    assert code in {d.code for d in error.diagnostics}
    assert said in str(error)
    assert "Traceback" not in str(error)


@pytest.mark.parametrize(
    ("args", "kwargs", "code", "said"),
    [
        ((), {"p": P, "y": Y}, "E601", "`img`"),
        ((P, Y), {}, "E601", "`img`"),
        ((P, Y, IMG, IMG), {}, "E602", "4 tensors"),
        ((P, Y, IMG), {"p": P}, "E602", "twice"),
        ((), {"p": P, "y": Y, "img": IMG, "image": IMG}, "E602", "no input `image`"),
        (({"p": P, "y": Y},), {}, "E601", "`img`"),
    ],
)
def test_missing_and_unknown_inputs(
    args: tuple[Any, ...], kwargs: dict[str, Any], code: str, said: str
) -> None:
    error = refused(declared_loss(), *args, **kwargs)
    assert {d.code for d in error.diagnostics} == {code}
    assert said in str(error)


def test_the_three_ways_to_call() -> None:
    loss = declared_loss()
    value = loss(p=P, y=Y, img=IMG)
    assert torch.equal(loss(P, Y, IMG), value)
    assert torch.equal(loss({"img": IMG, "y": Y, "p": P, "id": "ignored"}), value)
    assert torch.equal(loss(P, img=IMG, y=Y), value)


@pytest.mark.parametrize(("a", "b"), [((4, 1), (4,)), ((4,), (4, 1)), ((4, 3), (3,)), ((3,), (1,))])
def test_nothing_broadcasts_silently(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    loss = lossdsl.compile("mse(a, b)", backend="eager")
    error = refused(loss, torch.randn(a), torch.randn(b))
    (problem,) = error.diagnostics
    assert "mse" in problem.message
    assert problem.span.text == "b"
    assert "in the term `mse`" in problem.notes


def test_class_indices_where_probabilities_were_inferred() -> None:
    loss = lossdsl.compile("dice(p, y)", backend="eager")
    error = refused(loss, torch.randn(2, 3, 8, 8), torch.randint(3, (2, 8, 8)))
    assert "`input y: labels[B, H, W]`" in str(error)


def test_soft_targets_where_labels_were_inferred() -> None:
    loss = lossdsl.compile("ce(p, y)", backend="eager")
    error = refused(loss, torch.randn(4, 3), torch.rand(4, 3))
    assert "`input y: class_prob[B, C]`" in str(error)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_labels_outside_the_classes(backend: str) -> None:
    loss = lossdsl.compile("ce(p, y)", backend=backend)
    p = torch.randn(4, 3)
    loss(p, torch.tensor([0, 1, 2, -100]))
    error = refused(loss, p, torch.tensor([0, 1, 2, 7]))
    assert "the label 7 came: there are 3 classes (0 to 2)" in str(error)
    error = refused(lossdsl.compile("ce(p, y)", backend=backend), p, torch.tensor([0, -1, 2, 1]))
    assert "the label -1 came" in str(error)


def test_probabilities_outside_their_range() -> None:
    loss = lossdsl.compile("bce(p, y)", backend="eager")
    assert "it lies in [0, 1]" in str(refused(loss, torch.randn(4), torch.tensor([0, 1, 2, 1.0])))


def test_sizes_that_only_the_call_knows() -> None:
    loss = lossdsl.compile("mse(a*w, b)", backend="eager")
    loss(a=torch.randn(3, 4), w=torch.randn(3, 1), b=torch.randn(3, 4))
    error = refused(loss, a=torch.randn(3, 4), w=torch.randn(4), b=torch.randn(3, 4))
    assert "axes are not added silently" in str(error)


def test_symbolic_arithmetic_at_the_call() -> None:
    declared = {"a": "real[B, H]", "b": "real[B, 2*H]"}
    loss = lossdsl.compile("mean(a[:, :4]) + mean(b)", inputs=declared, backend="eager")
    loss(torch.randn(2, 4), torch.randn(2, 8))
    error = refused(loss, torch.randn(2, 4), torch.randn(2, 9))
    assert "`b` is declared real[B, 2*H], and [2, 9] came" in str(error)
    error = refused(loss, torch.randn(2, 3), torch.randn(2, 6))
    assert error.diagnostics[0].code == "E603"


@pytest.mark.parametrize(
    "declared",
    [
        {"a": "real[B, 2*H]", "b": "real[B, H]"},
        {"b": "real[B, H]", "a": "real[B, 2*H]"},
        {"a": "real[B, 2*H]"},
    ],
)
def test_arithmetic_sizes_hold_in_any_order(declared: dict[str, str]) -> None:
    text = " + ".join(f"mean({name})" for name in declared)
    loss = lossdsl.compile(text, inputs=declared, backend="eager")
    good = {"a": torch.randn(2, 8), "b": torch.randn(2, 4)}
    loss({name: good[name] for name in declared})
    bad = good | {"a": torch.randn(2, 7)}
    assert "2*H" in str(refused(loss, {name: bad[name] for name in declared}))


def test_windows_and_slices_ask_for_enough_pixels() -> None:
    ssim = lossdsl.compile("ssim(a, b)", backend="eager")
    assert "of at least 11" in str(refused(ssim, torch.rand(1, 1, 8, 20), torch.rand(1, 1, 8, 20)))
    head = lossdsl.compile("mean(x[:, :5])", backend="eager")
    assert "asks for 5" in str(refused(head, torch.rand(2, 3)))


def test_records_lists_and_objects() -> None:
    loss = lossdsl.compile("mse(out.logits, y) + l1(out['aux'], y)", backend="eager")
    t = torch.randn(3)
    assert float(loss(out={"logits": t, "aux": t + 1}, y=t)) == pytest.approx(1.0)
    assert float(loss(out=SimpleNamespace(logits=t, aux=t), y=t)) == 0
    error = refused(loss, out={"logits": t}, y=t)
    assert "`out` has no `aux`" in str(error)
    pair = lossdsl.compile("sum(w*mse(o, y) for o, w in zip(aux, [1, 2]))", backend="eager")
    assert "`aux` has 2 items, and 3 came" in str(refused(pair, aux=[t, t, t], y=t))


def test_an_open_list_takes_any_length() -> None:
    loss = lossdsl.compile("sum(mse(o, y) for o in aux)", backend="eager")
    t = torch.zeros(3)
    for n in (1, 3, 2, 3):
        assert float(loss(aux=[t + 1] * n, y=t)) == n
    assert list(loss.terms) == ["mse"]
    refused(loss, aux=[], y=t)


def test_optional_inputs_make_their_terms_zero() -> None:
    text = "input p: logits[B]\ninput y?: mask[B]\ninput z: real[B]\nbce(p, y) + mse(p, z)"
    loss = lossdsl.compile(text, backend="eager")
    x = torch.randn(5)
    both = loss(p=x, y=x > 0, z=x + 1)
    alone = loss(p=x, z=x + 1)
    assert float(alone) == pytest.approx(1.0)
    assert loss.terms["bce"].item() == 0
    assert float(both) > 1
    assert torch.equal(loss(p=x, y=None, z=x + 1), alone)
    assert torch.equal(loss(x, None, x + 1), alone)
    assert "`z`" in str(refused(loss, p=x))


def test_declared_inputs_that_a_loss_does_not_read_may_be_named() -> None:
    text = "input p: real[B]\ninput extra: real[B]\nmean(p)"
    loss = lossdsl.compile(text, backend="eager")
    assert [d.code for d in loss.warnings] == ["W201"]
    assert loss.contract.names == ("p",)
    loss(p=torch.ones(2), extra=torch.ones(2))


def test_errors_pickle_and_keep_their_places() -> None:
    error = refused(declared_loss(), p=P, y=Y[:, 0], img=IMG)
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    problem = copy.diagnostics[0]
    assert (problem.line, problem.column) == (1, 1)
    assert problem.end == (1, len("mask[B, 1, H, W]") + 1)


def test_terms_before_the_first_call_are_refused() -> None:
    with pytest.raises(RuntimeError, match="not called yet"):
        _ = lossdsl.compile("mse(a, b)", backend="eager").terms


VECTOR = torch.randn(3)
MATRIX = torch.randn(3, 2)


@pytest.mark.parametrize(
    ("text", "tensors", "said"),
    [
        ("mean(softmax(x)**2)", {"x": VECTOR}, "has one axis"),
        ("mean(log_softmax(x)**2)", {"x": VECTOR}, "has one axis"),
        ("mean(real(argmax(x))*x)", {"x": VECTOR}, "has one axis"),
        ("mean(x, where=y > 0)", {"x": VECTOR[0], "y": VECTOR}, "one number already"),
        ("mean(x, where=y > 0)", {"x": MATRIX[:, :1], "y": MATRIX}, "does not fit"),
        ("mean(x, where=m)", {"x": VECTOR, "m": VECTOR[0] > 0}, "is one number"),
        ("quantile(x, y, q=[0.1, 0.5, 0.9])", {"x": MATRIX, "y": VECTOR}, "3 numbers"),
    ],
)
def test_what_torch_would_refuse_is_told(
    text: str, tensors: dict[str, torch.Tensor], said: str
) -> None:
    (problem,) = refused(lossdsl.compile(text, backend="eager"), **tensors).diagnostics
    assert problem.code == "E603"
    assert said in problem.message


def test_a_list_of_quantiles_is_held_against_a_declared_size() -> None:
    text = "input x: real[B, Q]\ninput y: real[B]\nparam q = [0.1, 0.9]\nquantile(x, y, q=q)"
    loss = lossdsl.compile(text, backend="eager")
    assert loss(MATRIX, VECTOR).dim() == 0
    (problem,) = refused(loss, torch.randn(3, 4), VECTOR).diagnostics
    assert "2 numbers" in problem.message
    assert "4 entries" in problem.message


def test_the_only_axis_of_a_vector_may_be_named() -> None:
    x, y = torch.randn(4), torch.tensor(2)
    value = lossdsl.compile("mean(gather(x, y))", backend="eager")(x=x, y=y)
    assert torch.equal(value, x[2])
    cast = lossdsl.compile("sum(softmax(class_logits(x))*y)", backend="eager")
    assert torch.equal(cast(x=x, y=x), (torch.softmax(x, 0) * x).sum())


def test_a_message_has_numbers_or_names() -> None:
    loss = lossdsl.compile("mse(x, y)", inputs={"x": "real[B, H, W]"}, backend="eager")
    (problem,) = refused(loss, x=torch.ones(2, 3, 4), y=torch.ones(2, 3)).diagnostics
    assert "needs [2, 3, 4]" in problem.message
    assert "real[2, 3]" in problem.message
