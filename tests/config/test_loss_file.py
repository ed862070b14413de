"""What a loss file means: the same tree as the program that says the same."""

from __future__ import annotations

import pytest

from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Source
from lossdsl.syntax import tree
from lossdsl.syntax.parser import parse_program

FILE = """\
lossdsl: 1                      # version of the format
name: segmentation
inputs:
  p:   logits[B, 1, H, W]
  y?:  mask[B, 1, H, W]
  img: image[B, 3, H, W]
params:
  w_tv: 0.1
  s: learnable(0.0, min=-1)
functions:
  focal_dice(p, y, a=0.5): a*focal(p, y) + (1 - a)*dice(p, y)
let:
  q: sigmoid(p)
terms:                          # each term is logged under its key
  fg:   0.5*bce(p, y)
  dice: >-
    exp(-s)*focal_dice(p, y)
    + s
  tv:   warmup(step, 1000)*w_tv*tv(img)
monitor:                        # logged, no gradient, not in the sum
  hard: jaccard(q > 0.5, y)
loss: fg + dice + tv            # optional; the default is the sum of the terms
options: {reduction: mean, compute_dtype: float32}
"""

PROGRAM = """\
input p: logits[B, 1, H, W]
input y?: mask[B, 1, H, W]
input img: image[B, 3, H, W]
param w_tv = 0.1
param s = learnable(0.0, min=-1)
def focal_dice(p, y, a=0.5) = a*focal(p, y) + (1 - a)*dice(p, y)
q = sigmoid(p)
fg = 0.5*bce(p, y)
dice = exp(-s)*focal_dice(p, y) + s
tv = warmup(step, 1000)*w_tv*tv(img)
hard = jaccard(q > 0.5, y)
fg + dice + tv
"""


def program(text: str) -> tree.Program:
    found = Diagnostics()
    parsed = parse_program(Source(text), found)
    assert parsed is not None, found.items
    return parsed


def as_binding(statement: tree.Statement) -> tree.Statement:
    if isinstance(statement, tree.Term):
        return tree.Binding(statement.name, statement.value, statement.span)
    return statement


def test_a_file_and_the_program_that_says_the_same_have_one_tree(read_clean):
    file = read_clean(FILE)
    (read,) = file.programs.values()
    said = program(PROGRAM)
    assert tuple(map(as_binding, read.statements)) == said.statements
    assert read.result == said.result
    assert file.name == read.name == "segmentation"
    assert {option.name.id: option.value for option in read.options} == {
        "reduction": tree.Text("mean", read.span),
        "compute_dtype": tree.Text("float32", read.span),
    }


def test_terms_and_monitors_are_told_apart(read_clean):
    read = read_clean(FILE).programs[None]
    terms = [term for term in read.statements if isinstance(term, tree.Term)]
    assert [(term.name.id, term.monitored) for term in terms] == [
        ("fg", False),
        ("dice", False),
        ("tv", False),
        ("hard", True),
    ]


def test_sections_come_in_a_program_s_order_whatever_the_file_s(read_clean):
    lines = FILE.splitlines(keepends=True)
    starts = [i for i, line in enumerate(lines) if not line.startswith(" ")]
    sections = [lines[a:b] for a, b in zip(starts, [*starts[1:], len(lines)], strict=True)]
    turned = "".join("".join(section) for section in reversed(sections))
    assert read_clean(turned).programs == read_clean(FILE).programs


@pytest.mark.parametrize(
    ("terms", "loss"),
    [("{a: x}", "a"), ("{a: x, b: y}", "a + b"), ("{a: x, b: y, c: -z}", "a + b + c")],
)
def test_without_a_loss_the_terms_are_summed(terms, loss, read_clean):
    read = read_clean(f"terms: {terms}").programs[None]
    assert read.result == program(loss).result


def test_the_sum_of_the_terms_stands_at_their_keys(read_clean):
    read = read_clean("terms:\n  a: x\n  'b': y\n").programs[None]
    assert isinstance(read.result, tree.Sum)
    assert [name.span.text for name in read.result.operands] == ["a", "b"]


def test_the_smallest_file(read_clean):
    text = "0.5*bce(p, y) + dice(p, y) + 0.1*tv(img)"
    read = read_clean(f"loss: {text}").programs[None]
    assert (read.statements, read.result) == ((), program(text).result)


EMPTY = "inputs:\nparams: ~\nfunctions: {}\nlet: null\nterms:\nmonitor:\noptions:\nuse: []\nloss: a"


def test_an_empty_section_is_no_section(read_clean):
    assert read_clean(EMPTY).programs == read_clean("loss: a").programs


# --- params -----------------------------------------------------------------------------------

CONSTANTS = {
    "1": "1",
    "1e-3": "1e-3",
    ".5": ".5",
    "1_000": "1_000",
    "-2": "-2",
    "+0.5": "+0.5",
    "'0.5'": "0.5",
    '"1e-3"': "1e-3",
    "1/3": "1/3",
    "true": "true",
    "false": "false",
    "mean": "'mean'",
    "'true'": "'true'",
    '"no"': "'no'",
    "a-b.c": "'a-b.c'",
    "'two words'": "'two words'",
    "[1, 2.5, -3]": "[1, 2.5, -3]",
    "\n  - 1\n  - [2, 3]\n": "[1, [2, 3]]",
    "[a, b]": "['a', 'b']",
    "learnable(0.0)": "learnable(0.0)",
    "'learnable(0, min=1)'": "learnable(0, min=1)",
    "learnable([1, 2])": "learnable([1, 2])",
}


@pytest.mark.parametrize(("written", "meant"), CONSTANTS.items())
def test_params_are_numbers_strings_and_truths_by_their_looks(written, meant, read_clean):
    text = f"params:\n w: {written}\nloss: f(a, w)"
    (param,) = read_clean(text).programs[None].statements
    (said,) = program(f"param w = {meant}\nf(a, w)").statements
    assert param == said


def test_no_word_is_a_truth_but_true_and_false(read_clean):
    words = ("y", "n", "none", "truth", "nope", "1st-x")
    text = "params:\n" + "".join(f"  w{i}: '{word}'\n" for i, word in enumerate(words))
    statements = read_clean(text + "loss: a").programs[None].statements
    assert [param.value for param in statements] == [
        tree.Text(word, param.span) for word, param in zip(words, statements, strict=True)
    ]


# --- inputs -----------------------------------------------------------------------------------

INPUTS = {
    "logits[B, 1]": "logits[B, 1]",
    "'labels(ignore=255)[B]'": "labels(ignore=255)[B]",
    "module(image[B, 3, H, W]) -> score[B]": "module(image[B, 3, H, W]) -> score[B]",
    "list[mask[B]; 4]": "list[mask[B]; 4]",
    "'{a: mask[B], b: real}'": "{a: mask[B], b: real}",
    "{a: 'mask[B]', b: real}": "{a: mask[B], b: real}",
    "\n    a: mask[B]\n    b: real": "{a: mask[B], b: real}",
    "\n    a:\n      c: mask[B]\n    b: real": "{a: {c: mask[B]}, b: real}",
    "['mask[B]', 'mask[B]']": "list[mask[B]; 2]",
    "\n    - mask[B]\n    - mask[B]\n    - mask[B]": "list[mask[B]; 3]",
    "\n    - a: mask\n    - a: mask": "list[{a: mask}; 2]",
    ">-\n    logits[B,\n    1]": "logits[B, 1]",
}


@pytest.mark.parametrize(("written", "meant"), INPUTS.items())
def test_types_may_be_nested_in_yaml(written, meant, read_clean):
    (declared,) = read_clean(f"inputs:\n  p: {written}\nloss: f(p)").programs[None].statements
    (said,) = program(f"input p: {meant}\nf(p)").statements
    assert declared == said


def test_an_input_may_be_optional_in_every_style(read_clean):
    text = "inputs:\n  p?: real\n  'q?': real\n  \"r\\x3f\": real\nloss: f(p)"
    read = read_clean(text).programs[None].statements
    assert [(item.name.id, item.optional) for item in read] == [
        ("p", True),
        ("q", True),
        ("r", True),
    ]
    assert [item.name.span.text for item in read] == ["p", "q", "r"]


# --- several losses ---------------------------------------------------------------------------

GAN = """\
name: gan
inputs: {real_: image, fake: image}
params: {w: 0.5}
functions: {'h(x)': relu(1 - x)}
let: {d: 'D(fake)'}
losses:
  generator:
    loss: -mean(d)
  discriminator:
    params: {m: 2}
    functions: {'g(x)': h(-x)}
    let: {r: D(real_)}
    terms: {real: 'w*mean(h(r))', fake: 'm*mean(g(d))'}
    monitor: {gap: mean(r) - mean(d)}
options: {reduction: mean}
"""


def test_losses_share_what_stands_above_them(read_clean):
    file = read_clean(GAN)
    assert list(file.programs) == ["generator", "discriminator"]
    generator, discriminator = file.programs.values()
    names = [[item.name.id for item in p.statements] for p in (generator, discriminator)]
    assert names == [
        ["real_", "fake", "w", "h", "d"],
        ["real_", "fake", "w", "m", "h", "g", "d", "r", "real", "fake", "gap"],
    ]
    # The same objects: one Parameter, and unused is judged over the whole file.
    for name in ("real_", "w", "h", "d"):
        first, second = (
            next(item for item in p.statements if item.name.id == name)
            for p in (generator, discriminator)
        )
        assert first is second
    assert (file.name, generator.name, discriminator.name) == ("gan", "generator", "discriminator")
    assert generator.options == discriminator.options != ()
    assert discriminator.result == program("real + fake").result
    assert generator.span.text == "loss: -mean(d)"


def test_a_loss_may_not_rebind_what_is_shared(check_error):
    found = check_error(
        "params: {w: 1}\nlosses:\n  g:\n    params: {‹w›: 2}\n    loss: w*f(x)\n", "E203"
    )
    assert [label.span.text for label in found.labels] == ["w"]


def test_two_losses_may_use_one_name(read_clean):
    text = "losses:\n  a: {params: {w: 1}, loss: w*x}\n  b: {params: {w: 2}, loss: w*x}\n"
    assert len(read_clean(text).programs) == 2


# --- YAML's own ways of sharing ---------------------------------------------------------------

MERGED = """\
losses:
  a: &a
    params: {w: 1, v: 2}
    terms: &terms {x: f(p), y: g(p)}
  b:
    <<: *a
    loss: x + 2*y
  c:
    params: {u: 3}
    <<: [*a, {monitor: {z: h(p)}}]
    terms: {<<: *terms, x: k(p)}
"""


def test_merged_keys_are_those_of_the_other_mapping_unless_written(read_clean):
    programs = read_clean(MERGED).programs
    says = {
        "a": "param w = 1; param v = 2; x = f(p); y = g(p); x + y",
        "b": "param w = 1; param v = 2; x = f(p); y = g(p); x + 2*y",
        "c": "param u = 3; x = k(p); y = g(p); z = h(p); x + y",
    }
    for name, text in says.items():
        read = programs[name]
        said = program(text.replace("; ", "\n"))
        assert tuple(map(as_binding, read.statements)) == said.statements
        assert read.result == said.result


def test_a_quoted_merge_key_is_a_key(check_error):
    check_error("losses:\n  a:\n    ‹'<<'›: {}\n    loss: x", "E502")
