"""Reads what comes, without a group."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from imagebus.bus.availability import Availability
from imagebus.bus.client import (
    ANSWER_S,
    CONSUMING,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
    classified,
    poll,
    record_of,
)
from imagebus.bus.offsets import LogOffsets
from imagebus.record import Record

if TYPE_CHECKING:
    from imagebus.bus.bus import Bus


class Tail:
    """Reads without a group and without commits: from the newest record of a partition on."""

    def __init__(self, bus: Bus) -> None:
        self._state = Availability(bus.kafka, has_group=False)
        settings = {
            "group.id": "imagebus.tail",
            "enable.auto.commit": False,
            "auto.offset.reset": "latest",
            "fetch.wait.max.ms": 100,  # a topic that is new has to wait for a fetch of the others to end
            "error_cb": self._state.error,
        }
        self._reader = bus.client(Consumer, CONSUMING, settings)
        self._probe = bus.client(Consumer, CONSUMING, settings)
        self._followed: set[tuple[str, int]] = set()
        self._bus = bus

    def newest(self, topic: str) -> Record | None:
        """Return the record with the latest timestamp, none where the topic is empty or missing.

        Raises:
            BrokerAwayError: no answer in time.
        """
        log = LogOffsets(self._probe, topic)
        try:
            places = []
            for partition in range(self._bus.topics().get(topic, 0)):
                low, high = log.edges(partition)
                if high > low:
                    places.append(TopicPartition(topic, partition, high - 1))
            self._probe.assign(places)
            records = self._one_each(len(places))
        except KafkaException as error:
            raise classified(error.args[0], f"reading {topic}") from error
        finally:
            self._probe.unassign()
        return max(records, key=lambda record: record.timestamp_ms, default=None)

    def _one_each(self, wanted: int) -> list[Record]:
        found: dict[int, Record] = {}
        give_up = time.monotonic() + ANSWER_S
        while len(found) < wanted and time.monotonic() < give_up:
            for message in poll(self._probe, wanted, 0.2):
                if message.error() is None:
                    found.setdefault(message.partition(), record_of(message))
        return list(found.values())

    def follow(self, partitions: set[tuple[str, int]]) -> None:
        """Read exactly these (topic, partition) from now on; new ones from their newest record.

        Raises:
            BrokerAwayError: no answer in time; what was followed before still is.
        """
        gone, new = self._followed - partitions, partitions - self._followed
        try:
            begin = [TopicPartition(t, p, self._newest_offset(t, p)) for t, p in sorted(new)]
            if gone:
                self._reader.incremental_unassign([TopicPartition(t, p) for t, p in sorted(gone)])
            if begin:
                self._reader.incremental_assign(begin)
        except KafkaException as error:
            raise classified(error.args[0], "following topics") from error
        self._followed = set(partitions)

    def _newest_offset(self, topic: str, partition: int) -> int:
        low, high = LogOffsets(self._probe, topic).edges(partition)  # the reader's answer waits for its fetch
        return max(low, high - 1)

    def read(self, timeout_s: float, limit: int = 100) -> list[Record]:
        """Return records as they come, waiting for the first at most that long.

        Raises:
            BusError: the broker refuses for good.
        """
        records = []
        for message in poll(self._reader, limit, timeout_s):
            if (error := message.error()) is None:
                self._state.answered()
                records.append(record_of(message))
            elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                self._forget(message.topic(), message.partition())
            else:
                self._state.error(error)
        self._state.check()
        return records

    def _forget(self, topic: str, partition: int) -> None:
        """Take note that a partition is gone; made anew, it is one to begin with."""
        if (topic, partition) in self._followed:
            self._followed.discard((topic, partition))
            self._reader.incremental_unassign([TopicPartition(topic, partition)])

    @property
    def away(self) -> bool:
        """Return whether every broker is out of reach."""
        return self._state.away

    def close(self) -> None:
        """End both connections."""
        self._reader.close()
        self._probe.close()
