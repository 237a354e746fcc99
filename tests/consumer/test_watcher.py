"""Which topics the page asks for frames."""

from __future__ import annotations

import threading

import pytest
from feeds import Feed, Feeds
from watcher import Watcher, may_carry_frames

from imagebus.bus import Bus, Tail
from imagebus.record import Record
from imagebus.topics import OUTCOMES, OUTCOMES_SETTINGS, SERVICES, SERVICES_SETTINGS
from tests.broker import Put, frame_put, fresh, make_topic, plain_frame, put
from tests.programs import wait_for

CONTENT = ("content-type", b"application/vnd.imagebus.frame+msgpack;v=1")


class Asked(Bus):
    """A real bus that remembers which topics were asked for their newest record."""

    def __init__(self, kafka: str) -> None:
        super().__init__(kafka)
        self.asked: list[str] = []

    def tail(self) -> Tail:
        asked = self.asked

        class Asking(Tail):
            def newest(self, topic: str) -> Record | None:
                asked.append(topic)
                return super().newest(topic)

        return Asking(self)


def test_the_page_shows_frames_and_never_asks_what_stands_beside_them(kafka: str) -> None:
    frames = make_topic(kafka, fresh("FRAMES"))
    empty = make_topic(kafka, fresh("EMPTY"))
    beside = [make_topic(kafka, f"{frames}.{end}") for end in ("META", "DLQ")]
    bus = Asked(kafka)
    for topic, settings in ((SERVICES, SERVICES_SETTINGS), (OUTCOMES, OUTCOMES_SETTINGS)):
        bus.ensure_topic(topic, settings, 1)  # as services make them: other tests see them too
    for topic in (frames, *beside):
        record = frame_put(plain_frame())
        put(kafka, topic, [Put(record.value, record.key, record.timestamp_ms, headers=[CONTENT])])
    feeds = Feeds()
    watcher = Watcher(bus, feeds, lambda: None, quiet=True)
    watcher.start()
    try:
        wait_for(lambda: Feed(frames, "camera") in feeds.all(), "the camera is shown")
        wait_for(lambda: bus.asked.count(empty) > 1, "an empty topic is asked again")
    finally:
        watcher.stop(10)
    assert not {*beside, SERVICES, OUTCOMES} & set(bus.asked)
    assert {feed.topic for feed in feeds.all() if feed.topic in (frames, *beside)} == {frames}


@pytest.mark.parametrize("topic", ["SOURCE_FRAME", "META", "imagebus.cam", "A.META.B", "services"])
def test_a_topic_of_any_other_name_is_asked(topic: str) -> None:
    assert may_carry_frames(topic)


def test_no_thread_is_left_after_the_end(kafka: str) -> None:
    before = set(threading.enumerate())
    watcher = Watcher(Bus(kafka), Feeds(), lambda: None, quiet=True)
    watcher.start()
    watcher.stop(10)
    assert set(threading.enumerate()) <= before
