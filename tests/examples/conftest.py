"""The examples as modules: each `train.py` under a name of its own."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The data sets come with packages that an installation for the examples has."""
    wanted = ("skimage", "sklearn", "statsmodels")
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        skip = pytest.mark.skip(reason=f"not installed: {', '.join(missing)}")
        here = Path(__file__).parent
        for item in items:
            if here in item.path.parents:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def example() -> Callable[[str], ModuleType]:
    """`example("gan")` is the module of examples/gan/train.py."""
    made: dict[str, ModuleType] = {}

    def load(name: str) -> ModuleType:
        if name not in made:
            file = EXAMPLES / name / "train.py"
            spec = importlib.util.spec_from_file_location(f"example_{name}", file)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
            made[name] = module
        return made[name]

    return load
