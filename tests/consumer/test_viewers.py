from __future__ import annotations

import itertools

import pytest
from feeds import Feed, Feeds, Newest
from viewers import MAX_VIEWERS, WINDOW_BYTES, Done, Viewers

from imagebus.record import Record

OFFSETS = itertools.count()
A, B, C = Feed("T", "a"), Feed("T", "b"), Feed("T", "c")


class Wire:
    """What is sent, and to whom; nothing is acknowledged by itself."""

    def __init__(self) -> None:
        self.feeds = Feeds()
        self.version = 1
        self.viewers = Viewers(self.feeds, lambda: self.version)
        self.frames: list[tuple[str, bytes]] = []
        self.states: list[tuple[str, int]] = []
        self.done: list[Done] = []
        self.state_done: list[Done] = []
        self.viewers.send_frame = self._frame
        self.viewers.send_state = self._state

    def _frame(self, who: str, newest: Newest, done: Done) -> None:
        self.frames.append((who, newest.value))
        self.done.append(done)

    def _state(self, who: str, done: Done) -> None:
        self.states.append((who, self.version))
        self.state_done.append(done)

    def put(self, feed: Feed, value: bytes) -> None:
        self.feeds.put(Record(feed.topic, 0, next(OFFSETS), 0, feed.source.encode(), value))
        self.viewers.changed()


@pytest.fixture
def wire() -> Wire:
    made = Wire()
    made.viewers.add("tab")
    return made


def test_nothing_is_sent_that_was_not_asked_for(wire: Wire) -> None:
    wire.put(A, b"1")
    assert wire.frames == []


def test_the_newest_is_sent_at_once(wire: Wire) -> None:
    wire.put(A, b"1")
    wire.viewers.watch("tab", [A])
    assert wire.frames == [("tab", b"1")]


def test_the_next_one_waits_for_the_acknowledgement_and_only_the_newest_goes(wire: Wire) -> None:
    wire.viewers.watch("tab", [A])
    for value in (b"1", b"2", b"3"):
        wire.put(A, value)
    assert wire.frames == [("tab", b"1")]
    wire.done.pop()()
    assert wire.frames == [("tab", b"1"), ("tab", b"3")]


def test_the_same_picture_is_never_sent_twice(wire: Wire) -> None:
    wire.viewers.watch("tab", [A])
    wire.put(A, b"1")
    wire.done.pop()()
    wire.viewers.changed()
    wire.viewers.watch("tab", [A, B])
    assert wire.frames == [("tab", b"1")]


def test_a_feed_that_stalls_does_not_hold_up_another(wire: Wire) -> None:
    wire.viewers.watch("tab", [A, B])
    wire.put(A, b"1")
    wire.put(A, b"2")
    wire.put(B, b"3")
    assert wire.frames == [("tab", b"1"), ("tab", b"3")]


def test_a_viewer_that_stalls_does_not_hold_up_another(wire: Wire) -> None:
    wire.viewers.add("other")
    wire.viewers.watch("tab", [A])
    wire.viewers.watch("other", [A])
    wire.put(A, b"1")
    wire.done.pop()()  # that of the other
    wire.put(A, b"2")
    assert wire.frames == [("tab", b"1"), ("other", b"1"), ("other", b"2")]


def test_no_more_than_a_window_is_under_way_and_every_feed_has_its_turn(wire: Wire) -> None:
    half = WINDOW_BYTES // 2
    wire.viewers.watch("tab", [A, B, C])
    for feed in (A, B, C):
        wire.put(feed, feed.source.encode() * half)
    assert [value[:1] for _, value in wire.frames] == [b"a", b"b"]
    wire.put(A, b"A" * half)
    wire.done.pop(0)()
    assert [value[:1] for _, value in wire.frames] == [b"a", b"b", b"c"]
    wire.done.pop(0)()
    assert [value[:1] for _, value in wire.frames] == [b"a", b"b", b"c", b"A"]


def test_a_frame_larger_than_the_window_goes_alone(wire: Wire) -> None:
    wire.viewers.watch("tab", [A, B])
    wire.put(A, b"a" * (2 * WINDOW_BYTES))
    wire.put(B, b"b")
    assert len(wire.frames) == 1
    wire.done.pop()()
    assert wire.frames[-1] == ("tab", b"b")


def test_small_frames_do_not_keep_a_large_one_waiting_for_ever(wire: Wire) -> None:
    wire.viewers.watch("tab", [A, B, C])
    wire.put(A, b"a")
    wire.put(B, b"b" * WINDOW_BYTES)
    wire.put(C, b"c")
    wire.done.pop()()
    assert [value[:1] for _, value in wire.frames] == [b"a", b"b"]


def test_the_state_is_sent_once_a_version_and_paced_too(wire: Wire) -> None:
    wire.viewers.changed()
    wire.viewers.changed()
    assert wire.states == [("tab", 1)]
    wire.version = 2
    wire.viewers.changed()
    wire.version = 3
    assert wire.states == [("tab", 1)]
    wire.state_done.pop()()
    assert wire.states == [("tab", 1), ("tab", 3)]


def test_who_left_is_sent_nothing(wire: Wire) -> None:
    wire.viewers.watch("tab", [A])
    wire.viewers.remove("tab")
    wire.put(A, b"1")
    assert (wire.frames, len(wire.viewers)) == ([], 0)


def test_there_is_room_for_so_many_viewers_and_no_more() -> None:
    viewers = Viewers(Feeds(), lambda: 0)
    assert all(viewers.add(str(number)) for number in range(MAX_VIEWERS))
    assert not viewers.add("one more")
    viewers.remove("0")
    assert viewers.add("one more")
