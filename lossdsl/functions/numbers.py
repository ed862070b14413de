"""Plain numbers: literals, as opposed to texts, truth values, lists and tensors."""

from __future__ import annotations

from typing import Any, TypeGuard


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a whole or broken number. `True` is none, though Python says so."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether a value is a whole number, and written as one."""
    return isinstance(value, int) and not isinstance(value, bool)
