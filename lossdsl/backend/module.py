"""The compiled loss: an `nn.Module` around one generated graph."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from lossdsl.backend import torch_private
from lossdsl.backend.arguments import ABSENT, bind, key_of, list_lengths, tensors_in
from lossdsl.backend.call_check import CallCheck
from lossdsl.backend.ledger import Ledger, Report
from lossdsl.backend.network_shapes import network_shapes
from lossdsl.backend.pipeline import Recipe, Stages, run
from lossdsl.backend.state_names import CLOCKS, state_name
from lossdsl.checker.contract import Contract
from lossdsl.checker.declarations import Param, plain_value
from lossdsl.checker.program import Variant
from lossdsl.checker.suggest import closest
from lossdsl.checker.typed import Entry
from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.diagnostics.errors import LossConfigError, LossError, LossInputError
from lossdsl.source import Source, Span
from lossdsl.types.values import Module

_REMADE = ("_stages", "_graphs", "_calls", "_runs", "_last")

_warned = False


@dataclass(frozen=True, slots=True)
class _Run:
    """What one combination of shapes and dtypes needs: checked, and ready to be called."""

    stages: Stages
    call: Callable[..., Any]
    used: tuple[bool, ...] | None


class LossModule(nn.Module):
    """A loss: tensors in, one number out. Made by `lossdsl.compile` and `lossdsl.load`.

    Params and the clocks are buffers, learnable weights are Parameters of shape [1] (FSDP refuses
    0-dim ones); all stand in the state dict under their names. What the graph computed for each
    term is kept, detached, and read from the device only when asked for.
    """

    def __init__(self, recipe: Recipe, modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self._recipe = recipe
        self._start()
        self._take_modules(modules)
        self._look()
        self._freeze()
        for param in self._params.values():
            self._register(param)
        for clock in CLOCKS.values():
            self.register_buffer(clock, torch.zeros((), dtype=torch.int64))
        # Made now, so that an outer torch.compile finds it and need not trace its making.
        self._graph(Variant())

    def _start(self) -> None:
        """Forget everything that is made from the recipe when it is needed."""
        self._stages: dict[Variant, Stages] = {}
        self._graphs: dict[Variant, fx.GraphModule] = {}
        self._calls: dict[Variant, Callable[..., Any]] = {}
        self._runs: dict[Any, _Run] = {}
        self._last: Ledger | None = None

    # --- state ---

    @property
    def _params(self) -> dict[str, Param]:
        return self._first.checked.declared.params

    def _register(self, param: Param) -> None:
        if param.role == "fixed":
            return
        values = param.value if isinstance(param.value, tuple) else (param.value,)
        if param.role == "learnable":
            weight = torch.tensor(values, dtype=torch.get_default_dtype())
            self.register_parameter(state_name(param.name), nn.Parameter(weight))
            return
        # float64, so that a weight of 0.1 is 0.1 for losses that calculate in float64.
        self.register_buffer(state_name(param.name), torch.tensor(values, dtype=torch.float64))

    def _take_modules(self, modules: Mapping[str, nn.Module]) -> None:
        """Own the bound networks; those declared frozen neither train nor change mode."""
        self._bound = frozenset(modules)
        for name, module in modules.items():
            if not isinstance(module, nn.Module):
                raise _config_error("E510", f"the module `{name}` is not an nn.Module", name)
            self.add_module(state_name(name), module)

    def _freeze(self) -> None:
        for name, entry in self._first.checked.declared.inputs.items():
            module = self._modules.get(state_name(name))
            if isinstance(entry.type, Module) and entry.type.frozen and module is not None:
                module.eval()
                module.requires_grad_(False)

    def train(self, mode: bool = True) -> LossModule:
        """Set the training mode; frozen modules stay in evaluation mode."""
        super().train(mode)
        self._freeze()
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LossModule:
        """Move the state. A param of 0.1 stays exactly that under `.half()`."""
        exact = {
            name: buffer.clone()
            for name, buffer in self._buffers.items()
            if buffer is not None and buffer.dtype == torch.float64
        }
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, before in exact.items():
            moved = self._buffers[name]
            if moved is not None and moved.dtype != torch.float64:
                self._buffers[name] = before.to(moved.device)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in _REMADE} | {
            "_first": None
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._start()
        self._look()
        self._graph(Variant())

    def _look(self) -> None:
        """Check the program, and keep what every call needs."""
        self._first = self._stage(Variant())
        program = self._first.checked.program
        self._contract = Contract(program.inputs)
        declared = self._first.checked.declared.inputs
        self._spare = frozenset(declared) - set(self._contract.names)
        self._whole = self._recipe.program.span

    # --- making graphs ---

    def _stage(self, variant: Variant) -> Stages:
        if variant not in self._stages:
            self._stages[variant] = run(self._recipe, self._bound, variant)
        return self._stages[variant]

    def _graph(self, variant: Variant) -> fx.GraphModule:
        """The generated module of a variant. It shares this module's state, by sharing the
        dictionaries that hold it: whatever is moved, loaded or replaced here is so there."""
        if variant not in self._graphs:
            lowered = self._stage(variant).lowered
            self._graphs[variant] = self._generated(lowered.graph)
        return self._graphs[variant]

    def _generated(self, graph: fx.Graph) -> fx.GraphModule:
        made = fx.GraphModule(self, graph, class_name="Loss")
        made._parameters = self._parameters
        made._buffers = self._buffers
        made._modules = self._modules
        return made

    def _callable(self, variant: Variant) -> Callable[..., Any]:
        """The graph as the chosen backend runs it."""
        if variant not in self._calls:
            graph = self._graph(variant)
            backend = self._recipe.backend
            if backend != "eager" and not (backend == "inductor" and _runs_eagerly()):
                graph.compile(
                    backend=_told_apart(backend),
                    fullgraph=True,
                    recompile_limit=torch_private.RECOMPILE_LIMIT,
                    isolate_recompiles=True,
                )
            self._calls[variant] = graph
        return self._calls[variant]

    # --- the call ---

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """The loss of these inputs: by keyword, by position in contract order, or one mapping.

        Raises:
            LossInputError: the inputs break the contract.
        """
        values = bind(self.contract, args, kwargs, self._spare, self._whole)
        if torch.compiler.is_compiling():
            return self._inside_compiled(values)
        if torch_private.in_transform():
            result: Tensor = self._graph(Variant()).forward(*values)[0]
            return result
        key = key_of(values)
        prepared = self._runs.get(key)
        if prepared is None:
            return self._first_call(key, values)
        if prepared.used is not None:
            values = _present(values, prepared.used)
        return self._finish(prepared, values)

    def _finish(self, prepared: _Run, values: tuple[Any, ...]) -> Tensor:
        device = _device(values)
        try:
            if torch.is_autocast_enabled(device):
                with torch.autocast(device, enabled=False):
                    value, raws, weights = prepared.call(*values)
            else:
                value, raws, weights = prepared.call(*values)
        except (RuntimeError, IndexError, ValueError) as error:
            self._explain(values, prepared, error)
            raise
        self._last = Ledger(prepared.stages.lowered, raws, weights)
        result: Tensor = value
        return result

    def _inside_compiled(self, values: tuple[Any, ...]) -> Tensor:
        """Part of a larger compiled region: the graph is traced into it."""
        stages = self._first
        value, raws, weights = self._graph(Variant()).forward(*values)
        self._last = Ledger(stages.lowered, raws, weights)
        result: Tensor = value
        return result

    def _first_call(self, key: Any, values: tuple[Any, ...]) -> Tensor:
        """New shapes: check them, pick the variant, and let the backend compile if it must."""
        names = self.contract.names
        absent = frozenset(n for n, v in zip(names, values, strict=True) if v is ABSENT)
        given = {n: v for n, v in zip(names, values, strict=True) if v is not ABSENT}
        lists = self._first.checked.lists
        lengths = tuple(
            (path, length)
            for path, length in list_lengths(given, tuple(lists))
            if length != lists[path] or absent
        )
        variant = Variant(lengths, absent)
        try:
            stages = self._stage(variant)
        except LossError as error:
            raise LossInputError(error.diagnostics) from None
        entries = [e for e in stages.checked.program.inputs if e.name in given]
        self._check(stages, entries, given)
        used = tuple(v is not ABSENT for v in values) if absent else None
        prepared = _Run(stages, self._callable(variant), used)
        if used is not None:
            values = _present(values, used)
        if self._recipe.backend != "eager":
            marked = torch_private.batch_varies(tensors_in(values))
            with marked, torch_private.batch_of_one_is_ordinary():
                result = self._finish(prepared, values)
        else:
            result = self._finish(prepared, values)
        if result.dim() != 0:
            message = f"a loss is one number, and this returned {list(result.shape)}"
            help = "a primitive returned another map than its signature says"
            raise LossInputError([Diagnostic("E603", message, self._whole, (), help)])
        self._runs[key] = prepared
        return result

    def _check(self, stages: Stages, entries: Sequence[Entry], given: Mapping[str, Any]) -> None:
        """Hold the inputs, and what networks make of them, against the contract."""

        def networks() -> Mapping[Span, Any]:
            values = tuple(given[entry.name] for entry in entries)
            return network_shapes(self._graph(stages.variant), values)

        CallCheck(stages.checked, entries, given, stages.readers, networks).run()

    def _explain(self, values: tuple[Any, ...], prepared: _Run, error: Exception) -> None:
        """torch failed: if the values break the contract, say that instead."""
        entries = prepared.stages.checked.program.inputs
        present = [e for e in entries if e.name not in prepared.stages.variant.absent]
        given = {e.name: v for e, v in zip(present, values, strict=True)}
        try:
            self._check(prepared.stages, present, given)
        except LossInputError as found:
            raise found from error
        if isinstance(error, ValueError):
            # A primitive refused what a bound network gave it.
            problem = Diagnostic("E603", str(error), self._whole)
            raise LossInputError([problem]) from error

    # --- what the last call computed ---

    @property
    def _ledger(self) -> Ledger:
        if self._last is None:
            raise RuntimeError("the loss was not called yet: there are no terms")
        return self._last

    @property
    def terms(self) -> dict[str, Tensor]:
        """Name to weighted value of the last call, detached; together they are the loss."""
        return self._ledger.contributions()

    @property
    def monitors(self) -> dict[str, Tensor]:
        """Name to value of what the last call computed without training on it, detached."""
        return self._ledger.monitors()

    def report(self) -> Report:
        """Raw value, weight, contribution and share of each term of the last call."""
        return self._ledger.report()

    # --- what moves ---

    def step(self, *, epoch: int | None = None) -> None:
        """Advance the schedules: `step` by one, or with `epoch=` set the epoch and leave `step`."""
        with torch.no_grad():
            if epoch is None:
                self.get_buffer(CLOCKS["step"]).add_(1)
            else:
                self.get_buffer(CLOCKS["epoch"]).fill_(epoch)

    def set(self, **params: Any) -> None:
        """Change params. Nothing is compiled again, whatever the values.

        Raises:
            LossConfigError: no such param, one that is fixed at compile time, or a bad value.
        """
        for name, value in params.items():
            self._check_settable(name, value)
        with torch.no_grad():
            for name, value in params.items():
                target = self._buffers.get(state_name(name))
                if target is None:
                    target = self.get_parameter(state_name(name))
                target.copy_(torch.as_tensor(value, dtype=target.dtype).reshape(target.shape))

    def _check_settable(self, name: str, value: Any) -> None:
        param = self._params.get(name)
        if param is None:
            known = closest(name, self._params) or f"its params are {', '.join(self._params)}"
            raise _config_error(
                "E511", f"the loss has no param `{name}`", name, known if self._params else None
            )
        if param.role == "fixed":
            raise _config_error(
                "E511",
                f"the param `{name}` is fixed at compile time",
                name,
                "compile the loss again with `params={…}`",
            )
        plain = plain_value(value.tolist() if isinstance(value, Tensor) else value)
        listed = isinstance(param.value, tuple)
        if plain is None or isinstance(plain, bool | str) or isinstance(plain, tuple) != listed:
            what = "a list of finite numbers" if listed else "a finite number"
            raise _config_error("E511", f"the param `{name}` is {what}, not {value!r}", name)
        if isinstance(plain, tuple) and isinstance(param.value, tuple):
            if len(plain) != len(param.value):
                raise _config_error(
                    "E511", f"the param `{name}` has {len(param.value)} numbers", name
                )
        elif isinstance(plain, float) and not math.isfinite(plain):
            raise _config_error("E511", f"the param `{name}` is finite, not {value!r}", name)

    # --- what it is ---

    @property
    def contract(self) -> Contract:
        """The inputs in order: name, kind, shape, dtype, declared or inferred."""
        return self._contract

    @property
    def source(self) -> str:
        """The text that the loss came from."""
        return self._recipe.program.span.source.text

    @property
    def name(self) -> str:
        """The loss's name: from its file, from `compile(name=…)`, or `loss`."""
        return self._recipe.name or self._recipe.program.name or "loss"

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that were not errors."""
        return self._first.warnings

    @property
    def graph_module(self) -> fx.GraphModule:
        """The graph as a module that runs on its own: the contract's inputs in, the loss out."""
        graph = fx.Graph()
        lowered = self._first.lowered
        copies: dict[fx.Node, fx.Node] = {}
        graph.graph_copy(lowered.graph, copies)
        graph.output(copies[lowered.value])
        made = self._generated(graph)
        # Whether a bound network may be dropped is asked of the module that holds it.
        made.graph.eliminate_dead_code()
        made.recompile()
        return made

    def extra_repr(self) -> str:
        """The loss's text, for `print(model)`."""
        return self.source.strip()


def _present(values: tuple[Any, ...], used: tuple[bool, ...]) -> tuple[Any, ...]:
    return tuple(value for value, kept in zip(values, used, strict=True) if kept)


def _device(values: Sequence[Any]) -> str:
    for value in values:
        if isinstance(value, Tensor):
            return value.device.type
    tensors = tensors_in(values)
    return tensors[0].device.type if tensors else "cpu"


def _config_error(code: str, message: str, name: str, help: str | None = None) -> LossConfigError:
    span = Source(name, "<call>").span()
    return LossConfigError([Diagnostic(code, message, span, (), help)])


def _told_apart(backend: Any) -> Callable[..., Any]:
    try:
        return torch_private.sizes_told_apart(backend)
    except torch_private.UnknownBackend as unknown:
        known = ["eager", *unknown.args[0]]
        raise _config_error(
            "E509",
            f"there is no backend `{backend}`",
            str(backend),
            closest(str(backend), known) or f"there are {', '.join(known)}",
        ) from None


def _runs_eagerly() -> bool:
    """Whether Inductor cannot build code here. Says so once, with the way out."""
    global _warned
    reason = torch_private.compiler_missing()
    if reason is not None and not _warned:
        _warned = True
        warnings.warn(
            "no C++ compiler was found, so losses run eagerly: install one (Debian: "
            "`apt install g++`; conda: `conda install gxx`; macOS: `xcode-select --install`) "
            f"or compile with backend='eager'. Inductor said: {reason}",
            stacklevel=4,
        )
    return reason is not None
