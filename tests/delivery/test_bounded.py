"""Bounded runs on a real broker: exactly the asked range, to its end, however often they are cut off."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgpack
import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]

from imagebus.commit import Commit, read
from imagebus.ending import LATE_MS
from imagebus.topics import meta_of
from tests.broker import (
    Put,
    committed,
    cut,
    frame_put,
    fresh,
    identities,
    make_topic,
    plain_frame,
    put,
    read_all,
    topics,
    transaction,
)
from tests.delivery.conftest import Run
from tests.delivery.stage import Outcome
from tests.programs import ROOT, wait_for
from tests.seed import seed

pytestmark = pytest.mark.kafka
SLOW = pytest.mark.slow
AHEAD = ROOT / "tests" / "filters" / "ahead.py"
PARTITIONS = 3
MINUTE_MS = 60_000
BEGAN_MS = 1_700_000_000_000
"""A night in 2023: what a replay is of may be old."""

Map = dict[str, Any]


def ms(minutes: float) -> int:
    """Return a moment so long after the night began."""
    return BEGAN_MS + round(minutes * MINUTE_MS)


def at(minutes: float) -> str:
    """Return it as a flag takes it."""
    return datetime.fromtimestamp(ms(minutes) / 1000, UTC).isoformat()


def frame(n: int, minutes: float, source: str = "cam0", **changes: Any) -> Map:
    return plain_frame(n, source, captured_ns=ms(minutes) * 1_000_000, **changes)


def captured_ms(one: Map) -> int:
    return int(one["captured_ns"]) // 1_000_000


def within(frames: Iterable[Map], first: float, last: float) -> set[tuple[str, str, int]]:
    return {
        (one["source"], one["epoch"], one["sequence"])
        for one in frames
        if ms(first) <= captured_ms(one) < ms(last)
    }


def old_topic(kafka: str, name: str = "in", partitions: int = PARTITIONS) -> str:
    return make_topic(kafka, fresh(name), partitions, retention__ms=-1)


def night(chance: random.Random) -> list[tuple[Map, int]]:
    """Return frames of seven cameras with their partitions, in order of arrival: up to ten minutes late."""
    arrivals = []
    for camera in range(7):
        for n in range(60):
            minutes = n + camera / 10
            late = chance.choice([0.0, chance.uniform(0, 1), chance.uniform(0, LATE_MS / MINUTE_MS)])
            arrivals.append((minutes + late, frame(n, minutes, f"cam{camera}"), camera % PARTITIONS))
    arrivals.sort(key=lambda one: one[0])
    return [(one, partition) for _, one, partition in arrivals]


def put_frames(kafka: str, topic: str, frames: Sequence[tuple[Map, int]]) -> None:
    put(kafka, topic, [frame_put(one, partition) for one, partition in frames])


def commits(kafka: str, topic: str, out: str, run_name: str, partitions: int = PARTITIONS) -> list[Commit]:
    """Return what a run has committed; every commit must add up."""
    group = f"imagebus.f.{topic}.{out}.{run_name}"
    found = committed(kafka, group, topic, partitions)
    assert len(found) == partitions
    for position in found.values():
        one = read(position)
        assert position.offset - one.begin == sum(one.counts.values()) + one.gaps, position
        assert one.end is not None
        assert position.offset >= one.end
    return [read(position) for position in found.values()]


def counts(found: Iterable[Commit]) -> dict[str, int]:
    return dict(sum((Counter(one.counts) for one in found), Counter()))


def setting(kafka: str, topic: str, name: str) -> str:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": kafka})
    return str(admin.describe_configs([resource])[resource].result(10)[name].value)


def flags(topic: str, out: str, run_name: str, *more: object) -> tuple[object, ...]:
    return ("-i", topic, "-t", out, "-n", "f", "-q", "--run", run_name, *more)


@pytest.mark.parametrize(
    ("first", "last"), [(20, 40), pytest.param(None, 25.5, marks=SLOW), pytest.param(33.3, None, marks=SLOW)]
)
def test_a_range_gives_exactly_its_frames_of_all_cameras_though_they_came_late(
    kafka: str, run: Run, first: float | None, last: float | None
) -> None:
    arrivals = night(random.Random(seed()))
    topic, out = old_topic(kafka), fresh("out")
    put_frames(kafka, topic, arrivals)
    asked: list[object] = [] if first is None else ["--from", at(first)]
    asked += [] if last is None else ["--until", at(last)]

    program = run(*flags(topic, out, "r", *asked))
    assert program.ends(within_s=60) == 0
    records = read_all(kafka, out)
    wanted = within((one for one, _ in arrivals), first or 0, last or 1000)
    assert sorted(identities(records)) == sorted(wanted)
    assert {msgpack.unpackb(record.value or b"")["run"] for record in records} == {"r"}
    assert len(read_all(kafka, meta_of(out))) == len(wanted)
    assert [setting(kafka, name, "retention.ms") for name in (out, meta_of(out))] == ["-1", "-1"]
    done = commits(kafka, topic, out, "r")
    assert counts(done)["output"] == len(wanted)
    assert set(counts(done)) <= {"output", "skipped.outside"}
    assert [one.gaps for one in done] == [0] * PARTITIONS, "no transactions, no gaps"


@SLOW
def test_the_first_moment_belongs_to_a_range_and_the_last_does_not(kafka: str, run: Run) -> None:
    topic, out = old_topic(kafka, partitions=1), fresh("out")
    moments = [minutes + more / MINUTE_MS for minutes in (10, 20) for more in (-1, 0, 1)]
    put_frames(kafka, topic, [(frame(n, moment), 0) for n, moment in enumerate(moments)])
    program = run(*flags(topic, out, "r", "--from", at(10), "--until", at(20)))
    assert program.ends() == 0
    assert [sequence for _, _, sequence in identities(read_all(kafka, out))] == [1, 2, 3]


@pytest.mark.timeout(120)
def test_a_run_that_was_killed_and_stopped_goes_on_and_when_it_is_done_does_nothing(
    kafka: str, run: Run, short_session: Path, outcome: Outcome
) -> None:
    arrivals = night(random.Random(1))
    topic, out = old_topic(kafka), fresh("out")
    put_frames(kafka, topic, arrivals)
    wanted = within((one for one, _ in arrivals), 10, 50)
    again = flags(topic, out, "r", "--from", at(10), "--until", at(50), "--kafka-config", short_session)
    written = outcome(out)

    killed = run(*again, "--delay-ms", 15)
    wait_for(lambda: len(written.read()) > 60, "some frames")
    killed.kill()
    stopped = run(*again, "--delay-ms", 15)
    wait_for(lambda: len(written.read()) > 150, "more frames")
    assert stopped.ends(signal.SIGTERM) == 1
    assert b"run r was stopped before its end; give --run r to go on with it" in stopped.err
    assert len(set(identities(written.read()))) < len(wanted)

    assert run(*again).ends(within_s=60) == 0
    assert set(identities(written.read())) == wanted
    repeated = len(written.records) - len(wanted)
    assert repeated < 130, "no more than was under way when it was killed"
    assert counts(commits(kafka, topic, out, "r"))["output"] == len(wanted)

    before = time.monotonic()
    assert run(*again).ends() == 0
    assert time.monotonic() - before < 25
    assert len(written.read()) == repeated + len(wanted), "it published nothing"


@SLOW
def test_a_run_that_goes_on_keeps_to_its_range_though_five_minutes_ago_is_later_now(
    kafka: str, run: Run, short_session: Path, outcome: Outcome
) -> None:
    topic, out = old_topic(kafka, partitions=1), fresh("out")
    now_ms = time.time_ns() // 1_000_000
    edge = plain_frame(999, captured_ns=(now_ms - 595_000) * 1_000_000)
    put_frames(kafka, topic, [(plain_frame(n), 0) for n in range(100)] + [(edge, 0)])
    again = flags(topic, out, "r", "--from", "-600s", "--kafka-config", short_session)
    written = outcome(out)
    program = run(*again, "--delay-ms", 20)
    wait_for(lambda: len(written.read()) > 5, "some frames")
    assert program.ends(signal.SIGTERM) == 1
    wait_for(lambda: time.time_ns() // 1_000_000 > now_ms + 6000, "the edge to pass")

    program = run(*again)
    assert program.ends() == 0
    assert written.sequences() == [*range(100), 999]
    assert b"run r was begun from " in program.err


@SLOW
def test_a_replay_of_a_replay_names_itself_and_keeps_the_pictures(kafka: str, run: Run) -> None:
    topic, first, second = old_topic(kafka), fresh("first"), fresh("second")
    arrivals = night(random.Random(2))[:60]
    put_frames(kafka, topic, arrivals)
    assert run(*flags(topic, first, "one", "--until", at(3))).ends() == 0
    assert run(*flags(first, second, "two", "--from", at(1))).ends() == 0
    records = read_all(kafka, second)
    maps = [msgpack.unpackb(record.value or b"") for record in records]
    assert {one["run"] for one in maps} == {"two"}
    assert {tuple(hop["topic"] for hop in one["trail"]) for one in maps} == {(first, second)}
    wanted = within((one for one, _ in arrivals), 1, 3)
    assert sorted((one["source"], one["epoch"], one["sequence"]) for one in maps) == sorted(wanted)
    assert len(wanted) > 5
    assert [record.timestamp_ms for record in records] == [captured_ms(one) for one in maps]


@pytest.mark.parametrize(
    ("first", "last"), [(5, 6), pytest.param(-100, -50, marks=SLOW), pytest.param(200, 300, marks=SLOW)]
)
def test_an_empty_range_and_empty_partitions_end_at_once(
    kafka: str, run: Run, first: float, last: float
) -> None:
    topic, out = old_topic(kafka), fresh("out")
    put_frames(kafka, topic, [(frame(0, 0), 0), (frame(1, 100), 0)])
    assert run(*flags(topic, out, "r", "--from", at(first), "--until", at(last))).ends() == 0
    assert topics(kafka)[out] > 0
    assert read_all(kafka, out) == []
    assert set(counts(commits(kafka, topic, out, "r"))) <= {"skipped.outside"}


def test_a_topic_that_never_had_a_frame_is_done_at_once(kafka: str, run: Run) -> None:
    topic, out = old_topic(kafka), fresh("out")
    assert run(*flags(topic, out, "r", "--from", at(0))).ends() == 0
    assert counts(commits(kafka, topic, out, "r")) == {}


@pytest.mark.parametrize("last", ["aborted", pytest.param("committed", marks=SLOW)])
def test_gaps_that_transactions_leave_in_the_log_stop_no_run(kafka: str, run: Run, last: str) -> None:
    topic, out = old_topic(kafka, partitions=2), fresh("out")
    kept: list[int] = []
    for turn in range(6):
        is_kept = (turn % 2 == 0) == (last == "aborted")
        numbers = range(5 * turn, 5 * turn + 5)
        transaction(kafka, topic, [frame_put(frame(n, n), n % 2) for n in numbers], commit=is_kept)
        kept += numbers if is_kept else []
    assert run(*flags(topic, out, "r", "--from", at(0), "--until", at(1000))).ends() == 0
    assert sorted(sequence for _, _, sequence in identities(read_all(kafka, out))) == kept
    found = commits(kafka, topic, out, "r", 2)
    assert counts(found) == {"output": 15}
    assert sum(one.gaps for one in found) == 15 + 12, "frames that were aborted, and a mark for each end"


@SLOW
def test_what_retention_took_of_a_range_is_counted_as_expired(
    kafka: str, run: Run, outcome: Outcome, short_session: Path
) -> None:
    topic, out = old_topic(kafka, partitions=1), fresh("out")
    put_frames(kafka, topic, [(frame(n, n / 10), 0) for n in range(200)])
    again = flags(topic, out, "r", "--from", at(0), "--until", at(15), "--kafka-config", short_session)
    written = outcome(out)
    program = run(*again, "--delay-ms", 25)
    wait_for(lambda: len(written.read()) > 5, "some frames")
    assert program.ends(signal.SIGTERM) == 1
    done = len(written.read())
    cut(kafka, topic, 0, 100)
    assert done < 100
    assert run(*again).ends() == 0
    assert written.sequences() == [*range(done), *range(100, 150)]
    assert counts(commits(kafka, topic, out, "r", 1)) == {
        "expired": 100 - done,
        "output": done + 50,
        "skipped.outside": 50,
    }


@pytest.mark.parametrize("by", ["flag", pytest.param("hand", marks=SLOW)])
@pytest.mark.timeout(120)
def test_several_workers_share_a_run_and_all_end_with_it(
    kafka: str, run: Run, short_session: Path, outcome: Outcome, by: str
) -> None:
    arrivals = night(random.Random(3))
    topic, out = old_topic(kafka), fresh("out")
    put_frames(kafka, topic, arrivals)
    asked = flags(topic, out, "r", "--from", at(10), "--until", at(40), "--kafka-config", short_session)
    slow = (*asked, "--delay-ms", 20)
    programs = [run(*slow, "--workers", 2)] if by == "flag" else [run(*slow), run(*slow)]
    assert [program.ends(within_s=90) for program in programs] == [0] * len(programs)
    wanted = within((one for one, _ in arrivals), 10, 40)
    assert set(identities(outcome(out).read())) == wanted
    assert counts(commits(kafka, topic, out, "r"))["output"] == len(wanted)


def test_what_a_filter_holds_back_is_published_at_the_end_of_a_run(kafka: str, run: Run) -> None:
    topic, out = old_topic(kafka), fresh("out")
    frames = [(frame(n, n / 10, f"cam{camera}"), camera) for n in range(24) for camera in range(2)]
    put_frames(kafka, topic, frames)
    assert run(*flags(topic, out, "r", "--from", at(0)), script=AHEAD).ends() == 0
    maps = [msgpack.unpackb(record.value or b"") for record in read_all(kafka, out)]
    ahead = {(one["source"], one["sequence"]): one["attributes"]["test.ahead"] for one in maps}
    assert len(maps) == 48
    assert ahead == {(f"cam{c}", n): min(10, 23 - n) for n in range(24) for c in range(2)}
    assert counts(commits(kafka, topic, out, "r")) == {"output": 48}


@SLOW
def test_a_holding_filter_that_is_stopped_and_goes_on_loses_nothing(
    kafka: str, run: Run, short_session: Path, outcome: Outcome
) -> None:
    topic, out = old_topic(kafka, partitions=1), fresh("out")
    put_frames(kafka, topic, [(frame(n, n / 10), 0) for n in range(80)])
    again = flags(topic, out, "r", "--from", at(0), "--kafka-config", short_session)
    written = outcome(out)
    program = run(*again, "--delay-ms", 20, script=AHEAD)
    wait_for(lambda: len(written.read()) > 20, "some frames")
    assert program.ends(signal.SIGTERM) == 1
    assert run(*again, script=AHEAD).ends() == 0
    assert sorted(set(written.sequences())) == list(range(80))
    assert counts(commits(kafka, topic, out, "r", 1)) == {"output": 80}


def test_a_topic_that_would_lose_old_frames_at_once_is_warned_of(kafka: str, run: Run) -> None:
    topic = old_topic(kafka)
    out = make_topic(kafka, fresh("out"), 1, retention__ms=600_000)
    program = run(*flags(topic, out, "r", "--from", at(0)))
    assert program.ends() == 0
    assert f"topic {out} keeps frames for 600 s from their capture".encode() in program.err
    assert b"set retention.ms to -1" in program.err


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        (["--until", "2100-01-01T00:00Z"], b"--until: 2100-01-01T"),
        pytest.param(["--from", "-1m", "--until", "-2m"], b"is not before --until", marks=SLOW),
        pytest.param(["--run", "night"], b"names a bounded run: give --from or --until too", marks=SLOW),
    ],
)
def test_a_range_that_makes_no_sense_ends_with_2_and_one_line(
    kafka: str, run: Run, asked: list[str], fault: bytes
) -> None:
    program = run("-i", "IN", "-t", fresh("out"), "-n", "f", *asked)
    assert program.ends() == 2
    assert fault in program.err
    assert program.err.count(b"\n") == 1


def test_a_run_of_a_topic_that_is_not_there_says_so_and_waits_for_nothing(kafka: str, run: Run) -> None:
    program = run(*flags("NEVER_MADE", fresh("out"), "r", "--from", at(0)))
    assert program.ends() == 1
    assert b"there is no topic NEVER_MADE" in program.err


@SLOW
def test_a_strange_record_of_the_range_is_a_dead_letter_and_one_outside_is_none(kafka: str, run: Run) -> None:
    topic, out = old_topic(kafka, partitions=1), fresh("out")
    junk = [Put(b"junk", timestamp_ms=ms(minutes)) for minutes in (0, 10, 29)]
    put(kafka, topic, [*junk, frame_put(frame(0, 15), 0)])
    assert run(*flags(topic, out, "r", "--from", at(5), "--until", at(20))).ends() == 0
    assert len(read_all(kafka, f"{topic}.DLQ")) == 1
    assert counts(commits(kafka, topic, out, "r", 1)) == {"dead": 1, "output": 1, "skipped.outside": 1}


def test_clocks_that_are_an_hour_apart_cut_no_range_short(kafka: str, run: Run) -> None:
    """The cameras share a partition, in which what their clocks say lies an hour apart."""
    topic, out = old_topic(kafka, partitions=1), fresh("out")
    frames = [
        frame(n, n / 2 + ahead, source)
        for n in range(300)
        for source, ahead in (("right", 0.0), ("ahead", 60.0), ("behind", -60.0))
    ]
    put_frames(kafka, topic, [(one, 0) for one in frames])
    assert run(*flags(topic, out, "r", "--from", at(30), "--until", at(50))).ends() == 0
    wanted = within(frames, 30, 50)
    assert {source for source, _, _ in wanted} == {"right", "behind"}
    assert sorted(identities(read_all(kafka, out))) == sorted(wanted)


@SLOW
def test_a_run_reads_little_beyond_its_range(kafka: str, run: Run) -> None:
    topic, out = old_topic(kafka, partitions=1), fresh("out")
    put_frames(kafka, topic, [(frame(n, n), 0) for n in range(200)])
    assert run(*flags(topic, out, "r", "--from", at(50), "--until", at(60))).ends() == 0
    [one] = commits(kafka, topic, out, "r", 1)
    assert (one.begin, one.end, one.counts) == (50, 70, {"output": 10, "skipped.outside": 10})


def test_a_live_filter_goes_on_behind_a_bounded_run_of_its_group(kafka: str, run: Run) -> None:
    topic, out = old_topic(kafka, partitions=1), fresh("out")
    put(kafka, topic, [frame_put(frame(n, n)) for n in range(3)])
    arguments = ("-i", topic, "-t", out, "-n", "f")
    assert run(*arguments, "--from", at(0), "--until", at(60), "--run", "night").ends() == 0
    [group] = {record.header("imagebus.group") for record in read_all(kafka, out)}
    put(kafka, topic, [frame_put(frame(n, 100 + n)) for n in range(3, 6)])
    live = run(*arguments, "--group", group, "--freshness", "all")
    wait_for(lambda: len(read_all(kafka, out)) == 6, "what came later")
    assert live.ends(signal.SIGTERM) == 0
    assert b"was left by a bounded run" in live.err
    position = committed(kafka, group, topic)[0]
    assert (position.offset, read(position).counts, read(position).end) == (6, {"output": 6}, None)


def test_two_runs_of_one_name_with_different_times_share_one_range_or_one_fails(kafka: str, run: Run) -> None:
    topic, out = old_topic(kafka), fresh("out")
    put(kafka, topic, [frame_put(frame(n, n, f"cam{n % PARTITIONS}"), n % PARTITIONS) for n in range(60)])
    arguments = ("-i", topic, "-t", out, "-n", "f", "--run", "same")
    both = [run(*arguments, "--from", at(0), "--until", at(20)), run(*arguments, "--from", at(40))]
    ends = [one.ends() for one in both]
    ranges = {
        read(one).range
        for one in committed(kafka, f"imagebus.f.{topic}.{out}.same", topic, PARTITIONS).values()
    }
    told = b"".join(one.err for one in both)
    assert ends == [0, 0] if len(ranges) == 1 else 1 in ends
    assert b"and goes on so" in told or b"was begun twice at once" in told
