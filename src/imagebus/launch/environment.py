"""The Python environment of this checkout: `.venv`, with what requirements.txt pins and imagebus itself."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .progress import Step, StepError, run, tell

ROOT = Path(__file__).resolve().parents[3]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "imagebus-installed"
NETWORK = "Check the network (proxies are read from HTTPS_PROXY) and start again: what is done stays done."


def ensure(requirements: Sequence[str] = ("requirements.txt",)) -> None:
    """Make the environment, or bring it up to date; does nothing and needs no network where it is.

    Raises:
        StepError: it could not be made.
    """
    with _alone():
        files = [ROOT / name for name in requirements]
        wanted = {file.name: _digest(file) for file in (*files, ROOT / "pyproject.toml")}
        have = _stamped()
        if all(have.get(name) == digest for name, digest in wanted.items()):
            return
        if not _works([str(PYTHON), "-m", "pip", "--version"]):
            have = {}
            _make()
        missing = [file for file in files if have.get(file.name) != wanted[file.name]]
        if missing:
            _install(missing)
        if have.get("pyproject.toml") != wanted["pyproject.toml"]:
            _install_imagebus()
        STAMP.write_text("".join(f"{n} {d}\n" for n, d in sorted((have | wanted).items())))


def _stamped() -> dict[str, str]:
    """Return what was installed last, by file."""
    try:
        return dict(line.rsplit(" ", 1) for line in STAMP.read_text().splitlines())
    except FileNotFoundError:
        return {}


def _digest(file: Path) -> str:
    """Name the content and the place: after a move, imagebus must be installed anew."""
    return hashlib.sha256(file.read_bytes() + os.fsencode(ROOT)).hexdigest()


def _works(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _make() -> None:
    version = ".".join(map(str, sys.version_info[:3]))
    tell(f"Making a Python environment in {VENV} (Python {version})")
    advice = "Its venv module may be missing; on Debian and Ubuntu: apt-get install python3-venv"
    run([Step("venv", [sys.executable, "-m", "venv", "--clear", str(VENV)], advice=advice)])


def _install(files: Sequence[Path]) -> None:
    tell(f"Installing Python packages ({', '.join(file.name for file in files)})")
    wanted = [word for file in files for word in ("-r", str(file))]
    run([Step("packages", _pip("--require-hashes", *wanted), shown=_package, advice=NETWORK)])


def _install_imagebus() -> None:
    """Install imagebus so that it runs from this checkout; the build tool is in the environment already."""
    flags = ("--no-deps", "--no-build-isolation", "--no-index", "--editable", str(ROOT))
    run([Step("imagebus", _pip(*flags), shown=lambda line: "")])


def _pip(*words: str) -> list[str]:
    return [
        *(str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"),
        *("--no-warn-script-location", "--progress-bar", "off", *words),
    ]


def _package(line: str) -> str:
    """Pick pip's lines about what takes a while."""
    words = line.split()
    if words[:1] == ["Downloading"] and "MB" in line:
        return f"{words[1].rsplit('/', 1)[-1]} {' '.join(words[2:])}"
    if words[:2] == ["Installing", "collected"]:
        return "unpacking"
    return line if line.startswith(("WARNING: Retrying", "ERROR")) else ""


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time in; the others wait for it."""
    handle = os.open(ROOT, os.O_RDONLY)  # the checkout itself: no lock file is left behind
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("Waiting for another installation in this checkout")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


__all__ = ["PYTHON", "ROOT", "StepError", "ensure"]
