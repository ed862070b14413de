"""Kinds and shapes of undeclared inputs: the table of the language's reference, and its laws."""

from __future__ import annotations

import itertools

import pytest

import lossdsl


def contract(text: str) -> dict[str, str]:
    report = lossdsl.check(text)
    assert report.ok, str(report)
    assert report.contract is not None
    return {entry.name: str(entry.type) for entry in report.contract}


def kinds(text: str) -> dict[str, str]:
    report = lossdsl.check(text)
    assert report.ok, str(report)
    assert report.contract is not None
    return {entry.name: entry.kind for entry in report.contract}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bce(p, y)", {"p": "logits", "y": "prob"}),
        ("dice(p, y)", {"p": "logits", "y": "prob"}),
        ("jaccard(p, y)", {"p": "logits", "y": "prob"}),
        ("tversky(p, y)", {"p": "logits", "y": "prob"}),
        ("focal(p, y)", {"p": "logits", "y": "prob"}),
        ("ce(p, y)", {"p": "class_logits", "y": "labels"}),
        ("ce(p, y) + dice(p, y)", {"p": "class_logits", "y": "labels"}),
        ("bce(p, y) + mse(p, z)", {"p": "logits", "y": "prob", "z": "real"}),
        ("kl_div(p, q)", {"p": "class_logits", "q": "class_prob"}),
        ("js(p, q)", {"p": "class_prob", "q": "class_prob"}),
        ("mse(sigmoid(p), y)", {"p": "logits", "y": "real"}),
        ("mse(softmax(p), y)", {"p": "class_logits", "y": "real"}),
        ("log(mean(p))", {"p": "real"}),
        ("hinge(p, y)", {"p": "score", "y": "sign"}),
        ("gaussian_nll(m, y, v)", {"m": "real", "y": "real", "v": "positive"}),
        ("0.84*ssim(x, y) + 0.16*l1(x, y)", {"x": "image", "y": "image"}),
        ("clip(a, b)", {"a": "embedding", "b": "embedding"}),
        ("giou(b, t) + l1(b, t)", {"b": "boxes", "t": "boxes"}),
        ("bce(p, y, mask=m)", {"p": "logits", "y": "prob", "m": "mask"}),
        ("bce(2*p + b, y)", {"p": "logits", "b": "logits", "y": "prob"}),
        ("bce(p[:, 0], y)", {"p": "logits", "y": "prob"}),
        ("bce(p, 1 - y)", {"p": "logits", "y": "prob"}),
        ("bce(p, m*y)", {"p": "logits", "m": "prob", "y": "prob"}),
        ("bce(detach(p), y)", {"p": "logits", "y": "prob"}),
        ("mean(where(c, a, b))", {"c": "mask", "a": "real", "b": "real"}),
        ("bce(out.logits, y)", {"out": "record", "y": "prob"}),
        ("sum(w*ce(o, y) for o, w in zip(aux, [0.4, 0.2]))", {"aux": "list", "y": "labels"}),
        ("perceptual(f, g)", {"f": "list", "g": "list"}),
    ],
)
def test_kinds_of_undeclared_inputs(text: str, expected: dict[str, str]) -> None:
    assert kinds(text) == expected


def test_declared_labels_turn_dice_to_classes() -> None:
    text = "input y: labels[B, H, W]\ninput p: class_logits[B, C, H, W]\ndice(p, y)"
    assert kinds(text) == {"y": "labels", "p": "class_logits"}
    report = lossdsl.check("dice(p, y)")
    assert report.ok
    loss = lossdsl.compile("dice(p, y)", inputs={"y": "labels[B, H, W]"}, backend="eager")
    assert loss.contract["p"].kind == "class_logits"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mse(a, b)", {"a": "real[*S]", "b": "real[*S]"}),
        ("ce(p, y)", {"p": "class_logits[B, C, *S]", "y": "labels[B, *S]"}),
        ("bce(p, y) + tv(p)", {"p": "logits[B, C, H, *S]", "y": "prob[B, C, H, *S]"}),
        ("ssim(a, b)", {"a": "image[B, C, H, W]", "b": "image[B, C, H, W]"}),
        (
            "bce(p, y) + tv(img)",
            {"p": "logits[*S2]", "y": "prob[*S2]", "img": "image[B, C, H, *S]"},
        ),
        ("mse(a[:, 0], b)", {"a": "real[*S]", "b": "real[*S2]"}),
        ("giou(a, b)", {"a": "boxes[*S, 4]", "b": "boxes[*S, 4]"}),
        (
            "info_nce(q, k, n)",
            {"q": "embedding[N, D]", "k": "embedding[N, D]", "n": "embedding[M, D]"},
        ),
    ],
)
def test_shapes_of_undeclared_inputs(text: str, expected: dict[str, str]) -> None:
    assert contract(text) == expected


TERMS = ("bce(p, y)", "dice(p, y)", "mse(p, z)", "0.1*tv(img)", "mse(sigmoid(p), z)")


@pytest.mark.parametrize("order", list(itertools.permutations(range(len(TERMS))))[::9])
def test_the_order_of_terms_does_not_matter(order: tuple[int, ...]) -> None:
    expected = contract(" + ".join(TERMS))
    assert contract(" + ".join(TERMS[i] for i in order)) == expected


@pytest.mark.parametrize(
    "terms",
    [
        ("ce(p, y)", "dice(p, y)"),
        ("ce(p, y)", "dice(p, y)", "jaccard(p, y)"),
        ("softmax_focal(p, y)", "tversky(p, y)"),
        ("kl_div(p, q)", "dice(p, y)", "ce(p, y)"),
    ],
)
def test_the_order_of_terms_does_not_matter_for_overloads(terms: tuple[str, ...]) -> None:
    found = {tuple(sorted(kinds(" + ".join(o)).items())) for o in itertools.permutations(terms)}
    assert len(found) == 1


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("bce(p, y) + ce(p, z)", ("bce", "ce")),
        ("ce(p, z) + bce(p, y)", ("bce", "ce")),
        ("bce(p, y) + mse(softmax(p), z)", ("bce", "softmax")),
        ("mse(sigmoid(p), z) + mse(softmax(p), z)", ("sigmoid", "softmax")),
    ],
)
def test_contradicting_uses_show_both_places(text: str, names: tuple[str, str]) -> None:
    report = lossdsl.check(text)
    assert [d.code for d in report.errors] == ["E302"]
    (problem,) = report.errors
    assert all(f"`{name}`" in problem.message for name in names)
    assert problem.span.text == "p"
    assert [label.span.text for label in problem.labels] == ["p"]
    assert problem.labels[0].span.start != problem.span.start


def test_a_function_is_checked_for_each_call() -> None:
    text = "def f(a, b) = dice(a, b)\nf(p, y) + ce(q, z) + f(q, z)"
    assert kinds(text) == {"p": "logits", "y": "prob", "q": "class_logits", "z": "labels"}


def test_a_closed_program_needs_declarations() -> None:
    report = lossdsl.check("input p: logits[B]\nbce(p, target)")
    assert [d.code for d in report.errors] == ["E201"]


def test_inputs_given_to_compile_leave_the_program_open() -> None:
    loss = lossdsl.compile("bce(p, y)", inputs={"p": "logits[B, 1]"}, backend="eager")
    assert {e.name: str(e.type) for e in loss.contract} == {
        "p": "logits[B, 1]",
        "y": "prob[B, 1]",
    }
    assert [e.declared for e in loss.contract] == [True, False]
