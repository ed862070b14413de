"""What crosses processes, over the default group of `torch.distributed`."""

from __future__ import annotations

from torch import Tensor, distributed

from lossdsl.functions.record import CallSite, function
from lossdsl.types.dims import Dim
from lossdsl.types.values import Tensor as TensorType
from lossdsl.types.values import Type


def _gathered(site: CallSite) -> Type:
    tensor = site.tensor(0)
    if tensor.shape.rank == 0:
        site.refuse("E402", "`all_gather` joins along the first axis, and this is one number", 0)
    rows = tensor.shape.axis(0)
    if rows is None:
        return TensorType(tensor.kind, site.solver.any_shape(), tensor.axis, tensor.ignore)
    known = rows.number
    # A symbol says how many rows one process has; at the call there are numbers.
    joined = site.solver.unknown("N") if known is None else Dim.of(known * processes())
    return tensor.with_shape(tensor.shape.replaced(0, joined))


def processes() -> int:
    """How many processes there are."""
    there = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if there else 1


@function("all_gather", _gathered, keeps=True)
def all_gather(x: Tensor) -> Tensor:
    """The rows of all processes, in their order. Without processes it is `x` itself.

    The gradient of each row goes back to its process, summed over the processes that used it:
    where all compute one loss of all rows, and the gradients of parameters are averaged as
    DistributedDataParallel does, that is the gradient of this loss in a single process. Each
    process brings as many rows.
    """
    return x
