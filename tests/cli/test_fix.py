"""`lossdsl check --fix`: before and after, letter for letter."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lossdsl.cli.fixing import ROUNDS

PROGRAMS = {
    "0.5*dise(p, y) + jacard(p, y)": "0.5*dice(p, y) + jaccard(p, y)",
    "cross_entropy_loss(p, y)": "ce(p, y)",
    "2mse(p, y) + 0.5(mean(p))": "2*mse(p, y) + 0.5*(mean(p))",
    "1,5*mse(p, y)": "1.5*mse(p, y)",
    "F.mse_loss(p, y) + torch.mean(torch.abs(p), dim=1).sum()": (
        "mse(p, y) + sum(mean(abs(p), over=1))"
    ),
    "mean(torch.abs(p)) + np.mean(q)": "mean(abs(p)) + mean(q)",
    "x.abs().mean()": "mean(abs(x))",
    "(x - y).abs().mean()": "mean(abs(x - y))",
    "sum(mean(x, dim=1))": "sum(mean(x, over=1))",
    "sum(x.mean(axis=[0, 1], keepdims=true))": "sum(mean(x, over=[0, 1], keepdim=true))",
    "sum(mean(x, 1))": "sum(mean(x, over=1))",
    "mse(p, y, reduction='none')[0].mean()": "mean(mse(p, y, reduction='none')[0])",
    "mse(p, y, reduction=mean)": "mse(p, y, reduction='mean')",
    "dice(p, y, over=batch)": "dice(p, y, over='batch')",
    "mean(where((a > 0) & (b > 0) || a === b, a, b))": (
        "mean(where((a > 0) and (b > 0) or a == b, a, b))"
    ),
    "mean(x)*(1 if True else 2)": "mean(x)*(1 if true else 2)",
    "return mse(p, y)": "mse(p, y)",
    "q := mse(p, y)\nq": "q = mse(p, y)\nq",
    "let q = mse(p, y)\nq": "q = mse(p, y)\nq",
    "def f(x): return x**2\nmean(f(p))": "def f(x) = x**2\nmean(f(p))",
    "f(x) = x²\nmean(f(p))": "def f(x) = x**2\nmean(f(p))",
    "// a comment\nmse(p, y)": "# a comment\nmse(p, y)",
    "input p logits[2B]\nmean(p)": "input p: logits[2*B]\nmean(p)",
    "input p: list[logit(B, H), 2]\nmean(p[0]) + mean(p[1])": (
        "input p: list[logits[B, H]; 2]\nmean(p[0]) + mean(p[1])"
    ),
    "input target: mask[B]\nbce(1.5, tagret)": "input target: mask[B]\nbce(1.5, target)",
    "input out: {logits: logits[B]}\nmean(out.logtis) + mean(out['loogits'])": (
        "input out: {logits: logits[B]}\nmean(out.logits) + mean(out['logits'])"
    ),
}

LEFT = {
    "a bracket that may be missing elsewhere": "mse(p, x[0, y)",
    "two names that are as close": "maen(p)",
    "names that differ on purpose": "input fake_a: real[B]\nmean(fake_b) + mean(fake_a)",
    "an argument with other meanings elsewhere": "mean(F.normalize(p))",
    "arguments by position": "sum(x.gather(1, y))",
    "a sign that binds otherwise elsewhere": "mean(where(a > 0 & b > 0, a, b))",
}

FILES = {
    "plain": ("loss: dise(p, y)  # dise\n", "loss: dice(p, y)  # dise\n"),
    "single quotes": (
        "loss: 'mse(p, y, reduction=mean)'\n",
        "loss: 'mse(p, y, reduction=''mean'')'\n",
    ),
    "double quotes": ('loss: "2*dise(p, \\x79)"\n', 'loss: "2*dice(p, \\x79)"\n'),
    "literal": ("loss: |\n  dise(p, y)\n  + x.mean()\n", "loss: |\n  dice(p, y)\n  + mean(x)\n"),
    "folded": ("loss: >-\n  dise(p, y)\n  + 2mean(x)\n", "loss: >-\n  dice(p, y)\n  + 2*mean(x)\n"),
    "over lines": ("loss: dise(p, y)\n  + bcee(p, y)\n", "loss: dice(p, y)\n  + bce(p, y)\n"),
    "in braces": (
        "{inputs: {p: 'real(B, T)'}, loss: meen(p)}\n",
        "{inputs: {p: 'real[B, T]'}, loss: mean(p)}\n",
    ),
    "a key": ("los: mse(p, y)\n", "loss: mse(p, y)\n"),
    "a key in quotes": ('"los": mse(p, y)\n', '"loss": mse(p, y)\n'),
    "a function": (
        "functions:\n  f(x): x²\nloss: mean(f(p))\n",
        "functions:\n  f(x): x**2\nloss: mean(f(p))\n",
    ),
    "an alias": (
        "let:\n  a: &q dise(p, y)\n  b: *q\nloss: a + b\n",
        "let:\n  a: &q dice(p, y)\n  b: *q\nloss: a + b\n",
    ),
    "Windows": ("# Größe\r\nloss: dise(p, y)\r\n", "# Größe\r\nloss: dice(p, y)\r\n"),
    "a mark": ("\ufeffloss: dise(p, y)\n", "\ufeffloss: dice(p, y)\n"),
}

LEFT_FILES = {
    "escapes are not written": 'loss: "dis\\x65(p, y)"\n',
    "brackets end a value in braces": "{loss: mean(x.sort()), inputs: {x: real(B)}}\n",
    "a sign starts a list": "loss: − mse(p, y)\n",
}


@pytest.mark.parametrize(("before", "after"), PROGRAMS.items(), ids=list(PROGRAMS))
def test_a_program(run: Callable[..., Any], before: str, after: str) -> None:
    assert run("check", "--fix", "-e", before).stdout == f"{after}\n"


@pytest.mark.parametrize("text", LEFT.values(), ids=list(LEFT))
def test_what_is_not_sure_is_left(run: Callable[..., Any], text: str) -> None:
    result = run("check", "--fix", "-e", text)
    assert result.stdout == f"{text}\n"
    assert result.stderr.startswith("no fixes applied\nerror[")
    assert result.exit_code == 1


@pytest.mark.parametrize(("before", "after"), FILES.values(), ids=list(FILES))
def test_a_file(run: Callable[..., Any], tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(before.encode())
    run("check", "--fix", "a.yaml")
    assert path.read_bytes() == after.encode()


@pytest.mark.parametrize("text", LEFT_FILES.values(), ids=list(LEFT_FILES))
def test_what_yaml_would_read_otherwise_is_left(
    run: Callable[..., Any], tmp_path: Path, text: str
) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(text.encode())
    run("check", "--fix", "a.yaml")
    assert path.read_bytes() == text.encode()


def test_what_is_left_is_told(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("loss: dise(p, y) + f(p)\n", encoding="utf-8")
    result = run("check", "--fix", "a.yaml")
    assert result.exit_code == 1
    assert "there is no loss or function called `f`" in result.stdout
    assert "dise" not in result.stdout
    assert result.stderr == "1 fix applied\n1 error\n"


def test_nothing_is_left(run: Callable[..., Any]) -> None:
    result = run("check", "--fix", "bad.yaml", "good.yaml", "program.loss")
    assert "did you mean" not in result.stdout
    clean = run("check", "--fix", "good.yaml", "program.loss")
    assert (clean.exit_code, clean.stdout) == (0, "")
    assert clean.stderr == "no fixes applied\nno problems\n"


def test_one_loss_of_a_file(run: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text("losses:\n  a: {loss: 'dise(p, y)'}\n  b: {loss: 'mes(p, y)'}\n", "utf-8")
    run("check", "--fix", "two.yaml#a")
    assert "dice(p, y)" in path.read_text("utf-8")


def test_a_used_file_is_left(run: Callable[..., Any], tmp_path: Path) -> None:
    common = "functions: {'f(x)': 'meen(x)'}\n"
    (tmp_path / "common.yaml").write_text(common, encoding="utf-8")
    (tmp_path / "a.yaml").write_text("use: [./common.yaml]\nloss: f(x)\n", encoding="utf-8")
    assert run("check", "--fix", "a.yaml").exit_code == 1
    assert (tmp_path / "common.yaml").read_text("utf-8") == common


def test_stdin(run: Callable[..., Any]) -> None:
    result = run("check", "--fix", "-", input="dise(p, y)\n")
    assert (result.exit_code, result.stdout) == (0, "dice(p, y)\n")
    assert result.stderr == "1 fix applied\nno problems\n"


def test_a_file_that_is_not_there(run: Callable[..., Any], tmp_path: Path) -> None:
    assert "there is no such file" in run("check", "--fix", "none.yaml").stdout
    assert not (tmp_path / "none.yaml").exists()
    (tmp_path / "latin.yaml").write_bytes(b"loss: dise(p, \xe4)\n")
    assert run("check", "--fix", "latin.yaml").exit_code == 1
    assert (tmp_path / "latin.yaml").read_bytes() == b"loss: dise(p, \xe4)\n"


def test_an_untouched_file_is_not_written(run: Callable[..., Any], tmp_path: Path) -> None:
    before = (tmp_path / "good.yaml").stat().st_mtime_ns
    run("check", "--fix", "good.yaml")
    assert (tmp_path / "good.yaml").stat().st_mtime_ns == before


def test_rounds_end(run: Callable[..., Any]) -> None:
    """Each round uncovers the next method."""
    text = "x" + ".abs()" * (ROUNDS + 5)
    result = run("check", "--fix", "-e", f"{text}.mean()")
    assert result.stderr.startswith(f"{ROUNDS} fixes applied")


def test_a_program_and_a_format(run: Callable[..., Any]) -> None:
    result = run("check", "--fix", "-e", "dise(p, y)", "--format", "json")
    assert result.exit_code == 2
    assert "--format" in result.stderr


# --- formats ----------------------------------------------------------------------------------


def test_fixes_in_json(run: Callable[..., Any], tmp_path: Path) -> None:
    text = "loss: 'mse(p, y, reduction=mean)'\n"
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    (problem,) = json.loads(run("check", "a.yaml", "--format", "json").stdout)["diagnostics"]
    fix = problem["fix"]
    assert (fix["text"], fix["safe"], fix["line"]) == ("''mean''", True, 1)
    assert text[fix["column"] - 1 : fix["end"]["column"] - 1] == "mean"


def test_an_insertion_in_json(run: Callable[..., Any]) -> None:
    output = run("check", "-e", "2mse(p, y)", "--format", "json").stdout
    fix = json.loads(output)["diagnostics"][0]["fix"]
    assert (fix["text"], fix["column"], fix["end"]["column"]) == ("*", 2, 2)


def test_fixes_in_sarif(run: Callable[..., Any], tmp_path: Path) -> None:
    """A fix is a description and changes, a change an artifact and replacements."""
    (tmp_path / "a.yaml").write_text("loss: 2dise(p, y)\n", encoding="utf-8")
    log = json.loads(run("check", "a.yaml", "--format", "sarif").stdout)
    (result,) = log["runs"][0]["results"]
    (fix,) = result["fixes"]
    assert fix["description"]["text"]
    (change,) = fix["artifactChanges"]
    assert change["artifactLocation"] == {"uri": "a.yaml"}
    (replacement,) = change["replacements"]
    region = {"startLine": 1, "startColumn": 8, "endLine": 1, "endColumn": 8}
    assert replacement == {"deletedRegion": region, "insertedContent": {"text": "*"}}
