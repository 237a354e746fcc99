"""Reads the bus for all viewers at once: finds the topics that carry frames, and follows them."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from feeds import Feeds

from imagebus import codec
from imagebus.bus import Bus
from imagebus.errors import BrokerAwayError, BusError
from imagebus.log import warn
from imagebus.record import Record
from imagebus.topics import OUTCOMES, SERVICES, dead_letters_of, meta_of

LOOK_EVERY_S = 1.0
LOOK_AGAIN_AT_MOST_S = 12.0
"""A topic whose newest record is no frame is asked ever more seldom, down to this."""
READ_S = 0.2
NEWS_EVERY_S = 0.2
"""However fast sources come and go, viewers are told of it no more often."""
NEVER_FRAMES = {OUTCOMES, SERVICES}
BESIDE_FRAMES = (meta_of(""), dead_letters_of(""))
"""How the names of topics end that stand beside those with frames, and have none to show."""


@dataclass(frozen=True, slots=True)
class BusState:
    """How the bus is, in one word: ``connecting``, ``up``, ``away`` or ``refused``; and since when."""

    word: str
    since: float
    problem: str = ""


class Watcher:
    """Two threads: one looks for topics, one reads them. Both outlive any outage of the broker.

    Args:
        feeds: takes every record.
        changed: called after every change of the feeds or of the state; must not block.
        quiet: do not say how the bus is.

    Attributes:
        state: how the bus is.
        topics: how many there are that may carry frames, whatever they do carry.
        version: another number after every change of the state or of the list of feeds.
        failed: set when a thread ended by a fault of this program.
    """

    def __init__(self, bus: Bus, feeds: Feeds, changed: Callable[[], None], *, quiet: bool = False) -> None:
        self._bus = bus
        self._tail = bus.tail()
        self._feeds = feeds
        self._changed = changed
        self._quiet = quiet
        self._stopping = threading.Event()
        self._look_now = threading.Event()
        self._wanted: set[tuple[str, int]] = set()
        self._not_frames: dict[str, tuple[float, float]] = {}  # when to ask again, and how long that was
        self._frames: set[str] = set()
        self._news = itertools.count(1)
        self._told = (0, 0.0)  # the version of the feeds that viewers were told of, and when
        self.version = 0
        self.state = BusState("connecting", time.monotonic())
        self.topics = 0
        self.failed = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=work.__name__, daemon=True)
            for work in (self._look, self._read)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 0.5) -> None:
        """End both threads; one that waits for a dead broker is left behind."""
        self._stopping.set()
        self._look_now.set()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            self._tail.close()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Never let a thread die unheard: the program ends with 1 then, and is started again."""
        try:
            work()
        finally:
            if not self._stopping.is_set():
                self.failed.set()

    def _look(self) -> None:
        while not self._stopping.is_set():
            try:
                self._find_topics()
                self._tell("up")
            except BusError as error:
                self._tell("away" if isinstance(error, BrokerAwayError) else "refused", str(error))
            self._look_now.wait(LOOK_EVERY_S)
            self._look_now.clear()

    def _find_topics(self) -> None:
        partitions = {topic: n for topic, n in self._bus.topics().items() if may_carry_frames(topic)}
        self._frames &= partitions.keys()
        for topic in partitions:
            if topic not in self._frames and self._not_frames.get(topic, (0.0, 0.0))[0] <= time.monotonic():
                self._ask(topic)
        self._wanted = {(topic, p) for topic in self._frames for p in range(partitions[topic])}
        self._feeds.keep_only(self._frames)
        if self.topics != len(partitions):
            self.topics = len(partitions)
            self.version = next(self._news)

    def _ask(self, topic: str) -> None:
        """Ask what the topic's newest record is; an empty topic is asked again at the next look."""
        try:
            newest = self._tail.newest(topic)
        except BrokerAwayError:
            raise
        except BusError as error:  # one topic that may not be read, or is just being deleted
            self._postpone(topic, f"{topic} is not shown: {error}")
            return
        if newest is None:
            return
        if carries_frame(newest):
            self._frames.add(topic)
            self._not_frames.pop(topic, None)
            self._feeds.put(newest)  # to be seen before the other thread has begun to follow the topic
        else:
            self._postpone(topic)

    def _postpone(self, topic: str, why: str = "") -> None:
        """Ask the topic again later, and each time still later; say why at the second time."""
        pause_s = min(2 * self._not_frames.get(topic, (0.0, 0.5))[1], LOOK_AGAIN_AT_MOST_S)
        if why and pause_s == 2.0:  # a topic that is just being made has no leader yet at the first
            warn(why)
        self._not_frames[topic] = (time.monotonic() + pause_s, pause_s)

    def _read(self) -> None:
        followed: set[tuple[str, int]] = set()
        was_away = False
        while not self._stopping.is_set():
            try:
                if (wanted := self._wanted) != followed:
                    self._tail.follow(wanted)
                    followed = wanted
                records = self._tail.read(READ_S)
            except BusError as error:
                self._tell("away" if isinstance(error, BrokerAwayError) else "refused", str(error))
                self._stopping.wait(1.0)
                continue
            if self._tail.away and not was_away:
                self._tell("away", f"the broker at {self._bus.kafka} does not answer")
            was_away = self._tail.away
            self._show(records)

    def _show(self, records: list[Record]) -> None:
        for record in records:
            self._feeds.put(record)
        told, at = self._told
        news = self._feeds.version != told and time.monotonic() - at >= NEWS_EVERY_S
        if news:
            self._told = (self._feeds.version, time.monotonic())
            self.version = next(self._news)
        if records or news:
            self._changed()

    def _tell(self, word: str, problem: str = "") -> None:
        if (word, problem) != (self.state.word, self.state.problem):
            if word != self.state.word:
                self.state = BusState(word, time.monotonic(), problem)
                if not self._quiet:
                    warn(f"bus {self._bus.kafka}: {word}" + (f" ({problem})" if problem else ""))
            else:
                self.state = BusState(word, self.state.since, problem)
            self.version = next(self._news)
            self._changed()


def may_carry_frames(topic: str) -> bool:
    """Return whether it is worth asking what the topic's records are."""
    return topic not in NEVER_FRAMES and not topic.endswith(BESIDE_FRAMES)


def carries_frame(record: Record) -> bool:
    """Return whether the record says of itself that it is a frame that this page can show."""
    return record.header("content-type") == codec.CONTENT_TYPE
