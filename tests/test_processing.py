"""What a filter may do with frames: one or many, in batches, held back, without pixels. A bus in memory."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagebus import Detection, Field, Filter, FilterOptions, Frame, FrameError, ModelError, codec
from imagebus.commit import read
from imagebus.connection import Acknowledged
from imagebus.errors import FilterError, TooManyFailuresError
from imagebus.filter import Result
from imagebus.outgoing import frame_records
from imagebus.processing import Processing
from imagebus.record import Outgoing, Record
from imagebus.status import Status
from imagebus.testing import MemoryBus, MemoryPublisher, make_frame, run_filter
from imagebus.trace import begin


class Options(FilterOptions):
    topic: str = Field("OUT")
    name: str = Field("tested")


class Alone(Filter):
    """Does to each frame what the test says, by sequence."""

    Options = Options

    def __init__(self, options: FilterOptions, script: dict[int, Any] | None = None) -> None:
        super().__init__(options)
        self.script = script or {}
        self.seen: list[list[int]] = []

    def act(self, frame: Frame) -> Result:
        match self.script.get(frame.sequence):
            case Exception() as error:
                raise error
            case None:
                return frame
            case act:
                result: Result = act(self, frame)
                return result

    def process(self, frame: Frame) -> Result:
        self.seen.append([frame.sequence])
        return self.act(frame)


class Batched(Alone):
    """The same, in batches only."""

    process = Filter.process

    def process_batch(self, frames: Sequence[Frame]) -> Sequence[Result]:
        self.seen.append([frame.sequence for frame in frames])
        return [self.act(frame) for frame in frames]


class Either(Batched):
    """The same, in batches or alone."""

    def process(self, frame: Frame) -> Result:
        self.seen.append([-1, frame.sequence])
        return self.act(frame)


class LookAhead(Filter):
    """Passes each frame on once so many others are known."""

    Options = Options
    ahead = 10

    def start(self) -> None:
        self.queue: deque[Frame] = deque()

    def process(self, frame: Frame) -> Result:
        self.hold(frame)
        self.queue.append(frame)
        return self.queue.popleft() if len(self.queue) > self.ahead else None

    def end(self) -> Result:
        return list(self.queue)


class Work:
    """The filter at work, and what came of each record, by offset, in order."""

    def __init__(self, filter: Filter, kind: type[Processing] = Processing) -> None:
        self.outcomes: list[tuple[int, str, list[int]]] = []
        self.status = Status()
        self.filter = filter
        self.processing = kind(filter, self.status, self._publish, self._bury, lambda *_: None)
        self.errors: dict[int, str] = {}
        self._next = 0
        filter.start()

    def _publish(self, record: Record, outgoing: Sequence[Outgoing], outcome: str) -> None:
        frames = [codec.decode(one.value or b"") for one in outgoing if not one.topic.endswith(".META")]
        self.outcomes.append((record.offset, outcome, [frame.sequence for frame in frames]))

    def _bury(self, record: Record, reason: str, error: str) -> None:
        self.outcomes.append((record.offset, f"dead {reason}", []))
        self.errors[record.offset] = error

    def record(self, frame: Frame | bytes, partition: int = 0) -> Record:
        if isinstance(frame, Frame):
            one = frame_records(frame, "IN", begin())[0]
            key, value, at = one.key, one.value, one.timestamp_ms
        else:
            key, value, at = b"k", frame, 0
        self._next += 1
        return Record("IN", partition, self._next - 1, at, key, value)

    def give(self, *frames: Frame | bytes | int, partition: int = 0) -> None:
        """Process frames together; a number stands for a frame of that sequence."""
        made = [make_frame(sequence=one) if isinstance(one, int) else one for one in frames]
        self.processing.work([self.record(one, partition) for one in made])

    def taken(self) -> list[tuple[int, str, list[int]]]:
        taken, self.outcomes = self.outcomes, []
        return taken


def at_work(kind: type[Alone] = Alone, script: dict[int, Any] | None = None) -> Work:
    return Work(kind(kind.Options.parse([]), script))


def looking(ahead: int, kind: type[LookAhead] = LookAhead) -> Work:
    kind.ahead = ahead
    return Work(kind(kind.Options.parse([])))


# One frame


def test_a_frame_becomes_one_none_several_or_as_many_as_a_generator_yields() -> None:
    def generate(_filter: Filter, frame: Frame) -> Iterator[Frame]:
        yield frame
        yield frame

    script = {1: lambda *_: [], 2: lambda _, frame: (frame, frame), 3: generate}
    work = at_work(script=script)
    for sequence in range(4):
        work.give(sequence)
    assert work.outcomes == [
        (0, "output", [0]),
        (1, "filtered", []),
        (2, "output", [2, 2]),
        (3, "output", [3, 3]),
    ]


@pytest.mark.parametrize("result", ["text", b"jpeg", [None], {"a": 1}, 5, [make_frame(), "text"]])
def test_what_is_no_frame_makes_a_dead_letter_that_says_so(result: object) -> None:
    work = at_work(script={0: lambda *_: result})
    work.give(0)
    assert [outcome for _, outcome, _ in work.outcomes] == ["dead error"]
    assert work.errors[0].startswith("TypeError: ")


class MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def leave(_filter: Filter, _frame: Frame) -> Result:
    raise SystemExit(0)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda filter, _: filter.hold(None), "TypeError: a frame is wanted, not None"),
        (lambda filter, _: filter.drop("x"), "TypeError: a frame is wanted, not 'x'"),
        (leave, "RuntimeError: it called sys.exit(0)"),
        (MuteError(), "MuteError, which cannot say why (ValueError)"),
    ],
)
def test_what_a_filter_does_wrong_is_the_fault_of_the_frame_in_work(act: object, said: str) -> None:
    work = at_work(script={0: act})
    work.give(0)
    work.give(1)
    assert [outcome for _, outcome, _ in work.outcomes] == ["dead error", "output"]
    assert work.errors.keys() == {0}
    assert work.errors[0].startswith(said)


def test_a_filter_that_fails_where_no_frame_is_at_fault_says_where() -> None:
    class Unsure(LookAhead):
        def sources(self, gained: frozenset[str], lost: frozenset[str]) -> None:
            raise KeyError("camera")

        def end(self) -> Result:
            return ["no frame"]  # type: ignore[list-item]

    work = looking(1, Unsure)
    with pytest.raises(FilterError, match=r"sources\(\) of .* failed: KeyError: 'camera'"):
        work.give(0)
    with pytest.raises(FilterError, match=r"end\(\) of .* failed: TypeError"):
        work.processing.end()


def test_a_generator_that_fails_half_way_publishes_nothing() -> None:
    def half(_filter: Filter, frame: Frame) -> Iterator[Frame]:
        yield frame
        raise ValueError("half way")

    work = at_work(script={0: half})
    work.give(0)
    assert work.outcomes == [(0, "dead error", [])]


@pytest.mark.parametrize("attribute", [object(), 2**64, {1, 2}.__iter__()])
def test_what_cannot_be_written_makes_a_dead_letter_and_twenty_in_a_row_stop_the_service(
    attribute: object,
) -> None:
    def unwritable(_filter: Filter, frame: Frame) -> Frame:
        return frame.with_attributes({"a.b": attribute})

    work = at_work(script=dict.fromkeys(range(20), unwritable))
    for sequence in range(19):
        work.give(sequence)
    assert {outcome for _, outcome, _ in work.outcomes} == {"dead error"}
    with pytest.raises(TooManyFailuresError):
        work.give(19)
    assert [offset for offset, _, _ in work.outcomes] == list(range(20)), "one outcome each"


def test_a_description_that_fails_spoils_no_frame(capsys: pytest.CaptureFixture[str]) -> None:
    class Speechless(Alone):
        def describe(self, frame: Frame) -> str:
            raise LookupError("no words")

    bus = MemoryBus()
    bus.put(make_frame(), "SOURCE_FRAME")
    flags = ["--freshness", "all", "--start", "earliest"]
    bus.run(Speechless(Speechless.Options.parse(flags)))
    assert len(bus.log["OUT"]) == 1
    assert "SOURCE_FRAME.DLQ" not in bus.log
    assert "LookupError: no words" in capsys.readouterr().out


# Batches


def test_a_batch_is_given_together_and_each_record_has_its_own_result() -> None:
    work = at_work(Batched, {1: lambda *_: None, 2: lambda _, frame: [frame, frame]})
    work.give(0, 1, 2)
    assert work.filter.seen == [[0, 1, 2]]  # type: ignore[attr-defined]
    assert work.outcomes == [(0, "output", [0]), (1, "filtered", []), (2, "output", [2, 2])]


def test_a_filter_with_process_only_is_given_a_batch_frame_by_frame() -> None:
    work = at_work(Alone)
    work.give(0, 1)
    assert work.filter.seen == [[0], [1]]  # type: ignore[attr-defined]


def test_a_filter_with_process_batch_only_is_given_a_single_frame_as_a_batch_of_one() -> None:
    work = at_work(Batched)
    work.give(0)
    assert work.filter.seen == [[0]]  # type: ignore[attr-defined]
    assert work.outcomes == [(0, "output", [0])]


def test_a_filter_with_both_is_given_batches_together_and_single_frames_alone() -> None:
    work = at_work(Either)
    work.give(0)
    work.give(1, 2)
    assert work.filter.seen == [[-1, 0], [1, 2]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("bad", "outcome"),
    [
        (ValueError("this one"), "dead error"),
        (FrameError("this picture", "picture"), "dead picture"),
        (lambda _, frame: frame.pixels() and None, "dead error"),
        (lambda *_: "no frame", "dead error"),
        (
            lambda _, frame: frame.with_detections([Detection("cup", 0.5, (0, 0, 999, 9))]),
            "dead undecodable",
        ),
    ],
)
@pytest.mark.parametrize("kind", [Batched, Either])
def test_one_frame_that_fails_spoils_none_of_its_batch(kind: type[Alone], bad: Any, outcome: str) -> None:
    work = at_work(kind, {2: bad})
    work.give(0, 1, 2, 3)
    assert sorted(work.outcomes) == [
        (0, "output", [0]),
        (1, "output", [1]),
        (2, outcome, []),
        (3, "output", [3]),
    ]


def test_a_record_that_is_no_frame_never_gets_into_a_batch() -> None:
    work = at_work(Batched)
    damaged = msgspec.structs.replace(make_frame(sequence=1), image=b"\xff\xd8\xff\xd9")
    work.give(0, b"no frame", msgspec.msgpack.encode(damaged), 3)
    assert work.filter.seen == [[0, 3]]  # type: ignore[attr-defined]
    assert sorted(work.outcomes) == [
        (0, "output", [0]),
        (1, "dead undecodable", []),
        (2, "dead picture", []),
        (3, "output", [3]),
    ]


@pytest.mark.parametrize("wrong", [[], [None] * 3, [None] * 5])
def test_a_wrong_number_of_results_is_a_failure_of_the_filter(wrong: list[Result]) -> None:
    class Miscounts(Filter):
        Options = Options

        def process_batch(self, frames: Sequence[Frame]) -> Sequence[Result]:
            return wrong

    work = Work(Miscounts(Options.parse([])))
    work.give(0, 1, 2, 3)
    assert [outcome for _, outcome, _ in work.outcomes] == ["dead error"] * 4
    assert f"process_batch gave {len(wrong)} results for 1 frames" in work.errors[0]


@pytest.mark.parametrize("error", [MemoryError(), ModelError("broken")])
def test_a_model_or_memory_error_in_a_batch_blames_no_frame(error: Exception) -> None:
    work = at_work(Batched, {1: error})
    with pytest.raises(type(error)):
        work.give(0, 1, 2)
    assert work.outcomes == []


def test_twenty_failures_in_a_row_count_frames_not_batches() -> None:
    work = at_work(Batched, dict.fromkeys(range(30), ValueError("no")))
    work.give(*range(12))
    with pytest.raises(TooManyFailuresError):
        work.give(*range(12, 24))
    assert [offset for offset, _, _ in work.outcomes] == list(range(20))


def test_batches_fill_up_to_the_size_asked_for_and_mix_cameras() -> None:
    bus = MemoryBus()
    for sequence in range(5):
        for source in ("left", "right"):
            bus.put(make_frame(source=source, sequence=sequence), "SOURCE_FRAME")
    filter = Batched(Options.parse(["--batch", "4", "--freshness", "9e9", "--start", "earliest", "-q"]))
    bus.run(filter)
    assert filter.seen == [[0, 0, 1, 1], [2, 2, 3, 3], [4, 4]]
    [position] = bus.commits.values()
    assert (position.offset, read(position).counts) == (10, {"output": 10})


# Holding


def test_a_filter_that_looks_ahead_answers_each_frame_and_keeps_their_order() -> None:
    work = looking(10)
    for sequence in range(10):
        work.give(sequence)
    assert (work.outcomes, work.status.held) == ([], 10)
    for sequence in range(10, 30):
        work.give(sequence)
    assert work.outcomes == [(n, "output", [n]) for n in range(20)]
    assert work.status.held == 10


def test_the_result_of_a_held_frame_names_the_record_that_it_came_of() -> None:
    bus = MemoryBus()
    for sequence in range(5):
        bus.put(make_frame(sequence=sequence), "SOURCE_FRAME")
    LookAhead.ahead = 2
    bus.run(LookAhead(Options.parse(["--freshness", "all", "--start", "earliest", "-q"])))
    origins = [
        (codec.decode(one.value or b"").sequence, one.header("imagebus.offset")) for one in bus.log["OUT"]
    ]
    assert origins == [(0, "0"), (1, "1"), (2, "2")]
    [position] = bus.commits.values()
    assert (position.offset, read(position).counts) == (3, {"output": 3}), "those held are read again"


def test_a_bounded_run_ends_with_what_was_held_back() -> None:
    bus = MemoryBus()
    for sequence in range(25):
        bus.put(make_frame(sequence=sequence), "SOURCE_FRAME")
    LookAhead.ahead = 10
    bus.run(LookAhead(Options.parse(["--from", "2023-01-01T00:00Z", "--run", "again", "-q"])))
    frames = [codec.decode(one.value or b"") for one in bus.log["OUT"]]
    assert [frame.sequence for frame in frames] == list(range(25))
    assert {frame.run for frame in frames} == {"again"}
    [position] = bus.commits.values()
    assert (position.offset, read(position).counts) == (25, {"output": 25})


def test_what_a_filter_still_keeps_at_the_end_is_filtered_out() -> None:
    class Keeps(LookAhead):
        def end(self) -> Result:
            return self.queue[0]

    work = looking(3, Keeps)
    for sequence in range(3):
        work.give(sequence)
    work.processing.end()
    assert work.outcomes == [(0, "output", [0]), (1, "filtered", []), (2, "filtered", [])]
    assert work.processing.held == 0


def test_a_frame_that_is_let_go_of_is_filtered_out() -> None:
    work = at_work(script={0: lambda f, frame: f.hold(frame), 1: lambda f, _: f.drop(make_frame())})
    work.give(0)
    work.give(1)
    assert sorted(work.outcomes) == [(0, "filtered", []), (1, "filtered", [])]


def test_a_frame_may_be_held_and_let_go_of_or_answered_in_the_same_call() -> None:
    def hold_and_drop(filter: Filter, frame: Frame) -> None:
        filter.hold(frame)
        filter.drop(frame)

    def hold_and_return(filter: Filter, frame: Frame) -> Frame:
        filter.hold(frame)
        return frame

    work = at_work(script={0: hold_and_drop, 1: hold_and_return})
    work.give(0)
    work.give(1)
    assert work.outcomes == [(0, "filtered", []), (1, "output", [1])]
    assert work.processing.held == 0


def test_a_batch_may_hold_frames_and_answer_those_before_them() -> None:
    class Together(LookAhead):
        process = Filter.process

        def process_batch(self, frames: Sequence[Frame]) -> Sequence[Result]:
            return [LookAhead.process(self, frame) for frame in frames]

    work = looking(2, Together)
    work.give(0, 1, 2, 3)
    assert work.taken() == [(0, "output", [0]), (1, "output", [1])]
    work.give(4)
    work.give(5, 6, 7, 8, 9)
    assert work.taken() == [(n, "output", [n]) for n in range(2, 8)]
    assert work.status.held == 2


@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_a_frame_that_came_twice_is_held_twice_and_answered_twice(ahead: int) -> None:
    work = looking(ahead)
    for sequence in (0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7):
        work.give(sequence)
    assert sorted(work.outcomes) == [
        (n, "output", [sequence])
        for n, sequence in enumerate((0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7)[: 11 - ahead])
    ]
    work.processing.end()
    assert sorted(n for n, _, _ in work.outcomes) == list(range(11))
    assert {outcome for _, outcome, _ in work.outcomes} == {"output"}


def test_answers_to_a_frame_that_came_twice_may_come_in_one_call() -> None:
    def hold(filter: Filter, frame: Frame) -> None:
        filter.hold(frame)

    frame = make_frame()
    work = at_work(script={0: hold, 1: lambda _, own: [frame, frame, own]})
    work.give(0)
    work.give(0)
    work.give(1)
    assert work.outcomes == [(0, "output", [0]), (1, "output", [0]), (2, "output", [1])]


def test_twins_in_a_batch_of_which_one_is_held_leave_nothing_behind() -> None:
    class Once(Alone):
        process = Filter.process

        def process_batch(self, frames: Sequence[Frame]) -> Sequence[Result]:
            self.hold(frames[0])
            return [None] * len(frames)

    work = Work(Once(Options.parse([])))
    work.give(0, 0)
    assert work.outcomes == [(1, "filtered", [])]
    assert work.processing.held == 1


def test_a_failure_while_frames_are_held_is_of_the_present_frame_only() -> None:
    class Fails(LookAhead):
        def process(self, frame: Frame) -> Result:
            if frame.sequence == 4:
                self.hold(frame)
                raise ValueError("the fifth")
            return super().process(frame)

    work = looking(2, Fails)
    for sequence in range(8):
        work.give(sequence)
    assert work.outcomes == [
        (0, "output", [0]),
        (1, "output", [1]),
        (4, "dead error", []),
        (2, "output", [2]),
        (3, "output", [3]),
        (5, "output", [5]),
    ]
    assert work.status.held == 2


@pytest.mark.parametrize("kind", [Alone, Batched])
def test_what_was_let_go_of_in_a_call_that_failed_is_let_go_of(kind: type[Alone]) -> None:
    def drop_and_fail(filter: Filter, _frame: Frame) -> None:
        filter.drop(make_frame(sequence=0))
        raise ValueError("after that")

    work = at_work(kind, {0: lambda f, frame: f.hold(frame), 1: drop_and_fail})
    work.give(0)
    work.give(1, 2)
    assert sorted(work.outcomes) == [(0, "filtered", []), (1, "dead error", []), (2, "output", [2])]
    assert work.processing.held == 0


def test_a_new_frame_made_beside_a_held_one_goes_out_with_it_and_does_not_finish_it() -> None:
    other = make_frame(source="composed", sequence=100)

    def hold_and_compose(filter: Filter, frame: Frame) -> Frame:
        filter.hold(frame)
        return other

    work = at_work(script={0: hold_and_compose, 1: lambda _, own: [make_frame(sequence=0), own]})
    work.give(0)
    assert work.outcomes == []
    work.give(1)
    assert work.outcomes == [(0, "output", [100, 0]), (1, "output", [1])]


class Whimsical(Filter):
    """Does what comes to its mind: passes on, holds, answers, lets go, fails."""

    Options = Options

    def __init__(self, options: FilterOptions, draw: Callable[[Sequence[str]], str]) -> None:
        super().__init__(options)
        self.draw = draw
        self.queue: list[Frame] = []

    def process(self, frame: Frame) -> Result:
        results = []
        for _ in range(3):
            match self.draw(["pass", "hold", "answer", "drop", "fail", "stop"]):
                case "pass":
                    results.append(frame)
                case "hold" if frame not in self.queue[-1:]:
                    self.hold(frame)
                    self.queue.append(frame)
                case "answer" if self.queue:
                    results.append(self.queue.pop(0))
                case "drop" if self.queue:
                    self.drop(self.queue.pop())
                case "fail":
                    raise ValueError("at a whim")
                case "stop":
                    break
        return results

    def end(self) -> Result:
        return self.queue


class InBatches(Whimsical):
    def process_batch(self, frames: Sequence[Frame]) -> Sequence[Result]:
        return [self.process(frame) for frame in frames]


FRAMES = [make_frame(sequence=sequence) for sequence in range(4)]


@pytest.mark.parametrize("kind", [Whimsical, InBatches])
@settings(max_examples=60)
@given(data=st.data())
def test_whatever_a_filter_does_every_record_that_is_still_ours_has_one_outcome(
    kind: type[Whimsical], data: st.DataObject
) -> None:
    work = Work(kind(Options.parse([]), lambda words: data.draw(st.sampled_from(words))))
    lost: set[int] = set()
    partition_of: list[int] = []
    for _ in range(data.draw(st.integers(1, 6))):
        partition = data.draw(st.integers(0, 1))
        frames = data.draw(st.lists(st.sampled_from(FRAMES), min_size=1, max_size=4))
        partition_of += [partition] * len(frames)
        work.processing._failures = 0  # twenty in a row are another matter
        work.give(*frames, partition=partition)
        if data.draw(st.integers(0, 5)) == 0:
            done = {offset for offset, _, _ in work.outcomes}
            lost |= {n for n, p in enumerate(partition_of) if p == partition} - done
            work.processing.lose([partition])
    work.processing.end()
    offsets = [offset for offset, _, _ in work.outcomes]
    assert sorted(offsets) == sorted(set(range(len(partition_of))) - lost)
    assert work.processing.held == 0


# Cameras that come and go


class Minding(LookAhead):
    """Looks ahead by camera, and forgets what it no longer has."""

    def start(self) -> None:
        super().start()
        self.told: list[tuple[set[str], set[str]]] = []

    def sources(self, gained: frozenset[str], lost: frozenset[str]) -> None:
        self.told.append((set(gained), set(lost)))
        self.queue = deque(frame for frame in self.queue if frame.source not in lost)


def test_a_filter_is_told_of_each_camera_before_its_first_frame_and_once() -> None:
    work = looking(100, Minding)
    told = work.filter.told  # type: ignore[attr-defined]
    work.give(make_frame(source="a"), partition=0)
    work.give(make_frame(source="a", sequence=1), make_frame(source="b"), b"no frame", partition=0)
    work.give(make_frame(source="c"), partition=1)
    assert told == [({"a"}, set()), ({"b"}, set()), ({"c"}, set())]
    work.processing.lose([0])
    assert told[3:] == [(set(), {"a", "b"})]
    work.give(make_frame(source="a", sequence=2), partition=0)
    assert told[4:] == [({"a"}, set())]


def test_a_camera_that_is_spread_over_partitions_is_lost_with_the_last_of_them() -> None:
    work = looking(100, Minding)
    told = work.filter.told  # type: ignore[attr-defined]
    for partition in range(3):
        work.give(make_frame(sequence=partition), partition=partition)
    del told[:]
    work.processing.lose([0])
    work.processing.lose([2])
    assert told == []
    work.processing.lose([1])
    assert told == [(set(), {"camera"})]


@pytest.mark.parametrize("kind", [LookAhead, Minding])
def test_what_is_held_of_a_lost_partition_is_forgotten_and_answers_go_to_the_right_frames(
    kind: type[LookAhead],
) -> None:
    work = looking(3, kind)
    for sequence in range(2):
        work.give(make_frame(source="gone", sequence=sequence), partition=0)
    work.give(make_frame(source="here"), partition=1)
    work.processing.lose([0])
    assert work.status.held == 1
    for sequence in range(1, 10):
        work.give(make_frame(source="here", sequence=sequence), partition=1)
    assert work.outcomes == [(n + 2, "output", [n]) for n in range(10 - 3)], "none counts before its time"


@pytest.mark.parametrize("kind", [LookAhead, Minding])
def test_a_partition_that_comes_back_is_answered_anew(kind: type[LookAhead]) -> None:
    work = looking(3, kind)
    work.give(0)
    work.give(1)
    work.processing.lose([0])
    for sequence in range(10):
        work.give(sequence)
    work.processing.end()
    assert sorted(n for n, _, _ in work.outcomes) == list(range(2, 12))
    assert {outcome for _, outcome, _ in work.outcomes} == {"output"}


def test_a_frame_that_is_held_too_long_is_told_of_once(capsys: pytest.CaptureFixture[str]) -> None:
    class Hasty(Processing):
        long_s = 0.0

    work = Work(Alone(Options.parse([]), {0: lambda f, frame: f.hold(frame)}), Hasty)
    for sequence in range(3):
        work.give(sequence)
    assert capsys.readouterr().err.count("holds back camera #0 for more than") == 1


class Patient(LookAhead):
    """Looks ahead, and at a tick lets the first go that waits, and answers the second."""

    def tick(self) -> Result:
        self.drop(self.queue.popleft())
        return self.queue.popleft()


def test_at_a_tick_a_filter_answers_and_drops_what_waits_in_vain() -> None:
    work = looking(10, Patient)
    work.give(0, 1, 2)
    work.processing.tick()
    assert work.taken() == [(1, "output", [1]), (0, "filtered", [])]
    assert work.processing.held == 1
    work.processing.end()
    assert work.taken() == [(2, "output", [2])]


class Forgetful(LookAhead):
    """At a tick returns a frame that nobody held, or fails."""

    def tick(self) -> Result:
        if self.queue[0].sequence:
            raise ValueError("asked to fail")
        return make_frame(sequence=99)


def test_a_tick_that_returns_what_is_not_held_is_told_of_and_one_that_fails_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    work = looking(10, Forgetful)
    work.give(0)
    work.processing.tick()
    assert work.taken() == []
    assert work.processing.held == 1
    assert "tick() returned a frame that is not held back" in capsys.readouterr().err
    other = looking(10, Forgetful)
    other.give(1)
    with pytest.raises(FilterError, match=re.escape("tick() of tested failed: ValueError: asked to fail")):
        other.processing.tick()


# Without pixels


class Counting(Filter):
    """Count the cups."""

    Options = Options
    pixels = False

    def process(self, frame: Frame) -> Frame:
        assert frame.image == b""
        return frame.with_attributes({f"{self.options.name}.cups": len(frame.detections)})


def test_a_filter_without_pixels_reads_meta_and_writes_only_meta() -> None:
    bus = MemoryBus()
    bus.put(make_frame(detections=[Detection("cup", 0.5, (0, 0, 9, 9))]), "SOURCE_FRAME")
    bus.run(Counting(Options.parse(["--freshness", "all", "--start", "earliest", "-q"])))
    assert "OUT" not in bus.log
    [record], [before] = bus.log["OUT.META"], bus.log["SOURCE_FRAME.META"]
    frame = codec.decode_meta(record.value or b"")
    assert frame.attributes == {"tested.cups": 1}
    assert frame.trail[-1].topic == "OUT"
    assert (record.key, record.timestamp_ms) == (before.key, before.timestamp_ms)
    assert record.header("content-type") == codec.META_CONTENT_TYPE
    assert record.header("imagebus.topic") == "SOURCE_FRAME.META"
    assert list(bus.commits) == [("imagebus.tested.SOURCE_FRAME.OUT", "SOURCE_FRAME.META")]


def test_filters_without_pixels_make_a_chain() -> None:
    bus = MemoryBus()
    bus.put(make_frame(), "SOURCE_FRAME")
    flags = ["--freshness", "all", "--start", "earliest", "-q"]
    bus.run(Counting(Options.parse(flags)))
    bus.run(Counting(Options.parse([*flags, "-i", "OUT", "-t", "NEXT", "-n", "second"])))
    [record] = bus.log["NEXT.META"]
    frame = codec.decode_meta(record.value or b"")
    assert frame.attributes == {"tested.cups": 0, "second.cups": 0}
    assert [hop.topic for hop in frame.trail] == ["SOURCE_FRAME", "OUT", "NEXT"]


def looks(frame: Frame) -> Frame:
    frame.pixels()
    return frame


def paints(frame: Frame) -> Frame:
    return frame.with_image(make_frame().image)


@pytest.mark.parametrize(
    ("act", "complaint"),
    [
        (looks, "this frame came from META, without its picture: the filter declares pixels = False"),
        (paints, "the frame has a picture, in a filter that declares pixels = False"),
    ],
)
def test_a_filter_without_pixels_that_wants_a_picture_is_told_so(
    act: Callable[[Frame], Frame], complaint: str
) -> None:
    class Mistaken(Counting):
        def process(self, frame: Frame) -> Frame:
            return act(frame)

    bus = MemoryBus()
    bus.put(make_frame(), "SOURCE_FRAME")
    bus.run(Mistaken(Options.parse(["--freshness", "all", "--start", "earliest", "-q"])))
    assert bus.log["OUT.META"] == []
    [dead] = bus.log["SOURCE_FRAME.META.DLQ"]
    assert dead.header("imagebus.reason") == "picture"
    assert complaint in dead.header("imagebus.error")


class Withholding(MemoryBus):
    """A bus that never acknowledges what is sent to one topic."""

    def __init__(self, topic: str) -> None:
        super().__init__()
        self.withheld = topic

    def publisher(self) -> MemoryPublisher:
        return Unsure(self)


class Unsure(MemoryPublisher):
    def __init__(self, bus: Withholding) -> None:
        super().__init__(bus)
        self._topic = bus.withheld
        self._unsure = 0

    def send(self, record: Outgoing, acknowledged: Acknowledged) -> None:
        self._unsure += record.topic == self._topic
        super().send(record, (lambda _: None) if record.topic == self._topic else acknowledged)

    def flush(self, timeout_s: float) -> int:
        return super().flush(timeout_s) + self._unsure


@pytest.mark.parametrize("topic", ["OUT", "OUT.META", "SOURCE_FRAME.DLQ", "imagebus.outcomes"])
def test_nothing_is_committed_before_frame_and_meta_dead_letter_or_note_are_acknowledged(topic: str) -> None:
    bus = Withholding(topic)
    for sequence in range(3):
        bus.put(make_frame(sequence=sequence), "SOURCE_FRAME")
    first = {"SOURCE_FRAME.DLQ": ValueError("no"), "imagebus.outcomes": lambda *_: None}.get(topic)
    flags = ["--freshness", "all", "--start", "earliest", "-q"]
    bus.run(Alone(Options.parse(flags), {1: first}))
    assert bus.log[topic]
    [position] = bus.commits.values()
    assert position.offset == (1 if first else 0)


def test_a_picture_in_meta_is_no_meta() -> None:
    bus = MemoryBus()
    bus.append("SOURCE_FRAME.META", b"camera", codec.encode(make_frame()), 1)
    bus.run(Counting(Options.parse(["--freshness", "all", "--start", "earliest", "-q"])))
    [dead] = bus.log["SOURCE_FRAME.META.DLQ"]
    assert dead.header("imagebus.reason") == "undecodable"


def test_a_filter_that_takes_the_picture_away_makes_a_dead_letter() -> None:
    work = at_work(script={0: lambda _, frame: msgspec.structs.replace(frame, image=b"")})
    work.give(0)
    assert work.outcomes == [(0, "dead picture", [])]
    assert "no picture" in work.errors[0]


def test_run_filter_runs_filters_without_pixels_too() -> None:
    [frame] = run_filter(Counting, [make_frame()])
    assert frame.attributes == {"tested.cups": 0}
