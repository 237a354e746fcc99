"""The example that looks ahead, tested as a reader of docs/filters.md would; and on a real broker."""

import sys
from pathlib import Path

import pytest

from imagebus import Detection, Frame
from imagebus.testing import make_frame, run_filter
from tests.broker import committed, frame_put, fresh, identities, make_topic, plain_frame, put, read_all
from tests.programs import ROOT, running, wait_for

sys.path.append(str(ROOT / "examples"))
from bridge import Bridge

HERE, BESIDE, ELSEWHERE = (10, 10, 30, 40), (12, 10, 32, 40), (40, 0, 60, 20)


def seen(sequence: int, *boxes: tuple[int, int, int, int], source: str = "yard") -> Frame:
    found = [Detection("person", 0.9, box) for box in boxes]
    return make_frame(source=source, sequence=sequence, detections=found, searched=["person"])


def done(kafka: str, topic: str) -> list[int]:
    return [position.offset for position in committed(kafka, topic, topic).values()]


def test_an_object_that_blinks_is_there_in_the_frame_between() -> None:
    frames = [seen(0, HERE), seen(1), seen(2, BESIDE), seen(3), seen(4, ELSEWHERE)]
    after = run_filter(Bridge, frames, "--from", "2020-01-01", "--run", "test")
    assert [frame.sequence for frame in after] == [0, 1, 2, 3, 4]
    boxes = [[found.box for found in frame.detections] for frame in after]
    assert boxes == [[HERE], [HERE], [BESIDE], [], [ELSEWHERE]]
    assert [frame.attributes for frame in after] == [{}, {"bridge.added": 1}, {}, {}, {}]


def test_cameras_are_apart() -> None:
    door = [seen(0, source="door"), seen(1, source="door"), seen(2, HERE, source="door")]
    frames = [seen(0, HERE), *door, seen(1)]
    after = run_filter(Bridge, frames, "--from", "2020-01-01", "--run", "test")
    assert sum(len(frame.detections) for frame in after) == 2


@pytest.mark.kafka
def test_the_last_frame_of_a_camera_that_falls_silent_comes_out_and_is_committed(
    kafka: str, tmp_path: Path
) -> None:
    topic, out = make_topic(kafka, fresh("FOUND")), fresh("BRIDGED")
    put(kafka, topic, [frame_put(plain_frame(number)) for number in range(3)])
    flags = ("-i", topic, "-t", out, "--kafka", kafka, "--start", "earliest", "--freshness", "all")
    with running(tmp_path, ROOT / "examples" / "bridge.py", *flags, "--group", topic, "--patience", "0.5"):
        wait_for(lambda: done(kafka, topic) == [3], "a commit of all three")
    assert [sequence for _, _, sequence in identities(read_all(kafka, out))] == [0, 1, 2]
