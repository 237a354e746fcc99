"""Files from the network: verified, atomic, resumed where they broke off, one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from imagebus.errors import FetchError
from imagebus.log import warn
from imagebus.text import printable

CHUNK_BYTES = 256 * 1024
TIMEOUT_S = 10.0
"""To connect, and between two pieces of the answer."""
BREAKS = 5
"""How often a transfer that had brought something may break off and be taken up again."""
REPORT_EVERY_S = 2.0

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Digest:
    """What a file must be: its length in bytes and its SHA-256 in hexadecimal."""

    size_bytes: int
    sha256: str

    def fault_of(self, path: Path) -> str:
        """Say how the file differs; empty when it is the one that is meant."""
        size = path.stat().st_size
        if size != self.size_bytes:
            return f"{size} bytes instead of {self.size_bytes}"
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        return "" if found == self.sha256 else f"SHA-256 {found} instead of {self.sha256}"


def fetch(
    url: str, target: Path, digest: Digest, report: Report = warn, timeout_s: float = TIMEOUT_S
) -> Path:
    """Bring ``url`` to ``target``, unless the right file is there already; return ``target``.

    What was brought before a break stays beside the target (``.part``) and is taken up by the next try.
    Of several processes one fetches, the others wait for it. Addresses may be http, https or file.

    Raises:
        FetchError: unreachable, refused, cut off, or not the file that was meant; nothing is in place then.
    """
    with locked(target, report):
        if target.is_file() and not digest.fault_of(target):
            return target
        part = target.with_name(target.name + ".part")
        report(f"fetching {url} ({megabytes(digest.size_bytes)})")
        resumed = _transfer(url, part, digest, report, timeout_s)
        if resumed and digest.fault_of(part):  # begun by another edition of the file: once more, from 0
            part.unlink()
            _transfer(url, part, digest, report, timeout_s)
        put_in_place(part, target, digest, url)
    return target


def put_in_place(part: Path, target: Path, digest: Digest, origin: str) -> None:
    """Check a finished file and move it to ``target`` in one step.

    Raises:
        FetchError: it is not the file that was meant; it is deleted.
    """
    if fault := digest.fault_of(part):
        part.unlink()
        raise FetchError(f"{origin}: not the file that is meant: {fault}")
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)


@contextlib.contextmanager
def locked(target: Path, report: Report = warn) -> Iterator[None]:
    """Hold the right to make ``target``, among all processes of this machine; wait for it if need be.

    Raises:
        FetchError: the folder cannot be made or written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(target.name + ".lock").open("ab")
    except OSError as error:
        raise FetchError(f"cannot write to {target.parent}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"another process is fetching {target.name}: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def megabytes(size_bytes: int) -> str:
    """Write a size for people."""
    return f"{size_bytes / 1e6:.1f} MB"


def _transfer(url: str, part: Path, digest: Digest, report: Report, timeout_s: float) -> bool:
    """Bring the whole length to ``part``; return whether its beginning came from an earlier try."""
    resumed = False
    for breaks in range(BREAKS + 1):
        have = part.stat().st_size if part.exists() else 0
        if have == digest.size_bytes:
            return True
        try:
            resumed |= _receive(url, part, digest.size_bytes, report, timeout_s)
        except (OSError, http.client.HTTPException) as error:
            if have and _is_beyond_its_end(error):
                part.unlink()
                continue
            gained = part.exists() and part.stat().st_size > have
            if isinstance(error, urllib.error.HTTPError) or not gained or breaks == BREAKS:
                raise FetchError(f"{url}: {_reason(error)}") from error
            report(f"{part.stem}: broke off ({_reason(error)}), taking it up again")
        else:
            return resumed
    raise AssertionError("the last try returns or raises")


def _receive(url: str, part: Path, size_bytes: int, report: Report, timeout_s: float) -> bool:
    """Append what is missing; return whether there was a beginning that the server went on from."""
    have = part.stat().st_size if part.exists() else 0
    have = have if have < size_bytes else 0
    request = urllib.request.Request(url, headers={"User-Agent": "imagebus", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:
        goes_on = bool(have) and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        have = have if goes_on else 0
        length = answer.headers.get("Content-Length")
        if length is not None and have + int(length) != size_bytes:
            raise FetchError(f"{url}: {have + int(length)} bytes are offered instead of {size_bytes}")
        with part.open("ab" if goes_on else "wb") as file:
            _copy(answer, file, part.stem, have, size_bytes, report)
    return goes_on


def _copy(answer: BinaryIO, file: BinaryIO, name: str, have: int, size_bytes: int, report: Report) -> None:
    """Copy to the end, and not one byte more than was announced."""
    last_report = time.monotonic()
    while chunk := answer.read(min(CHUNK_BYTES, size_bytes - have + 1)):
        have += len(chunk)
        if have > size_bytes:
            raise FetchError(f"{name}: more than the {size_bytes} bytes that it should have")
        file.write(chunk)
        if time.monotonic() - last_report > REPORT_EVERY_S:
            last_report = time.monotonic()
            report(f"{name}: {megabytes(have)} of {megabytes(size_bytes)}")
    if have < size_bytes:
        raise ConnectionError(f"cut off after {have} of {size_bytes} bytes")


def _is_beyond_its_end(error: Exception) -> bool:
    """Return whether the server has less than what is here already: that beginning is another file's."""
    return (
        isinstance(error, urllib.error.HTTPError)
        and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    )


def _reason(error: Exception) -> str:
    """Say in one line why a transfer failed."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    text = printable(str(cause)) or type(cause).__name__
    return f"{error.code} {text}" if isinstance(error, urllib.error.HTTPError) else text
