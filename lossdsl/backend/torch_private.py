"""Everything that leans on torch's less public parts, in one place, with the reason for each."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence

import torch

RECOMPILE_LIMIT = 64
"""Training, validation, autocast and a last smaller batch each take an entry of Dynamo's cache;
its default of 8 is soon reached, and the rest then runs eagerly without a word."""


def mark_batch_dynamic(tensors: Sequence[torch.Tensor]) -> None:
    """Tell Dynamo that the first axis varies, before it compiles for one size of it.

    Without the mark the first size is baked in and the second compiles again. `maybe_` because a
    loss may need an exact size there, which is not an error.
    """
    from torch._dynamo import maybe_mark_dynamic

    for tensor in tensors:
        if tensor.dim() > 0 and tensor.shape[0] > 0:
            maybe_mark_dynamic(tensor, 0)


@contextlib.contextmanager
def batch_of_one_is_ordinary() -> Iterator[None]:
    """Compile without treating sizes 0 and 1 as special, so that a last batch of one does not
    compile a graph of its own."""
    from torch.fx.experimental import _config

    with _config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        yield


def in_transform() -> bool:
    """Whether a `torch.func` transform (vmap, grad) is running: compiled code does not go there."""
    peek = getattr(torch._C._functorch, "peek_interpreter_stack", None)
    return peek is not None and peek() is not None


def compiler_missing() -> str | None:
    """Why Inductor cannot build C++ code here, or None where it can."""
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        # The search logs its failure; the caller warns in words of its own.
        logging.disable(logging.ERROR)
        get_cpp_compiler()
    except Exception as error:
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    finally:
        logging.disable(logging.NOTSET)
    return None
