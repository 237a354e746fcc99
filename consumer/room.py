"""How much may be under way to all viewers together, so that many slow ones do not fill the memory."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Generic, TypeVar

ROOM_BYTES = 128 * 1024 * 1024
"""Of this, half is for those who never acknowledged a frame: a crowd of them leaves room for the others."""

Who = TypeVar("Who", bound=Hashable)


class Room(Generic[Who]):
    """Bytes under way. Who does not get room waits its turn: a small frame does not overtake a large one."""

    def __init__(self, limit: int = ROOM_BYTES) -> None:
        self._limits = {False: limit, True: limit // 2}
        self._taken = {False: 0, True: 0}
        self._waiting: dict[Who, bool] = {}  # in the order of coming: whether it is a newcomer
        self._lock = threading.Lock()

    def take(self, who: Who, size: int, *, newcomer: bool) -> bool:
        """Return whether there is room for so many bytes, and count them; else wait in line."""
        with self._lock:
            ahead = next((other for other, new in self._waiting.items() if new == newcomer), who)
            if ahead is not who or not self._fits(size, newcomer):
                self._waiting[who] = newcomer
                return False
            self._waiting.pop(who, None)
            self._taken[newcomer] += size
            return True

    def _fits(self, size: int, newcomer: bool) -> bool:
        total = sum(self._taken.values())
        own = self._taken[True] if newcomer else 0
        return not total or (total + size <= self._limits[False] and own + size <= self._limits[newcomer])

    def give_back(self, size: int, *, newcomer: bool) -> None:
        """Take away what was counted."""
        with self._lock:
            self._taken[newcomer] -= size

    def leave_line(self, who: Who) -> None:
        """Wait no longer."""
        with self._lock:
            self._waiting.pop(who, None)

    def waiting(self) -> list[Who]:
        """Return who waits, the longest first."""
        with self._lock:
            return list(self._waiting)
