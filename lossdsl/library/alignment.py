"""Alignments of two series: the recursion of dynamic time warping, a diagonal at a time.

Cells of one anti-diagonal do not depend on each other, so a table of N times M cells is done in
N + M - 1 steps. Tables are kept skewed, `[B, N + M - 1, N]`: entry (k, i) is the cell (i, k - i).

The steps are operators of torch's dispatcher, opaque to compilation, where a table of any size is
one node. There are three: the recursion itself, and the two triangular systems of its linear
part, each of which is the other's derivative. So gradients are exact to any order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op
from torch.nn import functional


def skewed(table: Tensor) -> Tensor:
    """`[B, N, M]` with row i moved i places to the right, and its axes exchanged. What enters
    from outside the table is 0."""
    batch, rows, columns = table.shape
    padded = functional.pad(table, (0, rows)).flatten(1)
    width = max(rows + columns - 1, 0)
    return padded[:, : rows * width].reshape(batch, rows, width).transpose(1, 2)


def cells(steps: int, rows: int, device: torch.device) -> Tensor:
    """Which entries of a skewed table lie in the table, `[K, N]`."""
    step = torch.arange(steps, device=device)[:, None]
    row = torch.arange(rows, device=device)
    return (step >= row) & (step - row <= steps - rows)


def beyond(x: Tensor) -> float:
    """A cost that no path has, and that can be added to without overflow."""
    return torch.finfo(x.dtype).max / 8


def before(table: Tensor, outside: float) -> Tensor:
    """The three cells from which each is reached: above, left and diagonal, `[3, B, K, N]`."""
    down = functional.pad(table, (0, 0, 1, 0), value=outside)[:, :-1]
    right = functional.pad(down, (1, 0), value=outside)[..., :-1]
    both = functional.pad(right, (0, 0, 1, 0), value=outside)[:, :-1]
    return torch.stack((right, down, both))


@custom_op("lossdsl::soft_paths", mutates_args=())
def soft_paths(cost: Tensor) -> Tensor:
    """The soft minimum over all paths to each cell of the sum of costs, at temperature 1.

    Both tables are skewed. Entries outside the table are `beyond` any path.
    """
    table = torch.full_like(cost, beyond(cost))
    steps, rows = cost.shape[1:]
    inside = cells(steps, rows, cost.device)
    # One entry more in front, for what comes from outside the table.
    start = table.new_full((cost.shape[0], rows + 1), beyond(cost))
    last, previous = start.clone(), start.clone()
    for k in range(steps):
        choices = torch.stack((last[:, :-1], last[:, 1:], previous[:, :-1]))
        least = choices.amin(0)
        reached = least - torch.exp(least - choices).sum(0).log()
        if k == 0:
            reached = torch.zeros_like(reached)
        table[:, k] = torch.where(inside[k], reached + cost[:, k], table[:, k])
        previous, last = last, functional.pad(table[:, k], (1, 0), value=beyond(cost))
    return table


@custom_op("lossdsl::forward_paths", mutates_args=())
def forward_paths(weight: Tensor, value: Tensor) -> Tensor:
    """Solve u = value + sum of weight times u before, from the first cell on.

    weight is `[3, B, K, N]`, as `before` orders the cells; value and u are skewed tables.
    """
    table = torch.empty_like(value)
    start = value.new_zeros((value.shape[0], value.shape[2] + 1))
    last, previous = start, start
    for k in range(value.shape[1]):
        w = weight[:, :, k]
        came = w[0] * last[:, :-1] + w[1] * last[:, 1:] + w[2] * previous[:, :-1]
        table[:, k] = value[:, k] + came
        previous, last = last, functional.pad(table[:, k], (1, 0))
    return table


@custom_op("lossdsl::backward_paths", mutates_args=())
def backward_paths(weight: Tensor, value: Tensor) -> Tensor:
    """Solve e = value + sum of weight times e behind, from the last cell back: the transposed
    system of `forward_paths`."""
    table = torch.empty_like(value)
    steps = value.shape[1]
    # One entry more behind, for what leaves the table.
    nothing = value.new_zeros((value.shape[0], value.shape[2] + 1))
    flows: list[Tensor] = [nothing, nothing, nothing]
    diagonals = [nothing, nothing]
    for k in reversed(range(steps)):
        right, down, both = flows[0], flows[1], diagonals[0]
        table[:, k] = value[:, k] + right[:, 1:] + down[:, :-1] + both[:, 1:]
        out = functional.pad(weight[:, :, k] * table[:, k], (0, 1))
        flows = [out[0], out[1], nothing]
        diagonals = [diagonals[1], out[2]]
    return table


@soft_paths.register_fake
def _(cost: Tensor) -> Tensor:
    return torch.empty_like(cost)


@forward_paths.register_fake
@backward_paths.register_fake
def _(weight: Tensor, value: Tensor) -> Tensor:
    return torch.empty_like(value)


def step_weights(table: Tensor) -> Tensor:
    """With which probability a path to each cell comes from those before it."""
    inside = cells(table.shape[1], table.shape[2], table.device)
    reached = inside & (torch.arange(table.shape[1], device=table.device)[:, None] > 0)
    return torch.where(reached, (-before(table, beyond(table))).softmax(0), 0.0)


def last_cell(table: Tensor) -> Tensor:
    """Where a skewed table ends. One without cells ends nowhere."""
    steps, rows = table.shape[1:]
    step = torch.arange(steps, device=table.device)[:, None] == steps - 1
    row = torch.arange(rows, device=table.device) == rows - 1
    return step & row & cells(steps, rows, table.device)


def expected_visits(table: Tensor) -> Tensor:
    """With which probability a path to the last cell visits each cell: the derivative of that
    entry of `soft_paths` by the costs, and itself differentiable."""
    end = last_cell(table).to(table.dtype).expand_as(table)
    visits: Tensor = backward_paths(step_weights(table), end)
    return visits


def keep_table(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(output)


def keep_system(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0], output)


def slope_of_soft_paths(ctx: Any, slope: Tensor) -> Tensor:
    (table,) = ctx.saved_tensors
    inside = cells(table.shape[1], table.shape[2], table.device)
    behind: Tensor = backward_paths(step_weights(table), torch.where(inside, slope, 0.0))
    return behind


def slope_of_forward_paths(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor]:
    weight, table = ctx.saved_tensors
    behind = backward_paths(weight, slope)
    return behind * before(table, 0.0), behind


def slope_of_backward_paths(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor]:
    weight, table = ctx.saved_tensors
    ahead = forward_paths(weight, slope)
    return table * before(ahead, 0.0), ahead


soft_paths.register_autograd(slope_of_soft_paths, setup_context=keep_table)
forward_paths.register_autograd(slope_of_forward_paths, setup_context=keep_system)
backward_paths.register_autograd(slope_of_backward_paths, setup_context=keep_system)
