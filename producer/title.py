"""What ``ps`` shows of this program: every user of the machine can read it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from pathlib import Path


def show_instead(before: Sequence[str], after: Sequence[str]) -> None:
    """Replace arguments in the process's own command line, which on Linux lies in its memory.

    Does nothing where nothing changes or the system has no ``/proc``.
    """
    if list(before) == list(after) or not sys.platform.startswith("linux"):
        return
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # proc(5): fields 48 and 49, arg_start and arg_end
    words = ctypes.string_at(start, end - start).split(b"\0")
    changed = {b.encode(errors="surrogateescape"): a.encode() for b, a in zip(before, after, strict=True)}
    line = b"\0".join(changed.get(word, word) for word in words)
    ctypes.memmove(start, line[: end - start - 1].ljust(end - start, b"\0"), end - start)
