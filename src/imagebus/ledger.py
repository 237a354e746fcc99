"""The ledger of one partition: which records are finished, in whatever order, and how they ended."""

from __future__ import annotations

from collections import Counter, deque

import msgspec

from imagebus import commit
from imagebus.commit import EXPIRED
from imagebus.connection import Assigned, Position
from imagebus.ending import Ending
from imagebus.moment import Range, within


class Ledger:
    """Tracks consumed records until each has exactly one outcome.

    Only the unbroken run of finished records from the start on may be committed, together with the counts
    of just those records; logs have gaps, so what counts are records, not offsets.
    """

    def __init__(self, assigned: Assigned) -> None:
        self._commit = commit.read(assigned.position)
        self._counts = Counter(self._commit.counts)
        self._gaps = self._commit.gaps
        self._open: deque[int] = deque()
        self._outcomes: dict[int, str] = {}
        self._next = self._expected = assigned.position.offset
        low = assigned.low if self.end is None else min(assigned.low, self.end)
        if low > self._next:
            self._counts[EXPIRED] += low - self._next
            self._next = self._expected = low
        self._committed = self._first = assigned.position
        self._ending = Ending(self.range[1])
        self._end_moved = self._end_is_new = False

    @property
    def end(self) -> int | None:
        """Return the offset at which a bounded run ends."""
        return self._commit.end

    @property
    def range(self) -> Range:
        """Return the capture times that a bounded run is of, Unix ms."""
        return self._commit.range

    def is_outside(self, timestamp_ms: int) -> bool:
        """Whether a bounded run is not of this capture time."""
        return not within(self.range, timestamp_ms)

    @property
    def log(self) -> str:
        """Return the id of the log that is counted."""
        return self._commit.log

    @property
    def is_read_to_its_end(self) -> bool:
        """Whether a bounded run has read all that it will of this partition."""
        return self.end is not None and self._expected >= self.end

    @property
    def is_complete(self) -> bool:
        """Whether a bounded run has finished this partition."""
        return self.end is not None and self._next >= self.end

    def look(self, offset: int, key: bytes | None, timestamp_ms: int) -> None:
        """See a record of a bounded run before it is received: nothing of the range may come any more."""
        new = self.end is not None and self._expected <= offset < self.end
        if new and self._ending.is_reached(key, timestamp_ms):
            self._commit = msgspec.structs.replace(self._commit, end=offset)
            self._end_moved = self._end_is_new = True

    def received(self, offset: int) -> bool:
        """Take a record in; false where it lies beyond the end, or was taken before (a repeated fetch)."""
        self.passed(offset)
        if offset < self._expected or (self.end is not None and offset >= self.end):
            return False
        self._open.append(offset)
        self._expected = offset + 1
        return True

    def passed(self, offset: int) -> None:
        """Take note that there is no further record before this offset."""
        if self.end is not None:
            offset = min(offset, self.end)
        if offset > self._expected:
            self._gaps += offset - self._expected
            self._expected = offset
            self._advance()

    def done(self, offset: int, outcome: str) -> None:
        """Give a received record its one outcome."""
        if offset in self._outcomes or offset < self._next:
            raise ValueError(f"offset {offset} has an outcome already")
        self._outcomes[offset] = outcome
        self._advance()

    def _advance(self) -> None:
        while self._open and (finished := self._outcomes.pop(self._open[0], None)):
            self._next = self._open.popleft() + 1
            self._counts[finished] += 1
        if not self._open:
            self._next = self._expected

    @property
    def position(self) -> Position:
        """Return what may be committed: the next offset, and the counts of all records before it."""
        counts = {outcome: count for outcome, count in sorted(self._counts.items()) if count}
        gaps = self._gaps - self._gaps_ahead()
        return msgspec.structs.replace(self._commit, counts=counts, gaps=gaps).at(self._next)

    def _gaps_ahead(self) -> int:
        """Count the offsets without a record that lie behind the first record that is not finished."""
        return self._expected - self._next - len(self._open)

    @property
    def next(self) -> int:
        """Return the first offset that is not finished."""
        return self._next

    def is_overtaken(self, offset: int) -> bool:
        """Whether a later record is finished already, so that it would be processed again after a change."""
        return any(offset < finished for finished in self._outcomes)

    def final(self) -> Position | None:
        """Return the position where it, or the end, moved at all: an earlier commit of it may have failed."""
        return self.position if self._end_moved or self._next != self._first.offset else None

    def to_commit(self) -> Position | None:
        """Return the position where it, or the end, moved since this was last asked."""
        if self._next == self._committed.offset and not self._end_is_new:
            return None
        self._end_is_new = False
        self._committed = self.position
        return self._committed
