"""A broker that gives a service few rights: what is refused is said, and what need not be stops nothing."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from imagebus import topics as names
from imagebus.bus import Bus
from imagebus.camera import CameraPublisher
from imagebus.commit import counts_of
from imagebus.connection import Position
from imagebus.errors import BusError
from imagebus.kafka.install import ensure_jars
from imagebus.kafka.java import find_java
from imagebus.kafka.process import die_with_parent
from tests.broker import Put, frame_put, fresh, plain_frame
from tests.conftest import Broker
from tests.delivery.conftest import Run
from tests.programs import Program, wait_for

pytestmark = pytest.mark.kafka
READ, WRITE = AclOperation.READ, AclOperation.WRITE
TOPIC, GROUP = ResourceType.TOPIC, ResourceType.GROUP


class Guarded:
    """A broker that lets users in by name and password, and gives them only the rights they were given."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.address = broker.address
        broker.stop()
        settings = broker.folder / "server.properties"
        settings.write_text(guarded(settings.read_text()))
        command = [find_java(), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += ["-cp", f"{ensure_jars('')}/*", "kafka.Kafka", "server.properties"]
        with (broker.folder / "guarded.txt").open("wb") as said:
            self._child = subprocess.Popen(
                command, cwd=broker.folder, stdout=said, stderr=said, preexec_fn=die_with_parent
            )
        self.logins = {name: login(folder, name) for name in ("admin", "service")}
        self.admin = AdminClient(self._client("admin"))
        wait_for(lambda: self._answers(), "the guarded broker", 60, 0.5)

    def _client(self, user: str) -> dict[str, str | int | float | bool]:
        lines = self.logins[user].read_text().splitlines()
        return {
            "bootstrap.servers": self.address,
            "log_level": 0,
            **dict(line.split("=", 1) for line in lines),
        }

    def _answers(self) -> bool:
        try:
            return bool(self.admin.list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def allow(self, kind: ResourceType, name: str, *operations: AclOperation) -> None:
        """Give the service these rights; a name that ends with * is a beginning."""
        pattern = ResourcePatternType.PREFIXED if name.endswith("*") else ResourcePatternType.LITERAL
        rights = [
            AclBinding(
                kind, name.rstrip("*"), pattern, "User:service", "*", operation, AclPermissionType.ALLOW
            )
            for operation in operations
        ]
        for done in self.admin.create_acls(rights).values():
            done.result(10)

    def make(self, topic: str) -> str:
        self.admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(10)
        return topic

    def put(self, topic: str, puts: list[Put]) -> None:
        producer = Producer(self._client("admin"))
        for one in puts:
            producer.produce(topic, one.value, one.key, timestamp=one.timestamp_ms)
        assert producer.flush(30) == 0

    def counts(self, group: str, topic: str) -> dict[str, int]:
        """Return the outcomes that a group has committed."""
        consumer = Consumer({**self._client("admin"), "group.id": group})
        [found] = consumer.committed([TopicPartition(topic, 0)], timeout=10)
        consumer.close()
        return counts_of(Position(found.offset, found.metadata or ""))

    def stop(self) -> None:
        self._child.terminate()
        self._child.wait(60)


def guarded(settings: str) -> str:
    """Return the broker's settings with log-in by SASL/PLAIN and rights by Kafka's own authorizer."""
    users = 'username="admin" password="secret" user_admin="secret" user_service="secret"'
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    lines = [
        line.replace("PLAINTEXT://", "SASL_PLAINTEXT://", 1)
        for line in settings.splitlines()
        if not line.startswith(("listener.security.protocol.map", "inter.broker.listener.name"))
    ]
    lines += [
        "listener.security.protocol.map=SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name=SASL_PLAINTEXT",
        "sasl.enabled.mechanisms=PLAIN",
        "sasl.mechanism.inter.broker.protocol=PLAIN",
        f"listener.name.sasl_plaintext.plain.sasl.jaas.config={module} required {users};",
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users=User:admin;User:ANONYMOUS",
    ]
    return "\n".join([*lines, ""])


def login(folder: Path, user: str) -> Path:
    """Write the properties with which a client logs in."""
    path = folder / f"{user}.properties"
    path.write_text(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n"
        f"sasl.username={user}\nsasl.password=secret\n"
    )
    return path


@pytest.fixture(scope="module")
def guarded_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    broker = Guarded(Broker(folder / "broker"), folder)
    yield broker
    broker.stop()


@pytest.fixture
def start(guarded_broker: Guarded, run: Run) -> Callable[..., Program]:
    """Start a filter as the user ``service``."""

    def begin(topic: str, out: str) -> Program:
        arguments = ("-i", topic, "-t", out, "-n", "f", "--freshness", "all", "--start", "earliest")
        config = guarded_broker.logins["service"]
        return run(*arguments, "--kafka-config", config, kafka=guarded_broker.address)

    return begin


def mixed(broker: Guarded, topic: str) -> None:
    does = ["pass", "drop"]
    frames = [plain_frame(n, attributes={"test.do": does[n % 2]}) for n in range(20)]
    broker.put(topic, [frame_put(frame) for frame in frames])


def test_who_may_not_make_the_output_says_which_topic_with_which_settings(
    guarded_broker: Guarded, start: Callable[..., Program]
) -> None:
    topic, out = guarded_broker.make(fresh("in")), fresh("out")
    guarded_broker.allow(TOPIC, topic, READ)
    guarded_broker.allow(GROUP, "imagebus.*", READ)
    program = start(topic, out)
    assert program.ends(within_s=40) == 1
    last = program.err.decode().splitlines()[-1]
    assert f"topic {out} does not exist and cannot be made (make it with: " in last
    for name, value in names.SETTINGS.items():
        assert f"{name}={value}" in last
    assert "Traceback" not in program.err.decode()


@pytest.mark.parametrize("there", [False, True], ids=["that is missing", "that is there"])
def test_frames_flow_and_are_counted_without_rights_to_notes_announcements_and_settings(
    guarded_broker: Guarded, start: Callable[..., Program], there: bool
) -> None:
    """Neither imagebus.outcomes nor imagebus.services may be made or written, no settings described."""
    topic, out = guarded_broker.make(fresh("in")), guarded_broker.make(fresh("out"))
    guarded_broker.allow(TOPIC, topic, READ)
    guarded_broker.allow(GROUP, "imagebus.*", READ)
    for written in (out, guarded_broker.make(names.meta_of(out))):
        guarded_broker.allow(TOPIC, written, WRITE)
    if there:
        for name in (names.OUTCOMES, names.SERVICES):
            guarded_broker.make(name)
            guarded_broker.allow(TOPIC, name, AclOperation.DESCRIBE)
    program = start(topic, out)
    mixed(guarded_broker, topic)
    group = f"imagebus.f.{topic}.{out}"
    wait_for(
        lambda: sum(guarded_broker.counts(group, topic).values()) == 20 or not program.alive, "all outcomes"
    )
    assert program.alive, program.err.decode()
    assert guarded_broker.counts(group, topic) == {"output": 10, "filtered": 10}
    mixed(guarded_broker, topic)
    wait_for(lambda: sum(guarded_broker.counts(group, topic).values()) == 40, "the next twenty")
    assert program.ends(signal.SIGTERM) == 0
    said = program.err.decode()
    assert said.count("is counted, but not noted") == 1, said
    assert said.count("cannot be announced") == 1, said
    assert "Traceback" not in said


def test_who_may_not_read_ends_and_says_so(guarded_broker: Guarded, start: Callable[..., Program]) -> None:
    topic, out = guarded_broker.make(fresh("in")), guarded_broker.make(fresh("out"))
    guarded_broker.allow(TOPIC, topic, AclOperation.DESCRIBE)
    for written in (out, guarded_broker.make(names.meta_of(out))):
        guarded_broker.allow(TOPIC, written, WRITE)
    guarded_broker.allow(GROUP, "imagebus.*", READ)
    guarded_broker.put(topic, [frame_put(plain_frame(0))])
    program = start(topic, out)
    assert program.ends(within_s=40) == 1
    assert f"{topic}" in program.err.decode().splitlines()[-1]
    assert "uthoriz" in program.err.decode().splitlines()[-1]
    assert "Traceback" not in program.err.decode()


def test_a_camera_that_may_not_make_its_topic_says_which_with_which_settings(guarded_broker: Guarded) -> None:
    topic = fresh("camera")
    bus = Bus(guarded_broker.address, guarded_broker.logins["service"])
    camera = CameraPublisher(bus, topic, "cam")
    with pytest.raises(BusError, match=rf"topic {topic} does not exist and cannot be made \(make it with: "):
        camera.close(30)
