"""The first records on a topic that was made a moment ago: none may be lost."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest

from imagebus.bus import Bus
from imagebus.record import Outgoing

RECORDS = 6


@pytest.mark.kafka
def test_every_record_that_is_acknowledged_on_a_new_topic_is_there(kafka: str) -> None:
    bus = Bus(kafka)
    topics = [f"first-{uuid4().hex}" for _ in range(20)]
    for topic in topics:
        publisher = bus.publisher()
        outcomes: list[Exception | None] = []
        bus.ensure_topic(topic)
        for number in range(RECORDS):
            record = Outgoing(topic, b"camera", b"%d" % number, time.time_ns() // 1_000_000, ())
            publisher.send(record, outcomes.append)
            publisher.poll(0)
            time.sleep(0.002)
        assert publisher.flush(10) == 0
        assert outcomes == [None] * RECORDS
    tail = bus.tail()
    for topic in topics:
        newest = tail.newest(topic)
        assert newest is not None
        assert newest.offset >= RECORDS - 1, f"{newest.offset + 1} of {RECORDS} records are there"
    tail.close()
