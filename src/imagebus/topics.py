"""Topics: which names are legal, which settings they are made with, what goes with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator

from imagebus.codec import MAX_RECORD_BYTES

SOURCE = "SOURCE_FRAME"
IMAGEAI = "IMAGEAI_FRAME"
REDACTION = "REDACTION_FRAME"

META = ".META"
DEAD_LETTERS = ".DLQ"
"""What stands beside a topic is called after it."""

MAX_MESSAGE_BYTES = 2 * MAX_RECORD_BYTES + 1024 * 1024
"""Room for a frame at its bound, and for a larger stranger as a dead letter."""

MAX_AHEAD_MS = 24 * 3600 * 1000
"""So far ahead a frame may be stamped. A clock set to local time for UTC is up to 14 hours wrong; Kafka's own
bound is an hour, and such a camera would lose every frame."""

CLOCKS = {"message.timestamp.after.max.ms": str(MAX_AHEAD_MS)}

SETTINGS = {
    **CLOCKS,
    "max.message.bytes": str(MAX_MESSAGE_BYTES),
    "compression.type": "producer",
    "retention.ms": str(10 * 60 * 1000),
    "retention.bytes": str(4 * 1024**3),
    "segment.bytes": str(256 * 1024**2),
    "segment.ms": str(60 * 1000),
    "segment.index.bytes": str(256 * 1024),
}
"""Frames are large, already compressed and soon old.

``retention.bytes`` counts per partition and is a safety net: ten minutes of one 720p camera at 30 frames/s
are 3.4 GB (191 KB a frame).
"""

DEAD_LETTER_SETTINGS = {
    **SETTINGS,
    "retention.ms": str(7 * 24 * 3600 * 1000),
    "retention.bytes": str(512 * 1024**2),
}

META_SETTINGS = {
    **SETTINGS,
    "retention.bytes": str(512 * 1024**2),
    "segment.bytes": str(16 * 1024**2),
}
"""As the frames beside which they stand, at a hundredth of the bytes."""

LASTING = {"retention.ms": "-1"}
"""What a replay writes is kept by bytes: its old times would expire at once."""

OUTCOMES = "imagebus.outcomes"
"""Where every filter notes which records it skipped or filtered out."""

OUTCOMES_SETTINGS = {
    **CLOCKS,
    "retention.ms": str(7 * 24 * 3600 * 1000),
    "retention.bytes": str(512 * 1024**2),
    "segment.bytes": str(16 * 1024**2),
    "segment.index.bytes": str(256 * 1024),
}

SERVICES = "imagebus.services"
"""Where every running service says each two seconds what it is and how it does."""

SERVICES_SETTINGS = {
    **CLOCKS,
    "cleanup.policy": "compact,delete",
    "retention.ms": str(24 * 3600 * 1000),
    "segment.ms": str(10 * 60 * 1000),
    "segment.bytes": str(16 * 1024**2),
    "segment.index.bytes": str(256 * 1024),
    "delete.retention.ms": str(60 * 1000),
    "min.cleanable.dirty.ratio": "0.5",
}

LEGAL = re.compile(r"[A-Za-z0-9._-]{1,240}")


def dead_letters_of(topic: str) -> str:
    """Return the topic that takes what a filter could not process."""
    return f"{topic}{DEAD_LETTERS}"


def meta_of(topic: str) -> str:
    """Return the topic that takes the frames of this one without their pictures."""
    return f"{topic}{META}"


def unfit(topic: str, wanted: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    """Yield a line on each setting with which the topic would lose or refuse what is written to it."""
    limit = int(found.get("max.message.bytes", MAX_MESSAGE_BYTES))
    if "max.message.bytes" in wanted and limit < MAX_RECORD_BYTES:
        yield f"topic {topic} takes records up to {limit} bytes, a frame may have {MAX_RECORD_BYTES}:"
        yield "larger frames will become dead letters; raise its max.message.bytes"
    ahead_ms = int(found.get("message.timestamp.after.max.ms", MAX_AHEAD_MS))
    if ahead_ms < MAX_AHEAD_MS:
        yield f"topic {topic} refuses what is stamped more than {ahead_ms // 1000} s ahead of its broker's"
        yield f"clock; set its message.timestamp.after.max.ms to {MAX_AHEAD_MS}"
    if "compact" in found.get("cleanup.policy", "") and "cleanup.policy" not in wanted:
        yield f"topic {topic} is compacted: it forgets all but the newest; set cleanup.policy to delete"
    kept_ms = int(found.get("retention.ms", -1))
    if wanted.get("retention.ms") == LASTING["retention.ms"] and kept_ms >= 0:
        yield f"topic {topic} keeps frames for {kept_ms // 1000} s from their capture: what a replay"
        yield "writes of older pictures is deleted at once; set retention.ms to -1, or take another topic"


def legal(topic: str) -> str:
    """Return the name unchanged.

    Raises:
        ValueError: Kafka would refuse it.
    """
    if not LEGAL.fullmatch(topic) or topic in (".", ".."):
        raise ValueError("a topic's name is 1 to 240 of the characters A-Z a-z 0-9 . _ -")
    return topic


def for_frames(topic: str) -> str:
    """Return the name of a topic that frames are to be written to, unchanged.

    Raises:
        ValueError: something else is written there.
    """
    if (main := topic.removesuffix(META)) != topic:
        raise ValueError(f"a topic for frames is wanted (META is kept beside {main or 'it'} by itself)")
    if topic in (OUTCOMES, SERVICES) or topic.endswith(DEAD_LETTERS):
        raise ValueError("a topic for frames is wanted")
    return topic


Topic = Annotated[str, AfterValidator(legal)]
