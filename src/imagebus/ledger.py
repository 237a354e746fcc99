"""The ledger of one partition: which records are finished, in whatever order, and how they ended."""

from __future__ import annotations

import json
from collections import Counter, deque

from imagebus.connection import Assigned, Position

OUTPUT = "output"
FILTERED = "filtered"
DEAD = "dead"
EXPIRED = "expired"
SKIPPED_STALE = "skipped.stale"


class Ledger:
    """Tracks consumed records until each has exactly one outcome.

    Only the unbroken run of finished records from the start on may be committed, together with the counts
    of just those records; logs have gaps, so what counts are records, not offsets.
    """

    def __init__(self, assigned: Assigned) -> None:
        self._begin, self._counts = _read(assigned.position)
        self._open: deque[int] = deque()
        self._outcomes: dict[int, str] = {}
        self._next = assigned.position.offset
        if assigned.low > self._next:
            self._counts[EXPIRED] += assigned.low - self._next
            self._next = assigned.low
        self._committed = self._first = assigned.position

    def received(self, offset: int) -> bool:
        """Take a record in; false where it was taken before, as after a fetch that was repeated."""
        if offset < self._next or (self._open and offset <= self._open[-1]):
            return False
        self._open.append(offset)
        return True

    def done(self, offset: int, outcome: str) -> None:
        """Give a received record its one outcome."""
        if offset in self._outcomes or offset < self._next:
            raise ValueError(f"offset {offset} has an outcome already")
        self._outcomes[offset] = outcome
        while self._open and (finished := self._outcomes.pop(self._open[0], None)):
            self._next = self._open.popleft() + 1
            self._counts[finished] += 1

    @property
    def position(self) -> Position:
        """Return what may be committed: the next offset, and the counts of all records before it."""
        counts = {outcome: count for outcome, count in sorted(self._counts.items()) if count}
        metadata = json.dumps({"v": 1, "from": self._begin, **counts}, separators=(",", ":"))
        return Position(self._next, metadata)

    @property
    def unfinished(self) -> int:
        """Return how many records were received and wait for their outcome or for one before them."""
        return len(self._open)

    def is_overtaken(self, offset: int) -> bool:
        """Whether a later record is finished already, so that it would be processed again after a change."""
        return any(offset < finished for finished in self._outcomes)

    def final(self) -> Position | None:
        """Return the position where it moved at all: an earlier commit of it may have failed."""
        return None if self._next == self._first.offset else self.position

    def to_commit(self) -> Position | None:
        """Return the position where it moved since this was last asked."""
        if self._next == self._committed.offset:
            return None
        self._committed = self.position
        return self._committed


def counts_of(position: Position) -> dict[str, int]:
    """Return the outcomes that a commit carries, by name."""
    return dict(_read(position)[1])


def _read(position: Position) -> tuple[int, Counter[str]]:
    """Return where counting began and the counts; a commit of another client begins anew."""
    try:
        found = json.loads(position.metadata)
        begin = found.pop("from")
        if found.pop("v") != 1 or not all(isinstance(value, int) for value in (begin, *found.values())):
            raise ValueError(position.metadata)
    except (ValueError, KeyError, AttributeError, TypeError):
        return position.offset, Counter()
    return begin, Counter(found)
