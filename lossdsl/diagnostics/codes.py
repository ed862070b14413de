"""Every code a diagnostic can carry, in one table.

The letter says how bad it is, the first digit where it comes from: 1 syntax, 2 names and
arguments, 3 kinds, 4 shapes, 5 loss files and options, 6 tensors at the call, 7 limits, 8 hazards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
Category = Literal["syntax", "name", "type", "shape", "config", "input"]

_SEVERITIES: dict[str, Severity] = {"E": "error", "W": "warning", "N": "note"}


@dataclass(frozen=True, slots=True)
class Code:
    """A stable code, what it means in one line, and the exception it is raised as."""

    code: str
    title: str
    category: Category

    @property
    def severity(self) -> Severity:
        return _SEVERITIES[self.code[0]]


_TABLE: tuple[tuple[str, Category, str], ...] = (
    ("E101", "syntax", "unexpected text"),
    ("E102", "syntax", "a bracket is not closed, or closed twice"),
    ("E103", "syntax", "an operator is missing"),
    ("E104", "syntax", "an operand is missing"),
    ("E105", "syntax", "a string is not closed"),
    ("E106", "syntax", "a character that the language does not have"),
    ("E107", "syntax", "a Python habit that the language does not have"),
    ("E108", "syntax", "a statement after the result, or a value that is lost"),
    ("E109", "syntax", "the program has no result"),
    ("E110", "syntax", "`=` where `==` is meant"),
    ("E111", "syntax", "a malformed type"),
    ("E112", "syntax", "a malformed number"),
    ("E201", "name", "unknown name"),
    ("E202", "name", "unknown loss or function"),
    ("E203", "name", "a name bound twice"),
    ("E204", "name", "too many, too few or doubled arguments"),
    ("E205", "name", "unknown keyword"),
    ("E206", "type", "a parameter outside its range"),
    ("E207", "name", "a recursive function"),
    ("E208", "name", "a name used before it is bound"),
    ("E209", "type", "a value where a literal is needed"),
    ("E210", "name", "a term name written twice"),
    ("E211", "name", "unknown field"),
    ("E212", "type", "a keyword that this loss does not take"),
    ("E301", "type", "a value of the wrong kind"),
    ("E302", "type", "two uses that no kind satisfies"),
    ("E303", "type", "an activation applied twice"),
    ("E304", "type", "softmax over one class"),
    ("E305", "type", "no class count for one-hot labels"),
    ("E306", "type", "the class axis is not known"),
    ("E307", "type", "two box formats or image ranges that differ"),
    ("E308", "type", "a list, a module or a string where a tensor is needed"),
    ("E309", "type", "a loss that reads no tensor"),
    ("E310", "type", "a value that is not finite"),
    ("E311", "type", "unknown kind"),
    ("E312", "type", "a derivative by a value that is not on the way"),
    ("E401", "shape", "sizes that differ"),
    ("E402", "shape", "a tensor with the wrong number of axes"),
    ("E403", "shape", "an implicit broadcast"),
    ("E404", "shape", "an axis that does not exist"),
    ("E405", "shape", "a result that is not a scalar"),
    ("E406", "shape", "lists of different lengths"),
    ("E407", "shape", "a mask or weight that fits no axis"),
    ("E408", "shape", "an unknown dimension symbol"),
    ("E501", "config", "not valid YAML"),
    ("E502", "config", "unknown key"),
    ("E503", "config", "a key written twice"),
    ("E504", "config", "a value of the wrong form"),
    ("E505", "config", "unknown version of the format"),
    ("E506", "config", "a file that cannot be read"),
    ("E507", "config", "a file outside the root, or a cycle of files"),
    ("E508", "config", "no loss of this name"),
    ("E509", "config", "an unknown option or option value"),
    ("E510", "config", "a module that is missing or not asked for"),
    ("E511", "config", "a parameter that cannot be set"),
    ("E512", "config", "a key that is no name"),
    ("E601", "input", "a missing input"),
    ("E602", "input", "an unknown or doubled input"),
    ("E603", "input", "a tensor of the wrong shape"),
    ("E604", "input", "a tensor of the wrong dtype"),
    ("E605", "input", "a value outside the kind's range"),
    ("E606", "input", "not a tensor, or not a dense one"),
    ("E607", "input", "tensors on different devices"),
    ("E701", "syntax", "a text beyond the limits"),
    ("W201", "name", "a declaration that nothing uses"),
    ("W202", "name", "a term that vanishes"),
    ("W203", "name", "a comment that ignores nothing"),
    ("W204", "name", "a function that hides one of the language"),
    ("W301", "type", "two kinds that do not mean the same"),
    ("W801", "type", "a logarithm that can be infinite"),
    ("W802", "type", "a square root whose gradient can be infinite"),
    ("W803", "type", "a division by a value that can be 0"),
    ("W804", "type", "an exponential that can be infinite"),
    ("W805", "type", "a power that can be undefined"),
    ("W806", "type", "an inverse cosine at its ends"),
    ("W807", "type", "a term that nothing learns from"),
    ("W808", "type", "a mean over a mask that can be empty"),
    ("N201", "name", "a term that folding removed"),
)

CODES: dict[str, Code] = {code: Code(code, title, category) for code, category, title in _TABLE}
