"""Clocks that are wrong, or are set while all runs: nothing is lost, nobody starves, times stay sane."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import msgpack
import pytest

from tests.broker import Reader, committed, fresh, make_topic
from tests.delivery.cameras import cameras
from tests.delivery.conftest import Run
from tests.delivery.stage import Outcome, counts, every_frame, group
from tests.programs import ROOT, Program, wait_for

pytestmark = pytest.mark.kafka
Shoot = Callable[..., Program]
CAMERAS = Path(__file__).with_name("cameras.py")
HOUR_S = 3600
KEPT = {"retention__ms": 48 * HOUR_S * 1000, "message__timestamp__after__max__ms": 24 * HOUR_S * 1000}
"""An hour behind is older than the ten minutes that the broker keeps."""


CLOCK = """import os, time
wall, wall_ns = time.time, time.time_ns
def ahead_s():
    with open(os.environ["CLOCK"]) as file:
        return float(file.read())
time.time = lambda: wall() + ahead_s()
time.time_ns = lambda: wall_ns() + int(ahead_s() * 1e9)
"""
"""A clock for one program: only root may set the machine's, and under libfaketime the Kafka client hangs,
for it waits by the wall clock in a way (``cnd_timedwait``) that the library does not know of."""


class Clock:
    """The wall clock of programs started with its ``environment``; the one that never steps is left alone."""

    def __init__(self, folder: Path, ahead_s: float) -> None:
        self._file = folder / f"clock{ahead_s}"
        self.set(ahead_s)
        (folder / "sitecustomize.py").write_text(CLOCK)
        self.environment = {"CLOCK": str(self._file), "PYTHONPATH": f"{folder}:{ROOT}"}

    def set(self, ahead_s: float) -> None:
        """Set it so far ahead of the machine's."""
        new = self._file.with_suffix(".new")
        new.write_text(str(ahead_s))
        new.replace(self._file)


@pytest.fixture
def shoot(tmp_path: Path, kafka: str) -> Iterator[Shoot]:
    """Start a camera whose clock may be wrong: ``shoot("TOPIC", "name", 10, clock)``."""
    programs: list[Program] = []

    def start(topic: str, name: str, fps: float, clock: Clock | None = None) -> Program:
        environment = {"PYTHONPATH": str(ROOT), **(clock.environment if clock else {})}
        folder = tmp_path / f"camera{len(programs)}"
        programs.append(Program(folder, CAMERAS, kafka, topic, name, fps, **environment))
        return programs[-1]

    yield start
    for program in programs:
        if program.alive:
            program.kill()


def frames_of(reader: Reader) -> list[dict[str, Any]]:
    """Return all frames without their pictures, in the order of the log."""
    found = []
    for record in sorted(reader.read(), key=lambda record: (record.partition, record.offset)):
        frame = msgpack.unpackb(record.value or b"")
        found.append({**frame, "image": b""})
    return found


def test_cameras_an_hour_ahead_and_behind_lose_nothing_and_starve_nobody(
    kafka: str, run: Run, outcome: Outcome, shoot: Shoot, tmp_path: Path
) -> None:
    topic, out = make_topic(kafka, fresh("in"), 4, **KEPT), make_topic(kafka, fresh("out"), 4, **KEPT)
    program = run("-i", topic, "-t", out, "-n", "f", "--delay-ms", "100")
    wait_for(lambda: len(committed(kafka, group(topic, out), topic, 4)) == 4, "the start")
    ahead_s = {"right": 0, "ahead": HOUR_S, "behind": -HOUR_S}
    shooting = [shoot(topic, name, 10, Clock(tmp_path, offset)) for name, offset in ahead_s.items()]
    written, taken = outcome(out), outcome(topic)

    def shares() -> Counter[str]:
        return Counter(frame["source"] for frame in frames_of(written))

    wait_for(lambda: len(shares()) == 3 and min(shares().values()) >= 15, "frames of all", 90, 0.5)
    assert [camera.ends(signal.SIGTERM) for camera in shooting] == [0, 0, 0]
    produced = len(taken.read())
    wait_for(lambda: counts(kafka, topic, out, 4).total() >= produced, "all outcomes")
    assert program.ends(signal.SIGTERM) == 0

    found = counts(kafka, topic, out, 4)
    print(produced, found, shares())
    assert found.total() == produced
    assert set(found) == {"output", "skipped.stale"}
    assert max(shares().values()) <= 2 * min(shares().values())
    for name, offset in ahead_s.items():
        ages = sorted(
            (frame["trail"][-1]["published_ns"] - frame["captured_ns"]) / 1e9 + offset
            for frame in frames_of(written)
            if frame["source"] == name
        )
        print(name, ages[len(ages) // 2], ages[int(len(ages) * 0.9)])
        assert ages[int(len(ages) * 0.9)] < 2.5
    assert b"Traceback" not in program.err


def test_a_clock_that_is_set_begins_an_epoch_and_time_never_goes_back_within_one(
    kafka: str, run: Run, outcome: Outcome, shoot: Shoot, tmp_path: Path
) -> None:
    topic, out = make_topic(kafka, fresh("in"), 1, **KEPT), make_topic(kafka, fresh("out"), 1, **KEPT)
    program = run(*every_frame(topic, out))
    clock = Clock(tmp_path, 0)
    camera = shoot(topic, "cam", 20, clock)
    taken, written = outcome(topic), outcome(out)

    for ahead_s in (-0.4, -HOUR_S, HOUR_S, 0):
        goal = len(taken.read()) + 12
        wait_for(lambda goal=goal: len(taken.read()) >= goal, "frames more")  # type: ignore[misc]
        clock.set(ahead_s)
    goal = len(taken.read()) + 12
    wait_for(lambda: len(taken.read()) >= goal, "the last frames")
    assert camera.ends(signal.SIGTERM) == 0

    frames = frames_of(taken)
    epochs = [list(of) for _, of in groupby(frames, key=lambda frame: frame["epoch"])]
    assert len(epochs) == 4, "half a second back begins none, an hour does"
    for of in epochs:
        times = [frame["captured_ns"] for frame in of]
        assert times == sorted(times)
        assert [frame["sequence"] for frame in of] == list(range(len(of)))
    wait_for(lambda: len(written.read()) >= len(frames), "all frames through the filter")
    names = [(frame["epoch"], frame["sequence"]) for frame in frames]
    assert [(frame["epoch"], frame["sequence"]) for frame in frames_of(written)] == names
    assert program.ends(signal.SIGTERM) == 0
    assert b"Traceback" not in program.err


@pytest.mark.parametrize(
    "ahead_s", [HOUR_S, pytest.param(-HOUR_S, marks=pytest.mark.slow)], ids=["ahead", "behind"]
)
def test_a_filter_with_a_wrong_clock_that_is_then_set_gives_every_camera_its_share(
    kafka: str, run: Run, outcome: Outcome, tmp_path: Path, ahead_s: int
) -> None:
    topic, out = make_topic(kafka, fresh("in"), 4), fresh("out")
    clock = Clock(tmp_path, ahead_s)
    program = run("-i", topic, "-t", out, "-n", "f", "--delay-ms", "50", **clock.environment)
    wait_for(lambda: len(committed(kafka, group(topic, out), topic, 4)) == 4, "the start")
    written = outcome(out)
    with cameras(kafka, topic, ["cam0", "cam1"], 15) as shooting:
        wait_for(lambda: len(written.read()) >= 40, "frames")
        clock.set(0)
        goal = len(written.read()) + 40
        wait_for(lambda: len(written.read()) >= goal, "more frames")
        assert shooting.stop() == 0
        produced = shooting.published
    wait_for(lambda: counts(kafka, topic, out, 4).total() >= produced, "all outcomes")
    assert program.ends(signal.SIGTERM) == 0
    found = counts(kafka, topic, out, 4)
    shares = Counter(frame["source"] for frame in frames_of(written))
    print(produced, found, shares)
    assert found.total() == produced
    assert found["output"] == shares.total()
    assert max(shares.values()) <= 1.4 * min(shares.values())
    assert b"Traceback" not in program.err


def test_a_camera_more_than_a_day_ahead_is_told_and_disturbs_nobody(
    kafka: str, outcome: Outcome, shoot: Shoot, tmp_path: Path
) -> None:
    topic = make_topic(kafka, fresh("in"), 1, **KEPT)
    far, near = (
        shoot(topic, name, 5, Clock(tmp_path, seconds))
        for name, seconds in {"far": 25 * HOUR_S, "near": 24 * HOUR_S - 60}.items()
    )
    far.says("far: a frame was not published")
    taken = outcome(topic)
    wait_for(lambda: len(taken.read()) >= 10, "frames of the other")
    assert {frame["source"] for frame in frames_of(taken)} == {"near"}
    assert near.ends(signal.SIGTERM) == 0
    far.kill()  # each refusal takes a second, and it would wait for all
    assert b"Traceback" not in far.err
    assert near.err == b""
