"""Writes what the pages of this folder say about the tables of the package.

    python docs/generate.py [--plots]

makes `losses.md` and the pages of `losses/`, and fills the regions of the other pages that stand
between `<!-- generated: NAME -->` and `<!-- end -->`. The sentences are those of the records, the
tables and the docstrings, so that nothing is said twice. Drawings that are missing are drawn; with
`--plots` all are.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import loss_pages
import loss_plots
from table_text import codes, table

import lossdsl
from lossdsl.diagnostics.codes import CODES, Code
from lossdsl.functions.balancers import BALANCERS
from lossdsl.functions.record import MODULES, FunctionRecord, functions
from lossdsl.library.wording import written
from lossdsl.types.kinds import KINDS, Kind

DOCS = Path(__file__).parent
PACKAGE = Path(lossdsl.__file__).parent


# --- regions of the other pages -----------------------------------------------------------------


def kinds_table() -> str:
    heads = ("kind", "values", "also fits slots for", "the compiler turns it into", "numbers")
    return table(heads, map(_kind, KINDS.values()))


def _kind(kind: Kind) -> tuple[str, ...]:
    turned = ", ".join(f"`{name}` ({run})" for name, run in kind.conversions.items())
    return f"`{kind.name}`", kind.meaning, codes(kind.parents), turned, _numbers(kind)


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
    families["balancers"] = [(f"`{name}(a, b, …)`", does) for name, does in BALANCERS.items()]
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
    yield DOCS / "losses.md", loss_pages.index()
    for record in loss_pages.library():
        yield loss_pages.FOLDER / f"{record.name}.md", loss_pages.page(record)
    for file in sorted((*DOCS.glob("*.md"), *DOCS.glob("errors/*.md"))):
        text = file.read_text(encoding="utf-8")
        if _REGION.search(text):
            yield file, filled(text)


def plots() -> Iterator[tuple[Path, Callable[[], bytes]]]:
    """Each drawing, and what draws it."""
    for record in filter(loss_plots.has_plot, loss_pages.library()):
        yield loss_pages.FOLDER / f"{record.name}.svg", partial(loss_plots.draw, record)


def main(all_plots: bool) -> None:
    """Write all pages and drawings; those of losses that are no more go."""
    kept = {loss_pages.COSTS}
    loss_pages.FOLDER.mkdir(exist_ok=True)
    for file, text in pages():
        file.write_text(text, encoding="utf-8")
        kept.add(file)
    for file, draw in plots():
        if all_plots or not file.exists():
            file.write_bytes(draw())
        kept.add(file)
    for file in set(loss_pages.FOLDER.iterdir()) - kept:
        file.unlink()


if __name__ == "__main__":
    main(all_plots="--plots" in sys.argv[1:])
