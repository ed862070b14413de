"""Everything that leans on torch's less public parts, in one place, with the reason for each."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import fx
from torch.utils import _pytree

from lossdsl.backend import aten_passes

_MARKS = ("_dynamo_weak_dynamic_indices", "_has_dynamo_dim_marking")

_RECOMPILE_LIMIT = 64
"""Training, validation, autocast and a last smaller batch each take an entry of Dynamo's cache;
its default of 8 is soon reached, and the rest then runs eagerly without a word."""


def compiled(function: Callable[..., Any], backend: Callable[..., Any]) -> Callable[..., Any]:
    """`torch.compile` in one graph, with a cache that no other function's graphs fill."""
    made: Callable[..., Any] = torch.compile(  # type: ignore[call-overload]
        function,
        backend=backend,
        fullgraph=True,
        recompile_limit=_RECOMPILE_LIMIT,
        isolate_recompiles=True,
    )
    return made


@contextlib.contextmanager
def any_batch(tensors: Sequence[torch.Tensor], *, shrunk: bool = False) -> Iterator[None]:
    """Compile for a first axis of any size, before Dynamo has seen it vary.

    Without a mark the first size is baked in and the second compiles again. `maybe_` because a
    loss may need an exact size there, which is not an error. The marks go again: they are on the
    caller's tensors, and another compiled function would compile anew because of them.

    Sizes 0 and 1 are not special, so that a last batch of one needs no graph of its own. But no
    graph for others is made from a size that has `shrunk` to 1: Inductor takes the product of
    matrices with one row apart, believes all the same that the axis may have any size, and reads
    beside the tensor.
    """
    from torch._dynamo import maybe_mark_dynamic

    fresh = []
    for tensor in tensors:
        if tensor.dim() > 0 and tensor.shape[0] > 1:
            if not hasattr(tensor, _MARKS[0]):
                fresh.append(tensor)
            maybe_mark_dynamic(tensor, 0)
    try:
        with _oblivious(not shrunk):
            yield
    finally:
        for tensor in fresh:
            for mark in _MARKS:
                if hasattr(tensor, mark):
                    delattr(tensor, mark)


def sizes_told_apart(backend: str | Callable[..., Any]) -> Callable[..., Any]:
    """A backend for graphs made under `any_batch`.

    The flag is for Dynamo alone. AOTAutograd under it takes the strides of what it saves for the
    backward from the first call's numbers, and the backward fails at other sizes.
    """
    from torch._dynamo import list_backends, lookup_backend
    from torch._dynamo.exc import InvalidBackend

    try:
        compiler = lookup_backend(backend)
    except InvalidBackend:
        raise UnknownBackend(list_backends()) from None

    def compile_graph(graph: fx.GraphModule, inputs: list[torch.Tensor], **options: Any) -> Any:
        if backend == "inductor":
            options["config_patches"] = inductor_options()
        with _oblivious(False), _adjoints_cached():
            return compiler(graph, inputs, **options)

    return compile_graph


def _adjoints_cached() -> contextlib.AbstractContextManager[None]:
    """Let torch's cache on disk take graphs with an `autograd.Function`. It leaves them out by
    default, as they could do anything; ours calculate."""
    from torch._functorch import config

    patch: contextlib.AbstractContextManager[None] = config.patch(
        autograd_cache_allow_custom_autograd_functions=True
    )
    return patch


@functools.cache
def inductor_options() -> dict[str, Any]:
    """How Inductor compiles losses: after our own passes, with products and sums in one
    instruction, which rounds once instead of twice."""
    from torch._inductor import custom_graph_pass

    class Tidy(custom_graph_pass.CustomGraphPass):
        def __call__(self, graph: fx.Graph) -> None:
            aten_passes.tidy(graph)

        def uuid(self) -> bytes:
            made: bytes = custom_graph_pass.get_hash_for_files(aten_passes.FILES)
            return made

    return {
        "post_grad_custom_pre_pass": Tidy(),
        "cpp.enable_floating_point_contract_flag": "fast",
        # What reads so many tensors is calculated again where it is used rather than kept: the
        # gradient by a region reads a few numbers of the region besides its pixels.
        "realize_reads_threshold": 8,
    }


def _oblivious(on: bool) -> contextlib.AbstractContextManager[None]:
    from torch.fx.experimental import _config

    patch: contextlib.AbstractContextManager[None] = _config.patch(  # type: ignore[attr-defined]
        backed_size_oblivious=on
    )
    return patch


def compiled_derivatives(
    function: Callable[..., Any], backend: Callable[..., Any]
) -> Callable[..., Any]:
    """The same for a function that takes derivatives. Its first call is made where they are
    traced; when a later one compiles again, which is rare, Dynamo refuses once."""
    call = compiled(_with_own_code(function), backend)

    def retried(*arguments: Any) -> Any:
        try:
            return call(*arguments)
        except RuntimeError as error:
            from torch._dynamo.exc import Unsupported

            if not isinstance(error, Unsupported):
                raise
        with derivatives_traced():
            return call(*arguments)

    return retried


_made = itertools.count()


def _with_own_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with a code object that no other one has. What Dynamo has seen to vary is kept
    by the name of the code: the sizes of one loss would make those of the next ones dynamic."""
    assert isinstance(function, types.FunctionType)
    name = f"{function.__name__}_{next(_made)}"
    return types.FunctionType(
        function.__code__.replace(co_name=name),
        function.__globals__,
        name,
        function.__defaults__,
        function.__closure__,
    )


def derivatives_traced() -> contextlib.AbstractContextManager[None]:
    """Let Dynamo take `torch.autograd.grad` into its graph, which it refuses by default."""
    if "torch._dynamo" not in sys.modules:
        return contextlib.nullcontext()
    from torch._dynamo import config

    patch: contextlib.AbstractContextManager[None] = config.patch(trace_autograd_ops=True)
    return patch


def carrying_gradients(value: Any) -> Any:
    """The same containers with tensors that a derivative can be taken by. The caller's own are
    left as they are."""
    return tensors_mapped(_carrying, value)


def usable(value: Any) -> Any:
    """The same containers, with tensors of inference mode copied: autograd takes none of them."""
    return tensors_mapped(lambda x: x.clone() if x.is_inference() else x, value)


@contextlib.contextmanager
def quiet_tracing(*, saves: bool) -> Iterator[None]:
    """Without torch's warnings of what Dynamo itself does: it instantiates an `autograd.Function`,
    and looks for the `.grad` of inputs that have none.

    Where the graph itself `saves` nothing for a backward, whoever counts what is saved, as gradient
    checkpointing does, is not told of what tracing saves.
    """
    hooks = (
        contextlib.nullcontext()
        if saves
        else torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x)
    )
    with hooks, warnings.catch_warnings():
        for message in (
            ".*Function'> should not be instantiated",
            "The .grad attribute of a Tensor",
        ):
            warnings.filterwarnings("ignore", message)
        yield


def in_vmap() -> bool:
    """Whether `torch.func.vmap` is running."""
    top = torch._C._functorch.peek_interpreter_stack()
    return top is not None and top.key() == torch._C._functorch.TransformType.Vmap


def _carrying(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.requires_grad or not tensor.is_floating_point():
        return tensor
    return tensor.detach().requires_grad_()


def gathered(x: torch.Tensor) -> torch.Tensor:
    """The rows of all processes of the default group; compiled code keeps it in its graph."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return x
    from torch.distributed import _functional_collectives as collectives

    differentiable = x.is_floating_point()
    gather = (
        collectives.all_gather_single_autograd if differentiable else collectives.all_gather_single
    )
    group = distributed.distributed_c10d._get_default_group()
    rows: torch.Tensor = gather(x.contiguous(), 0, group)
    return rows


class UnknownBackend(Exception):
    """torch has no such backend; `args[0]` lists those that it has."""


def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, into which Dynamo does not look. After a graph break in a larger compiled
    region it would trace the whole check of the first call, and read values on the way."""
    if "torch._dynamo" not in sys.modules:
        return function
    disabled: Callable[..., Any] = torch.compiler.disable(function)  # type: ignore[no-untyped-call]
    return disabled


def in_transform() -> bool:
    """Whether a `torch.func` transform (vmap, grad) is running: compiled code does not go there."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def autocast_somewhere() -> bool:
    """Whether autocast is on for any kind of device: one question instead of one a device."""
    return torch._C._is_any_autocast_enabled()


@functools.cache
def compiler_missing() -> str | None:
    """Why Inductor cannot build C++ code here, or None where it can."""
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        with silent():
            get_cpp_compiler()
    except Exception as error:
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return None


def cache_folder() -> str:
    """Where Inductor keeps what it compiles."""
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    return cache_dir()


def keeps_graph() -> bool:
    """Whether the backward that runs now is to leave its graph for another one."""
    return torch._C._autograd._get_current_graph_task_keep_graph()


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Without torch's own log of a failure that is told in other words."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.ERROR))
    try:
        yield
    finally:
        logging.disable(before)


Show = Callable[[str, Any], None]
"""Takes what is called `joint`, `forward` or `backward`, and the graph or code of that name."""


def aot_backend(show: Show) -> Callable[..., Any]:
    """A backend of torch.compile that runs the graphs of AOTAutograd as they are, once shown."""
    from functorch.compile import (  # type: ignore[import-untyped]
        make_boxed_func,
        min_cut_rematerialization_partition,
    )
    from torch._dynamo.backends.common import aot_autograd

    def shown(name: str) -> Callable[..., Any]:
        def compile_graph(graph: torch.fx.GraphModule, inputs: Any) -> Any:
            show(name, graph)
            return make_boxed_func(graph.forward)

        return compile_graph

    def partition(graph: torch.fx.GraphModule, inputs: Any, **options: Any) -> Any:
        show("joint", graph)
        return min_cut_rematerialization_partition(graph, inputs, **options)

    backend: Callable[..., Any] = aot_autograd(
        fw_compiler=shown("forward"), bw_compiler=shown("backward"), partition_fn=partition
    )
    return backend


def inductor_backend(show: Show) -> Callable[..., Any]:
    """Inductor, with the code that it generates shown.

    Kernels are named after the `source_fn_stack` of the nodes in them. Its caches of graphs are
    off: they would answer with the names that an equal graph of another loss had.
    """
    from torch._functorch import config
    from torch._inductor.compile_fx import compile_fx, compile_fx_inner

    named = {"cpp.descriptive_names": "torch", "triton.descriptive_names": "torch"}

    def compile_inner(graph: torch.fx.GraphModule, inputs: Any, **options: Any) -> Any:
        made: Any = compile_fx_inner(graph, inputs, **options)
        show("backward" if options.get("is_backward") else "forward", made.source_code)
        return made

    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        patches = {"fx_graph_cache": False, **inductor_options(), **named}
        with config.patch(enable_autograd_cache=False):
            return compile_fx(graph, inputs, inner_compile=compile_inner, config_patches=patches)

    return backend


def fake_tensors() -> Any:
    """A mode in which tensors have shapes and no values."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    return FakeTensorMode(allow_non_fake_inputs=True)


def tensors_mapped(function: Callable[[torch.Tensor], Any], values: Any) -> Any:
    """The same containers with every tensor replaced."""
    return _pytree.tree_map_only(torch.Tensor, function, values)


def leaves(value: Any) -> list[Any]:
    """What containers hold, in order."""
    return _pytree.tree_leaves(value)
