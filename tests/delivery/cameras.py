"""Live cameras of a test: each publishes at its own pace from a thread of its own, until all are stopped."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
import numpy as np

from imagebus import jpeg
from imagebus.bus import Bus
from imagebus.camera import CameraPublisher
from imagebus.frame import Frame
from tests.broker import picture


def noise(width: int, height: int, seed: int = 0) -> bytes:
    """Return a JPEG that is as large as such a picture gets."""
    dots = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    return jpeg.encode(dots)


class Cameras:
    """Some cameras on one topic.

    Attributes:
        sent: the frames of each camera in the order in which they went out, without their pictures.
        shot: how many pictures each took.
        publishers: one a camera.
    """

    def __init__(
        self,
        kafka: str,
        topic: str,
        sources: Sequence[str],
        fps: float,
        pictures: Sequence[bytes] = (),
        queue_pictures: int = 32,
    ) -> None:
        self._every_s = 1 / fps
        self._pictures = pictures or [picture(64, 48, shade) for shade in range(0, 250, 10)]
        self._over = threading.Event()
        self.sent: dict[str, list[Frame]] = {source: [] for source in sources}
        bus = Bus(kafka)
        self.publishers = {
            source: CameraPublisher(bus, topic, source, on_sent=self._note, queue_pictures=queue_pictures)
            for source in sources
        }
        self.shot = dict.fromkeys(sources, 0)
        self._threads = [threading.Thread(target=self._shoot, args=(source,)) for source in sources]
        for thread in self._threads:
            thread.start()

    def _note(self, frame: Frame) -> None:
        self.sent[frame.source].append(msgspec.structs.replace(frame, image=b""))  # pictures take memory

    def _shoot(self, source: str) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            self.publishers[source].publish(self._pictures[self.shot[source] % len(self._pictures)])
            self.shot[source] += 1
            due += self._every_s

    @property
    def published(self) -> int:
        """Return how many frames of all cameras are safe."""
        return sum(publisher.published for publisher in self.publishers.values())

    @property
    def dropped(self) -> int:
        """Return how many pictures found the queues full."""
        return sum(publisher.dropped for publisher in self.publishers.values())

    @property
    def refused(self) -> int:
        """Return how many frames the broker did not take."""
        return sum(publisher.refused for publisher in self.publishers.values())

    def stop(self) -> int:
        """Stop all; return how many pictures never became safe."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        return sum(publisher.close(30) for publisher in self.publishers.values())


@contextmanager
def cameras(
    kafka: str,
    topic: str,
    sources: Sequence[str],
    fps: float,
    pictures: Sequence[bytes] = (),
    queue_pictures: int = 32,
) -> Iterator[Cameras]:
    """Let cameras run for as long as a block takes, if it does not stop them itself."""
    shooting = Cameras(kafka, topic, sources, fps, pictures, queue_pictures)
    try:
        yield shooting
    finally:
        shooting.stop()


def main(kafka: str, topic: str, names: str, fps: str) -> None:
    """Be a program of cameras (names with commas between): a line of JSON with their numbers now and then."""
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    pictures = [noise(320, 240, seed) for seed in range(4)]
    shooting = Cameras(kafka, topic, names.split(","), float(fps), pictures)
    while not over.wait(0.5):
        say(shooting)
    missing = shooting.stop()
    say(shooting)
    raise SystemExit(1 if missing else 0)


def say(shooting: Cameras) -> None:
    numbers = {
        source: {
            "epoch": frames[-1].epoch if frames else "",
            "shot": shooting.shot[source],
            "sent": len(frames),
            "published": shooting.publishers[source].published,
            "dropped": shooting.publishers[source].dropped,
            "refused": shooting.publishers[source].refused,
        }
        for source, frames in shooting.sent.items()
    }
    print(json.dumps(numbers), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
