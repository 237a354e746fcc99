"""The class of a topic: ``clear`` or ``redacted``. Rights are given by class.

Redacted is what a redactor wrote, and all that comes of it: a frame with a hop of kind ``redaction`` in its
trail. The newest record of every partition must say so: one writer of clear pictures makes the topic clear.
A META topic and a topic of dead letters hold what came from their topic, so they have its class. What is
doubtful is clear: a record that is no frame, a partition whose newest record cannot be read.

A trail is the word of whoever wrote the record: who may write a redacted topic decides what it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from imagebus import codec
from imagebus.errors import FrameError
from imagebus.record import Record
from imagebus.topics import dead_letters_of, meta_of

CLEAR = "clear"
REDACTED = "redacted"
REDACTOR = "redaction"
"""The kind of a redactor's hop."""


def class_of(newest: Iterable[Record | None]) -> str:
    """Return the class by the newest record of each partition, none for one that cannot be read.

    A topic without records has no class: empty.
    """
    records = list(newest)
    if not records:
        return ""
    return REDACTED if all(record and is_redacted(record) for record in records) else CLEAR


def is_redacted(record: Record) -> bool:
    """Whether a redactor stands in the trail of this record's frame, with or without its picture."""
    data = record.value or b""
    is_meta = record.header("content-type") == codec.META_CONTENT_TYPE
    try:
        frame = codec.decode_meta(data) if is_meta else codec.decode(data)
    except FrameError:
        return False
    return any(hop.kind == REDACTOR for hop in frame.trail)


def with_origins(own: Mapping[str, str]) -> dict[str, str]:
    """Return the class of each topic, given what each one's own records say.

    META and dead letters take the class of their topic, where it has one.
    """
    return {topic: own.get(origin_of(topic)) or own[topic] for topic in own}


def origin_of(topic: str) -> str:
    """Return the topic beside which META, dead letters, or those of META stand; else the name itself."""
    return topic.removesuffix(dead_letters_of("")).removesuffix(meta_of(""))
