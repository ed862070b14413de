"""Wrong programs: for each the code, the text underlined, and the way out."""

from __future__ import annotations

import pytest

import lossdsl

BCHW = "input p: logits[B, 1, H, W]\ninput y: mask[B, 1, H, W]\ninput img: image[B, 3, H, W]\n"
CLASSES = "input p: class_logits[B, C, H, W]\ninput y: labels[B, H, W]\n"

WRONG: list[tuple[str, str, str, str | None]] = [
    # names
    ("dise(p, y)", "E202", "dise", "did you mean `dice`?"),
    ("l2(p, y)", "E202", "l2", "`l2` is called `mse` here"),
    ("nll_loss(p, y)", "E202", "nll_loss", "`nll_loss` is called `nll` here"),
    ("zero_one(p, y)", "E202", "zero_one", "no gradient: train with `ce`"),
    ("accuracy(q - 1, y)", "E202", "accuracy", "`mean(argmax(q - 1, over=1) != y)`"),
    ("soft_f1(p, y)", "E202", "soft_f1", "`dice(p, y, over='batch')`"),
    ("multi_task(p, y)", "E202", "multi_task", "added with their weights"),
    ("huber_loss(p, y)", "E202", "huber_loss", "`huber_loss` is called `huber` here"),
    ("x.mean() + mse(x, y)", "E202", "x.mean", None),
    ("zip(a, b)", "E202", "zip", "comprehension"),
    ("learnable(0.1)*mse(a, b)", "E202", "learnable", "params"),
    (BCHW + "bce(p, yy)", "E201", "yy", "did you mean `y`?"),
    (BCHW + "bce(p, y) + tv(image)", "E201", "image", None),
    ("a = mse(x, y)\na = l1(x, y)\na", "E203", "a", "once"),
    ("x = sigmoid(x)\nmse(x, y)", "E203", "x", "once"),
    ("a = b + 1\nb = mse(x, y)\na", "E208", "b", "move the line of `b`"),
    ("def f(x) = f(x)\nf(a)", "E207", "f", "finite"),
    ("def f(x) = g(x)\ndef g(x) = f(x)\nf(a)", "E207", "f", "finite"),
    ("def f(x) = x*q\nmean(f(a))", "E201", "q", "argument"),
    ("def f(x, k) = x*k\nmean(f(a))", "E204", "f(a)", None),
    ("def f(x) = x\nmean(f(a, b))", "E204", "b", None),
    ("def f(x) = x\nmean(f(a, z=b))", "E205", "z", None),
    ("mse(a, b) as t + l1(a, b) as t", "E210", "t", None),
    ("input out: {x: real[B]}\nmean(out.z)", "E211", "out.z", "its fields are x"),
    ("input scale: real[B]\nmean(scale)", "E203", "scale", "reserved"),
    ("param a = b\nmse(x, y)", "E504", "b", "learnable"),
    # arguments
    ("mse(p)", "E204", "mse(p)", None),
    ("mse(p, y, z)", "E204", "z", None),
    ("huber(p, y, 0.5)", "E204", "0.5", "`delta=0.5`"),
    ("mse(p, y, p=z)", "E204", "p", None),
    ("huber(p, y, detla=0.5)", "E205", "detla", "did you mean `delta`?"),
    ("mse(p, y, alpha=2)", "E205", "alpha", None),
    ("quantile(p, y, q=1.5)", "E206", "1.5", None),
    ("focal(p, y, gamma=-1)", "E206", "-1", None),
    ("dice(p, y, over='pixel')", "E206", "'pixel'", None),
    ("dice(p, y, squared=1)", "E206", "1", None),
    ("mse(p, y, reduction='avg')", "E206", "'avg'", None),
    ("dice(p, y, over=mode)", "E209", "mode", "literal"),
    ("clip(a, b, mask=m)", "E212", "m", None),
    ("mse(a, b, class_weight=[1, 2])", "E212", "[1, 2]", "weight"),
    ("max(a, b)", "E204", "b", "`maximum`"),
    ("mean(a, over=1.5)", "E404", "1.5", None),
    ("mean(a, keepdim=1)", "E206", "1", None),
    # kinds
    ("dice(sigmoid(sigmoid(p)), y)", "E303", "sigmoid(sigmoid(p))", "drop one `sigmoid`"),
    ("ce(softmax(softmax(p)), y)", "E303", "softmax(softmax(p))", "drop one `softmax`"),
    (BCHW + "bce(sigmoid(y), y)", "E303", "sigmoid(y)", "leave `sigmoid` out"),
    (BCHW + "bce(softmax(p), y)", "E301", "p", "`sigmoid`"),
    (CLASSES + "bce(p, y)", "E301", "p", "`ce`"),
    (CLASSES + "mean(sigmoid(p))", "E301", "p", "`softmax`"),
    (CLASSES + "mean(p*y)", "E301", "y", "`real(y)`"),
    (CLASSES + "mse(p, y)", "E301", "y", "`real(y)`"),
    (BCHW + "ce(p, y)", "E301", "p", None),
    ("input v: real[B]\ninput m: real[B]\ngaussian_nll(m, m, v)", "E301", "v", "softplus"),
    ("input b: real[B, 4]\ngiou(b, b)", "E301", "b", "boxes"),
    ("input p: logits[B]\ninput y: real[B]\nbce(p, y)", "E301", "y", "`prob(y)`"),
    ("input p: prob[B]\ninput y: mask[B]\nhinge(p, y)", "E301", "p", "sigmoid"),
    ("bce(p, y, mask=sigmoid(q))", "E301", "sigmoid(q)", "compare"),
    ("mse(a, 'x')", "E308", "'x'", None),
    ("mse(a, b)*true", "E308", "true", None),
    ("1 + 2", "E309", "1 + 2", None),
    ("mse(1, 2)", "E309", "mse(1, 2)", None),
    ("(1/0)*mse(a, b)", "E310", "1/0", None),
    ("log(0)*mse(a, b)", "E310", "log(0)", None),
    ("input p: logit[B]\nmean(p)", "E311", "logit", "did you mean `logits`?"),
    (
        "input p: class_logits[B, T, V]\ninput y: labels[B, T]\nce(p, y)",
        "E306",
        "class_logits[B, T, V]",
        "class_logits(V)",
    ),
    ("input p: class_logits(1)[B, 1, T]\ninput y: labels[B, T]\nce(p, y)", "E304", "p", "logits"),
    ("input a: boxes(cxcywh)[N, 4]\ninput b: boxes[N, 4]\nl1(a, b)", "E307", "b", "format"),
    (
        "input a: image(0, 255)[B, C, H, W]\ninput b: image[B, C, H, W]\nssim(a, b)",
        "E307",
        "b",
        "range",
    ),
    ("input p: labels[B, H, W]\ninput q: logits[B, 1, H, W]\ndice(q, p)", "E301", "p", None),
    # shapes
    ("input a: real[B, 1]\ninput b: real[B]\nmse(a, b)", "E402", "b", "`b[..., none]`"),
    ("input a: real[B]\ninput b: real[B, 1]\nmse(a, b)", "E402", "b", "`b[..., 0]`"),
    ("input a: real[B]\ninput b: real[N]\nmse(a, b)", "E401", "b", None),
    ("input a: real[B, 3]\ninput b: real[B, 4]\nmse(a, b)", "E401", "b", None),
    ("input a: real[B, H]\ninput b: real[B, 2*H]\nmse(a, b)", "E401", "b", None),
    ("input a: real[B, T]\ninput b: real[B]\nmean(a - b)", "E403", "a - b", "`x[:, none]`"),
    ("input a: real[B, T]\ninput b: real[T]\nmean(a*b)", "E403", "a*b", None),
    ("input a: real[B, 3]\ninput b: real[B, 4]\nmean(a + b)", "E401", "a + b", None),
    ("input a: real[B]\nmean(a, over=[1])", "E404", "[1]", None),
    ("input a: real[B]\nmean(a, over=[H])", "E408", "H", None),
    ("input a: real[B, T]\nmean(a, over=[T])", "E405", "mean(a, over=[T])", "mean("),
    ("input a: real[B]\na", "E405", "a", "`mean(a)`"),
    ("input a: real[B]\na[:, 0]", "E404", "a[:, 0]", None),
    ("input a: real[3]\na[5]", "E404", "a[5]", None),
    ("input p: logits[B, 1, H, W]\ninput m: mask[B, W]\nbce(p, 1, mask=m)", "E407", "m", None),
    ("sum(ce(o, y) for o, w in zip([a, b], [1, 2, 3]))", "E406", "[1, 2, 3]", None),
    ("input aux: list[real[B]; 2]\nmean(aux[3])", "E406", "aux[3]", None),
    ("input x: image[B, 3, 8, 8]\nssim(x, x)", "E401", "x", "smaller window"),
    ("input x: real[*S, *T]\nmean(x)", "E111", "*T", None),
    ("input x: image[B, C]\ntv(x)", "E402", "x", None),
    ("param w = 3\n-w*mse(p, y)", "E109", None, "`loss = -"),
    ("input p: prob[B, C]\ninput y: labels[B]\nce(p, y)", "E301", "p", "`class_prob(p)`"),
    # the result and terms
    ("mse(a, b)\nl1(a, b)", "E108", "mse(a, b)", "name"),
    ("q = sigmoid(p)", "E109", None, "loss"),
]


@pytest.mark.parametrize(("text", "code", "underlined", "help"), WRONG)
def test_wrong_programs(text: str, code: str, underlined: str | None, help: str | None) -> None:
    report = lossdsl.check(text)
    assert [d.code for d in report.errors] == [code], str(report)
    (problem,) = report.errors
    if underlined is not None:
        assert problem.span.text == underlined
    if help is not None:
        assert help in (problem.help or ""), str(report)
    with pytest.raises(lossdsl.LossError) as raised:
        lossdsl.compile(text, backend="eager")
    assert [d.message for d in raised.value.diagnostics] == [problem.message]


def test_all_problems_come_at_once() -> None:
    report = lossdsl.check("dise(p, y) + mse(a) + huber(a, b, detla=1) + quantile(a, b, q=2)")
    assert [d.code for d in report.errors] == ["E202", "E204", "E205", "E206"]


def test_one_mistake_gives_one_message() -> None:
    report = lossdsl.check("q = dise(p, y)\nsqrt(q) + log(q) + q")
    assert [d.code for d in report.errors] == ["E202"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("input p: real[B]\ninput q: real[B]\nmean(p)", "q"),
        ("param w = 1\nmean(p)", "w"),
        ("def f(x) = x\nmean(p)", "f"),
        ("t = 2\nmean(p)", "t"),
    ],
)
def test_what_nothing_uses_is_a_warning(text: str, name: str) -> None:
    report = lossdsl.check(text)
    assert [(d.code, d.span.text) for d in report.diagnostics] == [("W201", name)]
    assert report.ok


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("input p: logits[B]\ninput y: mask[B]\nmse(p, y)", "W301"),
        ("mse(a, b) + 0*l1(a, b)", "W202"),
        ("mse(a, b) + (1 - 1)*l1(a, b)", "N201"),
    ],
)
def test_other_warnings_and_notes(text: str, code: str) -> None:
    assert [d.code for d in lossdsl.check(text).diagnostics] == [code]


LEGAL = [
    "mse(a, b)",
    "0.5*bce(p, y) + dice(p, y) + 0.1*tv(img)",
    "sqrt(mse(a, b) + 1e-8)",
    "param s = learnable(0.0)\nexp(-s)*mse(a, b) + s",
    "huber(x, 0)",
    "bce(p, 1) + bce(q, 0)",
    "mean(abs(a - b)*w)",
    "mean((a - mean(a, over=[0], keepdim=true))**2)",
    "focal(p, y, per=sum(y))",
    "mse(a, b, mask=not m)",
    "bce(p, y, mask=y < 0.5 or y > 0.9)",
    "ce(p/2.0, y)",
    "input prior: positive[1, C]\ninput p: class_logits[B, C]\nce(p + log(prior), argmax(p))",
    "bce(p, 0.9*y)",
    "dice(p, 1 - y)",
    "def both(p, y, a=0.5) = a*bce(p, y) + (1 - a)*dice(p, y)\nboth(p, y) + both(q, y, a=0.2)",
    "mean(ce(o, y) for o in aux)",
    "sum(w*ce(o, y) for o, w in zip(aux, [0.4, 0.2]))",
    "l1(out.depth, z) + ce(out['cls'], y)",
    "triplet(anchor=a, positive=p, negative=n)",
    "gan_g(fake) + 100*l1(x, y)",
    "mse(input, target) + l1(loss, in)",
    "gaussian_nll(m, y, softplus(v))",
    "a = mse(x, y); b = l1(x, y); a + 0.5*b as both",
    "mse(sigmoid(p), y) if 1 < 2 else bce(p, y)",
    "mean(where(y > 0, a, 0))",
    "-mean(log(sigmoid(d)))",
    "mean(max(a, over=[1]) - min(a, over=[1]))",
    "mse(a @ b, c)",
    "mse(a[:, 1:] - a[:, :-1], 0)",
    "kl_normal(mu, logvar) + mse(x, z, reduction='batchmean')",
    "info_nce(q, k) + clip(a, b)",
    "ce(p, y, class_weight=[1, 2, 3], ignore_index=255, label_smoothing=0.1)",
    "quantile(p, y, q=[0.1, 0.5, 0.9])",
    "0.2*mse(a, b) as recon\n",
]


@pytest.mark.parametrize("text", LEGAL)
def test_legal_programs_give_nothing_at_all(text: str) -> None:
    report = lossdsl.check(text)
    assert report.diagnostics == (), str(report)
    lossdsl.compile(text, backend="eager")
