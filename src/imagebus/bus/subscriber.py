"""A member of a group."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any

import msgspec

from imagebus import commit
from imagebus.bus.availability import Availability
from imagebus.bus.client import (
    ANSWER_S,
    REFUSED_FOR_GOOD,
    KafkaError,
    KafkaException,
    TopicPartition,
    classified,
    poll,
    record_of,
)
from imagebus.bus.log_watch import LogWatch
from imagebus.bus.offsets import LogOffsets
from imagebus.connection import Assigned, Listener, Position, Start
from imagebus.errors import BrokerAwayError, BusError, TopicGoneError
from imagebus.log import warn
from imagebus.record import Record

LAST_ANSWER_S = 2.0
LAST_COMMIT_S = 3.0

LEAVE_S = 3.0

COMMIT_AGAIN_S = 0.25

NEWS_S = 0.05

GROUP_SETTLES = {KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS}


class Subscriber:
    """A member of a group. All calls, and those of its listener, happen in one thread."""

    def __init__(
        self,
        topic: str,
        start: Start,
        listener: Listener,
        state: Availability,
        log_id: Callable[[str], str],
        watch: LogWatch,
        session_s: float,
    ) -> None:
        self._topic = topic
        self._session_s = session_s
        self._log_id = log_id
        self._watch = watch
        self._start = start
        self._listener = listener
        self._state = state
        self._consumer: Any = None
        self._new: list[TopicPartition] = []
        self._moved: set[int] = set()
        self._told = False
        self._at_end: dict[int, int] = {}
        self._failing_since, self._told_failing = inf, False
        self._committing: dict[int, Position] = {}
        self._to_repeat: set[int] = set()
        self._repeat_at = 0.0
        self._read_at = time.monotonic()
        self._paused = False
        self._final: dict[int, Position] = {}

    def _begin(self, consumer: Any) -> None:
        self._consumer = consumer
        consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def read(self, limit: int, timeout_s: float) -> list[Record]:
        """Return at most that many records, waiting for the first at most that long.

        Raises:
            BusError: the broker refuses for good.
        """
        if self._paused:
            self._consumer.resume(self._consumer.assignment())
            self._paused = False
        return self._poll(limit, timeout_s)

    def listen(self) -> list[Record]:
        """Hear what becomes of the group, without reading on; return the records that come all the same.

        The group drops whoever does neither for minutes.

        Raises:
            BusError: the broker refuses for good.
        """
        if not self._paused:
            self._consumer.pause(self._consumer.assignment())
            self._paused = True
        return self._poll(1, 0.0)

    def _poll(self, limit: int, timeout_s: float) -> list[Record]:
        if self._is_late:
            time.sleep(NEWS_S)  # the client hears in its own thread that the group has gone on without us
        self._read_at = time.monotonic()
        self._tell_of_ends()
        records = [r for message in poll(self._consumer, limit, timeout_s) if (r := self._record(message))]
        self._state.check()
        if self._watch.is_another():
            warn(f"topic {self._topic} was deleted and made anew; reading it from its beginning")
            self._begin_anew([place.partition for place in self._consumer.assignment()])
        if self._new:
            begun = self._begin_new()  # what was read of them before is of another time
            records = [record for record in records if record.partition not in begun]
            self._at_end = {p: offset for p, offset in self._at_end.items() if p not in begun}
        if self._to_repeat and time.monotonic() >= self._repeat_at:
            self.commit({partition: self._committing[partition] for partition in self._to_repeat})
        self._read_at = time.monotonic()
        return records

    def _tell_of_ends(self) -> None:
        """Tell where partitions ended at the last read: what was read before is taken in by now."""
        at_end, self._at_end = self._at_end, {}
        for partition, offset in at_end.items():
            self._listener.passed(partition, offset)

    @property
    def _is_late(self) -> bool:
        """Whether nothing was read for so long that the group may have given our partitions away.

        A process that was stopped notices nothing else of it; a filter may also just be slow.
        """
        return time.monotonic() > self._read_at + self._session_s

    def _record(self, message: Any) -> Record | None:
        if (error := message.error()) is None:
            return record_of(message)
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._find_again(message.partition())
            return None
        if error.code() == KafkaError._PARTITION_EOF:
            self._at_end[message.partition()] = message.offset()
            return None
        if error.code() in REFUSED_FOR_GOOD:
            raise BusError(f"reading {self._topic}: {error.str()}")
        self._state.error(error)
        return None

    def _find_again(self, partition: int) -> None:
        """Begin anew with a partition whose log no longer holds our place: cut by retention, or made anew."""
        warn(
            f"{self._topic}[{partition}] no longer holds the place of this group; going on from its beginning"
        )
        self._begin_anew([partition])

    def _begin_anew(self, partitions: list[int]) -> None:
        self._listener.lost(partitions)
        self._forget(partitions)
        places = [TopicPartition(self._topic, partition) for partition in partitions]
        self._consumer.incremental_unassign(places)
        self._new += places
        self._moved |= set(partitions)

    def commit(self, positions: Mapping[int, Position]) -> None:
        """Commit without waiting; what fails, as while the group settles anew, is committed again."""
        self._committing |= positions
        self._to_repeat |= positions.keys()
        if not self._is_late:  # else once we know that they are ours still
            self._commit_now(positions)

    def _commit_now(self, positions: Mapping[int, Position]) -> None:
        self._to_repeat -= positions.keys()
        self._consumer.commit(offsets=self._offsets(positions), asynchronous=True)

    def commit_and_wait(self, positions: Mapping[int, Position]) -> None:
        """Commit and wait for the broker's word.

        Raises:
            BusError: the broker did not take it; what lies after the last commit will be read again.
        """
        self._final = dict(positions)
        give_up = time.monotonic() + ANSWER_S
        while self._final:
            try:
                # A commit waits three quarters of a minute for a broker that is away: nobody stops so slowly.
                self._consumer.list_topics(self._topic, timeout=LAST_ANSWER_S)
                self._commit_within(self._final, LAST_COMMIT_S)
                self._final = {}
                return
            except KafkaException as error:
                if error.args[0].code() not in GROUP_SETTLES or time.monotonic() > give_up:
                    raise classified(error.args[0], f"committing {self._topic} failed") from error
            self._consumer.poll(0.1)  # let the group settle; what is read here is beyond the commit

    def _commit_within(self, positions: Mapping[int, Position], timeout_s: float) -> None:
        """Commit and wait for the broker's word, in a thread that does not keep the process.

        The client itself waits for ever where the broker goes away at that moment, and hears no signal.
        """
        failures: list[KafkaException] = []
        offsets = self._offsets(positions)

        def commit_and_hear() -> None:
            try:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            except KafkaException as error:
                failures.append(error)

        thread = threading.Thread(target=commit_and_hear, name="commit", daemon=True)
        thread.start()
        thread.join(timeout_s)
        if thread.is_alive():
            raise BrokerAwayError(f"committing {self._topic}: no answer in {timeout_s:g} s")
        if failures:
            raise failures[0]

    def positions(self) -> dict[int, Position | None]:
        """Return what the group has committed of every partition of the topic, ours or not.

        Raises:
            BusError: no answer in time.
        """
        try:
            known = self._consumer.list_topics(self._topic, timeout=ANSWER_S).topics[self._topic]
            if known.error is not None:
                raise KafkaException(known.error)
            places = [TopicPartition(self._topic, partition) for partition in known.partitions]
            found = self._consumer.committed(places, timeout=ANSWER_S)
            for place in found:
                if place.error is not None:  # unknown is not "none": to begin anew would skip frames
                    raise KafkaException(place.error)
        except KafkaException as error:
            raise classified(error.args[0], f"positions of {self._topic}") from error
        return {p.partition: Position(p.offset, p.metadata or "") if p.offset >= 0 else None for p in found}

    def ends(self) -> dict[int, int]:
        """Return of each partition of ours the offset that the next record gets, as far as is known here.

        The client learns it with every answer to a fetch; nobody is asked and nobody waits.
        """
        try:
            found = {p.partition: self._known_end(p) for p in self._consumer.assignment()}
        except KafkaException as error:
            raise classified(error.args[0], f"partitions of {self._topic}") from error
        return {partition: end for partition, end in found.items() if end is not None}

    def _known_end(self, place: TopicPartition) -> int | None:
        edges = self._consumer.get_watermark_offsets(place, cached=True)
        return int(edges[1]) if edges and edges[1] >= 0 else None

    def close(self) -> None:
        """Leave the group, or be gone without a word where the broker does not answer.

        The client itself would wait three quarters of a minute for its last commit; so it does in a thread
        that does not keep the process.
        """
        leaving = threading.Thread(target=self._consumer.close, name="leave the group", daemon=True)
        leaving.start()
        leaving.join(LEAVE_S)

    def _offsets(self, positions: Mapping[int, Position]) -> list[TopicPartition]:
        return [
            TopicPartition(self._topic, partition, position.offset, position.metadata)
            for partition, position in positions.items()
        ]

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        failed = error is not None and error.code() != KafkaError._NO_OFFSET
        if failed:
            # There may be no next commit: the last frame of a camera that was switched off.
            self._to_repeat |= {place.partition for place in partitions} & self._committing.keys()
            self._repeat_at = time.monotonic() + COMMIT_AGAIN_S
            self._tell_of_failed_commit(error)
        else:
            self._failing_since, self._told_failing = inf, False
            self._state.answered()

    def _tell_of_failed_commit(self, error: Any) -> None:
        """Say it once; that the group settles anew for some seconds is nothing to tell of."""
        self._failing_since = min(self._failing_since, time.monotonic())
        settles = error.code() in GROUP_SETTLES and time.monotonic() < self._failing_since + ANSWER_S
        if not settles and not self._told_failing:
            warn(f"committing {self._topic} failed ({error}); it is done again")
            self._told_failing = True

    # The client serves other callbacks after these within one poll, and aborts the whole process if one of
    # these waited for the broker meanwhile: so here is nothing that waits (confluent-kafka: CallState_get).

    def _on_assign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        """Take note; ``read`` finds out where to begin."""
        self._new += partitions
        consumer.incremental_assign([])

    def _on_revoke(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        positions = dict(self._listener.revoked([p.partition for p in partitions]))
        positions |= {
            p.partition: self._final.pop(p.partition) for p in partitions if p.partition in self._final
        }
        if positions:
            # It goes to the broker ahead of our next word to the group; if it fails, the next owner repeats.
            self._commit_now(positions)
        self._unassign(consumer, partitions)

    def _on_lost(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        numbers = ", ".join(str(place.partition) for place in partitions)
        warn(
            "the group went on without this process (it stood still, or the broker was away): partitions "
            f"{numbers} of {self._topic} may be with others now, who repeat what was not committed"
        )
        self._listener.lost([p.partition for p in partitions])
        self._final = {}
        self._unassign(consumer, partitions)

    def _forget(self, partitions: Iterable[int]) -> None:
        """Commit nothing again, and tell of no end, of partitions that are no longer ours."""
        for partition in partitions:
            self._committing.pop(partition, None)
            self._at_end.pop(partition, None)
            self._to_repeat.discard(partition)

    def _unassign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._forget(place.partition for place in partitions)
        never = [p for p in partitions if p in self._new]
        self._new = [p for p in self._new if p not in never]
        consumer.incremental_unassign([p for p in partitions if p not in never])

    def _begin_new(self) -> set[int]:
        """Begin with partitions that the group gave us, and return them; where the broker is away, later.

        Raises:
            BusError: the broker refuses for good.
        """
        try:
            assigned = self._resolve(self._new)
        except (KafkaException, BrokerAwayError, TopicGoneError) as error:
            reason = error.args[0]
            if isinstance(reason, KafkaError) and reason.code() in REFUSED_FOR_GOOD:
                raise BusError(f"positions of {self._topic}: {reason.str()}") from error
            if not self._told:
                warn(f"positions of {self._topic} are not to be had yet ({reason})")
            self._told = True
            return set()
        self._new, self._moved, self._told = [], set(), False
        self._listener.assigned(assigned)
        places = [TopicPartition(self._topic, a.partition, max(a.position.offset, a.low)) for a in assigned]
        self._consumer.incremental_assign(places)
        self._consumer.resume(places)  # one that was paused when it was lost would stay so
        return {a.partition for a in assigned}

    def _resolve(self, partitions: list[TopicPartition]) -> list[Assigned]:
        """Find where to begin; what was not committed yet is committed now, before any work.

        A topic that was made anew may have fewer partitions, as the group will soon know too.
        """
        log = LogOffsets(self._consumer, self._topic, self._log_id(self._topic))
        self._watch.take(log.id)
        commits = self.positions()
        assigned, first = [], {}
        for partition in (place.partition for place in partitions if place.partition in commits):
            edges = log.edges(partition)
            position = commits[partition]
            if position is None or self._is_another_log(position, log, partition, edges):
                is_new = position is not None or self._is_new(partition, log, commits)
                position = self._beginning(log, partition, len(commits), edges[0] if is_new else None)
                first[partition] = position
            elif not commit.is_known(position):
                warn(
                    f"{log.topic}[{partition}]@{position.offset} was committed by another program or "
                    "version, without counts that are known here: going on there, counting anew"
                )
                plan = commit.read(self._beginning(log, partition, len(commits), None))
                position = msgspec.structs.replace(plan, begin=position.offset).at(position.offset)
            assigned.append(Assigned(partition, position, edges[0]))
        if first:
            self._commit_within(first, ANSWER_S)
        return assigned

    def _beginning(self, log: LogOffsets, partition: int, partitions: int, low: int | None) -> Position:
        """Return where ``--start`` leads, or ``low`` if that is given; a bounded run keeps to its range."""
        position = self._start(log, partition)
        plan = msgspec.structs.replace(commit.read(position), partitions=partitions)
        if low is None or plan.end is not None:
            return plan.at(position.offset)
        return msgspec.structs.replace(plan, begin=low).at(low)

    def _is_new(self, partition: int, log: LogOffsets, commits: Mapping[int, Position | None]) -> bool:
        """Whether a partition without a commit is younger than this group, which then wants all of it.

        The topic was made anew, or the partition was added to it.
        """
        if partition in self._moved or log.id != self._watch.first:
            return True
        others = [commit.read(position) for position in commits.values() if position]
        return any((o.log and o.log != log.id) or 0 < o.partitions <= partition for o in others)

    def _is_another_log(
        self, position: Position, log: LogOffsets, partition: int, edges: tuple[int, int]
    ) -> bool:
        """Say whether the topic was made anew since the commit: all of it is new to this group."""
        known = commit.read(position).log
        if position.offset <= edges[1] and (not known or not log.id or known == log.id):
            return False
        if partition not in self._moved:
            warn(
                f"{log.topic}[{partition}] is a new log, not the one this group has read to {position.offset}"
            )
        return True
