"""Where a bounded run may end in a partition: frames come late, and the clocks of cameras differ."""

from __future__ import annotations

LATE_MS = 10 * 60 * 1000
"""How much later than its neighbours a frame may come to the log and still be found by a bounded run."""
MOST_SOURCES = 10_000


class Ending:
    """Watches the records of a partition in the order of its log.

    Nothing more of the range is expected once a camera, by its own clock, has gone on for ten minutes since
    any frame was seen that was captured before the range's end. So a clock an hour ahead or behind cuts no
    range short.
    """

    def __init__(self, until_ms: int | None) -> None:
        self._until_ms = until_ms
        self._beyond: dict[int, int] = {}
        """The first capture time of each camera since then, by the hash of its key: that may be long."""

    def is_reached(self, key: bytes | None, timestamp_ms: int) -> bool:
        """Take the next record in, and say whether the run may end before it."""
        if self._until_ms is None:
            return False
        if timestamp_ms < self._until_ms or len(self._beyond) > MOST_SOURCES:
            self._beyond.clear()
            return False
        return timestamp_ms >= self._beyond.setdefault(hash(key), timestamp_ms) + LATE_MS
