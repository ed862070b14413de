"""The two losses of the GAN: what each of them trains, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

import lossdsl

# torch looks at .grad when it traces, whatever the tensor, and hides its own warning; as an error
# it cannot.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


@pytest.fixture
def train(example: Callable[[str], ModuleType]) -> ModuleType:
    return example("gan")


@pytest.fixture
def networks(train: ModuleType) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return train.generator(), train.discriminator()


def gradients(module: nn.Module) -> list[Tensor | None]:
    return [p.grad if p.grad is None else p.grad.clone() for p in module.parameters()]


def test_each_loss_takes_what_it_needs(
    train: ModuleType, networks: tuple[nn.Module, nn.Module]
) -> None:
    losses = lossdsl.load(train.LOSS, modules={"D": networks[1]}, backend="eager")
    assert list(losses) == ["discriminator", "generator"]
    assert losses["discriminator"].contract.names == ("real", "fake")
    assert losses["generator"].contract.names == ("fake",)


def test_they_share_the_discriminator_and_nothing_else(
    train: ModuleType, networks: tuple[nn.Module, nn.Module]
) -> None:
    losses = lossdsl.load(train.LOSS, modules={"D": networks[1]}, backend="eager")
    d, g = losses["discriminator"], losses["generator"]
    own = {id(p) for p in networks[1].parameters()}
    assert {id(p) for p in d.parameters()} == own
    assert {id(p) for p in g.parameters()} == own
    assert not {id(b) for b in d.buffers()} & {id(b) for b in g.buffers()}
    d.step()
    states = (d.state_dict(), g.state_dict())
    moved = [key for key in states[0] if not torch.equal(states[0][key], states[1][key])]
    assert len(moved) == 1
    assert "step" in moved[0]


def test_their_values_are_those_of_the_paper(
    train: ModuleType, networks: tuple[nn.Module, nn.Module]
) -> None:
    G, D = networks
    losses = lossdsl.load(train.LOSS, modules={"D": D}, backend="eager")
    real = torch.rand(16, 1, 8, 8) * 2 - 1
    fake = G(torch.randn(16, train.NOISE))
    expected = ((1 - D(real)).clamp(min=0) + (1 + D(fake)).clamp(min=0)).mean()
    torch.testing.assert_close(losses["discriminator"](real=real, fake=fake), expected)
    torch.testing.assert_close(losses["generator"](fake=fake), -D(fake).mean())


def test_the_discriminators_loss_does_not_reach_the_generator(
    train: ModuleType, networks: tuple[nn.Module, nn.Module]
) -> None:
    G, D = networks
    losses = lossdsl.load(train.LOSS, modules={"D": D}, backend="eager")
    fake = G(torch.randn(16, train.NOISE))
    losses["discriminator"](real=torch.rand(16, 1, 8, 8), fake=fake).backward()
    assert all(gradient is None for gradient in gradients(G))
    # Not the last bias: while no score is beyond the margin it moves both halves oppositely.
    *others, last_bias = gradients(D)
    assert all(g is not None and g.abs().sum() > 0 for g in others)
    assert last_bias == 0


def test_zero_grad_clears_what_the_generators_loss_leaves_in_the_discriminator(
    train: ModuleType, networks: tuple[nn.Module, nn.Module]
) -> None:
    G, D = networks
    losses = lossdsl.load(train.LOSS, modules={"D": D}, backend="eager")
    real = torch.rand(16, 1, 8, 8) * 2 - 1
    noise = torch.randn(16, train.NOISE)

    def discriminator_gradients() -> list[Tensor | None]:
        losses["discriminator"](real=real, fake=G(noise)).backward()
        return gradients(D)

    alone = discriminator_gradients()
    D.zero_grad()
    losses["generator"](fake=G(noise)).backward()
    assert all(g is not None and g.abs().sum() > 0 for g in gradients(G))
    mixed = discriminator_gradients()
    D.zero_grad()
    cleared = discriminator_gradients()
    torch.testing.assert_close(cleared, alone, rtol=0, atol=0)
    assert not torch.allclose(mixed[0], alone[0])


def test_the_training_gives_the_discriminator_its_own_gradient_only(
    train: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps of the example move D exactly as two steps by hand do."""
    moved: list[Tensor] = []
    made: list[nn.Module] = []
    make = train.discriminator
    monkeypatch.setattr(train, "discriminator", lambda: made.append(make()) or made[-1])
    train.main(steps=2, backend="eager")
    moved = [p.detach() for p in made[0].parameters()]

    torch.manual_seed(0)
    images = torch.tensor(train.load_digits().images).float()[:1200, None] / 8 - 1
    G, D = train.generator(), make()
    optimisers = [torch.optim.Adam(n.parameters(), lr=1e-3, betas=(0.5, 0.99)) for n in (G, D)]
    for _ in range(2):
        batch = images[torch.randint(len(images), (64,))]
        fake = G(torch.randn(64, train.NOISE))
        value = ((1 - D(batch)).relu() + (1 + D(fake.detach())).relu()).mean()
        for p, gradient in zip(
            D.parameters(), torch.autograd.grad(value, list(D.parameters())), strict=True
        ):
            p.grad = gradient
        optimisers[1].step()
        for p, gradient in zip(
            G.parameters(),
            torch.autograd.grad(-D(fake).mean(), list(G.parameters())),
            strict=True,
        ):
            p.grad = gradient
        optimisers[0].step()
    torch.testing.assert_close(moved, [p.detach() for p in D.parameters()])
