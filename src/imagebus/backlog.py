"""What was read and waits to be processed: fair between sources, and no older than asked."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from math import inf

from imagebus.commit import SKIPPED_STALE, SKIPPED_SUPERSEDED
from imagebus.record import Record

ALL = inf
LATEST = 0.0
MOST_AHEAD = 10_000
"""So many sources whose clocks are ahead are remembered."""


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
        self._sources: OrderedDict[bytes | None, deque[Record]] = OrderedDict()
        self._ahead_ms: dict[int, int] = {}
        """By the hash of a source: a key may be as long as a record."""
        self._bytes = 0
        self._records = 0

    def __len__(self) -> int:
        return self._records

    @property
    def full(self) -> bool:
        """Whether no more should be read."""
        return self._bytes >= self._max_bytes or self._records >= self._max_records

    def add(self, record: Record, now_ms: int = 0, *, unskippable: bool = False) -> None:
        """Let a record wait behind those of its source, or apart where it may not be skipped."""
        source = None if unskippable else self._source(record)
        self._sources.setdefault(source, deque()).append(record)
        self._count(record, 1)
        ahead_ms = record.timestamp_ms - now_ms
        if ahead_ms > 0 and now_ms and len(self._ahead_ms) < MOST_AHEAD:
            self._ahead_ms[hash(source)] = max(ahead_ms, self._ahead_ms.get(hash(source), 0))
        else:
            self._ahead_ms.pop(hash(source), None)  # that clock was set right

    def _source(self, record: Record) -> bytes:
        # Where none is skipped, the order of the log is kept: what is ahead of it is repeated after a kill.
        return b"" if self._max_age_s == ALL else record.key or b""

    def stale(self, now_ms: int, work_ms: float = 0.0) -> Iterator[tuple[Record, str]]:
        """Take out and yield records that are too old and have a newer one of their source behind, and why.

        Args:
            now_ms: the present time, Unix ms.
            work_ms: how long processing takes: what would be too old afterwards, is too old.
        """
        if self._max_age_s == ALL:
            return
        reason = SKIPPED_SUPERSEDED if self._max_age_s == LATEST else SKIPPED_STALE
        for source, waiting in self._sources.items():
            if source is not None:
                while len(waiting) > 1 and self._is_stale(waiting[0], source, now_ms, work_ms):
                    record = waiting.popleft()
                    self._count(record, -1)
                    yield record, reason

    def _is_stale(self, record: Record, source: bytes, now_ms: int, work_ms: float) -> bool:
        if self._max_age_s == LATEST:
            return True
        oldest_ms = now_ms - self._max_age_s * 1000 + min(work_ms, self._max_age_s * 500)
        return record.timestamp_ms - self._ahead_ms.get(hash(source), 0) < oldest_ms

    @property
    def keeps_all(self) -> bool:
        """Whether nothing is ever skipped."""
        return self._max_age_s == ALL

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
        sources, self._sources = self._sources, OrderedDict()
        self._bytes = self._records = 0
        gone: list[Record] = []
        for source, waiting in sources.items():
            for record in waiting:
                if belongs(record):
                    gone.append(record)
                else:
                    self._sources.setdefault(source, deque()).append(record)
                    self._count(record, 1)
        return gone

    def _count(self, record: Record, sign: int) -> None:
        self._records += sign
        self._bytes += sign * record.footprint
