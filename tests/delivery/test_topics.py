"""Topics that are made at once by many, deleted and made anew, or grown, under running services."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

from imagebus import topics as names
from tests.broker import (
    committed,
    delete_topic,
    frame_put,
    fresh,
    identities,
    make_topic,
    plain_frame,
    put,
    topics,
)
from tests.delivery.cameras import cameras
from tests.delivery.conftest import Run
from tests.delivery.stage import Outcome, counts, every_frame, fill, group
from tests.programs import ROOT, wait_for

pytestmark = pytest.mark.kafka


def make_anew(kafka: str, topic: str, partitions: int = 1) -> None:
    delete_topic(kafka, topic)
    make_topic(kafka, topic, partitions)


def test_eight_programs_that_make_the_same_topics_at_once_all_go_on(kafka: str) -> None:
    topic = fresh("together")
    program = (
        "import sys; from imagebus.bus import Bus; from imagebus import topics as t\n"
        "bus = Bus(sys.argv[1]); sys.stdin.readline()\n"
        "bus.ensure_topic(sys.argv[2]); bus.ensure_topic(t.meta_of(sys.argv[2]), t.META_SETTINGS)\n"
    )
    together = [
        subprocess.Popen(
            [sys.executable, "-c", program, kafka, topic],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for one in together:
        assert one.stdin
        one.stdin.write("\n")
        one.stdin.flush()
    said = [one.communicate(timeout=60)[1] for one in together]
    assert (said, [one.returncode for one in together]) == ([""] * 8, [0] * 8)
    assert {topic, names.meta_of(topic)} <= set(topics(kafka))


def test_an_input_made_anew_longer_than_the_old_position_is_read_from_its_first_frame(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    """The Kafka client would read on in its middle; test_log has the shorter one."""
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    program = run("-i", topic, "-t", out, "-n", "f", "--freshness", "all")
    wait_for(lambda: committed(kafka, group(topic, out), topic), "the start")
    fill(kafka, topic, 0, 50)
    frames = outcome(out)
    wait_for(lambda: frames.sequences() == list(range(50)), "the frames of the first log")
    wait_for(lambda: committed(kafka, group(topic, out), topic)[0].offset == 50, "their commit")

    make_anew(kafka, topic)
    fill(kafka, topic, 1000, 120)

    wait_for(lambda: set(range(1000, 1120)) <= set(frames.sequences()), "all of the new log")
    wait_for(lambda: counts(kafka, topic, out) == {"output": 120}, "its counts")
    assert program.alive
    assert program.err.count(b"Traceback") == 0


def test_an_input_made_anew_with_fewer_partitions_is_read_from_its_first_frame(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, out = make_topic(kafka, fresh("in"), 2), fresh("out")
    program = run("-i", topic, "-t", out, "-n", "f", "--freshness", "all")
    wait_for(lambda: len(committed(kafka, group(topic, out), topic, 2)) == 2, "the start")
    fill(kafka, topic, 0, 60, 2)
    frames = outcome(out)
    wait_for(lambda: len(frames.read()) == 60, "the frames of the first log")
    make_anew(kafka, topic)
    fill(kafka, topic, 1000, 120)
    wait_for(lambda: set(range(1000, 1120)) <= set(frames.sequences()), "all of the new log")
    assert program.alive


def test_partitions_added_to_an_input_are_read_from_their_first_frame(
    kafka: str, run: Run, outcome: Outcome, tmp_path: Path
) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    config = tmp_path / "soon.properties"
    config.write_text("topic.metadata.refresh.interval.ms=1000\n")  # ten seconds otherwise
    program = run("-i", topic, "-t", out, "-n", "f", "--freshness", "all", "--kafka-config", config)
    wait_for(lambda: committed(kafka, group(topic, out), topic), "the start")
    fill(kafka, topic, 0, 10)

    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_partitions([NewPartitions(topic, 3)])[topic].result(10)
    frames = [frame_put(plain_frame(n), n % 3) for n in range(10, 40)]

    def filled() -> bool:
        try:
            put(kafka, topic, frames)
        except KafkaException:  # this client has not heard of them yet
            return False
        return True

    wait_for(filled, "frames in the new partitions")
    written = outcome(out)
    wait_for(lambda: written.sequences() == list(range(40)), "all frames")
    wait_for(lambda: counts(kafka, topic, out, 3) == {"output": 40}, "their counts")
    assert program.alive


def test_a_worker_that_joins_a_new_group_begins_at_the_newest_all_the_same(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    """Its partitions have no commit yet while its neighbour's have: that does not make them new ones."""
    topic, out = make_topic(kafka, fresh("in"), 2), fresh("out")
    fill(kafka, topic, 0, 10, 2)
    arguments = ("-i", topic, "-t", out, "-n", "f", "--freshness", "all")
    programs = [run(*arguments), run(*arguments)]
    wait_for(lambda: len(committed(kafka, group(topic, out), topic, 2)) == 2, "the start")
    fill(kafka, topic, 10, 10, 2)
    written = outcome(out)
    wait_for(lambda: written.sequences() == list(range(10, 20)), "the frames since")
    assert all(program.alive for program in programs)


def test_outputs_that_are_deleted_under_a_filter_are_made_anew_and_nothing_is_counted_that_was_not_written(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    """The output, its META, the dead letters and the notes of outcomes, all at once."""
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    program = run(*every_frame(topic, out))
    does = ["pass", "fail", "drop"]

    def mixed(first: int, count: int) -> None:
        frames = (plain_frame(n, attributes={"test.do": does[n % 3]}) for n in range(first, first + count))
        put(kafka, topic, [frame_put(frame) for frame in frames])

    mixed(0, 30)
    wait_for(lambda: counts(kafka, topic, out).total() == 30, "all outcomes")
    dead, meta = names.dead_letters_of(topic), names.meta_of(out)
    gone = {out, meta, dead, names.OUTCOMES}
    for one in gone:
        delete_topic(kafka, one)
    mixed(30, 30)

    wait_for(lambda: counts(kafka, topic, out).total() == 60, "all outcomes of the rest", 60)
    assert counts(kafka, topic, out) == {"output": 20, "dead": 20, "filtered": 20}
    since = range(30, 60)
    assert set(outcome(out).sequences()) >= {n for n in since if n % 3 == 0}
    assert len(outcome(meta).read()) >= 10
    assert {record.offset for record in outcome(dead).read()} >= set(range(10))
    runs = [
        note for record in outcome(names.OUTCOMES).read() for note in json.loads(record.value or b"")["runs"]
    ]
    noted = {n for first, last, _ in runs for n in range(first, last + 1)}
    assert noted >= {n for n in since if n % 3 == 2}, program.err.decode()
    assert program.ends(15) == 0
    assert program.err.count(b"is gone; making it anew") <= 12, "not at each try"
    assert b"Traceback" not in program.err


def test_a_camera_whose_topic_is_deleted_makes_it_anew_and_loses_no_frame_that_it_did_not_drop(
    kafka: str, outcome: Outcome
) -> None:
    topic = fresh("camera")
    with cameras(kafka, topic, ["cam"], 20) as shooting:
        wait_for(lambda: shooting.published >= 20, "frames")
        delete_topic(kafka, topic, wait=False)
        goal = shooting.published + 40
        wait_for(lambda: shooting.published >= goal, "it to go on")
        assert shooting.stop() == 0
    published = {n for _, _, n in identities(outcome(topic).read())}
    assert published == set(range(min(published), len(shooting.sent["cam"])))
    assert shooting.refused == 0
    assert shooting.published == len(shooting.sent["cam"])
    assert len(outcome(names.meta_of(topic)).read()) >= len(published)


@pytest.mark.slow
def test_an_input_that_is_gone_for_a_while_is_read_from_its_first_frame_once_it_is_back(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    """By then the group has lost its partitions and Kafka the group's commits."""
    topic, out = make_topic(kafka, fresh("in"), 2), fresh("out")
    arguments = ("-i", topic, "-t", out, "-n", "f", "--freshness", "all")
    programs = [run(*arguments), run(*arguments)]
    wait_for(lambda: len(committed(kafka, group(topic, out), topic, 2)) == 2, "the start")
    fill(kafka, topic, 0, 40, 2)
    frames = outcome(out)
    wait_for(lambda: frames.sequences() == list(range(40)), "the frames of the first log")

    delete_topic(kafka, topic)
    time.sleep(25)  # longer than the client takes an absence for a delay
    make_topic(kafka, topic, 2)
    fill(kafka, topic, 1000, 60, 2)
    wait_for(lambda: set(range(1000, 1060)) <= set(frames.sequences()), "all of the new log", 60)
    wait_for(lambda: counts(kafka, topic, out, 2) == {"output": 60}, "its counts")
    assert [program.ends(15) for program in programs] == [0, 0]
    assert b"Traceback" not in programs[0].err + programs[1].err
