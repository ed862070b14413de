"""The loss that users hold: it runs, and it shows every stage of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from lossdsl.backend.module import LossModule
from lossdsl.inspect.choice import choose
from lossdsl.inspect.draw_dot import draw_dot
from lossdsl.inspect.draw_mermaid import draw_mermaid
from lossdsl.inspect.draw_text import draw_text
from lossdsl.inspect.formula import formula
from lossdsl.inspect.graph_text import graph_text, noted
from lossdsl.inspect.ir_text import ir_text
from lossdsl.inspect.latex import latex
from lossdsl.inspect.picture import picture
from lossdsl.inspect.specialise import specialise
from lossdsl.inspect.syntax_tree import syntax_text
from lossdsl.inspect.traces import aten_text, kernel_text, torch_text
from lossdsl.inspect.typed_tree import typed_text

Stage = Literal["ast", "typed", "ir", "fx", "torch", "aten", "kernel"]
Form = Literal["text", "mermaid", "dot"]


class Loss(LossModule):
    """A compiled loss. Call it with tensors; look at it with `inspect`, `draw` and `latex`.

    Example:
        >>> loss = lossdsl.compile("0.5*bce(p, y) + dice(p, y) + 0.1*tv(img)")
        >>> print(loss.formula())
        loss = 0.5·bce(p, y)
             + dice(p, y)
             + 0.1·tv(img)
        >>> print(loss.draw())
        >>> print(loss.inspect("fx"))
    """

    def inspect(self, stage: Stage, inputs: Mapping[str, Any] | None = None) -> str:
        """The loss at one stage of its compilation, as text.

        Args:
            stage: `"ast"` the syntax tree, `"typed"` each value with its kind and shape and all
                that the compiler inserted, `"ir"` the graph before and after the passes with
                every rewrite, `"fx"` one call a primitive as code, `"torch"` the primitives
                traced through to torch's own functions, `"aten"` the graphs of value and
                gradient, `"kernel"` the C++ or Triton code that Inductor generates.
            inputs: a batch, from `"torch"` on, where sizes and dtypes matter; examples are made
                from the contract without it.

        Raises:
            LossConfigError: there is no such stage.
            LossInputError: the inputs break the contract, or no example fits the loss.
        """
        stages = self._first
        makers: dict[str, Callable[[], str]] = {
            "ast": lambda: syntax_text(self._recipe.program),
            "typed": lambda: typed_text(stages.checked),
            "ir": lambda: ir_text(stages),
            "fx": lambda: graph_text(noted(self.graph_module)),
            "torch": lambda: torch_text(specialise(self, inputs)),
            "aten": lambda: aten_text(specialise(self, inputs)),
            "kernel": lambda: kernel_text(specialise(self, inputs)),
        }
        return choose(makers, stage, "stage")()

    def draw(self, form: Form = "text") -> str:
        """The graph that runs, from the inputs over the terms with their weights to the loss.

        Args:
            form: `"text"` for a terminal, `"mermaid"` for Markdown, `"dot"` for Graphviz.

        Raises:
            LossConfigError: there is no such form.
        """
        forms = {"text": draw_text, "mermaid": draw_mermaid, "dot": draw_dot}
        return choose(forms, form, "form")(picture(self.name, self._first))

    def formula(self) -> str:
        """The loss as it was written, a term a line, for a terminal."""
        return formula(self._recipe.program, self.name)

    def latex(self, *, expanded: bool = False) -> str:
        """The loss as it was written, in LaTeX and without dollar signs.

        Args:
            expanded: whether the catalogue's formula of each loss stands below.
        """
        return latex(self._recipe.program, self.name, expanded=expanded)

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.formula(), "text/latex": self._repr_latex_()}
