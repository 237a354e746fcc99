"""What goes out for one input: frames, each with its META beside it, or a dead letter."""

from __future__ import annotations

import time
from dataclasses import replace

from imagebus import codec, trace
from imagebus.errors import FrameError
from imagebus.frame import Frame
from imagebus.record import HEADER_BYTES, Headers, Outgoing, Record
from imagebus.topics import MAX_AHEAD_MS, dead_letters_of, meta_of

MAX_HEADERS_BYTES = 64 * 1024
ORIGINAL = "original."
GROUP = "imagebus.group"
STAGE = "imagebus.stage"
TOPIC = "imagebus.topic"
PARTITION = "imagebus.partition"
OFFSET = "imagebus.offset"
LOG = "imagebus.log"
"""Id of the log that the offset is of: a topic deleted and made again counts its offsets anew."""
ONLY_FOR = "imagebus.only-for"
"""On a dead letter that was sent again: the one group that shall process it."""
AGAIN = "imagebus.again"
"""On whatever came of such a letter: it is late, and not to be shown as if live."""


def of_log(item: Outgoing, log: str) -> Outgoing:
    """Return a record with the id of the log that it came of, where that is known."""
    return replace(item, headers=(*item.headers, (LOG, log.encode()))) if log else item


def origin(record: Record, group: str) -> Headers:
    """Return the headers that say of which record something came, and by which group."""
    place = (
        (GROUP, group.encode()),
        (TOPIC, record.topic.encode()),
        (PARTITION, b"%d" % record.partition),
        (OFFSET, b"%d" % record.offset),
    )
    return (*place, (AGAIN, b"1")) if is_again(record) else place


def is_again(record: Record) -> bool:
    """Whether this is a dead letter that was sent again, or came of one: late, whatever its time."""
    return any(name in (ONLY_FOR, AGAIN) for name, _ in record.headers)


def frame_records(
    frame: Frame, topic: str, traceparent: str, came_of: Headers = (), *, pixels: bool = True
) -> list[Outgoing]:
    """Return the record of a frame, keyed by its source and stamped with its capture time, and that for META.

    Args:
        came_of: headers that name the record it came of.
        pixels: whether there is a picture; without one, there is only the record for META.

    Raises:
        FrameError: the frame is beyond a bound of the format, from the future, or its picture is missing.
    """
    if frame.captured_ns > time.time_ns() + MAX_AHEAD_MS * 1_000_000:
        # The broker refuses such a record too, but only after a second in which nothing else goes out.
        raise FrameError(f"captured_ns {frame.captured_ns} is more than a day ahead", "refused")
    if pixels is not bool(frame.image):
        wrong = "no picture" if pixels else "a picture, in a filter that declares pixels = False"
        raise FrameError(f"the frame has {wrong}", "picture")
    key, captured_ms = frame.source.encode(), frame.captured_ns // 1_000_000
    parent = (trace.HEADER, traceparent.encode())
    data, meta = codec.encode_both(frame)
    beside = Outgoing(meta_of(topic), key, meta, captured_ms, (parent, _META_TYPE, *came_of))
    if not pixels:
        return [beside]
    return [Outgoing(topic, key, data, captured_ms, (parent, _FRAME_TYPE, *came_of)), beside]


_FRAME_TYPE = ("content-type", codec.CONTENT_TYPE.encode())
_META_TYPE = ("content-type", codec.META_CONTENT_TYPE.encode())


CUT = "imagebus.cut"
"""On a dead letter without the bytes that it was: why."""


def without_bytes(letter: Outgoing, why: str) -> Outgoing:
    """Return a dead letter that the broker refused, with the facts alone: it is too large with its bytes."""
    facts = [(name, value) for name, value in letter.headers if not name.startswith(ORIGINAL)]
    return replace(
        letter, key=None, value=b"", headers=(*facts, (CUT, why.encode("utf-8", "replace")[:1000]))
    )


def is_without_bytes(letter: Outgoing | Record) -> bool:
    """Whether a dead letter is one of these."""
    return any(name == CUT for name, _ in letter.headers)


def dead_letter(record: Record, *, reason: str, error: str, stage: str, group: str) -> Outgoing:
    """Return the dead letter of a record: its key and bytes as they were, and why, in the headers.

    The record's own headers follow under ``original.``, up to 64 KiB of them.
    """
    facts = {
        "imagebus.reason": reason,
        "imagebus.error": error[:1000],
        STAGE: stage,
        "imagebus.timestamp": str(record.timestamp_ms),
    }
    headers = [(name, value.encode("utf-8", "replace")) for name, value in facts.items()]
    headers += origin(record, group)
    room = MAX_HEADERS_BYTES
    for name, value in record.headers:
        room -= len(name) + len(value or b"") + HEADER_BYTES
        if room < 0:
            break
        headers.append((f"{ORIGINAL}{name}", value))
    topic = dead_letters_of(record.topic)
    return Outgoing(topic, record.key, record.value, time.time_ns() // 1_000_000, tuple(headers))
