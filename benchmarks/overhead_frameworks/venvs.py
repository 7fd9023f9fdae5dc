"""A venv for each framework, made on first use from its pinned requirements and kept in the user's cache."""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
INSTALL_TIMEOUT_S = 900


class NotMeasured(RuntimeError):
    """A framework that this machine cannot measure; the message says why."""


@dataclass(frozen=True)
class Framework:
    """`module` in this folder speaks for it; `borrows`: what its requirements leave out is the project's own."""

    name: str
    module: str
    borrows: bool = False

    @property
    def requirements(self) -> Path:
        return REQUIREMENTS / f"bench-{self.name}.txt"


def python_of(framework: Framework) -> Path:
    """The framework's interpreter, its venv made first where need be.

    Raises:
        NotMeasured: the framework cannot be installed here.
    """
    home = _cache() / framework.name
    python, stamp = home / "bin" / "python", home / ".installed"
    wanted = hashlib.sha256(framework.requirements.read_bytes()).hexdigest() + f" {sys.version} {sys.prefix}"
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"installing {framework.name} into a venv of its own (once)", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(home)])
    alone = ["--no-deps"] if framework.borrows else []
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    _run([*pip, *alone, "-r", str(framework.requirements)])
    if framework.borrows:
        _borrow(home)
    stamp.write_text(wanted)
    return python


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "alignment-tax" / "bench-overhead"


def _borrow(home: Path) -> None:
    """Let the venv find the project's packages too, after its own."""
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "project.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"cannot be installed: not done in {INSTALL_TIMEOUT_S} s") from None
    except subprocess.CalledProcessError as error:
        errors = [line for line in error.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        raise NotMeasured(f"cannot be installed: {errors[-1].removeprefix('ERROR: ')}") from None
