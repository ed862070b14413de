"""Value and gradients in one graph, against the same loss run eagerly by autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.utils.checkpoint import checkpoint

import lossdsl
from lossdsl import LossInputError

LINE = "0.5*bce(p, y) + dice(p, y) + 0.1*tv(img)"


def line_inputs(dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    p = torch.randn(2, 1, 9, 8, generator=generator).to(dtype)
    img = torch.rand(2, 3, 9, 8, generator=generator).to(dtype)
    y = (torch.rand(2, 1, 9, 8, generator=generator) < 0.4).to(dtype)
    return {"p": p.requires_grad_(), "y": y, "img": img.requires_grad_()}


def class_inputs() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(6)
    p = torch.randn(2, 4, 5, 6, generator=generator, requires_grad=True)
    y = torch.randint(0, 4, (2, 5, 6), generator=generator)
    y[0, 0] = -100
    return {"p": p, "y": y}


def pair(text: str, **options: Any) -> tuple[Any, Any]:
    """The loss compiled, and run as it stands."""
    return (
        lossdsl.compile(text, backend="aot_eager", **options),
        lossdsl.compile(text, backend="eager", **options),
    )


def leaves(batch: Any) -> list[Tensor]:
    found, _ = torch.utils._pytree.tree_flatten(batch)
    return [x for x in found if isinstance(x, Tensor) and x.requires_grad]


def slopes(batch: Any) -> list[Tensor | None]:
    found = [leaf.grad for leaf in leaves(batch)]
    for leaf in leaves(batch):
        leaf.grad = None
    return found


def same(one: Any, other: Any, **tolerance: float) -> None:
    torch.testing.assert_close(one, other, **(tolerance or {"rtol": 2e-6, "atol": 1e-8}))


def by_line(do: Callable[[Any, dict[str, Tensor]], Any]) -> list[Any]:
    """The outcome and the gradients of doing something, compiled and as it stands."""
    outcomes = []
    for loss in pair(LINE):
        batch = line_inputs()
        outcome = do(loss, batch)
        outcomes.append((outcome, slopes(batch)))
    return outcomes


# --- plain backward -----------------------------------------------------------------------------

PROGRAMS: dict[str, Callable[[], dict[str, Any]]] = {
    LINE: line_inputs,
    "ce(p, y) + dice(p, y)": class_inputs,
    "ce(p, y, label_smoothing=0.1, class_weight=[1, 2, 0.5, 1]) + gce(p, y)": class_inputs,
    "input p: class_logits[B, C, H, W]\ninput y: labels[B, H, W]\n"
    "jaccard(p, y, background=false, over='batch') + tversky(p, y, over='all')": class_inputs,
    "sum(bce(o, y) for o in out)": lambda: {
        "out": [line_inputs()["p"], (line_inputs()["p"] * 2).detach().requires_grad_()],
        "y": line_inputs()["y"],
    },
    "bce(out.mask, y) + 0.1*l1(out.depth, d)": lambda: {
        "out": {"mask": line_inputs()["p"], "depth": torch.linspace(-1, 1, 7, requires_grad=True)},
        "y": line_inputs()["y"],
        "d": torch.zeros(7),
    },
}


@pytest.mark.parametrize("text", PROGRAMS)
def test_gradients_are_those_of_autograd(text: str) -> None:
    outcomes = []
    for loss in pair(text):
        batch = PROGRAMS[text]()
        value = loss(batch)
        (3 * value).backward()
        outcomes.append((value.detach(), slopes(batch), loss.terms))
    same(*outcomes)


def test_a_learnable_weight_and_a_param_take_part() -> None:
    text = "param a = learnable(0.3, min=0)\nparam b = 2.0\na*bce(p, y) + b*mse(p, y)"
    compiled, eager = pair(text)
    outcomes = []
    for loss in (compiled, eager):
        loss.set(b=3.0)
        p, y = line_inputs()["p"], line_inputs()["y"]
        loss(p, y).backward()
        outcomes.append((p.grad, loss.a.grad))
        loss.zero_grad()
    same(*outcomes)
    compiled.a.requires_grad_(False)
    compiled(line_inputs()["p"], line_inputs()["y"]).backward()
    assert compiled.a.grad is None


def test_parameters_are_those_of_the_call() -> None:
    text = "param a = learnable(0.5)\na*mse(p, y)"
    p, y = torch.ones(3), torch.zeros(3)
    for loss in pair(text):
        loss(p, y).backward()
        other = torch.tensor([2.0], requires_grad=True)
        value = torch.func.functional_call(loss, {"a": other}, (p, y))
        value.backward()
        assert (value.item(), other.grad) == (2.0, torch.ones(1))
        loss.a = nn.Parameter(torch.tensor([3.0]))
        loss(p, y).backward()
        same(loss.a.grad, torch.ones(1))
        assert loss(p, y).item() == 3.0


def test_a_graph_kept_serves_again_and_a_spent_one_says_so() -> None:
    def thrice(loss: Any, batch: dict[str, Tensor]) -> Tensor:
        value = loss(**batch)
        value.backward(retain_graph=True)
        (0.5 * value).backward(retain_graph=True)
        value.backward()
        with pytest.raises(RuntimeError, match=r"a second (time|one)"):
            value.backward()
        return value.detach()

    same(*by_line(thrice))


def test_derivatives_of_gradients() -> None:
    def penalty(loss: Any, batch: dict[str, Tensor]) -> Tensor:
        p = batch["p"] * 1.5
        value = loss(p, batch["y"], batch["img"])
        (slope,) = torch.autograd.grad(value, p, create_graph=True)
        (1e3 * slope.square().sum() + value).backward()
        return slope.detach()

    same(*by_line(penalty), rtol=1e-5, atol=1e-8)


def test_what_changed_in_place_is_noticed_only_where_it_matters() -> None:
    def changed_after(loss: Any, batch: dict[str, Tensor]) -> None:
        p = batch["p"] * 1.0
        value = loss(p, batch["y"], batch["img"])
        batch["y"].add_(1)
        value.backward()

    compiled, eager = pair(LINE)
    expected, batch = line_inputs(), line_inputs()
    eager(**expected).backward()
    changed_after(compiled, batch)
    same(slopes(batch), slopes(expected))
    p = line_inputs()["p"]
    y, img = line_inputs()["y"], line_inputs()["img"]
    value = compiled(p, y, img)
    y.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        torch.autograd.grad(value, p, create_graph=True)


def test_inputs_that_are_results_hooks_and_shared_encoders() -> None:
    seen: list[Tensor] = []

    def through(loss: Any, batch: dict[str, Tensor]) -> Tensor:
        shared = batch["p"].tanh()
        shared.register_hook(lambda grad: seen.append(grad.clone()))
        value = loss(shared, batch["y"], batch["img"]) + 2 * loss(
            shared * 2, batch["y"], batch["img"]
        )
        value.backward()
        return value.detach()

    same(*by_line(through))
    first, second = seen
    same(first, second)


def test_one_tensor_in_two_places() -> None:
    outcomes = []
    for loss in pair("mse(a + b, y) + l1(a, y)"):
        a, y = torch.linspace(-1, 1, 6, requires_grad=True), torch.zeros(6)
        loss(a=a, b=a, y=y).backward()
        outcomes.append(a.grad)
    same(*outcomes)


SHARED = {
    "mse(a + b, y)": ((3, 4), (3, 4)),
    "mse(reshape(a, [3, 4]) + b, y)": ((12,), (3, 4)),
    "mse(transpose(a) + b, y)": ((4, 3), (3, 4)),
    "sum(a) + sum(b) + mse(b, y)": ((5,), (3, 4)),
    "mean(a) + mean(b) + 0*mse(b, y)": ((5,), (3, 4)),
}


@pytest.mark.parametrize("text", SHARED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_every_gradient_has_memory_of_its_own(text: str, dtype: torch.dtype, backend: str) -> None:
    """Those of a sum are one tensor, or one number for all, and are added to in place."""
    shapes = dict(zip("ab", SHARED[text], strict=True))
    declared = {k: f"real[{', '.join(map(str, v))}]" for k, v in {**shapes, "y": (3, 4)}.items()}
    outcomes = []
    for runs in (backend, "eager"):
        loss = lossdsl.compile(text, inputs=declared, backend=runs)
        a, b = (torch.linspace(-1, 1, 20)[: torch.Size(s).numel()].view(s) for s in shapes.values())
        a, b = a.to(dtype).requires_grad_(), b.to(dtype).requires_grad_()
        for scale in (1, 3, 1):
            (scale * loss(a=a, b=b, y=torch.zeros(3, 4, dtype=dtype))).backward()
        outcomes.append((a.grad, b.grad))
    same(*outcomes)
    first, second = outcomes[0]
    assert first.untyped_storage().data_ptr() != second.untyped_storage().data_ptr()


def test_without_a_gradient_there_is_none() -> None:
    loss, _ = pair("mse(detach(a), y)")
    a = torch.ones(3, requires_grad=True)
    for _ in range(2):
        assert not loss(a, torch.zeros(3)).requires_grad
    loss, _ = pair("mse(a, y) + mse(detach(b), y)")
    b = torch.ones(3, requires_grad=True)
    loss(a=a, b=b, y=torch.zeros(3)).backward()
    assert a.grad is not None
    assert b.grad is None


def test_a_scaled_gradient_of_half_precision_does_not_vanish() -> None:
    outcomes = []
    for loss in pair("mse(p, y)"):
        p = torch.full((2**12, 8), 0.01, dtype=torch.float16, requires_grad=True)
        value = loss(p, torch.zeros_like(p))
        (65536 * value).backward()
        outcomes.append(p.grad)
    same(*outcomes)
    assert outcomes[0].dtype == torch.float16
    assert bool((outcomes[0] != 0).all())


def test_a_gradient_scaler_and_autocast() -> None:
    outcomes = []
    for loss in pair(LINE):
        torch.manual_seed(0)
        net = nn.Conv2d(1, 1, 3, padding=1)
        optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        batch = line_inputs()
        for _ in range(2):
            optimiser.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                value = loss(net(batch["p"].detach()), batch["y"], batch["img"].detach())
            scaler.scale(value).backward()
            scaler.step(optimiser)
            scaler.update()
        outcomes.append([parameter.detach() for parameter in net.parameters()])
    same(*outcomes, rtol=1e-2, atol=1e-4)


def test_gradient_checkpointing_around_it() -> None:
    def checkpointed(loss: Any, batch: dict[str, Tensor]) -> Tensor:
        value: Any = checkpoint(
            lambda p: loss(p.tanh(), batch["y"], batch["img"]), batch["p"], use_reentrant=False
        )
        value.backward()
        return value.detach()

    same(*by_line(checkpointed))


def test_inside_a_compiled_step_it_is_part_of_that_graph() -> None:
    counter = CompileCounterWithBackend("aot_eager")
    loss, eager = pair(LINE)
    batch, expected = line_inputs(), line_inputs()
    step = torch.compile(lambda p, y, img: 2 * loss(p, y, img), backend=counter, fullgraph=True)
    step(**batch).backward()
    (2 * eager(**expected)).backward()
    same(slopes(batch), slopes(expected))
    assert counter.frame_count == 1


# --- loss.backward ------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 0.25, torch.tensor(3.0), torch.tensor([7.0])])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_backward_is_that_of_the_scaled_loss(scale: Any, backend: str) -> None:
    loss, eager = lossdsl.compile(LINE, backend=backend), lossdsl.compile(LINE, backend="eager")
    batch, expected = line_inputs(), line_inputs()
    for _ in range(2):
        value = loss.backward(**batch, scale=scale)
        whole = eager(**expected)
        (scale * whole).sum().backward()
    same(value, whole.detach())
    assert not value.requires_grad
    same(slopes(batch), slopes(expected))
    same(loss.terms, eager.terms)


def test_backward_goes_on_through_what_lies_behind() -> None:
    loss, eager = pair(LINE)
    outcomes = []
    for do in (lambda *a: loss.backward(*a, scale=0.5), lambda *a: (0.5 * eager(*a)).backward()):
        torch.manual_seed(1)
        net = nn.Conv2d(1, 1, 3, padding=1)
        batch = line_inputs()
        do(net(batch["p"]), batch["y"], batch["img"].detach())
        outcomes.append([p.grad for p in net.parameters()] + [batch["p"].grad])
    same(*outcomes)


def test_backward_with_networks_that_the_loss_holds() -> None:
    torch.manual_seed(2)
    net = nn.Linear(3, 2)
    loss, eager = pair("mse(f(x), y)", modules={"f": net})
    x, y = torch.rand(4, 3), torch.rand(4, 2)
    loss.backward(x, y, scale=2.0)
    found = [p.grad for p in net.parameters()]
    net.zero_grad()
    (2 * eager(x, y)).backward()
    same(found, [p.grad for p in net.parameters()])


def test_backward_of_nothing_that_learns_fails_as_torch_does() -> None:
    loss, _ = pair("mse(a, y)")
    with pytest.raises(RuntimeError, match="does not require grad"):
        loss.backward(torch.ones(3), torch.zeros(3))


def test_a_scale_is_one_number() -> None:
    loss, _ = pair("mse(a, y)")
    with pytest.raises(LossInputError, match=r"one number for the whole loss, and \[2\] came"):
        loss.backward(torch.ones(3, requires_grad=True), torch.zeros(3), scale=torch.ones(2))


# --- graphs -------------------------------------------------------------------------------------


def counted(text: str) -> tuple[Any, CompileCounterWithBackend]:
    counter = CompileCounterWithBackend("aot_eager")
    return lossdsl.compile(text, backend=counter), counter


def batch_of(size: int) -> dict[str, Tensor]:
    return {
        "p": torch.randn(size, 1, 48, 48, requires_grad=True),
        "y": torch.rand(size, 1, 48, 48).round(),
        "img": torch.rand(size, 3, 48, 48, requires_grad=True),
    }


def test_all_batch_sizes_take_one_graph_and_one_more_for_a_single_sample() -> None:
    loss, counter = counted(LINE)
    for size in (2, 5, 64, 3, 16):
        loss(**batch_of(size)).backward()
    assert counter.frame_count == 1
    loss(**batch_of(1)).backward()
    assert counter.frame_count <= 2


def test_training_validation_and_autocast_take_three_graphs() -> None:
    loss, counter = counted(LINE)
    for _ in range(2):
        loss(**batch_of(2)).backward()
        with torch.no_grad():
            loss(**batch_of(3))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            batch = batch_of(2)
            loss(batch["p"].bfloat16(), batch["y"], batch["img"]).backward()
    assert counter.frame_count <= 3


def test_a_schedule_compiles_once() -> None:
    loss, counter = counted("warmup(step, 100)*mse(a, y) + bce(a, y)")
    a, y = torch.zeros(4, requires_grad=True), torch.ones(4)
    for _ in range(1000):
        loss(a, y).backward()
        loss.step()
    assert counter.frame_count == 1


def test_two_losses_in_a_process_do_not_make_each_other_dynamic() -> None:
    for size in (8, 12):
        sizes: list[Any] = []

        def note(graph: torch.fx.GraphModule, inputs: Any, sizes: list[Any] = sizes) -> Any:
            found = [n.meta["example_value"] for n in graph.graph.nodes if n.op == "placeholder"]
            sizes.extend(x.shape[1:] for x in found if isinstance(x, Tensor) and x.dim() == 4)
            return graph.forward

        loss = lossdsl.compile("bce(p, y)", backend=note)
        p = torch.randn(3, 1, size, size, requires_grad=True)
        loss(p, torch.zeros_like(p)).backward()
        assert sizes == [(1, size, size)] * 2
        assert all(isinstance(n, int) for shape in sizes for n in shape)
