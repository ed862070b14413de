"""What each stage shows, and that looking changes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch

import lossdsl
from lossdsl import Loss, LossConfigError, LossInputError
from lossdsl.backend import torch_private

Make = Callable[[str], Loss]


def compiled(text: str, **options: Any) -> Loss:
    return lossdsl.compile(text, backend="eager", **options)


def code(text: str) -> str:
    """A stage's text without its comments."""
    lines = [line for line in text.splitlines() if not line.strip().startswith("#")]
    return "\n".join(line for line in lines if line.strip())


def comments(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith("#")]


# --- choosing ---------------------------------------------------------------------------------


def test_an_unknown_stage_names_the_nearest_and_all() -> None:
    with pytest.raises(LossConfigError) as caught:
        compiled("mse(x, y)").inspect(cast(Any, "kernels"))
    diagnostic = caught.value.diagnostics[0]
    assert diagnostic.code == "E509"
    assert diagnostic.message == "there is no stage `kernels`"
    assert diagnostic.help is not None
    assert diagnostic.help.splitlines() == [
        "did you mean `kernel`?",
        "the stages are `ast`, `typed`, `ir`, `fx`, `torch`, `aten`, `kernel`",
    ]


@pytest.mark.parametrize("word", ["", "svg2", None, 3])
def test_an_unknown_form_lists_those_that_there_are(word: Any) -> None:
    with pytest.raises(LossConfigError, match="`text`, `mermaid`, `dot`"):
        compiled("mse(x, y)").draw(word)


# --- ast --------------------------------------------------------------------------------------


def test_the_tree_has_a_line_a_node_with_its_place() -> None:
    rows = [re.split(r"  +", line) for line in compiled("2*mse(x, y)").inspect("ast").splitlines()]
    assert [row[-2:] for row in rows[1:]] == [
        ["1:1", "2*mse(x, y)"],
        ["1:1", "2"],
        ["1:3", "mse(x, y)"],
        ["1:7", "x"],
        ["1:10", "y"],
    ]


def test_the_tree_of_a_file_shows_its_options_and_that_of_a_program_none() -> None:
    file = {"loss": "mse(x, y)", "options": {"reduction": "sum"}}
    assert "Option reduction" in lossdsl.from_config(file, backend="eager").inspect("ast")
    assert "Option" not in compiled("mse(x, y)", reduction="sum").inspect("ast")


# --- typed and ir -----------------------------------------------------------------------------


def test_every_input_has_the_type_that_the_contract_has(name: str, loss: Loss) -> None:
    text = loss.inspect("typed")
    for entry in loss.contract:
        assert re.search(rf"input {entry.name}\s+{re.escape(str(entry.type))}(\s|$)", text)


def test_what_the_compiler_inserted_is_marked() -> None:
    rows = compiled("dice(p, y)").inspect("typed").splitlines()
    assert {re.split(r"─ ", row)[1].split()[0] for row in rows if "inserted" in row} == {
        "value:",
        "sigmoid",
        "as_float",
    }
    written = [row for row in rows if "sigmoid" in row]
    assert all("inserted" in row for row in written)
    spelled = compiled("dice(sigmoid(p), y)").inspect("typed").splitlines()
    assert not [row for row in spelled if "sigmoid" in row and "inserted" in row]


def test_a_value_used_twice_is_written_out_once() -> None:
    text = compiled("q = exp(x*x)\nmean(q*q)").inspect("typed")
    assert text.count("exp") == 2  # the node, and the source text beside it
    assert len(re.findall(r"#\d+ = ", text)) == 1
    assert len(re.findall(r"#1(?! =)", text)) == 1


def test_shared_values_do_not_multiply() -> None:
    lines = ["a0 = x*x"] + [f"a{i} = a{i - 1}*a{i - 1}" for i in range(1, 40)] + ["mean(a39)"]
    loss = compiled("\n".join(lines))
    for text in (loss.inspect("typed"), loss.draw("text"), loss.draw("dot")):
        assert len(text.splitlines()) < 250


def test_rewrites_are_listed_and_their_absence_is_said() -> None:
    text = compiled("bce(sigmoid(p), y) + 0*mse(p, y)").inspect("ir")
    rewrites = text.partition("# rewrites\n")[2].splitlines()
    assert rewrites == [
        "stable forms: bce(sigmoid(…), y) -> bce(p, y)",
        "drop zero terms: 0 * mean(mse(…, …)) -> 0",
    ]
    plain = compiled("mse(x, y)").inspect("ir")
    assert plain.endswith("# after the passes\nthe same\n\n# rewrites\nnone")


# --- fx ---------------------------------------------------------------------------------------


def test_spelling_the_activation_out_gives_the_same_code() -> None:
    spelled = compiled("bce(sigmoid(p), y)").inspect("fx")
    assert code(spelled) == code(compiled("bce(p, y)").inspect("fx"))
    assert "bce(sigmoid(p), y)" in spelled


def test_the_code_names_the_functions_in_full_and_the_inputs_in_order(loss: Loss) -> None:
    text = loss.inspect("fx")
    names = ", ".join(loss.contract.names)
    assert f"def forward(self, {names}):" in text
    called = [node.target for node in loss.graph_module.graph.nodes if callable(node.target)]
    ours = [f"{f.__module__}.{f.__qualname__}(" for f in called if "lossdsl" in f.__module__]
    assert ours
    assert all(full in text for full in ours)
    assert "lossdsl_" not in text
    assert ";" not in text


def test_the_text_of_each_term_stands_above_its_nodes(name: str, loss: Loss) -> None:
    text = "\n".join(comments(loss.inspect("fx")))
    terms = [t for t in loss._first.optimised.terms if not t.dropped and not t.monitored]
    for term in terms:
        assert re.search(rf"^# {term.name}, line \d+: ", text, re.M)


def test_an_index_is_written_as_it_was() -> None:
    assert "[:, 1::2]" in compiled("mean(x[:, 1::2])").inspect("fx")
    assert "[..., -1]" in compiled("mean(x[..., -1])").inspect("fx")


def test_the_place_in_a_file_is_named(tmp_path: Any) -> None:
    file = tmp_path / "seg.yaml"
    file.write_text("terms:\n  fg: bce(p, y)\n  dice: dice(p, y)\n")
    text = lossdsl.load(file, backend="eager").inspect("fx")
    assert "seg.yaml:3: dice(p, y)" in text


# --- from torch on ----------------------------------------------------------------------------


def test_torch_shows_torch_alone(name: str, loss: Loss) -> None:
    text = loss.inspect("torch")
    assert "lossdsl" not in code(text)
    assert text.count("def forward") == 1


def test_primitives_are_traced_through_under_their_terms_names() -> None:
    text = compiled("mse(x, y) as near + l1(x, y) as far").inspect("torch")
    near, far = text.index("# near, line 1: mse(x, y)"), text.index("# far, line 1: l1(x, y)")
    assert near < text.index("x - y") < far < text.index(".abs()")


def test_aten_has_the_joint_graph_and_both_halves(make: Make) -> None:
    text = make("reference").inspect("aten")
    assert re.findall(r"=== (\w+) ===", text) == ["joint", "forward", "backward"]
    backward = text.partition("=== backward ===")[2]
    for term in ("bce", "dice", "tv"):
        assert f"# {term}, line 1: {term}(" in backward
    operators = re.findall(r"= (torch\.\S+?)\(", text)
    assert operators
    assert all(operator.startswith("torch.ops.aten.") for operator in operators)


def test_without_anything_to_differentiate_there_is_no_backward() -> None:
    loss = compiled("input y: mask[B, N]\nmean(y)")
    assert re.findall(r"=== (\w+) ===", loss.inspect("aten")) == ["forward"]


def test_learnable_weights_are_inputs_of_the_graph(make: Make) -> None:
    text = make("function").inspect("torch")
    assert 's: "f32[1]"' in text
    assert 'w_tv: "f64[1]"' in text


def test_given_inputs_set_the_sizes_and_the_dtypes() -> None:
    batch = {"x": torch.rand(5, 7, dtype=torch.float64), "y": torch.rand(5, 7), "other": None}
    text = compiled("mse(x, y)").inspect("torch", inputs=batch)
    assert 'x: "f64[5, 7]", y: "f32[5, 7]"' in text


def test_lists_of_another_length_are_shown_with_their_graph() -> None:
    loss = compiled("input xs: list[real[B]]\nsum(mean(x) for x in xs)")
    text = loss.inspect("torch", inputs={"xs": [torch.rand(2)] * 4})
    assert 'xs_3: "f32[2]"' in text


def test_given_inputs_are_checked() -> None:
    with pytest.raises(LossInputError):
        compiled("mse(x, y)").inspect("torch", inputs={"x": torch.rand(2), "y": torch.rand(3)})
    with pytest.raises(LossInputError):
        compiled("mse(x, y)").inspect("aten", inputs={"x": torch.rand(2)})


def test_where_no_example_fits_inputs_are_asked_for() -> None:
    loss = compiled("input x: real[N, 2*N + 1]\nmean(x[:, 3000])")
    with pytest.raises(LossInputError) as caught:
        loss.inspect("torch")
    help = caught.value.diagnostics[0].help
    assert help is not None
    assert "inputs={" in help
    assert loss.inspect("torch", inputs={"x": torch.rand(2000, 4001)})


def test_looking_leaves_the_loss_as_it_was(make: Make) -> None:
    loss = make("function")
    batch = {
        "p": torch.randn(2, 1, 4, 4, requires_grad=True),
        "y": torch.ones(2, 1, 4, 4),
        "img": torch.rand(2, 3, 4, 4),
    }
    loss(**batch)
    before = {name: value.clone() for name, value in loss.terms.items()}
    state = {name: value.clone() for name, value in loss.state_dict().items()}
    random = torch.get_rng_state()
    loss.inspect("aten")
    loss.inspect("torch", inputs=batch)
    assert torch.equal(torch.get_rng_state(), random)
    assert list(loss.terms) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in loss.terms.items())
    assert all(torch.equal(value, state[name]) for name, value in loss.state_dict().items())
    assert all(weight.grad is None for weight in loss.parameters())
    assert batch["p"].grad is None


def test_looking_leaves_what_is_compiled_alone() -> None:
    compilations = 0

    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        nonlocal compilations
        compilations += 1
        return graph.forward

    step = torch.compile(lambda x: x * 2, backend=backend)
    step(torch.ones(3))
    compiled("mse(x, y)").inspect("aten")
    step(torch.ones(3))
    assert compilations == 1


def kernels(loss: Loss, **options: Any) -> tuple[str, list[str]]:
    text = loss.inspect("kernel", **options)
    return text, re.findall(r"^(cpp_fused_\w+) = ", text, re.M)


def test_kernels_are_cpp_and_named_after_the_terms() -> None:
    text, names = kernels(compiled("mse(x, y) as near"))
    assert re.findall(r"=== (\w+) ===", text) == ["forward", "backward"]
    assert len(names) == 2
    assert all("near" in name for name in names)
    assert "for(int64_t" in text


def test_without_a_compiler_there_are_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_private, "compiler_missing", lambda: "no g++")
    with pytest.raises(LossConfigError, match=r"no g\+\+"):
        compiled("mse(x, y)").inspect("kernel")


@pytest.mark.slow
def test_kernels_of_equal_graphs_have_the_names_of_their_own_terms() -> None:
    _, first = kernels(compiled("mse(x, y) as one"))
    _, second = kernels(compiled("mse(x, y) as other"))
    assert all("one" in name for name in first)
    assert all("other" in name for name in second)


@pytest.mark.slow
def test_a_kernel_takes_any_batch() -> None:
    text, _ = kernels(compiled("input x: real[B, D]\ninput y: real[B, D]\nmse(x, y)"))
    assert re.search(r"\bs\d+\b", text)


@pytest.mark.slow
def test_all_losses_have_kernels(loss: Loss) -> None:
    _, names = kernels(loss)
    terms = [t.name for t in loss._first.optimised.terms if not t.dropped and not t.monitored]
    assert any(term in name for term in terms for name in names)
