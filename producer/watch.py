"""Keep the capture process going: kill one that hangs, replace one that died."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import wire
from pace import backoff
from secrecy import Curtain
from wire import Alive, Ended, Lost, Message, Opened, Picture, Request

from imagebus.log import warn

PROGRAM = Path(__file__).with_name("capture.py")
START_S = 30.0
LOOK_S = 0.25
PIPE_BYTES = 1024 * 1024


class Watch:
    """Messages of a source, whatever happens to the process that captures it.

    A live source, or a looped file that had begun, gets a new process; another file ends with its process.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._curtain = Curtain(os.fsdecode(request.url))
        self._child: Child | None = None
        self._lasting = request.live is not False
        self._pictures = 0

    def messages(self) -> Iterator[Message | None]:
        """Yield messages as they come, and none whenever a quarter of a second brought nothing."""
        waits = backoff()
        while True:
            self._pictures = 0
            self._child = Child(self._request, self._curtain)
            yield from self._until_over(self._child)
            fate = self._child.close()
            if not fate:
                return
            if not self._lasting and not (self._request.loop and self._pictures):
                yield Ended(1 if self._pictures else 2, fate)
                return
            yield Lost(fate)
            waits = backoff() if self._pictures else waits
            again = time.monotonic() + next(waits)
            while time.monotonic() < again:
                time.sleep(0.05)
                yield None

    def _until_over(self, child: Child) -> Iterator[Message | None]:
        while not child.over:
            message = child.read()
            if isinstance(message, Opened):
                self._lasting = not message.recorded
            self._pictures += isinstance(message, Picture)
            yield None if isinstance(message, Alive) else message

    def close(self) -> None:
        """End the capture process."""
        if self._child:
            self._child.close()


class Child:
    """One capture process."""

    def __init__(self, request: Request, curtain: Curtain) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,  # an interrupt from the terminal is for the producer, which ends this process
        )
        assert self._process.stdin
        assert self._process.stdout
        fcntl.fcntl(self._process.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._reader = wire.Reader(self._process.stdout.fileno())
        self._words = threading.Thread(target=_pass_on, args=(self._process.stderr, curtain), daemon=True)
        self._words.start()
        self._within_s = self._patience_s = START_S
        self._fate = ""
        self._finished = False
        self.over = False
        try:
            wire.write(self._process.stdin, request)
        except BrokenPipeError:
            self.over = True
        self._process.stdin.close()

    def read(self) -> Message | None:
        """Return the next message, or none after a short while; note when the process is over or hangs."""
        begun = time.monotonic()
        try:
            message = self._reader.read(LOOK_S)
        except wire.WireError as error:
            self._give_up(f"the capture process sent what is no message ({error})")
            return None
        if message is None:
            # Only waiting counts against the process: it may itself be waiting for a slow reader.
            self._patience_s -= time.monotonic() - begun
            if self._reader.closed:
                self._give_up("")
            elif self._patience_s < 0:
                self._give_up("the capture process hung and was ended")
        elif isinstance(message, Alive):
            self._within_s = message.within_s
            self._patience_s = message.within_s
        else:
            self._patience_s = self._within_s
        if isinstance(message, Ended):
            self._finished = self.over = True
        return message

    def _give_up(self, fate: str) -> None:
        self._fate = fate
        self.over = True

    def close(self) -> str:
        """End the process; return what became of it, nothing if it had finished its work."""
        gone = self._reader.closed
        if not gone:
            self._process.kill()
        status = self._process.wait()
        self._words.join(1.0)
        self._reader.close()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe and not (pipe is self._process.stderr and self._words.is_alive()):
                pipe.close()
        if self._finished:
            return ""
        return self._fate or f"the capture process ended ({_status(status)})"


def _status(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"signal {-status}, {signal.Signals(-status).name}"


def _pass_on(words: IO[bytes], curtain: Curtain) -> None:
    """Show what the process or a library in it printed, without secrets."""
    for line in words:
        warn(curtain.hide(line.decode(errors="replace").rstrip()))
