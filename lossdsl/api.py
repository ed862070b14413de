"""What users call: compile, load, check, format, and the catalogue."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from lossdsl.backend.pipeline import Recipe
from lossdsl.checker.contract import Contract
from lossdsl.checker.program import Checked, check_program, report_unused
from lossdsl.checker.suggest import closest
from lossdsl.config.files import names_a_file, read_loss_file, read_yaml_text
from lossdsl.config.loss_file import LossFile
from lossdsl.config.mapping import read_mapping
from lossdsl.diagnostics.diagnostic import Diagnostic, Diagnostics
from lossdsl.diagnostics.errors import LossConfigError, LossNameError, raise_errors
from lossdsl.diagnostics.render import render_all
from lossdsl.inspect.loss import Loss
from lossdsl.library import registry
from lossdsl.library.record import LossRecord
from lossdsl.source import Source
from lossdsl.syntax import tree
from lossdsl.syntax.parser import parse_program

Backend = str | Callable[..., Any]
Format = Literal["program", "yaml"]


def compile(
    program: str,
    *,
    inputs: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
    modules: Mapping[str, nn.Module] | None = None,
    backend: Backend = "inductor",
    reduction: Literal["mean", "sum"] = "mean",
    compute_dtype: Literal["float32", "input"] = "float32",
    name: str | None = None,
) -> Loss:
    """Make a loss of a program.

    Args:
        program: the text, e.g. `"0.5*bce(p, y) + dice(p, y)"`.
        inputs: types of inputs; they replace or add to what the program declares.
        params: values of params; they replace or add to what the program declares.
        modules: the networks that the program calls, by name.
        backend: `"inductor"` (default), `"eager"`, `"aot_eager"`, or any backend of torch.compile.
        reduction: what a loss call without `reduction=` does with its map.
        compute_dtype: `"float32"` calculates half precision in float32, `"input"` as it came.
        name: the loss's name in reports and in its graph.

    Returns:
        An `nn.Module` that takes the contract's inputs and returns a 0-dim tensor.

    Raises:
        LossError: with every problem of the program, each with its place.

    Example:
        >>> loss = lossdsl.compile("0.5*bce(p, y) + dice(p, y) + 0.1*tv(img)")
        >>> loss(p=logits, y=mask, img=image).backward()
    """
    found = Diagnostics()
    if not isinstance(program, str):
        raise TypeError(f"a program is a str, not {type(program).__name__}: use lossdsl.load")
    if names_a_file(program):
        found.add(
            "E504",
            f"`{program}` is the name of a file, not a program",
            Source(program).span(),
            help=f"load it: `lossdsl.load({program!r})`",
        )
        raise_errors(found.errors)
    parsed = parse_program(Source(program), found)
    if parsed is None:
        raise_errors(found.errors)
    options = _options(reduction=reduction, compute_dtype=compute_dtype)
    parsed = dataclasses.replace(parsed, options=options)
    return _make(parsed, inputs or {}, params or {}, modules or {}, backend, name)


def _options(**values: str) -> tuple[tree.Option, ...]:
    """Options given in Python, as if they stood in a file."""
    options = []
    for key, value in values.items():
        source = Source(f"{key}: {value}", "<options>")
        key_span, value_span = source.span(0, len(key)), source.span(len(key) + 2)
        options.append(
            tree.Option(tree.Name(key, key_span), tree.Text(value, value_span), source.span())
        )
    return tuple(options)


def _make(
    program: tree.Program,
    inputs: Mapping[str, str],
    params: Mapping[str, Any],
    modules: Mapping[str, nn.Module],
    backend: Backend,
    name: str | None,
    judge_unused: bool = True,
) -> Loss:
    recipe = Recipe(program, dict(inputs), dict(params), backend, name, judge_unused)
    return Loss(recipe, modules)


def load(
    path: str | os.PathLike[str],
    name: str | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    modules: Mapping[str, nn.Module] | None = None,
    backend: Backend = "inductor",
) -> Any:
    """Make the loss (or losses) of a loss file.

    Args:
        path: a `.yaml` file, or a `.loss` file that holds a program; `"gan.yaml#generator"` names
            one of several losses.
        name: one of several losses, as behind the `#`.
        params: values that replace those of the file.
        modules: the networks that the file calls, by name.
        backend: as for `compile`.

    Returns:
        The loss; an `nn.ModuleDict` where the file holds several and none is named. Losses of one
        file share their learnable weights.

    Raises:
        LossError: with every problem of the file, each with its line and column.
    """
    found = Diagnostics()
    file = read_loss_file(path, found, name)
    if file is None:
        raise_errors(found.errors)
    return _losses_of(file, params or {}, modules or {}, backend)


def from_config(
    mapping: Mapping[str, Any],
    name: str | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    modules: Mapping[str, nn.Module] | None = None,
    backend: Backend = "inductor",
) -> Any:
    """Make the loss of a mapping that another tool has loaded: Hydra, OmegaConf, json.

    The mapping has the keys of a loss file; see `load` for the rest.

    Example:
        >>> lossdsl.from_config({"loss": "bce(p, y) + w*tv(p)", "params": {"w": 0.1}})
    """
    found = Diagnostics()
    file = read_mapping(mapping, found)
    if file is not None and name is not None:
        if name not in file.programs:
            names = [key for key in file.programs if key is not None]
            found.add(
                "E508",
                f"there is no loss called `{name}`",
                file.sources[0].span(0, 1),
                help=closest(name, names) or f"there are {', '.join(names)}",
            )
            raise_errors(found.errors)
        file = dataclasses.replace(file, chosen=name)
    if file is None:
        raise_errors(found.errors)
    return _losses_of(file, params or {}, modules or {}, backend)


def _losses_of(
    file: LossFile,
    params: Mapping[str, Any],
    modules: Mapping[str, nn.Module],
    backend: Backend,
) -> Any:
    single = len(file.programs) == 1
    wanted = {
        key: program
        for key, program in file.programs.items()
        if file.chosen is None or key == file.chosen
    }
    made = {
        key: _make(program, {}, params, _only_called(program, modules), backend, key, single)
        for key, program in wanted.items()
    }
    _share_weights(list(made.values()))
    if len(made) == 1 and (file.chosen is not None or single):
        return next(iter(made.values()))
    return nn.ModuleDict({str(key): loss for key, loss in made.items()})


def _only_called(program: tree.Program, modules: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """The modules that this loss of the file calls: a generator's loss does not own the rest."""
    called = set()
    stack: list[Any] = [program.result]
    for statement in program.statements:
        if isinstance(statement, tree.Binding | tree.Term):
            stack.append(statement.value)
        elif isinstance(statement, tree.Function):
            stack.append(statement.body)
    while stack:
        node = stack.pop()
        if isinstance(node, tree.Call):
            called.add(node.callee.id)
        stack.extend(tree.children(node))
    return {name: module for name, module in modules.items() if name in called}


def _share_weights(losses: list[Loss]) -> None:
    """Learnable weights of one file are one Parameter, whichever of its losses uses them."""
    shared: dict[str, nn.Parameter | None] = {}
    for loss in losses:
        for name in loss._parameters:
            loss._parameters[name] = shared.setdefault(name, loss._parameters[name])


# --- checking ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found. Prints as the rendered diagnostics.

    Attributes:
        ok: whether there are no errors.
        diagnostics: errors, warnings and notes, in reading order.
        contract: the inputs of the loss; of the first, where a file holds several.
        contracts: the contracts of all losses by name.
    """

    diagnostics: tuple[Diagnostic, ...]
    contracts: Mapping[str | None, Contract]

    @property
    def ok(self) -> bool:
        return not self.errors

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity == "error")

    @property
    def contract(self) -> Contract | None:
        return next(iter(self.contracts.values()), None)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return render_all(self.diagnostics) if self.diagnostics else "no problems"


def check(
    text_or_path: str | os.PathLike[str],
    *,
    format: Format = "program",
    modules: Iterable[str] = (),
) -> CheckReport:
    """Check a loss without making it. Bad input never raises: everything is in the report.

    Args:
        text_or_path: a path-like; a str that is one line and ends in `.yaml`, `.yml` or `.loss`
            (perhaps with `#name`) is a path too; any other str is the text itself.
        format: `"yaml"` reads the text as a loss file.
        modules: names of the networks that `compile` will be given.

    Example:
        >>> lossdsl.check("0.5*bce(p, y) + dise(p, y)").diagnostics[0].help
        'did you mean `dice`?'
    """
    found = Diagnostics()
    programs = _read(text_or_path, format, found)
    checked: dict[str | None, Checked] = {}
    for key, program in programs.items():
        one = Diagnostics()
        result = check_program(program, one, modules=frozenset(modules), judge_unused=False)
        for diagnostic in one:
            found.take(diagnostic)
        if result is not None:
            checked[key] = result
    if len(checked) == len(programs):
        report_unused([(c.declared, c.used, c.bindings) for c in checked.values()], found)
    contracts = {key: Contract(c.program.inputs) for key, c in checked.items()}
    return CheckReport(tuple(found.sorted()), contracts)


def _read(
    text_or_path: str | os.PathLike[str], format: Format, found: Diagnostics
) -> dict[str | None, tree.Program]:
    if not isinstance(text_or_path, str) or names_a_file(text_or_path):
        file = read_loss_file(text_or_path, found)
    elif format == "yaml":
        file = read_yaml_text(text_or_path, found)
    else:
        program = parse_program(Source(text_or_path), found)
        return {} if program is None else {None: program}
    if file is None:
        return {}
    return {k: p for k, p in file.programs.items() if file.chosen is None or k == file.chosen}


def format(text: str, *, format: Format = "program") -> str:
    """The canonical text of a program (or with `format="yaml"` of a loss file).

    Comments stay, and the meaning too: `format(format(x)) == format(x)`.

    Raises:
        LossSyntaxError: the text is not a program.
    """
    from lossdsl.config.format_file import format_file
    from lossdsl.syntax.formatter import format_program

    found = Diagnostics()
    source = Source(text)
    result = format_file(source, found) if format == "yaml" else format_program(source, found)
    if result is None:
        raise_errors(found.errors)
    return result


# --- the catalogue ----------------------------------------------------------------------------


def losses() -> dict[str, LossRecord]:
    """The catalogue: canonical name to record, in its order.

    Example:
        >>> lossdsl.losses()["dice"].family
        'overlap'
    """
    return registry.records()


def describe(name: str) -> LossRecord:
    """The record of a loss by its name or an alias; prints as a page.

    Raises:
        LossNameError: no loss has this name.
    """
    record = registry.find(name)
    if record is None:
        span = Source(name, "<describe>").span()
        message = f"there is no loss called `{name}`"
        advice = closest(name, registry.names()) or "`lossdsl list` shows all losses"
        raise LossNameError([Diagnostic("E202", message, span, (), advice)])
    return record


__all__ = [
    "CheckReport",
    "LossConfigError",
    "check",
    "compile",
    "describe",
    "format",
    "from_config",
    "load",
    "losses",
]
