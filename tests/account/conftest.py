"""What the tests of accounts share: a topic, a filter run on it in this process, and the command."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from imagebus.bus import Bus
from imagebus.connection import Position
from imagebus.filter import Filter
from imagebus.runner import Runner
from tests.broker import (
    Put,
    commit_as,
    committed,
    cut,
    delete_topic,
    frame_put,
    fresh,
    make_topic,
    plain_frame,
    put,
    transaction,
)
from tests.conftest import IMAGEBUS
from tests.filters.every_outcome import EveryOutcome
from tests.programs import wait_for

MIX = ("pass", "drop", "double", "hold", "pass", "fail", "swell")


@dataclass
class Account:
    """What ``imagebus account`` printed and how it ended."""

    status: int
    lines: list[str]
    errors: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.lines[-1])
        return found

    @property
    def faults(self) -> list[str]:
        return [line.removeprefix("FAULT: ") for line in self.lines if line.startswith("FAULT")]


@dataclass
class Scene:
    """A topic with frames, and the group that reads it."""

    kafka: str
    partitions: int = 3
    group: str = field(default_factory=lambda: fresh("group"))
    fed: int = 0
    began_ns: int = field(default_factory=time.time_ns)

    def __post_init__(self) -> None:
        self.input = make_topic(self.kafka, fresh("in"), self.partitions)
        self.out = make_topic(self.kafka, fresh("out"), 2, max__message__bytes=50_000)

    def feed(self, *does: str, **changes: Any) -> None:
        """Put one frame for each word, in turn on all partitions, each of a camera of its own."""
        puts = []
        for n, word in enumerate(does, start=self.fed):
            partition = n % self.partitions
            puts.append(self.one(n, word, partition, **changes))
        self.put(puts)
        self.fed += len(does)

    def one(self, n: int, do: str = "pass", partition: int = 0, **changes: Any) -> Put:
        """Return one frame, captured as many milliseconds after the beginning as its number says."""
        captured_ns = self.began_ns + n * 1_000_000
        more = {"captured_ns": captured_ns, "attributes": {"test.do": do}, **changes}
        return frame_put(plain_frame(n, source=f"cam{partition}", **more), partition)

    def put(self, puts: Sequence[Put]) -> list[tuple[int, int]]:
        """Put any records."""
        return put(self.kafka, self.input, puts)

    def arguments(self, *more: str) -> list[str]:
        return [
            *("--kafka", self.kafka, "-i", self.input, "-t", self.out, "--group", self.group, "-q"),
            *("-n", "every", "--start", "earliest", "--freshness", "all", "--partitions", "2", *more),
        ]

    def run(self, *more: str, until: int | None = None, filter: type[Filter] = EveryOutcome) -> None:
        """Run the filter until so many offsets are committed; a bounded run until its end."""
        options = filter.Options.parse(self.arguments(*more))
        runner = Runner(filter(options), Bus(self.kafka))
        thread = threading.Thread(target=runner.run)
        thread.start()
        try:
            if not options.is_bounded:
                wanted = self.fed if until is None else until
                read = self.input if filter.pixels else f"{self.input}.META"
                wait_for(lambda: self.total(read) >= wanted or not thread.is_alive(), f"{wanted} committed")
                runner.stop()
        finally:
            if not options.is_bounded:
                runner.stop()
            thread.join(60)
        assert not thread.is_alive()

    def total(self, topic: str) -> int:
        return sum(p.offset for p in committed(self.kafka, self.group, topic, self.partitions).values())

    def account(self, *more: object, topic: str = "", group: str = "") -> Account:
        """Run the command."""
        command = [IMAGEBUS, "account", topic or self.input, "--group", group or self.group]
        done = subprocess.run(
            [*map(str, command), "--kafka", self.kafka, *map(str, more)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Account(done.returncode, done.stdout.splitlines(), done.stderr)


@pytest.fixture
def scene(kafka: str) -> Callable[..., Scene]:
    """Make a topic and a group of names that no other test has: ``scene(partitions=1)``."""
    return lambda **how: Scene(kafka, **how)


@pytest.fixture
def remove(kafka: str) -> Callable[[str, int, int], None]:
    """Remove all records below an offset by hand: ``remove(topic, partition, offset)``."""
    return partial(cut, kafka)


@pytest.fixture(name="transaction")
def a_transaction(kafka: str) -> Callable[..., None]:
    """Put records in one transaction: ``transaction(topic, puts, commit=False)``."""
    return partial(transaction, kafka)


@pytest.fixture
def forge(kafka: str) -> Callable[[str, str, int, Position], None]:
    """Commit for a group that nobody runs: ``forge(group, topic, partition, position)``."""
    return lambda group, topic, partition, position: commit_as(kafka, group, topic, {partition: position})


@pytest.fixture
def alter(kafka: str) -> Callable[..., None]:
    """Change a topic's settings: ``alter(topic, retention__ms=1)``."""

    def change(topic: str, **settings: object) -> None:
        entries = [
            ConfigEntry(name.replace("__", "."), str(value), incremental_operation=AlterConfigOpType.SET)
            for name, value in settings.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        admin = AdminClient({"bootstrap.servers": kafka})
        admin.incremental_alter_configs([resource])[resource].result(10)

    return change


@pytest.fixture
def delete(kafka: str) -> Callable[[str], None]:
    """Delete a topic and wait until it is gone."""
    return partial(delete_topic, kafka)
