"""Where a filter begins to read, and what it does while there is nothing to read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.broker import (
    began_ns,
    committed,
    cut,
    fresh,
    identities,
    make_topic,
    read_all,
    topics,
)
from tests.delivery.conftest import Run
from tests.delivery.stage import counts, every_frame, fill, group
from tests.programs import wait_for

pytestmark = pytest.mark.kafka


def sequences(kafka: str, topic: str) -> list[int]:
    return sorted(sequence for _, _, sequence in identities(read_all(kafka, topic)))


@pytest.mark.parametrize("start", ["latest", "earliest", "time"])
def test_a_new_group_begins_where_it_is_told(kafka: str, run: Run, start: str) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    fill(kafka, topic, 0, 10)
    moment = datetime.fromtimestamp((began_ns() + 6_000_000) // 1_000_000 / 1000, UTC).isoformat()
    place = moment if start == "time" else start

    run(*every_frame(topic, out, "--start", place))
    wait_for(lambda: committed(kafka, group(topic, out), topic), "a first commit")
    fill(kafka, topic, 10, 1)

    wait_for(lambda: topics(kafka).get(out) and 10 in sequences(kafka, out), "the newest frame")
    first = {"latest": 10, "earliest": 0, "time": 6}[start]
    assert sequences(kafka, out) == list(range(first, 11))


def test_a_kill_before_the_first_frame_loses_nothing_that_came_since(
    kafka: str, run: Run, short_session: Path
) -> None:
    topic, out = make_topic(kafka, fresh("in"), 3), fresh("out")
    fill(kafka, topic, 0, 6, 3)
    arguments = ("-i", topic, "-t", out, "-n", "f", "--freshness", "all", "--kafka-config", short_session)
    killed = run(*arguments)
    wait_for(lambda: len(committed(kafka, group(topic, out), topic, 3)) == 3, "the starting offsets")
    killed.kill()
    fill(kafka, topic, 6, 6, 3)

    run(*arguments)
    wait_for(lambda: len(sequences(kafka, out)) >= 6, "what came after the start", within_s=90)
    assert sequences(kafka, out) == list(range(6, 12))


def test_a_filter_waits_for_a_missing_topic_and_reads_it_from_its_first_frame(kafka: str, run: Run) -> None:
    topic, out = fresh("later"), fresh("out")
    program = run("-i", topic, "-t", out, "-n", "f", "--freshness", "all")
    program.says(f"topic {topic} does not exist yet; waiting for it")

    make_topic(kafka, topic, 4)
    fill(kafka, topic, 0, 20, 4)
    wait_for(lambda: len(sequences(kafka, out)) >= 20, "all frames of the new topic")
    assert sequences(kafka, out) == list(range(20))
    assert program.err.count(b"does not exist yet") == 1


def test_a_filter_makes_its_output_topic_but_never_its_input(kafka: str, run: Run) -> None:
    topic, out = fresh("never"), fresh("out")
    program = run("-i", topic, "-t", out, "-n", "f")
    program.says("waiting for it")
    assert out in topics(kafka)
    assert topic not in topics(kafka)
    assert program.ends(15) == 0


def test_an_old_commit_beyond_what_the_log_keeps_is_counted_as_expired(kafka: str, run: Run) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    arguments = every_frame(topic, out)
    program = run(*arguments)
    fill(kafka, topic, 0, 3)
    wait_for(lambda: sequences(kafka, out) == [0, 1, 2], "three frames are out")
    assert program.ends(15) == 0
    fill(kafka, topic, 3, 7)
    cut(kafka, topic, 0, 8)

    program = run(*arguments)
    wait_for(lambda: 9 in sequences(kafka, out), "what is left")
    assert program.ends(15) == 0
    assert committed(kafka, group(topic, out), topic)[0].offset == 10
    assert counts(kafka, topic, out) == {"output": 5, "expired": 5}
