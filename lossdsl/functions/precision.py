"""In which precision sums and counts are taken.

Under `compute_dtype: input` a formula calculates in half precision what stands at one element.
What adds up many of them outgrows that (a count ends at 65504 in float16, at 256 in bfloat16), so
it is single precision, and so is what is made of it.
"""

from __future__ import annotations

import torch
from torch import Tensor

HALF = frozenset({torch.float16, torch.bfloat16})


def wide(x: Tensor) -> Tensor:
    """Half precision as single; all else as it is."""
    return x.to(torch.float32) if x.dtype in HALF else x
