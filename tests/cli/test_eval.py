"""`lossdsl eval`: values on saved tensors."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

P = torch.tensor([[0.5], [-2.0], [3.0]])
Y = torch.tensor([[1.0], [0.0], [1.0]])
BCE = F.binary_cross_entropy_with_logits(P, Y).item()
DICE = 1 - ((2 * P.sigmoid() * Y + 1e-5) / (P.sigmoid() + Y + 1e-5)).mean().item()


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    path = tmp_path / "batch.pt"
    torch.save({"p": P, "y": Y, "names": ["a", "b"], "spare": torch.zeros(9)}, path)
    return path


def table(stdout: str) -> dict[str, list[str]]:
    """The cells of each row behind its name; the value above stands under ''."""
    value, _, rows = stdout.partition("\n\n")
    cells = {line.split()[0]: line.split()[1:] for line in rows.splitlines()}
    return {"": [value], **cells}


def test_value_and_terms(run: Callable[..., Any], batch: Path) -> None:
    result = run("eval", "good.yaml", "--data", "batch.pt")
    assert (result.exit_code, result.stderr) == (0, "")
    found = table(result.stdout)
    total = 0.5 * BCE + 0.25 * DICE
    assert found[""] == [f"loss = {total:.6g}"]
    assert found["pixels"][:3] == ["0.5", f"{BCE:.6g}", f"{0.5 * BCE:.6g}"]
    assert found["shape"][:3] == ["0.25", f"{DICE:.6g}", f"{0.25 * DICE:.6g}"]
    assert found["error"] == [f"{F.l1_loss(P.sigmoid(), Y).item():.6g}", "monitored"]
    assert found["total"] == [f"{total:.6g}"]


def test_set_replaces_a_param(run: Callable[..., Any], batch: Path) -> None:
    found = table(run("eval", "good.yaml", "--data", "batch.pt", "--set", "w=1e-1").stdout)
    assert found["pixels"][:2] == ["0.1", f"{BCE:.6g}"]


@pytest.mark.parametrize(
    ("program", "settings", "value"),
    [
        ("param w = 1; w*mean(y)", ["w=-2"], -4 / 3),
        ("param w = [1, 1]; sum(w)*mean(y)", ["w=[0.5, 4]"], 3.0),
        ("param r = 'mean'; mse(y, 0, reduction=r)", ["r=sum"], 2.0),
        ("param r = 'mean'; mse(y, 0, reduction=r)", ["r='sum'"], 2.0),
        ("param s = learnable(0.0); exp(s)*mean(y)", ["s=1"], 2 / 3 * 2.718281828459045),
        ("param a = 1; param b = 1; (a + b)*mean(y)", ["a=3", "b=6"], 6.0),
        ("w*mean(y)", ["w=3"], 2.0),
    ],
)
def test_what_can_be_set(
    run: Callable[..., Any], batch: Path, program: str, settings: list[str], value: float
) -> None:
    options = [option for setting in settings for option in ("--set", setting)]
    result = run("eval", "-e", program, "--data", "batch.pt", *options)
    assert result.stdout.startswith(f"loss = {value:.6g}\n"), result.stderr


@pytest.mark.parametrize(
    ("setting", "code", "words"),
    [
        ("v=1", 1, "E511"),
        ("w=1+", 1, "E104"),
        ("w=1 + 1", 1, "E504"),
        ("w=f(1)", 1, "E504"),
        ("w", 2, "NAME=VALUE"),
        ("=1", 2, "NAME=VALUE"),
        ("w=", 2, "NAME=VALUE"),
    ],
)
def test_what_cannot_be_set(
    run: Callable[..., Any], batch: Path, setting: str, code: int, words: str
) -> None:
    result = run("eval", "good.yaml", "--data", "batch.pt", "--set", setting)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr


def test_a_param_with_a_similar_name(run: Callable[..., Any], batch: Path) -> None:
    result = run("eval", "-e", "param scale_a = 1; scale_a*mean(y)", "--data", "batch.pt",
                 "--set", "scale_b=1")  # fmt: skip
    assert "did you mean `scale_a`?" in result.stderr
    assert "warning" not in result.stderr


def test_schedules_stand_where_they_are_put(run: Callable[..., Any], batch: Path) -> None:
    program = "warmup(step, 8)*linear(epoch, 1, 0, 0, 4)*mean(y)"
    for options, weight in (
        ([], 0.0),
        (["--step", "2"], 0.25),
        (["--step", "80"], 1.0),
        (["--step", "4", "--epoch", "1"], 0.375),
    ):
        result = run("eval", "-e", program, "--data", "batch.pt", *options)
        assert result.stdout.startswith(f"loss = {weight * 2 / 3:.6g}\n")
    assert run("eval", "-e", program, "--data", "batch.pt", "--step", "-1").exit_code == 2


def test_aot_eager_computes_the_same(run: Callable[..., Any], batch: Path) -> None:
    eager = run("eval", "good.yaml", "--data", "batch.pt")
    other = run("eval", "good.yaml", "--data", "batch.pt", "--backend", "aot_eager")
    assert other.stdout == eager.stdout
    assert run("eval", "good.yaml", "--data", "batch.pt", "--backend", "fast").exit_code == 2


def test_a_missing_input_is_a_diagnostic(run: Callable[..., Any], tmp_path: Path) -> None:
    torch.save({"P": P, "y": Y}, tmp_path / "case.pt")
    result = run("eval", "good.yaml", "--data", "case.pt")
    assert result.exit_code == 1
    assert result.stderr.startswith("error[E601]: the input `p` (logits[B, 1]) is missing")
    assert "did you mean `P`?" in result.stderr


def test_a_wrong_shape_is_a_diagnostic(run: Callable[..., Any], tmp_path: Path) -> None:
    torch.save({"p": P, "y": Y[:2]}, tmp_path / "short.pt")
    result = run("eval", "good.yaml", "--data", "short.pt")
    assert result.exit_code == 1
    assert result.stderr.startswith("error[E603]: ")


# --- files of tensors -------------------------------------------------------------------------


def test_containers_in_a_saved_dict(run: Callable[..., Any], tmp_path: Path) -> None:
    torch.save({"out": {"aux": [Y, 3 * Y]}}, tmp_path / "nested.pt")
    result = run("eval", "-e", "sum(mean(a) for a in out.aux)", "--data", "nested.pt")
    assert result.stdout.startswith(f"loss = {8 / 3:.6g}\n"), result.stderr


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8"])
def test_npz(run: Callable[..., Any], batch: Path, tmp_path: Path, dtype: str) -> None:
    arrays: dict[str, Any] = {"p": P.numpy().astype(dtype), "y": Y.bool().numpy()}
    np.savez(tmp_path / "x.npz", names=np.array([{}], dtype=object), **arrays)
    found = table(run("eval", "good.yaml", "--data", "x.npz").stdout)
    expected = table(run("eval", "good.yaml", "--data", "batch.pt").stdout)
    assert found["pixels"] == expected["pixels"]


def test_safetensors(run: Callable[..., Any], batch: Path, tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file({"p": P, "y": Y, "spare": Y + 1}, tmp_path / "x.safetensors")
    result = run("eval", "good.yaml", "--data", "x.safetensors")
    assert result.stdout == run("eval", "good.yaml", "--data", "batch.pt").stdout
    (tmp_path / "bad.safetensors").write_bytes(b"hello")
    assert run("eval", "good.yaml", "--data", "bad.safetensors").exit_code == 2


@pytest.mark.parametrize(
    ("library", "file", "advice"),
    [
        ("safetensors", "x.safetensors", "pip install 'lossdsl[safetensors]'"),
        ("numpy", "x.npz", "pip install numpy"),
    ],
)
def test_a_library_that_is_not_installed(
    run: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    library: str,
    file: str,
    advice: str,
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    (tmp_path / file).write_bytes(b"")
    result = run("eval", "good.yaml", "--data", file)
    assert result.exit_code == 2
    assert advice in result.stderr


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("sprung", "w")


def test_nothing_in_the_data_is_run(run: Callable[..., Any], tmp_path: Path) -> None:
    torch.save({"p": Trap()}, tmp_path / "trap.pt")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps({"p": Trap()}))
    np.savez(tmp_path / "trap.npz", p=np.array([Trap()], dtype=object), y=Y.numpy())
    for file in ("trap.pt", "pickle.pt", "trap.npz"):
        result = run("eval", "good.yaml", "--data", file)
        assert (result.exit_code, result.stdout) == (2, "")
        assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("x.pt", b"", "was not written by torch.save"),
        ("x.pt", b"hello", "was not written by torch.save"),
        ("x.npz", b"hello", "was not written by numpy.savez"),
        ("x.npy", b"hello", "is none of .pt, .pth, .npz, .safetensors"),
        ("x.pt", None, "is no file"),
    ],
)
def test_files_that_hold_no_tensors(
    run: Callable[..., Any], tmp_path: Path, file: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / file).write_bytes(content)
    result = run("eval", "good.yaml", "--data", file)
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_saved_list_and_an_array_of_words(run: Callable[..., Any], tmp_path: Path) -> None:
    torch.save([P, Y], tmp_path / "list.pt")
    assert "holds a list" in run("eval", "good.yaml", "--data", "list.pt").stderr
    np.savez(tmp_path / "words.npz", p=P.numpy(), y=np.array(["a"]))
    assert "as `y`, but one of <U1" in run("eval", "good.yaml", "--data", "words.npz").stderr
