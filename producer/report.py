"""What the producer says: a line a frame on standard output, everything else on standard error."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import deque
from statistics import fmean

from complaints import Complaints
from wire import Ended, Lost, Message, Opened, Warned

from imagebus.errors import FrameError
from imagebus.frame import Frame
from imagebus.log import say, warn
from imagebus.text import printable

REPEAT_S = 30.0
AVERAGED = 100
"""Frames in the average: one wait for the broker is to be forgotten again."""


class Report:
    """Speaks of one camera.

    Args:
        name: of the camera.
        shown: its address without secrets.
        quiet: whether frames get no line.
    """

    def __init__(self, name: str, shown: str, quiet: bool) -> None:
        self._name = printable(name)
        self._shown = printable(shown)
        self._quiet = quiet
        self._latest_ms: deque[float] = deque(maxlen=AVERAGED)
        self._description = ""
        self._reason = ""
        self._repeat_at = 0.0
        self._dropped = Complaints(self._line, "pictures dropped")

    def sent(self, frame: Frame) -> None:
        """Print a frame's line: its age, from the capture to the client that sends it, waits and all."""
        hop = frame.trail[0]
        age_ms = (hop.published_ns - hop.received_ns) / 1e6
        self._latest_ms.append(age_ms)
        if self._quiet:
            return
        try:
            say(
                f"{self._name} {frame.sequence}: {frame.width}x{frame.height}, {len(frame.image)} bytes, "
                f"sent {age_ms:.1f} ms after capture, average {fmean(self._latest_ms):.1f} ms"
            )
        except BrokenPipeError:  # whoever read our lines has enough of them (head): stop in order
            self._quiet = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            os.kill(os.getpid(), signal.SIGTERM)

    def tell(self, message: Message | None) -> None:
        """Tell of a connection that came or went, and of what was left out."""
        if isinstance(message, Opened):
            self._opened(message.description)
        elif isinstance(message, Warned):
            self._line(message.text)
        elif isinstance(message, Lost) and self._is_news(message.reason):
            self._description = ""
            self._line(f"{message.reason}; trying again until it is there")

    def refused(self, error: FrameError) -> None:
        """Tell of a picture that the bus does not take."""
        self._line(f"a picture was left out: {error}")

    def dropped(self, count: int) -> None:
        """Tell that a live camera's pictures find no room; ``count`` is how many in all."""
        if count > self._dropped.count:
            self._dropped.add("the broker is slow or away", count - self._dropped.count)

    def ended(self, message: Ended) -> None:
        """Tell how a file ended, unless it was as it should be."""
        if message.reason:
            self._line(message.reason)

    def _opened(self, description: str) -> None:
        if description != self._description:  # a looped file is opened at every turn
            self._line(description)
        self._reason, self._description = "", description

    def _is_news(self, reason: str) -> bool:
        now = time.monotonic()
        if reason == self._reason and now < self._repeat_at:
            return False
        self._reason, self._repeat_at = reason, now + REPEAT_S
        return True

    def _line(self, text: str) -> None:
        warn(f"{self._name} ({self._shown}): {text}")
