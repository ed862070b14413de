"""What is wrong with a loss file: the code, the place, and the way out where there is one."""

from __future__ import annotations

import pytest

from lossdsl.config.files import read_yaml_text
from lossdsl.diagnostics.diagnostic import Diagnostics

# What is wrong -> the text with its place marked, the code, a word of the message or the help.
ERRORS = {
    # --- YAML itself ---
    "a type in braces": ("inputs: {p: ‹logits[B, 1]›}", "E501", '`"logits[B, 1]"`'),
    "a type in braces, behind another": (
        'inputs: {y: "mask[B]", p: ‹logits[B, 1]›, q: real}',
        "E501",
        '`"logits[B, 1]"`',
    ),
    "an optional key in braces": ('inputs: {‹y?›: "mask[B]"}', "E501", '`"y?"`'),
    "a call in braces": ("terms: {a: ‹bce(p, y)›, b: c}", "E501", '`"bce(p, y)"`'),
    "a nested call in braces": ("{loss: ‹f(g(p, y), z)›}", "E501", "quote it"),
    "a call in brackets": ("params:\n  w: [1, ‹learnable(0, min=0)›]", "E501", "quote it"),
    "a field of braces": ("inputs:\n  out: {a: ‹logits[B]›}\nloss: x", "E501", "quote"),
    "a tab as indentation": ("loss:\n‹\t›bce(p, y)", "E501", "indent with spaces"),
    "a tab between keys": ("inputs:\n  p: real\n‹\t›y: real", "E501", "indent with spaces"),
    "a tab in a plain value": ("loss: bce(p, y)‹\t›+ q", "E501", "write a space"),
    "a leading star": ("loss: ‹*›bce(p, y)", "E501", "quote the expression"),
    "a leading star and a word": ("loss: ‹*x› + y", "E501", "quote the expression"),
    "text behind an alias": ("name: &x n\nloss: *x ‹+ y›", "E501", "alias"),
    "a leading ampersand": ("loss: ‹&› x", "E501", "quote the expression"),
    "a leading at": ("loss: ‹@›x", "E501", "quote the expression"),
    "a leading backquote": ("loss: ‹`›x`", "E501", "quote the expression"),
    "a leading percent": ("loss: ‹%›x", "E501", "quote the expression"),
    "a leading greater": ("loss: ‹>›0.5*x", "E501", "block of text"),
    "a leading bar": ("loss: ‹|›x|", "E501", "block of text"),
    "a leading minus and a space": ("loss: ‹-› x", "E501", "sign without a space"),
    "a leading comma": ("loss: ‹,› x", "E501", "quote"),
    "a leading bracket": ("loss: [a, b] ‹+ c›", "E501", "behind a closing bracket"),
    "a leading quote": ("loss: 'a' ‹+ b›", "E501", "behind a closing quote"),
    "a leading double quote": ('loss: "a"‹*b›', "E501", "behind a closing quote"),
    "a colon and a space": ("loss: x[0‹:› 2]", "E501", "quote the whole value"),
    "no space behind a colon": ("loss‹:›bce(p, y)\nname: x", "E501", "a space is missing"),
    "no space behind a later colon": ("name: x\nloss‹:›bce(p, y)", "E501", "a space is missing"),
    "no space, and nothing else": ("‹loss:bce(p, y)›", "E504", "put a space behind"),
    "a comment between plain lines": ("loss: a\n  # b\n  ‹+ c›\n", "E501", "comment has ended"),
    "a comment behind a plain line": ("loss: f(a,  # b\n  ‹c)›\n", "E501", "comment has ended"),
    "a line indented too far": ("inputs:\n  p: x\n    ‹y›: z", "E501", "line it up"),
    "a line indented too little": ("inputs:\n   p: x\n ‹y: z›", "E501", "line it up"),
    "a block that falls back": ("loss: |\n   a\n ‹+ b›\n", "E501", "line it up"),
    "a line that is no entry": ("loss: a\n‹+ b›\nname: x", "E501", "no `key: value`"),
    "an open quote": ("loss: ‹'›f(x)", "E501", "never closed"),
    "an open double quote": ('loss: ‹"›f(x)\nname: y', "E501", "never closed"),
    "an open brace": ("loss: x\nparams: ‹{›a: 1", "E501", "add `}`"),
    "an open bracket": ("loss: x\nuse: ‹[›a", "E501", "add `]`"),
    "an unknown escape": ('loss: "a ‹\\q› b"', "E501", "single quotes"),
    "a short escape": ('loss: "a ‹\\x4› b"', "E501", "single quotes"),
    "an escape beyond Unicode": ('loss: "‹\\UFFFFFFFF›"', "E501", "single quotes"),
    "a control character": ("loss: a ‹\x07›", "E501", "U+0007"),
    "two documents": ("loss: a\n‹---›\nloss: b", "E501", "a second document"),
    "a future YAML": ("‹%YAML 2.0›\n---\nloss: a", "E501", "instruction to YAML"),
    "a Python tag": ("loss: ‹!!python/object:os.system› x", "E501", "no tags"),
    "a harmless tag": ("name: ‹!!str› x\nloss: a", "E501", "no tags"),
    "a tag of a mapping": ("params: ‹!x›\n  a: 1\nloss: a", "E501", "no tags"),
    "a tag behind an anchor": ("name: &a ‹!x› b\nloss: a", "E501", "no tags"),
    "an unknown alias": ("loss: x\nparams: ‹*base›", "E501", "no anchor `&base`"),
    "an anchor twice": ("name: &a x\nloss: ‹&a y›", "E501", "`&a` stands above"),
    "an anchor inside its own": ("params: &a\n  w: ‹&a 1›\nloss: x", "E501", "`&a` stands above"),
    "an alias to itself": ("loss: x\nparams: &a\n  w: [‹*a›]", "E501", "contains itself"),
    # --- keys ---
    "a key twice": ("loss: a\n‹loss›: b", "E503", "twice"),
    "a term twice": ("terms:\n  a: x\n  b: y\n  ‹a›: z", "E503", "twice"),
    "a quoted key twice": ("params: {'w': 1, ‹\"w\"›: 2}\nloss: a", "E503", "twice"),
    "a list as a key": ("‹[a]›: b\nloss: c", "E504", "a key is a word"),
    "a mapping as a key": ("? ‹{a: b}›\n: b\nloss: c", "E504", "a key is a word"),
    "merging a word": ("losses:\n  a:\n    <<: ‹x›\n    loss: b", "E504", "takes a mapping"),
    "an unknown key": ("‹monitors›: {a: b}\nloss: a", "E502", "did you mean `monitor`?"),
    "a misspelled key": ("‹inptus›:\n  a: real\nloss: a", "E502", "did you mean `inputs`?"),
    "a key like none": ("‹zzz›: 1\nloss: a", "E502", "the keys are"),
    "an unknown key of a body": (
        "losses:\n  g:\n    loss: a\n    ‹term›: {a: b}",
        "E502",
        "did you mean `terms`?",
    ),
    "inputs in a body": ("losses:\n  g:\n    ‹inputs›: {p: real}\n    loss: p", "E504", "cannot"),
    "options in a body": ("losses:\n  g:\n    ‹options›: {}\n    loss: p", "E504", "cannot"),
    # --- version and name ---
    "a future version": ("lossdsl: ‹2›\nloss: a", "E505", "`lossdsl: 1`"),
    "a version that is a word": ("lossdsl: ‹latest›\nloss: a", "E505", "`lossdsl: 1`"),
    "a version that is a decimal": ("lossdsl: ‹1.0›\nloss: a", "E505", "`lossdsl: 1`"),
    "no version": ("‹lossdsl›:\nloss: a", "E505", "`lossdsl: 1`"),
    "a list as a name": ("name: ‹[a]›\nloss: a", "E504", "a name is needed"),
    # --- the loss ---
    "an empty file": ("‹ ›", "E504", "empty"),
    "only comments": ("‹#› loss: a\n", "E504", "empty"),
    "an empty document": ("---\n‹›", "E504", "empty"),
    "a program": ("‹0.5*bce(p, y)›", "E504", "`loss: 0.5*bce(p, y)`"),
    "a list": ("‹- a\n- b›\n", "E504", "a mapping of keys, not a list"),
    "no loss": ("‹name›: x\nparams: {w: 1}", "E504", "there is no loss"),
    "an empty mapping": ("‹{}›", "E504", "there is no loss"),
    "only monitors": ("‹monitor›: {a: x}", "E504", "there is no loss"),
    "no terms": ("‹terms›: {}", "E504", "there is no loss"),
    "nothing behind loss": ("‹loss›:\nname: x", "E504", "nothing behind it"),
    "null behind loss": ("‹loss›: null", "E504", "nothing behind it"),
    "blanks behind loss": ("loss: '‹  ›'", "E109", "empty"),
    "a list behind loss": ("loss: ‹[a, b]›", "E504", "must be quoted"),
    "a mapping behind loss": ("loss: ‹{a: b}›", "E504", "must be quoted"),
    "a block mapping behind loss": ("loss:\n  ‹a: b›", "E504", "not a mapping"),
    "an unclosed call": ("loss: bce‹(›p, y", "E102", "never closed"),
    "a call cut by a comment": ("loss: bce‹(›p # , y)", "E102", "never closed"),
    "no losses": ("‹losses›: {}", "E504", "no loss stands under"),
    "losses that are a list": ("losses: ‹[a]›", "E504", "named entries"),
    "losses that are a text": ("losses: ‹a›", "E504", "named entries"),
    "a loss that is a text": ("losses:\n  ‹g›: bce(p, y)", "E504", "`g` is a text, and"),
    "a loss without a result": ("losses:\n  ‹g›:\n    params: {w: 1}", "E504", "no loss"),
    "a loss with a bad name": ("losses:\n  ‹a-b›:\n    loss: x", "E512", "`a_b`"),
    "a loss with a name of torch's": ("losses:\n  ‹train›:\n    loss: x", "E512", "`train_loss`"),
    "a loss called type": ("losses: {g: {loss: a}, ‹type›: {loss: b}}", "E512", "ModuleDict"),
    "losses and a loss": ("losses: {g: {loss: a}}\n‹loss›: b", "E504", "beside `losses`"),
    "losses and terms": ("‹terms›: {a: b}\nlosses: {g: {loss: a}}", "E504", "beside `losses`"),
    # --- sections ---
    "terms as a list": ("terms: ‹[a, b]›", "E504", "`name: …`"),
    "terms as a block list": ("terms:\n‹- a\n- b›\n", "E504", "not a list"),
    "terms as a text": ("terms: ‹a + b›", "E504", "not a text"),
    "a term without a value": ("terms:\n  ‹a›:\n  b: x", "E504", "nothing behind it"),
    "a term of two words": ("terms:\n  ‹my term›: x", "E512", "write `my_term`"),
    "a term with a digit in front": ("terms:\n  ‹2d›: x", "E512", "names are letters"),
    "a term with a dot": ("terms:\n  ‹a.b›: x", "E512", "write `a_b`"),
    "a term without a name": ("terms:\n  ‹''›: x", "E512", "has no name"),
    "a term with a reserved name": ("terms:\n  ‹true›: x", "E512", "choose another"),
    "a monitor with a reserved name": ("loss: a\nmonitor:\n  ‹not›: x", "E512", "choose another"),
    "a binding with a bad name": ("let:\n  ‹q?›: x\nloss: a", "E512", "write `q`"),
    "a function without parameters": ("functions:\n  ‹f›: x\nloss: a", "E512", "`f(p, y): …`"),
    "a function's empty body": ("functions:\n  ‹f(x)›:\nloss: a", "E504", "nothing behind it"),
    "a function's bad head": ("functions:\n  f(x, ‹2›): x\nloss: a", "E101", ""),
    "a function twice": ("functions:\n  f(x): x\n  ‹f›(x, y): y\nloss: a", "E203", "twice"),
    # --- inputs ---
    "inputs as a list": ("inputs: ‹[p, y]›\nloss: p", "E504", "named entries"),
    "an input without a type": ("inputs:\n  ‹p›:\nloss: p", "E504", "the type of `p`"),
    "an input with a bad name": ("inputs:\n  ‹my-p›: real\nloss: p", "E512", "`my_p`"),
    "an input with a bad type": ("inputs:\n  p: logits‹)›\nloss: p", "E102", ""),
    "an input of no fields": ("inputs:\n  p: ‹{}›\nloss: p", "E504", "no fields"),
    "an input of no items": ("inputs:\n  p: ‹[]›\nloss: p", "E504", "of nothing"),
    "an input of unlike items": ("inputs:\n  p: [real, ‹mask›]\nloss: p", "E504", "one type"),
    "an input of nulls": ("inputs:\n  p: ‹[real, ~]›\nloss: p", "E504", "a type is missing"),
    "a field without a type": ("inputs:\n  p:\n    ‹a›:\nloss: p", "E504", "the type of `a`"),
    "an optional field": ("inputs:\n  p:\n    ‹a?›: real\nloss: p", "E512", "write `a`"),
    # --- params and options ---
    "a parameter without a value": ("params:\n  ‹w›:\nloss: a", "E504", "has no value"),
    "yes": ("params: {w: ‹yes›}\nloss: a", "E504", "write `true`"),
    "Off": ("params: {w: ‹Off›}\nloss: a", "E504", "write `false`"),
    "True": ("params: {w: ‹True›}\nloss: a", "E504", "write `true`"),
    "an infinite parameter": ("params: {w: ‹.inf›}\nloss: a", "E504", "not finite"),
    "a parameter that is no number": ("params: {w: ‹-.NaN›}\nloss: a", "E504", "not finite"),
    "a mapping as a parameter": ("params: {w: ‹{a: 1}›}\nloss: a", "E504", "not a mapping"),
    "a hole in a list": ("params:\n  w: [1, ‹~›]\nloss: a", "E504", "missing here"),
    "a number to base 60": ("params:\n  w: 1‹:›30\nloss: a", "E101", "`:`"),
    "a number to base 16": ("params:\n  w: ‹0x10›\nloss: a", "E112", "no number"),
    "a huge number": ("params: {w: ‹1e999›}\nloss: a", "E112", "larger than any float"),
    "an option without a value": ("options:\n  ‹reduction›:\nloss: a", "E504", "has no value"),
    "an option called on": ("options: {x: ‹on›}\nloss: a", "E504", "write `true`"),
    "a text that uses a file": ("use: [‹./a.yaml›]\nloss: a", "E506", "load the loss file"),
    "a use that is a mapping": ("‹use›: {a: b}\nloss: a", "E504", "`use` takes files"),
    "an unknown shipped file": ("use: ‹lossdsl:monay›\nloss: a", "E506", "comes with lossdsl"),
}


@pytest.mark.parametrize(("marked", "code", "words"), ERRORS.values(), ids=ERRORS.keys())
def test_error(marked, code, words, check_error):
    found = check_error(marked, code)
    assert words in f"{found.message}\n{found.help}"


def test_all_mistakes_come_at_once():
    text = """\
lossdsl: 3
nmae: x
inputs:
  p: logits[B
  y: mask[B, 1]]
params: {w: yes}
functions:
  f(x) x: x
terms:
  a: bce(p y)
  a b: dice(p, y)
  c: 0.5*
"""
    found = Diagnostics()
    assert read_yaml_text(text, found) is None
    assert [(error.line, error.code) for error in found] == [
        (1, "E505"),
        (2, "E502"),
        (4, "E102"),
        (5, "E102"),
        (6, "E504"),
        (8, "E103"),
        (10, "E103"),
        (11, "E512"),
        (12, "E104"),
    ]


LABELS = {
    "a key twice": ("loss: a\nloss: b", ["loss"]),
    "unlike items": ("inputs:\n  p: [real, mask]\nloss: p", ["real"]),
    "losses and a loss": ("loss: b\nlosses: {g: {loss: a}}", ["losses"]),
}


@pytest.mark.parametrize(("text", "labelled"), LABELS.values(), ids=LABELS.keys())
def test_the_other_place_is_labelled(text, labelled):
    found = Diagnostics()
    read_yaml_text(text, found)
    (error,) = found
    assert [label.span.text for label in error.labels] == labelled
    assert error.labels[0].span.start != error.span.start
