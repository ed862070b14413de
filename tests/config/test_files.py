"""From a path to losses: what can be opened, and which loss is meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import lossdsl
from lossdsl.config import opening
from lossdsl.config.files import names_a_file, read_loss_file, split_name
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.diagnostics.render import render

GAN = "name: gan\nlosses:\n  generator: {loss: f(x)}\n  discriminator: {loss: g(x)}\n"


def read(path: str | Path, name: str | None = None):
    found = Diagnostics()
    return read_loss_file(path, found, name), found.sorted()


def test_yaml_and_programs(tmp_path):
    for name, text in {"a.yaml": "loss: f(x)", "b.YML": "loss: f(x)", "c.loss": "f(x)"}.items():
        (tmp_path / name).write_text(text)
        for path in (tmp_path / name, str(tmp_path / name)):
            file, found = read(path)
            assert found == []
            (program,) = file.programs.values()
            assert list(file.programs) == [None]
            assert program.result.callee.id == "f"
            assert [source.name for source in file.sources] == [str(tmp_path / name)]
            assert file.chosen is None


def test_a_bad_program_has_its_places_in_the_file(tmp_path):
    (tmp_path / "c.loss").write_text("a = 1\nf(a, $)")
    file, (error,) = read(tmp_path / "c.loss")
    assert file is None
    assert (error.file, error.line, error.column) == (str(tmp_path / "c.loss"), 2, 6)


def test_one_of_several_losses(tmp_path):
    path = tmp_path / "gan.yaml"
    path.write_text(GAN)
    for file, found in (
        read(path, "generator"),
        read(f"{path}#generator"),
        read(f"{path}#discriminator", "generator"),
    ):
        assert found == []
        assert file.chosen == "generator"
        # The others stay: what is unused is judged over the whole file.
        assert list(file.programs) == ["generator", "discriminator"]
    file, found = read(path)
    assert (file.chosen, found) == (None, [])


def test_no_loss_of_that_name(tmp_path):
    path = tmp_path / "gan.yaml"
    path.write_text(GAN)
    file, (error,) = read(f"{path}#generatr")
    assert (file, error.code, error.help) == (None, "E508", "did you mean `generator`?")
    file, (error,) = read(path, "zzz")
    assert (file, error.code) == (None, "E508")
    assert error.help == "there are `generator`, `discriminator`"
    (tmp_path / "one.yaml").write_text("name: seg\nloss: f(x)")
    file, (error,) = read(tmp_path / "one.yaml", "g")
    assert (file, error.code, error.span.text) == (None, "E508", "name: seg")


def test_a_single_loss_may_be_asked_for_by_its_own_name(tmp_path):
    (tmp_path / "one.yaml").write_text("name: seg\nloss: f(x)")
    file, found = read(f"{tmp_path / 'one.yaml'}#seg")
    assert found == []
    assert list(file.programs) == [None]


def test_a_file_whose_name_has_a_hash(tmp_path):
    (tmp_path / "gan.yaml#generator").write_text("loss: f(x)")
    file, found = read(str(tmp_path / "gan.yaml#generator"))
    assert (found, list(file.programs), file.chosen) == ([], [None], None)


NAMES = {
    "a.yaml": ("a.yaml", None),
    "a/b.yml": ("a/b.yml", None),
    "a.loss": ("a.loss", None),
    "gan.yaml#g": ("gan.yaml", "g"),
    "C:\\x\\gan.YAML#g_2": ("C:\\x\\gan.YAML", "g_2"),
    "gan.yaml#": ("gan.yaml", ""),
}


@pytest.mark.parametrize(("text", "parts"), NAMES.items())
def test_what_names_a_file(text, parts):
    assert names_a_file(text)
    assert split_name(text) == parts


@pytest.mark.parametrize(
    "text", ["bce(p, y)", "a.yaml + b", "loss: x\nuse: a.yaml", "x\n.yaml", ".yaml", "a.json", ""]
)
def test_what_names_none(text):
    assert not names_a_file(text)


# --- what cannot be opened --------------------------------------------------------------------


def test_a_missing_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file, (error,) = read("no.yaml")
    assert (file, error.code, error.file) == (None, "E506", "no.yaml")
    assert error.message == "`no.yaml` cannot be read: there is no such file"
    assert "no.yaml:1:1" in render(error)


def test_a_folder(tmp_path):
    file, (error,) = read(tmp_path)
    assert (file, error.code) == (None, "E506")
    assert "is a folder" in error.message


def test_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "a.yaml")
    file, (error,) = read(tmp_path / "a.yaml")
    assert (file, error.code) == (None, "E506")
    assert "not a plain file" in error.message


def test_a_file_below_a_file(tmp_path):
    (tmp_path / "a").write_text("")
    file, (error,) = read(tmp_path / "a" / "b.yaml")
    assert (file, error.code) == (None, "E506")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    (tmp_path / "a.yaml").write_text("loss: x")
    (tmp_path / "a.yaml").chmod(0)
    file, (error,) = read(tmp_path / "a.yaml")
    assert (file, error.code) == (None, "E506")


def test_a_path_that_is_none():
    for path in ("a\0b.yaml", "x" * 5000 + ".yaml"):
        file, (error,) = read(path)
        assert (file, error.code) == (None, "E506")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_utf_8_with_and_without_a_mark(encoding, tmp_path):
    (tmp_path / "a.yaml").write_text("loss: größe*f(x, $)", encoding=encoding)
    _, (error,) = read(tmp_path / "a.yaml")
    assert (error.line, error.column, error.span.text) == (1, 18, "$")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-32", "latin-1"])
def test_other_encodings_are_refused(encoding, tmp_path):
    (tmp_path / "a.yaml").write_text("loss: größe*f(x)", encoding=encoding)
    file, found = read(tmp_path / "a.yaml")
    assert file is None
    assert found[0].code in ("E506", "E501")
    assert "UTF" in found[0].message or "U+0000" in found[0].message


def test_a_wrong_byte_is_underlined(tmp_path):
    (tmp_path / "a.yaml").write_bytes("name: é\nloss: b".encode() + b"\xffx\xfe")
    _, (error,) = read(tmp_path / "a.yaml")
    assert (error.code, error.line, error.column) == ("E506", 2, 8)
    assert "0xFF" in error.message


def test_a_file_that_is_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "_BYTES", 100)
    (tmp_path / "a.yaml").write_text("loss: f(x)" + " " * 91)
    file, (error,) = read(tmp_path / "a.yaml")
    assert (file, error.code) == (None, "E701")
    (tmp_path / "a.yaml").write_text("loss: f(x)" + " " * 90)
    assert read(tmp_path / "a.yaml")[0] is not None


def test_a_file_that_others_use_is_checked_alone(tmp_path):
    (tmp_path / "common.yaml").write_text("params: {w: 1}\nfunctions:\n  f(x): w*x\n")
    report = lossdsl.check(tmp_path / "common.yaml")
    assert report.ok
    assert report.diagnostics == ()
    with pytest.raises(lossdsl.LossConfigError, match="E504"):
        lossdsl.load(tmp_path / "common.yaml")


@pytest.mark.parametrize("text", ["params: {}", "name: seg", "use: []", "inputs: {p: real}"])
def test_a_file_with_nothing_to_use_has_no_loss(tmp_path, text):
    (tmp_path / "empty.yaml").write_text(text)
    assert [d.code for d in lossdsl.check(tmp_path / "empty.yaml").diagnostics] == ["E504"]


def test_a_mistake_in_a_shared_file_is_found(tmp_path):
    (tmp_path / "common.yaml").write_text("functions:\n  f(x): x +\n")
    assert [d.code for d in lossdsl.check(tmp_path / "common.yaml").diagnostics] == ["E104"]


def test_the_mistakes_of_all_losses_of_a_file_are_raised_at_once(tmp_path: Path) -> None:
    file = tmp_path / "gan.yaml"
    file.write_text("losses:\n  a: {loss: 'msee(p, y)'}\n  b: {loss: 'dise(p, y)'}\n")
    with pytest.raises(lossdsl.LossError) as found:
        lossdsl.load(file)
    assert [d.span.text for d in found.value.diagnostics] == ["msee", "dise"]


def test_a_spare_module_is_told_where_the_file_begins_to_say_something(tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    file.write_text("# a comment\nloss: mse(p, y)\n")
    with pytest.raises(lossdsl.LossConfigError) as found:
        lossdsl.load(file, modules={"net": torch.nn.Identity()})
    assert found.value.diagnostics[0].line == 2
