"""The same roles on imagebus: its camera, its filters, its publisher and its reader.

python -m bench.on_bus source|cameras|relay|boxes|receiver|produce|consume --kafka ADDRESS ...
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bench.bare import BLACK_BOXES, fixed_boxes, parser
from bench.phases import run_phases, say_rate
from bench.pictures import read_pictures
from imagebus import Detection, Field, Filter, FilterOptions, Frame, jpeg, start, trace
from imagebus.bus import Bus
from imagebus.camera import CameraPublisher
from imagebus.connection import Assigned, Position
from imagebus.outgoing import frame_records
from imagebus.record import Outgoing

LABELS = ("person", "car")


def source(options: argparse.Namespace) -> None:
    """Publish JPEGs in phases, as a file is published: nothing is dropped."""
    pictures = read_pictures(options.pictures)
    camera = CameraPublisher(Bus(options.kafka), options.topic, "camera", live=False)
    run_phases(options, lambda number: camera.publish(pictures[number % len(pictures)]))
    missing = camera.close(30)
    assert not missing, f"{missing} frames were not acknowledged"


def cameras(options: argparse.Namespace) -> None:
    """Publish JPEGs of many cameras in turn, by one client."""
    pictures = read_pictures(options.pictures)
    header = jpeg.read_header(pictures[0])
    publisher = Bus(options.kafka).publisher()

    def publish(number: int) -> None:
        frame = Frame(
            source=f"cam{number % options.cameras}",
            epoch="e1",
            sequence=number,
            captured_ns=time.time_ns(),
            width=header.width,
            height=header.height,
            image=pictures[number % len(pictures)],
        )
        for one in frame_records(frame, options.topic, trace.begin()):
            publisher.send(one, _check)

    run_phases(options, publish, idle=publisher.poll)
    assert publisher.flush(30) == 0


class Relay(Filter):
    """Pass frames on."""

    def process(self, frame: Frame) -> Frame:
        return frame


class Boxes(Filter):
    """Decode, and report ten boxes that are always the same."""

    def process(self, frame: Frame) -> Frame:
        height, width, _ = frame.pixels().shape
        boxes = fixed_boxes(width, height)
        found = [Detection(LABELS[number >= BLACK_BOXES], 0.9, box) for number, box in enumerate(boxes)]
        return frame.with_detections(found, searched=LABELS)


class Receiver(Filter):
    """Note when each frame came."""

    class Options(FilterOptions):
        log: Path = Field(description="file to write to")

    options: Options

    def start(self) -> None:
        self._log = self.options.log.open("w", buffering=1)

    def process(self, frame: Frame) -> None:
        self._log.write(f"{frame.sequence} {frame.captured_ns} {time.time_ns()}\n")

    def stop(self) -> None:
        self._log.close()


def produce(options: argparse.Namespace) -> None:
    """Send so many records of one size as fast as they go; the time until all are acknowledged counts."""
    value = options.value.read_bytes()
    publisher = Bus(options.kafka).publisher()
    publisher.poll(0.5)
    began, used = time.perf_counter(), time.process_time()
    for number in range(options.count):
        now_ms = time.time_ns() // 1_000_000
        publisher.send(Outgoing(options.topic, b"cam%d" % (number % 8), value, now_ms, ()), _check)
        publisher.poll(0)
    assert publisher.flush(60) == 0
    say_rate(began, used, options.count, len(value))


def _check(error: Exception | None) -> None:
    if error is not None:
        raise error


class Owner:
    """Takes partitions as they come."""

    def assigned(self, partitions: Iterable[Assigned]) -> None: ...

    def revoked(self, partitions: Iterable[int]) -> Mapping[int, Position]:
        return {}

    def lost(self, partitions: Iterable[int]) -> None: ...

    def passed(self, partition: int, offset: int) -> None: ...


def consume(options: argparse.Namespace) -> None:
    """Read so many records; the time from the first to the last counts."""
    bus = Bus(options.kafka)
    plan = start.Plan(start.EARLIEST)
    subscriber = bus.subscriber(options.topic, f"bench.{options.topic}", plan, Owner())
    count = 0
    began, used = time.perf_counter(), time.process_time()
    while count < options.count:
        for record in subscriber.read(100, 1.0):
            began = began if count else time.perf_counter()
            count += 1
            size = len(record.value or b"")
    say_rate(began, used, count, size)
    subscriber.close()


FILTERS: dict[str, type[Filter]] = {"relay": Relay, "boxes": Boxes, "receiver": Receiver}
ROLES: dict[str, Callable[[argparse.Namespace], None]] = {
    "source": source,
    "cameras": cameras,
    "produce": produce,
    "consume": consume,
}


def main() -> None:
    """Play a role."""
    role = sys.argv[1]
    if role in FILTERS:
        FILTERS[role].main(sys.argv[2:])
    ROLES[role](parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
