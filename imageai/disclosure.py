"""What a frame still tells of what was blacked out: a redaction must not give away in words what it hides."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from imagebus import Detection, Frame
from imagebus.frame import Box

FILLERS = "\u115f\u1160\u3164\uffa0"
"""Letters by name, which nobody sees."""


def is_one_of(detection: Detection, labels: Collection[str]) -> bool:
    """Whether a detection is of one of the labels, however it is written: ``Person`` is a ``person``."""
    return _plain(detection.label) in {_plain(label) for label in labels}


def is_to_hide(detection: Detection, labels: Collection[str], searched: Collection[str]) -> bool:
    """Whether a detection is of one of the labels, or may be one that looks like it in other alphabets.

    So is whatever is not plain ASCII, and no detector of the frame says that it looked for it.
    """
    is_strange = not detection.label.isascii() and detection.label not in searched
    return is_strange or is_one_of(detection, labels)


def told_less(frame: Frame, labels: Collection[str]) -> Frame:
    """Mark the detections of these labels as redacted; what was known of them and what they touch goes."""
    searched = frame.searched
    gone = [one.box for one in frame.detections if one.redacted or is_to_hide(one, labels, searched)]

    def told(detection: Detection) -> Detection:
        if detection.redacted or is_to_hide(detection, labels, searched):
            return _bare(detection, redacted=True)
        if any(_touch(detection.box, box) for box in gone):
            return _bare(detection, redacted=False)  # such as the face of somebody who was blacked out
        return detection

    return frame.with_detections(map(told, frame.detections))


def told_nothing(frame: Frame) -> Frame:
    """Mark every detection as redacted, and take away all that was known of the frame."""
    bare = [_bare(detection, redacted=True) for detection in frame.detections]
    return msgspec.structs.replace(frame.with_detections(bare), attributes={})


def without_pictures(frame: Frame) -> Frame:
    """Take away attributes that hold binary values, of the frame and its detections: they may be pictures."""
    if not frame.attributes and not any(detection.attributes for detection in frame.detections):
        return frame
    detections = [
        msgspec.structs.replace(detection, attributes=_texts(detection.attributes))
        for detection in frame.detections
    ]
    return msgspec.structs.replace(frame.with_detections(detections), attributes=_texts(frame.attributes))


def _texts(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if not _holds_bytes(value)}


def _holds_bytes(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_bytes(each) for pair in value.items() for each in pair)
    if isinstance(value, (list, tuple)):
        return any(map(_holds_bytes, value))
    return isinstance(value, (bytes, bytearray, memoryview, msgspec.msgpack.Ext))


def _bare(detection: Detection, *, redacted: bool) -> Detection:
    return Detection(detection.label, detection.confidence, detection.box, redacted=redacted)


def _plain(label: str) -> str:
    """Return the letters and digits of a label, without case, marks and compatibility forms.

    Nothing else tells labels apart, least of all what is not seen.
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", label).casefold())
    return "".join(letter for letter in folded if letter.isalnum() and letter not in FILLERS) or label


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
