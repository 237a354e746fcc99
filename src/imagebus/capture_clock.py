"""When a picture was taken: one wall-clock anchor an epoch, and the monotonic clock from there on."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

STEP_NS = 1_000_000_000
"""A wall clock that was set by more than this begins a new epoch."""


class CaptureClock:
    """Stamps and numbers the pictures of one camera.

    Args:
        wall_ns: the wall clock, Unix ns.
        monotonic_ns: the clock that never steps, ns.
    """

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._begin()

    def _begin(self) -> None:
        self._anchor_ns = self._wall_ns() - self._monotonic_ns()
        self._last_ns = 0
        self._sequence = 0
        self.epoch = f"{self._wall_ns() // 1_000_000:x}-{secrets.token_hex(4)}"

    def stamp(self, taken_monotonic_ns: int) -> tuple[str, int, int]:
        """Return epoch, sequence and capture time (Unix ns) of the next picture.

        The time never goes back within an epoch; a wall clock that was set begins a new one.
        """
        if abs(self._wall_ns() - self._monotonic_ns() - self._anchor_ns) > STEP_NS:
            self._begin()
        self._last_ns = max(self._last_ns, self._anchor_ns + taken_monotonic_ns)
        sequence, self._sequence = self._sequence, self._sequence + 1
        return self.epoch, sequence, self._last_ns
