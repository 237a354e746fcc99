"""Several processes of one filter: copies of its own program, kept by a small parent (``parent``).

A copy begins as the user's own command did, so that each loads its own model, in its own memory. Workers
share the partitions of the input as any members of a group do.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from io import TextIOWrapper
from typing import TYPE_CHECKING, NoReturn

from imagebus import parent
from imagebus.errors import ConfigurationError
from imagebus.log import warn
from imagebus.moment import NOW_VARIABLE, now_ms

if TYPE_CHECKING:
    from imagebus.filter import FilterOptions

MOST_PORT = 65535
ORPHAN_S = 12.0


def number() -> int | None:
    """Return the number of this worker, from 0; None in a process that is none."""
    told = os.environ.get(parent.NUMBER_VARIABLE)
    if told and not told.isdecimal():
        raise ConfigurationError(f"{parent.NUMBER_VARIABLE} is for workers; it is no number: {told!r:.50}")
    return int(told) if told else None


def become_parent(count: int, *, bounded: bool) -> NoReturn:
    """Go on as the parent of so many workers, under the same process id, without anything loaded so far."""
    kind = "bounded" if bounded else "live"
    os.environ[NOW_VARIABLE] = str(now_ms())
    own_command = (sys.executable, *sys.orig_argv[1:])
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-IS", parent.__file__, str(count), kind, *own_command])


def port_of(options: FilterOptions, worker: int | None) -> int | None:
    """Return where a worker serves its metrics: each on its own port, counted from the one asked for.

    Raises:
        ConfigurationError: there are not so many ports.
    """
    first = options.metrics_port
    if not first:
        return first
    if first + options.workers - 1 > MOST_PORT:
        raise ConfigurationError(
            f"{options.workers} workers take the ports from {first} on, up to {MOST_PORT} at most",
            "--metrics-port",
        )
    return first + (worker or 0)


def attend(stop: Callable[[], None]) -> None:
    """Live as a worker: print whole lines, and stop when the parent is gone, whose pipe is standard input."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # python -u would write a line in pieces, between others'
            stream.reconfigure(line_buffering=True, write_through=False)
    threading.Thread(target=_outlive, args=(stop,), name="parent", daemon=True).start()


def _outlive(stop: Callable[[], None]) -> None:
    while os.read(0, 1):
        pass
    warn(f"worker {number()}: the parent is gone; stopping")
    stop()
    time.sleep(ORPHAN_S)
    os._exit(1)  # stuck in a frame, and nobody is left to end it
