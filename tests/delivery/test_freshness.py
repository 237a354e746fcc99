"""A filter slower than its cameras: fresh frames, a fair share for each, and one outcome for every frame."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgpack
import pytest

from tests.broker import committed, fresh, make_topic, read_all
from tests.delivery.cameras import cameras, noise
from tests.delivery.conftest import Run
from tests.delivery.stage import counts, group
from tests.programs import Program, wait_for

pytestmark = pytest.mark.kafka
PARTITIONS = 4


class Scene:
    """Some filters on one topic, and cameras that are too fast for them."""

    def __init__(self, kafka: str, run: Run) -> None:
        self.kafka = kafka
        self._run = run
        self.topic = make_topic(kafka, fresh("in"), PARTITIONS)

    def filter(self, name: str, freshness: str, delay_ms: int) -> Slow:
        """Start a filter that takes so long for each frame."""
        out = fresh(name)
        arguments = ("-i", self.topic, "-t", out, "-n", "f", "--freshness", freshness, "--quiet")
        return Slow(self, out, self._run(*arguments, "--delay-ms", delay_ms))

    def shoot(
        self, seconds: float, sources: Sequence[str], fps: float, pictures: Sequence[bytes] = ()
    ) -> int:
        """Let cameras publish for so long; return how many frames are safe."""
        with cameras(self.kafka, self.topic, sources, fps, pictures) as shooting:
            wait_for(lambda: all(one.published for one in shooting.publishers.values()), "all cameras")
            self.begun_ns = time.time_ns()
            time.sleep(seconds)
            self.over_ns = time.time_ns()
            assert shooting.stop() == 0
            return shooting.published


class Slow:
    """One filter of a scene.

    Attributes:
        program: it runs.
        said: its figures, once they are known.
    """

    def __init__(self, scene: Scene, out: str, program: Program) -> None:
        self._scene = scene
        self._out = out
        self.program = program
        self.said = ""
        starts = partial(committed, scene.kafka, group(scene.topic, out), scene.topic, PARTITIONS)
        wait_for(lambda: len(starts()) == PARTITIONS, "the start")

    def _counts(self) -> Counter[str]:
        return counts(self._scene.kafka, self._scene.topic, self._out, PARTITIONS)

    def outcomes(self, produced: int) -> Counter[str]:
        """Wait until every frame has its outcome; return their sums."""
        wait_for(lambda: self._counts().total() >= produced, "all outcomes")
        assert self.program.ends(signal.SIGTERM) == 0
        assert b"Traceback" not in self.program.err
        sums = self._counts()
        assert sums.total() == produced
        return sums

    def outputs(self) -> tuple[list[float], Counter[str]]:
        """Return how old each frame was when published (seconds, sorted), and how many each camera has.

        What is left out: while not all cameras had begun; and the newest frame of each, which waits for its
        turn also once no more come.
        """
        frames = []
        for record in read_all(self._scene.kafka, self._out):
            frame = msgpack.unpackb(record.value or b"")
            if self._scene.begun_ns < frame["trail"][-1]["published_ns"] < self._scene.over_ns:
                frames.append(frame)
        ages = ages_of(frames)
        shares = Counter(frame["source"] for frame in frames)
        self.said = f"{self._out}: age p95 {p95(ages):.3f} s, most {ages[-1]:.3f} s; {dict(shares)}"
        print(self.said)
        return ages, shares


def ages_of(frames: list[dict[str, Any]]) -> list[float]:
    return sorted((frame["trail"][-1]["published_ns"] - frame["captured_ns"]) / 1e9 for frame in frames)


def p95(ages: list[float]) -> float:
    return ages[int(len(ages) * 0.95)]


@pytest.mark.parametrize(
    "seconds", [8, pytest.param(600, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_fast_cameras_share_slow_filters_that_stay_fresh_and_slow_no_other(
    kafka: str, run: Run, record_property: Callable[[str, object], None], seconds: int
) -> None:
    """Two filters that manage a sixth, each fresh in its own way, and beside them a fast one."""
    scene = Scene(kafka, run)
    slow = {
        "skipped.stale": scene.filter("aged", "2", 100),
        "skipped.superseded": scene.filter("latest", "latest", 100),
    }
    fast = scene.filter("fast", "60", 0)
    produced = scene.shoot(seconds, ["cam0", "cam1"], fps=30)

    for (skipped, filter), most_s in zip(slow.items(), (2.0, 1.0), strict=True):
        assert set(filter.outcomes(produced)) == {"output", skipped}
        ages, shares = filter.outputs()
        record_property("freshness", f"{produced} frames; {filter.said}")
        assert p95(ages) <= most_s
        assert max(shares.values()) <= 1.2 * min(shares.values())
    assert fast.outcomes(produced) == {"output": produced}
    assert p95(fast.outputs()[0]) <= 1.0


def test_forty_cameras_all_get_their_turn(kafka: str, run: Run) -> None:
    sources = [f"cam{n}" for n in range(40)]
    scene = Scene(kafka, run)
    filter = scene.filter("forty", "2", 50)
    filter.outcomes(scene.shoot(6, sources, fps=1.5))
    ages, shares = filter.outputs()
    assert p95(ages) <= 2.0
    assert set(shares) == set(sources)
    assert max(shares.values()) <= min(shares.values()) + 2


def test_more_bytes_than_may_wait_are_skipped_and_the_rest_is_fresh(kafka: str, run: Run) -> None:
    large = noise(1280, 1280)
    assert 2 * 2 * 8 * len(large) > 32 * 1024**2, "two seconds of two cameras"
    scene = Scene(kafka, run)
    filter = scene.filter("large", "2", 150)
    filter.outcomes(scene.shoot(6, ["cam0", "cam1"], fps=8, pictures=[large]))
    ages, shares = filter.outputs()
    assert p95(ages) <= 2.0
    assert max(shares.values()) <= 1.2 * min(shares.values()) + 1
