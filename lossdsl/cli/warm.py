"""`lossdsl warm`: compile a loss ahead of time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from lossdsl.checker.suggest import closest
from lossdsl.cli.target import ExpressionOption, FileArgument, read_loss, require_no_networks
from lossdsl.cli.terminal import waiting

if TYPE_CHECKING:
    from lossdsl.inspect.loss import Loss

_SIZE = re.compile(r"(\w+)=(\d+(?:x\d+)*)")


def warm(
    file: FileArgument = None,
    expression: ExpressionOption = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SIZES",
            help="Sizes by the names in the contract: B=8,H=256,W=256; of a *S: S=8x1x512x512.",
        ),
    ] = None,
) -> None:
    """Compile a loss ahead of time, for a container image or before a cluster job.

    Torch keeps what it compiles under TORCHINDUCTOR_CACHE_DIR; the training that finds it there
    starts sooner. Any batch size is served; other sizes should be those of the training.

    Example: lossdsl warm seg.yaml --shape B=8,H=512,W=512
    """
    from lossdsl.backend import torch_private
    from lossdsl.inspect.warming import warm

    loss = read_loss(file, expression, backend="inductor")
    require_no_networks(loss, "warm")
    named = _sizes(loss, shape or ())
    reason = torch_private.compiler_missing()
    if reason is not None:
        typer.echo(f"there is nothing to warm without a C++ compiler: {reason}", err=True)
        raise typer.Exit(1)
    with waiting("inductor …", True):
        warmed = warm(loss, named)
    typer.echo(
        f"{loss.name}: training {warmed.training:.1f} s, validation {warmed.validation:.1f} s"
    )
    typer.echo(f"kept in {torch_private.cache_folder()}")


def _sizes(loss: Loss, given: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """What `--shape` says.

    Raises:
        typer.BadParameter: it is of another form, or the contract leaves no such size open.
    """
    from lossdsl.inspect.example_inputs import open_sizes

    known = open_sizes(loss.contract)
    sizes: dict[str, tuple[int, ...]] = {}
    for part in (part.strip() for text in given for part in text.split(",")):
        found = _SIZE.fullmatch(part)
        if found is None:
            raise typer.BadParameter(
                f"`{part}` is no size: write B=8, or S=8x1x64x64", param_hint="--shape"
            )
        name, numbers = found[1], tuple(map(int, found[2].split("x")))
        if name not in known:
            near = closest(name, known) or f"it has {', '.join(known) or 'none'}"
            raise typer.BadParameter(
                f"the contract leaves no size `{name}` open: {near}", param_hint="--shape"
            )
        if len(numbers) > 1 and not known[name]:
            raise typer.BadParameter(f"`{name}` is one axis: {name}=8", param_hint="--shape")
        sizes[name] = numbers
    return sizes
