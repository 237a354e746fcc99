"""Who is looking: every viewer gets the newest picture, and the next one when it is done with the last.

Nothing is ever sent that was not asked for: one frame a feed and one word on the state may be under way to a
viewer. A tab that stalls acknowledges nothing, so it is sent nothing; and when others wait for the room that
its frames take, it is dropped.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from feeds import Feed, Feeds, Newest
from room import ROOM_BYTES, Room

MAX_VIEWERS = 200
WINDOW_BYTES = 1024 * 1024
"""As much may be under way to one viewer; a single larger frame goes alone."""
STALL_S = 10.0
"""Who holds a frame that long is dropped, if another viewer waits for room."""

Done = Callable[..., None]
SendFrame = Callable[[str, Newest, Done], None]
SendState = Callable[[str, Done], None]
Drop = Callable[[str], None]


class Held(NamedTuple):
    """A frame under way."""

    size: int
    newcomer: bool
    since: float


class Viewer:
    """One viewer: what it watches, what it was sent, and what is under way to it."""

    def __init__(self, feeds: Feeds, room: Room[Viewer]) -> None:
        self._feeds = feeds
        self._room = room
        self._lock = threading.Lock()
        self._seen: dict[Feed, int] = {}  # watched feeds, the longest unsent first: the serial last sent
        self._under_way: dict[Feed, Held] = {}
        self._is_newcomer = True
        self._has_left = False
        self._state_version = -1
        self._state_under_way = False

    def watch(self, feeds: Iterable[Feed]) -> None:
        """Watch exactly these."""
        with self._lock:
            self._seen = {feed: self._seen.get(feed, 0) for feed in feeds}

    def take(self) -> list[Newest]:
        """Return what may be sent now, and count it as under way."""
        with self._lock:
            found: list[Newest] = []
            for feed in list(self._seen):
                if self._has_left or (newest := self._unseen(feed)) is None:
                    continue
                if not self._is_in_window(len(newest.value)):
                    break  # not even a smaller one, or a large one would never have its turn
                if not self._hold(newest):
                    return found
                found.append(newest)
            self._room.leave_line(self)
            return found

    def _unseen(self, feed: Feed) -> Newest | None:
        newest = None if feed in self._under_way else self._feeds.newest(feed)
        return newest if newest and newest.serial > self._seen[feed] else None

    def _is_in_window(self, size: int) -> bool:
        under_way = sum(held.size for held in self._under_way.values())
        return not under_way or under_way + size <= WINDOW_BYTES

    def _hold(self, newest: Newest) -> bool:
        size = len(newest.value)
        if not self._room.take(self, size, newcomer=self._is_newcomer):
            return False
        del self._seen[newest.feed]
        self._seen[newest.feed] = newest.serial
        self._under_way[newest.feed] = Held(size, self._is_newcomer, time.monotonic())
        return True

    def done(self, feed: Feed) -> None:
        """Note that the viewer is done with the frame that it was sent."""
        with self._lock:
            self._is_newcomer = False
            self._release(feed)

    def _release(self, feed: Feed) -> None:
        if held := self._under_way.pop(feed, None):
            self._room.give_back(held.size, newcomer=held.newcomer)

    def leave(self) -> None:
        """Give everything back."""
        with self._lock:
            self._has_left = True
            self._room.leave_line(self)
            for feed in list(self._under_way):
                self._release(feed)

    def holds_for(self) -> float:
        """Return for how long it has held the oldest frame that is under way, in seconds."""
        with self._lock:
            now = time.monotonic()
            return max((now - held.since for held in self._under_way.values()), default=0.0)

    def take_state(self, version: int) -> bool:
        """Return whether the state of that version is to be sent now, and count it as under way."""
        with self._lock:
            if self._state_under_way or self._state_version == version:
                return False
            self._state_under_way = True
            self._state_version = version
            return True

    def state_done(self) -> None:
        """Note that the viewer has read the state."""
        with self._lock:
            self._state_under_way = False


class Viewers:
    """All viewers; ``send_frame``, ``send_state`` and ``drop`` must not block."""

    def __init__(
        self,
        feeds: Feeds,
        version: Callable[[], int],
        room_bytes: int = ROOM_BYTES,
        stall_s: float = STALL_S,
    ) -> None:
        self._feeds = feeds
        self._stall_s = stall_s
        self._room: Room[Viewer] = Room(room_bytes)
        self._version = version
        self._viewers: dict[str, Viewer] = {}
        self._lock = threading.Lock()
        self.send_frame: SendFrame = _unset
        self.send_state: SendState = _unset
        self.drop: Drop = _unset

    def __len__(self) -> int:
        return len(self._viewers)

    def add(self, who: str) -> bool:
        """Let one more look; return whether there was room."""
        with self._lock:
            if len(self._viewers) >= MAX_VIEWERS:
                return False
            self._viewers[who] = Viewer(self._feeds, self._room)
        return True

    def remove(self, who: str) -> None:
        """Forget one who left."""
        with self._lock:
            viewer = self._viewers.pop(who, None)
        if viewer:
            viewer.leave()
            self._serve_waiting()

    def watch(self, who: str, feeds: Iterable[Feed]) -> None:
        """Show exactly these feeds to a viewer."""
        if viewer := self._viewers.get(who):
            viewer.watch(feeds)
            self._serve_state(who, viewer)
            self._serve(who, viewer)

    def changed(self) -> None:
        """Send what is new to those who are ready for it."""
        self._serve_waiting()
        for who, viewer in self._all():
            self._serve_state(who, viewer)
            self._serve(who, viewer)

    def relieve(self) -> None:
        """Drop those who stall if others wait for room; to be called now and then."""
        if self._room.waiting():
            for who in [who for who, viewer in self._all() if viewer.holds_for() > self._stall_s]:
                self.drop(who)
            self._serve_waiting()

    def _all(self) -> list[tuple[str, Viewer]]:
        with self._lock:
            return list(self._viewers.items())

    def _serve_waiting(self) -> None:
        """Serve those who wait for room, the longest first."""
        if waiting := self._room.waiting():
            names = {viewer: who for who, viewer in self._all()}
            for viewer in waiting:
                if viewer in names:
                    self._serve(names[viewer], viewer)

    def _serve(self, who: str, viewer: Viewer) -> None:
        for newest in viewer.take():
            self.send_frame(who, newest, self._when_done(who, viewer, newest.feed))

    def _when_done(self, who: str, viewer: Viewer, feed: Feed) -> Done:
        def done(*_: object) -> None:
            viewer.done(feed)
            self._serve_waiting()
            self._serve(who, viewer)

        return done

    def _serve_state(self, who: str, viewer: Viewer) -> None:
        def done(*_: object) -> None:
            viewer.state_done()
            self._serve_state(who, viewer)

        if viewer.take_state(self._version()):
            self.send_state(who, done)


def _unset(*_: Any) -> None:
    raise AssertionError("viewers are served once the web server is there")
