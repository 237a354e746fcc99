"""Reading on a real broker: a pause, and a topic that goes and comes while it is followed."""

from __future__ import annotations

import time

import pytest

from bench.on_bus import Owner
from imagebus.bus import Bus, Tail
from imagebus.record import Record
from imagebus.start import EARLIEST, Plan
from tests.broker import Put, delete_topic, fresh, make_topic, put
from tests.programs import wait_for

pytestmark = pytest.mark.kafka


def test_who_listens_reads_nothing_on_and_goes_on_where_he_was(kafka: str) -> None:
    topic = make_topic(kafka, fresh("listen"), 2)
    put(kafka, topic, [Put(b"%d" % n, partition=n % 2) for n in range(400)])
    subscriber = Bus(kafka).subscriber(topic, fresh("group"), Plan(EARLIEST), Owner())
    found: list[Record] = []

    def read() -> int:
        found.extend(subscriber.read(10, 0.2))
        return len(found)

    wait_for(read, "a first record")
    late = []
    give_up = time.monotonic() + 3
    while time.monotonic() < give_up:
        late += subscriber.listen()
        time.sleep(0.05)
    assert late == []
    wait_for(lambda: read() >= 400, "the rest")
    for partition in (0, 1):
        offsets = [record.offset for record in found if record.partition == partition]
        assert offsets == list(range(200))
    subscriber.close()


def test_a_partition_that_was_lost_while_its_owner_only_listened_is_read_when_it_comes_back(
    kafka: str,
) -> None:
    topic, group = make_topic(kafka, fresh("listen"), 2), fresh("group")
    put(kafka, topic, [Put(b"%d" % n, partition=n % 2) for n in range(20)])
    owner = Bus(kafka).subscriber(topic, group, Plan(EARLIEST), Owner())
    wait_for(lambda: owner.read(5, 0.2), "a first record")
    other = Bus(kafka).subscriber(topic, group, Plan(EARLIEST), Owner())
    theirs: list[Record] = []

    def shared() -> bool:
        owner.listen()
        theirs.extend(other.read(1, 0.1))
        return bool(theirs)

    wait_for(shared, "its share")
    other.close()
    lost = theirs[0].partition
    put(kafka, topic, [Put(b"late", partition=lost)])
    wait_for(lambda: any(one.value == b"late" for one in owner.read(100, 0.2)), "what came since")
    owner.close()


def test_a_topic_that_is_deleted_and_made_anew_is_followed_again(kafka: str) -> None:
    gone, stays = make_topic(kafka, fresh("gone")), make_topic(kafka, fresh("stays"))
    tail = Tail(Bus(kafka))
    both = {(gone, 0), (stays, 0)}
    seen: list[bytes | None] = []

    def read() -> list[bytes | None]:
        seen.extend(record.value for record in tail.read(0.1))
        return seen

    tail.follow(both)
    put(kafka, gone, [Put(b"before")])
    wait_for(lambda: b"before" in read(), "a record")
    delete_topic(kafka, gone)
    tail.follow({(stays, 0)})
    make_topic(kafka, gone)
    tail.follow(both)
    put(kafka, gone, [Put(b"after")])
    put(kafka, stays, [Put(b"beside")])
    wait_for(lambda: {b"after", b"beside"} <= set(read()), "records of both")
    tail.close()
