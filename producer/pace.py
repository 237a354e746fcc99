"""When a picture is due, and whether it is wanted."""

from __future__ import annotations

import random
from collections.abc import Iterator

SECOND_NS = 1_000_000_000
LATE_NS = SECOND_NS // 2
LONGEST_GAP_S = 60.0
SLACK_NS = 1_000_000


class Pacer:
    """Plays time stamps back at a chosen speed, over gaps, jumps and repetitions."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._time_s: float | None = None
        self._due_ns: int | None = None

    def due_ns(self, time_s: float | None, step_s: float, now_ns: int) -> int:
        """Return when the picture with this time stamp is due on the monotonic clock.

        ``step_s`` is the time between two pictures, used where the time stamps are missing or jump. Who
        comes more than half a second late (a slow broker, a slow processor) plays on from now.
        """
        gap = step_s if time_s is None or self._time_s is None else time_s - self._time_s
        if not 0 <= gap <= LONGEST_GAP_S:
            gap = step_s
        due = now_ns if self._due_ns is None else self._due_ns + round(gap / self._speed * SECOND_NS)
        self._time_s = time_s
        self._due_ns = due if due >= now_ns - LATE_NS else now_ns
        return self._due_ns

    def again(self) -> None:
        """Begin with the first picture again, one step after the last."""
        self._time_s = None


class Thinning:
    """Chooses 1 in every ``every`` pictures, the first one always, and at most ``max_fps`` a second."""

    def __init__(self, every: int, max_fps: float | None) -> None:
        self._every = every
        self._period_ns = round(SECOND_NS / max_fps) if max_fps else 0
        self._count = 0
        self._free_ns = 0

    def wants(self, captured_ns: int) -> bool:
        """Count this picture and return whether it is chosen."""
        turn = self._count % self._every == 0
        self._count += 1
        if not turn or captured_ns < self._free_ns - SLACK_NS:
            return False
        # Counting from when it was allowed, not from now, keeps the average up where pictures come unevenly.
        on_time = captured_ns - self._free_ns < self._period_ns
        self._free_ns = (self._free_ns if on_time else captured_ns) + self._period_ns
        return True

    def choose_next(self) -> None:
        """Let the next picture take the place of the last, which turned out to be unusable."""
        self._count = 0
        self._free_ns = 0


def backoff() -> Iterator[float]:
    """Yield seconds to wait before each further attempt: soon first, then up to 2, never in step."""
    longest = 0.5
    while True:
        yield random.uniform(0.5, 1.0) * longest
        longest = min(2.0, longest * 2)
