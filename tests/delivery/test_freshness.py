"""A filter slower than its cameras: fresh frames, a fair share for each, and one outcome for every frame."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgpack
import pytest

from imagebus.commit import counts_of
from imagebus.record import Record
from tests.broker import Reader, committed, fresh, identities, make_topic
from tests.delivery.cameras import cameras, noise
from tests.delivery.conftest import Run
from tests.programs import Program, wait_for

pytestmark = pytest.mark.kafka
Outcome = Callable[[str], Reader]
PARTITIONS = 4


class Scene:
    """One slow filter behind some cameras."""

    def __init__(self, kafka: str, run: Run, outcome: Outcome, freshness: str, delay_ms: int = 100) -> None:
        self._kafka = kafka
        self.topic, self.out = make_topic(kafka, fresh("in"), PARTITIONS), fresh("out")
        arguments = ("-i", self.topic, "-t", self.out, "-n", "f", "--freshness", freshness)
        self.program: Program = run(*arguments, "--delay-ms", delay_ms)
        wait_for(lambda: len(self._commits()) == PARTITIONS, "the start")
        self._reader = outcome(self.out)

    def _commits(self) -> dict[int, dict[str, int]]:
        found = committed(self._kafka, f"imagebus.f.{self.topic}.{self.out}", self.topic, PARTITIONS)
        return {partition: counts_of(position) for partition, position in found.items()}

    def shoot(
        self, seconds: float, sources: Sequence[str], fps: float, pictures: Sequence[bytes] = ()
    ) -> int:
        """Let cameras publish for so long; return how many frames are safe."""
        with cameras(self._kafka, self.topic, sources, fps, pictures) as shooting:
            wait_for(lambda: all(one.published for one in shooting.publishers.values()), "all cameras")
            self._begun_ns = time.time_ns()
            time.sleep(seconds)
            self._over_ns = time.time_ns()
            assert shooting.stop() == 0
            return shooting.published

    def outcomes(self, produced: int) -> Counter[str]:
        """Wait until every frame has its outcome; return their sums."""
        wait_for(lambda: sum(sum(c.values()) for c in self._commits().values()) >= produced, "all outcomes")
        assert self.program.ends(signal.SIGTERM) == 0
        sums: Counter[str] = Counter()
        for counts in self._commits().values():
            sums.update(counts)
        return sums

    @property
    def records(self) -> list[Record]:
        """Return all that the filter has written."""
        return self._reader.read()

    def outputs(self) -> tuple[list[float], Counter[str]]:
        """Return how old each frame was when published (seconds, sorted), and how many each camera has.

        What is left out: while not all cameras had begun; and the newest frame of each, which waits for its
        turn also once no more come.
        """
        frames = [msgpack.unpackb(record.value or b"") for record in self.records]
        frames = [f for f in frames if self._begun_ns < f["trail"][-1]["published_ns"] < self._over_ns]
        return ages_of(frames), Counter(frame["source"] for frame in frames)


def ages_of(frames: list[dict[str, Any]]) -> list[float]:
    return sorted((frame["trail"][-1]["published_ns"] - frame["captured_ns"]) / 1e9 for frame in frames)


def p95(ages: list[float]) -> float:
    return ages[int(len(ages) * 0.95)]


@pytest.mark.parametrize(
    ("freshness", "seconds"),
    [
        ("2", 20),
        ("latest", 10),
        pytest.param("2", 600, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_two_fast_cameras_share_a_slow_filter_that_stays_fresh(
    kafka: str,
    run: Run,
    outcome: Outcome,
    record_property: Callable[[str, object], None],
    freshness: str,
    seconds: int,
) -> None:
    scene = Scene(kafka, run, outcome, freshness)
    produced = scene.shoot(seconds, ["cam0", "cam1"], fps=30)
    sums = scene.outcomes(produced)
    ages, shares = scene.outputs()
    said = (
        f"{produced} frames: {dict(sums)}; age p95 {p95(ages):.3f} s, most {ages[-1]:.3f} s; {dict(shares)}"
    )
    print(said)
    record_property("freshness", said)

    skipped = "skipped.superseded" if freshness == "latest" else "skipped.stale"
    assert sum(sums.values()) == produced
    assert set(sums) == {"output", skipped}
    assert sums["output"] == len(set(identities(scene.records)))
    assert p95(ages) <= (1.0 if freshness == "latest" else 2.0)
    assert max(shares.values()) <= 1.2 * min(shares.values())


def test_forty_cameras_all_get_their_turn(kafka: str, run: Run, outcome: Outcome) -> None:
    sources = [f"cam{n}" for n in range(40)]
    scene = Scene(kafka, run, outcome, "2", delay_ms=50)
    produced = scene.shoot(8, sources, fps=1.5)
    sums = scene.outcomes(produced)
    ages, shares = scene.outputs()
    print(f"{produced} frames: {dict(sums)}; age p95 {p95(ages):.3f} s; {dict(shares)}")
    assert sum(sums.values()) == produced
    assert p95(ages) <= 2.0
    assert set(shares) == set(sources)
    assert max(shares.values()) <= min(shares.values()) + 2


def test_frames_too_large_to_wait_for_their_turn_are_skipped_and_the_rest_is_fresh(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    """Two seconds of these cameras are more bytes than may wait."""
    scene = Scene(kafka, run, outcome, "2", delay_ms=150)
    large = noise(1280, 1280)
    assert 2 * 2 * 8 * len(large) > 32 * 1024**2
    produced = scene.shoot(8, ["cam0", "cam1"], fps=8, pictures=[large])
    sums = scene.outcomes(produced)
    ages, shares = scene.outputs()
    print(f"{produced} frames of {len(large)} bytes: {dict(sums)}; age p95 {p95(ages):.3f} s; {dict(shares)}")
    assert sum(sums.values()) == produced
    assert p95(ages) <= 2.0
    assert max(shares.values()) <= 1.2 * min(shares.values()) + 1
    assert scene.program.err.count(b"Traceback") == 0


def test_a_slow_filter_never_makes_a_fast_one_slow(kafka: str, run: Run, outcome: Outcome) -> None:
    slow = Scene(kafka, run, outcome, "2", delay_ms=500)
    out = fresh("fast")
    run("-i", slow.topic, "-t", out, "-n", "fast")
    group = f"imagebus.fast.{slow.topic}.{out}"
    wait_for(lambda: len(committed(kafka, group, slow.topic, PARTITIONS)) == PARTITIONS, "the start")
    produced = slow.shoot(8, ["cam0", "cam1"], fps=20)
    reader = outcome(out)
    wait_for(lambda: len(reader.read()) >= produced, "all frames by the fast one")
    frames = [msgpack.unpackb(record.value or b"") for record in reader.records]
    ages = ages_of(frames)
    print(f"{produced} frames; age of the fast one p95 {p95(ages):.3f} s")
    assert len(frames) == produced, "it skipped none"
    assert p95(ages) <= 0.5
