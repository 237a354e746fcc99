"""The runner, on a bus in memory: what becomes of each record. The real broker is in tests/delivery."""

from collections.abc import Iterable
from contextlib import nullcontext
from typing import ClassVar

import pytest

from imagebus import Detection, Field, Filter, FilterOptions, Frame, FrameError, ModelError, codec
from imagebus.commit import counts_of
from imagebus.errors import TooManyFailuresError
from imagebus.testing import MemoryBus, make_frame, run_filter
from imagebus.trace import begin


class Scripted(Filter):
    """Does to each frame what the test says, by sequence."""

    class Options(FilterOptions):
        topic: str = Field("OUT")
        name: str = Field("scripted")

    script: ClassVar[dict[int, object]] = {}
    started: ClassVar[list[str]] = []

    def start(self) -> None:
        self.started.append("start")

    def stop(self) -> None:
        self.started.append("stop")

    def process(self, frame: Frame) -> Frame | Iterable[Frame] | None:
        match self.script.get(frame.sequence, "same"):
            case "same":
                return frame
            case "none":
                return None
            case "twice":
                return [frame, frame]
            case "generator":
                return (each for each in (frame, frame, frame))
            case "outside":
                return frame.with_detections([Detection("cup", 0.5, (0, 0, 999, 999))])
            case Exception() as error:
                raise error
        raise AssertionError(self.script)


def run(
    script: dict[int, object],
    count: int,
    *flags: str,
    fails: type[Exception] | None = None,
    says: str | None = None,
) -> MemoryBus:
    """Run the script on so many frames; where it fails, by this error, saying this."""
    Scripted.script, Scripted.started = script, []
    bus = MemoryBus()
    for sequence in range(count):
        bus.put(make_frame(sequence=sequence), "SOURCE_FRAME")
    flags = ("--freshness", "all", "--start", "earliest", "--quiet", *flags)
    with pytest.raises(fails, match=says) if fails else nullcontext():
        bus.run(Scripted(Scripted.Options.parse(flags)))
    return bus


def counts(bus: MemoryBus) -> dict[str, int]:
    [position] = bus.commits.values()
    return counts_of(position)


def offset(bus: MemoryBus) -> int:
    [position] = bus.commits.values()
    return position.offset


def sequences(bus: MemoryBus, topic: str = "OUT") -> list[int]:
    return [codec.decode(record.value or b"").sequence for record in bus.log.get(topic, [])]


def test_every_record_has_one_outcome_and_the_commit_counts_them() -> None:
    script = {1: "none", 2: "twice", 3: ValueError("no"), 4: "generator", 5: FrameError("odd", "picture")}
    bus = run(script, 7)
    assert sequences(bus) == [0, 2, 2, 4, 4, 4, 6]
    assert sequences(bus, "SOURCE_FRAME.DLQ") == [3, 5]
    assert counts(bus) == {"output": 4, "filtered": 1, "dead": 2}
    assert offset(bus) == 7


def test_the_output_has_key_time_content_type_and_the_same_trace() -> None:
    bus = MemoryBus()
    parent = begin()
    bus.put(make_frame(source="Tür"), "SOURCE_FRAME", parent)
    Scripted.script = {}
    bus.run(Scripted(Scripted.Options.parse(["--start", "earliest", "-q"])))
    [record], [before] = bus.log["OUT"], bus.log["SOURCE_FRAME"]
    assert record.key == "Tür".encode()
    assert record.timestamp_ms == before.timestamp_ms
    assert record.header("content-type") == codec.CONTENT_TYPE
    assert record.header("traceparent").split("-")[1] == parent.split("-")[1]
    assert record.header("traceparent").split("-")[2] != parent.split("-")[2]


def test_each_hop_is_in_the_trail() -> None:
    [frame] = run_filter(Scripted, [make_frame()])
    hop = frame.trail[-1]
    assert (hop.stage, hop.kind, hop.topic, hop.searched) == ("scripted", "test_runner", "OUT", None)
    assert 0 < hop.received_ns <= hop.published_ns


def test_a_filter_that_publishes_what_nobody_could_read_makes_a_dead_letter() -> None:
    bus = run({0: "outside"}, 2)
    assert sequences(bus) == [1]
    [dead] = bus.log["SOURCE_FRAME.DLQ"]
    assert "outside the picture" in dead.header("imagebus.error")


def test_a_dead_letter_keeps_key_bytes_and_headers_and_says_why() -> None:
    bus = run({0: ValueError("what\nis this")}, 1)
    [dead], [before] = bus.log["SOURCE_FRAME.DLQ"], bus.log["SOURCE_FRAME"]
    assert (dead.key, dead.value) == (before.key, before.value)
    assert dead.header("imagebus.reason") == "error"
    assert dead.header("imagebus.error").startswith("ValueError: what\nis this (test_runner.py:")
    assert dead.header("imagebus.stage") == "scripted"
    assert dead.header("imagebus.group") == "imagebus.scripted.SOURCE_FRAME.OUT"
    assert [dead.header(f"imagebus.{n}") for n in ("topic", "partition", "offset")] == [
        "SOURCE_FRAME",
        "0",
        "0",
    ]
    assert dead.header("original.traceparent") == before.header("traceparent")
    assert dead.header("content-type") == ""


def test_twenty_failures_in_a_row_stop_the_service_and_all_are_accounted_for() -> None:
    script: dict[int, object] = dict.fromkeys(range(3, 60), ValueError("broken"))
    bus = run(script, 60, fails=TooManyFailuresError, says="20 frames in a row")
    assert Scripted.started == ["start", "stop"]
    assert sequences(bus) == [0, 1, 2]
    assert sequences(bus, "SOURCE_FRAME.DLQ") == list(range(3, 23))
    assert counts(bus) == {"output": 3, "dead": 20}
    assert offset(bus) == 23


def test_nineteen_failures_and_a_success_begin_the_row_anew() -> None:
    script: dict[int, object] = dict.fromkeys(range(39), ValueError("broken"))
    del script[19]
    bus = run(script, 39)
    assert counts(bus) == {"dead": 38, "output": 1}


def test_bad_pictures_and_records_never_count_as_failures_of_the_filter() -> None:
    bus = run(dict.fromkeys(range(50), FrameError("damaged", "picture")), 50)
    assert counts(bus) == {"dead": 50}


@pytest.mark.parametrize("error", [MemoryError(), ModelError("the model is broken")])
def test_a_model_or_memory_error_stops_the_service_and_the_frame_is_read_again(error: Exception) -> None:
    bus = run({2: error}, 5, fails=type(error))
    assert sequences(bus) == [0, 1]
    assert "SOURCE_FRAME.DLQ" not in bus.log
    assert counts(bus) == {"output": 2}
    assert offset(bus) == 2


def test_a_frame_that_was_here_before_is_a_dead_letter_not_a_cycle() -> None:
    [frame] = run_filter(Scripted, [make_frame()])
    bus = MemoryBus()
    bus.put(frame, "SOURCE_FRAME")
    bus.run(Scripted(Scripted.Options.parse(["--start", "earliest", "-q", "--freshness", "all"])))
    assert bus.log["OUT"] == []
    assert bus.log["SOURCE_FRAME.DLQ"][0].header("imagebus.reason") == "cycle"


def test_stale_frames_are_skipped_and_counted() -> None:
    bus = run({}, 5, "--freshness", "2")
    assert counts(bus) == {"skipped.stale": 4, "output": 1}
    assert sequences(bus) == [4]


def test_a_new_group_begins_with_what_comes_next_unless_told_otherwise() -> None:
    bus = run({}, 3, "--start", "latest")
    assert sequences(bus) == []


def test_a_group_goes_on_where_it_stopped() -> None:
    bus = run({}, 3)
    bus.put(make_frame(sequence=3), "SOURCE_FRAME")
    bus.run(Scripted(Scripted.Options.parse(["--freshness", "all", "-q"])))
    assert sequences(bus) == [0, 1, 2, 3]
    assert counts(bus) == {"output": 4}


def test_a_line_a_frame_says_what_was_found_and_hides_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Scripted.script = {1: "none"}
    bus = MemoryBus()
    for sequence in range(2):
        bus.put(
            make_frame(
                source="door\x1b[31m\n", sequence=sequence, detections=[Detection("cup", 0.5, (0, 0, 9, 9))]
            ),
            "SOURCE_FRAME",
        )
    bus.run(Scripted(Scripted.Options.parse(["--freshness", "all", "--start", "earliest"])))
    first, second = capsys.readouterr().out.splitlines()
    assert "#0: 1 cup | " in first
    assert " ms, average " in first
    assert "filtered out" in second
    assert "\x1b" not in first + second
