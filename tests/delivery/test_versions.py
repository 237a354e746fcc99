"""A service between older and newer ones: what it does not know it passes on, or refuses by name."""

from __future__ import annotations

import json
import signal
import time

import msgpack
import msgspec
import pytest

from imagebus import codec
from imagebus.connection import Position
from tests.broker import Put, commit_as, committed, frame_put, fresh, make_topic, plain_frame, put
from tests.delivery.conftest import Run
from tests.delivery.stage import Outcome, every_frame, group
from tests.golden.write import ATTRIBUTES, everything
from tests.programs import wait_for

pytestmark = pytest.mark.kafka
OLDER = '{"v":1,"from":0,"output":5}'
NEWER = '{"v":2,"from":0,"ends":{"output":[5,0]},"log":"x"}'


def test_what_a_newer_writer_adds_passes_through_byte_for_byte_and_its_headers_mean_nothing(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, middle, out = make_topic(kafka, fresh("in")), fresh("middle"), fresh("out")
    for name, source, target in (("first", topic, middle), ("second", middle, out)):
        run(*every_frame(source, target, "-n", name))
    frame = msgspec.structs.replace(everything(), captured_ns=time.time_ns())
    headers = [
        ("content-type", b"application/vnd.imagebus.frame+msgpack;v=1;colour=deep"),
        ("imagebus.later", b"\xff\x00"),
        ("traceparent", b"01-of-a-later-kind"),
        ("imagebus.nothing", None),
    ]
    put(kafka, topic, [Put(codec.encode(frame), "Tür".encode(), headers=headers)])
    packed = msgspec.msgpack.encode(ATTRIBUTES)
    for end in (out, f"{out}.META"):
        written = outcome(end)
        wait_for(written.read, f"a record in {end}")
        [record] = written.records
        assert packed in (record.value or b"")
        for detection in frame.detections:
            assert msgspec.msgpack.encode(detection) in (record.value or b"")
        assert record.header("imagebus.later") == ""
        trail = msgpack.unpackb(record.value or b"", strict_map_key=False)["trail"]
        assert [hop["stage"] for hop in trail] == ["door", "imageaiProcessor", "first", "second"]


def test_a_record_of_a_later_version_is_a_dead_letter_that_names_it_and_the_next_goes_through(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    later = {"v": 2, "camera": "door", "pictures": [b"a", b"b"], "sequence": 2**70 // 2**10}
    run(*every_frame(topic, out))
    put(kafka, topic, [Put(msgpack.packb(later)), frame_put(plain_frame(1))])
    written, dead = outcome(out), outcome(f"{topic}.DLQ")
    wait_for(lambda: written.sequences() == [1] and dead.read(), "a frame and a dead letter")
    [letter] = dead.records
    assert letter.value == msgpack.packb(later)
    assert letter.header("imagebus.reason") == "undecodable"
    assert "a frame of version 2, update the program that reads it" in letter.header("imagebus.error")


def test_commits_of_an_older_and_of_a_newer_version_keep_their_offsets_and_are_counted_anew(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, out = make_topic(kafka, fresh("in"), 3), fresh("out")
    put(kafka, topic, [frame_put(plain_frame(n), n % 3) for n in range(24)])
    commit_as(kafka, group(topic, out), topic, {0: Position(5, OLDER), 1: Position(5, NEWER), 2: Position(5)})
    program = run(*every_frame(topic, out, "--start", "latest"))
    written = outcome(out)
    wait_for(lambda: len(written.read()) >= 9, "what lies behind the commits")
    assert written.sequences() == list(range(15, 24))
    assert program.ends(signal.SIGTERM) == 0
    assert program.err.count(b"without counts that are known here") == 3
    for partition, position in committed(kafka, group(topic, out), topic, 3).items():
        found = json.loads(position.metadata)
        assert (position.offset, found["from"], found["counts"]) == (8, 5, {"output": 3}), partition
        assert found["topic"] == out
        assert found["log"]
