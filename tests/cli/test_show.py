"""`lossdsl show` and `lossdsl inspect`: one loss, in full and at every stage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lossdsl

TEXT_STAGES = ["ast", "typed", "ir", "fx", "torch", "aten"]


def good() -> Any:
    """The loss of the file that `run` has put into the folder."""
    return lossdsl.load("good.yaml", backend="eager")


def test_show_has_contract_terms_formula_and_graph(run: Callable[..., Any]) -> None:
    loss, result = good(), run("show", "good.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    contract, terms, formula, graph = result.stdout.rstrip("\n").split("\n\n")
    assert contract == str(loss.contract)
    assert [line.split(maxsplit=2) for line in terms.splitlines()] == [
        ["term", "weight", "text"],
        ["pixels", "w", "w*bce(p, y)"],
        ["shape", "0.25", "0.25*dice(p, y)"],
        ["error", "monitor", "l1(sigmoid(p), y)"],
    ]
    assert formula == loss.formula()
    assert graph == loss.draw("text")


def test_texts_of_terms_in_a_program(run: Callable[..., Any]) -> None:
    program = "q = tv(z); 0.5*bce(p, y) + 2*dice(p, y) as d - q/4"
    terms = run("show", "-e", program).stdout.split("\n\n")[1]
    assert [line.split(maxsplit=2) for line in terms.splitlines()[1:]] == [
        ["bce", "0.5", "0.5*bce(p, y)"],
        ["d", "2", "2*dice(p, y)"],
        ["q", "-0.25", "tv(z)"],
    ]


def test_warnings_go_to_standard_error(run: Callable[..., Any]) -> None:
    result = run("show", "unused.yaml")
    assert result.exit_code == 0
    assert "nothing uses the input `z`" in result.stderr
    assert "warning" not in result.stdout


@pytest.mark.parametrize("command", [("show",), ("inspect",), ("eval", "--data", "x.pt")])
def test_one_of_several_losses_must_be_named(
    run: Callable[..., Any], command: tuple[str, ...]
) -> None:
    result = run(*command, "gan.yaml")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert (
        result.stderr
        == """\
error[E508]: `gan.yaml` holds 2 losses, and this command takes one
  --> gan.yaml:4:1
   |
 4 | losses:
   | ^^^^^^
 5 |   discriminator: {loss: "gan_d(real, fake)"}
   |   -------------
 6 |   generator: {loss: gan_g(fake)}
   |   ---------
  = help: name one: `gan.yaml#discriminator` or `gan.yaml#generator`

explain: lossdsl explain E508
"""
    )


@pytest.mark.parametrize("command", ["show", "inspect"])
def test_one_of_several_losses(run: Callable[..., Any], command: str) -> None:
    result = run(command, "gan.yaml#generator")
    assert result.exit_code == 0
    assert "gan_g" in result.stdout
    assert "gan_d" not in result.stdout


@pytest.mark.parametrize("command", [("show",), ("inspect",), ("eval", "--data", "x.pt")])
def test_errors_are_diagnostics(run: Callable[..., Any], command: tuple[str, ...]) -> None:
    result = run(*command, "bad.yaml")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error[E202]: ")
    assert "\n\nerror[E303]: " in result.stderr
    assert run(*command, "-e", "bce(p").stderr.startswith("error[E102]: ")
    assert run(*command, "missing.yaml").stderr.startswith("error[E506]: ")
    assert "put `-e` in front" in run(*command, "bce(p, y)").stderr


def test_a_program_from_standard_input(run: Callable[..., Any]) -> None:
    program = "mse(x, y)"
    assert run("show", "-", input=program).stdout == run("show", "-e", program).stdout


@pytest.mark.parametrize("command", [("show",), ("inspect",), ("eval", "--data", "x.pt")])
def test_a_file_or_a_program(run: Callable[..., Any], command: tuple[str, ...]) -> None:
    assert run(*command).exit_code == 2
    assert run(*command, "good.yaml", "-e", "mse(x, y)").exit_code == 2


# --- inspect ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", TEXT_STAGES)
def test_stages(run: Callable[..., Any], stage: Any) -> None:
    result = run("inspect", "good.yaml", "--stage", stage)
    assert result.exit_code == 0
    assert result.stdout == f"{good().inspect(stage)}\n"


@pytest.mark.slow
def test_the_kernel_stage(run: Callable[..., Any]) -> None:
    result = run("inspect", "-e", "mse(x, y)", "--stage", "kernel")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "float" in result.stdout


def test_the_default_is_the_graph(run: Callable[..., Any]) -> None:
    assert run("inspect", "good.yaml").stdout == run("inspect", "good.yaml", "--stage", "ir").stdout


@pytest.mark.parametrize("form", ["mermaid", "dot"])
def test_drawings(run: Callable[..., Any], form: Any) -> None:
    result = run("inspect", "good.yaml", "--format", form)
    assert result.stdout.rstrip("\n") == good().draw(form).rstrip("\n")
    refused = run("inspect", "good.yaml", "--format", form, "--stage", "fx")
    assert refused.exit_code == 2


def test_output_goes_to_a_file(run: Callable[..., Any], tmp_path: Path) -> None:
    shown = run("inspect", "good.yaml", "--stage", "typed").stdout
    result = run("inspect", "good.yaml", "--stage", "typed", "-o", "typed.txt")
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / "typed.txt").read_text(encoding="utf-8") == shown
    assert run("inspect", "good.yaml", "-o", "no/folder.txt").exit_code == 2


def test_sizes_come_from_the_data(run: Callable[..., Any], tmp_path: Path) -> None:
    torch.save({"p": torch.zeros(7, 1), "y": torch.zeros(7, 1), "more": 1}, tmp_path / "x.pt")
    result = run("inspect", "good.yaml", "--stage", "torch", "--data", "x.pt")
    assert result.exit_code == 0
    assert "[7, 1]" in result.stdout
    refused = run("inspect", "good.yaml", "--stage", "fx", "--data", "x.pt")
    assert refused.exit_code == 2


def test_a_loss_that_calls_a_network_can_be_looked_at(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "net.yaml").write_text(
        "inputs: {x: 'image[B, 3, H, W]', D: 'module(image[B, 3, H, W]) -> score[B]'}\n"
        "loss: gan_g(D(x))\n",
        encoding="utf-8",
    )
    assert run("check", "net.yaml").exit_code == 0
    assert "D(x)" in run("show", "net.yaml").stdout
    assert "self.D(" in run("inspect", "net.yaml", "--stage", "fx").stdout
    torch.save({"x": torch.zeros(2, 3, 4, 4)}, tmp_path / "x.pt")
    for command in (("inspect", "--stage", "torch"), ("eval", "--data", "x.pt")):
        result = run(*command, "net.yaml")
        assert result.exit_code == 1
        assert result.stderr.startswith("error[E510]: ")
        assert "net.yaml:1:34" in result.stderr
