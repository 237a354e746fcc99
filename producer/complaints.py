"""What was left out of a source: counted, and told without flooding the log."""

from __future__ import annotations

import time
from collections.abc import Callable

EVERY_S = 10.0


class Complaints:
    """Counts faults and tells of the first at once, of further ones every ten seconds."""

    def __init__(self, tell: Callable[[str], None], what: str) -> None:
        self._tell = tell
        self._what = what
        self._quiet_until = float("-inf")
        self.count = 0
        self.last = ""

    def add(self, reason: str, faults: int = 1) -> None:
        """Count faults with their reason."""
        self.count += faults
        self.last = reason
        if time.monotonic() >= self._quiet_until:
            self._tell(self.summary)
            self._quiet_until = time.monotonic() + EVERY_S

    @property
    def summary(self) -> str:
        """Return how many there were, and why the last was one."""
        return f"{self.count} {self._what}: {self.last}"
