"""The loops that the others are compared with: confluent-kafka and msgpack, nothing of imagebus.

What a good programmer writes in an hour: safe producing, a flush and a commit for each batch.

    python -m bench.bare source|relay|boxes|redaction|receiver|produce|consume --kafka ADDRESS ...
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import simplejpeg
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from bench.phases import run_phases, say_rate

LARGE = 21 * 1024 * 1024
PRODUCING = {"acks": "all", "enable.idempotence": True, "linger.ms": 0, "message.max.bytes": LARGE}
CONSUMING = {
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
}
BATCH = 32
IN_FLIGHT = 32
FREE_BOXES = 10
BLACK_BOXES = 2
Map = dict[str, Any]
Work = Callable[[Map], Map]


class Stopped(BaseException):
    """A signal asked to stop."""


def _producer(kafka: str, **settings: object) -> Producer:
    return Producer({"bootstrap.servers": kafka, "log_level": 2, **PRODUCING, **settings})


def _consumer(kafka: str, topic: str, **settings: object) -> Consumer:
    group = {"bootstrap.servers": kafka, "log_level": 2, "group.id": f"bare.{topic}"}
    consumer = Consumer({**group, **CONSUMING, **settings})
    consumer.subscribe([topic])
    return consumer


def source(options: argparse.Namespace) -> None:
    """Publish JPEGs in phases."""
    producer = _producer(options.kafka)
    pictures = [path.read_bytes() for path in sorted(options.pictures.glob("*.jpg"))]
    height, width, _, _ = simplejpeg.decode_jpeg_header(pictures[0])

    def publish(number: int) -> None:
        frame = {
            "source": "camera",
            "sequence": number,
            "captured_ns": time.time_ns(),
            "width": width,
            "height": height,
            "image": pictures[number % len(pictures)],
            "detections": [],
        }
        _send(producer, options.topic, frame)
        while len(producer) >= IN_FLIGHT:
            producer.poll(0.05)

    run_phases(options, publish, idle=lambda: producer.poll(0))
    producer.flush()


def _send(producer: Producer, topic: str, frame: Map) -> None:
    stamp = frame["captured_ns"] // 1_000_000
    producer.produce(
        topic, msgpack.packb(frame), frame["source"].encode(), timestamp=stamp, on_delivery=_check
    )
    producer.poll(0)


def _check(error: Any, _message: Message) -> None:
    if error is not None:
        raise RuntimeError(f"not delivered: {error}")


def _batch(consumer: Consumer) -> list[Map]:
    """Return what is there, waiting for the first only."""
    frames: list[Map] = []
    while len(frames) < BATCH and (message := consumer.poll(0.0 if frames else 0.2)) is not None:
        assert message.error() is None, message.error()
        frames.append(msgpack.unpackb(message.value()))
    return frames


def relay(options: argparse.Namespace, work: Work = lambda frame: frame) -> None:
    """Read, work, write, flush, commit."""
    producer, consumer = _producer(options.kafka), _consumer(options.kafka, options.input)
    while True:
        if frames := _batch(consumer):
            for frame in frames:
                _send(producer, options.topic, work(frame))
            producer.flush()
            consumer.commit(asynchronous=True)


def find_boxes(frame: Map) -> Map:
    """Decode, and report ten boxes that are always the same."""
    height, width, _ = simplejpeg.decode_jpeg(frame["image"], "BGR").shape
    boxes = fixed_boxes(width, height)
    found = [
        {"label": "person" if number < BLACK_BOXES else "car", "confidence": 0.9, "box": box}
        for number, box in enumerate(boxes)
    ]
    return {**frame, "detections": found}


def fixed_boxes(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Return ten boxes of a tenth of each side, on a diagonal, on whole blocks of a JPEG."""
    sides = width // 160 * 16, height // 160 * 16
    return [
        (sides[0] * number, sides[1] * number, sides[0] * (number + 1), sides[1] * (number + 1))
        for number in range(FREE_BOXES)
    ]


def redact(colour: str) -> Work:
    """Black out each person and encode anew."""

    def work(frame: Map) -> Map:
        pixels = simplejpeg.decode_jpeg(frame["image"], "BGR")
        for one in frame["detections"]:
            if one["label"] == "person":
                left, top, right, bottom = one["box"]
                pixels[top:bottom, left:right] = 0
        return {**frame, "image": simplejpeg.encode_jpeg(pixels, 85, "BGR", colour)}

    return work


def receiver(options: argparse.Namespace) -> None:
    """Note when each frame came."""
    consumer = _consumer(options.kafka, options.input)
    with options.log.open("w", buffering=1) as log:
        while True:
            if frames := _batch(consumer):
                for frame in frames:
                    log.write(f"{frame['sequence']} {frame['captured_ns']} {time.time_ns()}\n")
                consumer.commit(asynchronous=True)


def produce(options: argparse.Namespace) -> None:
    """Send so many records of one size as fast as they go; the time until all are acknowledged counts."""
    producer = _producer(options.kafka, **{"linger.ms": 5})
    value = options.value.read_bytes()
    producer.list_topics(options.topic)
    began, used = time.perf_counter(), time.process_time()
    for number in range(options.count):
        while True:
            try:
                producer.produce(options.topic, value, b"cam%d" % (number % 8), on_delivery=_check)
            except BufferError:
                producer.poll(0.01)
            else:
                break
        producer.poll(0)
    producer.flush()
    say_rate(began, used, options.count, len(value))


def consume(options: argparse.Namespace) -> None:
    """Read so many records; the time from the first to the last counts."""
    consumer = _consumer(options.kafka, options.topic)
    consumer.unsubscribe()
    partitions = consumer.list_topics(options.topic).topics[options.topic].partitions
    consumer.assign([TopicPartition(options.topic, partition, 0) for partition in partitions])
    count = 0
    began, used = time.perf_counter(), time.process_time()
    while count < options.count:
        for message in consumer.consume(100, 1.0):
            began = began if count else time.perf_counter()
            count += 1
            size = len(message.value() or b"")
    say_rate(began, used, count, size)


ROLES: dict[str, Callable[[argparse.Namespace], None]] = {
    "source": source,
    "relay": relay,
    "boxes": lambda options: relay(options, find_boxes),
    "redaction": lambda options: relay(options, redact(options.colour)),
    "receiver": receiver,
    "produce": produce,
    "consume": consume,
}


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of a role, on either side."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("role")
    made.add_argument("--kafka")
    made.add_argument("--input")
    made.add_argument("--topic")
    made.add_argument("--pictures", type=Path)
    made.add_argument("--log", type=Path)
    made.add_argument("--value", type=Path)
    made.add_argument("--colour", default="444")
    made.add_argument("--count", type=int, default=0)
    made.add_argument("--cameras", type=int, default=1)
    made.add_argument("--steady", type=int, default=0)
    made.add_argument("--fps", type=float, default=30)
    made.add_argument("--burst", type=int, default=0)
    return made


def _stop(_number: int, _frame: object) -> None:
    raise Stopped


def main() -> None:
    """Play a role until it is over or SIGTERM comes."""
    options = parser(__doc__).parse_args()
    signal.signal(signal.SIGTERM, _stop)
    try:
        ROLES[options.role](options)
    except Stopped:
        sys.exit(0)


if __name__ == "__main__":
    main()
