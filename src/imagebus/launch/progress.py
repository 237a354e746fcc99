"""Run long commands so that their user sees what goes on: a sign at least every few seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

SILENT_S = 4.0
KEPT_LINES = 15
END_S = 5.0


class StepError(Exception):
    """A step failed; says which, why and what to do."""


def tell(line: str) -> None:
    """Print a line for the one who waits."""
    print(line, file=sys.stderr, flush=True)


class Step:
    """One command of an installation.

    Args:
        title: what it does, as its user would say it.
        command: what to run.
        shown: picks and shortens the lines of its output that are worth showing.
        advice: what to do where it fails.
    """

    def __init__(
        self,
        title: str,
        command: Sequence[str],
        *,
        shown: Callable[[str], str] = str,
        advice: str = "",
    ) -> None:
        self.title = title
        self._command = command
        self._shown = shown
        self._advice = advice
        self._kept: deque[str] = deque(maxlen=KEPT_LINES)
        self._process: subprocess.Popen[str] | None = None
        self._failed = ""

    def begin(self) -> threading.Thread:
        """Start it; the thread ends with it."""
        thread = threading.Thread(target=self._run, name=self.title, daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            self._failed = f"{self._command[0]}: {error.strerror}"
            return
        self._process = process
        with process:
            assert process.stdout
            for line in process.stdout:
                self._kept.append(line.rstrip())
                if shown := self._shown(line.rstrip()):
                    Talk.say(f"  {self.title}: {shown}")
        if status := process.returncode:
            self._failed = f"exit status {status}"

    def check(self) -> None:
        """Raise what went wrong.

        Raises:
            StepError: the last lines that the command printed have been shown.
        """
        if not self._failed:
            return
        for line in self._kept if self._shown is not str else ():
            tell(f"  | {line}")
        raise StepError(f"{self.title} failed ({self._failed}), why is said above. {self._advice}".rstrip())

    def end(self) -> None:
        """End it early, with all that it started."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)


class Talk:
    """When something was last said."""

    last = 0.0

    @classmethod
    def say(cls, line: str) -> None:
        """Print a line and remember when."""
        cls.last = time.monotonic()
        tell(line)


def interruptible() -> None:
    """Have SIGTERM and a closed terminal end this program in order, as Ctrl-C does."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)


def run(steps: Iterable[Step], look: Callable[[], None] = lambda: None) -> None:
    """Run steps side by side until all are done; ``look`` is called often and ends them by raising.

    Raises:
        StepError: one failed; the others were ended.
    """
    began = Talk.last = time.monotonic()
    steps = list(steps)
    going = {step: step.begin() for step in steps}
    try:
        while going:
            look()
            for step, thread in list(going.items()):
                thread.join(0.1)
                if not thread.is_alive():
                    del going[step]
                    step.check()
            if going and time.monotonic() - Talk.last > SILENT_S:
                names = ", ".join(step.title for step in going)
                Talk.say(f"  still busy: {names} ({time.monotonic() - began:.0f} s)")
    finally:
        for step in going:
            step.end()
        for thread in going.values():
            thread.join(END_S)
