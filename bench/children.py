"""The processes of a run: started, told to go on, measured by /proc, and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imagebus.kafka.process import die_with_parent

ROOT = Path(__file__).parents[1]
TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
END_S = 15.0


class Child:
    """One process; what it prints are JSON lines, what it says besides goes to a file."""

    def __init__(self, said: Path, *command: object) -> None:
        self._said = said
        path = os.pathsep.join(map(str, (ROOT, ROOT / "src", ROOT / "imageai")))
        with said.open("ab") as err:
            self._process = subprocess.Popen(
                [sys.executable, *map(str, command)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
                env={**os.environ, "PYTHONPATH": path},
                preexec_fn=die_with_parent,
            )
        self.pid = self._process.pid

    def go(self) -> None:
        """Tell it to go on to its next phase."""
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def line(self) -> dict[str, Any]:
        """Wait for its next line."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of the benchmark ended:\n{self._said.read_text()}")
        found: dict[str, Any] = json.loads(line)
        return found

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def check(self) -> None:
        """Raise what it said if it has ended."""
        if not self.alive:
            raise RuntimeError(f"a process of the benchmark ended:\n{self._said.read_text()}")

    def ends(self, within_s: float = 120.0) -> None:
        """Wait until it has ended by itself.

        Raises:
            RuntimeError: it failed.
        """
        if self._process.wait(within_s):
            self.check()

    def end(self) -> None:
        """Ask it to stop, and kill it if it does not."""
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()


class Children:
    """The processes of one run; the last that was started ends first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.started: list[Child] = []

    def start(self, *command: object) -> Child:
        """Start one: ``start("-m", "bench.bare", "source", ...)``."""
        child = Child(self._folder / f"said{len(self.started)}.txt", *command)
        self.started.append(child)
        return child

    def check(self) -> None:
        """Raise where one has ended before its time."""
        for child in self.started:
            child.check()


@contextmanager
def children(folder: Path) -> Iterator[Children]:
    """Run processes for as long as a block takes."""
    family = Children(folder)
    try:
        yield family
    finally:
        for child in reversed(family.started):
            child.end()


def wait_for(found: Callable[[], object], what: str, within_s: float = 60.0, every_s: float = 0.05) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within_s
    while not found():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s} s: {what}")
        time.sleep(every_s)


def tree(pid: int) -> list[int]:
    """Return a process and all below it; none where it is gone."""
    try:
        names = Path(f"/proc/{pid}/task").iterdir()
        below = [int(one) for task in names for one in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *(each for one in below for each in tree(one))]


def cpu_s(pids: Iterable[int]) -> float:
    """Return the processor time that processes have used, seconds."""
    total = 0
    for pid in pids:
        fields = _stat(pid)
        total += int(fields[11]) + int(fields[12]) if fields else 0
    return total / TICKS


def rss_mb(pids: Iterable[int]) -> float:
    """Return the memory of processes (RSS), MB."""
    return sum(int(fields[21]) for pid in pids if (fields := _stat(pid))) * PAGE_BYTES / 1e6


def _stat(pid: int) -> list[str]:
    """Return /proc/PID/stat from the third field on, empty where the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
