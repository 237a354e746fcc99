"""Several processes of one filter: the parent starts copies of its own program and keeps them running.

A copy begins as the user's own command did, so that each loads its own model, in its own memory. The parent
loads none; it only waits. Workers share the partitions of the input as any members of a group do.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import TextIOWrapper
from math import inf
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from imagebus.errors import ConfigurationError
from imagebus.log import warn
from imagebus.moment import NOW_VARIABLE, now_ms

if TYPE_CHECKING:
    from imagebus.filter import FilterOptions

VARIABLE = "IMAGEBUS_WORKER"
"""Tells a worker its number, counted from 0."""
FIRST_DELAY_S = 0.5
MOST_DELAY_S = 30.0
LONG_S = 60.0
"""Who ran so long and ends, did not end again and again."""
GIVE_UP_AFTER = 4
"""So many failures of one worker in a row end a bounded run, for somebody waits for its status."""
MOST_PORT = 65535
STOP_S = 30.0
ORPHAN_S = 20.0


def number() -> int | None:
    """Return the number of this worker, from 0; None in a process that is none."""
    told = os.environ.get(VARIABLE)
    return int(told) if told else None


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


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker has ended: with a status, negative where a signal ended it, after so many seconds."""

    worker: int
    status: int
    ran_s: float

    def __str__(self) -> str:
        if self.status < 0:
            return f"worker {self.worker} was ended by {signal.Signals(-self.status).name}"
        return f"worker {self.worker} ended with status {self.status}"


class Workers:
    """Keeps workers running until SIGTERM or SIGINT, or until the end of a bounded run."""

    def __init__(self, count: int, *, bounded: bool) -> None:
        self._bounded = bounded
        self._command = [sys.executable, *sys.orig_argv[1:]]
        self._now = str(now_ms())
        self._events: SimpleQueue[Ended | None] = SimpleQueue()  # may be put to by a handler of signals
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._start_at = dict.fromkeys(range(count), 0.0)
        self._failures = dict.fromkeys(range(count), 0)
        self._kill_at = inf
        self._stopping = False
        self._status = 0

    def run(self) -> int:
        """Return the exit status: 0, 2 where a worker refused its options, 1 where one could not end well."""
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, lambda *_: self._events.put(None))
        while self._running or self._start_at:
            self._start_due()
            try:
                event = self._events.get(timeout=self._wait_s())
            except Empty:
                continue
            if event is None:
                self._stop()
            else:
                self._ended(event)
        return self._status

    def _wait_s(self) -> float | None:
        until = min(self._kill_at, *self._start_at.values(), inf)
        return None if until == inf else max(0.0, until - time.monotonic())

    def _start_due(self) -> None:
        now = time.monotonic()
        for worker in [worker for worker, at in self._start_at.items() if at <= now]:
            del self._start_at[worker]
            self._start(worker)
        if now >= self._kill_at:
            self._kill_at = inf
            for worker, process in self._running.items():
                warn(f"worker {worker} did not stop within {STOP_S:.0f} s; killing it")
                process.kill()

    def _start(self, worker: int) -> None:
        more = {VARIABLE: str(worker), NOW_VARIABLE: self._now}
        try:
            process = subprocess.Popen(self._command, stdin=subprocess.PIPE, env={**os.environ, **more})
        except OSError as error:  # no memory, no room for a process: for now
            warn(f"worker {worker} cannot be started: {error}")
            self._events.put(Ended(worker, 1, 0.0))
            return
        self._running[worker] = process
        threading.Thread(target=self._wait_for, args=(worker, process), daemon=True).start()

    def _wait_for(self, worker: int, process: subprocess.Popen[bytes]) -> None:
        began = time.monotonic()
        status = process.wait()
        self._events.put(Ended(worker, status, time.monotonic() - began))

    def _ended(self, event: Ended) -> None:
        if process := self._running.pop(event.worker, None):
            assert process.stdin is not None
            process.stdin.close()
        if self._stopping:
            if event.status not in (0, -signal.SIGTERM, -signal.SIGINT):  # signals: before it could listen
                warn(str(event))
                self._status = self._status or 1
        elif event.status == ConfigurationError.exit_code:
            self._status = event.status
            self._stop()
        elif event.status != 0 or not self._bounded:
            self._start_again(event)

    def _start_again(self, event: Ended) -> None:
        failures = 1 if event.ran_s > LONG_S else self._failures[event.worker] + 1
        self._failures[event.worker] = failures
        if self._bounded and failures >= GIVE_UP_AFTER:
            warn(f"{event}, the {failures}th time; giving up")
            self._status = 1
            self._stop()
            return
        delay_s = min(FIRST_DELAY_S * 2 ** min(failures - 1, 10), MOST_DELAY_S)
        warn(f"{event}; starting it again in {delay_s:g} s")
        self._start_at[event.worker] = time.monotonic() + delay_s

    def _stop(self) -> None:
        self._start_at.clear()
        if not self._stopping:
            self._stopping, self._kill_at = True, time.monotonic() + STOP_S
        for process in self._running.values():
            process.terminate()
