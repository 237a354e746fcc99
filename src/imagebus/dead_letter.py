"""A dead letter as it lies in its topic: whose it is, why, and what it was."""

from __future__ import annotations

from dataclasses import dataclass

from imagebus.outgoing import (
    AGAIN,
    GROUP,
    OFFSET,
    ONLY_FOR,
    ORIGINAL,
    PARTITION,
    TOPIC,
    is_without_bytes,
)
from imagebus.record import Headers, Outgoing, Record

PLACE = {GROUP, TOPIC, PARTITION, OFFSET, ONLY_FOR, AGAIN}
"""Headers that say what a record came of; one that is sent again came of nothing but its dead letter."""
FROM = "imagebus.dead-letter"
"""On a dead letter that was sent again: its own place, ``TOPIC[PARTITION]@OFFSET``."""


@dataclass(frozen=True, slots=True)
class Letter:
    """The facts of a dead letter, without its bytes; all texts are as hostile as whoever wrote it.

    ``captured_ms`` is the timestamp of the record that it was, -1 where it is not known; ``died_ms`` its own;
    ``is_cut`` whether its bytes were too many for the topic and are not there.
    """

    partition: int
    offset: int
    died_ms: int
    captured_ms: int
    reason: str
    error: str
    stage: str
    group: str
    topic: str
    size: int
    is_cut: bool


def letter_of(record: Record) -> Letter:
    """Return the facts in a record's headers."""
    return Letter(
        partition=record.partition,
        offset=record.offset,
        died_ms=record.timestamp_ms,
        captured_ms=_number(record.header("imagebus.timestamp")),
        reason=record.header("imagebus.reason"),
        error=record.header("imagebus.error"),
        stage=record.header("imagebus.stage"),
        group=record.header(GROUP),
        topic=record.header(TOPIC),
        size=len(record.value or b"") + len(record.key or b""),
        is_cut=is_without_bytes(record),
    )


def again(record: Record, group: str) -> Outgoing:
    """Return the record that a dead letter was, for the one group that failed on it."""
    letter = letter_of(record)
    place = f"{record.topic}[{record.partition}]@{record.offset}"
    headers = (
        *_original(record.headers),
        (ONLY_FOR, group.encode()),
        (FROM, place.encode()),
    )
    # 0 is now, for what had no time of its own
    return Outgoing(letter.topic, record.key, record.value, max(0, letter.captured_ms), headers)


def _original(headers: Headers) -> Headers:
    """Return the headers that the record itself had, but for those of its origin."""
    named = ((name.removeprefix(ORIGINAL), value) for name, value in headers if name.startswith(ORIGINAL))
    return tuple((name, value) for name, value in named if name not in PLACE)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1
