"""Frames to bytes and back: one typed, bounded msgpack map, as ``docs/frame.md`` specifies."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from imagebus import jpeg
from imagebus.errors import FrameError
from imagebus.frame import Detection, Frame

CONTENT_TYPE = "application/vnd.imagebus.frame+msgpack;v=1"
META_CONTENT_TYPE = "application/vnd.imagebus.meta+msgpack;v=1"
MAX_RECORD_BYTES = 10 * 1024 * 1024
MAX_ATTRIBUTES_BYTES = 64 * 1024
MAX_NAME_BYTES = 256
MAX_BESIDE_IMAGE_BYTES = 2 * 1024 * 1024
"""Ten million empty maps fit into a record, and take a hundred bytes each once they are decoded."""


class _Outline(msgspec.Struct):
    """Just enough of a frame to tell how much of the record is not picture."""

    image: msgspec.Raw


class _Version(msgspec.Struct):
    """Which version of the format a record says that it is."""

    v: int = 1


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Frame)
_outline = msgspec.msgpack.Decoder(_Outline)
_version = msgspec.msgpack.Decoder(_Version)


def encode(frame: Frame) -> bytes:
    """Return the record's value.

    Raises:
        FrameError: the frame is beyond a bound of the format, so that no reader would take it.
    """
    return encode_both(frame)[0]


def encode_both(frame: Frame) -> tuple[bytes, bytes]:
    """Return the values of the frame's record and of that beside it in META, whose ``image`` is empty.

    Raises:
        FrameError: the frame is beyond a bound of the format, so that no reader would take it.
    """
    data = _encoder.encode(frame)
    _check_size(data)
    meta = _encoder.encode(msgspec.structs.replace(frame, image=b"")) if frame.image else data
    _check_fields(_typed(meta))  # types, without a copy of the picture
    return data, meta


def decode(data: bytes) -> Frame:
    """Return the frame of a record's value, its picture cleaned of metadata.

    Every bound is checked before a pixel is decoded.

    Raises:
        FrameError: with reason ``undecodable`` (no frame of version 1) or ``picture`` (its JPEG).
    """
    _check_size(data)
    frame = _typed(data)
    _check_fields(frame)
    picture = jpeg.clean(frame.image)
    _check_dimensions(frame, picture)
    return frame if picture is frame.image else msgspec.structs.replace(frame, image=picture)


def decode_meta(data: bytes) -> Frame:
    """Return the frame of a META record's value; its ``image`` is empty.

    Raises:
        FrameError: with reason ``undecodable``: no frame of version 1, or with a picture.
    """
    _check_size(data)
    frame = _typed(data)
    _check_fields(frame)
    if frame.image:
        raise FrameError("a META record with a picture in it", "undecodable")
    return frame


def _typed(data: bytes) -> Frame:
    try:
        beside = len(data) - len(memoryview(_outline.decode(data).image))
        if beside > MAX_BESIDE_IMAGE_BYTES:
            raise ValueError(
                f"{beside} bytes beside the picture, at most {MAX_BESIDE_IMAGE_BYTES} are allowed"
            )
        return _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise FrameError(f"{_other_version(data)}not a frame of version 1: {error}", "undecodable") from error


def _other_version(data: bytes) -> str:
    """Say which version a record is of where we do not know it, else nothing."""
    try:
        version = _version.decode(data).v
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return ""
    return "" if version == 1 else f"a frame of version {version}, update the program that reads it: "


def _check_size(data: bytes) -> None:
    if len(data) > MAX_RECORD_BYTES:
        raise FrameError(
            f"a record of {len(data)} bytes, at most {MAX_RECORD_BYTES} are allowed", "undecodable"
        )


def _check_fields(frame: Frame) -> None:
    """Check what types alone cannot say."""
    for name in _names(frame):
        if not name.isascii() and len(name.encode()) > MAX_NAME_BYTES:
            raise FrameError(f"a name of {len(name.encode())} bytes, at most {MAX_NAME_BYTES}", "undecodable")
    for detection in frame.detections:
        _check_box(detection, frame)
    if frame.attributes or any(detection.attributes for detection in frame.detections):
        _check_attributes(frame)
    if any(hop.is_open for hop in frame.trail):
        raise FrameError("a hop of the trail has no stage", "undecodable")


def _names(frame: Frame) -> Iterator[str]:
    yield from (frame.source, frame.epoch, frame.run)
    for detection in frame.detections:
        yield detection.label
        yield detection.track or ""
    for hop in frame.trail:
        yield from (hop.stage, hop.kind, hop.version, hop.topic, *(hop.searched or ()))
        if hop.model:
            yield from (hop.model.name, hop.model.digest)


def _check_box(detection: Detection, frame: Frame) -> None:
    left, top, right, bottom = detection.box
    if not (left < right <= frame.width and top < bottom <= frame.height):
        raise FrameError(
            f"box {list(detection.box)} is empty or outside the picture of {frame.width}x{frame.height}",
            "undecodable",
        )


def _check_attributes(frame: Frame) -> None:
    maps = [frame.attributes, *(detection.attributes for detection in frame.detections)]
    try:
        size = sum(len(_encoder.encode(attributes)) for attributes in maps if attributes)
    except RecursionError as error:
        raise FrameError("attributes are nested too deep", "undecodable") from error
    if size > MAX_ATTRIBUTES_BYTES:
        raise FrameError(f"{size} bytes of attributes, at most {MAX_ATTRIBUTES_BYTES}", "undecodable")


def _check_dimensions(frame: Frame, picture: bytes) -> None:
    header = jpeg.read_header(picture)
    if (header.width, header.height) != (frame.width, frame.height):
        raise FrameError(
            f"the picture is {header.width}x{header.height}, the frame says {frame.width}x{frame.height}",
            "picture",
        )
