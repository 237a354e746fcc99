"""The evidence of a range: which outcomes each record has, which is the last, how often it was published."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from imagebus.commit import (
    DEAD,
    FILTERED,
    OUTPUT,
    SKIPPED_OTHER_GROUP,
    SKIPPED_OUTSIDE,
    SKIPPED_STALE,
    SKIPPED_SUPERSEDED,
)

KINDS = (
    OUTPUT,
    FILTERED,
    DEAD,
    SKIPPED_STALE,
    SKIPPED_SUPERSEDED,
    SKIPPED_OUTSIDE,
    SKIPPED_OTHER_GROUP,
)
"""The outcomes that leave evidence; each is one bit."""
PUBLISHED = (OUTPUT, DEAD)
MOST_BEYOND = 1_000_000
BITS = {kind: 1 << number for number, kind in enumerate(KINDS)}


class Evidence:
    """The evidence of [first, end) of one partition, in ten bytes a record however large the records are.

    Attributes:
        beyond: the records from ``end`` on that have evidence: in work, not committed yet.
    """

    def __init__(self, first: int, end: int) -> None:
        self._first = first
        self._end = end
        size = max(0, end - first)
        self._bits = bytearray(size)
        self._last = bytearray(size)
        self._times_ns = array("q", bytes(8 * size))
        self._published: dict[tuple[int, int], set[int]] = {}
        self.beyond: set[int] = set()

    def add(self, offset: int, kind: str, at_ns: int) -> None:
        """Take evidence in.

        Args:
            at_ns: when the record was taken up (an output), or its outcome written (all others), Unix ns; all
                outputs of one and the same work on a record have the same.
        """
        if offset >= self._end and len(self.beyond) < MOST_BEYOND:
            self.beyond.add(offset)
        if not self._first <= offset < self._end:
            return
        place, bit = offset - self._first, BITS[kind]
        before_ns = self._times_ns[place]
        if kind in PUBLISHED and self._bits[place] & bit and at_ns != before_ns:
            self._published.setdefault((offset, bit), {before_ns}).add(at_ns)
        self._bits[place] |= bit
        if at_ns >= before_ns:
            self._times_ns[place], self._last[place] = at_ns, bit

    def last(self, offset: int) -> str:
        """Return the outcome of a record; the last one where there is evidence of several, none if empty."""
        bit = self._last[offset - self._first]
        return KINDS[bit.bit_length() - 1] if bit else ""

    def all(self, offset: int) -> Iterator[str]:
        """Yield every outcome of a record that there is evidence of."""
        bits = self._bits[offset - self._first]
        return (kind for kind in KINDS if bits & BITS[kind])

    def repeats(self, offset: int) -> int:
        """Return how many times more than once a record was published."""
        times = (self._published.get((offset, BITS[kind]), ()) for kind in PUBLISHED)
        return sum(max(0, len(found) - 1) for found in times)
