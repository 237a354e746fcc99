"""Filters that work in batches, hold frames back, mind their cameras or need no pixels, on a real broker."""

from __future__ import annotations

import signal
from itertools import count
from pathlib import Path
from typing import Any

import msgpack
import pytest

from imagebus.bus import Bus
from imagebus.camera import CameraPublisher
from imagebus.commit import read
from imagebus.record import Record
from tests.broker import (
    PICTURE,
    Put,
    Reader,
    committed,
    frame_put,
    fresh,
    identities,
    make_topic,
    plain_frame,
    put,
    read_all,
)
from tests.delivery.conftest import Run
from tests.delivery.stage import Outcome, every_frame, group
from tests.programs import ROOT, Program, wait_for

pytestmark = pytest.mark.kafka
BATCHING = ROOT / "tests" / "filters" / "batching.py"
COUNTING = ROOT / "tests" / "filters" / "counting.py"
DETECTIONS = [{"label": label, "confidence": 0.5, "box": [0, 0, 9, 9]} for label in ("cup", "cup", "dog")]


def frames(number: int, source: str = "camera", first: int = 0, **changes: Any) -> list[Put]:
    return [frame_put(plain_frame(first + n, source, **changes)) for n in range(number)]


def by_batch(records: list[Record]) -> list[list[str]]:
    return [msgpack.unpackb(record.value or b"")["attributes"]["test.batch"] for record in records]


def offset(kafka: str, topic: str, out: str) -> int:
    return committed(kafka, group(topic, out), topic)[0].offset


# Batches


def test_a_batch_is_of_all_partitions_and_bad_frames_spoil_none_of_their_neighbours(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, out = make_topic(kafka, fresh("in"), 4), make_topic(kafka, fresh("out"), 1)
    puts = []
    for n in range(160):
        partition, source = n % 4, f"cam{n % 4}"
        frame = plain_frame(n, source)
        if n in (21, 22):
            frame["attributes"] = {"test.do": "fail"}
        if n == 43:
            frame["image"] = frame["image"][:100] + b"\xff\xd9"
        puts.append(frame_put(frame, partition))
    puts[64] = Put(b"no frame", b"cam0", puts[64].timestamp_ms, 0)
    put(kafka, topic, puts)
    program = run(*every_frame(topic, out, "--freshness", 3600, "--batch", 8), script=BATCHING)
    written = outcome(out)
    wait_for(lambda: len(written.read()) == 156, "all but four frames")
    assert {sequence for _, _, sequence in identities(written.records)} == set(range(160)) - {21, 22, 43, 64}
    assert max(len(set(batch)) for batch in by_batch(written.records)) == 4
    assert max(len(batch) for batch in by_batch(written.records)) == 8
    reasons = sorted(record.header("imagebus.reason") for record in read_all(kafka, f"{topic}.DLQ"))
    assert reasons == ["error", "error", "picture", "undecodable"]
    assert program.ends(signal.SIGTERM) == 0
    positions = committed(kafka, group(topic, out), topic, 4)
    assert {p: position.offset for p, position in positions.items()} == dict.fromkeys(range(4), 40)
    assert {p: read(position).counts for p, position in positions.items()} == {
        0: {"dead": 1, "output": 39},
        1: {"dead": 1, "output": 39},
        2: {"dead": 1, "output": 39},
        3: {"dead": 1, "output": 39},
    }


def test_a_batch_waits_so_long_to_be_full_and_no_longer(kafka: str, run: Run, outcome: Outcome) -> None:
    topic, out = make_topic(kafka, fresh("in")), make_topic(kafka, fresh("out"))
    run(*every_frame(topic, out, "--batch", 3, "--batch-wait", 6), script=BATCHING)
    written = outcome(out)
    put(kafka, topic, frames(3))
    wait_for(lambda: len(written.read()) == 3, "a full batch")
    put(kafka, topic, frames(1, first=3))
    put(kafka, topic, frames(2, first=4))
    wait_for(lambda: len(written.read()) == 6, "the next")
    put(kafka, topic, frames(2, first=6))
    wait_for(lambda: len(written.read()) == 8, "what is there once the time is over")
    assert [len(batch) for batch in by_batch(written.records)[3:]] == [3, 3, 3, 2, 2]


# Holding


def test_what_is_held_back_at_a_kill_or_a_stop_is_read_again(
    kafka: str, run: Run, outcome: Outcome, short_session: Path
) -> None:
    topic, out = make_topic(kafka, fresh("in")), make_topic(kafka, fresh("out"))
    flags = every_frame(topic, out, "--ahead", 10, "--kafka-config", short_session)
    written = outcome(out)

    def until(program: Program, fed: int) -> None:
        def is_settled() -> bool:
            return written.sequences()[-1:] == [fed - 11] and offset(kafka, topic, out) == fed - 10

        wait_for(is_settled, f"all of {fed} but the ten that are held")
        assert program.alive

    put(kafka, topic, frames(15))
    program = run(*flags, script=BATCHING)
    until(program, 15)
    program.kill()
    put(kafka, topic, frames(10, first=15))
    program = run(*flags, script=BATCHING)
    until(program, 25)
    assert program.ends(signal.SIGTERM) == 0
    assert offset(kafka, topic, out) == 15, "a stop lets nothing that is held go"
    put(kafka, topic, frames(5, first=25))
    program = run(*flags, "--batch", 4, script=BATCHING)
    until(program, 30)
    assert written.sequences() == list(range(20)), "none was lost, none came twice"


# Cameras


def test_a_filter_hears_of_cameras_at_the_start_at_a_rebalance_and_when_it_lost_them(
    kafka: str, run: Run, short_session: Path
) -> None:
    topic, out = make_topic(kafka, fresh("in"), 4), make_topic(kafka, fresh("out"))
    flags = every_frame(topic, out, "--ahead", 2, "--kafka-config", short_session)
    cameras = {f"cam{n}" for n in range(4)}

    numbers = count()

    def feed() -> None:
        put(kafka, topic, [frame_put(plain_frame(next(numbers), f"cam{n}"), n) for n in range(4)])

    def owned(program: Program) -> set[str]:
        found: set[str] = set()
        for line in program.err.decode().splitlines():
            if line.startswith("gained"):
                gained, lost = line.removeprefix("gained").split("lost")
                assert not found & set(gained.split()), "gained once"
                assert set(lost.split()) <= found
                found = (found | set(gained.split())) - set(lost.split())
        return found

    def shared(*programs: Program) -> bool:
        feed()
        each = [owned(program) for program in programs]
        return all(each) and sum(map(len, each)) == 4 and set().union(*each) == cameras

    first = run(*flags, script=BATCHING)
    wait_for(lambda: shared(first), "all cameras at the first", every_s=0.3)
    second = run(*flags, script=BATCHING)
    wait_for(lambda: shared(first, second), "cameras shared", every_s=0.3)
    first.signal(signal.SIGSTOP)
    wait_for(lambda: shared(second), "all cameras at the second", every_s=0.3)
    first.signal(signal.SIGCONT)
    wait_for(lambda: shared(first, second), "cameras shared again", every_s=0.3)
    assert b"Traceback" not in first.err + second.err


# Without pixels


def test_filters_without_pixels_make_a_chain_over_meta(kafka: str, run: Run, outcome: Outcome) -> None:
    source, seen, counted, again = (fresh(name) for name in ("source", "seen", "counted", "again"))
    make_topic(kafka, source)
    run(*every_frame(source, seen, "-n", "pass"))
    run(*every_frame(seen, counted, "-n", "first"), script=COUNTING)
    run(*every_frame(counted, again, "-n", "second"), script=COUNTING)
    blind = run("-i", counted, "-t", fresh("blind"), "-n", "blind")
    put(kafka, source, frames(5, detections=DETECTIONS))
    end = outcome(f"{again}.META")
    wait_for(lambda: len(end.read()) == 5, "five frames at the end of the chain")
    for record in end.records:
        frame = msgpack.unpackb(record.value or b"")
        assert frame["image"] == b""
        assert frame["attributes"] == {
            "first.count": {"cup": 2, "dog": 1},
            "second.count": {"cup": 2, "dog": 1},
        }
        assert [hop["topic"] for hop in frame["trail"]] == [seen, counted, again]
        assert record.timestamp_ms == frame["captured_ns"] // 1_000_000
        assert record.header("content-type") == "application/vnd.imagebus.meta+msgpack;v=1"
    assert read_all(kafka, counted) == read_all(kafka, again) == []
    blind.says(
        f"topic {counted} does not exist yet, only {counted}.META: what is written there has no pictures"
    )


def test_a_filter_without_pixels_that_wants_a_picture_makes_dead_letters_that_say_so(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    source, seen, counted = fresh("source"), fresh("seen"), fresh("counted")
    make_topic(kafka, source)
    run(*every_frame(source, seen, "-n", "pass"))
    run(*every_frame(seen, counted, "--look"), script=COUNTING)
    put(kafka, source, frames(25))
    dead = outcome(f"{seen}.META.DLQ")
    wait_for(lambda: len(dead.read()) == 25, "a dead letter for each")
    assert {record.header("imagebus.reason") for record in dead.records} == {"picture"}
    assert "the filter declares pixels = False" in dead.records[0].header("imagebus.error")


# META


def beside(full: Reader, meta: Reader, number: int) -> None:
    """Check that META has the same records in the same order, but for the pictures."""
    wait_for(lambda: len(full.read()) == len(meta.read()) == number, "every frame and its META")
    for partition in {record.partition for record in full.records}:
        frames_here = [record for record in full.records if record.partition == partition]
        meta_here = [record for record in meta.records if record.partition == partition]
        assert identities(frames_here) == identities(meta_here)
        for one, other in zip(frames_here, meta_here, strict=True):
            assert (one.key, one.timestamp_ms) == (other.key, other.timestamp_ms)
            assert one.header("traceparent") == other.header("traceparent")
            assert one.header("imagebus.offset") == other.header("imagebus.offset")
            assert one.header("content-type") == "application/vnd.imagebus.frame+msgpack;v=1"
            assert other.header("content-type") == "application/vnd.imagebus.meta+msgpack;v=1"
            assert msgpack.unpackb(other.value or b"") == {**msgpack.unpackb(one.value or b""), "image": b""}


def test_a_camera_writes_meta_beside_its_frames(kafka: str, outcome: Outcome) -> None:
    topic = fresh("camera")
    camera = CameraPublisher(Bus(kafka), topic, "door", live=False)
    for _ in range(20):
        camera.publish(PICTURE)
    assert camera.close(60) == 0
    beside(outcome(topic), outcome(f"{topic}.META"), 20)


def test_meta_stands_beside_every_frame_in_its_order_with_its_key_and_time(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, out = make_topic(kafka, fresh("in"), 2), make_topic(kafka, fresh("out"), 2)
    make_topic(kafka, f"{out}.META", 2)
    put(kafka, topic, [frame_put(plain_frame(n, f"cam{n % 5}", detections=DETECTIONS)) for n in range(60)])
    run(*every_frame(topic, out))
    beside(outcome(out), outcome(f"{out}.META"), 60)
