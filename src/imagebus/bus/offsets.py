"""Looks offsets of one topic up."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from imagebus.bus.client import (
    ANSWER_S,
    NOT_LED_YET,
    KafkaException,
    TopicPartition,
)


@dataclass(frozen=True, slots=True)
class LogOffsets:
    """Looks offsets of one topic up."""

    consumer: Any
    topic: str
    id: str = ""

    def edges(self, partition: int) -> tuple[int, int]:
        """Return the oldest offset kept and the one that the next record gets."""
        place = TopicPartition(self.topic, partition)
        give_up = time.monotonic() + ANSWER_S
        while True:
            try:
                low, high = self.consumer.get_watermark_offsets(place, timeout=ANSWER_S, cached=False)
            except KafkaException as error:
                if error.args[0].code() not in NOT_LED_YET or time.monotonic() > give_up:
                    raise
                time.sleep(0.1)
            else:
                return int(low), int(high)

    def at(self, partition: int, timestamp_ms: int) -> int:
        """Return the first offset captured at that time or later; the end where there is none."""
        wanted = TopicPartition(self.topic, partition, timestamp_ms)
        [found] = self.consumer.offsets_for_times([wanted], timeout=ANSWER_S)
        if found.error is not None:  # unknown is not "none": to begin at the end would skip frames
            raise KafkaException(found.error)
        return int(found.offset) if found.offset >= 0 else self.edges(partition)[1]
