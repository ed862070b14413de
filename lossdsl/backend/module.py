"""The compiled loss: an `nn.Module` around one generated graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, get_args

import torch
from torch import Tensor, nn

from lossdsl.backend import averages, torch_private
from lossdsl.backend.arguments import ABSENT, Arguments
from lossdsl.backend.call_check import CallCheck, needed_by
from lossdsl.backend.ledger import Ledger, Report
from lossdsl.backend.lower import Lowered
from lossdsl.backend.network_shapes import network_shapes
from lossdsl.backend.one_pass import OnePass
from lossdsl.backend.params import config_error
from lossdsl.backend.pipeline import Recipe, Stages
from lossdsl.backend.state import LossState
from lossdsl.backend.traced_sizes import disagreement, plan_of
from lossdsl.backend.value_check import ValueCheck
from lossdsl.checker.contract import Contract
from lossdsl.checker.options import Checks
from lossdsl.checker.program import Variant
from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.diagnostics.errors import LossError, LossInputError
from lossdsl.source import Span

_REMADE = ("_arguments", "_plan", "_forms", "_runs", "_largest", "_last")
"""What a copy makes anew from the recipe."""

_NOTHING = nullcontext()

_MOST_RUNS = 4096
"""Data in which no two batches have the same sizes must not fill the memory."""


@dataclass(frozen=True, slots=True)
class _Run:
    """What one combination of shapes and dtypes needs: checked, and ready to be called."""

    stages: Stages
    call: Callable[..., Any]
    used: tuple[bool, ...] | None
    check: ValueCheck | None = None
    derived: tuple[bool, ...] = ()
    labels: ValueCheck | None = None
    one_pass: OnePass | None = None
    eager_gradients: bool = False
    """Whether a plain call calculates its gradients too."""

    def with_gradients(self, factor: Tensor | None) -> OnePass | None:
        """What calculates the gradients too, where a call with this factor does so."""
        return self.one_pass if self.eager_gradients or factor is not None else None


class LossModule(LossState):
    """A loss: tensors in, one number out. Made by `lossdsl.compile` and `lossdsl.load`.

    What the graph computed for each term is kept, detached, and read from the device only when
    asked for.
    """

    def __init__(self, recipe: Recipe, modules: Mapping[str, nn.Module]) -> None:
        super().__init__(recipe, modules)
        self._checks: Checks = self._first.checked.declared.options.checks
        self._ready()

    def _ready(self) -> None:
        """Keep what every call needs, and nothing of earlier ones."""
        contract = Contract(self._first.checked.program.inputs)
        spare = frozenset(self._first.checked.declared.inputs) - set(contract.names)
        self._arguments = Arguments(contract, spare, self._whole)
        self._plan = plan_of(contract)
        self._forms: dict[Any, _Run] = {}
        self._runs: dict[Any, _Run] = {}
        self._largest: dict[tuple[int, int], int] = {}
        self._last: tuple[Lowered, Any, Tensor | None] | None = None
        if not self._arguments.vary:
            # Made now, so that an outer torch.compile finds it where it stands.
            self._forms[()] = _Run(self._first, self._graphs.module(Variant()).forward, None)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in super().__getstate__().items() if key not in _REMADE}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._ready()

    # --- the call ---

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """The loss of these inputs: by keyword, by position in contract order, or one mapping.

        Returns:
            A tensor without axes, in float32 or, where inputs are so, in float64.

        Raises:
            LossInputError: the inputs break the contract.

        Example:
            >>> loss = lossdsl.compile("mse(p, y)")
            >>> loss(p, y), loss(p=p, y=y), loss({"p": p, "y": y, "id": ids})
        """
        return self._value(self._arguments.bind(args, kwargs))

    def backward(self, *args: Any, scale: float | Tensor = 1.0, **kwargs: Any) -> Tensor:
        """The loss of these inputs, and its gradients: `(scale*loss(...)).backward()` in one pass.

        The inputs are given as to a call.

        Args:
            scale: what the gradients are multiplied by, as a gradient scaler or an accumulation
                over micro-batches does. The value that is returned is not.

        Returns:
            The loss, detached.

        Raises:
            LossInputError: the inputs break the contract.
            RuntimeError: none of them requires a gradient.

        Example:
            >>> value = loss.backward(p, y, scale=1 / accumulation)
        """
        factor = torch.as_tensor(scale, dtype=torch.float64).detach()
        if factor.numel() != 1:
            message = f"`scale` is one number for the whole loss, and {list(factor.shape)} came"
            help = "a factor for each element is a weight: `weight=` in the text"
            raise LossInputError([Diagnostic("E603", message, self._whole, (), help)])
        value = self._value(self._arguments.bind(args, kwargs), factor.reshape(1))
        value.backward(factor.reshape(()).to(value))  # type: ignore[no-untyped-call]
        return value.detach()

    def _value(self, values: tuple[Any, ...], factor: Tensor | None = None) -> Tensor:
        if torch.compiler.is_compiling():
            return self._inside_compiled(values)
        transformed = torch_private.in_transform()
        key: tuple[Any, ...] = (transformed, torch.is_grad_enabled(), *self._arguments.key(values))
        if self._parameters:
            key = (*key, *[p is not None and p.requires_grad for p in self._parameters.values()])
        prepared = self._runs.get(key)
        if prepared is None:
            result: Tensor = torch_private.untraced(self._first_call)(
                key, values, transformed, factor
            )
            return result
        if self._checks != "always" or transformed:
            value = self._finish(prepared, values, transformed, factor)
            if prepared.labels is not None and value.is_cpu and not isfinite(value.item()):
                wrong = replace(prepared, check=prepared.labels)
                self._check_values(wrong, self._given(values), wait=False)
            return value
        self._check_values(prepared, self._given(values), wait=True)
        value = self._finish(prepared, values, transformed, factor)
        self._check_result(prepared, values, value)
        return value

    def _finish(
        self,
        prepared: _Run,
        values: tuple[Any, ...],
        transformed: bool,
        factor: Tensor | None,
    ) -> Tensor:
        if prepared.used is not None:
            values = _present(values, prepared.used)
        if prepared.derived:
            return self._finish_differentiating(prepared, values, transformed)
        return self._run(prepared, values, transformed, factor)

    def _finish_differentiating(
        self, prepared: _Run, values: tuple[Any, ...], transformed: bool
    ) -> Tensor:
        """The loss takes derivatives itself: by its inputs, whoever else wants them or not."""
        if transformed and torch_private.in_vmap():
            place = next(iter(prepared.stages.differentiated.values()))
            message = "under `torch.func.vmap` no derivative can be taken inside the loss"
            help = "`torch.func.grad` may be around it; map over the batch in a loop"
            raise LossInputError([Diagnostic("E606", message, place, (), help)])
        if torch.is_inference_mode_enabled():
            with torch.inference_mode(False):
                return self._finish_differentiating(
                    prepared, torch_private.usable(values), transformed
                ).detach()
        carrying = tuple(
            torch_private.carrying_gradients(value) if derived else value
            for value, derived in zip(values, prepared.derived, strict=True)
        )
        # Any call may compile again: a network goes from training to evaluation.
        with torch.enable_grad(), torch_private.derivatives_traced():
            result = self._run(prepared, carrying, transformed)
        return result if torch.is_grad_enabled() else result.detach()

    def _run(
        self,
        prepared: _Run,
        values: tuple[Any, ...],
        transformed: bool,
        factor: Tensor | None = None,
    ) -> Tensor:
        joint = prepared.with_gradients(factor)
        context = self._without_autocast(values) if torch_private.autocast_somewhere() else _NOTHING
        try:
            with context:
                if joint is not None:
                    value, raws, weights = joint(factor, values)
                else:
                    value, raws, weights = prepared.call(*values)
        except (RuntimeError, IndexError, ValueError) as error:
            self._explain(values, prepared, error)
            raise
        if not transformed:
            # Not through nn.Module's attribute, which looks for Parameters first.
            self.__dict__["_last"] = prepared.stages.lowered, raws, weights
        result: Tensor = value
        return result

    def _without_autocast(self, values: tuple[Any, ...]) -> Any:
        """A loss decides by itself what is calculated in which precision."""
        tensors = self._arguments.tensors(values)
        device = tensors[0].device.type if tensors else "cpu"
        if device == "meta":
            return nullcontext()
        return torch.autocast(device, enabled=False)

    def _inside_compiled(self, values: tuple[Any, ...]) -> Tensor:
        """Part of a larger compiled region: the graph is traced into it."""
        form = self._arguments.form(values)
        if form not in self._forms:
            raise ValueError(
                "this loss was not called with such lists or optional inputs yet, and cannot be "
                "made while torch.compile traces: call it once before, outside"
            )
        problem = disagreement(self._plan, values)
        if problem is not None:
            raise ValueError(problem)
        prepared = self._forms[form]
        if prepared.used is not None:
            values = _present(values, prepared.used)
        with self._without_autocast(values):
            value, raws, weights = prepared.call(*values)
        self._last = prepared.stages.lowered, raws, weights
        result: Tensor = value
        return result

    def _first_call(
        self, key: Any, values: tuple[Any, ...], transformed: bool, factor: Tensor | None
    ) -> Tensor:
        """New shapes: pick the variant, check them, and let the backend compile if it must."""
        names = self.contract.names
        given = self._given(values)
        try:
            stages = self._graphs.stages_for(given, frozenset(names).difference(given))
        except LossError as error:
            raise LossInputError(error.diagnostics) from None
        check = None if self._checks == "never" else self._check(stages, given)
        used = tuple(v is not ABSENT for v in values) if len(given) < len(names) else None
        averages.reserve(self, stages.names.averages)
        graph = self._graphs.module(stages.variant)
        self._forms[self._arguments.form(values)] = _Run(stages, graph.forward, used)
        call = graph.forward if transformed else self._graphs.call(stages.variant)
        if stages.names.averages:
            averages.prepare(self, graph, tuple(given.values()))
        derived = self._derived(stages, given)
        labels = None if check is None else check.of_labels()
        prepared = _Run(stages, call, used, check, derived, labels)
        if torch.is_grad_enabled() and not transformed:
            prepared = self._with_gradients(prepared, values)
        if not transformed:
            self._check_values(prepared, given, wait=self._checks == "always")
        if call == graph.forward:
            result = self._finish(prepared, values, transformed, factor)
        else:
            tensors = self._arguments.tensors(values)
            shapes = torch_private.any_batch(tensors, shrunk=self._shrunk(tensors))
            quiet = torch_private.quiet_tracing(saves=prepared.with_gradients(factor) is None)
            with torch_private.derivatives_traced(), quiet, shapes:
                result = self._finish(prepared, values, transformed, factor)
        if result.dim() != 0:
            message = f"a loss is one number, and this returned {list(result.shape)}"
            help = "a primitive returned another map than its signature says"
            raise LossInputError([Diagnostic("E603", message, self._whole, (), help)])
        if not transformed:
            self._check_result(prepared, values, result)
        if len(self._runs) >= _MOST_RUNS:
            self._runs.clear()
        self._runs[key] = prepared
        return result

    def _with_gradients(self, prepared: _Run, values: tuple[Any, ...]) -> _Run:
        """The same with value and gradients in one graph, where that can be.

        What autograd asks for may be a multiple of them. Whether it is, is known on the CPU alone:
        elsewhere only `backward`, which knows it, takes that graph.
        """
        types = self._arguments.types
        if prepared.used is not None:
            types = _present(types, prepared.used)
            values = _present(values, prepared.used)
        made = self._graphs.one_pass(prepared.stages, values, types)
        if made is None:
            return prepared
        near = all(tensor.device.type == "cpu" for tensor in made.opened(values))
        return replace(prepared, one_pass=made, eager_gradients=near)

    def _shrunk(self, tensors: Sequence[Tensor]) -> bool:
        """Whether some axis has one entry now, and had more in an earlier call."""
        shrunk = False
        for place, tensor in enumerate(tensors):
            for axis, size in enumerate(tensor.shape):
                largest = self._largest.get((place, axis), 0)
                shrunk |= size < 2 <= largest
                self._largest[place, axis] = max(size, largest)
        return shrunk

    def _derived(self, stages: Stages, given: Mapping[str, Any]) -> tuple[bool, ...]:
        """For each input that came, whether the loss takes derivatives by it.

        Raises:
            LossInputError: one of them holds whole numbers.
        """
        wanted = stages.differentiated
        if not wanted:
            return ()
        problems = [
            Diagnostic(
                "E604",
                f"the loss takes a derivative by `{name}`, and {value.dtype} came",
                wanted[name],
                (),
                f"convert it: `{name}.float()`",
            )
            for name, value in given.items()
            if name in wanted and isinstance(value, Tensor) and not value.is_floating_point()
        ]
        if problems:
            raise LossInputError(problems)
        return tuple(name in wanted for name in given)

    def _given(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """The inputs that came, by name."""
        names = self._arguments.names
        return {n: v for n, v in zip(names, values, strict=True) if v is not ABSENT}

    def _check(self, stages: Stages, given: Mapping[str, Any]) -> ValueCheck:
        """Hold the forms of the inputs, and what networks make of them, against the contract."""
        entries = [e for e in stages.checked.program.inputs if e.name in given]

        def networks() -> Mapping[Span, Any]:
            values = tuple(given[entry.name] for entry in entries)
            return network_shapes(self._graphs.module(stages.variant), values)

        classes = CallCheck(stages.checked, entries, given, stages.readers, networks).run()
        return ValueCheck(entries, classes, stages.hiding)

    def _check_result(self, prepared: _Run, values: tuple[Any, ...], result: Tensor) -> None:
        """A loss that is not finite has read what a mask was to hide: tell which input it is."""
        wait = self._checks == "always"
        if (
            result.is_meta
            or not (wait or result.device.type == "cpu")
            or result.detach().isfinite()
        ):
            return
        self._check_values(prepared, self._given(values), wait=wait, everywhere=True)

    def _check_values(
        self, prepared: _Run, given: Mapping[str, Any], *, wait: bool, everywhere: bool = False
    ) -> None:
        """Hold the values against their kinds; `wait` for a device that has them."""
        if prepared.check is None:
            return
        readers = prepared.stages.readers
        with torch.no_grad():
            found = list(prepared.check.problems(given, wait=wait, everywhere=everywhere))
        problems = [
            Diagnostic("E605", message, entry.span, (), advice, needed_by(readers, entry.name))
            for entry, message, advice in found
        ]
        if problems:
            raise LossInputError(problems)

    def _explain(self, values: tuple[Any, ...], prepared: _Run, error: Exception) -> None:
        """torch failed: if the values break the contract, say that instead."""
        absent = prepared.stages.variant.absent
        present = [e for e in prepared.stages.checked.program.inputs if e.name not in absent]
        given = {e.name: v for e, v in zip(present, values, strict=True)}
        try:
            check = self._check(prepared.stages, given)
            self._check_values(replace(prepared, check=check), given, wait=False)
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
        return Ledger(*self._last)

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

    @property
    def checks(self) -> Checks:
        """When tensors are held against the contract: `"first"` (their form for each new
        combination of shapes and dtypes, and their values then, if the CPU has them),
        `"always"` (their values at every call too, wherever they are), or `"never"`."""
        return self._checks

    @checks.setter
    def checks(self, when: Checks) -> None:
        known = get_args(Checks)
        if when not in known:
            help = f"it is one of {', '.join(map(repr, known))}"
            raise config_error("E509", f"there is no level of checks {when!r}", str(when), help)
        self._checks = when
        self._runs.clear()

    # --- what it is ---

    @property
    def contract(self) -> Contract:
        """The inputs in order: name, kind, shape, dtype, declared or inferred."""
        return self._arguments.contract


def _present(values: tuple[Any, ...], used: tuple[bool, ...]) -> tuple[Any, ...]:
    return tuple(value for value, kept in zip(values, used, strict=True) if kept)
