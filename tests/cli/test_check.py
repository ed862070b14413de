"""`lossdsl check`: all problems of all files, in every format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lossdsl

ALL = ("check", "bad.yaml", "unused.yaml", "good.yaml", "-e", "bce(p,")


def test_a_good_file_is_no_problem(run: Callable[..., Any]) -> None:
    result = run("check", "good.yaml")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no problems\n")


def test_all_problems_of_all_files_come_at_once(run: Callable[..., Any]) -> None:
    result = run(*ALL)
    assert result.exit_code == 1
    assert re.findall(r"^(?:error|warning)\[(\w+)\]", result.stdout, re.MULTILINE) == [
        "E202",
        "E303",
        "W201",
        "E102",
    ]
    assert result.stderr == "3 errors, 1 warning\n"


def test_warnings_alone_are_no_failure(run: Callable[..., Any]) -> None:
    result = run("check", "unused.yaml")
    assert result.exit_code == 0
    assert "nothing uses the input `z`" in result.stdout
    assert result.stderr == "1 warning\n"


def test_text_is_what_the_report_prints(run: Callable[..., Any]) -> None:
    report = lossdsl.check("bad.yaml")
    assert run("check", "bad.yaml").stdout == f"{report}\n\nexplain: lossdsl explain E202\n"


def test_one_of_several_losses(run: Callable[..., Any]) -> None:
    assert run("check", "gan.yaml#generator").exit_code == 0
    result = run("check", "gan.yaml#generater")
    assert result.exit_code == 1
    assert "did you mean `generator`?" in result.stdout


@pytest.mark.parametrize(("program", "code"), [("bce(p, y)", 0), ("bce(p, y", 1)])
def test_a_program_from_standard_input(run: Callable[..., Any], program: str, code: int) -> None:
    assert run("check", "-", input=program).exit_code == code


def test_a_program_in_place_of_a_file_is_told_how_to_come(run: Callable[..., Any]) -> None:
    result = run("check", "bce(p, y)")
    assert result.exit_code == 1
    assert "put `-e` in front of it" in result.stdout
    assert "-e" not in run("check", "missing.yaml").stdout


def test_nothing_to_check_is_wrong_usage(run: Callable[..., Any]) -> None:
    assert run("check").exit_code == 2
    assert run("check", "good.yaml", "--format", "xml").exit_code == 2


def test_a_network_that_python_will_give(run: Callable[..., Any]) -> None:
    assert run("check", "-e", "l1(net(x), y)").exit_code == 1
    assert run("check", "-e", "l1(net(x), y)", "--module", "net").exit_code == 0


def test_a_problem_that_two_files_share_is_told_once(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "common.yaml").write_text("functions: {f(x): mean(x}\n", encoding="utf-8")
    for name in ("a.yaml", "b.yaml"):
        text = "use: [./common.yaml]\nloss: f(x)\n"
        (tmp_path / name).write_text(text, encoding="utf-8")
    alone, both = run("check", "a.yaml"), run("check", "a.yaml", "b.yaml")
    assert "common.yaml:1:" in alone.stdout
    assert both.stdout == alone.stdout


# --- formats ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "file"),
    [("json", "check.json"), ("github", "check.github.txt"), ("sarif", "check.sarif.json")],
)
def test_formats(
    run: Callable[..., Any], golden: Callable[[str, str], None], format: str, file: str
) -> None:
    result = run(*ALL, "--format", format)
    assert result.exit_code == 1
    assert result.stderr == "3 errors, 1 warning\n"
    # The version of the tool is no part of the format.
    shown = result.stdout.replace(f'"{lossdsl.__version__}"', '"VERSION"')
    golden(f"cli/{file}", shown)


def test_no_problems_in_every_format(run: Callable[..., Any]) -> None:
    empty = json.loads(run("check", "good.yaml", "--format", "json").stdout)
    assert empty == {"errors": 0, "warnings": 0, "notes": 0, "diagnostics": []}
    log = json.loads(run("check", "good.yaml", "--format", "sarif").stdout)
    assert log["runs"][0]["results"] == []
    assert run("check", "good.yaml", "--format", "github").stdout == ""


def marked(text: str, place: dict[str, Any]) -> str:
    """What stands at a place of a JSON diagnostic on one line, cut out of the text."""
    assert place["end"]["line"] == place["line"]
    line = text.splitlines()[place["line"] - 1]
    return line[place["column"] - 1 : place["end"]["column"] - 1]


def test_places_in_json_cut_out_what_is_wrong(run: Callable[..., Any], tmp_path: Path) -> None:
    text = 'loss: "bce(p, 𝒴) + dise(p, 𝒴)"  # 損失\n'
    (tmp_path / "wide.yaml").write_text(text, encoding="utf-8")
    (problem,) = json.loads(run("check", "wide.yaml", "--format", "json").stdout)["diagnostics"]
    assert problem["file"] == "wide.yaml"
    assert marked(text, problem) == "dise"


def test_labels_in_json(run: Callable[..., Any], tmp_path: Path) -> None:
    problems = json.loads(run("check", "bad.yaml", "--format", "json").stdout)["diagnostics"]
    (label,) = problems[1]["labels"]
    text = (tmp_path / "bad.yaml").read_text(encoding="utf-8")
    assert marked(text, problems[1]) == "sigmoid(sigmoid(p))"
    assert marked(text, label) == "sigmoid(p)"


# --- GitHub -----------------------------------------------------------------------------------

COMMAND = re.compile(r"::(?P<name>error|warning|notice) (?P<properties>[^:]*)::(?P<message>.*)")


def unescaped(text: str) -> str:
    for written, meant in (("%0A", "\n"), ("%0D", "\r"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(written, meant)
    return text


def commands(stdout: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """GitHub's reading of its workflow commands, a line each."""
    for line in stdout.splitlines():
        match = COMMAND.fullmatch(line)
        assert match is not None, line
        pairs = (pair.split("=", 1) for pair in match["properties"].split(","))
        properties = {key: unescaped(value) for key, value in pairs}
        yield match["name"], properties, unescaped(match["message"])


def test_annotations_are_read_back(run: Callable[..., Any], tmp_path: Path) -> None:
    odd = "50%, a:b.yaml"
    (tmp_path / odd).write_text("loss: dise(p, y)\n", encoding="utf-8")
    found = list(commands(run("check", odd, "bad.yaml", "--format", "github").stdout))
    assert found[0] == (
        "error",
        {"title": "E202", "file": odd, "line": "1", "col": "7", "endColumn": "10"},
        "there is no loss or function called `dise`\nhelp: did you mean `dice`?",
    )
    assert found[2][2].splitlines()[1:] == [
        "bad.yaml:8:24: this is already `prob`",
        "help: drop one `sigmoid`",
    ]


def test_an_annotation_of_several_lines_has_no_columns(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "two.loss").write_text("bce(\n  p)\n", encoding="utf-8")
    ((name, properties, _),) = commands(run("check", "two.loss", "--format", "github").stdout)
    assert name == "error"
    assert properties == {"title": "E204", "file": "two.loss", "line": "1", "endLine": "2"}


def test_a_warning_and_a_text_without_a_file(run: Callable[..., Any]) -> None:
    found = commands(run("check", "unused.yaml", "-e", "bce(p,", "--format", "github").stdout)
    warning, error = found
    assert warning[0] == "warning"
    assert error[:2] == ("error", {"title": "E102"})


# --- SARIF ------------------------------------------------------------------------------------


def test_the_log_has_what_sarif_requires(run: Callable[..., Any], tmp_path: Path) -> None:
    """The rules of version 2.1.0 for every object that the log uses."""
    (tmp_path / "a b.yaml").write_text("loss: dise(p, y)\n", encoding="utf-8")
    absolute = tmp_path / "bad.yaml"
    output = run(*ALL, "a b.yaml", str(absolute), "--format", "sarif").stdout
    log = json.loads(output)
    assert log["version"] == "2.1.0"
    (sarif_run,) = log["runs"]
    driver = sarif_run["tool"]["driver"]
    assert driver["name"] == "lossdsl"
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in {"error", "warning", "note", "none"}
    assert sarif_run["columnKind"] in {"utf16CodeUnits", "unicodeCodePoints"}
    assert len(sarif_run["results"]) == 7
    for result in sarif_run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in {"error", "warning", "note", "none"}
        assert result["message"]["text"]
        (location,) = result["locations"]
        related = result.get("relatedLocations", [])
        assert len({place["id"] for place in related}) == len(related)
        for place in (location, *related):
            check_location(place["physicalLocation"], sarif_run.get("artifacts", []))
    uris = {
        result["locations"][0]["physicalLocation"]["artifactLocation"].get("uri")
        for result in sarif_run["results"]
    }
    assert {"bad.yaml", "a%20b.yaml", absolute.as_uri(), None} <= uris


def check_location(place: dict[str, Any], artifacts: list[Any]) -> None:
    artifact, region = place["artifactLocation"], place["region"]
    assert set(artifact) <= {"uri", "index"}
    if "index" in artifact:
        assert artifacts[artifact["index"]]["contents"]["text"]
    else:
        assert re.fullmatch(r"[\w%.:/-]+", artifact["uri"])
    start = region["startLine"], region["startColumn"]
    end = region["endLine"], region["endColumn"]
    assert min(*start, *end) >= 1
    assert start <= end


def test_a_text_without_a_file_is_in_the_log(run: Callable[..., Any]) -> None:
    log = json.loads(run("check", "-e", "bce(p,", "-e", "dise(p, y)", "--format", "sarif").stdout)
    texts = [artifact["contents"]["text"] for artifact in log["runs"][0]["artifacts"]]
    assert texts == ["bce(p,", "dise(p, y)"]
