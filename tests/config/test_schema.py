"""The JSON Schema that editors use says what the reader does."""

from __future__ import annotations

import json

import pytest
import yaml

from lossdsl.config.files import read_yaml_text
from lossdsl.config.sections import BODY_KEYS, FILE_KEYS
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.syntax.grammar import grammar_path

jsonschema = pytest.importorskip("jsonschema")

SCHEMA = json.loads(grammar_path().with_name("loss-file.schema.json").read_text("utf-8"))
EXAMPLES = sorted(grammar_path().parents[1].glob("examples/**/loss*.y*ml"))


def valid(text: str) -> bool:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    return validator.is_valid(yaml.safe_load(text))


def read(text: str) -> bool:
    return read_yaml_text(text, Diagnostics()) is not None


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_keys_are_the_reader_s():
    assert tuple(SCHEMA["properties"]) == FILE_KEYS
    assert tuple(SCHEMA["$defs"]["body"]["properties"]) == BODY_KEYS


def test_every_key_is_described():
    for name, part in SCHEMA["properties"].items():
        target = part
        if "$ref" in part:
            target = SCHEMA["$defs"][part["$ref"].rpartition("/")[2]]
        assert target["title"], name
        assert len(target["description"]) > 20, name


GOOD = {
    "the smallest": "loss: 0.5*bce(p, y)",
    "a number": "loss: 0",
    "terms alone": "terms: {a: x, b: y}",
    "everything": """\
lossdsl: 1
name: seg
inputs:
  p: logits[B, 1, H, W]
  größe?: mask[B]
  out: {aux: "list[mask[B]; 4]", 𝜎: {a: real}}
  many: ["real[B]", "real[B]"]
params: {w: 0.1, s: learnable(0.0), v: [1, [2, 3]], mode: mean, flag: true}
functions: {"f(p, y, a=0.5)": "a*bce(p, y)"}
let: {q: sigmoid(p)}
terms: {a: "f(p, q)"}
monitor: {m: mean(q)}
loss: a
options: {reduction: mean, size: 3}
""",
    "several": "params: {w: 1}\nlosses: {g: {loss: w*x}, d: {terms: {a: y}, params: {v: 2}}}",
    "empty sections": "inputs:\nparams:\nlet:\nmonitor:\noptions:\nuse:\nloss: x",
}
BAD = {
    "an unknown key": "los: x",
    "an unknown key of a body": "losses: {g: {loss: x, inputs: {p: real}}}",
    "a future version": "lossdsl: 2\nloss: x",
    "no loss": "params: {w: 1}",
    "no loss in a body": "losses: {g: {params: {w: 1}}}",
    "losses and a loss": "loss: x\nlosses: {g: {loss: x}}",
    "losses and a monitor": "monitor: {m: x}\nlosses: {g: {loss: x}}",
    "no losses": "losses: {}",
    "terms as a list": "terms: [x]",
    "a term that is a list": "terms: {a: [x]}",
    "a term of two words": "terms: {a b: x}",
    "a term with a digit in front": "terms: {2d: x}",
    "a term with a reserved name": "terms: {'none': x}",
    "a function without parameters": "functions: {f: x}\nloss: x",
    "an input that is a number": "inputs: {p: 1}\nloss: f(p)",
    "an input without a type": "inputs: {p: }\nloss: f(p)",
    "an input of no items": "inputs: {p: []}\nloss: f(p)",
    "an optional field": "inputs: {p: {'a?': real}}\nloss: f(p)",
    "a parameter that is a mapping": "params: {w: {a: 1}}\nloss: x",
    "an empty loss": "loss: ' '",
    "a list as a loss": "loss: [x]",
    "a text": "x",
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_what_is_read_is_valid(text):
    assert read(text)
    assert valid(text)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_what_is_refused_is_not_valid(text):
    assert not read(text)
    assert not valid(text)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_examples_are_valid(path):
    assert valid(path.read_text("utf-8"))
