"""A filter with every outcome, killed at random instants: `imagebus account` proves that none is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imagebus.kafka.process import die_with_parent
from tests.broker import Commits, Feeder, Reader, frame_put, fresh, make_topic, plain_frame
from tests.conftest import IMAGEBUS
from tests.delivery.conftest import Run
from tests.programs import ROOT, Program, wait_for

pytestmark = pytest.mark.kafka
EVERY_OUTCOME = ROOT / "tests" / "filters" / "every_outcome.py"
PARTITIONS = 4
MIX = ("pass", "drop", "hold", "pass", "double", "fail", "hold", "pass", "drop", "pass", "swell")
SETTLE_S = 0.05
"""What a killed process had handed to the kernel still reaches the broker."""
WAITING = 150


class MixedFeeder(Feeder):
    """Feeds frames that ask for every outcome in turn, of seven cameras."""

    def feed(self, count: int, do: str = "") -> None:
        for _ in range(count):
            n, self.sent = self.sent, self.sent + 1
            attributes = {"test.do": do or MIX[n % len(MIX)]}
            frame = plain_frame(n, source=f"cam{n % 7}", captured_ns=time.time_ns(), attributes=attributes)
            one = frame_put(frame)
            self._producer.produce(
                self._topic,
                one.value,
                one.key,
                n % PARTITIONS,
                timestamp=one.timestamp_ms,
                on_delivery=self._keep((frame["source"], frame["epoch"], n)),
            )


class Scene:
    """A filter on one topic, fed as fast as it works, and what is known from outside of its frames."""

    def __init__(self, kafka: str, start: Callable[[str, str], Program], outcome: Callable[[str], Reader]):
        self.topic = make_topic(kafka, fresh("in"), PARTITIONS)
        self.out = make_topic(kafka, fresh("out"), 2, max__message__bytes=50_000)
        self.group = fresh("killed")
        self._kafka = kafka
        self._start = start
        self.commits = Commits(kafka, self.group, self.topic, PARTITIONS)
        self.published = outcome(f"{self.out}.META")
        self.in_flight: list[int] = []
        self.feeder = MixedFeeder(kafka, self.topic, per_s=300, enough=self._enough)

    def _enough(self) -> bool:
        return self.feeder.sent - self._committed > WAITING

    _committed = 0

    def begin(self) -> Program:
        return self._start(self.topic, self.out)

    def total(self) -> int:
        self._committed = sum(position.offset for position in self.commits.now().values())
        return self._committed

    def published_beyond_commit(self) -> int:
        """Count the records that are published downstream, and not committed."""
        places = {
            (int(record.header("imagebus.partition")), int(record.header("imagebus.offset")))
            for record in self.published.read()
        }
        positions = self.commits.now()
        return sum(1 for partition, offset in places if offset >= positions[partition].offset)

    def kill(self, program: Program) -> None:
        """Stop it where it is, look whether frames are in flight, and kill it there; else let it go on."""
        while True:
            assert program.alive, program.err.decode()
            program.signal(signal.SIGSTOP)
            time.sleep(SETTLE_S)
            if self.published_beyond_commit():
                break
            program.signal(signal.SIGCONT)
            self.total()
            time.sleep(0.01)
        program.kill()
        time.sleep(SETTLE_S)
        self.in_flight.append(self.published_beyond_commit())
        self.total()

    def finish(self, program: Program) -> int:
        """Have all frames finished, those that are held back too; return how many there were."""
        self.feeder.stop()

        def is_finished() -> bool:
            if self.total() == len(self.feeder.acknowledged):
                return True
            if self.total() + WAITING > len(self.feeder.acknowledged):
                self.feeder.feed(PARTITIONS, "release")
                self.feeder.stop()
            return False

        wait_for(is_finished, "everything to be committed", within_s=120, every_s=1.0)
        assert program.ends(signal.SIGTERM) == 0, program.err.decode()
        return len(self.feeder.acknowledged)

    def account(self) -> tuple[int, list[dict[str, object]]]:
        """Return the status of `imagebus account`, and what it said: one map a frame, and one of all."""
        command = [IMAGEBUS, "account", self.topic, "--group", self.group, "--kafka", self._kafka]
        done = subprocess.run(
            [*map(str, command), "--json", "--frames"],
            capture_output=True,
            text=True,
            timeout=100,
            preexec_fn=die_with_parent,
            check=False,
        )
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_a_filter_with_every_outcome_killed_at_random_instants_is_accounted_for(
    kafka: str,
    run: Run,
    outcome: Callable[[str], Reader],
    short_session: Path,
    kills: int,
    record_property: Callable[[str, object], None],
) -> None:
    seed = int(os.environ.get("IMAGEBUS_TEST_SEED") or random.randrange(2**32))
    print(f"IMAGEBUS_TEST_SEED={seed}")
    chance = random.Random(seed)

    def start(topic: str, out: str) -> Program:
        arguments = (
            "-i",
            topic,
            "-t",
            out,
            "-n",
            "every",
            "--group",
            scene.group,
            "-q",
            "--start",
            "earliest",
        )
        more = ("--freshness", "all", "--batch", "8", "--delay-ms", "1", "--kafka-config", short_session)
        return run(*arguments, *more, script=EVERY_OUTCOME)

    scene = Scene(kafka, start, outcome)
    try:
        for _ in range(kills):
            program, before = scene.begin(), scene.total()
            wait_for(lambda before=before: scene.total() > before, "commits to advance", 60)  # type: ignore[misc]
            time.sleep(chance.uniform(0, 0.6))
            scene.kill(program)
        program = scene.begin()
        fed = scene.finish(program)
    finally:
        scene.feeder.stop()
        scene.commits.close()

    assert len(scene.in_flight) == kills
    assert all(scene.in_flight)
    status, [*frames, account] = scene.account()
    assert status == 0, account
    assert account["offsets"] == fed
    identities = {(one["source"], one["epoch"], one["sequence"]) for one in frames}
    assert identities == set(scene.feeder.acknowledged), "every input identity has an outcome"
    assert len(frames) == fed
    assert {one["outcome"] for one in frames} == {"output", "filtered", "dead"}
    record_property("frames", fed)
    record_property("in_flight", scene.in_flight)
    record_property("repeats", account["repeats"])
    print(f"{fed} frames, in flight at the kills {scene.in_flight}, {account['repeats']} repeats")
    assert b"Traceback" not in program.err
