"""What goes out for one input: frames, or a dead letter."""

from __future__ import annotations

import time
from dataclasses import dataclass

from imagebus import codec, trace
from imagebus.errors import FrameError
from imagebus.frame import Frame
from imagebus.record import Headers, Record
from imagebus.topics import dead_letters_of

MAX_HEADERS_BYTES = 64 * 1024
MAX_AHEAD_NS = 3600 * 10**9


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to publish."""

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: Headers


def frame_record(frame: Frame, topic: str, traceparent: str) -> Outgoing:
    """Return the record of a frame: keyed by its source and stamped with its capture time.

    Raises:
        FrameError: the frame is beyond a bound of the format, or from the future.
    """
    if frame.captured_ns > time.time_ns() + MAX_AHEAD_NS:
        # The broker refuses such a record too, but only after a second in which nothing else goes out.
        raise FrameError(f"captured_ns {frame.captured_ns} is more than an hour ahead", "refused")
    headers = ((trace.HEADER, traceparent.encode()), ("content-type", codec.CONTENT_TYPE.encode()))
    captured_ms = frame.captured_ns // 1_000_000
    return Outgoing(topic, frame.source.encode(), codec.encode(frame), captured_ms, headers)


def dead_letter(record: Record, *, reason: str, error: str, stage: str, group: str) -> Outgoing:
    """Return the dead letter of a record: its key and bytes as they were, and why, in the headers.

    The record's own headers follow under ``original.``, up to 64 KiB of them.
    """
    facts = {
        "reason": reason,
        "error": error[:1000],
        "stage": stage,
        "group": group,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "timestamp": str(record.timestamp_ms),
    }
    headers = [(f"imagebus.{name}", value.encode("utf-8", "replace")) for name, value in facts.items()]
    room = MAX_HEADERS_BYTES
    for name, value in record.headers:
        room -= len(name) + len(value or b"")
        if room < 0:
            break
        headers.append((f"original.{name}", value))
    topic = dead_letters_of(record.topic)
    return Outgoing(topic, record.key, record.value, time.time_ns() // 1_000_000, tuple(headers))
