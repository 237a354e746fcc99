"""The runner: reads, skips what is stale, has the filter process, publishes, commits."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import msgspec

from imagebus import commit, moment, start, trace
from imagebus.backlog import Backlog
from imagebus.commit import DEAD, SKIPPED_OTHER_GROUP, SKIPPED_OUTSIDE
from imagebus.connection import Assigned, Connection, Position, Reading
from imagebus.delivery import Delivery
from imagebus.errors import BrokerAwayError, BusError, UnfinishedError
from imagebus.filter import Filter
from imagebus.frame import Frame
from imagebus.held import Item
from imagebus.log import say, warn
from imagebus.outcomes import Outcomes, Run
from imagebus.outgoing import ONLY_FOR, dead_letter
from imagebus.processing import Processing
from imagebus.record import Outgoing, Record
from imagebus.status import Status
from imagebus.text import printable
from imagebus.topics import (
    DEAD_LETTER_SETTINGS,
    LASTING,
    META_SETTINGS,
    OUTCOMES,
    OUTCOMES_SETTINGS,
    SETTINGS,
    dead_letters_of,
    meta_of,
)

IDLE_S = 0.2
DRAIN_S = 3.0
CATCH_UP_S = 2.0
LISTEN_EVERY_S = 1.0
"""So often a filter that takes nothing in still hears what becomes of its group."""
LOOK_ROUND_S = 1.0
MEASURE_EVERY_S = 1.0
TICK_EVERY_S = 1.0
BETWEEN_LOOKS_S = 0.02
MARGIN_MS = 100.0
"""Beside the work, so much may pass on a busy machine before a frame that is taken up is published."""


class Runner:
    """Runs one filter on one bus, in the thread that calls ``run``.

    Attributes:
        status: how it does; others may read it at any time.
    """

    def __init__(self, filter: Filter, bus: Connection) -> None:
        self.status = Status()
        self._filter = filter
        self._options = options = filter.options
        self._bus = bus
        self._input = options.input if filter.pixels else meta_of(options.input)
        self._stopping = False
        self._failure: Exception | None = None
        self._processed = 0
        self._busy_s = 0.0
        self._began_ns = 0
        self._ready: set[str] = set()
        self._instead = ""
        self._keeps_notes = True
        self._was_away = False
        self._told_range = False
        self._read_at = self._looked_at = self._measured_at = self._ticked_at = 0.0
        self._batch_since: float | None = None
        self._work_ms = Expected()
        self._backlog = Backlog(options.max_age_s)
        self._delivery = Delivery(bus.publisher(), self._dead_letter, self._note, self._make_again)
        self.status.finished = self._delivery.finished
        self._processing = Processing(filter, self.status, self._delivery.publish, self._bury, self._tell)

    def stop(self) -> None:
        """Ask ``run`` to finish the frames in work, wait for acknowledgements, commit and return."""
        self._stopping = True

    def run(self) -> None:
        """Run until ``stop``, or until the end of a bounded run.

        Raises:
            BusError: the broker refuses for good.
            UnfinishedError: a bounded run was stopped before its end.
            TooManyFailuresError: the filter failed on twenty frames in a row.
        """
        plan = self._prepare()
        bounded = self._options.is_bounded
        if self._stopping:
            self._raise_if_unfinished()
            return
        self._filter.start()
        subscriber = self._bus.subscriber(self._input, self._options.group_id, plan, self, bounded=bounded)
        self.status.ready = True
        try:
            self._work_until_stopped(subscriber)
            self._raise_if_unfinished()
        finally:
            self.status.ready = False
            self._finish(subscriber)
            self._filter.stop()

    def _raise_if_unfinished(self) -> None:
        """Raise where a bounded run was stopped: whoever waits for it goes on with what is half done."""
        if self._options.is_bounded and self._stopping:
            raise UnfinishedError(
                f"run {self._options.run_name} was stopped before its end; "
                f"give --run {self._options.run_name} to go on with it"
            )

    def _prepare(self) -> start.Plan:
        """Make the output topics and wait for the input; return where a new group begins and ends."""
        begin: str | int = self._options.start
        began_ms = time.time_ns() // 1_000_000
        for topic in self._outputs:
            self._until_answered(lambda topic=topic: self._make(topic))  # type: ignore[misc]
        waited, told = False, ""
        while not self._stopping and not self._until_answered(self._has_input):
            if self._options.is_bounded and not self._stopping:
                raise BusError(f"there is no topic {self._input}: a run of what was captured needs one")
            if not waited or told != self._instead:
                told = self._instead
                warn(f"topic {self._input} does not exist yet{told}; waiting for it")
            waited = True
            time.sleep(0.5)
        # Who waited for a topic wants all of it, from its first frame on.
        if begin == start.LATEST and waited:
            begin = start.EARLIEST
        # Who was there before the broker wants what came since; by now its end lies behind that.
        elif begin == start.LATEST and self._was_away:
            begin = began_ms
        if self._options.is_bounded:
            begin = start.EARLIEST if self._options.from_ms is None else self._options.from_ms
        return start.Plan(begin, self._options.is_bounded, self._options.topic, self._range)

    @property
    def _range(self) -> moment.Range:
        return self._options.from_ms, self._options.until_ms

    @property
    def _outputs(self) -> list[str]:
        topic = self._options.topic
        return [topic, meta_of(topic)] if self._filter.pixels else [meta_of(topic)]

    def _make(self, topic: str) -> None:
        """Make a topic where it is missing."""
        if topic in self._outputs:
            settings = SETTINGS if topic == self._options.topic else META_SETTINGS
            lasting = LASTING if self._options.is_bounded else {}
            self._bus.ensure_topic(topic, {**settings, **lasting}, self._options.partitions or -1)
        elif topic == OUTCOMES:
            self._bus.ensure_topic(topic, OUTCOMES_SETTINGS, 1)
        else:
            self._bus.ensure_topic(topic, DEAD_LETTER_SETTINGS)

    def _make_again(self, topic: str) -> None:
        if self._until_answered(lambda: topic not in self._bus.topics()):
            warn(f"topic {topic} is gone; making it anew")
        self._until_answered(lambda: self._make(topic))

    def _has_input(self) -> bool:
        known = self._bus.topics()
        beside = meta_of(self._options.input)
        if self._filter.pixels and beside in known:
            self._instead = f", only {beside}: what is written there has no pictures"
        return self._input in known

    def _until_answered(self, ask: Callable[[], bool | None]) -> bool:
        told = False
        while not self._stopping:
            try:
                return bool(ask())
            except BrokerAwayError as error:
                if not told:
                    warn(f"{error}; waiting for it")
                told = self._was_away = True
                self.status.stepped_ns = time.monotonic_ns()  # to wait for the broker is no fault
                time.sleep(0.5)
        return False

    def _work_until_stopped(self, subscriber: Reading) -> None:
        while not self._stopping:
            self._step(subscriber)
            if self._options.is_bounded and self._is_over(subscriber):
                self._stopping = False  # a signal that comes now interrupts nothing
                self._tell_of_the_end()
                return
        self._catch_up(self._delivery.partitions)

    def _tell_of_the_end(self) -> None:
        done = [f"{count} {outcome}" for outcome, count in self._delivery.finished.items() if count]
        what = ", ".join(sorted(done)) or "nothing was left to do"
        warn(f"run {self._options.run_name} is done; here: {what}")

    def _step(self, subscriber: Reading) -> None:
        if self._failure:
            raise self._failure
        self._keep_up(subscriber)
        self._read(subscriber)
        self._skip_stale()
        if not self._delivery.busy and (records := self._next_batch()):
            self._work(records)
        if self._processing.held and time.monotonic() > self._ticked_at + TICK_EVERY_S:
            self._ticked_at = time.monotonic()
            self._processing.tick()
        self._take_stock()
        if time.monotonic() > self._measured_at + MEASURE_EVERY_S:
            self._measured_at = time.monotonic()
            self.status.lag = self._delivery.lag(subscriber.ends())

    def _keep_up(self, subscriber: Reading) -> None:
        """Take acknowledgements in, and commit what is due."""
        self._delivery.serve()
        if positions := self._delivery.due():
            subscriber.commit(positions)
        self.status.stepped_ns = time.monotonic_ns()

    def _read(self, subscriber: Reading) -> None:
        """Take in what is there; of a live filter all of it, so that the newest of each source is known."""
        if self._backlog.full or self._has_read_all or self._delivery.busy:
            # The group drops whoever is silent for minutes, as while nothing can be published.
            if time.monotonic() > self._read_at + LISTEN_EVERY_S:
                self._take_in(subscriber.listen())
            elif not self._backlog:
                time.sleep(BETWEEN_LOOKS_S)
            return
        wait_s = 0.0 if self._backlog and not self._waits_for_batch else IDLE_S
        if self._waits_for_batch:
            wait_s = min(wait_s, self._options.batch_wait)
        records = subscriber.read(100, wait_s)
        self._take_in(records)
        while records and self._wants_more:
            self._skip_stale()
            self._keep_up(subscriber)
            records = subscriber.read(100, 0.0)
            self._take_in(records)

    @property
    def _wants_more(self) -> bool:
        """Whether to read on before any work: the newest of each source may be behind what is skipped."""
        may = not self._backlog.full and not self._delivery.busy and not self._stopping
        return may and not self._backlog.keeps_all

    @property
    def _has_read_all(self) -> bool:
        """Whether a bounded run needs no more of its partitions: others may still be at work on theirs."""
        bounded = self._options.is_bounded and bool(self._delivery.partitions)
        return bounded and self._delivery.is_read_to_its_end

    def _skip_stale(self) -> None:
        now_ms = time.time_ns() // 1_000_000
        for record, reason in self._backlog.stale(now_ms, self._work_ms.most + MARGIN_MS):
            self._delivery.publish(record, [], reason)

    def _take_in(self, records: Iterable[Record]) -> None:
        self._read_at = time.monotonic()
        now_ms = time.time_ns() // 1_000_000
        for record in records:
            if not self._delivery.received(record):
                continue
            self.status.received += 1
            self.status.received_bytes += len(record.value or b"")
            wanted_by = record.header(ONLY_FOR)
            if wanted_by and wanted_by != self._options.group_id:
                self._delivery.publish(record, [], SKIPPED_OTHER_GROUP)
            elif self._delivery.is_outside(record):
                self._delivery.publish(record, [], SKIPPED_OUTSIDE)
            else:
                self._backlog.add(record, now_ms, unskippable=bool(wanted_by))

    @property
    def _waits_for_batch(self) -> bool:
        """Whether there is something to do, but a fuller batch is worth waiting for."""
        backlog, most = self._backlog, self._options.batch
        in_vain = self._has_read_all or not self._options.batch_wait
        if not backlog or backlog.full or len(backlog) >= most or in_vain:
            self._batch_since = None
            return False
        self._batch_since = self._batch_since or time.monotonic()
        return time.monotonic() - self._batch_since < self._options.batch_wait and not self._stopping

    def _next_batch(self) -> list[Record]:
        if self._waits_for_batch:
            return []
        self._batch_since = None
        records: list[Record] = []
        while len(records) < self._options.batch and (record := self._backlog.take()) is not None:
            records.append(record)
        return records

    def _work(self, records: Sequence[Record]) -> None:
        began, self._began_ns = time.perf_counter(), time.time_ns()
        self._processing.work(records)
        self._work_ms.observe((time.perf_counter() - began) * 1000)

    def _take_stock(self) -> None:
        status = self.status
        status.waiting = len(self._backlog)
        status.unacknowledged = self._delivery.pending
        status.published, status.published_bytes = self._delivery.sent, self._delivery.sent_bytes
        status.away = self._bus.away

    def _bury(self, record: Record, reason: str, error: str) -> None:
        warn(f"{record.topic}[{record.partition}]@{record.offset} becomes a dead letter ({reason}): {error}")
        self._delivery.publish(record, [self._dead_letter(record, reason, error)], DEAD)

    def _dead_letter(self, record: Record, reason: str, error: str) -> Outgoing:
        self._make_once(dead_letters_of(record.topic))
        letter = dead_letter(
            record, reason=reason, error=error, stage=self._options.name, group=self._options.group_id
        )
        trace.spans(self._options.name).fault(record, letter, reason, error, self._began_ns)
        return letter

    def _make_once(self, topic: str) -> None:
        if topic not in self._ready:
            self._until_answered(lambda: self._make(topic))
            self._ready.add(topic)

    def _note(self, partition: int, log: str, runs: list[Run]) -> Outcomes | None:
        if not self._keeps_notes:
            return None
        try:
            self._make_once(OUTCOMES)
        except BusError as error:
            warn(f"which frames are skipped and filtered out is counted, but not noted: {error}")
            self._keeps_notes = False
            return None
        return Outcomes(self._options.group_id, self._input, partition, runs, log)

    def _tell(self, item: Item, took_s: float) -> None:
        """Print the line of one input: what was found, its time and the average."""
        self._processed += 1
        self._busy_s += took_s
        if self._options.quiet:
            return
        found = "; ".join(map(self._described, item.results)) or "filtered out"
        average_ms = self._busy_s / self._processed * 1000
        name = printable(f"{item.frame.source} #{item.frame.sequence}: {found}")
        say(f"{name} | {took_s * 1000:.1f} ms, average {average_ms:.1f} ms")

    def _described(self, frame: Frame) -> str:
        try:
            return str(self._filter.describe(frame))
        except Exception as error:  # noqa: BLE001  the frame is out already: it has no second outcome
            return f"(describe failed: {type(error).__name__}: {error})"

    def _is_over(self, subscriber: Reading) -> bool:
        """Whether a bounded run has come to its end, in all partitions, whoever has them."""
        if len(self._backlog) or not self._delivery.is_read_to_its_end:
            return False
        if self._processing.held:
            self._processing.end()
        if time.monotonic() < self._looked_at + LOOK_ROUND_S or not self._delivery.is_complete:
            return False
        self._looked_at = time.monotonic()
        try:
            positions = subscriber.positions().values()
        except BrokerAwayError:
            return False
        ranges = {commit.read(position).range for position in positions if position}
        if len(ranges) > 1:
            raise UnfinishedError(
                f"run {self._options.run_name} was begun twice at once, with different times: each did some "
                "of the partitions; give another --run"
            )
        is_over = all(map(_is_complete, positions))
        if is_over:
            self._tell_of_other_range(ranges)
        return is_over

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
                self._work([record])

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
            self._take_stock()
            subscriber.close()

    def assigned(self, partitions: Iterable[Assigned]) -> None:
        """Begin with partitions that the group gave us."""
        assigned = list(partitions)
        if not self._options.is_bounded:
            assigned = [self._unbounded(one) for one in assigned]
        self._delivery.begin(assigned)
        self._tell_of_other_range({commit.read(one.position).range for one in assigned})
        self.status.partitions = tuple(sorted(self._delivery.partitions))

    def _unbounded(self, one: Assigned) -> Assigned:
        """Return a place without the end of the bounded run that left it: this one goes on."""
        left = commit.read(one.position)
        if (left.end, left.range) == (None, (None, None)):
            return one
        warn(f"{self._input}[{one.partition}] was left by a bounded run of this group; going on behind it")
        live = msgspec.structs.replace(left, end=None, range=(None, None))
        return replace(one, position=live.at(one.position.offset))

    def _tell_of_other_range(self, ranges: set[moment.Range]) -> None:
        if not self._options.is_bounded or self._told_range:
            return
        for found in ranges - {self._range}:
            begin, end = ("the edge of the log" if at is None else moment.text(at) for at in found)
            warn(f"run {self._options.run_name} was begun from {begin} until {end}, and goes on so")
            self._told_range = True

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
        return self._let_go(gone)

    def lost(self, partitions: Iterable[int]) -> None:
        """Forget partitions that somebody else has by now."""
        gone = set(partitions)
        self._backlog.discard(lambda record: record.partition in gone)
        self._let_go(list(gone))

    def passed(self, partition: int, offset: int) -> None:
        """Note that there is no further record before this offset."""
        self._delivery.passed(partition, offset)

    def _let_go(self, partitions: list[int]) -> dict[int, Position]:
        try:
            self._processing.lose(partitions)
        except Exception as error:  # noqa: BLE001  a fault of the filter; see revoked
            self._failure = error
        ended = self._delivery.end(partitions)
        self.status.partitions = tuple(sorted(self._delivery.partitions))
        return ended


class Expected:
    """How long work takes at most, as a rule: the mean and four mean deviations (RFC 6298), ms."""

    def __init__(self) -> None:
        self._mean = self._deviation = 0.0
        self._any = False

    def observe(self, took_ms: float) -> None:
        """Take a duration in."""
        if not self._any:
            self._mean, self._deviation, self._any = took_ms, took_ms / 2, True
            return
        self._deviation += (abs(took_ms - self._mean) - self._deviation) / 4
        self._mean += (took_ms - self._mean) / 8

    @property
    def most(self) -> float:
        """Return the estimate."""
        return self._mean + 4 * self._deviation


def _is_complete(position: Position | None) -> bool:
    end = commit.read(position).end if position else None
    return position is not None and end is not None and position.offset >= end
