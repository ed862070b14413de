"""Making and running losses on examples of their contracts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tables import Form

import lossdsl
from lossdsl.inspect.example_inputs import example_inputs


class Pool(torch.nn.Module):
    """One score a sample."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * (x.flatten(1).mean(1) if x.dim() > 1 else x)


class Same(torch.nn.Module):
    """The input, scaled."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x


class NoExample(Exception):
    """No sizes were found at which an example could be made."""


NETWORKS = {"pool": Pool, "same": Same}


def make(text: str, form: Form, modules: Mapping[str, str]) -> list[Any]:
    """The losses of a text, not compiled by torch."""
    networks = {name: NETWORKS[kind]() for name, kind in modules.items()}
    if form == "program":
        return [lossdsl.compile(text, modules=networks, backend="eager")]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "loss.yaml"
        path.write_text(text, encoding="utf-8", newline="")
        made = lossdsl.load(path, modules=networks, backend="eager")
    return list(made.values()) if isinstance(made, torch.nn.ModuleDict) else [made]


def run(loss: Any) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The value on the first example that fits, and the inputs that have a gradient now.

    Raises:
        LossInputError: no example fits; it is the refusal of the first.
        NoExample: a size is below 1, or too large, at all that were tried.
        Exception: any other error of a call is not caught.
    """
    refused: lossdsl.LossInputError | None = None
    device = torch.device("cpu")
    for example in example_inputs(loss.contract, loss._first.checked.lists, device):
        tensors: list[torch.Tensor] = []
        given = {name: _tracked(value, tensors) for name, value in example.items()}
        try:
            value = loss(**given)
        except lossdsl.LossInputError as error:
            refused = refused or error
            continue
        if value.requires_grad:
            value.backward()
        return value, tensors
    if refused is None:
        raise NoExample
    raise refused


def _tracked(value: Any, tensors: list[torch.Tensor]) -> Any:
    match value:
        case torch.Tensor():
            if value.is_floating_point():
                tensors.append(value.requires_grad_())
            return value
        case list():
            return [_tracked(part, tensors) for part in value]
        case dict():
            return {key: _tracked(part, tensors) for key, part in value.items()}
    return value
