"""The loss as an nn.Module: modules in it, torch's transforms around it, files with several."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.func import functional_call, grad, vmap

import lossdsl
from lossdsl.library import registry


class Features(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.second = nn.Conv2d(4, 5, 3)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        a = torch.relu(self.first(x))
        return [a, torch.relu(self.second(a))]


def test_a_bound_network_is_called_and_owned() -> None:
    net = nn.Conv2d(3, 4, 3)
    loss = lossdsl.compile("mse(f(x), f(z))", modules={"f": net}, backend="eager")
    x, z = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(loss(x, z), F.mse_loss(net(x), net(z)))
    assert [name for name, _ in loss.named_parameters()] == ["f.weight", "f.bias"]


def test_a_frozen_network_neither_trains_nor_changes_mode() -> None:
    text = (
        "input f: frozen module(image[B, 3, H, W]) -> features\n"
        "input x: image[B, 3, H, W]\ninput y: image[B, 3, H, W]\nperceptual(f(x), f(y))"
    )
    net = Features()
    loss = lossdsl.compile(text, modules={"f": net}, backend="eager")
    loss.train()
    assert not net.training
    assert not any(p.requires_grad for p in net.parameters())
    x, y = torch.rand(2, 3, 9, 9, requires_grad=True), torch.rand(2, 3, 9, 9)
    value = loss(x, y)
    value.backward()
    a, b = net(x), net(y)
    expected = sum(((p - q) ** 2).mean() for p, q in zip(a, b, strict=True))
    torch.testing.assert_close(value, expected)
    assert x.grad is not None


@pytest.mark.parametrize(
    ("text", "modules", "said"),
    [
        ("mean(f(x))", {}, "there is no loss or function called `f`"),
        ("input f: module(real[B]) -> real[B]\ninput x: real[B]\nmean(f(x))", {}, "was not given"),
        ("mean(x)", {"f": nn.Identity()}, "does not call the module `f`"),
    ],
)
def test_modules_that_are_missing_or_too_many(
    text: str, modules: dict[str, nn.Module], said: str
) -> None:
    with pytest.raises(lossdsl.LossError, match=said):
        lossdsl.compile(text, modules=modules, backend="eager")


# Dynamo looks at `.grad` of a network's output; torch hides the warning, but not from `error`.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_a_training_step_compiles_with_the_loss_inside() -> None:
    loss = lossdsl.compile("0.5*bce(p, y) + dice(p, y)", backend="aot_eager")
    net = nn.Conv2d(1, 1, 3, padding=1)
    counter = CompileCounterWithBackend("aot_eager")

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return loss(p=net(x), y=y)

    compiled = torch.compile(step, backend=counter, fullgraph=True)
    x, y = torch.randn(2, 1, 8, 8), (torch.rand(2, 1, 8, 8) > 0.5).float()
    torch.testing.assert_close(compiled(x, y), step(x, y))
    compiled(x, y)
    assert counter.frame_count == 1


def test_functional_transforms_run_the_eager_graph() -> None:
    loss = lossdsl.compile("param s = learnable(0.5)\ns*mse(a, b)", backend="aot_eager")
    a, b = torch.randn(6, 3), torch.randn(6, 3)
    torch.testing.assert_close(
        functional_call(loss, {"s": torch.tensor([2.0])}, (a, b)), 2 * F.mse_loss(a, b)
    )
    each = vmap(lambda x, y: loss(x, y))(a, b)
    torch.testing.assert_close(each, 0.5 * ((a - b) ** 2).mean(1))
    slope = grad(lambda x: loss(x, b))(a)
    torch.testing.assert_close(slope, 0.5 * 2 * (a - b) / a.numel())


def test_names_that_torch_and_python_keep_for_themselves() -> None:
    text = "mse(input, in) + w*l1(forward, self) + mean(B) - mean(b)"
    loss = lossdsl.compile(text, params={"w": 2.0}, backend="eager")
    tensors = {n: torch.randn(3) for n in ("input", "in", "forward", "self", "B", "b")}
    expected = (
        F.mse_loss(tensors["input"], tensors["in"])
        + 2 * F.l1_loss(tensors["forward"], tensors["self"])
        + tensors["B"].mean()
        - tensors["b"].mean()
    )
    torch.testing.assert_close(loss(tensors), expected)
    named = lossdsl.compile(
        "param _buffers = 1\nparam terms = 2\nparam training = 3\n_buffers*terms*training*mean(x)",
        backend="eager",
    )
    assert float(named(torch.ones(2))) == 6


GAN = """
inputs:
  real: score[B, 1]
  fake: score[B, 1]
  x: image[B, 1, H, W]
params:
  s: learnable(0.0)
  w: 2.0
losses:
  generator:
    terms:
      adv: gan_g(fake)
      tv: exp(-s)*tv(x)
  discriminator:
    loss: w*gan_d(real, fake) + s
"""


def test_a_file_with_two_losses(tmp_path: Path) -> None:
    path = tmp_path / "gan.yaml"
    path.write_text(GAN)
    both = lossdsl.load(path, backend="eager")
    assert isinstance(both, nn.ModuleDict)
    assert list(both) == ["generator", "discriminator"]
    assert both["generator"].get_parameter("s") is both["discriminator"].get_parameter("s")
    assert list(both.parameters()) == [both["generator"].get_parameter("s")]
    assert both["generator"].contract.names == ("fake", "x")
    assert both["discriminator"].contract.names == ("real", "fake")
    one = lossdsl.load(f"{path}#generator", backend="eager")
    assert one.contract.names == ("fake", "x")
    assert lossdsl.load(path, "discriminator", backend="eager").name == "discriminator"
    report = lossdsl.check(path)
    assert report.ok, str(report)
    assert report.diagnostics == ()
    with pytest.raises(lossdsl.LossConfigError, match="did you mean `generator`"):
        lossdsl.load(path, "generater")


def test_monitors_are_logged_and_not_summed(tmp_path: Path) -> None:
    path = tmp_path / "loss.yaml"
    path.write_text(
        "let:\n  q: sigmoid(p)\nterms:\n  fg: 0.5*bce(p, y)\n"
        "monitor:\n  hard: jaccard(q > 0.5, y)\n"
    )
    loss = lossdsl.load(path, backend="eager")
    p, y = torch.randn(2, 1, 4, 4, requires_grad=True), torch.rand(2, 1, 4, 4).round()
    value = loss(p, y)
    assert list(loss.terms) == ["fg"]
    torch.testing.assert_close(loss.terms["fg"], value.detach())
    assert list(loss.monitors) == ["hard"]
    assert [row.name for row in loss.report()] == ["fg", "hard"]


def test_a_loss_that_omits_a_term_monitors_it(tmp_path: Path) -> None:
    path = tmp_path / "loss.yaml"
    path.write_text("terms:\n  a: mse(x, y)\n  b: l1(x, y)\n  c: huber(x, y)\nloss: a + 2*b\n")
    loss = lossdsl.load(path, backend="eager")
    x, y = torch.randn(4), torch.randn(4)
    value = loss(x, y)
    assert list(loss.terms) == ["a", "b"]
    assert list(loss.monitors) == ["c"]
    torch.testing.assert_close(value, F.mse_loss(x, y) + 2 * F.l1_loss(x, y))


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    registry.load_library()
    monkeypatch.setattr(registry, "_records", dict(registry._records))
    monkeypatch.setattr(registry, "_names", dict(registry._names))


@pytest.mark.usefixtures("own_registry")
def test_a_signature_that_does_not_fit_its_function_is_refused_at_once() -> None:
    def one(x: torch.Tensor) -> torch.Tensor:
        """One tensor."""
        return x

    with pytest.raises(ValueError, match="2 slots"):
        lossdsl.loss("one", signature="real[*S], real[*S] -> loss[*S]")(one)
    with pytest.raises(ValueError, match="no kind 'reel'"):
        lossdsl.loss("one", signature="reel[*S] -> loss[*S]")(one)
    lossdsl.loss("one", signature="real[*S] -> loss[]")(one)
    loss = lossdsl.compile("one(x)", backend="eager")
    with pytest.raises(lossdsl.LossInputError, match="a loss is one number"):
        loss(torch.ones(3))


@pytest.mark.parametrize(
    ("declared", "net", "said"),
    [
        ("", nn.Linear(4, 1), "`mse` needs"),
        (
            "input f: module(real[B, 4]) -> real[B]\ninput x: real[B, 4]\ninput y: real[B]\n",
            nn.Linear(4, 1),
            "is declared to return real",
        ),
        (
            "input f: module(real[B, 4]) -> real[B]\ninput x: real[B, 4]\ninput y: real[B]\n",
            nn.LSTM(4, 1),
            "is declared to return real",
        ),
    ],
)
def test_what_a_network_returns_is_held_against_the_loss(
    declared: str, net: nn.Module, said: str
) -> None:
    loss = lossdsl.compile(declared + "mse(f(x), y)", modules={"f": net}, backend="eager")
    with pytest.raises(lossdsl.LossInputError, match=said):
        loss(x=torch.randn(2, 4), y=torch.randn(2))
    fine = lossdsl.compile("mse(f(x)[:, 0], y)", modules={"f": nn.Linear(4, 1)}, backend="eager")
    fine(x=torch.randn(2, 4), y=torch.randn(2))


def test_looking_at_a_network_leaves_it_as_it_was() -> None:
    net = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    loss = lossdsl.compile("mse(f(x), y)", modules={"f": net}, backend="eager")
    loss(x=torch.randn(8, 4), y=torch.randn(8, 2))
    assert int(net[0].num_batches_tracked) == 1


@pytest.mark.usefixtures("own_registry")
def test_a_users_own_loss_is_one_of_the_library() -> None:
    @lossdsl.loss(
        "quartic",
        signature="real[*S], real[*S] -> loss[*S]",
        ranges={"alpha": "(0, inf)"},
    )
    def quartic(x: torch.Tensor, y: torch.Tensor, *, alpha: lossdsl.Number = 1.0) -> torch.Tensor:
        """The fourth power of the residual."""
        return alpha * (x - y) ** 4

    assert lossdsl.describe("quartic").family == "user"
    loss = lossdsl.compile("param a = 2.0\nquartic(x, y, alpha=a, mask=m)", backend="eager")
    x, y, m = torch.randn(6), torch.randn(6), torch.tensor([1, 1, 0, 1, 0, 1])
    expected = (2 * (x - y) ** 4 * m).sum() / 4
    torch.testing.assert_close(loss(x, y, m), expected)
    assert [d.code for d in lossdsl.check("quartic(x, y, alpha=-1)").errors] == ["E206"]
    with pytest.raises(ValueError, match="already the name"):
        lossdsl.loss("dice", signature="real[*S] -> loss[*S]")(quartic)
