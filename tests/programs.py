"""Services as a user runs them: programs of their own, seen from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from imagebus.kafka.process import die_with_parent

ROOT = Path(__file__).parents[1]
SCRIPTED = ROOT / "tests" / "filters" / "scripted.py"
REDACTION = ROOT / "imageai" / "redaction.py"
IMAGEAI = ROOT / "imageai" / "imageaiProcessor.py"


def wait_for(found: Callable[[], object], what: str, within_s: float = 30.0, every_s: float = 0.05) -> None:
    """Wait until something is so; only a deadline, never a measure."""
    deadline = time.monotonic() + within_s
    while not found():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(every_s)


class Program:
    """One running program, with what it wrote so far."""

    def __init__(self, folder: Path, script: Path, *arguments: object, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._out, self._err = folder / "out.txt", folder / "err.txt"
        with self._out.open("ab") as out, self._err.open("ab") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(script), *map(str, arguments)],
                stdout=out,
                stderr=err,
                env={**os.environ, **environment},
                preexec_fn=die_with_parent,
            )

    @property
    def out(self) -> bytes:
        """Standard output so far."""
        return self._out.read_bytes()

    @property
    def err(self) -> bytes:
        """Standard error so far."""
        return self._err.read_bytes()

    def says(self, text: str, within_s: float = 30.0) -> None:
        """Wait until standard error holds a text."""
        wait_for(lambda: text.encode() in self.err or not self.alive, f"{text!r}", within_s)
        assert text.encode() in self.err, f"it ended without saying {text!r}: {self.err.decode()}"

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    @property
    def peak_mb(self) -> float:
        """Most memory that it ever had in use (VmHWM), MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024 / 1e6

    @property
    def cpu_s(self) -> float:
        """Processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it without a word."""
        self.signal(signal.SIGKILL)
        self.process.wait(10)

    def ends(self, number: int | None = None, within_s: float = 30.0) -> int:
        """Wait for its exit status, after a signal if one is given."""
        if number is not None:
            self.signal(number)
        return self.process.wait(within_s)


@contextmanager
def running(folder: Path, script: Path, *arguments: object, **environment: str) -> Iterator[Program]:
    """Run a program for as long as a block takes."""
    program = Program(folder, script, *arguments, **environment)
    try:
        yield program
    finally:
        if program.alive:
            program.kill()
