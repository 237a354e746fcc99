"""A filter with every outcome, killed at random instants: `imagebus account` proves that none is lost."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from imagebus.kafka.process import die_with_parent
from tests.broker import Feeder, frame_put, fresh, make_topic, plain_frame
from tests.conftest import IMAGEBUS
from tests.delivery.conftest import Run
from tests.delivery.killing import PARTITIONS, Killing
from tests.delivery.stage import Outcome
from tests.programs import ROOT, Program, wait_for
from tests.seed import seed

pytestmark = pytest.mark.kafka
EVERY_OUTCOME = ROOT / "tests" / "filters" / "every_outcome.py"
MIX = ("pass", "drop", "hold", "pass", "double", "fail", "hold", "pass", "drop", "pass", "swell")
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


class Scene(Killing):
    """A filter that is fed as fast as it works."""

    def __init__(self, kafka: str, start: Callable[..., Program], outcome: Outcome) -> None:
        super().__init__(kafka, start, make_topic(kafka, fresh("out"), 2, max__message__bytes=50_000))
        self._kafka = kafka
        self.published = outcome(f"{self.out}.META")
        self.feeder: MixedFeeder = MixedFeeder(kafka, self.topic, per_s=300, enough=self._enough)

    def _enough(self) -> bool:
        return self.feeder.sent - self.committed > WAITING

    def published_beyond_commit(self) -> int:
        places = {
            (int(record.header("imagebus.partition")), int(record.header("imagebus.offset")))
            for record in self.published.read()
        }
        positions = self.positions()
        return sum(1 for partition, offset in places if offset >= positions[partition])

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
    outcome: Outcome,
    short_session: Path,
    kills: int,
    record_property: Callable[[str, object], None],
) -> None:
    chance = random.Random(seed())
    flags = ("-n", "every", "-q", "--start", "earliest", "--batch", "8", "--delay-ms", "1")
    start = partial(run, *flags, "--kafka-config", short_session, script=EVERY_OUTCOME)
    with Scene(kafka, start, outcome) as scene:
        for _ in range(kills):
            program, before = scene.begin(), scene.total()
            wait_for(lambda before=before: scene.total() > before, "commits to advance", 60)  # type: ignore[misc]
            time.sleep(chance.uniform(0, 0.6))
            scene.kill(program)
        program = scene.begin()
        fed = scene.finish(program)

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
