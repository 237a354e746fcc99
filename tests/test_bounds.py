"""What a stranger writes fills no memory and stops no filter; what ends half way is told."""

from __future__ import annotations

import gc
import re
import tracemalloc
import weakref
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from imagebus import Field, Filter, FilterOptions, Frame, FrameError, service
from imagebus.backlog import ALL, Backlog
from imagebus.bus import Bus
from imagebus.camera import CameraPublisher
from imagebus.connection import Acknowledged
from imagebus.dead_letter import letter_of
from imagebus.ending import Ending
from imagebus.errors import ConfigurationError, FilterError, UnfinishedError
from imagebus.filter import Result
from imagebus.held import Item
from imagebus.outgoing import dead_letter
from imagebus.record import Headers, Outgoing, Record
from imagebus.runner import Runner
from imagebus.testing import MemoryBus, MemoryPublisher, make_frame, run_filter
from tests.broker import fresh, make_topic

MB = 1024 * 1024


class Passing(Filter):
    """Passes frames on."""

    class Options(FilterOptions):
        topic: str = Field("OUT")
        name: str = Field("passing")

    def process(self, frame: Frame) -> Result:
        return frame


def record(key: bytes = b"k", value: bytes = b"", headers: Headers = ()) -> Record:
    return Record("IN", 0, 0, 0, key, value, headers)


@pytest.mark.parametrize(
    "large",
    [
        record(value=b"x" * MB),
        record(key=b"x" * MB),
        record(headers=(("x", b"x" * MB),)),
        record(headers=(("", b""),) * (MB // 100 + 1)),
    ],
)
def test_the_backlog_is_full_of_whatever_part_of_a_record_is_large(large: Record) -> None:
    backlog = Backlog(ALL, max_bytes=4 * MB)
    for _ in range(4):
        assert not backlog.full
        backlog.add(large)
    assert backlog.full
    assert backlog.take() is large
    assert not backlog.full


def test_of_a_clock_ahead_no_more_is_remembered_than_which_it_is() -> None:
    backlog, ending = Backlog(2.0), Ending(1000)
    tracemalloc.start()
    for number in range(100):
        large = replace(record(key=b"%d" % number + b"x" * MB), timestamp_ms=9_000_000)
        backlog.add(large, 1000)
        assert backlog.take() is large
        ending.is_reached(large.key, large.timestamp_ms)
    del large
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 3 * MB


def test_an_error_of_a_filter_is_told_in_a_thousand_characters(capsys: pytest.CaptureFixture[str]) -> None:
    class Wordy(Passing):
        def process(self, frame: Frame) -> Result:
            raise ValueError("x" * 100_000)

    bus = MemoryBus()
    bus.put(make_frame(), "SOURCE_FRAME")
    bus.run(Wordy(Wordy.Options.parse(["--freshness", "all", "--start", "earliest", "-q"])))
    assert len(bus.log["SOURCE_FRAME.DLQ"]) == 1
    assert len(capsys.readouterr().err) < 2000


def test_a_dead_letter_carries_few_of_a_million_empty_headers() -> None:
    letter = dead_letter(
        record(headers=(("", b""),) * 1_000_000), reason="error", error="", stage="s", group="g"
    )
    assert len(letter.headers) < 1000


class Small(MemoryBus):
    """A bus whose dead letters may have 1,000 bytes at most."""

    def publisher(self) -> MemoryPublisher:
        return Refusing(self)


class Refusing(MemoryPublisher):
    """Refuses what is larger."""

    def send(self, record: Outgoing, acknowledged: Acknowledged) -> None:
        if record.topic.endswith(".DLQ") and record.size + len(record.key or b"") > 1000:
            self._waiting.append(lambda _error: acknowledged(FrameError("too large", "refused")))
        else:
            super().send(record, acknowledged)


@pytest.mark.parametrize(("key", "value"), [(b"k", b"x" * 2000), (b"k" * 2000, b"x")])
def test_a_dead_letter_that_the_broker_refuses_goes_without_the_bytes(
    key: bytes, value: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    bus = Small()
    bus.append("SOURCE_FRAME", key, value, headers=(("secret", b"s"),))
    bus.put(make_frame(), "SOURCE_FRAME")
    bus.run(Passing(Passing.Options.parse(["--freshness", "all", "--start", "earliest", "-q"])))
    [found] = bus.log["SOURCE_FRAME.DLQ"]
    assert (found.key, found.value) == (None, b"")
    assert found.header("imagebus.reason") == "undecodable"
    assert found.header("imagebus.cut") == "too large"
    assert found.header("original.secret") == ""
    assert letter_of(found).is_cut
    assert len(bus.log["OUT"]) == 1
    [position] = bus.commits.values()
    assert position.offset == 2
    assert "goes without the record's bytes: too large" in capsys.readouterr().err


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Have nothing removed but what nobody refers to: pictures are large, and the collector comes seldom."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive(kind: type) -> int:
    return sum(isinstance(one, kind) for one in gc.get_objects())


@pytest.mark.usefixtures("no_collector")
def test_nothing_stays_of_a_record_that_is_acknowledged(kafka: str) -> None:
    class Told:
        def __call__(self, error: Exception | None) -> None:
            assert error is None

    publisher, topic = Bus(kafka).publisher(), make_topic(kafka, fresh("out"))
    small, large = Told(), Told()
    left = [weakref.ref(small), weakref.ref(large)]
    publisher.send(Outgoing(topic, b"k", b"x", 0, ()), small)
    publisher.send(Outgoing(topic, b"k", b"x" * MB, 0, ()), large)
    del small, large
    assert publisher.flush(20) == 0
    assert [one() for one in left] == [None, None]


@pytest.mark.usefixtures("no_collector")
def test_nothing_stays_of_frames_that_a_filter_has_done_with() -> None:
    bus = MemoryBus()
    for number in range(20):
        bus.put(make_frame(sequence=number), "SOURCE_FRAME")
    before = alive(Outgoing), alive(Item)
    bus.run(Passing(Passing.Options.parse(["--freshness", "all", "--start", "earliest", "-q"])))
    assert len(bus.log["OUT"]) == 20
    assert (alive(Outgoing), alive(Item)) == before


@pytest.mark.usefixtures("no_collector")
def test_nothing_stays_of_frames_that_a_camera_has_published() -> None:
    bus = MemoryBus()
    before = alive(Outgoing)
    camera = CameraPublisher(bus, "SOURCE_FRAME", "door", kind="test", live=False)
    for _ in range(20):
        camera.publish(make_frame().image)
    assert camera.close() == 0
    assert len(bus.log["SOURCE_FRAME"]) == 20
    assert alive(Outgoing) == before


def test_a_bounded_run_that_is_stopped_before_it_begins_says_so() -> None:
    bus = MemoryBus()
    bus.put(make_frame(), "SOURCE_FRAME")
    runner = Runner(Passing(Passing.Options.parse(["--from", "2020-01-01", "--run", "r"])), bus)
    runner.stop()
    with pytest.raises(
        UnfinishedError, match="run r was stopped before its end; give --run r to go on with it"
    ):
        runner.run()
    assert bus.commits == {}


@pytest.mark.parametrize("method", ["end", "sources"])
def test_whatever_ends_the_program_half_way_is_a_failure_of_the_filter(method: str) -> None:
    def leave(*_: object) -> Result:
        raise SystemExit(0)

    class Leaving(Passing):
        def process(self, frame: Frame) -> Result:
            self.hold(frame)
            return None

    setattr(Leaving, method, leave)
    bus = MemoryBus()
    bus.put(make_frame(), "SOURCE_FRAME")
    with pytest.raises(FilterError, match=rf"{method}\(\) of passing failed: SystemExit"):
        bus.run(Leaving(Leaving.Options.parse(["--from", "2020-01-01", "--run", "r"])))


class Idle(Filter):
    """Has no method that does anything."""

    class Options(FilterOptions):
        topic: str = Field("OUT")
        name: str = Field("idle")


def test_a_filter_without_a_method_is_refused_at_its_start() -> None:
    with pytest.raises(FilterError, match="Idle has neither process nor process_batch"):
        run_filter(Idle, [make_frame()])


def test_a_fault_of_a_filter_names_its_line() -> None:
    class Wrong(Passing):
        def process(self, frame: Frame) -> Result:
            return frame.with_image(np.zeros((1, 1, 3), np.float32))

    bus = MemoryBus()
    bus.put(make_frame(), "SOURCE_FRAME")
    bus.run(Wrong(Wrong.Options.parse(["--freshness", "all", "--start", "earliest", "-q"])))
    [letter] = bus.log["SOURCE_FRAME.DLQ"]
    assert re.search(r"\(test_bounds\.py:\d+ in process\)$", letter.header("imagebus.error"))


def test_a_filter_that_fails_fails_its_own_test() -> None:
    class Failing(Passing):
        def process(self, frame: Frame) -> Result:
            raise KeyError(frame.sequence)

    with pytest.raises(FilterError, match=r"2 frames failed, the first with KeyError: 0 \(test_bounds"):
        run_filter(Failing, [make_frame(sequence=number) for number in range(2)])


def test_a_run_of_what_was_captured_is_given_a_topic_of_its_own() -> None:
    with pytest.raises(ConfigurationError, match=r"--topic: give a run .* a topic of its own: in OUT"):
        service.run(Passing, ["--from", "-5m", "--kafka", "localhost:1"])
