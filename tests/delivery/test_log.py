"""A log that changes under a running filter: cut by retention, or deleted and made anew."""

from __future__ import annotations

import pytest

from tests.broker import committed, cut, delete_topic, fresh, make_topic
from tests.delivery.conftest import Run
from tests.delivery.stage import Outcome, counts, every_frame, fill, group
from tests.programs import wait_for

pytestmark = pytest.mark.kafka


def test_a_topic_that_was_made_anew_is_read_from_its_first_frame(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    fill(kafka, topic, 0, 100)
    program = run(*every_frame(topic, out))
    frames = outcome(out)
    wait_for(lambda: frames.sequences() == list(range(100)), "all frames of the first log")
    wait_for(lambda: committed(kafka, group(topic, out), topic)[0].offset == 100, "their commit")

    delete_topic(kafka, topic)
    make_topic(kafka, topic)
    fill(kafka, topic, 1000, 30)

    wait_for(lambda: frames.sequences() == [*range(100), *range(1000, 1030)], "all of the new log", 60)
    program.says("from its beginning")
    wait_for(lambda: committed(kafka, group(topic, out), topic)[0].offset == 30, "its commit")
    assert counts(kafka, topic, out) == {"output": 30}


def test_what_retention_took_before_it_was_read_is_counted_and_the_rest_is_processed(
    kafka: str, run: Run, outcome: Outcome
) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    fill(kafka, topic, 0, 10)
    first = run(*every_frame(topic, out))
    frames = outcome(out)
    wait_for(lambda: frames.sequences() == list(range(10)), "the first frames")
    assert first.ends(15) == 0

    fill(kafka, topic, 10, 30)
    cut(kafka, topic, 0, 25)
    run(*every_frame(topic, out))

    wait_for(lambda: frames.sequences() == [*range(10), *range(25, 40)], "what is left")
    wait_for(lambda: committed(kafka, group(topic, out), topic)[0].offset == 40, "the commit")
    assert counts(kafka, topic, out) == {"output": 25, "expired": 15}
