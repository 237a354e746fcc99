"""Announces a running service each two seconds, from a thread of its own that nobody waits for."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable

from imagebus.announce import CONTENT_TYPE, EVERY_S, Service, encode
from imagebus.connection import Connection, Publishing
from imagebus.errors import BrokerAwayError, ImagebusError, TopicGoneError, UnfinishedError
from imagebus.log import warn
from imagebus.record import Outgoing
from imagebus.topics import SERVICES, SERVICES_SETTINGS

LAST_WORD_S = 0.8
ANSWER_S = 0.3
AGAIN_S = 30.0
"""So long after a refusal it is tried again."""
MOST_INSTANCES = 64


class Announcer:
    """Writes what ``look`` returns to ``imagebus.services``, for as long as a ``with`` block takes.

    One record at a time: while the broker is away, nothing piles up. Where the block ends in order, a
    tombstone says so; a bounded run that was told to stop does.
    """

    def __init__(self, bus: Connection, look: Callable[[], Service]) -> None:
        self._bus = bus
        self._look = look
        self._stopping = threading.Event()
        self._clean = False
        self._has_topic = False
        self._error: Exception | None = None
        self._told = ""
        self._instance = Instance(look().place)
        self._thread = threading.Thread(target=self._run, name="announce", daemon=True)

    def __enter__(self) -> Announcer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._clean = kind is None or issubclass(kind, UnfinishedError)
        self._stopping.set()
        self._thread.join(LAST_WORD_S + ANSWER_S)  # it may wait for an answer that does not come
        self._instance.let_go()

    def _run(self) -> None:
        publisher = self._bus.publisher()
        while not self._stopping.is_set():
            began = time.monotonic()
            pause_s = self._turn(publisher)
            self._stopping.wait(max(0.0, began + pause_s - time.monotonic()))
        if self._clean and self._has_topic and not self._bus.away:
            self._send(publisher, None)
            publisher.flush(LAST_WORD_S)

    def _turn(self, publisher: Publishing) -> float:
        """Say how things are, if what was said before has arrived; return how long to wait then."""
        try:
            if not self._has_topic:
                self._bus.ensure_topic(SERVICES, SERVICES_SETTINGS, 1)
                self._has_topic = True
            publisher.poll(0.0)
            if not publisher.pending:
                self._send(publisher, encode(self._look()))
                publisher.poll(ANSWER_S)
            if self._error is None:
                return EVERY_S
            error, self._error = self._error, None
            raise error
        except (BrokerAwayError, TopicGoneError):
            self._has_topic = False
            return EVERY_S
        except ImagebusError as error:
            self._tell(f"this service cannot be announced: {error}")
            return AGAIN_S

    def _send(self, publisher: Publishing, value: bytes | None) -> None:
        headers = (("content-type", CONTENT_TYPE.encode()),)
        now_ms = time.time_ns() // 1_000_000
        record = Outgoing(SERVICES, self._instance.key, value, now_ms, headers)
        publisher.send(record, self._acknowledged)

    def _acknowledged(self, error: Exception | None) -> None:
        self._error = error

    def _tell(self, problem: str) -> None:
        if problem != self._told:
            warn(problem)
        self._told = problem


class Instance:
    """The first free number among services of the same place on this machine, kept while it runs.

    Two that somebody started alike have two keys; one that is started again has the key that it had.

    Attributes:
        key: of its records.
    """

    def __init__(self, place: str) -> None:
        self._socket: socket.socket | None = None
        self.key = place.encode()
        for number in range(MOST_INSTANCES):
            key = f"{place}/{number}" if number else place
            if self._take(key):
                self.key = key.encode()
                return

    def _take(self, key: str) -> bool:
        name = hashlib.sha256(key.encode()).hexdigest()
        try:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.bind(f"\0imagebus.{name}")  # the kernel frees it, however the process ends
        except OSError:
            self.let_go()
            return False
        return True

    def let_go(self) -> None:
        """Let another have the number."""
        if self._socket:
            self._socket.close()
        self._socket = None
