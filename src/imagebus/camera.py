"""A camera on the bus: pictures in, frames out, in order, numbered and stamped."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from imagebus import jpeg, trace
from imagebus.capture_clock import CaptureClock
from imagebus.connection import Acknowledged, Connection, Publishing
from imagebus.errors import BrokerAwayError, FrameError, TopicGoneError
from imagebus.frame import Frame, Hop
from imagebus.log import warn
from imagebus.outgoing import frame_records
from imagebus.record import Outgoing
from imagebus.status import CameraStatus
from imagebus.topics import META_SETTINGS, SETTINGS, meta_of
from imagebus.version import VERSION

IN_FLIGHT = 16
Picture = tuple[bytes, int]
Sent = Callable[[Frame], None]


class CameraPublisher:
    """Publishes the pictures of one camera from a thread of its own.

    While the broker is slow or away, a live camera keeps the newest pictures and drops its oldest; anything
    else, such as a file, waits in ``publish``. Both are counted.

    Args:
        bus: where to.
        topic: is made where it is missing.
        source: the camera's name, the key of its records.
        kind: the program, as the trail names it.
        live: whether pictures come whether or not they are taken.
        queue_pictures: how many may wait.
        on_sent: called with each frame as it goes out, in the publishing thread.
        clock: stamps and numbers the pictures; one for this camera alone.
        partitions: of topics made here; the broker's own number where -1.
        status: where to count; others may look at it.
    """

    def __init__(
        self,
        bus: Connection,
        topic: str,
        source: str,
        *,
        kind: str = "producer",
        live: bool = True,
        queue_pictures: int = 32,
        on_sent: Sent | None = None,
        clock: CaptureClock | None = None,
        partitions: int = -1,
        status: CameraStatus | None = None,
    ) -> None:
        self._bus = bus
        self._topic = topic
        self._partitions = partitions
        self._source = source
        self._kind = kind
        self._live = live
        self._on_sent = on_sent
        self._limit = queue_pictures
        self._clock = clock or CaptureClock()
        self._spans = trace.spans(kind)
        self._waiting: deque[Picture] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._give_up_at = float("inf")
        self._told_meta = False
        self._failure: Exception | None = None
        self._to_resend: deque[tuple[Outgoing, Acknowledged]] = deque()
        self._in_flight = 0
        self.status = status or CameraStatus()
        self._thread = threading.Thread(target=self._run, name=f"publish {source}", daemon=True)
        self._thread.start()

    def publish(self, picture: bytes, captured_monotonic_ns: int | None = None) -> None:
        """Take a JPEG in; it is turned upright and stripped of metadata.

        Args:
            picture: a JPEG.
            captured_monotonic_ns: when it was taken, by ``time.monotonic_ns``; now where not given.

        Raises:
            FrameError: no acceptable JPEG; nothing is published, the next picture may be good.
            BusError: the broker refuses for good.
            ConfigurationError: it refuses the topic's name.
        """
        upright = jpeg.upright(picture)
        taken_ns = time.monotonic_ns() if captured_monotonic_ns is None else captured_monotonic_ns
        with self._changed:
            if self._live and len(self._waiting) >= self._limit:
                self._waiting.popleft()
                self.status.dropped += 1
            while len(self._waiting) >= self._limit and not self._failure and not self._closing:
                self.status.stepped_ns = time.monotonic_ns()  # to wait for the broker is no fault
                self._changed.wait(0.2)
            if self._failure:
                raise self._failure
            self._waiting.append((upright, taken_ns))
            self._changed.notify_all()

    @property
    def published(self) -> int:
        """Return how many frames the broker acknowledged."""
        return self.status.published

    @property
    def dropped(self) -> int:
        """Return how many pictures were dropped because the queue was full."""
        return self.status.dropped

    @property
    def refused(self) -> int:
        """Return how many frames the broker would not take."""
        return self.status.refused

    def close(self, timeout_s: float = 5.0) -> int:
        """Send what waits, wait for the broker's word, and return how many pictures it did not take.

        Raises:
            BusError: the broker refused for good.
        """
        with self._changed:
            self._closing = True
            self._give_up_at = time.monotonic() + timeout_s
            self._changed.notify_all()
        self._thread.join(timeout_s + 1)  # it may be waiting for an answer that does not come
        if self._failure:
            raise self._failure
        return len(self._waiting) + self._in_flight

    def _run(self) -> None:
        try:
            publisher = self._bus.publisher()
            if self._make_topics():
                self._send_all(publisher)
                publisher.flush(max(0.0, min(self._give_up_at - time.monotonic(), 1e6)))
        except Exception as error:  # noqa: BLE001  raised again where pictures come in: no thread dies unnoticed
            with self._changed:
                self._failure = self._failure or error
                self._changed.notify_all()

    @property
    def _over(self) -> bool:
        return self._closing and time.monotonic() >= self._give_up_at

    def _make_topics(self, *, again: bool = False) -> bool:
        told = False
        while not self._over:
            try:
                missing = {self._topic, meta_of(self._topic)} - self._bus.topics().keys()
                for topic in sorted(missing) if again else ():
                    warn(f"topic {topic} is gone; making it anew")
                self._bus.ensure_topic(self._topic, SETTINGS, self._partitions)
                self._bus.ensure_topic(meta_of(self._topic), META_SETTINGS, self._partitions)
            except BrokerAwayError as error:
                if not told:
                    warn(f"{error}; waiting for it")
                told = self.status.away = True
                time.sleep(0.3)
            else:
                return True
        return False

    def _send_all(self, publisher: Publishing) -> None:
        while not self._over and not self._failure:
            publisher.poll(0.0)
            self.status.away, self.status.waiting = self._bus.away, len(self._waiting)
            if self._to_resend:
                self._send_again(publisher)
            if publisher.pending >= IN_FLIGHT:
                publisher.poll(0.05)
                continue
            with self._changed:
                if not self._waiting:
                    if self._closing and not publisher.pending:
                        return
                    # Acknowledgements are served meanwhile, so not for long while some are missing.
                    self._changed.wait(0.02 if publisher.pending else 0.5)
                    continue
                picture = self._waiting.popleft()
                self._changed.notify_all()
            self._send(publisher, picture)

    def _send(self, publisher: Publishing, picture: Picture) -> None:
        image, taken_ns = picture
        frame = self._frame(image, taken_ns)
        try:
            record, meta = frame_records(frame, self._topic, trace.begin())
        except FrameError as error:
            self._refuse(error)
            return
        self._in_flight += 1
        self._hand_over(publisher, record, partial(self._count, record))
        self._hand_over(publisher, meta, self._check)
        self._spans.hop(frame, record)
        if self._on_sent:
            self._on_sent(frame)

    def _send_again(self, publisher: Publishing) -> None:
        """Make the topics that are gone anew and send what did not reach them, before what is newer."""
        if self._make_topics(again=True):
            for _ in range(len(self._to_resend)):
                self._hand_over(publisher, *self._to_resend.popleft())

    def _hand_over(self, publisher: Publishing, record: Outgoing, acknowledged: Acknowledged) -> None:
        def reported(error: Exception | None) -> None:
            if isinstance(error, TopicGoneError):
                self._to_resend.append((record, acknowledged))
            else:
                acknowledged(error)

        publisher.send(record, reported)

    def _frame(self, image: bytes, taken_ns: int) -> Frame:
        epoch, sequence, captured_ns = self._clock.stamp(taken_ns)
        header = jpeg.read_header(image)
        hop = Hop(self._source, self._kind, VERSION, self._topic, captured_ns, time.time_ns())
        return Frame(
            source=self._source,
            epoch=epoch,
            sequence=sequence,
            captured_ns=captured_ns,
            width=header.width,
            height=header.height,
            image=image,
            trail=(hop,),
        )

    def _count(self, record: Outgoing, error: Exception | None) -> None:
        self._in_flight -= 1
        if error is None:
            self.status.published += 1
            self.status.published_bytes += record.size
            self.status.newest_ms = record.timestamp_ms
        elif isinstance(error, FrameError):
            self._refuse(error)
        else:
            self._check(error)

    def _refuse(self, error: FrameError) -> None:
        self.status.refused += 1
        warn(f"{self._source}: a frame was not published: {error}")

    def _check(self, error: Exception | None) -> None:
        if isinstance(error, FrameError):
            if not self._told_meta:
                warn(f"{self._source}: frames are published, but not in {meta_of(self._topic)}: {error}")
            self._told_meta = True
        elif error is not None:
            self._failure = error
