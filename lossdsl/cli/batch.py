"""Saved tensors: a dict in a `.pt`, the arrays of an `.npz`, the tensors of a `.safetensors`.

Nothing in such a file is ever run: what pickle could execute is refused.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import typer

DATA = typer.Option(
    "--data",
    metavar="DATA",
    help="Saved tensors by the names of the inputs: .pt, .npz or .safetensors.",
)

Batch = dict[str, Any]


def read_batch(path: Path, wanted: Collection[str]) -> Batch:
    """The saved tensors by name. Of those that are not wanted only the names are there.

    Raises:
        typer.BadParameter: the file cannot be read, or holds something else.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise _bad(path, f"is none of {', '.join(_READERS)}")
    if not path.is_file():
        raise _bad(path, "is no file")
    return read(path, wanted)


def _read_torch(path: Path, wanted: Collection[str]) -> Batch:
    import torch

    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise _bad(
            path, "holds more than tensors, numbers, lists and dicts: save a plain dict of tensors"
        ) from None
    except (OSError, EOFError, RuntimeError) as error:
        raise _bad(path, f"is no file of torch.save ({_first_line(error)})") from None
    if not isinstance(saved, Mapping):
        raise _bad(
            path, f"holds a {type(saved).__name__}: save a dict of tensors by the inputs' names"
        )
    return {str(name): value if name in wanted else None for name, value in saved.items()}


def _read_numpy(path: Path, wanted: Collection[str]) -> Batch:
    try:
        import numpy
    except ModuleNotFoundError:
        raise _bad(path, "needs NumPy: `pip install numpy`") from None
    import torch

    try:
        with numpy.load(path, allow_pickle=False) as arrays:
            return {
                name: torch.from_numpy(arrays[name]) if name in wanted else None
                for name in arrays.files
            }
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise _bad(path, f"does not hold arrays of numbers ({_first_line(error)})") from None


def _read_safetensors(path: Path, wanted: Collection[str]) -> Batch:
    try:
        from safetensors import SafetensorError, safe_open
    except ModuleNotFoundError:
        raise _bad(path, "needs an extra: `pip install 'lossdsl[safetensors]'`") from None
    try:
        with safe_open(path, framework="pt") as tensors:
            return {
                name: tensors.get_tensor(name) if name in wanted else None
                for name in tensors.keys()  # noqa: SIM118 - it is no mapping
            }
    except (OSError, SafetensorError) as error:
        raise _bad(path, f"is no file of safetensors ({_first_line(error)})") from None


_READERS: dict[str, Callable[[Path, Collection[str]], Batch]] = {
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".npz": _read_numpy,
    ".safetensors": _read_safetensors,
}


def _bad(path: Path, what: str) -> typer.BadParameter:
    return typer.BadParameter(f"`{path}` {what}", param_hint="--data")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
