"""The outcome of a check that makes no loss: all diagnostics, and the contracts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lossdsl.checker.contract import Contract
from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.diagnostics.render import render_all


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found. Prints as the rendered diagnostics; true where there are no errors.

    Attributes:
        diagnostics: errors, warnings and notes, in reading order.
        contracts: the contracts of all losses by name; a single loss has its own under None.

    Example:
        >>> report = lossdsl.check("bce(p, y)")
        >>> report.ok, str(report)
        (True, 'no problems')
        >>> print(report.contract)
        input  type        dtype
        p      logits[*S]  float               inferred from bce(p, y)
        y      prob[*S]    float, int or bool  inferred from bce(p, y)
    """

    diagnostics: tuple[Diagnostic, ...]
    contracts: Mapping[str | None, Contract]

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return not self.errors

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that are errors."""
        return tuple(d for d in self.diagnostics if d.severity == "error")

    @property
    def contract(self) -> Contract | None:
        """The inputs of the loss; of the first, where a file holds several."""
        return next(iter(self.contracts.values()), None)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return render_all(self.diagnostics) if self.diagnostics else "no problems"
