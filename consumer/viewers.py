"""Who is looking: every viewer gets the newest picture, and the next one when it is done with the last.

Nothing is ever sent that was not asked for: one frame a feed and one word on the state may be under way to a
viewer. A tab that stalls acknowledges nothing, so it is sent nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from feeds import Feed, Feeds, Newest

MAX_VIEWERS = 200
WINDOW_BYTES = 1024 * 1024
"""As much may be under way to one viewer; a single larger frame goes alone."""

Done = Callable[..., None]
SendFrame = Callable[[str, Newest, Done], None]
SendState = Callable[[str, Done], None]


class Viewer:
    """One viewer: what it watches, what it was sent, and what is under way to it."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds
        self._lock = threading.Lock()
        self._seen: dict[Feed, int] = {}  # watched feeds, the longest unsent first: the serial last sent
        self._under_way: dict[Feed, int] = {}
        self._state_version = -1
        self._state_under_way = False

    def watch(self, feeds: Iterable[Feed]) -> None:
        """Watch exactly these."""
        with self._lock:
            self._seen = {feed: self._seen.get(feed, 0) for feed in feeds}

    def take(self) -> list[Newest]:
        """Return what may be sent now, and count it as under way."""
        with self._lock:
            found = []
            for feed in list(self._seen):
                if (newest := self._unseen(feed)) is None:
                    continue
                under_way = sum(self._under_way.values())
                if under_way and under_way + len(newest.value) > WINDOW_BYTES:
                    break  # not even a smaller one, or a large one would never have its turn
                del self._seen[feed]
                self._seen[feed] = newest.serial
                self._under_way[feed] = len(newest.value)
                found.append(newest)
            return found

    def _unseen(self, feed: Feed) -> Newest | None:
        newest = None if feed in self._under_way else self._feeds.newest(feed)
        return newest if newest and newest.serial > self._seen[feed] else None

    def done(self, feed: Feed) -> None:
        """Note that the viewer is done with the frame that it was sent."""
        with self._lock:
            self._under_way.pop(feed, None)

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
    """All viewers; ``send_frame`` and ``send_state`` must not block."""

    def __init__(self, feeds: Feeds, version: Callable[[], int]) -> None:
        self._feeds = feeds
        self._version = version
        self._viewers: dict[str, Viewer] = {}
        self._lock = threading.Lock()
        self.send_frame: SendFrame = _unset
        self.send_state: SendState = _unset

    def __len__(self) -> int:
        return len(self._viewers)

    def add(self, who: str) -> bool:
        """Let one more look; return whether there was room."""
        with self._lock:
            if len(self._viewers) >= MAX_VIEWERS:
                return False
            self._viewers[who] = Viewer(self._feeds)
        return True

    def remove(self, who: str) -> None:
        """Forget one who left."""
        with self._lock:
            self._viewers.pop(who, None)

    def watch(self, who: str, feeds: Iterable[Feed]) -> None:
        """Show exactly these feeds to a viewer."""
        if viewer := self._viewers.get(who):
            viewer.watch(feeds)
            self._serve_state(who, viewer)
            self._serve(who, viewer)

    def changed(self) -> None:
        """Send what is new to those who are ready for it."""
        with self._lock:
            viewers = list(self._viewers.items())
        for who, viewer in viewers:
            self._serve_state(who, viewer)
            self._serve(who, viewer)

    def _serve(self, who: str, viewer: Viewer) -> None:
        for newest in viewer.take():
            self.send_frame(who, newest, self._when_done(who, viewer, newest.feed))

    def _when_done(self, who: str, viewer: Viewer, feed: Feed) -> Done:
        def done(*_: object) -> None:
            viewer.done(feed)
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
