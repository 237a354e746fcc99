"""The broker that `imagebus kafka` starts is made for frames."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it exports them without saying so
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)


def test_a_topic_gets_four_partitions_by_default(kafka: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})

    admin.create_topics([NewTopic("four", -1, -1)])["four"].result(10)

    assert len(admin.list_topics("four", 10).topics["four"].partitions) == 4


def test_reading_and_writing_make_no_topic(kafka: str) -> None:
    producer = Producer(
        {"bootstrap.servers": kafka, "allow.auto.create.topics": True, "message.timeout.ms": 1500}
    )
    faults: list[object] = []
    producer.produce("never-made", b"x", on_delivery=lambda error, _: faults.append(error))
    producer.flush(10)
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "x", "allow.auto.create.topics": True})
    consumer.list_topics("never-made-either", 10)
    consumer.close()

    assert faults[0] is not None
    names = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
    assert not {"never-made", "never-made-either"} & set(names)


def test_a_record_of_twenty_mebibytes_passes_and_one_of_twenty_two_does_not(kafka: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic("large", 1, 1)])["large"].result(10)
    producer = Producer({"bootstrap.servers": kafka, "message.max.bytes": 30 << 20})

    assert sent(producer, "large", bytes(20 << 20)) == ""
    assert "MSG_SIZE_TOO_LARGE" in sent(producer, "large", bytes(22 << 20))


def sent(producer: Producer, topic: str, value: bytes) -> str:
    faults: list[str] = []
    producer.produce(topic, value, on_delivery=lambda error, _: faults.append(error.name() if error else ""))
    producer.flush(30)
    return faults[0]


def test_frames_are_kept_ten_minutes_and_never_without_a_bound_of_bytes(kafka: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(10)

    resource = ConfigResource(ResourceType.TOPIC, "kept")
    settings = admin.describe_configs([resource])[resource].result(10)

    assert settings["retention.ms"].value == "600000"
    assert 128 << 20 <= int(settings["retention.bytes"].value) <= 4 << 30
    assert int(settings["segment.bytes"].value) <= 64 << 20


def test_nobody_reaches_the_broker_from_another_machine(kafka: str) -> None:
    brokers = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).brokers

    assert [broker.host for broker in brokers.values()] == ["127.0.0.1"]
    elsewhere = AdminClient({"bootstrap.servers": kafka.replace("127.0.0.1", "127.0.0.2"), "log_level": 0})
    with pytest.raises(KafkaException):
        elsewhere.list_topics(timeout=2)
