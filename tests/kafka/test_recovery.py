"""What a broker acknowledged is there again after it was killed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from tests.conftest import Broker

COUNT = 200


def test_a_killed_broker_comes_back_with_all_that_it_acknowledged(new_broker: Callable[[], Broker]) -> None:
    broker = new_broker()
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(10)
    acknowledged = produce(broker.address)

    broker.kill()
    broker.start()

    assert len(acknowledged) == COUNT
    assert consume(broker.address) == acknowledged


def produce(address: str) -> list[bytes | None]:
    values = [f"{number:06}".encode() * 10_000 for number in range(COUNT)]
    acknowledged: list[bytes | None] = []
    producer = Producer({"bootstrap.servers": address, "acks": "all", "enable.idempotence": True})
    for value in values:
        producer.produce(
            "kept", value, on_delivery=lambda error, m: None if error else acknowledged.append(m.value())
        )
    producer.flush(60)
    return acknowledged


def consume(address: str) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "check", "enable.auto.commit": False})
    consumer.assign([TopicPartition("kept", 0, 0)])
    found = consumer.consume(COUNT, 30)
    consumer.close()
    return [message.value() for message in found if message.error() is None]
