"""What users call: compile, load, check, format, and the catalogue."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args

from torch import nn

from lossdsl.backend import torch_private
from lossdsl.backend.pipeline import Recipe
from lossdsl.checker.contract import Contract
from lossdsl.checker.options import Checks, ComputeDtype, Reduction
from lossdsl.checker.program import Checked, check_program, report_unused
from lossdsl.checker.report import CheckReport
from lossdsl.checker.suggest import closest
from lossdsl.config import arguments, networks
from lossdsl.config.files import (
    choose,
    first_line,
    is_yaml,
    names_a_file,
    read_loss_file,
    read_yaml_text,
)
from lossdsl.config.loss_file import LossFile
from lossdsl.config.mapping import read_mapping
from lossdsl.config.written_fixes import fitted
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.diagnostics.errors import LossError, raise_errors
from lossdsl.diagnostics.levels import settled
from lossdsl.hazards.find import find_hazards
from lossdsl.inspect.loss import Loss
from lossdsl.ir.build import build
from lossdsl.ir.passes import optimise
from lossdsl.source import Source
from lossdsl.syntax import tree
from lossdsl.syntax.parser import parse_program

Backend = str | Callable[..., Any]
Format = Literal["program", "yaml"]

_AT_HAND = ("inductor", "eager", "aot_eager")
"""Backends that torch always has. To ask for any other imports much of it."""


def compile(
    program: str,
    *,
    inputs: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
    modules: Mapping[str, nn.Module] | None = None,
    backend: Backend = "inductor",
    reduction: Reduction = "mean",
    compute_dtype: ComputeDtype = "float32",
    checks: Checks = "first",
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
        checks: when tensors are held against the contract: `"first"` their form for each new
            combination of shapes and dtypes, and their values then where the CPU has them;
            `"always"` the values at every call, on any device; `"never"`.
        name: the loss's name in reports and in its graph.

    Returns:
        An `nn.Module` that takes the contract's inputs and returns a 0-dim tensor.

    Raises:
        LossError: with every problem of the program and of the arguments, each with its place.

    Example:
        >>> loss = lossdsl.compile("0.5*bce(p, y) + dice(p, y) + 0.1*tv(img)", backend="eager")
        >>> loss(p=logits, y=mask, img=image).backward()
        >>> list(loss.terms)
        ['bce', 'dice', 'tv']
    """
    found = Diagnostics()
    reads = "`lossdsl.load` takes files, `lossdsl.from_config` mappings"
    arguments.judge_text("program", program, found, help=reads)
    arguments.judge_named("inputs", {} if inputs is None else inputs, found)
    _judge_parts(params, modules, backend, found)
    if name is not None:
        arguments.judge_text("name", name, found)
    _raise(found)
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
    options = _options(reduction=reduction, compute_dtype=compute_dtype, checks=checks)
    parsed = dataclasses.replace(parsed, options=options)
    recipe = Recipe(parsed, dict(inputs or {}), dict(params or {}), backend, name)
    return Loss(recipe, modules or {})


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
        modules: the networks that the file calls, by name; each loss owns those that it calls.
        backend: as for `compile`.

    Returns:
        The loss; an `nn.ModuleDict` where the file holds several and none is named. Losses of one
        file share their learnable weights.

    Raises:
        LossError: with every problem of the file, each with its line and column.

    Example:
        >>> loss = lossdsl.load("seg.yaml", backend="eager")
        >>> value = loss(p=logits, y=mask, img=image)
        >>> losses = lossdsl.load("gan.yaml", modules={"D": critic}, backend="eager")
        >>> list(losses)
        ['generator', 'discriminator']
        >>> generator = lossdsl.load("gan.yaml", "generator", modules={"D": critic})
    """
    found = Diagnostics()
    arguments.judge_path(path, found)
    _judge_parts(params, modules, backend, found, name)
    _raise(found)
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
    """Make the loss (or losses) of a mapping that another tool has loaded: Hydra, OmegaConf, json.

    Args:
        mapping: the keys and values of a loss file.
        name: one of several losses.
        params: values that replace those of the mapping.
        modules: the networks that it calls, by name.
        backend: as for `compile`.

    Returns:
        What `load` returns for such a file.

    Raises:
        LossError: with every problem of the mapping, each with its place in it, written as YAML.

    Example:
        >>> config = {"loss": "bce(p, y) + w*tv(p)", "params": {"w": 0.1}}
        >>> loss = lossdsl.from_config(config, backend="eager")
        >>> loss.contract.names
        ('p', 'y')
    """
    found = Diagnostics()
    _judge_parts(params, modules, backend, found, name)
    _raise(found)
    file = read_mapping(mapping, found)
    if file is not None and name is not None:
        file = choose(file, name, found)
    if file is None:
        raise_errors(found.errors)
    return _losses_of(file, params or {}, modules or {}, backend)


def _judge_parts(
    params: object, modules: object, backend: object, found: Diagnostics, name: object = None
) -> None:
    """The arguments that all ways to make a loss share."""
    arguments.judge_named("params", {} if params is None else params, found)
    arguments.judge_named("modules", {} if modules is None else modules, found)
    if name is not None:
        arguments.judge_text("name", name, found)
    if not callable(backend) and arguments.judge_text("backend", backend, found):
        _judge_backend(str(backend), found)


def _judge_backend(backend: str, found: Diagnostics) -> None:
    if backend in _AT_HAND:
        return
    try:
        torch_private.sizes_told_apart(backend)
    except torch_private.UnknownBackend as unknown:
        known = sorted({*_AT_HAND, *unknown.args[0]})
        found.add(
            "E509",
            f"there is no backend `{backend}`",
            Source(backend, "<backend>").span(),
            help=closest(backend, known) or f"there are {', '.join(known)}",
        )


def _raise(found: Diagnostics) -> None:
    if found.failed:
        raise_errors(found.errors)


def _losses_of(
    file: LossFile,
    params: Mapping[str, Any],
    modules: Mapping[str, nn.Module],
    backend: Backend,
) -> Any:
    calls = {key: networks.called(program) for key, program in file.programs.items()}
    _spare_modules(file, modules, frozenset().union(*calls.values()))
    single = len(file.programs) == 1
    made = {}
    found = Diagnostics()
    for key, program in file.programs.items():
        if file.chosen is None or key == file.chosen:
            own = {name: module for name, module in modules.items() if name in calls[key]}
            try:
                made[key] = Loss(Recipe(program, {}, dict(params), backend, key, single), own)
            except LossError as error:
                for diagnostic in error.diagnostics:
                    found.take(diagnostic)
    _raise(found)
    _share_weights(list(made.values()))
    if len(made) == 1 and (file.chosen is not None or single):
        return next(iter(made.values()))
    return nn.ModuleDict({str(key): loss for key, loss in made.items()})


def _spare_modules(file: LossFile, given: Iterable[str], called: frozenset[str]) -> None:
    """A network that no loss of the file calls is most likely misspelt."""
    found = Diagnostics()
    source = file.sources[0]
    for name in sorted(set(given) - called):
        found.add(
            "E510",
            f"no loss of `{source.name}` calls the module `{name}`",
            first_line(source),
            help=closest(name, called) or "leave it out of `modules=`",
        )
    _raise(found)


def _share_weights(losses: list[Loss]) -> None:
    """Learnable weights of one file are one Parameter, whichever of its losses uses them."""
    shared: dict[str, nn.Parameter | None] = {}
    for loss in losses:
        for name in loss._parameters:
            loss._parameters[name] = shared.setdefault(name, loss._parameters[name])


# --- checking ---------------------------------------------------------------------------------


def check(
    text_or_path: str | os.PathLike[str],
    *,
    format: Format = "program",
    modules: Iterable[str] = (),
    error: Iterable[str] = (),
    ignore: Iterable[str] = (),
) -> CheckReport:
    """Check a loss without making it.

    Args:
        text_or_path: a path-like; a str that is one line and ends in `.yaml`, `.yml` or `.loss`
            (perhaps with `#name`) is a path too; any other str is the text itself.
        format: `"yaml"` reads the text as a loss file.
        modules: names of the networks that `compile` will be given.
        error: codes of warnings that count as errors.
        ignore: codes of warnings that are left out. Both go before the options of a file.

    Returns:
        A report with all diagnostics and the contract. It is true where there are no errors.

    Raises:
        Nothing: whatever is wrong with the text, the file or an argument is in the report.

    Example:
        >>> report = lossdsl.check("0.5*bce(p, y) + dise(p, y)")
        >>> report.ok
        False
        >>> report.diagnostics[0].help
        'did you mean `dice`?'
    """
    found = Diagnostics()
    names = arguments.judge_names("modules", modules, found)
    levels = arguments.judge_levels(error, ignore, found)
    programs, sources = _read(text_or_path, format, found) if names else ({}, ())
    readable = not found.failed
    checked: dict[str | None, Checked] = {}
    for key, program in programs.items():
        one = Diagnostics()
        result = check_program(program, one, modules=frozenset(modules), judge_unused=False)
        if result is not None:
            checked[key] = result
            options = result.declared.options
            graph = optimise(build(result.program))
            find_hazards(graph, result.declared.params, options.compute_dtype, one)
            levels = options.levels.merged(levels)
        for diagnostic in one:
            found.take(diagnostic)
    whole = readable and len(checked) == len(programs)
    if whole and sources:
        # Of a single loss of a file the others' declarations are nothing to it.
        report_unused([(c.declared, c.used, c.bindings) for c in checked.values()], found)
    contracts = {key: Contract(c.program.inputs) for key, c in checked.items()}
    # Functions of a used file are called elsewhere, perhaps: its comments are not judged here.
    told = settled(found, levels, sources[:1] if whole and checked else ())
    told = fitted(told) if is_yaml(text_or_path, format) else told
    return CheckReport(tuple(told), contracts)


def _read(
    text_or_path: str | os.PathLike[str], format: Format, found: Diagnostics
) -> tuple[dict[str | None, tree.Program], tuple[Source, ...]]:
    """The losses of a text or a file, and the texts that were read."""
    known = arguments.judge_choice("format", format, get_args(Format), found)
    if not arguments.judge_path(text_or_path, found) or not known:
        return {}, ()
    if not isinstance(text_or_path, str) or names_a_file(text_or_path):
        file = read_loss_file(text_or_path, found, to_check=True)
    elif format == "yaml":
        file = read_yaml_text(text_or_path, found, to_check=True)
    else:
        source = Source(text_or_path)
        program = parse_program(source, found)
        return ({}, ()) if program is None else ({None: program}, (source,))
    if file is None:
        return {}, ()
    whole = file.chosen is None
    programs = {k: p for k, p in file.programs.items() if whole or k == file.chosen}
    return programs, tuple(file.sources) if whole else ()


def format(text: str, *, format: Format = "program") -> str:
    """The canonical text of a program, or of a loss file.

    Comments stay, and the meaning too: `format(format(x)) == format(x)`.

    Args:
        text: the program, or the YAML.
        format: `"yaml"` for a loss file.

    Returns:
        The text as it should be written.

    Raises:
        LossSyntaxError: the text is not a program.
        LossConfigError: the text is not a loss file, or there is no such format.

    Example:
        >>> lossdsl.format("0.5 * bce(p,y)+dice( p, y )")
        '0.5*bce(p, y) + dice(p, y)\\n'
        >>> lossdsl.format("{loss: 'bce( p,y )'}", format="yaml")
        "{loss: 'bce(p, y)'}"
    """
    from lossdsl.config.format_file import format_file
    from lossdsl.syntax.formatter import format_program

    found = Diagnostics()
    arguments.judge_text("text", text, found)
    arguments.judge_choice("format", format, get_args(Format), found)
    _raise(found)
    source = Source(text)
    result = format_file(source, found) if format == "yaml" else format_program(source, found)
    if result is None:
        raise_errors(found.errors)
    return result


__all__ = [
    "CheckReport",
    "check",
    "compile",
    "format",
    "from_config",
    "load",
]
