"""Warnings as errors, warnings left out, and comments that silence them where they stand."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

import lossdsl
from lossdsl.cli.app import app

LOG = "input p: prob[B]\nmean(log(p))"


def codes(text: str, **options: object) -> list[tuple[str, str]]:
    found = lossdsl.check(text, **options).diagnostics  # type: ignore[arg-type]
    return [(d.code, d.severity) for d in found]


def test_a_warning_can_be_an_error_or_left_out() -> None:
    assert codes(LOG) == [("W801", "warning")]
    assert codes(LOG, error=["W801"]) == [("W801", "error")]
    assert codes(LOG, ignore=["w801"]) == []
    assert codes(LOG, error=["W801"], ignore=["W801"]) == []


@pytest.mark.parametrize(
    "text",
    [
        f"{LOG}  # lossdsl: ignore[W801]",
        "input p: prob[B]\n# lossdsl: ignore[W801]\nmean(log(p))",
        f"{LOG}  #lossdsl:ignore[ w801 ] it is never 0",
        "input p: prob[B]\nmean(log(\n    p  # lossdsl: ignore[W801]\n))",
    ],
)
def test_a_comment_silences_its_line(text: str) -> None:
    assert codes(text) == []
    assert lossdsl.compile(text, backend="eager").warnings == ()


@pytest.mark.parametrize(
    ("comment", "told"),
    [
        ("W803", "nothing on this line gives `W803`"),
        ("W999", "there is no code `W999`"),
        ("E201", "`E201` is an error, and cannot be ignored"),
    ],
)
def test_a_comment_that_silences_nothing_is_told(comment: str, told: str) -> None:
    text = f"{LOG}  # lossdsl: ignore[W801, {comment}]"
    (found,) = lossdsl.check(text).diagnostics
    assert (found.code, found.span.text, found.message) == ("W203", comment, told)
    assert codes(text, error=["W203"]) == [("W203", "error")]
    assert codes(text, ignore=["W203"]) == []


def test_an_error_cannot_be_silenced() -> None:
    text = "bce(sigmoid(sigmoid(p)), y)  # lossdsl: ignore[E303]"
    assert codes(text)[0] == ("E303", "error")


def test_a_comment_on_another_line_silences_nothing() -> None:
    text = "input p: prob[B]  # lossdsl: ignore[W801]\nmean(log(p))"
    assert codes(text) == [("W203", "warning"), ("W801", "warning")]


YAML = """inputs:
  p: prob[B]
  q: prob[B]
terms:
  a: mean(log(p))  # lossdsl: ignore[W801]
  b: >-
    mean(p)
    + mean(log(q))
options:
  {options}
"""


def test_comments_and_options_of_a_file() -> None:
    def found(options: str) -> list[tuple[str, str, int]]:
        report = lossdsl.check(YAML.replace("{options}", options), format="yaml")
        return [(d.code, d.severity, d.line) for d in report.diagnostics]

    assert found("reduction: mean") == [("W801", "warning", 8)]
    assert found("error: W801") == [("W801", "error", 8)]
    assert found("ignore: [W801, W803]") == []
    assert found("ignore: E201")[0] == ("E509", "error", 10)
    assert found("error: [W801, bad]")[-1] == ("E509", "error", 10)


def test_the_command_line_goes_before_the_file() -> None:
    text = YAML.replace("{options}", "error: W801")
    assert lossdsl.check(text, format="yaml", ignore=["W801"]).diagnostics == ()


def test_compile_and_load_raise_what_a_file_calls_an_error() -> None:
    config = {
        "inputs": {"p": "prob[B]"},
        "loss": "mean(log(p))",
        "options": {"error": ["W801"]},
    }
    with pytest.raises(lossdsl.LossTypeError, match=r"error\[W801\]"):
        lossdsl.from_config(config, backend="eager")
    config["options"] = {"ignore": ["W801"]}
    assert lossdsl.from_config(config, backend="eager").warnings == ()


def test_levels_on_the_command_line() -> None:
    run = CliRunner()
    assert run.invoke(app, ["check", "-e", LOG]).exit_code == 0
    assert run.invoke(app, ["check", "-e", LOG, "--error", "W801"]).exit_code == 1
    silent = run.invoke(app, ["check", "-e", LOG, "--ignore", "W801"])
    assert "W801" not in silent.output
    wrong = run.invoke(app, ["check", "-e", LOG, "--ignore", "W999"])
    assert wrong.exit_code == 1
    assert "there is no code `W999`" in wrong.output
