"""The broker as a plain client sees it: nothing of the library's own client is used here."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from imagebus import jpeg
from imagebus.connection import Position
from imagebus.record import Record
from tests.programs import wait_for

LARGE = 64 * 1024 * 1024
Identity = tuple[str, str, int]
NO_COORDINATOR = {
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
}


@dataclass(frozen=True, slots=True)
class Put:
    """One record to put on a topic."""

    value: bytes | None
    key: bytes | None = b"camera"
    timestamp_ms: int = 0
    partition: int = -1
    headers: Sequence[tuple[str, bytes | None]] = ()


def fresh(name: str) -> str:
    """Return a topic's name that no other test has."""
    return f"{name}-{secrets.token_hex(4)}"


def make_topic(kafka: str, topic: str, partitions: int = 1, **config: object) -> str:
    """Make a topic; dots in the names of its settings are written as two underscores."""
    settings = {"max.message.bytes": str(32 * 1024 * 1024)}
    settings |= {key.replace("__", "."): str(value) for key, value in config.items()}
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic(topic, partitions, 1, config=settings)])[topic].result(10)
    return topic


def put(kafka: str, topic: str, puts: Iterable[Put]) -> list[tuple[int, int]]:
    """Put records on a topic and return the partition and offset of each."""
    producer = Producer(
        {
            "bootstrap.servers": kafka,
            "log_level": 2,
            "message.max.bytes": LARGE,
            "acks": "all",
            "enable.idempotence": True,
        }
    )
    places: dict[int, tuple[int, int]] = {}

    def keep(number: int) -> Any:
        def delivered(error: Any, message: Any) -> None:
            assert error is None, error
            places[number] = (message.partition(), message.offset())

        return delivered

    for number, one in enumerate(puts):
        more: dict[str, Any] = {"partition": one.partition} if one.partition >= 0 else {}
        more |= {"timestamp": one.timestamp_ms} if one.timestamp_ms else {}
        producer.produce(
            topic, one.value, one.key, headers=list(one.headers), on_delivery=keep(number), **more
        )
        producer.poll(0)
        while len(producer) > 200:
            producer.poll(0.01)
    assert producer.flush(60) == 0
    return [places[number] for number in range(len(places))]


def transaction(kafka: str, topic: str, puts: Iterable[Put], *, commit: bool) -> None:
    """Put records in one transaction, committed or not: either leaves an offset without a record."""
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": fresh("t"), "log_level": 2})
    producer.init_transactions(30)
    producer.begin_transaction()
    for one in puts:
        producer.produce(topic, one.value, one.key, one.partition, timestamp=one.timestamp_ms)
    producer.flush(30)
    (producer.commit_transaction if commit else producer.abort_transaction)(30)


def cut(kafka: str, topic: str, partition: int, offset: int) -> None:
    """Remove all records below an offset, as retention would."""
    admin = AdminClient({"bootstrap.servers": kafka})
    place = TopicPartition(topic, partition, offset)
    admin.delete_records([place])[place].result(10)


def delete_topic(kafka: str, topic: str, *, wait: bool = True) -> None:
    """Delete a topic and wait until it is gone."""
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.delete_topics([topic])[topic].result(10)
    if wait:
        wait_for(lambda: topic not in topics(kafka), f"{topic} gone")


def commit_as(kafka: str, group: str, topic: str, positions: Mapping[int, Position]) -> None:
    """Commit for a group as another program would: positions by partition."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": group, "log_level": 2})
    places = [TopicPartition(topic, p, one.offset, one.metadata) for p, one in positions.items()]
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()


class Feeder:
    """Puts frames on a topic from a thread of its own, until it is stopped; a broker may go away meanwhile.

    Args:
        per_s: frames a second.
        partitions: of the topic; frames go to them in turn, sources take longer turns.
        enough: no more are sent while this says so.
    """

    def __init__(
        self,
        kafka: str,
        topic: str,
        *,
        per_s: float,
        partitions: int = 1,
        enough: Callable[[], bool] | None = None,
    ) -> None:
        self._topic = topic
        self._every_s = 1 / per_s
        self._partitions = partitions
        self._enough = enough or (lambda: False)
        self._producer = Producer(
            {"bootstrap.servers": kafka, "log_level": 2, "acks": "all", "enable.idempotence": True}
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0
        self.acknowledged: dict[Identity, tuple[int, int]] = {}
        """Partition and offset of every frame that is safe."""
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            if not self._enough():
                self.feed(1)
            self._producer.poll(0)

    def feed(self, count: int) -> None:
        """Send frames now."""
        for _ in range(count):
            n, self.sent = self.sent, self.sent + 1
            frame = plain_frame(n, source=f"cam{n % 7 if n % 3 else 0}")
            one = frame_put(frame)
            self._producer.produce(
                self._topic,
                one.value,
                one.key,
                n % self._partitions,
                timestamp=one.timestamp_ms,
                on_delivery=self._keep((frame["source"], frame["epoch"], n)),
            )

    def _keep(self, identity: Identity) -> Any:
        def delivered(error: Any, message: Any) -> None:
            if error is None:
                self.acknowledged[identity] = (message.partition(), message.offset())

        return delivered

    def stop(self) -> set[Identity]:
        """Stop, wait until all is safe, and return what is."""
        self._over.set()
        self._thread.join()
        assert self._producer.flush(60) == 0
        return set(self.acknowledged)


class Reader:
    """Reads a whole topic from its first record on, again and again, for more."""

    def __init__(self, kafka: str, topic: str) -> None:
        self._topic = topic
        self._consumer = Consumer(
            {
                "bootstrap.servers": kafka,
                "log_level": 2,
                "group.id": "tests.reader",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.message.max.bytes": LARGE,
            }
        )
        self._assigned: set[int] = set()
        self._next: dict[int, int] = {}
        self.records: list[Record] = []

    def sequences(self) -> list[int]:
        """Read on; return the sequence of each frame so far, in order of number."""
        return sorted(sequence for _, _, sequence in identities(self.read()))

    def read(self) -> list[Record]:
        """Read all that is there now; return everything read so far."""
        known = self._consumer.list_topics(timeout=10).topics
        if self._topic not in known:
            return self.records
        new = set(known[self._topic].partitions) - self._assigned
        if new:
            self._consumer.incremental_assign([TopicPartition(self._topic, p, 0) for p in sorted(new)])
            self._assigned |= new
        ends = {}
        for partition in self._assigned:
            place = TopicPartition(self._topic, partition)
            try:
                low, high = self._consumer.get_watermark_offsets(place, 10)
            except KafkaException:
                continue  # it was made a moment ago, and nobody leads it yet
            ends[partition] = high if high > low else 0
        while any(self._next.get(partition, 0) < end for partition, end in ends.items()):
            for message in self._consumer.consume(100, 0.05):
                assert message.error() is None, message.error()
                self.records.append(record := _record(message))
                self._next[record.partition] = record.offset + 1
        return self.records

    def close(self) -> None:
        """End the connection."""
        self._consumer.close()


def read_all(kafka: str, topic: str) -> list[Record]:
    """Return all records of a topic, none where it does not exist."""
    reader = Reader(kafka, topic)
    try:
        return reader.read()
    finally:
        reader.close()


def topics(kafka: str) -> dict[str, int]:
    """Return every topic and its number of partitions."""
    found = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
    return {name: len(topic.partitions) for name, topic in found.items()}


def _record(message: Any) -> Record:
    kind, stamp = message.timestamp()
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        -1 if kind == TIMESTAMP_NOT_AVAILABLE else stamp,
        message.key(),
        message.value(),
        tuple(message.headers() or ()),
    )


class Commits:
    """What a group has committed, seen without joining it."""

    def __init__(self, kafka: str, group: str, topic: str, partitions: int = 1) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": kafka, "log_level": 2, "group.id": group, "enable.auto.commit": False}
        )
        self._places = [TopicPartition(topic, partition) for partition in range(partitions)]

    def now(self) -> dict[int, Position]:
        """Return the committed positions by partition; those without a commit are left out."""
        try:
            found = self._consumer.committed(self._places, timeout=30)
        except KafkaException as error:
            if error.args[0].code() not in NO_COORDINATOR:
                raise
            return {}  # the broker has only just started: nobody asked for a group before
        return {p.partition: Position(p.offset, p.metadata or "") for p in found if p.offset >= 0}

    def close(self) -> None:
        """End the connection."""
        self._consumer.close()


def committed(kafka: str, group: str, topic: str, partitions: int = 1) -> dict[int, Position]:
    """Return what a group has committed."""
    commits = Commits(kafka, group, topic, partitions)
    try:
        return commits.now()
    finally:
        commits.close()


def picture(width: int = 64, height: int = 48, shade: int = 128) -> bytes:
    """Return a small clean JPEG."""
    return jpeg.encode(np.full((height, width, 3), shade, np.uint8))


PICTURE = picture()
_began_ns = [time.time_ns()]


def begin() -> None:
    """Begin a test: its frames are as old as it is; what is older, the broker throws away after minutes."""
    _began_ns[0] = time.time_ns()


def began_ns() -> int:
    """Return when the test began, Unix ns."""
    return _began_ns[0]


def plain_frame(sequence: int = 0, source: str = "camera", **changes: Any) -> dict[str, Any]:
    """Return a frame as docs/frame.md describes it, as a plain map."""
    captured_ns = began_ns() + sequence * 1_000_000
    return {
        "v": 1,
        "source": source,
        "epoch": "e1",
        "sequence": sequence,
        "run": "live",
        "captured_ns": captured_ns,
        "width": 64,
        "height": 48,
        "image": PICTURE,
        "detections": [],
        "trail": [],
        "attributes": {},
        **changes,
    }


def frame_put(frame: Mapping[str, Any], partition: int = -1) -> Put:
    """Return the record of a plain frame."""
    value = msgpack.packb(frame)
    return Put(value, frame["source"].encode(), frame["captured_ns"] // 1_000_000, partition)


def identities(records: Iterable[Record]) -> list[Identity]:
    """Return (source, epoch, sequence) of each record, in order."""
    maps = [msgpack.unpackb(record.value or b"") for record in records]
    return [(one["source"], one["epoch"], one["sequence"]) for one in maps]
