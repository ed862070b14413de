"""What a user gets from the built files: everything that the package needs, and only that."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
GRAMMAR = {"lossdsl.lark", "README.md", "loss-file.schema.json"}
ERRORS = CHECKOUT / "docs" / "errors"


def run(command: Sequence[str], folder: Path) -> str:
    """The output of a command, or a failure that shows it."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Built:
    wheel: Path
    sdist: Path


@dataclass(frozen=True)
class Installed:
    """The wheel in an environment of its own, seen from a folder that is not the checkout."""

    scripts: Path
    folder: Path

    def python(self, code: str) -> str:
        return run([str(self.scripts / "python"), "-c", code], self.folder).strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The source archive, and the wheel built from that archive alone."""
    out = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(CHECKOUT)], out)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return Built(wheel, sdist)


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Torch and the other dependencies are borrowed: a path line reads no `.pth` file of the
    folder it names, so the editable install that lies there stays out of sight."""
    home = tmp_path_factory.mktemp("home")
    environment = home / "venv"
    venv.create(environment, with_pip=False)
    where = {"base": str(environment), "platbase": str(environment)}
    site = Path(sysconfig.get_path("purelib", scheme="venv", vars=where))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    scripts = Path(sysconfig.get_path("scripts", scheme="venv", vars=where))
    pip = [sys.executable, "-m", "pip", "--python", str(scripts / "python")]
    run([*pip, "install", "--no-deps", "--no-index", str(built.wheel)], home)
    return Installed(scripts, home)


def test_the_wheel_holds_every_file_of_the_package(built: Built) -> None:
    files = (p for p in (CHECKOUT / "lossdsl").rglob("*") if p.is_file())
    code = {p.relative_to(CHECKOUT).as_posix() for p in files if "__pycache__" not in p.parts}
    grammar = {f"lossdsl/grammar/{name}" for name in GRAMMAR}
    pages = {f"lossdsl/docs/errors/{page.name}" for page in ERRORS.glob("*.md")}
    with zipfile.ZipFile(built.wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == code | grammar | pages
    assert "lossdsl/py.typed" in names


def test_the_wheel_carries_its_licence(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        (licence,) = (n for n in archive.namelist() if n.endswith("/licenses/LICENSE"))
        assert archive.read(licence) == (CHECKOUT / "LICENSE").read_bytes()


def test_the_source_archive_has_the_grammar_and_no_environment(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
    assert {f"grammar/{name}" for name in GRAMMAR} <= names
    assert {"LICENSE", "Makefile", "constraints.txt", "tests/packaging/test_wheel.py"} <= names
    assert not [n for n in names if n.startswith((".venv", ".git/")) or "__pycache__" in n]


def test_the_installed_package_is_not_the_checkout(installed: Installed) -> None:
    file = Path(installed.python("import lossdsl; print(lossdsl.__file__)"))
    assert file.is_relative_to(installed.folder)


def test_it_checks_a_program(installed: Installed) -> None:
    check = "import lossdsl; print(lossdsl.check({!r}).ok)"
    assert installed.python(check.format("0.5*bce(p, y)")) == "True"
    assert installed.python(check.format("0.5*bce(p, ")) == "False"


def test_it_computes_a_loss(installed: Installed) -> None:
    code = """
import torch, lossdsl
loss = lossdsl.compile("0.5*mse(x, y)", backend="eager")
print(loss(x=torch.tensor([1.0, 3.0]), y=torch.tensor([1.0, 1.0])).item())
"""
    assert installed.python(code) == "1.0"


def test_it_has_the_files_that_ship_with_it(installed: Installed) -> None:
    text = "use: [lossdsl:tracking, lossdsl:monai]\\nloss: stark(b, t) + monai.DiffusionLoss(x)"
    check = f"import lossdsl; print(lossdsl.check('{text}', format='yaml').ok)"
    assert installed.python(check) == "True"


def test_the_command_is_installed(installed: Installed) -> None:
    help_text = run([str(installed.scripts / "lossdsl"), "--help"], installed.folder)
    assert "check" in help_text
    assert "inspect" in help_text


def test_it_explains_a_code(installed: Installed) -> None:
    page = run([str(installed.scripts / "lossdsl"), "explain", "e204"], installed.folder)
    assert page == (ERRORS / "E204.md").read_text(encoding="utf-8")
