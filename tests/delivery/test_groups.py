"""Who sees which frames: stages side by side, and several processes of one stage."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest

from imagebus.commit import counts_of
from imagebus.connection import Position
from tests.broker import Feeder, committed, frame_put, fresh, identities, make_topic, plain_frame, put
from tests.delivery.conftest import Run
from tests.delivery.stage import Outcome, counts, every_frame, fill, group
from tests.programs import Program, wait_for

pytestmark = pytest.mark.kafka


def lines(program: Program) -> int:
    """Count the frames that a program has told of."""
    return program.out.count(b"\n")


def add_up(positions: dict[int, Position]) -> bool:
    """Tell whether the counts of each commit are those of all offsets before it, read from the first on."""
    return all(sum(counts_of(position).values()) == position.offset for position in positions.values())


def test_two_stages_side_by_side_each_see_every_frame(kafka: str, run: Run, outcome: Outcome) -> None:
    topic, out = make_topic(kafka, fresh("in"), 2), make_topic(kafka, fresh("out"), 2)
    for name in ("first", "second"):
        run(*every_frame(topic, out, "-n", name))
    fill(kafka, topic, 0, 50, 2)
    written = outcome(out)
    wait_for(lambda: len(written.read()) >= 100, "the frames of both")
    assert Counter(written.sequences()) == dict.fromkeys(range(50), 2)


def test_processes_of_one_stage_share_the_frames_and_a_leaving_one_repeats_nothing(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, out = make_topic(kafka, fresh("in"), 4), make_topic(kafka, fresh("out"), 4)
    arguments = every_frame(topic, out, "--delay-ms", 4)
    # Sources share partitions unevenly, so that frames are finished out of the order of their offsets.
    written = outcome(out)
    feeder = Feeder(kafka, topic, per_s=400, partitions=4)
    feeder.feed(400)
    try:
        first = run(*arguments)
        wait_for(lambda: lines(first) > 20, "frames of the first", every_s=0.01)
        second = run(*arguments)
        wait_for(lambda: lines(second) > 20, "frames of the second", every_s=0.01)
        assert first.ends(signal.SIGTERM) == 0
        third = run(*arguments)
        wait_for(lambda: lines(third) > 20, "frames of the third", every_s=0.01)
    finally:
        fed = feeder.stop()

    wait_for(lambda: len(written.read()) >= len(fed), "all frames")
    assert [program.ends(signal.SIGTERM) for program in (second, third)] == [0, 0]
    assert Counter(identities(written.read())) == dict.fromkeys(fed, 1)
    positions = committed(kafka, group(topic, out), topic, 4)
    assert sum(position.offset for position in positions.values()) == len(fed)
    assert add_up(positions)


def test_a_killed_process_leaves_its_share_to_the_other(
    kafka: str, run: Run, outcome: Outcome, short_session: Path
) -> None:
    topic, out = make_topic(kafka, fresh("in"), 4), make_topic(kafka, fresh("out"), 1)
    arguments = every_frame(topic, out, "--kafka-config", short_session, "--delay-ms", 3)
    both = [run(*arguments) for _ in range(2)]
    fill(kafka, topic, 0, 400, 4)
    wait_for(lambda: all(lines(program) > 5 for program in both), "both at work", every_s=0.01)
    both[0].kill()
    fill(kafka, topic, 400, 100, 4)

    written = outcome(out)
    wait_for(lambda: len(set(written.sequences())) >= 500, "all frames")
    assert both[1].ends(signal.SIGTERM) == 0
    positions = committed(kafka, group(topic, out), topic, 4)
    assert sum(position.offset for position in positions.values()) == 500
    assert add_up(positions)


def test_the_counts_of_every_commit_add_up_to_its_offset(
    kafka: str, run: Run, outcome: Outcome, short_session: Path
) -> None:
    topic, out = make_topic(kafka, fresh("in"), 2), make_topic(kafka, fresh("out"))
    does = ["pass", "drop", "fail", "double", "pass"]
    frames = [plain_frame(n, attributes={"test.do": does[n % 5]}) for n in range(200)]
    arguments = every_frame(topic, out, "--kafka-config", short_session, "--delay-ms", 5)
    put(kafka, topic, [frame_put(frame, n % 2) for n, frame in enumerate(frames)])
    seen = set()
    program = run(*arguments)
    for stop_at in (60, 130, 200):

        def reached(stop_at: int = stop_at) -> bool:
            positions = committed(kafka, group(topic, out), topic, 2)
            assert add_up(positions)
            seen.add(sum(position.offset for position in positions.values()))
            return max(seen) >= stop_at

        wait_for(reached, f"{stop_at} frames")
        program.kill()
        if stop_at < 200:
            program = run(*arguments)
    assert counts(kafka, topic, out, 2) == {"output": 120, "filtered": 40, "dead": 40}
    assert len(seen) > 3
