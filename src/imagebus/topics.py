"""Topics: which names are legal, which settings they are made with, what goes with them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from imagebus.codec import MAX_RECORD_BYTES

SOURCE = "SOURCE_FRAME"
IMAGEAI = "IMAGEAI_FRAME"
REDACTION = "REDACTION_FRAME"

MAX_MESSAGE_BYTES = 2 * MAX_RECORD_BYTES + 1024 * 1024
"""Room for a frame at its bound, and for a larger stranger as a dead letter."""

SETTINGS = {
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

LEGAL = re.compile(r"[A-Za-z0-9._-]{1,245}")


def dead_letters_of(topic: str) -> str:
    """Return the topic that takes what a filter could not process."""
    return f"{topic}.DLQ"


def legal(topic: str) -> str:
    """Return the name unchanged.

    Raises:
        ValueError: Kafka would refuse it.
    """
    if not LEGAL.fullmatch(topic) or topic in (".", ".."):
        raise ValueError("a topic's name is 1 to 245 of the characters A-Z a-z 0-9 . _ -")
    return topic


Topic = Annotated[str, AfterValidator(legal)]
