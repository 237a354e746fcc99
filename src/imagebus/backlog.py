"""What was read and waits to be processed: fair between sources, and no older than asked."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from math import inf

from imagebus.record import Record

ALL = inf
LATEST = 0.0


class Backlog:
    """Waiting records by source.

    Args:
        max_age_s: older records are skipped, but never a source's newest; ``ALL`` skips none, ``LATEST`` all
            but the newest.
        max_bytes: the backlog is full from there on, so that reading stops.
    """

    def __init__(self, max_age_s: float, max_bytes: int = 32 * 1024 * 1024, max_records: int = 1000) -> None:
        self._max_age_s = max_age_s
        self._max_bytes = max_bytes
        self._max_records = max_records
        self._sources: OrderedDict[bytes, deque[Record]] = OrderedDict()
        self._bytes = 0
        self._records = 0

    def __len__(self) -> int:
        return self._records

    @property
    def full(self) -> bool:
        """Whether no more should be read."""
        return self._bytes >= self._max_bytes or self._records >= self._max_records

    def add(self, record: Record) -> None:
        """Let a record wait behind those of its source."""
        # Where none is skipped, the order of the log is kept: what is ahead of it is repeated after a kill.
        source = b"" if self._max_age_s == ALL else record.key or b""
        self._sources.setdefault(source, deque()).append(record)
        self._count(record, 1)

    def stale(self, now_ms: int) -> Iterator[Record]:
        """Take out and yield every record that is too old and has a newer one of its source behind it."""
        if self._max_age_s == ALL:
            return
        oldest_ms = now_ms - self._max_age_s * 1000
        for waiting in self._sources.values():
            while len(waiting) > 1 and (self._max_age_s == LATEST or waiting[0].timestamp_ms < oldest_ms):
                record = waiting.popleft()
                self._count(record, -1)
                yield record

    def take(self) -> Record | None:
        """Take out the next record: the oldest of the source whose turn it is; with ``ALL`` the oldest."""
        if not self._sources:
            return None
        source, waiting = self._sources.popitem(last=False)
        record = waiting.popleft()
        if waiting:
            self._sources[source] = waiting
        self._count(record, -1)
        return record

    def discard(self, belongs: Callable[[Record], bool]) -> list[Record]:
        """Take out and return the records for which that holds."""
        records = [record for waiting in self._sources.values() for record in waiting]
        self._sources.clear()
        self._bytes = self._records = 0
        gone = []
        for record in records:
            gone.append(record) if belongs(record) else self.add(record)
        return gone

    def _count(self, record: Record, sign: int) -> None:
        self._records += sign
        self._bytes += sign * len(record.value or b"")
