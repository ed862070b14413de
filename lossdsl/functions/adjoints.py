"""Whether derivatives are those that are written out beside a formula, or autograd's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_left_to_autograd = False


def written_out() -> bool:
    """Compiled code takes those that are written out. Run plainly autograd's are as fast, and every
    transform of torch.func knows them."""
    return torch.compiler.is_compiling() and not _left_to_autograd


@contextmanager
def left_to_autograd() -> Iterator[None]:
    """Compiled code too has the formulas alone, to be looked at."""
    global _left_to_autograd
    _left_to_autograd = True
    try:
        yield
    finally:
        _left_to_autograd = False
