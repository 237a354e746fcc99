"""Reads any range of one topic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from imagebus.bus.availability import Availability
from imagebus.bus.client import (
    ANSWER_S,
    CONSUMING,
    Consumer,
    KafkaError,
    classifying,
)
from imagebus.bus.offsets import LogOffsets
from imagebus.bus.ranges import Place, read_ranges
from imagebus.errors import BusError
from imagebus.record import Record

if TYPE_CHECKING:
    from imagebus.bus.bus import Bus


class LogReader:
    """Reads any range of a topic, without a group and without commits. Use it as a context manager.

    Attributes:
        partitions: how many the topic has.
        offsets: its offsets by partition.

    Raises:
        BusError: there is no such topic, or no answer in time.
    """

    def __init__(self, bus: Bus, topic: str) -> None:
        self._topic = topic
        self._state = Availability(bus.kafka, has_group=False)
        known = bus.topics()
        if topic not in known:
            raise BusError(f"there is no topic {topic} on {bus.kafka}")
        self.partitions = known[topic]
        settings = {
            "group.id": "imagebus.reader",
            "auto.offset.reset": "earliest",
            "error_cb": self._state.error,
            "enable.auto.commit": False,
        }
        self._consumer = bus.client(Consumer, {**CONSUMING, "enable.partition.eof": True}, settings)
        self.offsets = LogOffsets(self._consumer, topic, bus.log_id(topic))

    def __enter__(self) -> LogReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def edges(self) -> dict[int, tuple[int, int]]:
        """Return of each partition the oldest offset kept and the one that the next record gets."""
        with classifying(f"reading {self._topic}"):
            return {partition: self.offsets.edges(partition) for partition in range(self.partitions)}

    def since(self, timestamp_ms: int) -> dict[int, int]:
        """Return of each partition the first offset captured at that time or later; the end where none is."""
        with classifying(f"reading {self._topic}"):
            return {p: self.offsets.at(p, timestamp_ms) for p in range(self.partitions)}

    def read(self, ranges: Mapping[int, tuple[int, int]]) -> Iterator[Record]:
        """Yield every record of [first, end) of each partition, in order within the partition.

        Raises:
            BusError: nothing came for some seconds; the broker is away or the log was cut.
        """
        places = {(self._topic, partition): span for partition, span in ranges.items()}
        yield from read_ranges(self._consumer, places, self._state, _never, 2 * ANSWER_S)

    def close(self) -> None:
        """End the connection."""
        self._consumer.close()


def _never(_place: Place, _error: KafkaError) -> bool:
    return False
