"""A file that keeps other programs waiting, for as long as this one holds it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagebus.log import warn


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one program at a time in; the kernel opens the lock again however that program ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            warn(f"waiting for another program that starts the broker (it holds {path})")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
