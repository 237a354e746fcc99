"""The bus on a real broker: topics, publishing, and looking without a group."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    ResourceType,
)

from imagebus.bus import Bus
from imagebus.errors import BrokerAwayError, BusError, ConfigurationError, FrameError
from imagebus.record import Outgoing, Record
from imagebus.topics import SETTINGS
from tests.broker import Put, frame_put, fresh, make_topic, plain_frame, put, read_all
from tests.programs import wait_for

if TYPE_CHECKING:
    from tests.conftest import Broker

pytestmark = pytest.mark.kafka

JAVA_MURMUR2 = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
"""As Kafka's own UtilsTest has it."""


def send(bus: Bus, topic: str, keys: list[bytes], value: bytes = b"x") -> list[Exception | None]:
    publisher, told = bus.publisher(), list[Exception | None]()
    for key in keys:
        publisher.send(Outgoing(topic, key, value, time.time_ns() // 10**6, ()), told.append)
    assert publisher.flush(20) == 0
    assert publisher.pending == 0
    return told


def test_a_key_goes_to_the_partition_to_which_java_would_send_it(kafka: str) -> None:
    topic = make_topic(kafka, fresh("keys"), 12)
    assert send(Bus(kafka), topic, list(JAVA_MURMUR2)) == [None] * len(JAVA_MURMUR2)
    found = {record.key: record.partition for record in read_all(kafka, topic)}
    assert found == {key: (number & 0x7FFFFFFF) % 12 for key, number in JAVA_MURMUR2.items()}


def test_a_topic_is_made_once_with_the_settings_of_frames(kafka: str) -> None:
    bus, topic = Bus(kafka), fresh("frames")
    assert topic not in bus.topics()
    bus.ensure_topic(topic)
    bus.ensure_topic(topic)
    assert bus.topics()[topic] >= 1
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": kafka})
    found = admin.describe_configs([resource])[resource].result(10)
    assert {name: found[name].value for name in SETTINGS} == SETTINGS
    assert not any(name.startswith("__") for name in bus.topics())


def test_an_unfit_topic_is_used_and_told_of(kafka: str, capsys: pytest.CaptureFixture[str]) -> None:
    topic = make_topic(kafka, fresh("small"), max__message__bytes=50_000)
    bus = Bus(kafka)
    bus.ensure_topic(topic)
    assert f"{topic} takes records up to 50000 bytes" in capsys.readouterr().err
    [small], [large] = send(bus, topic, [b"k"]), send(bus, topic, [b"k"], b"x" * 60_000)
    assert small is None
    assert isinstance(large, FrameError)
    assert large.reason == "refused"


@pytest.mark.parametrize("name", ["a/b", "../../x", "Tür", "."])
def test_a_name_that_kafka_refuses_is_a_fault_of_configuration(kafka: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match="--topic"):
        Bus(kafka).ensure_topic(name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no.such.property=1", "no.such.property"),
        ("nonsense", "line 1: no key=value"),
        ("acks", "line 1"),
        (None, "cannot read"),
    ],
)
def test_a_bad_file_of_properties_is_told_with_its_flag(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "kafka.properties"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match="--kafka-config") as told:
        Bus("127.0.0.1:1", path)
    assert said in str(told.value)


def test_no_properties_can_take_away_what_delivery_relies_on(kafka: str, tmp_path: Path) -> None:
    path = tmp_path / "kafka.properties"
    path.write_text("# careless\nacks=0\nenable.idempotence=false\nenable.auto.commit=true\nclient.id=mine\n")
    topic = make_topic(kafka, fresh("safe"))
    assert send(Bus(kafka, path), topic, [b"k"]) == [None]
    assert [record.offset for record in read_all(kafka, topic)] == [0]


def test_a_broker_that_is_not_there_is_away_and_not_an_end() -> None:
    began = time.monotonic()
    with pytest.raises(BrokerAwayError, match="does not answer"):
        Bus("127.0.0.1:1").topics()
    assert time.monotonic() - began < 10


def read(tail: object, count: int) -> list[Record]:
    found: list[Record] = []
    wait_for(lambda: len(found) >= count or found.extend(tail.read(0.2)), f"{count} records", 20)  # type: ignore[attr-defined, func-returns-value]
    return found


def test_a_tail_sees_the_newest_record_and_then_all_that_come(kafka: str) -> None:
    topic, now_ms = make_topic(kafka, fresh("tail"), 3), time.time_ns() // 10**6
    tail = Bus(kafka).tail()
    assert tail.newest(topic) is None
    assert tail.newest("no-such-topic") is None
    puts = [Put(b"%d" % n, b"k", now_ms + n, n % 3) for n in range(30)]
    put(kafka, topic, puts)
    newest = tail.newest(topic)
    assert newest is not None
    assert newest.value == b"29"

    tail.follow({(topic, 0), (topic, 1)})
    assert {record.value for record in read(tail, 2)} == {b"27", b"28"}
    put(kafka, topic, [Put(b"%d" % n, b"k", now_ms + n, n % 3) for n in range(30, 36)])
    assert {record.value for record in read(tail, 4)} == {b"30", b"31", b"33", b"34"}

    tail.follow({(topic, 1), (topic, 2)})
    assert {record.value for record in read(tail, 1)} == {b"35"}
    put(kafka, topic, [Put(b"gone", b"k", now_ms, 0), Put(b"kept", b"k", now_ms, 1)])
    assert [record.value for record in read(tail, 1)] == [b"kept"]
    assert tail.read(0.5) == []
    tail.close()


def test_a_tail_goes_on_after_an_outage(new_broker: Callable[[], Broker]) -> None:
    broker = new_broker()
    topic = make_topic(broker.address, fresh("tail"))
    put(broker.address, topic, [Put(b"before")])
    tail = Bus(broker.address).tail()
    tail.follow({(topic, 0)})
    assert [record.value for record in read(tail, 1)] == [b"before"]
    broker.kill()
    wait_for(lambda: tail.read(0.2) or tail.away, "word of the outage")
    with pytest.raises(BusError):
        tail.newest(topic)
    broker.start()
    put(broker.address, topic, [Put(b"after")])
    assert [record.value for record in read(tail, 1)] == [b"after"]
    assert not tail.away
    tail.close()


def test_who_only_looks_leaves_no_trace_in_the_groups(kafka: str) -> None:
    topic = make_topic(kafka, fresh("in"))
    put(kafka, topic, [frame_put(plain_frame(n)) for n in range(3)])
    bus = Bus(kafka)
    tail = bus.tail()
    tail.follow({(topic, 0)})
    assert tail.newest(topic) is not None
    wait_for(lambda: tail.read(0.2), "the newest record")
    tail.close()
    assert topic not in bus.positions("imagebus.tail")
