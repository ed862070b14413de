"""What a person sees, letter by letter."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lossdsl import Loss

Golden = Callable[[str, str], None]

FORMS: dict[str, Callable[[Loss], str]] = {
    "ast.txt": lambda loss: loss.inspect("ast"),
    "typed.txt": lambda loss: loss.inspect("typed"),
    "ir.txt": lambda loss: loss.inspect("ir"),
    "fx.py.txt": lambda loss: loss.inspect("fx"),
    "text.txt": lambda loss: loss.draw("text"),
    "mermaid.txt": lambda loss: loss.draw("mermaid"),
    "dot.txt": lambda loss: loss.draw("dot"),
    "formula.txt": lambda loss: loss.formula(),
    "latex.txt": lambda loss: loss.latex(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_a_loss(form: str, name: str, loss: Loss, golden: Golden) -> None:
    golden(f"inspect/{name}.{form}", FORMS[form](loss))


@pytest.mark.parametrize("name", ["reference", "function", "labels"])
def test_the_formulas_of_the_losses_below(name: str, loss: Loss, golden: Golden) -> None:
    golden(f"inspect/{name}.latex_expanded.txt", loss.latex(expanded=True))


@pytest.mark.parametrize("name", ["generator"])
@pytest.mark.parametrize("stage", ["torch", "aten"])
def test_what_torch_makes_of_it(stage: str, name: str, loss: Loss, golden: Golden) -> None:
    golden(f"inspect/{name}.{stage}.py.txt", loss.inspect(stage))  # type: ignore[arg-type]
