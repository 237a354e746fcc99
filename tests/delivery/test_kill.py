"""A filter that is killed again and again, under load: no frame is lost, and few are repeated."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.broker import Feeder, fresh, identities, make_topic
from tests.delivery.conftest import Run
from tests.delivery.killing import PARTITIONS, Killing
from tests.delivery.stage import Outcome
from tests.programs import IMAGEAI, REDACTION, Program, wait_for
from tests.seed import seed

pytestmark = pytest.mark.kafka
KILLS = 20


class Scene(Killing):
    """Its feeder keeps some hundred frames waiting; it sends none before the first kill."""

    def __init__(self, kafka: str, start: Callable[..., Program], outcome: Outcome) -> None:
        super().__init__(kafka, start, make_topic(kafka, fresh("out")))
        self.written = outcome(self.out)
        self._read = 0
        self.feeder = Feeder(kafka, self.topic, per_s=1000, partitions=PARTITIONS, enough=self._enough)

    def _enough(self) -> bool:
        return not self.in_flight or self.feeder.sent - self._read > 300

    def published_beyond_commit(self) -> int:
        found = set(identities(self.written.read()))
        self._read = len(found)
        positions = self.positions()
        places = [self.feeder.acknowledged.get(one) for one in found]
        return sum(1 for place in places if place and place[1] >= positions[place[0]])


def small_yolox(models: Path) -> tuple[object, ...]:
    return ("--model", models / "yolox_nano.onnx")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("which", ["imageaiProcessor", pytest.param("redaction", marks=pytest.mark.slow)])
def test_a_filter_killed_twenty_times_loses_nothing_and_repeats_only_what_was_in_flight(
    kafka: str,
    run: Run,
    outcome: Outcome,
    short_session: Path,
    models: Path,
    which: str,
    record_property: Callable[[str, object], None],
) -> None:
    chance = random.Random(seed())
    script, options = {"imageaiProcessor": (IMAGEAI, small_yolox(models)), "redaction": (REDACTION, ())}[
        which
    ]
    start = partial(run, "--kafka-config", short_session, *options, script=script)
    with Scene(kafka, start, outcome) as scene:
        program = scene.begin()
        wait_for(lambda: len(scene.positions()) == PARTITIONS, "the starting offsets", every_s=0.005)
        # The first kill: the starting offsets are committed, frames came since, and nothing is done yet.
        program.signal(signal.SIGSTOP)
        scene.feeder.feed(40)
        wait_for(lambda: len(scene.feeder.acknowledged) == 40, "forty frames on the topic")
        scene.kill(program, lambda: len(scene.feeder.acknowledged) - scene.total())
        assert (scene.in_flight, scene.offsets) == ([40], [0])

        for _ in range(1, KILLS):
            program = scene.begin()
            wait_for(lambda: scene.total() > scene.offsets[-1], "commits to advance", every_s=0.01)
            time.sleep(chance.uniform(0, 0.6))
            scene.kill(program)

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
