"""The parent of workers: a program that needs nothing but Python, so that it stays small and idle.

``python parent.py COUNT live|bounded COMMAND ...`` runs the command so many times, and again where it ended.
Each worker finds its number in the environment, and on standard input a pipe that ends with its parent.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from math import inf
from queue import Empty, SimpleQueue

NUMBER_VARIABLE = "IMAGEBUS_WORKER"
"""Tells a worker its number, counted from 0."""
FOR_GOOD = {2, 141}
"""Statuses that another start would not mend: wrong options, nobody who reads what is printed."""
FIRST_DELAY_S = 0.5
MOST_DELAY_S = 30.0
LONG_S = 60.0
"""Who ran so long and ends, did not end again and again."""
GIVE_UP_AFTER = 4
"""So many ends of one worker in a row end a bounded run, for somebody waits for its status."""
STOP_S = 12.0
"""Less than a supervisor waits before it kills the parent."""


@dataclass(frozen=True)
class Ended:
    """A worker has ended: with a status, negative where a signal ended it, after so many seconds."""

    worker: int
    status: int
    ran_s: float

    def __str__(self) -> str:
        if self.status < 0:
            return f"worker {self.worker} was ended by {_name_of(-self.status)}"
        return f"worker {self.worker} ended with status {self.status}"


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # those of real time have no names
        return f"signal {number}"


class Workers:
    """Keeps workers running until SIGTERM or SIGINT, or until the end of a bounded run."""

    def __init__(self, count: int, command: list[str], *, bounded: bool) -> None:
        self._bounded = bounded
        self._command = command
        self._events: SimpleQueue[Ended | None] = SimpleQueue()  # may be put to by a handler of signals
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._start_at = dict.fromkeys(range(count), 0.0)
        self._failures = dict.fromkeys(range(count), 0)
        self._kill_at = inf
        self._stopping = False
        self._status = 0

    def run(self) -> int:
        """Return the exit status: 0, 2 where a worker refuses its options, 1 where one did not end well."""
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, lambda *_: self._events.put(None))
        while self._running or self._start_at:
            self._do_due()
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

    def _do_due(self) -> None:
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
        environment = {**os.environ, NUMBER_VARIABLE: str(worker)}
        try:
            process = subprocess.Popen(self._command, stdin=subprocess.PIPE, env=environment)
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
        if (process := self._running.pop(event.worker, None)) and process.stdin:
            process.stdin.close()
        if self._stopping:
            if event.status not in (0, -signal.SIGTERM, -signal.SIGINT):  # signals: before it could listen
                warn(str(event))
                self._status = self._status or 1
        elif event.status in FOR_GOOD:
            self._status = event.status
            self._stop()
        elif event.status != 0 or not self._bounded:
            self._start_again(event)

    def _start_again(self, event: Ended) -> None:
        failures = 1 if event.ran_s > LONG_S else self._failures[event.worker] + 1
        self._failures[event.worker] = failures
        if self._bounded and failures >= GIVE_UP_AFTER:
            warn(f"{event}, as {failures - 1} times before; giving up")
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


def warn(line: str) -> None:
    """Print what an operator should know."""
    print(line, file=sys.stderr, flush=True)


def main(count: str, kind: str, *command: str) -> int:
    """Run as a program."""
    return Workers(int(count), list(command), bounded=kind == "bounded").run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
