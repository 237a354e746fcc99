"""The loop that reads ranges of the log: what is to be read, and when there is no more of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from math import inf
from typing import Any

from imagebus.bus.availability import Availability
from imagebus.bus.client import KafkaError, TopicPartition, poll, record_of
from imagebus.errors import BrokerAwayError
from imagebus.record import Record

Place = tuple[str, int]
"""A topic and a partition."""
Ranges = Mapping[Place, tuple[int, int]]


def read_ranges(
    consumer: Any,
    ranges: Ranges,
    state: Availability,
    gives_up: Callable[[Place, KafkaError], bool],
    patience_s: float,
    within_s: float = inf,
) -> Iterator[Record]:
    """Yield the records of [first, end) of each place, in order within each.

    Args:
        consumer: tells where a partition ends (``enable.partition.eof``).
        gives_up: whether a place is left out after this error.
        patience_s: so long may nothing come.
        within_s: what is not read by then, is left out.

    Raises:
        BusError: nothing came for so long, or the broker refuses for good.
    """
    left = {place: end for place, (first, end) in ranges.items() if first < end}
    give_up = time.monotonic() + within_s
    quiet_since = time.monotonic()
    consumer.assign([TopicPartition(*place, ranges[place][0]) for place in left])
    while left and time.monotonic() < give_up:
        for message in poll(consumer, 500, 0.2):
            place, error = (message.topic(), message.partition()), message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                if place in left and gives_up(place, error):
                    del left[place]
                else:
                    state.error(error)
                continue
            if error is None and message.offset() < left.get(place, 0):
                yield record_of(message)
            quiet_since = time.monotonic()  # whoever takes the records may take his time
            if place in left and message.offset() + (error is None) >= left[place]:
                del left[place]
        state.check()
        if left and time.monotonic() > quiet_since + patience_s:
            raise BrokerAwayError(f"reading {next(iter(left))[0]}: nothing came for {patience_s:.0f} s")
    consumer.unassign()
