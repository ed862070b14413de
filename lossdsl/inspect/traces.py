"""What torch makes of a loss: the operators that Dynamo records, the graphs of AOTAutograd, the
code of Inductor. The terms' names and texts are carried all the way down."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import fx

from lossdsl.backend import torch_private
from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.diagnostics.errors import LossConfigError
from lossdsl.functions import adjoints
from lossdsl.inspect.graph_text import graph_text
from lossdsl.inspect.specialise import Specialised
from lossdsl.source import Source

Backend = Callable[..., Any]

# The frame of the generated forward, which assigns to the name of one of its nodes.
_FRAME = re.compile(r'\s*File "<eval_with_key>[^\n]*\n\s+(?P<name>\w+) = ')
_HOLDERS = re.compile(r"(?<=_)(?:parameters|buffers|modules)_")


def torch_text(loss: Specialised) -> str:
    """The graph with every primitive traced through: calls of torch alone. Where a derivative is
    written out beside its formula, only the formula is shown."""
    texts: list[str] = []

    def backend(graph: fx.GraphModule, inputs: Any) -> Any:
        _carry(loss.graph, graph)
        texts.append(graph_text(_renamed(graph, _input_names(graph), "Torch")))
        return graph.forward

    with adjoints.left_to_autograd():
        _run(loss, backend)
    return "\n\n".join(texts)


def aten_text(loss: Specialised) -> str:
    """The joint graph of value and gradient, and the two that it is split into."""
    parts: dict[str, str] = {}
    names: list[str] = []

    def show(part: str, graph: fx.GraphModule) -> None:
        primals = {f"primals_{number}": name for number, name in enumerate(names, start=1)}
        parts[part] = graph_text(_renamed(graph, primals, part.capitalize()))

    aot = torch_private.aot_backend(show)

    def backend(graph: fx.GraphModule, inputs: Any) -> Any:
        _carry(loss.graph, graph)
        names.extend(_input_names(graph).values())
        return aot(graph, inputs)

    _run(loss, backend)
    return _sections(parts.items())


def kernel_text(loss: Specialised) -> str:
    """The code that Inductor generates, one module forward and one backward.

    It is compiled as a call of the loss is, with a first axis of any size, but for one thing:
    the kernels have the names of the terms that they calculate.

    Raises:
        LossConfigError: there is no C++ compiler, without which Inductor does not start.
    """
    reason = torch_private.compiler_missing()
    if reason is not None:
        span = Source("kernel", "<stage>").span()
        message = f"Inductor generates no kernels without a C++ compiler: {reason}"
        help = "install one (Debian: `apt install g++`), or look at the stage `aten`"
        raise LossConfigError([Diagnostic("E509", message, span, (), help)])
    parts: dict[str, str] = {}
    inductor = torch_private.inductor_backend(parts.__setitem__)

    def backend(graph: fx.GraphModule, inputs: Any) -> Any:
        _carry(loss.graph, graph)
        return inductor(graph, inputs)

    with torch_private.any_batch(loss.tensors):
        _run(loss, torch_private.sizes_told_apart(backend), dynamic=None)
    return _sections((part, _without_count(code)) for part, code in parts.items())


def _without_count(code: str) -> str:
    """The code without the number of the compilation in this process."""
    return re.sub(r"\A# AOT ID: .*\n", "", code).strip()


def _run(loss: Specialised, backend: Backend, dynamic: bool | None = False) -> None:
    """Compile the graph, forward and (where there is one) backward."""
    compiled = torch.compile(loss.graph, backend=backend, fullgraph=True, dynamic=dynamic)
    with torch.random.fork_rng(devices=()), torch_private.derivatives_traced():
        value = compiled(*loss.values)[0]
        into = loss.differentiable()
        if value.requires_grad and into:
            torch.autograd.grad(value, into, allow_unused=True)


def _carry(ours: fx.GraphModule, captured: fx.GraphModule) -> None:
    """Note on each captured node the text and the term of the node that it comes from."""
    nodes = {node.name: node for node in ours.graph.nodes}
    for node in captured.graph.nodes:
        frame = _FRAME.match(node.meta.get("stack_trace") or "")
        origin = nodes.get(frame["name"] if frame else node.name)
        if node.op == "placeholder" or origin is None:
            continue
        for part in (node, *_inside(node, captured)):
            _stamp(part, origin)


def _inside(node: fx.Node, captured: fx.GraphModule) -> Iterator[fx.Node]:
    """What a call is made of that brings graphs of its own: a formula with its derivative."""
    for operand in node.all_input_nodes:
        if operand.op == "get_attr":
            graph = getattr(captured, str(operand.target), None)
            if isinstance(graph, fx.GraphModule):
                yield from graph.graph.nodes


def _stamp(node: fx.Node, origin: fx.Node) -> None:
    terms = origin.meta.get("lossdsl_terms") or ("loss",)
    # Inductor makes a kernel's name of these.
    node.meta["source_fn_stack"] = [(node.name, terms[0] if len(terms) == 1 else "shared")]
    if "stack_trace" in origin.meta:
        node.meta["stack_trace"] = origin.meta["stack_trace"]
    else:
        node.meta.pop("stack_trace", None)


def _input_names(graph: fx.GraphModule) -> dict[str, str]:
    """Dynamo's names of the graph's inputs, and the user's: `L_p_` is `p`, `L_self_buffers_w_`
    is `w`."""
    targets = [str(node.target) for node in graph.graph.find_nodes(op="placeholder")]
    return {target: _plain(target) for target in targets}


def _plain(target: str) -> str:
    if target.startswith("L_self_"):
        target = _HOLDERS.sub("", target).removeprefix("L_self_")
    return target.removeprefix("L_").strip("_") or target


def _renamed(module: fx.GraphModule, names: dict[str, str], title: str) -> fx.GraphModule:
    """A copy to be printed, its inputs under the given names."""
    graph = fx.Graph()
    made: dict[fx.Node, fx.Node] = {}
    for node in module.graph.nodes:
        if node.op == "placeholder":
            copied = graph.placeholder(names.get(str(node.target), str(node.target)))
            # Else the code begins with a line `d = D` for each name that fx does not like.
            copied.target = copied.name
            copied.meta = dict(node.meta)
            made[node] = copied
        else:
            made[node] = graph.node_copy(node, made.__getitem__)
    return fx.GraphModule(module, graph, class_name=title)


def _sections(parts: Iterable[tuple[str, str]]) -> str:
    return "\n\n\n".join(f"# === {heading} ===\n\n{text}" for heading, text in parts)
