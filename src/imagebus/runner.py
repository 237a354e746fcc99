"""The runner: reads, skips what is stale, has the filter process, publishes, commits."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec

from imagebus import codec, start, trace
from imagebus.backlog import Backlog
from imagebus.connection import Assigned, Connection, Position, Reading
from imagebus.delivery import Delivery
from imagebus.errors import BrokerAwayError, BusError, FrameError, ModelError, TooManyFailuresError
from imagebus.filter import Filter, Result
from imagebus.frame import Frame, Hop
from imagebus.ledger import DEAD, FILTERED, OUTPUT, SKIPPED_STALE
from imagebus.log import say, warn
from imagebus.outgoing import Outgoing, dead_letter, frame_record
from imagebus.record import Record
from imagebus.text import printable
from imagebus.topics import DEAD_LETTER_SETTINGS, dead_letters_of

FAILURES_IN_A_ROW = 20
IDLE_S = 0.2
DRAIN_S = 3.0
CATCH_UP_S = 2.0


class Runner:
    """Runs one filter on one bus, in the thread that calls ``run``."""

    def __init__(self, filter: Filter, bus: Connection) -> None:
        self._filter = filter
        self._options = filter.options
        self._bus = bus
        self._stopping = False
        self._failures = 0
        self._failure: Exception | None = None
        self._processed = 0
        self._busy_s = 0.0
        self._dead_letters_ready = False
        self._was_away = False
        self._backlog = Backlog(self._options.freshness)
        self._delivery = Delivery(bus.publisher(), self._dead_letter)

    def stop(self) -> None:
        """Ask ``run`` to finish the frame in work, wait for acknowledgements, commit and return."""
        self._stopping = True

    def run(self) -> None:
        """Run until ``stop``.

        Raises:
            BusError: the broker refuses for good.
            TooManyFailuresError: the filter failed on twenty frames in a row.
        """
        start_at = self._prepare()
        if self._stopping:
            return
        self._filter.start()
        subscriber = self._bus.subscriber(
            self._options.input, self._options.group_id, start.resolver(start_at), self
        )
        try:
            self._work_until_stopped(subscriber)
        finally:
            self._finish(subscriber)
            self._filter.stop()

    def _prepare(self) -> str | int:
        """Make the output topic and wait for the input; return where a new group begins."""
        start_at: str | int = self._options.start
        began_ms = time.time_ns() // 1_000_000
        self._until_answered(lambda: self._bus.ensure_topic(self._options.topic))
        waited = False
        while not self._stopping and not self._until_answered(self._has_input):
            if not waited:
                warn(f"topic {self._options.input} does not exist yet; waiting for it")
            waited = True
            time.sleep(0.5)
        # Who waited for a topic wants all of it, from its first frame on.
        if start_at == start.LATEST and waited:
            return start.EARLIEST
        # Who was there before the broker wants what came since; by now its end lies behind that.
        return began_ms if start_at == start.LATEST and self._was_away else start_at

    def _has_input(self) -> bool:
        return self._options.input in self._bus.topics()

    def _until_answered(self, ask: Callable[[], bool | None]) -> bool:
        told = False
        while not self._stopping:
            try:
                return bool(ask())
            except BrokerAwayError as error:
                if not told:
                    warn(f"{error}; waiting for it")
                told = self._was_away = True
                time.sleep(0.5)
        return False

    def _work_until_stopped(self, subscriber: Reading) -> None:
        while not self._stopping:
            self._step(subscriber)
        self._catch_up(self._delivery.partitions)

    def _step(self, subscriber: Reading) -> None:
        if self._failure:
            raise self._failure
        self._delivery.serve()
        if positions := self._delivery.due():
            subscriber.commit(positions)
        if not self._backlog.full:
            self._take_in(subscriber.read(100, 0.0 if self._backlog else IDLE_S))
        for stale in self._backlog.stale(time.time_ns() // 1_000_000):
            self._delivery.publish(stale, [], SKIPPED_STALE)
        if not self._delivery.busy and (record := self._backlog.take()) is not None:
            self._work(record)

    def _take_in(self, records: Iterable[Record]) -> None:
        for record in records:
            if self._delivery.received(record):
                self._backlog.add(record)

    def _work(self, record: Record) -> None:
        """Have one record processed, and publish what comes of it."""
        received_ns, began = time.time_ns(), time.perf_counter()
        try:
            frame = codec.decode(record.value or b"")
            self._refuse_cycle(frame)
            results = self._processed_frames(frame)
            outgoing = [self._sealed(result, record, received_ns) for result in results]
        except FrameError as error:
            self._bury(record, error.reason, str(error))
            return
        except (MemoryError, ModelError):
            raise
        except Exception as error:  # noqa: BLE001  a filter's fault is the frame's outcome, not our end
            self._failed(record, error)
            return
        self._failures = 0
        self._delivery.publish(record, outgoing, OUTPUT if outgoing else FILTERED)
        self._tell(record, results, time.perf_counter() - began)

    def _processed_frames(self, frame: Frame) -> list[Frame]:
        result: Result = self._filter.process(frame)
        if result is None:
            return []
        return [result] if isinstance(result, Frame) else list(result)

    def _sealed(self, frame: Frame, record: Record, received_ns: int) -> Outgoing:
        """Complete the hop in the frame's trail and make its record."""
        hop = Hop(
            self._options.name,
            self._filter.kind(),
            self._filter.version,
            self._options.topic,
            received_ns,
            time.time_ns(),
        )
        trail = frame.trail
        if trail and trail[-1].is_open:
            claim, trail = trail[-1], trail[:-1]
            hop = msgspec.structs.replace(
                hop, model=claim.model, searched=claim.searched, threshold=claim.threshold
            )
        sealed = msgspec.structs.replace(frame, trail=(*trail, hop))
        return frame_record(sealed, self._options.topic, trace.proceed(record.header(trace.HEADER)))

    def _refuse_cycle(self, frame: Frame) -> None:
        here = (self._options.name, self._options.topic)
        if any((hop.stage, hop.topic) == here for hop in frame.trail):
            raise FrameError(f"stage {here[0]} has written this frame to {here[1]} before: a cycle", "cycle")

    def _failed(self, record: Record, error: Exception) -> None:
        self._failures += 1
        what = f"{type(error).__name__}: {error}"
        self._bury(record, "error", what)
        if self._failures >= FAILURES_IN_A_ROW:
            raise TooManyFailuresError(
                f"{self._options.name} failed on {self._failures} frames in a row, last with {what}"
            ) from error

    def _bury(self, record: Record, reason: str, error: str) -> None:
        warn(f"{record.topic}[{record.partition}]@{record.offset} becomes a dead letter ({reason}): {error}")
        self._delivery.publish(record, [self._dead_letter(record, reason, error)], DEAD)

    def _dead_letter(self, record: Record, reason: str, error: str) -> Outgoing:
        if not self._dead_letters_ready:
            topic = dead_letters_of(self._options.input)
            self._until_answered(lambda: self._bus.ensure_topic(topic, DEAD_LETTER_SETTINGS))
            self._dead_letters_ready = True
        return dead_letter(
            record, reason=reason, error=error, stage=self._options.name, group=self._options.group_id
        )

    def _tell(self, record: Record, results: list[Frame], took_s: float) -> None:
        """Print the line of one input: what was found, its time and the average."""
        self._processed += 1
        self._busy_s += took_s
        if self._options.quiet:
            return
        found = "; ".join(self._filter.describe(frame) for frame in results) or "filtered out"
        name = results[0].source if results else (record.key or b"").decode("utf-8", "replace")
        number = f" #{results[0].sequence}" if results else ""
        average_ms = self._busy_s / self._processed * 1000
        say(f"{printable(f'{name}{number}: {found}')} | {took_s * 1000:.1f} ms, average {average_ms:.1f} ms")

    def _catch_up(self, partitions: Collection[int]) -> None:
        """Abandon what waits of these partitions, but process what lies before a finished frame.

        Sources take turns, so frames of a partition are not finished in its order; without this, those
        that are ahead would be repeated by whoever goes on.
        """
        waiting = self._backlog.discard(lambda record: record.partition in partitions)
        if self._delivery.drain(CATCH_UP_S):
            return  # the broker is away
        give_up = time.monotonic() + CATCH_UP_S
        for record in waiting:
            if self._delivery.is_overtaken(record) and time.monotonic() < give_up:
                self._work(record)

    def _finish(self, subscriber: Reading) -> None:
        """Wait for what is under way, commit it and leave the group."""
        unacknowledged = self._delivery.drain(DRAIN_S)
        if unacknowledged:
            warn(f"{unacknowledged} records are not acknowledged; their frames will be processed again")
        try:
            subscriber.commit_and_wait(self._delivery.end(self._delivery.partitions))
        except BusError as error:
            warn(f"{error}; frames after the last commit will be processed again")
        finally:
            subscriber.close()

    def assigned(self, partitions: Iterable[Assigned]) -> None:
        """Begin with partitions that the group gave us."""
        self._delivery.begin(list(partitions))

    def revoked(self, partitions: Iterable[int]) -> Mapping[int, Position]:
        """Abandon what waits of these partitions, finish what is under way, return what to commit."""
        gone = [partition for partition in partitions if partition in self._delivery.partitions]
        if not gone:
            return {}
        try:
            self._catch_up(gone)
        except Exception as error:  # noqa: BLE001  the client can't carry it out of here: the next step does
            self._failure = error
        self._delivery.drain(DRAIN_S)
        return self._delivery.end(gone)

    def lost(self, partitions: Iterable[int]) -> None:
        """Forget partitions that somebody else has by now."""
        gone = set(partitions)
        self._backlog.discard(lambda record: record.partition in gone)
        self._delivery.end(list(gone))
