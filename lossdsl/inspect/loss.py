"""The loss that users hold: it runs, and it shows every stage of itself."""

from __future__ import annotations

from typing import Literal

from lossdsl.backend.module import LossModule

Stage = Literal["ast", "typed", "ir", "fx", "torch", "aten", "kernel"]
Drawing = Literal["text", "mermaid", "dot"]


class Loss(LossModule):
    """A compiled loss. Call it with tensors; look at it with `inspect`, `draw` and `latex`."""
