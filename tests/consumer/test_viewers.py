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


class Crowd(Wire):
    """Viewers of whom only the last one acknowledges; there is room for four frames of ten bytes."""

    def __init__(self, stalled: int, stall_s: float = 1000.0) -> None:
        super().__init__()
        self.viewers = Viewers(self.feeds, lambda: self.version, room_bytes=40, stall_s=stall_s)
        self.viewers.send_frame = self._frame
        self.viewers.send_state = self._state
        self.viewers.drop = self.viewers.remove
        self.names = [f"stalled{number}" for number in range(stalled)]
        for name in (*self.names, "lively"):
            self.viewers.add(name)


def test_those_who_never_acknowledged_share_half_of_the_room() -> None:
    crowd = Crowd(stalled=10)
    for name in crowd.names:
        crowd.viewers.watch(name, [A])
    crowd.put(A, b"a" * 10)
    assert [who for who, _ in crowd.frames] == crowd.names[:2]


def test_who_acknowledges_goes_on_among_many_who_do_not() -> None:
    crowd = Crowd(stalled=10)
    crowd.viewers.watch("lively", [A])
    crowd.put(A, b"0" * 10)
    crowd.done.pop()()
    for name in crowd.names:
        crowd.viewers.watch(name, [A])
    for picture in range(1, 6):
        crowd.put(A, b"%d" % picture * 10)
        place = max(at for at, (who, _) in enumerate(crowd.frames) if who == "lively")
        assert crowd.frames[place] == ("lively", b"%d" % picture * 10)
        crowd.done[place - 1]()  # the first was popped


def test_room_that_comes_free_goes_to_who_waits_longest() -> None:
    crowd = Crowd(stalled=4)
    for name in crowd.names:
        crowd.viewers.watch(name, [A])
    crowd.put(A, b"a" * 10)
    crowd.viewers.remove("stalled1")
    assert [who for who, _ in crowd.frames] == ["stalled0", "stalled1", "stalled2"]


def test_a_small_frame_does_not_overtake_a_large_one_that_waits_for_room() -> None:
    crowd = Crowd(stalled=3)
    for name, feed, size in (("stalled0", A, 15), ("stalled1", B, 15), ("stalled2", C, 1)):
        crowd.viewers.watch(name, [feed])
        crowd.put(feed, b"x" * size)
    assert [who for who, _ in crowd.frames] == ["stalled0"]
    crowd.done[0]()
    assert [who for who, _ in crowd.frames] == ["stalled0", "stalled1", "stalled2"]


def test_who_holds_a_frame_too_long_is_dropped_only_when_others_wait() -> None:
    crowd = Crowd(stalled=3, stall_s=0.0)
    for name in crowd.names[:2]:
        crowd.viewers.watch(name, [A])
    crowd.put(A, b"a" * 10)
    crowd.viewers.relieve()
    assert len(crowd.viewers) == 4
    crowd.viewers.watch("stalled2", [A])
    crowd.viewers.relieve()
    assert len(crowd.viewers) == 2
    assert [who for who, _ in crowd.frames][2:] == ["stalled2"]
