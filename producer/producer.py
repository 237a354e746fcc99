"""Put one camera on the bus: a webcam, a file, or a stream by its address."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import AbstractContextManager
from types import FrameType
from typing import Annotated, ClassVar

import title
from address import SCHEME, Address, parse
from pydantic import AfterValidator
from report import Report
from watch import Watch
from wire import Ended, Lost, Message, Opened, Picture, Request

from imagebus import topics
from imagebus.bus import Bus
from imagebus.camera import CameraPublisher
from imagebus.errors import ConfigurationError, FrameError
from imagebus.log import warn
from imagebus.mask import mask
from imagebus.observed import camera_observed
from imagebus.options import BusOptions, Field, Name, Positional
from imagebus.program import run
from imagebus.status import CameraStatus
from imagebus.topics import Topic

KIND = "producer"
LAST_WORD_S = 60.0
"""How long the end of a file waits for the broker's acknowledgement."""
STOP_S = 3.0


class ProducerOptions(BusOptions):
    """The options of the producer."""

    shortcuts: ClassVar[dict[str, str]] = {"frame": "f", "name": "n", "topic": "t"}

    address: Positional[str] = Field(
        "", description="WEBCAM, a device (/dev/video1), a file, or an address (rtsp, rtmp, http ...)"
    )
    frame: int = Field(
        30, ge=1, le=1_000_000, description="publish 1 in every so many pictures fetched, the first always"
    )
    name: Name = Field("source", description="name of the camera")
    topic: Annotated[Topic, AfterValidator(topics.for_frames)] = Field(
        topics.SOURCE, description="topic to publish on"
    )
    loop: bool = Field(False, description="begin a file again at its end")
    max_fps: float | None = Field(
        None, ge=0.001, le=1000, allow_inf_nan=False, description="publish at most so many pictures a second"
    )
    speed: float = Field(
        1.0, ge=0.01, le=1000, allow_inf_nan=False, description="play a file so many times as fast"
    )
    quality: int = Field(85, ge=1, le=100, description="of the JPEGs; a camera's own JPEGs keep theirs")
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="serve Prometheus metrics here; 0 takes a free port"
    )
    metrics_host: str = Field("127.0.0.1", description="address to serve metrics on")


class Stopped(BaseException):
    """A signal asked to stop; raised wherever the program waits."""

    def __init__(self, signum: int) -> None:
        self.exit_code = 130 if signum == signal.SIGINT else 0


class Producer:
    """Takes the pictures of one source and publishes them."""

    def __init__(self, options: ProducerOptions, address: Address) -> None:
        self._options = options
        self._address = address
        self._bus = Bus(options.kafka, options.kafka_config)
        self._report = Report(options.name, address.shown, options.quiet)
        self._status = CameraStatus()
        self._publisher: CameraPublisher | None = None
        self._watch = Watch(_request(options, address))

    def run(self) -> int:
        """Publish until a file ends or a signal comes; return the exit status."""
        try:
            with self._observed():
                return self._follow_and_finish()
        except Stopped as stopped:  # before there was anything to finish, or after
            return stopped.exit_code

    def _observed(self) -> AbstractContextManager[None]:
        options = self._options
        return camera_observed(
            options,
            self._status,
            self._bus,
            kind=KIND,
            name=options.name,
            topic=options.topic,
            metrics_host=options.metrics_host,
            metrics_port=options.metrics_port,
        )

    def _follow_and_finish(self) -> int:
        try:
            status = self._follow()
            return max(status, self._finish(LAST_WORD_S))
        except Stopped as stopped:
            self._watch.close()
            return max(stopped.exit_code, self._finish(STOP_S))
        finally:
            self._watch.close()

    def _follow(self) -> int:
        if self._address.live:
            self._connect(live=True)
        for message in self._watch.messages():
            self._take_stock(message)
            if isinstance(message, Ended):
                self._report.ended(message)
                return message.exit_code
            if isinstance(message, Opened):
                self._connect(live=not message.recorded)
            if isinstance(message, Picture):
                self._publish(message)
            else:
                self._report.tell(message)
        return 0

    def _take_stock(self, message: Message | None) -> None:
        self._status.stepped_ns = time.monotonic_ns()
        if isinstance(message, Opened | Lost | Ended):
            self._status.ready = isinstance(message, Opened)

    def _connect(self, *, live: bool) -> None:
        """Begin an epoch; a source that comes back goes on in its own."""
        self._publisher = self._publisher or CameraPublisher(
            self._bus,
            self._options.topic,
            self._options.name,
            kind=KIND,
            live=live,
            on_sent=self._report.sent,
            status=self._status,
        )

    def _publish(self, picture: Picture) -> None:
        assert self._publisher, "a source is opened before it has pictures"
        try:
            self._publisher.publish(picture.jpeg, picture.captured_ns)
            self._report.dropped(self._publisher.dropped)
        except FrameError as error:
            self._report.refused(error)

    def _finish(self, timeout_s: float) -> int:
        """Wait until everything is acknowledged; return 1 if it is not in that time."""
        publisher, self._publisher = self._publisher, None
        missing = publisher.close(timeout_s) if publisher else 0
        if missing:
            warn(f"the broker at {self._options.kafka} did not acknowledge the last {missing} frames")
        return 1 if missing else 0


def _request(options: ProducerOptions, address: Address) -> Request:
    return Request(
        url=os.fsencode(address.url),
        live=address.live,
        format=address.format,
        options=dict(address.options),
        open_s=address.open_s,
        read_s=address.read_s,
        every=options.frame,
        max_fps=options.max_fps,
        speed=options.speed,
        loop=options.loop,
        quality=options.quality,
        parent=os.getpid(),
    )


def _typed() -> tuple[list[str], dict[str, str]]:
    """Return the arguments without secrets, and the way back; hide the secrets from ``ps`` as well."""
    typed = sys.argv[1:]
    shown = [mask(word) if SCHEME.match(word) else word for word in typed]
    title.show_instead(typed, shown)
    return shown, dict(zip(shown, typed, strict=True))


def _stop(signum: int, _frame: FrameType | None) -> None:
    """Stop in order; a second signal ends the program at once."""
    for known in (signal.SIGTERM, signal.SIGINT):
        signal.signal(known, signal.SIG_DFL)
    raise Stopped(signum)


def main() -> int:
    """Run the program."""
    words, way_back = _typed()
    options = ProducerOptions.parse(words, "producer.py", __doc__)
    address = parse(way_back.get(options.address, options.address))
    if address.live and (options.loop or options.speed != 1):
        flag = "--loop" if options.loop else "--speed"
        raise ConfigurationError(f"only a file can be played so, not {address.shown}", flag)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, _stop)
    return Producer(options, address).run()


if __name__ == "__main__":
    run(main)
