"""Writes what the pages of this folder say about the tables of the package.

    python docs/generate.py

makes `losses.md`, and fills the regions of the other pages that stand between
`<!-- generated: NAME -->` and `<!-- end -->`. The sentences are those of the records, the tables
and the docstrings, so that nothing is said twice.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import lossdsl
from lossdsl.diagnostics.codes import CODES, Code
from lossdsl.functions.record import MODULES, FunctionRecord, functions
from lossdsl.library.page import written
from lossdsl.library.record import LossRecord, Parameter
from lossdsl.library.registry import MODULES as LIBRARY
from lossdsl.types.kinds import KINDS, Kind

DOCS = Path(__file__).parent
PACKAGE = Path(lossdsl.__file__).parent


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(heads), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# --- losses.md --------------------------------------------------------------------------------

_OPENING = """\
# The losses

All losses of the library, by family. A program calls a loss by its name or an alias; the call
takes tensors by position and parameters by name. What every loss understands besides, `weight=`,
`mask=`, `reduction=` and the like, is in the [reference](language.md#reduction-weight-and-mask). A
*map* is what a loss gives before it is reduced: a signature ends with its shape.

`lossdsl.describe("dice")` prints more: prose, examples and their values. `lossdsl.losses()` has the
records that this page is made of.
"""


def losses_page() -> str:
    """The catalogue: one table, then a section for each loss."""
    library = sorted((r for r in lossdsl.losses().values() if r.family != "user"), key=_place)
    parts = [_OPENING, table(("loss", "family", "what it costs"), map(_overview, library))]
    family = ""
    for record in library:
        if record.family != family:
            family = record.family
            parts.append(f"## {family.capitalize()}")
        parts.append(_section(record))
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _place(record: LossRecord) -> int:
    return LIBRARY.index(record.function.__module__.rpartition(".")[2])


def _overview(record: LossRecord) -> tuple[str, str, str]:
    also = f" ({_codes(record.aliases)})" if record.aliases else ""
    return f"[`{record.name}`](#{record.name}){also}", record.family, record.summary


def _section(record: LossRecord) -> str:
    signatures = "\n".join(overload.signature for overload in record.overloads)
    parts = [
        f"### {record.name}",
        record.summary + (f" Also {_codes(record.aliases)}." if record.aliases else ""),
        f"```\n{_call(record)}\n{signatures}\n```",
        f"```math\n{record.formula}\n```" if record.formula else "",
        table(("parameter", "default", "values"), map(_parameter, record.parameters))
        if record.parameters
        else "",
        "\n".join(f"- {sentence}" for sentence in (*record.conventions, *record.pitfalls)),
        f"{record.reference}" if record.reference else "",
    ]
    return "\n\n".join(filter(None, parts))


def _call(record: LossRecord) -> str:
    given = [
        parameter.name if parameter.required else f"{parameter.name}={written(parameter.default)}"
        for parameter in record.parameters
    ]
    return f"{record.name}({', '.join((*record.inputs, *given))})"


def _parameter(parameter: Parameter) -> tuple[str, str, str]:
    default = "required" if parameter.required else f"`{written(parameter.default)}`"
    if parameter.choices:
        values = _codes(map(written, parameter.choices))
    else:
        values = _SORTS[parameter.kind]
        values += f" in {parameter.range}" if parameter.range else ""
    return f"`{parameter.name}`", default, values + (" or `none`" if parameter.optional else "")


_SORTS = {
    "number": "number, may be a param, a learnable or a schedule",
    "vector": "list of numbers, may be a param",
    "literal": "number, fixed",
    "integer": "whole number, fixed",
    "flag": "`true` or `false`",
}


# --- regions of the other pages -----------------------------------------------------------------


def kinds_table() -> str:
    heads = ("kind", "values", "also fits slots for", "the compiler turns it into", "numbers")
    return table(heads, map(_kind, KINDS.values()))


def _kind(kind: Kind) -> tuple[str, ...]:
    turned = ", ".join(f"`{name}` ({run})" for name, run in kind.conversions.items())
    return f"`{kind.name}`", kind.meaning, _codes(kind.parents), turned, _numbers(kind)


def _numbers(kind: Kind) -> str:
    """Which numbers may stand for a tensor of this kind."""
    if kind.number is None:
        return "none"
    low, high = kind.number
    if kind.only_ends:
        return f"{low:g} or {high:g}"
    if low == -math.inf:
        return "any" if high == math.inf else f"at most {high:g}"
    if high == math.inf:
        return "above 0" if low else "0 and above"
    return f"{low:g} to {high:g}"


def functions_table() -> str:
    """A table a family. Operators have a section of their own."""
    families: dict[str, list[tuple[str, str]]] = {name: [] for name in MODULES}
    for record in functions().values():
        if record.name.isidentifier() and record.name not in ("and", "or", "not", "neg"):
            row = (f"`{_signature(record)}`", _sentence(record.docs))
            families[record.family].append(row)
    return "\n\n".join(table((family, "value"), rows) for family, rows in families.items())


def _signature(record: FunctionRecord) -> str:
    parts = []
    for name, parameter in record.signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            parts += ["x", "y", "…"]
        elif parameter.default is inspect.Parameter.empty:
            parts.append(name)
        else:
            parts.append(f"{name}={written(parameter.default)}")
    return f"{record.name}({', '.join(parts)})"


def _sentence(docs: str) -> str:
    """The first paragraph of a docstring."""
    return " ".join(docs.split("\n\n")[0].split())


def codes_table() -> str:
    """The codes as the reference lists them: it stands one folder above their pages."""
    return _codes_table("errors/")


def errors_table() -> str:
    """The codes as the index of their pages lists them."""
    return _codes_table("")


def _codes_table(folder: str) -> str:
    rows = ((_linked(code, folder), code.title, _raised_as(code)) for code in CODES.values())
    return table(("code", "meaning", "raised as"), rows)


def _linked(code: Code, folder: str) -> str:
    written = (DOCS / "errors" / f"{code.code}.md").exists()
    return f"[`{code.code}`]({folder}{code.code}.md)" if written else f"`{code.code}`"


def _raised_as(code: Code) -> str:
    return f"`Loss{code.category.title()}Error`" if code.severity == "error" else code.severity


_ROOMS = {
    "source": "Text",
    "syntax": "Text to tree",
    "config": "Loss files to trees",
    "checker": "Trees to typed trees",
    "types": "Kinds, shapes and what is known of them",
    "functions": "The functions",
    "library": "The losses",
    "ir": "The graph and its passes",
    "hazards": "What may go wrong in training",
    "backend": "The graph to a module",
    "inspect": "What can be looked at",
    "diagnostics": "What users are told",
    "cli": "The command line",
    "": "The front",
}
"""The folders of the package, in the order in which a reader meets them."""


def files_table() -> str:
    """Every module with the sentence that it starts with, room by room."""
    parts = []
    modules = sorted(PACKAGE.rglob("*.py"))
    for room, heading in _ROOMS.items():
        rows = [
            (f"`lossdsl/{file.relative_to(PACKAGE).as_posix()}`", sentence)
            for file in modules
            if _room(file) == room and (sentence := _docstring(file))
        ]
        parts.append(f"### {heading}\n\n{table(('file', 'what it is'), rows)}")
    return "\n\n".join(parts)


def _room(file: Path) -> str:
    first, *rest = file.relative_to(PACKAGE).with_suffix("").parts
    return first if rest or first in _ROOMS else ""


def _docstring(file: Path) -> str:
    return _sentence(ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "")


# --- writing ------------------------------------------------------------------------------------

REGIONS: dict[str, Callable[[], str]] = {
    "kinds": kinds_table,
    "functions": functions_table,
    "codes": codes_table,
    "errors": errors_table,
    "files": files_table,
}

_REGION = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """A page with its regions as they are now."""
    return _REGION.sub(lambda m: f"{m[1]}\n{REGIONS[m[2]]()}\n\n{m[3]}", page)


def pages() -> Iterator[tuple[Path, str]]:
    """Each page that holds something generated, with the text that it should have."""
    yield DOCS / "losses.md", losses_page()
    for file in sorted((*DOCS.glob("*.md"), *DOCS.glob("*/*.md"))):
        text = file.read_text(encoding="utf-8")
        if _REGION.search(text):
            yield file, filled(text)


if __name__ == "__main__":
    for file, text in pages():
        file.write_text(text, encoding="utf-8")
