"""What a filter does with a signal, with time, and with what it prints."""

from __future__ import annotations

import signal
import time

import msgpack
import pytest

from tests.broker import Put, committed, frame_put, fresh, make_topic, plain_frame, put
from tests.delivery.conftest import Run
from tests.delivery.stage import Outcome, counts, every_frame, fill, group
from tests.programs import REDACTION, wait_for

pytestmark = pytest.mark.kafka
NASTY = [
    "Tür/../../x",
    "<img src=x onerror=alert(1)>",
    "\x1b[2J\x1b]0;owned\x07",
    "a\r\nforged line",
    "\u202egnp",
    "猫",
]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_filter_with_all_that_it_did_committed(
    kafka: str, run: Run, outcome: Outcome, number: int
) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    fill(kafka, topic, 0, 500)
    program = run(*every_frame(topic, out, "--delay-ms", 5))
    wait_for(lambda: b"#50:" in program.out, "work", every_s=0.01)
    assert program.ends(number) == 0
    done = outcome(out).sequences()
    assert 50 < len(done) < 500
    assert committed(kafka, group(topic, out), topic)[0].offset == len(done)
    assert program.err == b""


def test_a_signal_during_a_long_start_ends_the_filter(kafka: str, run: Run) -> None:
    topic = make_topic(kafka, fresh("in"))
    program = run("-i", topic, "-t", fresh("out"), "-n", "f", "--start-s", "2", "--tell")
    program.says("starting")
    assert program.ends(signal.SIGTERM, within_s=10) == 0


def test_a_signal_ends_a_filter_that_does_not_come_back_and_its_frame_is_read_again(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    fill(kafka, topic, 0, 1)
    arguments = every_frame(topic, out)
    stuck = run(*arguments, "--delay-ms", "100000", "--tell")
    stuck.says("processing 0")
    assert stuck.ends(signal.SIGTERM, within_s=25) == 1
    assert b"did not stop within 12 s" in stuck.err
    run(*arguments)
    written = outcome(out)
    wait_for(lambda: written.sequences() == [0], "the frame is out")


def test_an_idle_filter_with_a_fresh_policy_skips_what_is_stale_but_never_a_cameras_newest(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    now_ns = time.time_ns()
    old = [plain_frame(n, f"cam{n % 3}", captured_ns=now_ns - 60 * 10**9 + n) for n in range(30)]
    put(kafka, topic, map(frame_put, old))
    program = run("-i", topic, "-t", out, "-n", "f", "--start", "earliest", "--freshness", "5")
    written = outcome(out)
    wait_for(lambda: len(written.read()) >= 3, "the newest of each")
    fresh_ones = [plain_frame(n, "cam0", captured_ns=time.time_ns()) for n in range(30, 40)]
    put(kafka, topic, map(frame_put, fresh_ones))
    wait_for(lambda: 39 in written.sequences(), "fresh frames")
    assert program.ends(signal.SIGTERM) == 0
    assert written.sequences() == [27, 28, 29, *range(30, 40)]
    assert counts(kafka, topic, out) == {"output": 13, "skipped.stale": 27}


def test_the_trace_goes_on_through_two_filters_with_a_new_span_each(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    source, middle, out = make_topic(kafka, fresh("source")), make_topic(kafka, fresh("middle")), fresh("out")
    for i, t in ((source, middle), (middle, out)):
        run(*every_frame(i, t))
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    frame = msgpack.packb(plain_frame(0))
    stamp_ms = plain_frame(0)["captured_ns"] // 1_000_000
    put(kafka, source, [Put(frame, b"c", headers=[("traceparent", parent.encode())]), Put(frame, b"c")])
    written = outcome(out)
    wait_for(lambda: len(written.read()) == 2, "both frames")
    in_order = sorted(written.records, key=lambda record: record.offset)
    first, second = (record.header("traceparent").split("-") for record in in_order)
    [between, _] = (record.header("traceparent").split("-") for record in outcome(middle).read())
    assert first[1] == between[1] == parent.split("-")[1]
    assert len({first[2], between[2], parent.split("-")[2]}) == 3
    assert len(second[1]) == 32
    assert second[1] != first[1]
    for record in written.records:
        assert record.header("content-type") == "application/vnd.imagebus.frame+msgpack;v=1"
        assert (record.timestamp_ms, record.key) == (stamp_ms, b"camera")


@pytest.mark.parametrize("script", [None, REDACTION], ids=["plain", "redaction"])
def test_nasty_names_go_through_unchanged_and_do_no_harm_where_they_are_printed(
    kafka: str, run: Run, outcome: Outcome, script: object
) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    box = {"confidence": 0.5, "box": [0, 0, 9, 9], "track": NASTY[2]}
    frames = [
        plain_frame(n, name, epoch=name, run=name, detections=[{"label": name, **box}])
        for n, name in enumerate(NASTY)
    ]
    bad = [Put(msgpack.packb({**frames[0], name: 1}), name.encode()) for name in NASTY]
    put(kafka, topic, [*map(frame_put, frames), *bad])
    name = "".join(NASTY)
    chosen = {"script": script} if script else {}
    program = run(*every_frame(topic, out, "-n", name), **chosen)
    written, letters = outcome(out), outcome(f"{topic}.DLQ")
    wait_for(lambda: len(written.read()) + len(letters.read()) == 2 * len(NASTY), "an outcome for each")
    assert program.ends(signal.SIGTERM) == 0

    for record in written.records:
        found = msgpack.unpackb(record.value or b"")
        frame = frames[found["sequence"]]
        assert record.key == frame["source"].encode()
        assert [found[key] for key in ("source", "epoch", "run")] == [frame["source"]] * 3
        assert found["detections"][0]["label"] == frame["source"]
        assert found["trail"][-1]["stage"] == name
    for letter in letters.records:
        assert letter.header("imagebus.stage") == name
    text = (program.out + program.err).decode()
    assert all(char.isprintable() for line in text.split("\n") for char in line)
    assert not any(line.startswith("forged") for line in text.split("\n"))
    assert len(program.out.splitlines()) == len(NASTY)


def test_names_that_the_terminal_cannot_show_end_nothing(kafka: str, run: Run, outcome: Outcome) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    put(kafka, topic, [frame_put(plain_frame(n, "猫")) for n in range(3)])
    run(*every_frame(topic, out), PYTHONIOENCODING="ascii")
    written = outcome(out)
    wait_for(lambda: written.sequences() == [0, 1, 2], "the frames")


@pytest.mark.parametrize("topic", [".", "..", "a b", "../../x", "Tür", "x" * 250, "a\x1b[2Jb", "a/b"])
@pytest.mark.parametrize("flag", ["-i", "-t"])
def test_an_illegal_topic_ends_with_2_and_one_harmless_line(run: Run, flag: str, topic: str) -> None:
    other = {"-i": "-t", "-t": "-i"}[flag]
    program = run(flag, topic, other, "LEGAL", "-n", "f")
    assert program.ends() == 2
    text = program.err.decode()
    assert text.count("\n") == 1
    assert "--input" in text or "--topic" in text
    assert text.rstrip("\n").isprintable()
