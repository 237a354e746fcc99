"""The commands where the broker gives few rights: what is refused is said in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AclOperation, ResourceType  # type: ignore[attr-defined]

from tests.commands.conftest import Command, letter, said, sent
from tests.conftest import Broker
from tests.delivery.test_rights import Guarded

pytestmark = pytest.mark.slow
TOPIC, GROUP = ResourceType.TOPIC, ResourceType.GROUP


@pytest.fixture
def guarded_broker(new_broker: Callable[[], Broker], tmp_path: Path) -> Iterator[Guarded]:
    broker = Guarded(new_broker(), tmp_path)
    yield broker
    broker.stop()


def test_what_may_not_be_read_is_told_and_the_rest_is_shown(
    guarded_broker: Guarded, imagebus: Command
) -> None:
    broker = guarded_broker
    for topic in ("MINE", "MINE.DLQ", "DESCRIBED", "SECRET"):
        broker.make(topic)
        broker.put(topic, [sent(1)])
    broker.allow(TOPIC, "MINE", AclOperation.READ)
    broker.allow(TOPIC, "MINE.DLQ", AclOperation.READ)
    broker.allow(TOPIC, "DESCRIBED", AclOperation.DESCRIBE)

    def run(*words: str) -> tuple[int, list[str], str]:
        result = imagebus(*words, "--kafka-config", broker.logins["service"], kafka=broker.address)
        assert "Traceback" not in result.stderr
        return result.returncode, result.stdout.splitlines(), result.stderr

    status, lines, _ = run("topics", "--all")
    assert status == 0
    assert [line.split()[0] for line in lines if line.startswith(("MINE", "DESC", "SECRET"))] == [
        "DESCRIBED",
        "MINE",
        "MINE.DLQ",
    ]
    assert any(line.startswith("  not all is known: DESCRIBED") for line in lines)
    status, lines, error = run("show", "MINE")
    assert (status, len(lines), error) == (0, 1, "")
    for words in (["show", "DESCRIBED"], ["show", "SECRET"], ["dlq", "list", "SECRET"]):
        status, lines, error = run(*words)
        assert (status, lines, error.count("\n")) == (1, [], 1), words
        assert words[-1] in error


def test_a_replay_that_may_not_write_or_keep_its_marks_sends_nothing_twice(
    guarded_broker: Guarded, imagebus: Command
) -> None:
    broker = guarded_broker
    broker.make("READ")
    broker.make("READ.DLQ")
    producer = Producer(broker._client("admin"))
    one = letter("READ", "g")
    producer.produce("READ.DLQ", one.value, one.key, headers=list(one.headers), timestamp=one.timestamp_ms)
    assert producer.flush(30) == 0
    broker.allow(TOPIC, "READ", AclOperation.READ)
    broker.allow(TOPIC, "READ.DLQ", AclOperation.READ)
    words = ["dlq", "replay", "READ", "--group", "g", "--yes", "--kafka-config", broker.logins["service"]]

    for _ in range(2):  # no right to see the marks; then none to write
        result = imagebus(*words, kafka=broker.address)
        assert "were sent" not in "".join(said(result, 1))
        assert (
            result.stderr.count("\n") <= 3
        )  # whether the group runs, librdkafka's own word, and why it ended
        broker.allow(GROUP, "imagebus.dlq.g", AclOperation.READ)
    broker.allow(TOPIC, "READ", AclOperation.WRITE)
    assert said(imagebus(*words, kafka=broker.address))[-1] == "1 were sent"
    assert said(imagebus(*words, kafka=broker.address))[0].startswith("0 dead letters")
