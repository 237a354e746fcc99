"""A log that changes under a running filter: cut by retention, or deleted and made anew."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from imagebus.commit import counts_of
from tests.broker import Reader, committed, frame_put, fresh, make_topic, plain_frame, put, topics
from tests.delivery.conftest import Run
from tests.programs import Program, wait_for

pytestmark = pytest.mark.kafka
Outcome = Callable[[str], Reader]


def fill(kafka: str, topic: str, first: int, count: int) -> None:
    put(kafka, topic, [frame_put(plain_frame(n)) for n in range(first, first + count)])


def start(run: Run, topic: str, out: str) -> Program:
    return run("-i", topic, "-t", out, "-n", "f", "--freshness", "all", "--start", "earliest")


def group(topic: str, out: str) -> str:
    return f"imagebus.f.{topic}.{out}"


def test_a_topic_that_was_made_anew_is_read_from_its_first_frame(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    fill(kafka, topic, 0, 100)
    program = start(run, topic, out)
    frames = outcome(out)
    wait_for(lambda: frames.sequences() == list(range(100)), "all frames of the first log")
    wait_for(lambda: committed(kafka, group(topic, out), topic)[0].offset == 100, "their commit")

    admin = AdminClient({"bootstrap.servers": kafka})
    admin.delete_topics([topic])[topic].result(10)
    wait_for(lambda: topic not in topics(kafka), "the topic gone")
    make_topic(kafka, topic)
    fill(kafka, topic, 1000, 30)

    wait_for(lambda: frames.sequences() == [*range(100), *range(1000, 1030)], "all of the new log", 60)
    program.says("from its beginning")
    wait_for(lambda: committed(kafka, group(topic, out), topic)[0].offset == 30, "its commit")
    assert counts_of(committed(kafka, group(topic, out), topic)[0]) == {"output": 30}


def test_what_retention_took_before_it_was_read_is_counted_and_the_rest_is_processed(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    fill(kafka, topic, 0, 10)
    first = start(run, topic, out)
    frames = outcome(out)
    wait_for(lambda: frames.sequences() == list(range(10)), "the first frames")
    assert first.ends(15) == 0

    fill(kafka, topic, 10, 30)
    admin = AdminClient({"bootstrap.servers": kafka})
    place = TopicPartition(topic, 0, 25)
    admin.delete_records([place])[place].result(10)
    start(run, topic, out)

    wait_for(lambda: frames.sequences() == [*range(10), *range(25, 40)], "what is left")
    wait_for(lambda: committed(kafka, group(topic, out), topic)[0].offset == 40, "the commit")
    assert counts_of(committed(kafka, group(topic, out), topic)[0]) == {"output": 25, "expired": 15}
