"""The end of a partition is told after the records before it, however they come."""

from __future__ import annotations

import time

import pytest

from imagebus import Field, Filter, FilterOptions, Frame
from imagebus.bus import Bus
from imagebus.runner import Runner
from imagebus.topics import Topic
from tests.broker import frame_put, fresh, make_topic, plain_frame, put, read_all

pytestmark = pytest.mark.kafka


class Pass(Filter):
    """Pass every frame on, the first so slowly that all else is there at the next read."""

    class Options(FilterOptions):
        topic: Topic = Field("OUT")
        name: str = Field("pass")

    def start(self) -> None:
        self._began = False

    def process(self, frame: Frame) -> Frame:
        time.sleep(0 if self._began else 2)
        self._began = True
        return frame


def test_a_run_loses_no_frame_that_is_read_together_with_the_end_of_its_partition(kafka: str) -> None:
    """While the first are processed, the client fetches the others, and the ends of all partitions."""
    topic, out = make_topic(kafka, fresh("in"), 3, retention__ms=-1), make_topic(kafka, fresh("out"))
    put(kafka, topic, [frame_put(plain_frame(n), n % 3) for n in range(240)])
    flags = ["--kafka", kafka, "-i", topic, "-t", out, "--from", "2020-01-01", "--run", "r", "-q"]
    Runner(Pass(Pass.Options.parse(flags)), Bus(kafka)).run()
    assert len(read_all(kafka, out)) == 240
