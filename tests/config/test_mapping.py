"""What another tool has loaded is read as the file that it came from."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from fractions import Fraction
from pathlib import PurePath
from types import MappingProxyType

import numpy as np
import pytest
import torch
import yaml

from lossdsl.config.files import read_yaml_text
from lossdsl.config.mapping import read_mapping
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.diagnostics.render import render_all
from lossdsl.syntax import limits, tree

TEXT = """\
lossdsl: 1
name: seg é 漢 😀
inputs: {p: "logits[B, 1]", "y?": "mask[B, 1]", out: {aux: ["mask[B]", "mask[B]"]}}
params:
  w: 0.1
  s: learnable(0.0)
  tiny: 1e-3
  tinier: 1.0e-12
  many: [1, 2.5, -3]
  mode: mean
  word: 'true'
  flag: true
functions: {"f(p, y, a=0.5)": "a*bce(p, y)"}
let: {q: "sigmoid(p)"}
terms:
  fg: 0.5*f(p, y)
  two: |
    dice(p, y)  # the overlap
    + tiny*s
  three: "where(q > 0.5, 'x: y', \\"#\\")"
monitor: {hard: "jaccard(q > 0.5, y)"}
options: {reduction: mean}
"""


def programs(mapping: object) -> dict[str | None, tree.Program]:
    found = Diagnostics()
    file = read_mapping(mapping, found)
    assert file is not None, render_all(found)
    return file.programs


def expected() -> dict[str | None, tree.Program]:
    file = read_yaml_text(TEXT, Diagnostics())
    assert file is not None
    return file.programs


LOADERS = {
    "yaml": lambda: yaml.safe_load(TEXT),
    "json": lambda: json.loads(json.dumps(yaml.safe_load(TEXT))),
    "ordered": lambda: OrderedDict(yaml.safe_load(TEXT)),
    "read-only": lambda: MappingProxyType(yaml.safe_load(TEXT)),
}


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS.keys())
def test_a_loaded_file_is_the_file(load):
    assert programs(load()) == expected()


def test_omegaconf():
    omegaconf = pytest.importorskip("omegaconf")
    config = omegaconf.OmegaConf.create(TEXT)
    assert programs(config) == expected()


def test_omegaconf_interpolation():
    omegaconf = pytest.importorskip("omegaconf")
    text = "base: {w: 0.25, terms: {a: 'bce(p, y)'}}\n"
    text += "loss: {params: {w: '${base.w}'}, terms: '${base.terms}'}"
    config = omegaconf.OmegaConf.create(text)
    (program,) = programs(config.loss).values()
    assert [statement.name.id for statement in program.statements] == ["w", "a"]
    assert program.statements[0].value == tree.Number(0.25, program.span)


@pytest.mark.parametrize("value", ["???", "${nowhere.w}"])
def test_omegaconf_without_a_value(value):
    omegaconf = pytest.importorskip("omegaconf")
    found = Diagnostics()
    config = omegaconf.OmegaConf.create({"loss": "w*f(x)", "params": {"w": value}})
    assert read_mapping(config, found) is None
    (error,) = found
    assert error.code == "E504"
    assert error.message.startswith("`params.w`: there is no value here")
    assert error.span.text == "w"


NUMBERS = {
    "a numpy float": (np.float64(0.5), 0.5),
    "a numpy float32": (np.float32(0.5), 0.5),
    "a numpy half": (np.float16(0.5), 0.5),
    "a numpy int": (np.int64(3), 3),
    "a numpy byte": (np.uint8(3), 3),
    "a numpy 0-d array": (np.array(0.5), 0.5),
    "a fraction": (Fraction(1, 2), 0.5),
    "a small float": (1e-300, 1e-300),
    "a large float": (1.5e300, 1.5e300),
    "a string": ("1e-3", 0.001),
    "a string of a decimal": ("0.25", 0.25),
    "a string of an int": ("12", 12),
}


@pytest.mark.parametrize(("given", "meant"), NUMBERS.values(), ids=NUMBERS.keys())
def test_numbers(given, meant):
    (program,) = programs({"params": {"w": given}, "loss": "w*f(x)"}).values()
    (param,) = program.statements
    assert param.value == tree.Number(meant, program.span)


def test_truths_and_words():
    given = {"a": True, "b": np.bool_(False), "c": "yes", "d": np.str_("no"), "e": "true"}
    (program,) = programs({"params": given, "loss": "f(x)"}).values()
    place = program.span
    assert [param.value for param in program.statements] == [
        tree.Truth(True, place),
        tree.Truth(False, place),
        tree.Text("yes", place),
        tree.Text("no", place),
        tree.Text("true", place),
    ]


def test_tuples_are_lists():
    (program,) = programs({"params": {"w": (1, (2, 3))}, "loss": "f(x)"}).values()
    (param,) = program.statements
    assert isinstance(param.value, tree.ListOf)
    assert len(param.value.items) == 2


class Explodes(dict):
    def __getitem__(self, key):
        raise RuntimeError("no such luck\nat all")


ERRORS = {
    "a tensor": ({"params": {"w": torch.ones(2)}}, "`params.w`", "w", "not `Tensor`"),
    "an array": ({"params": {"w": np.ones(2)}}, "`params.w`", "w", "not `ndarray`"),
    "an object": ({"terms": {"a": object()}}, "`terms.a`", "a", "not `object`"),
    "a function": ({"loss": print}, "`loss`", "loss", "not `builtin_function_or_method`"),
    "bytes": ({"loss": b"f(x)"}, "`loss`", "loss", "not `bytes`"),
    "a set": ({"params": {"w": {1}}}, "`params.w`", "w", "not `set`"),
    "a complex number": ({"params": {"w": 1j}}, "`params.w`", "w", "not `complex`"),
    "a path": ({"use": PurePath("a.yaml")}, "`use`", "use", "not `PurePosixPath`"),
    "in a list": ({"params": {"w": [1, {"v": None, "u": {2}}]}}, "`params.w.1.u`", "u", "`set`"),
    "an item of a list": ({"params": {"w": [1, {2}]}}, "`params.w.1`", "<set>", "`set`"),
    "an int as a key": ({"terms": {1: "f(x)"}}, "`terms.<1>`", "<1>", "not `int`"),
    "a truth as a key": ({"terms": {False: "x"}}, "`terms.<False>`", "<False>", "not `bool`"),
    "a key of nothing": ({None: "f(x)"}, "`<None>`", "<None>", "not `NoneType`"),
    "a huge int": ({"params": {"w": 10**5000}}, "`params.w`", "w", "digits"),
    "an error of the mapping": (Explodes(loss="x"), "`loss`", "loss", "no such luck"),
}


@pytest.mark.parametrize(("mapping", "path", "text", "words"), ERRORS.values(), ids=ERRORS.keys())
def test_what_has_no_place_in_a_file_is_named_by_its_path(mapping, path, text, words):
    found = Diagnostics()
    assert read_mapping(mapping, found) is None
    (error,) = found
    assert error.message.startswith(f"{path}: ")
    assert words in error.message
    assert (error.file, error.span.text) == ("<config>", text)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, np.float32("nan")])
def test_numbers_are_finite(value):
    found = Diagnostics()
    assert read_mapping({"params": {"w": value}, "loss": "w*f(x)"}, found) is None
    (error,) = found
    assert error.code == "E504"
    assert "not finite" in error.message


@pytest.mark.parametrize("value", [None, "loss: f(x)", ["a"], 3, torch.ones(2)])
def test_only_a_mapping_will_do(value):
    found = Diagnostics()
    assert read_mapping(value, found) is None
    (error,) = found
    assert (error.code, error.file) == ("E504", "<config>")


def test_mistakes_in_texts_are_found_in_the_text_as_yaml():
    found = Diagnostics()
    assert read_mapping({"name": "x", "loss": "a\n+ $"}, found) is None
    (error,) = found
    assert (error.file, error.line, error.span.text) == ("<config>", 4, "$")


def test_all_problems_come_at_once():
    found = Diagnostics()
    read_mapping({"loss": {1}, "params": {"w": torch.ones(1), 2: 3}}, found)
    assert [error.span.text for error in found] == ["loss", "w", "<2>"]


def test_a_mapping_in_itself_is_refused():
    mapping: dict[str, object] = {"loss": "f(x)"}
    mapping["params"] = {"a": mapping, "b": mapping}
    found = Diagnostics()
    assert read_mapping(mapping, found) is None
    (error,) = found
    assert error.code == "E701"
    assert error.message == limits.message("YAML_DEPTH")


def test_a_huge_mapping_is_refused():
    found = Diagnostics()
    assert read_mapping({"params": {"w": range(10**12)}, "loss": "f(x)"}, found) is None
    (error,) = found
    assert error.message == limits.message("YAML_NODES")


def test_equal_objects_are_no_aliases():
    shared = [1, 2]
    (program,) = programs({"params": {"a": shared, "b": shared}, "loss": "f(x)"}).values()
    first, second = program.statements
    assert first.value == second.value
    assert first.value.span.start < second.value.span.start


def test_a_mapping_has_no_folder():
    found = Diagnostics()
    assert read_mapping({"use": ["./a.yaml"], "loss": "f(x)"}, found) is None
    (error,) = found
    assert (error.code, error.span.text) == ("E506", "./a.yaml")
