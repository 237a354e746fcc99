"""At-least-once delivery: the one seam between what was made of a record and what is committed."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence

from imagebus.commit import DEAD
from imagebus.connection import Assigned, Position, Publishing
from imagebus.errors import BusError, FrameError, TopicGoneError
from imagebus.ledger import Ledger
from imagebus.log import warn
from imagebus.outcomes import Outcomes, Run, Runs
from imagebus.outgoing import is_without_bytes, of_log, without_bytes
from imagebus.record import Outgoing, Record

MAX_PENDING = 128
MAX_PENDING_BYTES = 32 * 1024 * 1024
COMMIT_EVERY_S = 0.25

MakeDeadLetter = Callable[[Record, str, str], Outgoing]
"""Makes the dead letter of a record from a reason and an error."""
Note = Callable[[int, str, list[Run]], Outcomes | None]
"""Makes the note of runs of outcomes in a partition of a log; None where no notes are kept."""


class Delivery:
    """Publishes what came of each record and knows what may be committed.

    A record is finished once all its outputs, its dead letter, or the note that it was skipped or filtered
    out, are acknowledged. An output that the broker refuses for its own sake (too large, a time far ahead)
    makes the record a dead letter.

    Args:
        note: makes the note of what leaves no other trace.
        topic_is_gone: makes a topic that was deleted anew.

    Attributes:
        finished: how many records ended how, here and now: with those that will be repeated.
        sent, sent_bytes: what was sent and acknowledged.
    """

    def __init__(
        self,
        publisher: Publishing,
        make_dead_letter: MakeDeadLetter,
        note: Note = lambda _partition, _log, _runs: None,
        topic_is_gone: Callable[[str], None] = lambda _topic: None,
    ) -> None:
        self._publisher = publisher
        self._make_dead_letter = make_dead_letter
        self._note = note
        self._topic_is_gone = topic_is_gone
        self._ledgers: dict[int, Ledger] = {}
        self._runs: dict[int, Runs] = {}
        self._failure: Exception | None = None
        self._keeps_notes = True
        self._pending_bytes = 0
        self._refused: deque[tuple[Ledger, Record, str, Outgoing | None]] = deque()
        """What the broker would not take, and why; the dead letter, where it was one."""
        self._to_resend: deque[tuple[Outgoing, Callable[[Exception | None], None]]] = deque()
        self._commit_due = 0.0
        self.finished: Counter[str] = Counter()
        self.sent = self.sent_bytes = 0

    def begin(self, partitions: Sequence[Assigned]) -> None:
        """Keep ledgers for these partitions from now on."""
        for assigned in partitions:
            self._ledgers[assigned.partition] = Ledger(assigned)
            self._runs[assigned.partition] = Runs()

    def end(self, partitions: Sequence[int]) -> dict[int, Position]:
        """Close the ledgers of these partitions; return what may be committed."""
        ledgers = {p: self._ledgers.pop(p) for p in partitions if p in self._ledgers}
        for partition in ledgers:
            self._runs.pop(partition)
        return {p: position for p, ledger in ledgers.items() if (position := ledger.final())}

    def is_overtaken(self, record: Record) -> bool:
        """Whether a later record of its partition is finished already."""
        return self._ledgers[record.partition].is_overtaken(record.offset)

    def received(self, record: Record) -> bool:
        """Enter a record that was read; false where it is not ours, beyond the end, or was entered before."""
        ledger = self._ledgers.get(record.partition)
        if ledger is None:
            return False
        ledger.look(record.offset, record.key, record.timestamp_ms)
        return ledger.received(record.offset)

    def is_outside(self, record: Record) -> bool:
        """Whether a record that was received lies outside of a bounded run's capture times."""
        return self._ledgers[record.partition].is_outside(record.timestamp_ms)

    def passed(self, partition: int, offset: int) -> None:
        """Note that there is no further record before this offset."""
        if partition in self._ledgers:
            self._ledgers[partition].passed(offset)

    @property
    def is_complete(self) -> bool:
        """Whether a bounded run has finished all partitions that are ours."""
        return all(ledger.is_complete for ledger in self._ledgers.values())

    @property
    def is_read_to_its_end(self) -> bool:
        """Whether a bounded run has read all partitions that are ours."""
        return all(ledger.is_read_to_its_end for ledger in self._ledgers.values())

    def lag(self, ends: Mapping[int, int]) -> int:
        """Return how many offsets lie between what is finished and the ends of the log."""
        ours = (p for p in self._ledgers if p in ends)
        return sum(max(0, ends[p] - self._ledgers[p].next) for p in ours)

    @property
    def pending(self) -> int:
        """Return how many records are sent and not yet known to be safe."""
        return self._publisher.pending + len(self._to_resend)

    def publish(self, record: Record, outgoing: Sequence[Outgoing], outcome: str) -> None:
        """Send all that came of a record; the outcome counts once everything is acknowledged."""
        if outgoing:
            self._publish(self._ledgers[record.partition], record, outgoing, outcome)
        else:
            self._runs[record.partition].add(record.offset, outcome)

    def _publish(self, ledger: Ledger, record: Record, outgoing: Sequence[Outgoing], outcome: str) -> None:
        # The ledger is that of the moment: meanwhile the partition may be gone, or be ours anew.
        waiting, size, refused = len(outgoing), sum(item.footprint for item in outgoing), ""
        is_last = outcome == DEAD and is_without_bytes(outgoing[0])
        self._pending_bytes += size

        def acknowledged(error: Exception | None) -> None:
            nonlocal waiting, refused
            waiting -= 1
            if isinstance(error, FrameError) and not is_last:
                refused = str(error)
            elif error is not None:
                self._failure = error if isinstance(error, BusError) else BusError(f"a dead letter: {error}")
            if waiting:
                return
            self._pending_bytes -= size
            if self._failure:
                return
            if refused:
                self._refused.append((ledger, record, refused, outgoing[0] if outcome == DEAD else None))
            else:
                self._done(ledger, record.offset, outcome)

        for item in outgoing:
            self._send(of_log(item, ledger.log), acknowledged)

    def _done(self, ledger: Ledger, offset: int, outcome: str) -> None:
        ledger.done(offset, outcome)
        self.finished[outcome] += 1

    def _send(self, item: Outgoing, acknowledged: Callable[[Exception | None], None]) -> None:
        def reported(error: Exception | None) -> None:
            if isinstance(error, TopicGoneError):
                self._to_resend.append((item, acknowledged))
                return
            if error is None:
                self.sent += 1
                self.sent_bytes += item.size
            acknowledged(error)

        self._publisher.send(item, reported)

    def note_quiet(self) -> None:
        """Send the notes of what was skipped and filtered out since the last."""
        for partition, runs in self._runs.items():
            if runs:
                outcomes, taken = runs.take()
                ledger = self._ledgers[partition]
                note = self._note(partition, ledger.log, taken) if self._keeps_notes else None
                self._send_note(ledger, outcomes, note)

    def _send_note(self, ledger: Ledger, outcomes: dict[int, str], note: Outcomes | None) -> None:
        def acknowledged(error: Exception | None) -> None:
            if error is not None and self._keeps_notes:  # no right to write them: frames flow all the same
                warn(f"which frames are skipped and filtered out is counted, but not noted: {error}")
                self._keeps_notes = False
            for offset, outcome in outcomes.items():
                self._done(ledger, offset, outcome)

        if note is None:
            acknowledged(None)
        else:
            self._send(note.outgoing(), acknowledged)

    def serve(self) -> None:
        """Take acknowledgements in; wait while too many are missing, as when the broker is away.

        Raises:
            BusError: something could not be published for good.
        """
        self._publisher.poll(0.05 if self.busy else 0.0)
        self._send_again()
        if self._failure:
            raise self._failure

    @property
    def busy(self) -> bool:
        """Whether nothing more should be started before more is acknowledged."""
        return self._publisher.pending >= MAX_PENDING or self._pending_bytes >= MAX_PENDING_BYTES

    def due(self) -> dict[int, Position]:
        """Return the positions to commit now, a few times a second at most; send notes as often."""
        if time.monotonic() < self._commit_due:
            return {}
        self._commit_due = time.monotonic() + COMMIT_EVERY_S
        self.note_quiet()
        return {p: position for p, ledger in self._ledgers.items() if (position := ledger.to_commit())}

    def drain(self, timeout_s: float) -> int:
        """Wait for what is under way; return how many records stay unacknowledged."""
        self.note_quiet()
        unacknowledged = self._publisher.flush(timeout_s)
        if (self._refused or self._to_resend) and not unacknowledged:
            self._send_again()
            unacknowledged = self._publisher.flush(timeout_s)
        return unacknowledged

    def _send_again(self) -> None:
        """Send dead letters of what was refused, and again what found its topic gone.

        Not from the client's callbacks, where nobody may wait.
        """
        for topic in {item.topic for item, _ in self._to_resend}:
            self._topic_is_gone(topic)
        for _ in range(len(self._to_resend)):
            self._send(*self._to_resend.popleft())
        while self._refused:
            ledger, record, error, letter = self._refused.popleft()
            if letter:
                warn(f"a dead letter goes without the record's bytes: {error}")
                letter = without_bytes(letter, error)
            self._publish(ledger, record, [letter or self._make_dead_letter(record, "refused", error)], DEAD)

    @property
    def partitions(self) -> list[int]:
        """Return the partitions that have a ledger."""
        return list(self._ledgers)
