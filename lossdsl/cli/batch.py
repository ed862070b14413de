"""Saved tensors: a dict in a `.pt`, the arrays of an `.npz`, the tensors of a `.safetensors`.

Nothing in such a file is ever run: what pickle could execute is refused.
"""

from __future__ import annotations

import importlib
import pickle
import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from torch import Tensor

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
        raise _bad(path, "holds more than tensors, numbers, lists and dicts") from None
    except Exception:
        # Bytes of another origin make its unpickler fail in any way there is.
        raise _bad(path, "was not written by torch.save") from None
    if not isinstance(saved, Mapping):
        kind = type(saved).__name__
        raise _bad(path, f"holds a {kind}: save a dict of tensors by the names of the inputs")
    return {str(name): value if name in wanted else None for name, value in saved.items()}


def _read_numpy(path: Path, wanted: Collection[str]) -> Batch:
    numpy = _optional("numpy", path, "needs NumPy: `pip install numpy`")
    if not zipfile.is_zipfile(path):
        raise _bad(path, "was not written by numpy.savez")
    with numpy.load(path, allow_pickle=False) as arrays:
        return {
            name: _tensor(path, arrays, name) if name in wanted else None for name in arrays.files
        }


def _tensor(path: Path, arrays: Mapping[str, Any], name: str) -> Tensor:
    import torch

    try:
        array = arrays[name]
    except (ValueError, zipfile.BadZipFile):
        raise _bad(path, f"holds no array of numbers as `{name}`") from None
    if array.dtype.kind not in "biufc":
        raise _bad(path, f"holds no array of numbers as `{name}`, but one of {array.dtype}")
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))


def _read_safetensors(path: Path, wanted: Collection[str]) -> Batch:
    library = _optional(
        "safetensors", path, "needs the extra `safetensors`: `pip install 'lossdsl[safetensors]'`"
    )
    try:
        with library.safe_open(path, framework="pt") as tensors:
            return {
                name: tensors.get_tensor(name) if name in wanted else None
                for name in list(tensors.keys())
            }
    except library.SafetensorError:
        raise _bad(path, "was not written by safetensors") from None


_READERS: dict[str, Callable[[Path, Collection[str]], Batch]] = {
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".npz": _read_numpy,
    ".safetensors": _read_safetensors,
}


def _optional(library: str, path: Path, missing: str) -> Any:
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError:
        raise _bad(path, missing) from None


def _bad(path: Path, what: str) -> typer.BadParameter:
    return typer.BadParameter(f"`{path}` {what}", param_hint="--data")
