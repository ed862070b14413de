"""What libraries say that cannot be installed beside the tests: run once, and written down.

    python tests/library/dialects/record.py FOLDER

FOLDER holds the unpacked wheels of segmentation_models_pytorch, torchvision, mmsegmentation,
keras, and of what keras needs (absl-py, h5py, ml_dtypes, namex, optree). Only their losses are
imported: the packages themselves want more than that.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

HERE = Path(__file__).parent
GOLDEN = HERE.parents[1] / "golden" / "dialects"
sys.path.insert(0, str(HERE.parent / "shipped"))

from case import gradients, leaves  # noqa: E402

# Packages whose own `__init__` is not run, each with the folder below the wheels.
HOLLOW = (
    "segmentation_models_pytorch",
    "torchvision",
    "torchvision.ops",
    "mmseg",
    "mmseg.models",
    "mmseg.models.losses",
)


class Registry:
    """mmsegmentation enters its losses into one; nothing else of it is needed."""

    def register_module(self) -> Any:
        return lambda kind: kind


def hollow(name: str, folder: Path | None = None, **contents: Any) -> None:
    module = ModuleType(name)
    if folder is not None:
        module.__path__ = [str(folder)]
    vars(module).update(contents)
    sys.modules[name] = module


def prepare(folder: Path) -> None:
    os.environ["KERAS_BACKEND"] = "torch"
    sys.path.append(str(folder))
    for name in HOLLOW:
        hollow(name, folder / name.replace(".", "/"))
    hollow("torchvision.utils", _log_api_usage_once=lambda function: None)
    hollow("mmseg.registry", MODELS=Registry(), LOSSES=Registry())
    hollow("mmengine")
    hollow("mmengine.fileio", load=None)
    hollow("mmengine.utils", is_list_of=lambda value, kind: False)


def plain(value: Any) -> Any:
    return value.detach().tolist() if isinstance(value, Tensor) else value


def record(case: Any) -> dict[str, Any]:
    """One call: the tensors, the value, the gradient of every floating tensor."""
    given = case.tensors()
    for item in given.values():
        for leaf in leaves(item):
            leaf.requires_grad_()
    value = case.expected(**given)
    slopes = gradients(value, given)
    names = [name for name, item in given.items() if leaves(item)]
    return {
        "call": case.call,
        "inputs": {name: plain(item) for name, item in given.items()},
        "value": value.item(),
        "gradients": dict(zip(names, map(plain, slopes), strict=True)),
    }


def main(folder: Path) -> None:
    prepare(folder)
    torch.set_num_threads(1)
    for path in sorted((HERE / "recorded").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"recorded_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        rows = [json.dumps(record(case)) for case in module.CASES]
        GOLDEN.mkdir(parents=True, exist_ok=True)
        text = "[\n" + ",\n".join(rows) + "\n]\n"
        (GOLDEN / f"{path.stem}.json").write_text(text, encoding="utf-8")
        print(f"{path.stem}: {len(rows)} calls")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
