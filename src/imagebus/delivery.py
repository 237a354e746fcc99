"""At-least-once delivery: the one seam between what was made of a record and what is committed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from imagebus.connection import Assigned, Position, Publishing
from imagebus.errors import BusError, FrameError
from imagebus.ledger import DEAD, Ledger
from imagebus.outgoing import Outgoing
from imagebus.record import Record

MAX_PENDING = 64
MAX_PENDING_BYTES = 32 * 1024 * 1024
COMMIT_EVERY_S = 0.25

MakeDeadLetter = Callable[[Record, str, str], Outgoing]
"""Makes the dead letter of a record from a reason and an error."""


class Delivery:
    """Publishes what came of each record and knows what may be committed.

    A record is finished once all its outputs, or its dead letter, are acknowledged. An output that the
    broker refuses for its own sake (too large, a time far ahead) makes the record a dead letter.
    """

    def __init__(self, publisher: Publishing, make_dead_letter: MakeDeadLetter) -> None:
        self._publisher = publisher
        self._make_dead_letter = make_dead_letter
        self._ledgers: dict[int, Ledger] = {}
        self._failure: Exception | None = None
        self._pending_bytes = 0
        self._refused: deque[tuple[Ledger, Record, str]] = deque()
        self._commit_due = 0.0

    def begin(self, partitions: Sequence[Assigned]) -> None:
        """Keep ledgers for these partitions from now on."""
        for assigned in partitions:
            self._ledgers[assigned.partition] = Ledger(assigned)

    def end(self, partitions: Sequence[int]) -> dict[int, Position]:
        """Close the ledgers of these partitions; return what may be committed."""
        ledgers = {p: self._ledgers.pop(p) for p in partitions if p in self._ledgers}
        return {p: position for p, ledger in ledgers.items() if (position := ledger.final())}

    def is_overtaken(self, record: Record) -> bool:
        """Whether a later record of its partition is finished already."""
        return self._ledgers[record.partition].is_overtaken(record.offset)

    def received(self, record: Record) -> bool:
        """Enter a record that was read; false where it is not ours or was entered before."""
        ledger = self._ledgers.get(record.partition)
        return ledger is not None and ledger.received(record.offset)

    def publish(self, record: Record, outgoing: Sequence[Outgoing], outcome: str) -> None:
        """Send all that came of a record; the outcome counts once everything is acknowledged."""
        self._publish(self._ledgers[record.partition], record, outgoing, outcome)

    def _publish(self, ledger: Ledger, record: Record, outgoing: Sequence[Outgoing], outcome: str) -> None:
        # The ledger is that of the moment: meanwhile the partition may be gone, or be ours anew.
        waiting, size, refused = len(outgoing), sum(len(item.value or b"") for item in outgoing), ""
        self._pending_bytes += size
        if not outgoing:
            ledger.done(record.offset, outcome)

        def acknowledged(error: Exception | None) -> None:
            nonlocal waiting, refused
            waiting -= 1
            if isinstance(error, FrameError) and outcome != DEAD:
                refused = str(error)
            elif error is not None:
                self._failure = error if isinstance(error, BusError) else BusError(f"a dead letter: {error}")
            if waiting:
                return
            self._pending_bytes -= size
            if self._failure:
                return
            if refused:
                self._refused.append((ledger, record, refused))
            else:
                ledger.done(record.offset, outcome)

        for item in outgoing:
            self._publisher.send(
                item.topic,
                item.key,
                item.value,
                timestamp_ms=item.timestamp_ms,
                headers=item.headers,
                acknowledged=acknowledged,
            )

    def serve(self) -> None:
        """Take acknowledgements in; wait while too many are missing, as when the broker is away.

        Raises:
            BusError: something could not be published for good.
        """
        self._publisher.poll(0.05 if self.busy else 0.0)
        self._bury_refused()
        if self._failure:
            raise self._failure

    @property
    def busy(self) -> bool:
        """Whether nothing more should be started before more is acknowledged."""
        return self._publisher.pending >= MAX_PENDING or self._pending_bytes >= MAX_PENDING_BYTES

    def due(self) -> dict[int, Position]:
        """Return the positions to commit now, a few times a second at most."""
        if time.monotonic() < self._commit_due:
            return {}
        self._commit_due = time.monotonic() + COMMIT_EVERY_S
        return {p: position for p, ledger in self._ledgers.items() if (position := ledger.to_commit())}

    def drain(self, timeout_s: float) -> int:
        """Wait for what is under way; return how many records stay unacknowledged."""
        unacknowledged = self._publisher.flush(timeout_s)
        if self._refused and not unacknowledged:
            self._bury_refused()
            unacknowledged = self._publisher.flush(timeout_s)
        return unacknowledged

    def _bury_refused(self) -> None:
        """Send dead letters of what the broker refused; not from its callbacks, where nobody may wait."""
        while self._refused:
            ledger, record, error = self._refused.popleft()
            self._publish(ledger, record, [self._make_dead_letter(record, "refused", error)], DEAD)

    @property
    def partitions(self) -> list[int]:
        """Return the partitions that have a ledger."""
        return list(self._ledgers)
