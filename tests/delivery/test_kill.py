"""A filter that is killed again and again, under load: no frame is lost, and few are repeated."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.broker import Commits, Feeder, Reader, fresh, identities, make_topic
from tests.delivery.conftest import Run
from tests.programs import IMAGEAI, REDACTION, Program, wait_for

pytestmark = pytest.mark.kafka
PARTITIONS = 4
KILLS = 20
SETTLE_S = 0.05
"""What a killed process had handed to the kernel still reaches the broker."""


class Scene:
    """One filter on one topic, killed at will, and what is known from outside about its frames."""

    def __init__(
        self, kafka: str, start: Callable[[str, str], Program], outcome: Callable[[str], Reader]
    ) -> None:
        self.topic = make_topic(kafka, fresh("in"), PARTITIONS)
        self.out = make_topic(kafka, fresh("out"), 1)
        self._start = start
        self.commits = Commits(kafka, "killed", self.topic, PARTITIONS)
        self.written = outcome(self.out)
        self.feeder = Feeder(kafka, self.topic, per_s=1000, partitions=PARTITIONS, enough=self._enough)
        self._read = 0
        self.in_flight: list[int] = []
        self.offsets: list[int] = []

    def _enough(self) -> bool:
        """Keep some hundred frames waiting; nothing before the first kill."""
        return not self.in_flight or self.feeder.sent - self._read > 300

    def begin(self) -> Program:
        return self._start(self.topic, self.out)

    def total(self) -> int:
        return sum(position.offset for position in self.commits.now().values())

    def published_beyond_commit(self) -> int:
        """Count the frames downstream whose input is not committed."""
        self._read = len(set(identities(self.written.read())))
        positions = self.commits.now()
        places = [self.feeder.acknowledged.get(one) for one in set(identities(self.written.records))]
        return sum(1 for place in places if place and place[1] >= positions[place[0]].offset)

    def kill(self, program: Program, in_flight: Callable[[], int]) -> None:
        """Stop it where it is, look whether frames are in flight, and kill it there; else let it go on."""
        while True:
            assert program.alive, program.err.decode()
            program.signal(signal.SIGSTOP)
            time.sleep(SETTLE_S)
            if in_flight():
                break
            program.signal(signal.SIGCONT)
            time.sleep(0.01)
        program.kill()
        time.sleep(SETTLE_S)
        self.in_flight.append(in_flight())
        self.offsets.append(self.total())


def small_yolox(models: Path) -> tuple[object, ...]:
    return ("--model", models / "yolox_nano.onnx")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("which", ["imageaiProcessor", pytest.param("redaction", marks=pytest.mark.slow)])
def test_a_filter_killed_twenty_times_loses_nothing_and_repeats_only_what_was_in_flight(
    kafka: str,
    run: Run,
    outcome: Callable[[str], Reader],
    short_session: Path,
    models: Path,
    which: str,
    record_property: Callable[[str, object], None],
) -> None:
    seed = int(os.environ.get("IMAGEBUS_TEST_SEED") or random.randrange(2**32))
    print(f"IMAGEBUS_TEST_SEED={seed}")
    chance = random.Random(seed)
    script, options = {"imageaiProcessor": (IMAGEAI, small_yolox(models)), "redaction": (REDACTION, ())}[
        which
    ]

    def start(topic: str, out: str) -> Program:
        arguments = ("-i", topic, "-t", out, "--group", "killed", "--freshness", "all")
        return run(*arguments, "--kafka-config", short_session, *options, script=script)

    scene = Scene(kafka, start, outcome)
    try:
        program = scene.begin()
        wait_for(lambda: len(scene.commits.now()) == PARTITIONS, "the starting offsets", every_s=0.005)
        # The first kill: the starting offsets are committed, frames came since, and nothing is done yet.
        program.signal(signal.SIGSTOP)
        scene.feeder.feed(40)
        wait_for(lambda: len(scene.feeder.acknowledged) == 40, "forty frames on the topic")
        scene.kill(program, lambda: len(scene.feeder.acknowledged) - scene.total())
        assert (scene.in_flight, scene.offsets) == ([40], [0])

        for _ in range(1, KILLS):
            program = scene.begin()
            before = scene.offsets[-1]
            wait_for(lambda before=before: scene.total() > before, "commits to advance", every_s=0.01)  # type: ignore[misc]
            time.sleep(chance.uniform(0, 0.6))
            scene.kill(program, scene.published_beyond_commit)
    finally:
        fed = scene.feeder.stop()

    program = scene.begin()
    wait_for(lambda: scene.total() == len(fed), "everything to be committed", within_s=60)
    assert program.ends(signal.SIGTERM) == 0
    found = identities(scene.written.read())
    repeats = len(found) - len(set(found))
    record_property("frames", len(fed))
    record_property("in_flight", scene.in_flight)
    print(f"{len(fed)} frames, in flight at the kills {scene.in_flight}, {repeats} repeats")
    assert set(found) == fed
    assert all(scene.in_flight)
    assert scene.offsets == sorted(set(scene.offsets)), "commits advanced between kills"
    assert repeats <= sum(scene.in_flight[1:])
    assert b"Traceback" not in program.err
