"""The Kafka client: the one module that imports it, how it is set up, and what its errors mean here.

The modules beside this one know Kafka by the names that stand here; nothing outside the package does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it exports them without saying so
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from imagebus.errors import BrokerAwayError, BusError, FrameError, TopicGoneError
from imagebus.record import Headers, Record
from imagebus.topics import MAX_MESSAGE_BYTES

__all__ = [
    "ANSWER_S",
    "COMMON",
    "CONSUMING",
    "NOT_COORDINATED_YET",
    "NOT_LED_YET",
    "NO_SUCH_TOPIC",
    "PRODUCING",
    "REFUSED_FOR_GOOD",
    "REFUSED_RECORD",
    "SAFE_CONSUMING",
    "SAFE_PRODUCING",
    "SHARED_BYTES",
    "SPECS",
    "TIMESTAMP_NOT_AVAILABLE",
    "AdminClient",
    "ConfigResource",
    "Consumer",
    "ConsumerGroupTopicPartitions",
    "KafkaError",
    "KafkaException",
    "Message",
    "NewTopic",
    "OffsetSpec",
    "Producer",
    "ResourceType",
    "TopicCollection",
    "TopicPartition",
    "classified",
    "classifying",
    "delivery_error",
    "headers_of",
    "id_of",
    "poll",
    "record_of",
]


ANSWER_S = 5.0

REFUSED_RECORD = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_TIMESTAMP,
    KafkaError.INVALID_RECORD,
}

NOT_LED_YET = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}
"""A topic that was made a moment ago, or whose broker has just gone, has a leader soon."""

NOT_COORDINATED_YET = {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
}
"""A broker that has just started knows its groups soon."""

NO_SUCH_TOPIC = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.UNKNOWN_TOPIC_ID,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}

REFUSED_FOR_GOOD = {
    KafkaError._AUTHENTICATION,
    KafkaError._FATAL,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}

COMMON = {
    "socket.nagle.disable": True,
    "reconnect.backoff.ms": 100,
    "reconnect.backoff.max.ms": 1000,
    "topic.metadata.refresh.interval.ms": 10_000,
    # What is sent to a topic that is gone comes back so soon, to be sent again once it is made anew.
    "topic.metadata.propagation.max.ms": 5000,
    "enable.metrics.push": False,
    "log_level": 2,
    "message.max.bytes": MAX_MESSAGE_BYTES,
}

PRODUCING = {"linger.ms": 0, "partitioner": "murmur2_random", "queue.buffering.max.kbytes": 256 * 1024}

CONSUMING = {
    "fetch.min.bytes": 1,
    "queued.max.messages.kbytes": 16 * 1024,
    # Whenever so much is there, the client fetches nothing for that long; its second would be 16 MB/s, and a
    # fast reader has 16 MB within 8 ms.
    "fetch.queue.backoff.ms": 5,
    # Members learn by their heartbeat that somebody joins or leaves; until all know, nobody can commit.
    "heartbeat.interval.ms": 1000,
    # A member that was killed keeps its partitions so long; the default of 45 s is long without pictures.
    "session.timeout.ms": 10_000,
}

SHARED_BYTES = 16 * 1024
"""As many bytes of records share a request. The broker refuses whole ones: what is refused so, is sent again
by itself, or one bad record would make dead letters of its neighbours."""

SAFE_PRODUCING = {
    "acks": "all",
    "enable.idempotence": True,
    "message.timeout.ms": 0,
    # A picture goes alone; small records, such as META, share a request, which spares the broker much.
    "batch.size": SHARED_BYTES,
}
"""What delivery relies on: no properties file may change it."""

SAFE_CONSUMING = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "partition.assignment.strategy": "cooperative-sticky",
}

SPECS: Any = OffsetSpec  # it has no types


@contextmanager
def classifying(what: str) -> Iterator[None]:
    """Raise what the client raises within under our own names."""
    try:
        yield
    except KafkaException as error:
        raise classified(error.args[0], what) from error


def poll(consumer: Any, limit: int, timeout_s: float) -> Iterator[Any]:
    """Yield what is there, waiting for the first only (``consume`` would wait until it has all)."""
    for _ in range(limit):
        if (message := consumer.poll(timeout_s)) is None:
            return
        yield message
        timeout_s = 0.0


def record_of(message: Any) -> Record:
    """Return a message as a record."""
    kind, timestamp = message.timestamp()
    return Record(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        timestamp_ms=-1 if kind == TIMESTAMP_NOT_AVAILABLE else timestamp,
        key=message.key(),
        value=message.value(),
        headers=headers_of(message),
    )


def id_of(description: Any) -> str:
    """Return the id of a topic's log, empty where this broker does not tell."""
    return "" if description.topic_id is None else str(description.topic_id)


def headers_of(message: Any) -> Headers:
    """Return a message's headers; none where one of their names is no text."""
    try:
        return tuple(message.headers() or ())
    except (SystemError, UnicodeDecodeError):  # a name is no UTF-8: the client can't show any of them
        return ()


def delivery_error(error: KafkaError | None, topic: str) -> Exception | None:
    """Say whether a record that was not delivered is itself at fault, or the bus."""
    if error is None:
        return None
    if error.code() in REFUSED_RECORD:
        return FrameError(f"{topic} does not take it: {error.str()}", "refused")
    # What waited for a partition of a topic that was deleted, comes back as if the client were ending.
    gone = error.code() in NO_SUCH_TOPIC or error.code() == KafkaError._DESTROY
    kind = TopicGoneError if gone else BusError
    return kind(f"publishing on {topic}: {error.str()}")


def classified(error: KafkaError, what: str) -> BusError:
    """Return the error under our own names: away for now, a topic that is missing, or refused."""
    if error.code() in NO_SUCH_TOPIC:
        return TopicGoneError(f"{what}: {error.str()}")
    away = error.retriable() or error.code() in (
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._RESOLVE,
        KafkaError.REQUEST_TIMED_OUT,
        *NOT_LED_YET,
        *NOT_COORDINATED_YET,
    )
    return (BrokerAwayError if away else BusError)(f"{what}: {error.str()}")
