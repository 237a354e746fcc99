"""What becomes of frames that cannot be processed or published."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from typing import Any

import msgpack
import pytest

from imagebus.record import Record
from tests.broker import Put, committed, frame_put, fresh, make_topic, plain_frame, put
from tests.delivery.conftest import Run
from tests.delivery.stage import Outcome, counts, every_frame, group
from tests.programs import wait_for

pytestmark = pytest.mark.kafka
HOUR_NS = 3600 * 10**9


def does(what: str, sequence: int) -> Put:
    return frame_put(plain_frame(sequence, attributes={"test.do": what}))


def dead(records: Sequence[Record]) -> list[tuple[int, str]]:
    return sorted((int(one.header("imagebus.offset")), one.header("imagebus.reason")) for one in records)


def test_a_dead_letter_is_the_original_record_with_the_reason_beside_it(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    headers = [("a", b"\xff\0"), ("a", b"again"), ("none", None), ("content-type", b"x"), ("ü\n", b"y")]
    originals = [
        Put(b"no frame", b"\xff\xfe key", headers=headers),
        Put(None, None),
        Put(b"", b""),
        does("fail", 3),
    ]
    put(kafka, topic, [*originals, does("pass", 4)])
    run(*every_frame(topic, out))

    letters = outcome(f"{topic}.DLQ")
    wait_for(lambda: len(letters.read()) == 4, "four dead letters")
    by_offset = sorted(letters.records, key=lambda letter: int(letter.header("imagebus.offset")))
    for original, letter in zip(originals, by_offset, strict=True):
        assert (letter.key, letter.value) == (original.key, original.value)
        assert [h for h in letter.headers if h[0].startswith("original.")] == [
            (f"original.{name}", value) for name, value in original.headers
        ]
        assert letter.header("imagebus.topic") == topic
        assert letter.header("content-type") == "", "a topic of dead letters is no frame topic"
    assert dead(letters.records) == [
        (0, "undecodable"), (1, "undecodable"), (2, "undecodable"), (3, "error")
    ]  # fmt: skip
    assert by_offset[3].header("imagebus.error").startswith("ValueError: asked to fail (scripted.py:")
    written = outcome(out)
    wait_for(lambda: written.sequences() == [4], "the good frame")


def test_a_failing_frame_between_good_ones_stops_nothing(kafka: str, run: Run, outcome: Outcome) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    put(kafka, topic, [does("pass" if n % 5 == 0 else "fail", n) for n in range(100)])
    program, written = run(*every_frame(topic, out)), outcome(out)
    wait_for(lambda: written.sequences() == list(range(0, 100, 5)), "the good frames")
    assert program.ends(signal.SIGTERM) == 0
    assert counts(kafka, topic, out) == {"dead": 80, "output": 20}


def test_twenty_failures_in_a_row_end_the_service_with_1_and_none_is_lost(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    undecodable = [Put(b"rubbish") for _ in range(30)]
    put(kafka, topic, [*undecodable, *(does("fail", n) for n in range(19)), *undecodable])
    program, letters = run(*every_frame(topic, out)), outcome(f"{topic}.DLQ")
    wait_for(lambda: len(letters.read()) == 79, "dead letters")
    assert program.alive, "nineteen failures do not end it, nor do sixty bad records"

    put(kafka, topic, [does("fail", 19)])
    assert program.ends() == 1
    assert b"20 frames in a row, last with ValueError: asked to fail" in program.err
    assert b"Traceback" not in program.err
    assert committed(kafka, group(topic, out), topic)[0].offset == 80


def test_a_frame_that_is_too_large_for_its_topic_becomes_a_dead_letter(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic = make_topic(kafka, fresh("in"))
    out = make_topic(kafka, fresh("out"), max__message__bytes=20_000)
    # Many small frames around each large one: what is refused must not take its neighbours along.
    frames = [does("swell" if n % 50 == 25 else "pass", n) for n in range(300)]
    put(kafka, topic, frames)
    program, letters, written = run(*every_frame(topic, out)), outcome(f"{topic}.DLQ"), outcome(out)
    program.says("takes records up to 20000 bytes")
    wait_for(lambda: len(written.read()) + len(letters.read()) >= 300, "an outcome for every frame")
    assert dead(letters.records) == [(n, "refused") for n in range(25, 300, 50)]
    assert written.sequences() == [n for n in range(300) if n % 50 != 25]
    assert program.ends(signal.SIGTERM) == 0


def test_a_frame_from_the_future_becomes_a_dead_letter_and_its_neighbours_do_not(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    now_ns = time.time_ns()

    def ahead(sequence: int, captured_ns: int) -> Put:
        frame: dict[str, Any] = plain_frame(sequence, captured_ns=captured_ns)
        return Put(msgpack.packb(frame), b"camera")

    times = {n: now_ns + 25 * HOUR_NS if n % 50 == 25 else now_ns for n in range(300)}
    put(kafka, topic, [ahead(n, at) for n, at in (times | {299: 2**63 - 1}).items()])
    program, letters, written = run(*every_frame(topic, out)), outcome(f"{topic}.DLQ"), outcome(out)
    wait_for(lambda: len(written.read()) + len(letters.read()) >= 300, "an outcome for every frame")
    assert dead(letters.records) == [(n, "refused") for n in (*range(25, 300, 50), 299)]
    assert written.sequences() == [n for n in range(299) if n % 50 != 25]
    assert program.ends(signal.SIGTERM) == 0
    assert committed(kafka, group(topic, out), topic)[0].offset == 300


def test_what_a_stricter_broker_refuses_does_not_take_its_batch_along(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic = make_topic(kafka, fresh("in"))
    out = make_topic(kafka, fresh("out"), message__timestamp__after__max__ms=60_000)
    now_ns, soon_ns = time.time_ns(), time.time_ns() + HOUR_NS // 2
    times = {n: soon_ns if n % 50 == 25 else now_ns for n in range(300)}
    frames = [plain_frame(n, captured_ns=at) for n, at in times.items()]
    put(kafka, topic, [Put(msgpack.packb(frame), b"camera") for frame in frames])
    program, letters, written = run(*every_frame(topic, out)), outcome(f"{topic}.DLQ"), outcome(out)
    wait_for(lambda: len(written.read()) + len(letters.read()) >= 300, "an outcome for every frame")
    assert dead(letters.records) == [(n, "refused") for n in range(25, 300, 50)]
    assert written.sequences() == [n for n in range(300) if n % 50 != 25]
    assert program.ends(signal.SIGTERM) == 0


def test_a_record_that_is_too_large_for_its_dead_letter_leaves_the_facts(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    make_topic(kafka, f"{topic}.DLQ", max__message__bytes=2000)
    put(kafka, topic, [does("pass", 0), Put(b"rubbish" * 1000), does("pass", 2)])
    program = run(*every_frame(topic, out))
    letters = outcome(f"{topic}.DLQ")
    wait_for(lambda: letters.read(), "a dead letter")
    [letter] = letters.records
    assert letter.value == b""
    assert letter.header("imagebus.offset") == "1"
    assert letter.header("imagebus.reason") == "undecodable"
    assert f"{topic}.DLQ does not take it" in letter.header("imagebus.cut")
    frames = outcome(out)
    wait_for(lambda: len(frames.read()) == 2, "its neighbours")
    assert program.ends(signal.SIGTERM) == 0
    assert committed(kafka, group(topic, out), topic)[0].offset == 3


def test_a_dead_letter_that_cannot_be_written_ends_the_service(kafka: str, run: Run) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    make_topic(kafka, f"{topic}.DLQ", max__message__bytes=100)
    put(kafka, topic, [does("pass", 0), Put(b"rubbish" * 1000), does("pass", 2)])
    program = run(*every_frame(topic, out))
    assert program.ends() == 1
    assert f"{topic}.DLQ does not take it".encode() in program.err
    assert committed(kafka, group(topic, out), topic)[0].offset <= 1


def test_a_frame_that_comes_by_again_is_a_dead_letter_so_that_no_cycle_forms(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    one, two = make_topic(kafka, fresh("one")), make_topic(kafka, fresh("two"))
    run(*every_frame(one, two, "-n", "there"))
    run(*every_frame(two, one, "-n", "back"))
    put(kafka, one, [frame_put(plain_frame(n)) for n in range(5)])
    letters = outcome(f"{one}.DLQ")
    wait_for(lambda: len(letters.read()) == 5, "each frame has gone round once")
    assert {letter.header("imagebus.reason") for letter in letters.records} == {"cycle"}
    assert outcome(two).sequences() == list(range(5))


def test_a_filter_may_not_read_what_it_writes(kafka: str, run: Run) -> None:
    program = run("-i", "SAME", "-t", "SAME", "-n", "f")
    assert program.ends() == 2
    assert program.err.count(b"\n") == 1
