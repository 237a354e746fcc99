"""A record as a person or a program wants to see it: decoded if it can be, else why not."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec

from imagebus import codec
from imagebus.columns import clock, cut, size
from imagebus.errors import FrameError
from imagebus.frame import LIVE, Frame
from imagebus.outgoing import ONLY_FOR
from imagebus.record import Record

MOST_LABELS = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """A record, and the frame in it or, empty where there is one, why there is none."""

    record: Record
    frame: Frame | None
    problem: str = ""

    @property
    def source(self) -> str:
        """Return the camera's name, by the frame or else by the key."""
        return self.frame.source if self.frame else (self.record.key or b"").decode("utf-8", "replace")

    @property
    def line(self) -> str:
        """Return one printable line."""
        record = self.record
        if self.frame is None:
            place = f"{record.topic}[{record.partition}]@{record.offset}"
            what = f"{cut(self.source, 40)} {place} no frame: {cut(self.problem, 120)}"
            return f"{clock(record.timestamp_ms)}  {what.strip()}"
        frame = self.frame
        bytes_ = f" {size(len(frame.image))}" if frame.image else ""
        parts = [
            f"{cut(frame.source, 40)} #{frame.sequence}",
            f"{frame.width}x{frame.height}{bytes_}",
            _found(frame),
            cut(" > ".join(hop.stage for hop in frame.trail), 80) or "no trail",
        ]
        if frame.run != LIVE:
            parts.append(f"run {cut(frame.run, 40)}")
        if only_for := record.header(ONLY_FOR):
            parts.append(f"sent again for {cut(only_for, 60)}")
        return "  ".join([clock(record.timestamp_ms), *parts])

    @property
    def plain(self) -> dict[str, Any]:
        """Return everything but the picture, for JSON."""
        record = self.record
        facts: dict[str, Any] = {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp_ms": record.timestamp_ms,
        }
        if only_for := record.header(ONLY_FOR):
            facts["only_for"] = only_for
        if self.frame is None:
            return facts | {"source": self.source, "bytes": len(record.value or b""), "problem": self.problem}
        try:
            return facts | {"image_bytes": len(self.frame.image)} | _plain(self.frame)
        except RecursionError:
            return facts | {"source": self.source, "problem": "nested too deep to be shown"}


def see(record: Record) -> Seen:
    """Decode a record of frames, of META or of dead letters."""
    kind = record.header("content-type") or record.header("original.content-type")
    decode = codec.decode_meta if kind == codec.META_CONTENT_TYPE else codec.decode
    try:
        return Seen(record, decode(record.value or b""))
    except FrameError as error:
        return Seen(record, None, str(error))


def _found(frame: Frame) -> str:
    counts = Counter(each.label + (" (redacted)" if each.redacted else "") for each in frame.detections)
    words = [f"{count} {cut(label, 30)}" for label, count in counts.most_common(MOST_LABELS)]
    if len(counts) > MOST_LABELS:
        words.append(f"{len(counts) - MOST_LABELS} more labels")
    return ", ".join(words) or "nothing"


def _plain(frame: Frame) -> dict[str, Any]:
    """Return the fields of a frame, each as JSON can have it."""
    return {name: _simple(value) for name, value in msgspec.structs.asdict(frame).items() if name != "image"}


def _simple(value: Any) -> Any:
    """Turn whatever msgpack can carry into what JSON can: bytes become base64, other things their text."""
    if isinstance(value, msgspec.Struct):
        return {name: _simple(each) for name, each in msgspec.structs.asdict(value).items()}
    if isinstance(value, dict):
        return {name if isinstance(name, str) else repr(name): _simple(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_simple(each) for each in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, float) and value - value != 0:  # infinite, or no number
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else repr(value)
