"""`use:`: what comes in, from where, and what may not."""

from __future__ import annotations

from pathlib import Path

import pytest

import lossdsl
from lossdsl.config import shipped
from lossdsl.config.files import read_loss_file
from lossdsl.config.loss_file import LossFile
from lossdsl.diagnostics.diagnostic import Diagnostic, Diagnostics
from lossdsl.syntax import limits


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def read(path: Path) -> tuple[LossFile | None, list[Diagnostic]]:
    found = Diagnostics()
    return read_loss_file(path, found), found.sorted()


def names(file: LossFile | None) -> list[str]:
    assert file is not None
    return [statement.name.id for statement in file.programs[None].statements]


def test_functions_and_params_come_in_first(tmp_path):
    write(
        tmp_path,
        {
            "main.yaml": "use: [./a.yaml, sub/b.yml]\nparams: {w: 1}\nloss: w*f(x) + g(x)",
            "a.yaml": "lossdsl: 1\nname: a\nparams: {u: 2}\nfunctions: {'f(x)': u*x}",
            "sub/b.yml": "use: ['../sub/c.yaml']\nfunctions: {'g(x)': h(x)}",
            "sub/c.yaml": "functions: {'h(x)': x}",
        },
    )
    file, found = read(tmp_path / "main.yaml")
    assert found == []
    # What a used file uses stands before it: a name is bound before it is read.
    assert names(file) == ["u", "w", "f", "h", "g"]
    assert [Path(source.name) for source in file.sources] == [
        tmp_path / "main.yaml",
        tmp_path / "a.yaml",
        tmp_path / "sub/b.yml",
        tmp_path / "sub/c.yaml",
    ]
    assert [s.span.source.name for s in file.programs[None].statements][:1] == [
        str(tmp_path / "a.yaml")
    ]


def test_a_single_file_needs_no_list(tmp_path):
    write(tmp_path, {"main.yaml": "use: a.yaml\nloss: f(x)", "a.yaml": "functions: {'f(x)': x}"})
    file, found = read(tmp_path / "main.yaml")
    assert (names(file), found) == (["f"], [])


def test_a_file_that_two_others_use_comes_in_once(tmp_path):
    write(
        tmp_path,
        {
            "main.yaml": "use: [a.yaml, b.yaml, ./b.yaml]\nloss: f(x)",
            "a.yaml": "use: c.yaml",
            "b.yaml": "use: c.yaml",
            "c.yaml": "functions: {'f(x)': x}",
        },
    )
    file, found = read(tmp_path / "main.yaml")
    assert (names(file), found) == (["f"], [])
    assert len(file.sources) == 4


def test_files_are_called_as_the_user_would_call_them(tmp_path, monkeypatch):
    write(
        tmp_path,
        {
            "conf/main.yaml": "use: sub/a.yaml\nloss: f(x)",
            "conf/sub/a.yaml": "use: ../b.yaml",
            "conf/b.yaml": "functions: {'f(x)': x +}",
            "here.yaml": "use: conf/b.yaml\nloss: f(x)",
        },
    )
    monkeypatch.chdir(tmp_path)
    for path in ("conf/main.yaml", "here.yaml", "./here.yaml"):
        _, (error,) = read(Path(path))
        assert error.file == "conf/b.yaml"
        assert (error.code, error.span.text) == ("E104", "+")


ERRORS = {
    "a missing file": ({}, "E506", "./a.yaml", "no such file"),
    "a folder": ({"a.yaml/x.yaml": ""}, "E506", "./a.yaml", "is a folder"),
    "no mapping": ({"a.yaml": "- f"}, "E504", "- f", "a file with `functions`"),
    "other sections": ({"a.yaml": "loss: x"}, "E504", "loss", "cannot stand in a file that others"),
    "inputs": ({"a.yaml": "inputs: {p: real}"}, "E504", "inputs", "here may stand `lossdsl`"),
    "an unknown key": ({"a.yaml": "funktions: {}"}, "E502", "funktions", "`functions`"),
    "an unknown version": ({"a.yaml": "lossdsl: 9"}, "E505", "9", "`lossdsl: 1`"),
    "bad YAML": ({"a.yaml": "name: @"}, "E501", "@", "quote"),
    "a bad body": ({"a.yaml": "functions:\n  f(x): 2*"}, "E104", "*", "missing"),
    "a cycle of one": ({"a.yaml": "use: a.yaml"}, "E507", "a.yaml", "a cycle of files"),
    "a cycle of two": (
        {"a.yaml": "use: b.yaml", "b.yaml": "use: ./a.yaml"},
        "E507",
        "./a.yaml",
        "→",
    ),
    "the opened file": ({"a.yaml": "use: main.yaml"}, "E507", "main.yaml", "main.yaml` → "),
}


@pytest.mark.parametrize(("files", "code", "text", "words"), ERRORS.values(), ids=ERRORS.keys())
def test_error(files, code, text, words, tmp_path):
    write(tmp_path, {"main.yaml": "use: [./a.yaml]\nloss: f(x)", **files})
    file, found = read(tmp_path / "main.yaml")
    assert file is None
    (error,) = found
    assert (error.code, error.span.text) == (code, text)
    assert words in f"{error.message}\n{error.help}"


OUTSIDE = ("../a.yaml", "sub/../../a.yaml", "/etc/hostname", "link.yaml", "linked/a.yaml")


@pytest.mark.parametrize("name", OUTSIDE)
def test_nothing_outside_the_root_is_read(name, tmp_path):
    write(tmp_path, {"root/main.yaml": f"use: [{name}]\nloss: f(x)", "root/sub/x": ""})
    write(tmp_path, {"a.yaml": "functions: {'f(x)': x}"})
    (tmp_path / "root/link.yaml").symlink_to(tmp_path / "a.yaml")
    (tmp_path / "root/linked").symlink_to(tmp_path)
    file, (error,) = read(tmp_path / "root/main.yaml")
    assert file is None
    assert (error.code, error.span.text) == ("E507", name)


def test_the_root_is_that_of_the_opened_file_not_of_the_using_one(tmp_path):
    write(
        tmp_path,
        {
            "main.yaml": "use: [sub/a.yaml]\nloss: f(x)",
            "sub/a.yaml": "use: [../b.yaml]",
            "b.yaml": "functions: {'f(x)': x}",
        },
    )
    file, found = read(tmp_path / "main.yaml")
    assert (names(file), found) == (["f"], [])
    (tmp_path / "sub/main.yaml").write_text("use: [a.yaml]\nloss: f(x)")
    file, (error,) = read(tmp_path / "sub/main.yaml")
    assert file is None
    assert (error.code, error.span.text) == ("E507", "../b.yaml")


def test_a_link_inside_the_root_is_followed(tmp_path):
    write(tmp_path, {"main.yaml": "use: [link.yaml, a.yaml]\nloss: f(x)"})
    write(tmp_path, {"a.yaml": "functions: {'f(x)': x}"})
    (tmp_path / "link.yaml").symlink_to(tmp_path / "a.yaml")
    file, found = read(tmp_path / "main.yaml")
    assert (names(file), found) == (["f"], [])


def test_a_file_opened_by_a_link_has_its_root_where_it_really_is(tmp_path):
    write(tmp_path, {"real/main.yaml": "use: a.yaml\nloss: f(x)"})
    write(tmp_path, {"real/a.yaml": "functions: {'f(x)': x}"})
    (tmp_path / "main.yaml").symlink_to(tmp_path / "real/main.yaml")
    file, found = read(tmp_path / "main.yaml")
    assert (names(file), found) == (["f"], [])


CLASHES = {
    "two used files": (
        {"a.yaml": "functions: {'f(x)': x}", "b.yaml": "functions: {'f(x, y)': y}"},
        "use: [a.yaml, b.yaml]\nloss: f(x)",
        ("b.yaml", "a.yaml"),
    ),
    "two used params": (
        {"a.yaml": "params: {f: 1}", "b.yaml": "params: {f: 1}"},
        "use: [a.yaml, b.yaml]\nloss: f*g(x)",
        ("b.yaml", "a.yaml"),
    ),
    "a used file and this one": (
        {"a.yaml": "functions: {'f(x)': x}"},
        "use: [a.yaml]\nfunctions: {'f(z)': z}\nloss: f(x)",
        ("main.yaml", "a.yaml"),
    ),
    "a used file and one of the losses": (
        {"a.yaml": "params: {f: 1}"},
        "use: [a.yaml]\nlosses: {g: {params: {f: 2}, loss: f*g(x)}}",
        ("main.yaml", "a.yaml"),
    ),
}


@pytest.mark.parametrize(("files", "main", "places"), CLASHES.values(), ids=CLASHES.keys())
def test_a_name_has_one_meaning(files, main, places, tmp_path):
    write(tmp_path, {**files, "main.yaml": main})
    file, (error,) = read(tmp_path / "main.yaml")
    assert file is None
    assert error.code == "E203"
    (label,) = error.labels
    seen = (Path(error.file).name, Path(label.span.source.name).name)
    assert (seen, error.span.text, label.span.text) == (places, "f", "f")


def test_a_function_and_a_param_may_share_a_name(tmp_path):
    write(tmp_path, {"main.yaml": "use: a.yaml\nparams: {f: 1}\nloss: f*f(x)"})
    write(tmp_path, {"a.yaml": "functions: {'f(x)': x}"})
    file, found = read(tmp_path / "main.yaml")
    assert (names(file), found) == (["f", "f"], [])


def test_only_yaml_can_be_used(tmp_path):
    write(tmp_path, {"main.yaml": "use: a.loss\nloss: f(x)", "a.loss": "x"})
    _, (error,) = read(tmp_path / "main.yaml")
    assert (error.code, error.span.text) == ("E504", "a.loss")


def test_too_many_files_are_refused(tmp_path):
    count = limits.FILES + 3
    used = ", ".join(f"f{i}.yaml" for i in range(count))
    write(tmp_path, {"main.yaml": f"use: [{used}]\nloss: x"})
    write(tmp_path, {f"f{i}.yaml": f"params: {{w{i}: 1}}" for i in range(count)})
    _, found = read(tmp_path / "main.yaml")
    assert [(error.code, error.span.text) for error in found] == [
        ("E701", f"f{i}.yaml") for i in range(limits.FILES, count)
    ]


@pytest.fixture
def library(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "shipped"
    write(
        folder,
        {
            "one.yaml": "use: ['lossdsl:two', ./three.yaml]\nfunctions: {'f(x)': x}",
            "two.yaml": "functions: {'g(x)': x}",
            "three.yaml": "functions: {'h(x)': x}",
            "bad.yaml": "use: ../main.yaml",
            "their.yaml": "namespace: their\nfunctions: {'f(x)': their.g(x), 'g(x)': x}",
        },
    )
    monkeypatch.setattr(shipped, "FOLDER", folder)
    return folder


def test_shipped_files_are_used_by_name(library, tmp_path, read_clean):
    text = "use: ['lossdsl:one', 'lossdsl:two']\nloss: f(x)"
    write(tmp_path, {"main.yaml": text})
    file, found = read(tmp_path / "main.yaml")
    assert (names(file), found) == (["g", "h", "f"], [])
    # They need no folder, so a text in memory can use them too.
    assert names(read_clean(text)) == ["g", "h", "f"]
    assert [source.name for source in file.sources[1:]] == [
        "lossdsl:one.yaml",
        "lossdsl:two.yaml",
        "lossdsl:three.yaml",
    ]


SHIPPED_ERRORS = {
    "a near miss": ("lossdsl:ome", "E506", "did you mean `lossdsl:one`?"),
    "a far miss": ("lossdsl:zzzzzz", "E506", "`lossdsl:bad`, `lossdsl:one`, `lossdsl:their`"),
    "a path": ("lossdsl:../main", "E506", ""),
    "nothing": ("'lossdsl:'", "E506", ""),
}


@pytest.mark.parametrize(
    ("name", "code", "words"), SHIPPED_ERRORS.values(), ids=SHIPPED_ERRORS.keys()
)
def test_unknown_shipped_files(name, code, words, library, tmp_path):
    write(tmp_path, {"main.yaml": f"use: [{name}]\nloss: x"})
    _, (error,) = read(tmp_path / "main.yaml")
    assert (error.code, error.span.text) == (code, name)
    assert words in (error.help or "")


def test_a_shipped_file_stays_in_its_folder(library, tmp_path):
    write(tmp_path, {"main.yaml": "use: ['lossdsl:bad']\nloss: x"})
    _, (error,) = read(tmp_path / "main.yaml")
    assert (error.code, error.file, error.span.text) == ("E507", "lossdsl:bad.yaml", "../main.yaml")


def test_functions_of_a_dialect_have_its_name_in_front(library, read_clean):
    file = read_clean("use: ['lossdsl:their', 'lossdsl:two']\nloss: their.f(x) + g(x)")
    assert names(file) == ["their.f", "their.g", "g"]
    assert file.programs[None].brought == {"their.f", "their.g", "g"}


def test_only_shipped_files_have_a_namespace(library, tmp_path):
    write(tmp_path, {"main.yaml": "use: a.yaml\nloss: f(x)", "a.yaml": "namespace: a"})
    _, (error,) = read(tmp_path / "main.yaml")
    assert (error.code, error.span.text) == ("E502", "namespace")


def test_what_other_files_bring_need_not_be_used(tmp_path):
    text = "params: {u: 1}\nfunctions: {'f(x)': mean(x), 'g(x)': mean(log(2*x))}"
    text += " # lossdsl: ignore[W801]"
    write(tmp_path, {"main.yaml": "use: a.yaml\nloss: f(x)", "a.yaml": text})
    assert lossdsl.check(tmp_path / "main.yaml").diagnostics == ()
    # The comment is there for those who call the function.
    write(tmp_path, {"log.yaml": "use: a.yaml\nloss: g(x)"})
    assert lossdsl.check(tmp_path / "log.yaml").diagnostics == ()
    assert lossdsl.check(tmp_path / "a.yaml").diagnostics == ()
    write(tmp_path, {"a.yaml": text.partition(" #")[0]})
    (found,) = lossdsl.check(tmp_path / "log.yaml").diagnostics
    assert (found.code, found.span.text) == ("W801", "2*x")
