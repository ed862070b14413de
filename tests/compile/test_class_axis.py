"""The class axis wherever it stands, labels that are ignored, and class weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import lossdsl

BTC = {"p": "class_logits[B, T, C]", "y": "labels[B, T]"}


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_classes_last_without_a_transpose_by_the_user(backend: str) -> None:
    loss = lossdsl.compile("ce(p, y)", inputs=BTC, backend=backend)
    p = torch.randn(3, 7, 5, dtype=torch.float64, requires_grad=True)
    y = torch.randint(5, (3, 7))
    value = loss(p, y)
    value.backward()
    q = p.detach().clone().requires_grad_()
    expected = F.cross_entropy(q.reshape(-1, 5), y.reshape(-1))
    expected.backward()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(p.grad, q.grad)


def test_another_name_is_said_in_the_kind() -> None:
    loss = lossdsl.compile(
        "ce(p, y) + dice(p, y)",
        inputs={"p": "class_logits(V)[B, T, V]", "y": "labels[B, T]"},
        backend="eager",
    )
    moved = lossdsl.compile("ce(p, y) + dice(p, y)", backend="eager")
    p, y = torch.randn(3, 7, 5), torch.randint(5, (3, 7))
    torch.testing.assert_close(loss(p, y), moved(p.movedim(2, 1), y))


def test_a_class_kind_without_a_class_axis_is_refused() -> None:
    report = lossdsl.check("input p: class_logits[B, T, V]\ninput y: labels[B, T]\nce(p, y)")
    assert [d.code for d in report.errors] == ["E306"]
    assert "class_logits(V)" in str(report)


@pytest.mark.parametrize("ignore", [-100, 255, 3])
def test_ignored_labels_are_left_out_of_sum_and_count(ignore: int) -> None:
    declared = {"p": "class_logits[B, C, H, W]", "y": f"labels(ignore={ignore})[B, H, W]"}
    loss = lossdsl.compile("ce(p, y)", inputs=declared, backend="eager")
    p = torch.randn(2, 4, 6, 5, requires_grad=True)
    y = torch.randint(3, (2, 6, 5))
    y[torch.rand(y.shape) < 0.3] = ignore
    expected = F.cross_entropy(p, y, ignore_index=ignore)
    torch.testing.assert_close(loss(p, y), expected)
    by_keyword = lossdsl.compile(f"ce(p, y, ignore_index={ignore})", backend="eager")
    torch.testing.assert_close(by_keyword(p, y), expected)


@pytest.mark.parametrize("text", ["ce(p, y)", "dice(p, y)", "lovasz_softmax(p, y)", "poly1(p, y)"])
def test_everything_ignored_is_zero_with_zero_gradients(text: str) -> None:
    loss = lossdsl.compile(text, inputs={"y": "labels[B, H, W]"}, backend="eager")
    p = torch.randn(2, 4, 6, 5, requires_grad=True)
    value = loss(p, torch.full((2, 6, 5), -100))
    value.backward()
    assert value.item() == 0
    assert p.grad is not None
    assert torch.equal(p.grad, torch.zeros_like(p))


def test_overlap_losses_leave_ignored_pixels_out_of_every_sum() -> None:
    loss = lossdsl.compile("dice(p, y)", inputs={"y": "labels[B, H, W]"}, backend="eager")
    p, y = torch.randn(2, 4, 6, 5), torch.randint(4, (2, 6, 5))
    y[:, :, 3:] = -100
    torch.testing.assert_close(loss(p, y), loss(p[..., :3], y[..., :3]))


WEIGHTS = [0.5, 2.0, 1.0, 0.25]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_weights_divide_as_torch_does(smoothing: float) -> None:
    text = f"ce(p, y, class_weight={WEIGHTS}, label_smoothing={smoothing})"
    loss = lossdsl.compile(text, backend="eager")
    p, y = torch.randn(2, 4, 6, 5, dtype=torch.float64), torch.randint(4, (2, 6, 5))
    y[0, :2] = -100
    weight = torch.tensor(WEIGHTS, dtype=torch.float64)
    expected = F.cross_entropy(p, y, weight=weight, label_smoothing=smoothing)
    torch.testing.assert_close(loss(p, y), expected)


def test_class_weights_with_soft_targets() -> None:
    loss = lossdsl.compile(
        f"ce(p, q, class_weight={WEIGHTS})", inputs={"q": "class_prob[B, C]"}, backend="eager"
    )
    p = torch.randn(6, 4, dtype=torch.float64)
    q = torch.softmax(torch.randn(6, 4, dtype=torch.float64), 1)
    expected = F.cross_entropy(p, q, weight=torch.tensor(WEIGHTS, dtype=torch.float64))
    torch.testing.assert_close(loss(p, q), expected)


@pytest.mark.parametrize("where", ["literal", "param", "input"])
def test_class_weights_from_everywhere(where: str) -> None:
    p, y = torch.randn(8, 4), torch.randint(4, (8,))
    expected = F.cross_entropy(p, y, weight=torch.tensor(WEIGHTS))
    if where == "literal":
        loss = lossdsl.compile(f"ce(p, y, class_weight={WEIGHTS})", backend="eager")
        value = loss(p, y)
    elif where == "param":
        loss = lossdsl.compile("ce(p, y, class_weight=w)", params={"w": WEIGHTS}, backend="eager")
        value = loss(p, y)
    else:
        loss = lossdsl.compile("ce(p, y, class_weight=w)", backend="eager")
        value = loss(p=p, y=y, w=torch.tensor(WEIGHTS))
    torch.testing.assert_close(value, expected)


def test_class_weights_of_overlap_losses() -> None:
    weighted = lossdsl.compile(
        f"dice(p, y, class_weight={WEIGHTS})", inputs={"y": "labels[B, H, W]"}, backend="eager"
    )
    plain = lossdsl.compile(
        "dice(p, y, reduction='none')[0, 0] ", inputs={"y": "labels[B, H, W]"}, backend="eager"
    )
    assert plain is not None
    p, y = torch.randn(2, 4, 6, 5), torch.randint(4, (2, 6, 5))
    maps = []
    for b in range(2):
        row = []
        for c in range(4):
            one = lossdsl.compile(
                f"dice(p, y, reduction='none')[{b}, {c}]",
                inputs={"y": "labels[B, H, W]"},
                backend="eager",
            )
            row.append(one(p, y))
        maps.append(torch.stack(row))
    table, weight = torch.stack(maps), torch.tensor(WEIGHTS)
    expected = (table * weight).sum() / (weight.sum() * 2)
    torch.testing.assert_close(weighted(p, y), expected)


def test_class_count_and_weights_must_agree() -> None:
    text = "input p: class_logits[B, 3]\ninput y: labels[B]\nce(p, y, class_weight=[1, 2])"
    report = lossdsl.check(text)
    assert [d.code for d in report.errors] == ["E401"]


def test_softmax_over_one_class_is_refused() -> None:
    text = "input p: class_logits[B, 1, H, W]\ninput y: labels[B, H, W]\nce(p, y)"
    report = lossdsl.check(text.replace("class_logits[B, 1", "class_logits(1)[B, 1"))
    assert [d.code for d in report.errors] == ["E304"]


def test_a_list_of_class_weights_meets_a_symbol_at_the_call() -> None:
    declared = {"p": "class_logits[B, C, H, W]", "y": "labels[B, H, W]"}
    loss = lossdsl.compile("ce(p, y, class_weight=[1, 2, 3])", inputs=declared, backend="eager")
    p, y = torch.randn(2, 3, 4, 4), torch.randint(3, (2, 4, 4))
    weight = torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(loss(p, y), F.cross_entropy(p, y, weight=weight))
    with pytest.raises(lossdsl.LossInputError, match="one number a class"):
        loss(torch.randn(2, 5, 4, 4), y)
