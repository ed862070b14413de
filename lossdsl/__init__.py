"""A declarative language for loss functions, and its compiler to PyTorch.

    import lossdsl

    loss = lossdsl.compile("0.5*bce(p, y) + dice(p, y) + 0.1*tv(img)")
    loss(p=logits, y=mask, img=image).backward()
    print(loss.report())

Names are loaded on first use, so that importing the package stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossdsl.api import (
        CheckReport,
        check,
        compile,
        format,
        from_config,
        load,
    )
    from lossdsl.catalogue import describe, losses
    from lossdsl.diagnostics.errors import (
        LossConfigError,
        LossError,
        LossInputError,
        LossNameError,
        LossShapeError,
        LossSyntaxError,
        LossTypeError,
    )
    from lossdsl.inspect.loss import Loss
    from lossdsl.library.record import Example, LossRecord, Number, Reference, Vector
    from lossdsl.library.registry import loss

__version__ = "0.1.0"

_HOMES = {
    "lossdsl.api": (
        "CheckReport",
        "check",
        "compile",
        "format",
        "from_config",
        "load",
    ),
    "lossdsl.catalogue": ("describe", "losses"),
    "lossdsl.diagnostics.errors": (
        "LossConfigError",
        "LossError",
        "LossInputError",
        "LossNameError",
        "LossShapeError",
        "LossSyntaxError",
        "LossTypeError",
    ),
    "lossdsl.inspect.loss": ("Loss",),
    "lossdsl.library.record": ("Example", "LossRecord", "Number", "Reference", "Vector"),
    "lossdsl.library.registry": ("loss",),
}
_WHERE = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CheckReport",
    "Example",
    "Loss",
    "LossConfigError",
    "LossError",
    "LossInputError",
    "LossNameError",
    "LossRecord",
    "LossShapeError",
    "LossSyntaxError",
    "LossTypeError",
    "Number",
    "Reference",
    "Vector",
    "check",
    "compile",
    "describe",
    "format",
    "from_config",
    "load",
    "loss",
    "losses",
]


def __getattr__(name: str) -> Any:
    home = _WHERE.get(name)
    if home is None:
        raise AttributeError(f"module 'lossdsl' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted((*globals(), *__all__))
